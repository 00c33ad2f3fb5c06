// What is generated from the tables of words agrees with the tree and with the loader; so does what ships.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/language/grammar_words.h"
#include "sim/language/lint.h"
#include "sim/language/schema.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
const fs::path kRoot = ORCHARD_SOURCE_DIR;

std::string Read(const fs::path& p) {
  std::ifstream in(p);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

// With ORCHARD_GENERATE set, writes what it would otherwise compare.
void ExpectFile(const fs::path& file, const std::string& text) {
  if (std::getenv("ORCHARD_GENERATE") != nullptr) std::ofstream(file) << text;
  EXPECT_EQ(Read(file), text) << "generate it: ORCHARD_GENERATE=1 build/release/tests/sim_tests --gtest_filter='SchemaTest.*'";
}

TEST(SchemaTest, TheSchemaInTheTreeIsTheOneGenerated) {
  std::string schema = SchemaText();
  JsonError error;
  std::optional<Json> parsed = ParseJson(schema, 0, error);
  ASSERT_TRUE(parsed) << error.place.line << ": " << error.found;
  EXPECT_NE(parsed->Find("$defs")->Find("entry"), nullptr);
  ExpectFile(kRoot / "scenarios/schema.json", schema);
}

TEST(SchemaTest, EveryReferenceOfTheSchemaLeadsSomewhere) {
  std::string schema = SchemaText();
  JsonError error;
  std::optional<Json> parsed = ParseJson(schema, 0, error);
  size_t seen = 0;
  constexpr std::string_view kRef = "\"$ref\": \"#/$defs/";
  for (size_t i = schema.find(kRef); i != std::string::npos; i = schema.find(kRef, i + 1), ++seen) {
    const size_t start = i + kRef.size();
    const std::string name = schema.substr(start, schema.find('"', start) - start);
    EXPECT_NE(parsed->Find("$defs")->Find(name), nullptr) << name;
  }
  EXPECT_GT(seen, 100u);
}

TEST(SchemaTest, TheWordTablesInTheDocsAreTheOnesGenerated) {
  const fs::path file = kRoot / "docs/SCENARIOS.md";
  const std::string text = Read(file), begin = "<!-- generated: words -->\n";
  const size_t at = text.find(begin);
  ASSERT_NE(at, std::string::npos);
  ExpectFile(file, text.substr(0, at + begin.size()) + WordTablesText());
}

TEST(SchemaTest, EveryShippedScenarioLoadsAndSaysWhatBreaksIt) {
  size_t seen = 0;
  for (const auto& e : fs::recursive_directory_iterator(kRoot / "scenarios")) {
    const fs::path relative = fs::relative(e.path(), kRoot / "scenarios");
    if (e.path().extension() != ".json" || relative == "schema.json" || *relative.begin() == "lib") continue;
    std::vector<LoadError> errors;
    Sources sources;
    EXPECT_TRUE(LoadScenario(e.path().string(), {.set = {}, .ships = true}, errors, sources)) << RenderErrors(errors, sources);
    ++seen;
  }
  EXPECT_GE(seen, 4u);
}

TEST(SchemaTest, ListsOfWordsHaveNoneTwiceAndAllSaySomething) {
  for (const WordSet& set : WordSets()) {
    for (size_t i = 0; i < set.words.size(); ++i) {
      EXPECT_FALSE(set.words[i].says.empty()) << set.words[i].name;
      for (size_t k = 0; k < i; ++k) EXPECT_NE(set.words[i].name, set.words[k].name) << set.name;
      const std::string_view netns = set.words[i].netns;
      EXPECT_TRUE(netns.empty() || netns.substr(0, 4) == "no: " || netns.substr(0, 7) == "about: ") << netns;
    }
  }
}

TEST(LintTest, SaysWhatTheKernelHostCannotDoAndWhichCaseCan) {
  const fs::path file = fs::path(testing::TempDir()) / "lint_life.json";
  std::ofstream(file) << "{\"says\": \"x\", \"duration\": \"60s\",\n"
                         "\"world\": {\"hops\": 9, \"nats\": {\"odd\": {\"like\": \"cgn\", \"life\": \"30s\"}}},\n"
                         "\"hosts\": [{\"id\": \"a\", \"nat\": \"odd\"}, {\"id\": \"b\", \"nat\": \"symmetric-sequential@x\"}],\n"
                         "\"timeline\": [{\"at\": \"1s\", \"on\": \"a\", \"do\": \"clock\", \"with\": {\"offset\": \"1s\"}}, {\"at\": \"2s\", \"on\": \"a\", \"do\": \"restart\", \"with\": {\"store\": \"torn\"}}]}";
  LintResult r = Lint(file.string(), {}, false);
  EXPECT_EQ(r.exit_status, 0);
  EXPECT_THAT(r.text, HasSubstr(":2:54: world.nats.odd.life: the kernel host cannot do an absolute mapping life (nftables only has idle time-outs). Run with --host ns3\n"));
  EXPECT_THAT(r.text, HasSubstr("world.hops: the kernel host cannot do fewer than 12"));
  EXPECT_THAT(r.text, HasSubstr("hosts.b.nat: the kernel host cannot do symmetric-sequential"));
  EXPECT_THAT(r.text, HasSubstr("timeline[0].do: the kernel host cannot do a clock of its own"));
  EXPECT_THAT(r.text, HasSubstr("timeline[1].with.store: the kernel host cannot do a torn store"));
  EXPECT_THAT(r.text, HasSubstr("netns: no\n"));

  std::ofstream(file) << "{\"says\": \"x\", \"duration\": \"60s\", \"hosts\": [{\"id\": \"a\", \"nat\": \"open\"}],\n"
                         "\"cases\": [{\"name\": \"seq\", \"set\": {\"hosts.a.nat\": \"symmetric-sequential\"}}, {\"name\": \"plain\"}]}";
  r = Lint(file.string(), {}, false);
  EXPECT_THAT(r.text, HasSubstr("netns: 1 of 2 cases\n"));
  EXPECT_THAT(r.text, HasSubstr("or one case that can: --case \"plain\""));
  fs::remove(file);
  EXPECT_EQ(Lint(file.string(), {}, false).exit_status, 2);
}

}  // namespace
}  // namespace orchard::sim
