// The sites of a configuration.

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include <nlohmann/json.hpp>
#include "node/base/json_depth.h"
#include "node/base/nearest_word.h"
#include "node/cage/files.h"
#include "node/cage/site_id.h"
#include "node/sidecar/config_parts.h"
#include "node/sidecar/params.h"

namespace orchard::sidecar {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kBalances = "round-robin least-connected weighted two-choices";
constexpr std::string_view kGuards = "off flag block";
constexpr std::string_view kPresets = "default development production";

constexpr ConfigKey kSiteKeys[] = {
    {"aliases", KeyType::kTextList, "other host names of the site"},
    {"attempts", KeyType::kUint, "respawns of a slot in a row before it is given up, 0 to 100"},
    {"backoff", KeyType::kDuration, "wait before the second respawn in a row; doubled for each further one"},
    {"backoff_max", KeyType::kDuration, "the longest such wait"},
    {"balance", KeyType::kChoice, "which cage gets a request", kBalances},
    {"check", KeyType::kText, "path that a new cage must answer before it gets requests, and every cage now and then"},
    {"check_every", KeyType::kDuration, "how often a healthy cage is checked"},
    {"concurrent", KeyType::kUint, "requests that one cage has at once, 1 to 10000"},
    {"drain", KeyType::kDuration, "how long the requests of a cage that is to go are waited for"},
    {"faithful", KeyType::kBool, "wait before the first respawn too, as the original does"},
    {"files", KeyType::kFiles, "what its guests may read as \"/\": a directory, which is read at deployment, or texts by path: {\"index.html\": \"…\"}"},
    {"guard", KeyType::kChoice, "what becomes of requests that are an attack, a flood or an anomaly: flag serves and tells of them, block refuses them (default: cage.guard)", kGuards},
    {"guard_rate", KeyType::kUint, "requests a second that a client may make, 0 to 1000000; 0 is as many as it likes (default 100)"},
    {"memory_mb", KeyType::kUint, "MiB of linear memory of a cage, 1 to 4096"},
    {"module", KeyType::kText, "a file of WebAssembly, or one that ships with Orchard: \"example:hello.wasm\""},
    {"patience", KeyType::kDuration, "how long a request waits when no cage can take it; 0ms does not"},
    {"preset", KeyType::kChoice, "limits to begin from: 128 MiB, 1 s, 100 at once; development 256 MiB, 5 s, 50; production 64 MiB, 500 ms, 200", kPresets},
    {"queue", KeyType::kUint, "requests that may wait so, 0 to 100000"},
    {"replicas", KeyType::kUint, "cages of the site, 1 to 64"},
    {"retry", KeyType::kUint, "how often a request whose cage died is given to another, 0 to 10"},
    {"steady", KeyType::kDuration, "how long a cage must have been healthy for its slot's next respawn to be at once"},
    {"supervise", KeyType::kText, "\"at-once\", or how often the supervisor looks, such as \"5s\""},
    {"timeout", KeyType::kDuration, "how long one request may compute"},
    {"weights", KeyType::kUintList, "weights of the cages, for balance weighted; missing ones are 1"},
};

// One value of a site on its way.
struct SiteMerge {
  const std::string& path;
  const Json& value;
  std::vector<ConfigError>& errors;

  void Fail(std::string expected, std::string hint = "") const { errors.push_back({path, Shown(value), std::move(expected), std::move(hint)}); }
  template <class Number>
  void Range(Number& out, uint64_t least, uint64_t most) const {
    if (!value.is_number_unsigned() || value.get<uint64_t>() < least || value.get<uint64_t>() > most) return Fail(absl::StrCat("a whole number from ", least, " to ", most));
    out = Number(value.get<uint64_t>());
  }
  void Time(Duration& out, int64_t least_ms) const {
    const auto* s = value.get_ptr<const std::string*>();
    const auto ms = s == nullptr ? std::nullopt : ParseMillis(*s);
    if (!ms || *ms < least_ms) return Fail(absl::StrCat("a duration of ", least_ms, " ms or more, such as \"5s\""));
    out = std::chrono::milliseconds(*ms);
  }
  void Text(std::string& out) const {
    const auto* s = value.get_ptr<const std::string*>();
    if (s == nullptr || s->empty() || s->size() > 4096 || s->find('\0') != s->npos) return Fail("a text");
    out = *s;
  }
  std::optional<size_t> Choice(std::string_view choices) const {
    const std::vector<std::string_view> words = Split(choices, ' ');
    const auto* s = value.get_ptr<const std::string*>();
    const auto it = s == nullptr ? words.end() : std::find(words.begin(), words.end(), *s);
    if (it != words.end()) return size_t(it - words.begin());
    const std::string_view near = s == nullptr ? "" : NearestWord(*s, words);
    Fail(absl::StrCat("one of ", absl::StrJoin(words, ", ", [](std::string* o, std::string_view w) { o->append(w); })), near.empty() ? "" : absl::StrCat("did you mean \"", absl::string_view(near.data(), near.size()), "\"?"));
    return std::nullopt;
  }
};

void Apply(std::string_view key, const SiteMerge& m, cage::SiteConfig& site) {
  if (key == "aliases") {
    if (!m.value.is_array() || m.value.size() > 64) return m.Fail("a list of at most 64 host names");
    for (const Json& v : m.value) {
      const auto* s = v.get_ptr<const std::string*>();
      if (s == nullptr || !cage::IsSiteName(*s)) return m.Fail("a list of host names in lower case");
      site.aliases.push_back(*s);
    }
    return;
  }
  if (key == "attempts") return m.Range(site.attempts, 0, 100);
  if (key == "backoff") return m.Time(site.backoff, 1);
  if (key == "backoff_max") return m.Time(site.backoff_max, 1);
  if (key == "balance") {
    if (auto i = m.Choice(kBalances)) site.balance = cage::Balance(*i);
    return;
  }
  if (key == "check") {
    std::string path;
    m.Text(path);
    if (path.empty()) return;
    if (path[0] != '/' || path.find_first_of(" \t\r\n") != path.npos) return m.Fail("a path such as \"/\"");
    site.check = path;
    return;
  }
  if (key == "check_every") return m.Time(site.check_every, 100);
  if (key == "concurrent") return m.Range(site.concurrent, 1, 10'000);
  if (key == "drain") return m.Time(site.drain, 0);
  if (key == "faithful") {
    if (!m.value.is_boolean()) return m.Fail("true or false");
    site.faithful = m.value.get<bool>();
    return;
  }
  if (key == "files") {
    if (!m.value.is_object()) return m.Text(site.directory);
    cage::FileMap files;
    for (const auto& [path, text] : m.value.items()) {
      if (!text.is_string()) return m.Fail("a directory, or texts by path, such as {\"index.html\": \"Hello\"}");
      files[path] = text.get<std::string>();
    }
    if (const absl::Status s = cage::CheckFiles(files); !s.ok()) return m.Fail("files that a site may have", std::string(s.message()));
    site.files = cage::EncodeFiles(files);
    return;
  }
  if (key == "guard") {
    if (auto i = m.Choice(kGuards)) site.guard = guard::Mode(*i);
    return;
  }
  if (key == "guard_rate") return m.Range(site.guard_rate, 0, guard::Flood::kRateMax);
  if (key == "memory_mb") {
    uint64_t mb = site.limits.memory_bytes >> 20;
    m.Range(mb, 1, 4096);
    site.limits.memory_bytes = mb << 20;
    return;
  }
  if (key == "module") return m.Text(site.module);
  if (key == "patience") return m.Time(site.patience, 0);
  if (key == "queue") return m.Range(site.waiting, 0, 100'000);
  if (key == "replicas") return m.Range(site.replicas, 1, cage::kReplicasMax);
  if (key == "retry") return m.Range(site.retries, 0, 10);
  if (key == "steady") return m.Time(site.steady, 0);
  if (key == "supervise") {
    if (m.value == "at-once") return void(site.supervise = Duration{0});
    return m.Time(site.supervise, 1);
  }
  if (key == "timeout") {
    Duration timeout{};
    m.Time(timeout, 1);
    if (timeout > Duration{0}) site.limits.timeout_ms = uint64_t(ToMillis(timeout));
    return;
  }
  if (key == "weights") {
    if (!m.value.is_array() || m.value.size() > cage::kReplicasMax) return m.Fail("a list of at most 64 whole numbers");
    for (const Json& v : m.value) {
      if (!v.is_number_unsigned() || v.get<uint64_t>() < 1 || v.get<uint64_t>() > 1000) return m.Fail("whole numbers from 1 to 1000");
      site.weights.push_back(v.get<uint32_t>());
    }
  }
}

void ApplyPreset(size_t preset, cage::SiteConfig& site) {
  if (preset == 1) site.limits = {256ull << 20, 5000}, site.concurrent = 50;
  if (preset == 2) site.limits = {64ull << 20, 500}, site.concurrent = 200;
}

}  // namespace

absl::Span<const ConfigKey> SiteKeys() { return kSiteKeys; }

std::optional<cage::SiteConfig> SiteOf(const Params& params, std::vector<ConfigError>& errors) {
  Json site = Json::object();
  if (auto settings = params.text("settings")) {
    if (!JsonDeeperThan(*settings, kJsonDepthMax)) site = Json::parse(*settings, nullptr, /*allow_exceptions=*/false);
    if (!site.is_object()) return errors.push_back({"settings", "no JSON object", "keys of a site, such as {\"balance\": \"two-choices\"}", ""}), std::nullopt;
  }
  if (auto aliases = params.text("aliases")) {
    site["aliases"] = Json::array();
    for (std::string_view name : Split(*aliases, ',')) site["aliases"].push_back(std::string(name));
  }
  for (std::string_view text : {"module", "files", "timeout", "balance", "check", "preset", "guard"}) {
    if (auto v = params.text(text)) site[std::string(text)] = *v;
  }
  for (std::string_view number : {"replicas", "memory_mb", "concurrent", "retry", "guard_rate"}) {
    if (auto v = params.number(number)) site[std::string(number)] = *v;
  }
  std::vector<cage::SiteConfig> sites;
  MergeSites(Json{{*params.text("site"), site}}, sites, errors);
  if (!errors.empty()) return std::nullopt;
  return sites.front();
}

void MergeSites(const Json& value, std::vector<cage::SiteConfig>& sites, std::vector<ConfigError>& errors) {
  if (!value.is_object()) {
    return errors.push_back({"cage.sites", Shown(value), "an object of sites by host name, such as {\"shop\": {\"module\": \"example:hello.wasm\"}}", ""});
  }
  sites.clear();
  for (const auto& [name, keys] : value.items()) {
    const std::string at = absl::StrCat("cage.sites.", name);
    cage::SiteConfig site;
    site.name = name;
    if (!cage::IsSiteName(name)) errors.push_back({at, Shown(name), "a host name in lower case, such as \"shop.example\"", "requests say it in Host"});
    if (!keys.is_object()) {
      errors.push_back({at, Shown(keys), "an object such as {\"module\": \"example:hello.wasm\", \"replicas\": 3}", ""});
      continue;
    }
    if (const auto preset = keys.find("preset"); preset != keys.end()) {
      const std::string path = at + ".preset";
      if (auto i = SiteMerge{path, *preset, errors}.Choice(kPresets)) ApplyPreset(*i, site);
    }
    for (const auto& [key, v] : keys.items()) {
      const std::string path = absl::StrCat(at, ".", key);
      const auto known = std::find_if(std::begin(kSiteKeys), std::end(kSiteKeys), [&, &k = key](const ConfigKey& x) { return x.path == k; });
      if (known == std::end(kSiteKeys)) {
        std::vector<std::string_view> words;
        for (const ConfigKey& x : kSiteKeys) words.push_back(x.path);
        const std::string_view near = NearestWord(key, words);
        errors.push_back({path, absl::StrCat("unknown key ", Shown(key)), absl::StrCat("a site has ", absl::StrJoin(words, ", ", [](std::string* o, std::string_view w) { o->append(w); })),
                          near.empty() ? "" : absl::StrCat("did you mean \"", absl::string_view(near.data(), near.size()), "\"?")});
        continue;
      }
      Apply(key, {path, v, errors}, site);
    }
    if (site.module.empty() && !keys.contains("module")) errors.push_back({at, "no module", "\"module\": a file of WebAssembly, or \"example:hello.wasm\"", ""});
    sites.push_back(std::move(site));
  }
  // Names and aliases say which site is meant: once.
  std::vector<std::pair<std::string, std::string>> names;
  for (const cage::SiteConfig& s : sites) {
    names.emplace_back(s.name, s.name);
    for (const std::string& a : s.aliases) names.emplace_back(a, s.name);
  }
  std::sort(names.begin(), names.end());
  for (size_t i = 1; i < names.size(); ++i) {
    if (names[i].first == names[i - 1].first) {
      errors.push_back({absl::StrCat("cage.sites.", names[i].second), absl::StrCat("the name \"", names[i].first, "\""), "names and aliases that are each of one site", absl::StrCat("\"", names[i - 1].second, "\" has it too")});
    }
  }
}

}  // namespace orchard::sidecar
