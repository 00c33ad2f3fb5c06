#include "sim/language/loader.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "node/base/digest.h"
#include "sim/language/loader_context.h"
#include "sim/language/presets.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;
constexpr size_t kIncludesMax = 16;
constexpr uint64_t kSeedMax = uint64_t{1} << 53;  // What every JSON reader keeps exactly.

// Nothing if it cannot be read; never more than the parser takes.
std::optional<std::string> ReadFile(const fs::path& path) {
  std::error_code error;
  // A folder cannot be read, a pipe or a terminal may never end. (`orchard sim /dev/stdin` is a pipe that does.)
  const fs::file_type type = fs::status(path, error).type();
  if (type == fs::file_type::directory || (type == fs::file_type::fifo && path != "/dev/stdin") || type == fs::file_type::socket) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(kJsonBytesMax + 1, '\0');
  in.read(text.data(), std::streamsize(text.size()));
  text.resize(size_t(in.gcount()));
  return text;
}

std::optional<Json> Parse(Sources& sources, std::string name, std::string text, std::vector<LoadError>& errors) {
  const uint32_t file = uint32_t(sources.files.size());
  sources.files.push_back({std::move(name), std::move(text)});
  JsonError error;
  std::optional<Json> root = ParseJson(sources.files.back().text, file, error);
  if (!root) {
    errors.push_back({error.place, "", Cat("found ", error.found), Cat("expected ", error.expected), "", 1});
  } else if (!root->is_object()) {
    errors.push_back({root->place, "", Cat("found ", root->Describe()), "expected an object: { … }", "", 1});
    root.reset();
  }
  return root;
}

// Lays `under` below `over`: members that `over` lacks are added, lists of named members are joined, included ones first.
void LayUnder(Json& over, const Json& under, int depth) {
  for (size_t i = 0; i < under.keys.size(); ++i) {
    const std::string& key = under.keys[i].text;
    const Json& from = under.items[i];
    Json* own = over.Find(key);
    if (own == nullptr) {
      over.At(key, under.keys[i].place) = from;
    } else if (own->is_object() && from.is_object() && (depth == 0 || key == "links" || key == "nats" || key == "mixes")) {
      LayUnder(*own, from, depth + 1);
    } else if (own->is_array() && from.is_array() && depth == 0) {
      std::vector<Json> joined;
      for (const Json& member : from.items) {
        const Json* id = member.Find("id");
        const bool replaced = id != nullptr && std::any_of(own->items.begin(), own->items.end(), [&](const Json& o) {
          const Json* other = o.Find("id");
          return other != nullptr && other->text == id->text;
        });
        if (!replaced) joined.push_back(member);
      }
      joined.insert(joined.end(), own->items.begin(), own->items.end());
      own->items = std::move(joined);
    }
  }
}

void Include(Suite& suite, const fs::path& folder, bool files_allowed, std::vector<LoadError>& errors) {
  const Json* include = suite.root.Find("include");
  if (include == nullptr) return;
  const Json list = *include;
  auto fail = [&](const Json& at, std::string found, std::string expected) {
    errors.push_back({at.place, "include", std::move(found), std::move(expected), "", CaretOf(at)});
  };
  if (!list.is_array() || list.items.size() > kIncludesMax) return fail(list, Cat("found ", list.Describe()), Cat("expected a list of at most ", kIncludesMax, " files"));
  for (const Json& item : list.items) {
    if (!item.is_text()) {
      fail(item, Cat("found ", item.Describe()), "expected a file's name");
      continue;
    }
    if (!files_allowed) {
      fail(item, "found an include in a text without a place", "expected none: there is no folder to look in");
      continue;
    }
    const fs::path path = (folder / item.text).lexically_normal();
    std::optional<std::string> text = ReadFile(path);
    if (!text) {
      fail(item, Cat("cannot read ", Quoted(path.string())), "expected a file beside this one");
      continue;
    }
    std::optional<Json> place = Parse(suite.sources, path.string(), std::move(*text), errors);
    if (!place) continue;
    for (size_t i = 0; i < place->keys.size(); ++i) {
      const std::string& key = place->keys[i].text;
      if (key == "world" || key == "hosts" || key == "lans") continue;
      errors.push_back({place->keys[i].place, key, Cat("found ", Quoted(key), " in an included file"), "an included file is a place: it has world, hosts and lans only", "", uint32_t(Width(key)) + 2});
    }
    LayUnder(suite.root, *place, 0);
  }
}

// --set path=value.
void ReadOverrides(Suite& suite, const std::vector<std::string>& set, std::vector<LoadError>& errors) {
  for (const std::string& text : set) {
    const uint32_t file = uint32_t(suite.sources.files.size());
    suite.sources.files.push_back({"--set", text});
    const size_t sign = text.find('=');
    if (sign == std::string::npos || sign == 0) {
      errors.push_back({{file, 1, 1}, "--set", Cat("found ", Quoted(text)), "expected path=value, such as world.latency=400ms", "", 1});
      continue;
    }
    Change change{text.substr(0, sign), {file, 1, 1}, {}};
    JsonError ignored;
    std::optional<Json> value = ParseJson(std::string_view(text).substr(sign + 1), file, ignored);
    change.value = value ? *value : Json::Text(text.substr(sign + 1));
    change.value.place = {file, 1, uint32_t(sign + 2)};
    suite.overrides.push_back(std::move(change));
  }
}

void ReplaceCell(Json& at, const std::string& cell) {
  if (at.is_text() && at.text == "$cell") at.text = cell;
  for (Json& item : at.items) ReplaceCell(item, cell);
}

bool MakeChanges(Json& root, const std::vector<Change>& changes, const std::string& path, std::vector<LoadError>& errors) {
  bool ok = true;
  for (const Change& change : changes) ok = ApplyChange(root, change, path, errors) && ok;
  return ok;
}

std::optional<Suite> Load(std::string_view text, std::string_view name, const fs::path* folder, const LoadOptions& options,
                          std::vector<LoadError>& errors, Sources& sources) {
  Suite suite;
  std::optional<Json> root = Parse(suite.sources, std::string(name), std::string(text), errors);
  if (root) {
    suite.root = std::move(*root);
    Include(suite, folder == nullptr ? fs::path() : *folder, folder != nullptr, errors);
    ReadSuite(suite, options, errors);
    ReadOverrides(suite, options.set, errors);
    for (const CaseWords& which : suite.cases) {
      std::optional<Scenario> built = BuildCase(suite, which, errors);
      if (built) suite.seed = built->seed;
    }
    // The changes of proofs are tried where everything else is right.
    for (size_t i = 0; errors.empty() && i < suite.fails_when.size(); ++i) {
      const FailsWhen& proof = suite.fails_when[i];
      bool applies = false;
      for (const CaseWords& which : suite.cases) {
        if (applies || !CaseMatches(proof.in, which.name)) continue;
        std::optional<Scenario> built = BuildCase(suite, which, &proof, errors);
        applies = built && std::any_of(built->claims.begin(), built->claims.end(), [&](const Claim& c) { return c.says == proof.claim; });
      }
      if (!applies && errors.empty()) {
        errors.push_back({proof.place, Cat("fails_when[", Quoted(proof.says), "]"), Cat("the claim ", Quoted(proof.claim), " is of other cases"),
                          "expected \"in\" to name a case in which the claim is asked", "", 1});
      }
    }
  }
  // In file order, the scenario's own file first.
  std::stable_sort(errors.begin(), errors.end(), [](const LoadError& a, const LoadError& b) { return a.place < b.place; });
  sources = suite.sources;
  if (!errors.empty()) return std::nullopt;
  return suite;
}

// The file as one case reads it, or errors.
Json ChangedRoot(const Suite& suite, const CaseWords& which, const FailsWhen* proof, std::vector<LoadError>& errors) {
  const size_t before = errors.size();
  Json root = suite.root;
  const std::string of_case = which.row.empty() ? Cat("cases", which.name.empty() ? "" : Cat("[", Quoted(which.name), "]"), ".set") : "matrix";
  MakeChanges(root, which.set, of_case, errors);
  MakeChanges(root, suite.overrides, "--set", errors);
  if (proof != nullptr) MakeChanges(root, proof->set, Cat("fails_when[", Quoted(proof->says), "].set"), errors);
  // The same wrong path of every case is one error.
  for (size_t i = before; i < errors.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (errors[k].place == errors[i].place && errors[k].found == errors[i].found && errors[k].place.line != 0) {
        errors.erase(errors.begin() + ptrdiff_t(i--));
        break;
      }
    }
  }
  if (Json* claims = root.Find("claims"); claims != nullptr && !which.cell.empty()) ReplaceCell(*claims, which.cell);
  return root;
}

}  // namespace

Json CaseJson(const Suite& suite, const CaseWords& which) {
  std::vector<LoadError> none;  // LoadScenario has tried it.
  Json root = ChangedRoot(suite, which, nullptr, none);
  for (const char* of_the_file : {"include", "cases", "matrix", "fails_when", "sweep"}) root.Remove(of_the_file);
  return root;
}

std::optional<Scenario> BuildCase(const Suite& suite, const CaseWords& which, const FailsWhen* proof, std::vector<LoadError>& errors) {
  const size_t before = errors.size();
  const Json root = ChangedRoot(suite, which, proof, errors);

  Scenario out;
  out.case_name = which.name, out.case_says = which.says;
  out.cell = which.cell, out.row = which.row, out.column = which.column;
  for (const Region& r : Regions()) out.world.regions.emplace_back(r.name);
  out.world.latency = *LatencyPreset("world-8"), out.world.latency_name = "world-8";
  Context c{errors, out, suite, root, {}};
  Fields f(c, root, "", "scenario");
  if (!f.ok()) return std::nullopt;
  if (const Json* says = f["says"]; says != nullptr && says->is_text()) out.says = says->text;
  if (const Json* seed = f["seed"]) out.seed = c.Count(*seed, "seed", 0, kSeedMax).value_or(1);
  if (const Json* duration = f["duration"]) {
    if (std::optional<int64_t> d = c.Amount(*duration, "duration", Unit::kDuration)) {
      out.duration = Duration(*d);
      if (*d == 0) c.WrongKind(*duration, "duration", "a duration above 0");
    }
  } else {
    c.Fail(root, "duration", "missing", "expected how long to simulate, such as \"5min\"");
  }
  GatherNames(c);
  if (const Json* world = f["world"]) ReadWorld(c, *world);
  if (const Json* hosts = f["hosts"]) {
    ReadHosts(c, *hosts);
    if (hosts->is_array() && hosts->items.empty()) c.WrongKind(*hosts, "hosts", "at least one host");
  } else {
    c.Fail(root, "hosts", "missing", "expected who is there");
  }
  if (const Json* lans = f["lans"]) ReadLans(c, *lans);
  if (const Json* timeline = f["timeline"]) ReadTimeline(c, *timeline);
  if (const Json* claims = f["claims"]) ReadClaims(c, *claims);
  Digest digest;
  digest.Add(AsBytes(root.Dump()));
  out.config_digest = digest.hex();
  if (errors.size() != before) return std::nullopt;
  return out;
}

std::optional<Suite> LoadScenario(const std::string& file, const LoadOptions& options, std::vector<LoadError>& errors, Sources& sources) {
  std::optional<std::string> text = ReadFile(file);
  if (!text) {
    sources.files = {{file, ""}};
    std::error_code ignored;
    errors.push_back({{0, 0, 0}, "", fs::is_directory(file, ignored) ? "is a folder" : fs::is_fifo(file, ignored) ? "is a pipe" : "cannot be read", "expected a scenario file", "", 1});
    return std::nullopt;
  }
  const fs::path folder = fs::path(file).parent_path();
  return Load(*text, file, &folder, options, errors, sources);
}

std::optional<Suite> LoadScenarioFromText(std::string_view text, std::string_view name, const LoadOptions& options,
                                          std::vector<LoadError>& errors, Sources& sources) {
  return Load(text, name, nullptr, options, errors, sources);
}

}  // namespace orchard::sim
