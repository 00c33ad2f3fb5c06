// sweep, diff and minimize as their users meet them, on a scenario whose failing seeds are known: a host that draws a NAT.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "sim/run/result_read.h"
#include "tests/sim/program.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class SweepProgramTest : public ProgramTest {
 protected:
  // At seeds 3 and 8 of 1 to 8, `p` draws a NAT that lets no UDP through.
  std::string Mixed(const std::string& more = "") {
    return Write("mixed.json", Cat(R"({"says": "One in four cannot.", "seed": 1, "duration": "10s",  // A comment.
 "world": {"latency": "20ms", "mixes": {"half": [{"share": 0.75, "nat": "open"}, {"share": 0.25, "nat": "udp-blocked"}]}},
 "hosts": [{"id": "root", "count": 2, "region": "eu", "link": "datacenter", "node": {"dht": {"bootstrap": true}}},
           {"id": "p", "region": "eu", "link": "cable", "mix": "half"}, {"id": "q", "count": 4, "region": "eu", "link": "cable"}],
 "timeline": [{"every": "1s", "from": "3s", "who": "p", "do": "dht.ping", "with": {"address": "@root-1"}, "as": "ping"}, {"at": "4s", "on": "q-1", "do": "nat-remap"}],
 "claims": [{"says": "q joins", "metric": "dht.bootstrap_ms", "of": "q", "count_at_least": 4},
            {"says": "p joins", "metric": "dht.bootstrap_ms", "of": "p", "count_at_least": 1},
            {"says": "p joins mostly", "metric": "dht.bootstrap_ms", "of": "p", "count_at_least": 1, "holds": 0.6},
            {"says": "pings arrive", "metric": "dht.ping.ok", "where": {"as": "ping"}, "ratio_at_least": 0.5}])", more, "}"));
  }
  Json Claim(const Json& result, const std::string& says) {
    for (const Json& c : ListIn(result, "claims")) {
      if (TextIn(c, "says") == says) return c;
    }
    ADD_FAILURE() << "no claim says " << says;
    return Json::Object();
  }
  // What must not depend on who ran what, and when.
  static std::string Timeless(Json result) {
    for (const char* key : {"wall_seconds", "peak_rss_bytes"}) result.Remove(key);
    return result.Dump();
  }
};

TEST_F(SweepProgramTest, PoolsRatiosCountsRunsAndSaysWhichSeedsFail) {
  const std::string file = Mixed();
  Ran r = Run({"sweep", "mixed.json", "--seeds", "1..8"});
  EXPECT_EQ(r.status, 1) << r.text;
  EXPECT_THAT(r.text, AllOf(HasSubstr("8 of 8 seeds"), HasSubstr("6 of 8 seeds"), HasSubstr("FAILED (needs every seed)   failing: 3, 8"), HasSubstr("UNDECIDED (needs ≥ 60 %; about "),
                            HasSubstr("orchard sim mixed.json --seed 3"), HasSubstr("orchard sim mixed.json --seed 8"), HasSubstr("shrink: orchard minimize mixed.json --seed 3"),
                            HasSubstr("1 of 4 claims failed")));
  const Json result = ReadResult("runs/mixed-sweep/result.json");
  EXPECT_EQ(TextIn(Claim(result, "q joins"), "verdict"), "held");
  EXPECT_EQ(TextIn(Claim(result, "p joins"), "verdict"), "failed");
  EXPECT_EQ(TextIn(Claim(result, "p joins mostly"), "verdict"), "undecided");
  const Json pings = Claim(result, "pings arrive");
  EXPECT_EQ(TextIn(pings, "verdict"), "held") << "of all samples: a single run with a blocked host fails";
  EXPECT_EQ(TextIn(*pings.Find("sweep"), "by"), "samples");
  EXPECT_GT(CountIn(*pings.Find("sweep"), "n"), 30u);
  EXPECT_FALSE(TruthIn(result, "passed"));
  EXPECT_GE(CountIn(*result.Find("metrics")->Find("dht.bootstrap_ms"), "count"), 8u * 4);
  EXPECT_TRUE(fs::exists(dir_ / "runs/mixed-sweep/report.html"));
  // The command of a failing seed repeats it, and the same run is what the sweep saw.
  const Json& failing = ListIn(*result.Find("sweep"), "failing").at(0);
  EXPECT_EQ(TextIn(failing, "replay"), "orchard sim mixed.json --seed 3");
  Ran again = Run({"sim", "mixed.json", "--seed", "3"});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.text, AllOf(HasSubstr("FAILED    p joins"), HasSubstr("shrink: orchard minimize mixed.json --seed 3")));
  EXPECT_EQ(TextIn(ReadResult("runs/mixed-3/result.json"), "fingerprint"), TextIn(ReadResult(fs::path("runs/mixed-sweep") / TextIn(failing, "dir") / "result.json"), "fingerprint"));
  Ran same = Run({"diff", "runs/mixed-3", "runs/mixed-sweep/seeds/3"});
  EXPECT_EQ(same.status, 0) << same.text;
}

TEST_F(SweepProgramTest, TwoRanksTogetherAreTheSingleRun) {
  Mixed();
  EXPECT_EQ(Run({"sweep", "mixed.json", "--seeds", "1..5", "--out", "one"}).status, 1);
  auto rank = [&](const char* n) { return Run({"sweep", "mixed.json", "--seeds", "1..5", "--out", "two"}, {}, {Cat("OMPI_COMM_WORLD_RANK=", n), "OMPI_COMM_WORLD_SIZE=2"}); };
  Ran first = rank("0");
  EXPECT_EQ(first.status, 0) << "others still work; a launcher would end them: " << first.text;
  EXPECT_THAT(first.text, HasSubstr("rank 0 of 2: 3 of its 3 runs are there, 2 of all are not yet"));
  EXPECT_FALSE(fs::exists(dir_ / "two/result.json"));
  // What is there may be put together at any time.
  Ran partly = Run({"sweep", "--merge", "two"});
  EXPECT_EQ(partly.status, 1);
  EXPECT_THAT(partly.text, HasSubstr("not whole: 3 of 5 runs are there"));
  Ran last = rank("1");
  EXPECT_EQ(last.status, 1) << "the last puts them together";
  EXPECT_THAT(last.text, HasSubstr("1 of 4 claims failed"));
  const Json one = ReadResult("one/result.json"), two = ReadResult("two/result.json");
  EXPECT_EQ(Timeless(one), Timeless(two));
  EXPECT_EQ(TextIn(one, "fingerprint").size(), 32u);
  EXPECT_EQ(Run({"sweep", "--merge", "two"}).status, 1);
  EXPECT_EQ(Timeless(ReadResult("two/result.json")), Timeless(one));
}

TEST_F(SweepProgramTest, AnInterruptedSweepGoesOnWhereItWas) {
  Mixed();
  Ran stopped = Run({"sweep", "mixed.json", "--seeds", "1..6", "--jobs", "1", "--json"}, R"("tag":"run")");
  EXPECT_EQ(stopped.status, 1) << stopped.text;
  EXPECT_THAT(stopped.text, HasSubstr("\"interrupted\":true"));
  std::map<std::string, fs::file_time_type> there;
  for (const auto& e : fs::directory_iterator(dir_ / "runs/mixed-sweep/seeds")) {
    const fs::path result = e.path() / "result.json";
    if (fs::exists(result) && Read(result).find("\"interrupted\"") == std::string::npos) there[result.string()] = fs::last_write_time(result);
  }
  EXPECT_GE(there.size(), 1u);
  EXPECT_LT(there.size(), 6u);
  Ran rest = Run({"sweep", "mixed.json", "--seeds", "1..6"});
  EXPECT_THAT(rest.text, HasSubstr(Cat(" ", there.size(), " of 6 runs are there already")));
  for (const auto& [file, time] : there) EXPECT_EQ(fs::last_write_time(file), time) << file << " was run again";
  EXPECT_EQ(CountIn(*ReadResult("runs/mixed-sweep/result.json").Find("sweep"), "ran"), 6u);
  // And further: more seeds, of which only the new ones run.
  EXPECT_THAT(Run({"sweep", "mixed.json", "--seeds", "1..7"}).text, HasSubstr(" 6 of 7 runs are there already"));
}

TEST_F(SweepProgramTest, ARunOfAnotherInputIsNotTaken) {
  Mixed();
  Run({"sweep", "mixed.json", "--seeds", "1..2"});
  EXPECT_THAT(Run({"sweep", "mixed.json", "--seeds", "1..2"}).text, HasSubstr("2 of 2 runs are there already"));
  Ran other = Run({"sweep", "mixed.json", "--seeds", "1..2", "--set", "world.latency=21ms"});
  EXPECT_THAT(other.text, Not(HasSubstr("already")));
  EXPECT_EQ(CountIn(*ReadResult("runs/mixed-sweep/result.json").Find("sweep"), "ran"), 2u);
}

TEST_F(SweepProgramTest, TheFilesSweepSaysWhichSeedsAndWhenUndecidedFails) {
  Mixed(R"(, "sweep": "1..2")");
  Ran all = Run({"sweep", "mixed.json", "--out", "all"});
  EXPECT_EQ(all.status, 1) << all.text;
  EXPECT_THAT(all.text, AllOf(HasSubstr("2 of 2 seeds"), HasSubstr("undecided after all 2 seeds")));
  Mixed(R"(, "sweep": "1..200")");
  Ran few = Run({"sweep", "mixed.json", "--seeds", "1..2", "--out", "few"});
  EXPECT_EQ(few.status, 0) << few.text;
  EXPECT_THAT(few.text, HasSubstr("3 of 4 claims held, 1 undecided"));
}

TEST_F(SweepProgramTest, CasesAreRunsOfTheirOwn) {
  Mixed(R"(, "cases": [{"name": "a b"}, {"name": "blocked", "set": {"hosts.p.mix": null, "hosts.p.nat": "udp-blocked"}}])");
  Ran r = Run({"sweep", "mixed.json", "--seeds", "1..2"});
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.text, AllOf(HasSubstr("2 of 2 seeds"), HasSubstr("[a b]"), HasSubstr("0 of 2 seeds"), HasSubstr("[blocked]"), HasSubstr("--seed 1 --case blocked"), HasSubstr("2 seeds (4 runs)")));
  EXPECT_TRUE(fs::exists(dir_ / "runs/mixed-sweep/seeds/2/cases/a_b/result.json"));
  const Json result = ReadResult("runs/mixed-sweep/result.json");
  EXPECT_EQ(ListIn(*result.Find("sweep"), "cases").size(), 2u);
  EXPECT_EQ(ListIn(result, "claims").size(), 8u);
  // A ratio of a case is not pooled with that of another.
  EXPECT_EQ(Run({"sweep", "mixed.json", "--seeds", "1..2", "--case", "a*"}).status, 0);
}

TEST_F(SweepProgramTest, ARunWithoutAResultIsAFault) {
  Mixed();
  fs::create_directories(dir_ / "out/seeds");
  std::ofstream(dir_ / "out/seeds/2") << "a file where a folder belongs";
  Ran r = Run({"sweep", "mixed.json", "--seeds", "1..2", "--out", "out"});
  EXPECT_EQ(r.status, 3) << r.text;
  EXPECT_FALSE(TruthIn(ReadResult("out/result.json"), "passed"));
}

TEST_F(SweepProgramTest, WrongInputIsSaidBeforeAnythingRuns) {
  const std::string file = Mixed();
  fs::create_directories(dir_ / "ran");
  std::ofstream(dir_ / "ran/result.json") << R"({"schema": "orchard.result/1"})";
  for (auto [arguments, words] : std::vector<std::pair<std::vector<std::string>, const char*>>{
           {{"sweep"}, "which scenario"}, {{"sweep", file, "--seeds", "5..1"}, "first and last seed"}, {{"sweep", file}, "which seeds"}, {{"sweep", file, "--seeds", "1..2", "--jobs", "0"}, "--jobs"},
           {{"sweep", file, "--seeds", "1..2", "--share", "2/2"}, "--share"}, {{"sweep", "--merge", "nowhere"}, "is nowhere the directory of a sweep"}, {{"sweep", "--merge", "x", "--seeds", "1..2"}, "no scenario"},
           {{"sweep", file, "--seeds", "1..2", "--out", "ran"}, "not of a sweep"}, {{"sweep", file, "--seeds", "1..2", "--case", "x"}, "no case is called"}, {{"sweep", file, "--seed", "1..2"}, "did you mean \"--seeds\"?"},
           {{"diff", "nowhere"}, "expected two"}, {{"diff", "nowhere", "ran"}, "no such file"}, {{"minimize"}, "which scenario"}, {{"minimize", file, "--runs", "0"}, "--runs"},
           {{"minimize", file, "--seed", "1"}, "every claim holds at seed 1"}, {{"minimize", file, "--seed", "3", "--claim", "p join"}, "did you mean \"p joins\"?"}}) {
    Ran r = Run(arguments);
    EXPECT_EQ(r.status, 2) << r.text;
    EXPECT_THAT(r.text, HasSubstr(words));
  }
  EXPECT_FALSE(fs::exists(dir_ / "runs"));
}

TEST_F(SweepProgramTest, DiffNamesTheSecondTheHostAndTheCommandsThatFindTheEvent) {
  Mixed();
  // From 4 s on one host is another.
  const std::string change = "timeline=[{\"at\": \"4s\", \"who\": \"q-2\", \"do\": \"dht.ping\", \"with\": {\"address\": \"@root-2\"}}]";
  const std::string claim = "claims=[{\"metric\": \"dht.bootstrap_ms\", \"of\": \"q\", \"count_at_least\": 4}]";
  Run({"sim", "mixed.json", "--set", "timeline=[]", "--set", claim, "--out", "a"});
  Run({"sim", "mixed.json", "--set", change, "--set", claim, "--out", "b"});
  EXPECT_EQ(Run({"diff", "a", "a"}).status, 0);
  Ran r = Run({"diff", "a", "b"});
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.text, AllOf(HasSubstr("their inputs differ"), HasSubstr("part between 0:04 and 0:05"), HasSubstr("first on root-2, q-2"), HasSubstr("--trace --out a-trace"), HasSubstr("orchard diff a-trace b-trace")));
  // As it is told.
  Run({"sim", "mixed.json", "--set", "timeline=[]", "--set", claim, "--out", "a-trace", "--trace"});
  Run({"sim", "mixed.json", "--set", change, "--set", claim, "--out", "b-trace", "--trace"});
  r = Run({"diff", "a-trace", "b-trace"});
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.text, AllOf(HasSubstr("is the first that differs"), HasSubstr("   both "), HasSubstr("   first "), HasSubstr("   second ")));
  EXPECT_THAT(r.text, testing::ContainsRegex("second  +4\\.[0-9]+ s  q-2"));
  Ran json = Run({"diff", "a-trace", "b-trace", "--json"});
  JsonError error;
  const std::optional<Json> j = ParseJson(json.text, 0, error);
  ASSERT_TRUE(j) << json.text;
  EXPECT_EQ(CountIn(*j->Find("data"), "after_ms"), 4000u);
  EXPECT_EQ(TextIn(*j->Find("data")->Find("b"), "host"), "q-2");
}

TEST_F(SweepProgramTest, DiffComparesCasesByName) {
  Mixed(R"(, "cases": [{"name": "x"}, {"name": "y"}])");
  Run({"sim", "mixed.json", "--out", "a"}), Run({"sim", "mixed.json", "--out", "b"});
  EXPECT_THAT(Run({"diff", "a", "b"}).text, HasSubstr("the same in all 2 cases"));
  Run({"sim", "mixed.json", "--out", "b", "--seed", "2"});
  Ran r = Run({"diff", "a", "b"});
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.text, AllOf(HasSubstr("2 of 2 cases differ, first x"), HasSubstr("their seeds differ: 1 and 2"), HasSubstr("orchard diff a/cases/x-trace/cases/x b/cases/x-trace/cases/x")));
}

TEST_F(SweepProgramTest, MinimizeLeavesWhatBreaksTheSameClaimAtTheSameSeed) {
  Mixed(R"(, "cases": [{"name": "plain"}, {"name": "far", "set": {"world.latency": "200ms"}}])");
  Ran r = Run({"minimize", "mixed.json", "--seed", "3", "--case", "far", "-o", "small.json"});
  EXPECT_EQ(r.status, 0) << r.text;
  EXPECT_THAT(r.text, AllOf(HasSubstr("shrinking what breaks \"p joins\" in case far"), HasSubstr("comments are not kept"), HasSubstr("replay: orchard sim small.json --seed 3")));
  const Json small = ReadResult("small.json");
  EXPECT_EQ(ListIn(small, "claims").size(), 1u);
  EXPECT_EQ(small.Find("timeline"), nullptr);
  EXPECT_EQ(small.Find("cases"), nullptr);
  EXPECT_LE(ListIn(small, "hosts").size(), 2u);
  EXPECT_THAT(Read("small.json"), AllOf(HasSubstr("\"half\""), Not(HasSubstr("\"q\"")), HasSubstr("// From orchard minimize")));
  EXPECT_LT(Read("small.json").size(), 700u);
  // It runs, and fails just so; and it holds at the seed at which the whole did, or a lonely p would be all that is left.
  EXPECT_THAT(r.text, HasSubstr("the claim holds at seed 1, and shall go on to"));
  EXPECT_EQ(Run({"sim", "small.json", "--seed", "1"}).status, 0);
  Ran again = Run({"sim", "small.json"});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.text, HasSubstr("FAILED    p joins"));
  EXPECT_EQ(Run({"lint", "small.json"}).status, 0);
}

TEST_F(SweepProgramTest, MinimizeWithoutAControlLeavesWhateverFails) {
  Mixed();
  for (auto [control, status] : {std::pair("none", 0), {"3", 2}, {"8", 2}, {"x", 2}}) {
    Ran r = Run({"minimize", "mixed.json", "--seed", "3", "--control", control, "-o", "small.json"});
    EXPECT_EQ(r.status, status) << r.text;
  }
  EXPECT_THAT(Read("small.json"), AllOf(HasSubstr("[{\"id\": \"p\"}]"), Not(HasSubstr("root"))));
}

TEST_F(SweepProgramTest, MinimizeStopsWhenItsRunsAreUsedUpAndStillWritesSomethingThatFails) {
  Mixed();
  Ran r = Run({"minimize", "mixed.json", "--seed", "8", "--runs", "12"});
  EXPECT_EQ(r.status, 0) << r.text;
  EXPECT_THAT(r.text, HasSubstr("the runs are used up"));
  Ran again = Run({"sim", "mixed-seed8-small.json"});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.text, HasSubstr("FAILED    p joins"));
}

}  // namespace
}  // namespace orchard::sim
