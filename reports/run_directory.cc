#include "reports/run_directory.h"

#include <sys/stat.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "node/base/status_macros.h"
#include "reports/schema.h"

namespace orchard::reports {
namespace {

using Json = nlohmann::json;

// Far above what a writer makes (docs/RUN-DIRECTORY.md); below what would hurt the reader.
constexpr size_t kFileBytesMax = 64 << 20;
constexpr int kDepthMax = 32;
constexpr size_t kCasesMax = 10'000, kCasesInFullMax = 100;
// Up to so many hosts the page gets them one by one (hover, lives, ring); above, the SVG and sums must do.
constexpr size_t kHostsInPageMax = 1000;
constexpr size_t kEdgesInPageHostsMax = 96;
constexpr size_t kPairsInPageMax = 200;

absl::StatusOr<Json> Parse(const std::string& file) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(file, kFileBytesMax));
  bool too_deep = false;
  Json json;
  try {
    json = Json::parse(text, [&](int depth, Json::parse_event_t, Json&) {
      too_deep |= depth > kDepthMax;
      return depth <= kDepthMax;
    });
  } catch (const Json::exception& e) {
    std::string what = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 5: …"
    size_t start = what.find("] ");
    return absl::InvalidArgumentError(absl::StrCat(
        file, ": not JSON, or cut off: ", start == std::string::npos ? what : what.substr(start + 2)));
  }
  if (too_deep) return absl::InvalidArgumentError(absl::StrCat(file, ": nested deeper than ", kDepthMax));
  return json;
}

std::string Found(const Json& v) {
  std::string s = v.dump(-1, ' ', false, Json::error_handler_t::replace);
  return s.size() > 60 ? s.substr(0, 57) + "..." : s;
}

bool Fits(const Json& v, char type) {
  switch (type) {
    case 's':
      return v.is_string();
    case 'n':
      return v.is_number();
    case 'b':
      return v.is_boolean();
    case 'o':
      return v.is_object();
    case 'a':
      return v.is_array();
    default:
      return v.is_null();  // `?`
  }
}

const char* TypeName(char type) {
  switch (type) {
    case 's':
      return "a text";
    case 'n':
      return "a number";
    case 'b':
      return "true or false";
    case 'o':
      return "an object";
    default:
      return "an array";
  }
}

// Follows `path` from `v`; `at` is where we are, for the message. What is missing above the last step is
// another rule's matter.
absl::Status CheckRule(const Json& v, std::string_view path, const char* type, const std::string& at) {
  bool required = *type == '*';
  const char* letter = type + (required ? 1 : 0);
  if (path.empty()) {
    for (const char* l = letter; *l != 0; ++l) {
      if (Fits(v, *l)) return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat(at, ": found ", Found(v), ", expected ", TypeName(*letter)));
  }
  if (path[0] == '[' || path[0] == '{') {
    bool array = path[0] == '[';
    if (array ? !v.is_array() : !v.is_object()) return absl::OkStatus();
    size_t i = 0;
    for (auto it = v.begin(); it != v.end(); ++it, ++i) {
      RETURN_IF_ERROR(CheckRule(*it, path.substr(2), type,
                                array ? absl::StrCat(at, "[", i, "]") : absl::StrCat(at, ".", it.key())));
    }
    return absl::OkStatus();
  }
  if (path[0] == '.') path.remove_prefix(1);
  if (!v.is_object()) return absl::OkStatus();
  size_t end = path.find_first_of(".[{");
  std::string key(path.substr(0, end));
  std::string_view rest = end == std::string_view::npos ? std::string_view() : path.substr(end);
  std::string where = at.empty() ? key : absl::StrCat(at, ".", key);
  auto it = v.find(key);
  if (it == v.end()) {
    if (required && rest.empty())
      return absl::InvalidArgumentError(absl::StrCat(where, ": missing, expected ", TypeName(*letter)));
    return absl::OkStatus();
  }
  return CheckRule(*it, rest, type, where);
}

absl::Status Check(const std::string& file, const Json& json, const std::string& schema,
                   std::initializer_list<absl::Span<const Rule>> tables) {
  if (!json.is_object())
    return absl::InvalidArgumentError(absl::StrCat(file, ": found ", Found(json), ", expected an object"));
  auto it = json.find("schema");
  if (it == json.end() || *it != schema) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": schema: ", it == json.end() ? "missing" : "found " + Found(*it),
                     ", expected \"", schema, "\""));
  }
  for (absl::Span<const Rule> table : tables) {
    for (const Rule& rule : table) {
      if (absl::Status s = CheckRule(json, rule.path, rule.type, ""); !s.ok()) {
        return absl::InvalidArgumentError(absl::StrCat(file, ": ", s.message()));
      }
    }
  }
  return absl::OkStatus();
}

std::string Text(const Json& o, const char* key) {
  auto it = o.find(key);
  return it != o.end() && it->is_string() ? it->get<std::string>() : std::string();
}
double Number(const Json& o, const char* key, double otherwise = 0) {
  auto it = o.find(key);
  return it != o.end() && it->is_number() ? it->get<double>() : otherwise;
}
bool Bool(const Json& o, const char* key, bool otherwise = false) {
  auto it = o.find(key);
  return it != o.end() && it->is_boolean() ? it->get<bool>() : otherwise;
}
const Json& Array(const Json& o, const char* key) {
  static const Json& empty = *new Json(Json::array());
  auto it = o.find(key);
  return it != o.end() && it->is_array() ? *it : empty;
}

BoxWords ToBox(const Json& o) {
  return {.preset = Text(o, "preset"),
          .mapping = Text(o, "mapping"),
          .filtering = Text(o, "filtering"),
          .ports = Text(o, "ports"),
          .idle_ms = Number(o, "idle_ms"),
          .hairpin = Bool(o, "hairpin")};
}

absl::StatusOr<Topology> ToTopology(const std::string& file, const Json& j) {
  Topology t;
  for (const Json& h : Array(j, "hosts")) {
    Host host{.id = Text(h, "id"),
              .region = Text(h, "region"),
              .nat = Text(h, "nat"),
              .link = Text(h, "link"),
              .lan = Text(h, "lan"),
              .runs = Text(h, "runs"),
              .up = Bool(h, "up", true),
              .bootstrap = Bool(h, "bootstrap")};
    if (host.nat.empty()) host.nat = "open";
    if (host.region.empty()) host.region = "world";
    for (const Json& b : Array(h, "boxes")) host.boxes.push_back(b.get<std::string>());
    t.hosts.push_back(std::move(host));
  }
  auto index = [&](double v) { return v >= 0 && v < double(t.hosts.size()); };
  for (const Json& e : Array(j, "edges")) {
    double a = Number(e, "a", -1), b = Number(e, "b", -1), relay = Number(e, "relay", -1);
    if (!index(a) || !index(b)) {
      return absl::InvalidArgumentError(absl::StrCat(file, ": edges[", t.edges.size(), "]: found hosts ", a,
                                                     " and ", b, ", expected indices below ",
                                                     t.hosts.size()));
    }
    if (index(relay)) t.hosts[size_t(relay)].relay = true;
    t.edges.push_back({.a = uint32_t(a),
                       .b = uint32_t(b),
                       .kind = Text(e, "kind"),
                       .count = Number(e, "count"),
                       .p50_ms = Number(e, "p50_ms", -1),
                       .relay = index(relay) ? int64_t(relay) : -1,
                       .claimed = e.contains("claim") && e["claim"].is_number()});
  }
  for (const Json& n : Array(j, "nats")) {
    NatLabel label{.label = Text(n, "label")};
    for (const Json& b : Array(n, "chain")) label.chain.push_back(ToBox(b));
    t.nats.push_back(std::move(label));
  }
  for (const Json& b : Array(j, "boxes")) {
    t.boxes.push_back({.name = Text(b, "name"),
                       .label = Text(b, "label"),
                       .inside = Text(b, "inside"),
                       .members = int64_t(Number(b, "members")),
                       .words = ToBox(b)});
  }
  for (const Json& l : Array(j, "links")) {
    t.links.push_back({.name = Text(l, "name"),
                       .down_bps = Number(l, "down_bps"),
                       .up_bps = Number(l, "up_bps"),
                       .delay_ms = Number(l, "delay_ms")});
  }
  for (const Json& l : Array(j, "lans")) {
    t.lans.push_back({.id = Text(l, "id"),
                      .region = Text(l, "region"),
                      .router = Text(l, "router"),
                      .rate_bps = Number(l, "rate_bps"),
                      .delay_ms = Number(l, "delay_ms")});
  }
  for (const Json& f : Array(j, "flows")) {
    t.flows.push_back({.a_region = Text(f["a"], "region"),
                       .a_nat = Text(f["a"], "nat"),
                       .b_region = Text(f["b"], "region"),
                       .b_nat = Text(f["b"], "nat"),
                       .kind = Text(f, "kind"),
                       .count = Number(f, "count"),
                       .ok = Number(f, "ok", -1),
                       .p50_ms = Number(f, "p50_ms", -1)});
  }
  for (const Json& p : Array(j, "paths"))
    t.paths.push_back({.a = Text(p, "a"), .b = Text(p, "b"), .delay_ms = Number(p, "delay_ms")});
  for (const Json& w : Array(j, "worst"))
    t.worst.push_back({.host = Text(w, "host"), .says = Text(w, "says")});
  return t;
}

std::string Dump(const Json& j) { return j.dump(-1, ' ', false, Json::error_handler_t::replace); }

// What the page cannot draw at this size goes; holders of records become names, so that the hosts may go too.
void Slim(Json& j) {
  const Json& hosts = j["hosts"];
  size_t n = hosts.size();
  if (auto records = j.find("records"); records != j.end() && records->is_array()) {
    for (Json& r : *records) {
      Json names = Json::array();
      for (const Json& h : Array(r, "holders")) {
        double i = h.get<double>();
        if (i >= 0 && i < double(n) && names.size() < 64)
          names.push_back({Text(hosts[size_t(i)], "id"), Text(hosts[size_t(i)], "ring")});
      }
      r["holders"] = std::move(names);
    }
  }
  // Pairs and callers by name, for the same reason.
  auto named = [&](Json& o, const char* key, const char* nat) {
    double i = Number(o, key, -1);
    bool known = i >= 0 && i < double(n);
    if (nat != nullptr) o[nat] = known ? Text(hosts[size_t(i)], "nat") : "";
    o[key] = known ? Text(hosts[size_t(i)], "id") : "?";
  };
  if (auto pairs = j.find("connections"); pairs != j.end() && pairs->is_array()) {
    j["connections_all"] = pairs->size();
    Json& kept = j["connections"];
    if (kept.size() > kPairsInPageMax) kept.erase(kept.begin() + kPairsInPageMax, kept.end());
    for (Json& c : kept) {
      named(c, "a", "a_nat"), named(c, "b", "b_nat");
      if (auto w = c.find("waited"); w != c.end() && w->is_object()) named(*w, "by", nullptr);
    }
  }
  if (auto reach = j.find("reach"); reach != j.end() && reach->is_array()) {
    for (Json& e : *reach) {
      for (Json& row : e["rows"]) named(row, "host", nullptr);
    }
  }
  Json by_nat = Json::object(), by_region = Json::object();
  size_t up = 0, bootstraps = 0;
  auto count = [](Json& sums, std::string name) { sums[name] = sums.value(name, 0) + 1; };
  for (const Json& h : hosts) {
    up += Bool(h, "up", true);
    bootstraps += Bool(h, "bootstrap");
    std::string nat = Text(h, "nat"), region = Text(h, "region");
    count(by_nat, nat.empty() ? "open" : nat);
    count(by_region, region.empty() ? "world" : region);
  }
  j["sums"] = {{"hosts", n}, {"up", up}, {"bootstraps", bootstraps}, {"nat", by_nat}, {"region", by_region}};
  if (n > kEdgesInPageHostsMax) j.erase("edges");
  if (n > kHostsInPageMax) j.erase("hosts");
  for (const char* key : {"boxes", "lans", "flows"}) {
    if (auto it = j.find(key); it != j.end() && it->is_array() && it->size() > 200)
      it->erase(it->begin() + 200, it->end());
  }
}

bool Exists(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0;
}

// Keys that the format does not name stay outside the page, and of hundreds of cases what no table shows.
void SlimResult(Json& result, bool one_of_many) {
  Json kept = Json::object();
  for (auto it = result.begin(); it != result.end(); ++it) {
    bool known = it.key() == "schema";
    for (const Rule& rule : kResultRules) {
      std::string_view path = rule.path;
      known |= path.substr(0, path.find_first_of(".[{")) == it.key();
    }
    if (one_of_many) known &= it.key() != "metrics" && it.key() != "assumed" && it.key() != "moments";
    if (known) kept[it.key()] = std::move(*it);
  }
  if (auto cases = kept.find("cases"); cases != kept.end() && cases->is_array()) {
    for (Json& c : *cases) c.erase("metrics");  // Each part has its own.
  }
  result = std::move(kept);
}

absl::StatusOr<Json> ReadResult(const std::string& dir, bool one_of_many) {
  std::string file = absl::StrCat(dir, "/result.json");
  if (!Exists(dir)) return absl::NotFoundError(absl::StrCat(dir, ": no such directory"));
  if (!Exists(file))
    return absl::NotFoundError(
        absl::StrCat(file, ": no such file; is this the directory of a run that ended?"));
  ASSIGN_OR_RETURN(Json result, Parse(file));
  RETURN_IF_ERROR(Check(file, result, "orchard.result/1", {kResultRules, kClaimRules}));
  SlimResult(result, one_of_many);
  return result;
}

absl::StatusOr<Part> ReadPart(const std::string& dir, const std::string& label, const Json& result) {
  Part part{.dir = dir, .label = label, .passed = Bool(result, "passed"), .result_json = Dump(result)};
  if (std::string file = absl::StrCat(dir, "/topology.json"); Exists(file)) {
    ASSIGN_OR_RETURN(Json json, Parse(file));
    RETURN_IF_ERROR(Check(file, json, "orchard.topology/1", {kTopologyRules}));
    ASSIGN_OR_RETURN(part.topology, ToTopology(file, json));
    Slim(json);
    part.topology_json = Dump(json);
  }
  if (std::string file = absl::StrCat(dir, "/series.json"); Exists(file)) {
    ASSIGN_OR_RETURN(Json json, Parse(file));
    RETURN_IF_ERROR(Check(file, json, "orchard.series/1", {kSeriesRules}));
    part.series_json = Dump(json);
  }
  if (std::string file = absl::StrCat(dir, "/cages.json"); Exists(file)) {
    ASSIGN_OR_RETURN(Json json, Parse(file));
    RETURN_IF_ERROR(Check(file, json, "orchard.cages/1", {kCageRules}));
    part.cages_json = Dump(json);
  }
  return part;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& file, size_t bytes_max) {
  FILE* f = std::fopen(file.c_str(), "rb");
  if (f == nullptr) return absl::NotFoundError(absl::StrCat(file, ": cannot be opened"));
  std::string text;
  char buffer[1 << 16];
  size_t n;
  while ((n = std::fread(buffer, 1, sizeof buffer, f)) > 0 && text.size() <= bytes_max)
    text.append(buffer, n);
  bool bad = std::ferror(f) != 0;
  std::fclose(f);
  if (bad) return absl::DataLossError(absl::StrCat(file, ": cannot be read"));
  if (text.size() > bytes_max)
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": found more than ", bytes_max >> 20, " MiB, expected less"));
  return text;
}

absl::Status WriteFile(const std::string& file, const std::string& text) {
  FILE* f = std::fopen(file.c_str(), "wb");
  if (f == nullptr) return absl::PermissionDeniedError(absl::StrCat(file, ": cannot be written"));
  bool fine = std::fwrite(text.data(), 1, text.size(), f) == text.size();
  fine &= std::fclose(f) == 0;
  return fine ? absl::OkStatus()
              : absl::ResourceExhaustedError(
                    absl::StrCat(file, ": could not be written whole; is the disk full?"));
}

std::string CaseFolder(const std::string& name) {
  std::string folder = name;
  for (char& c : folder) {
    bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                absl::StrContains(".-+|=", c);
    if (!fine) c = '_';
  }
  return folder.empty() || folder[0] == '.' ? "_" + folder : folder;
}

absl::StatusOr<Topology> ReadTopology(const std::string& file) {
  ASSIGN_OR_RETURN(Json json, Parse(file));
  RETURN_IF_ERROR(Check(file, json, "orchard.topology/1", {kTopologyRules}));
  return ToTopology(file, json);
}

absl::StatusOr<Run> ReadRun(const std::string& dir) {
  ASSIGN_OR_RETURN(Json result, ReadResult(dir, false));
  Run run{.dir = dir,
          .name = Text(result, "name"),
          .passed = Bool(result, "passed"),
          .result_json = Dump(result)};
  if (run.name.empty()) run.name = Text(result, "scenario");
  for (const Json& c : Array(result, "claims")) {
    run.claims.push_back({.case_name = Text(c, "case"),
                          .says = Text(c, "says"),
                          .verdict = Text(c, "verdict"),
                          .expected = Text(c, "expected"),
                          .observed = Text(c, "observed")});
  }
  const Json& cases = Array(result, "cases");
  if (cases.size() > kCasesMax)
    return absl::InvalidArgumentError(
        absl::StrCat(dir, "/result.json: cases: found ", cases.size(), ", expected at most ", kCasesMax));
  if (cases.empty()) {
    ASSIGN_OR_RETURN(Part part, ReadPart(dir, run.name, result));
    run.parts.push_back(std::move(part));
  }
  for (const Json& c : cases) {
    // What the file says is followed only below cases/: a run directory may come from anywhere.
    std::string said = Text(c, "dir"), leaf = absl::StartsWith(said, "cases/") ? said.substr(6) : "";
    bool safe = !leaf.empty() && leaf[0] != '.' && !absl::StrContains(leaf, '/');
    std::string folder = absl::StrCat(dir, "/cases/", safe ? leaf : CaseFolder(Text(c, "name")));
    ASSIGN_OR_RETURN(Json own, ReadResult(folder, cases.size() > kCasesInFullMax));
    ASSIGN_OR_RETURN(Part part, ReadPart(folder, Text(c, "name"), own));
    run.parts.push_back(std::move(part));
  }
  return run;
}

}  // namespace orchard::reports
