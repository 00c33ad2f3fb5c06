#include "node/sidecar/config.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include <nlohmann/json.hpp>
#include "node/base/bytes.h"
#include "node/base/json_depth.h"
#include "node/base/nearest_word.h"
#include "node/cage/admin_token.h"
#include "node/sidecar/config_parts.h"
#include "node/sidecar/params.h"

namespace orchard::sidecar {
namespace {

using Json = nlohmann::json;

// Debian builds Abseil with a string_view of its own.
absl::string_view A(std::string_view s) { return {s.data(), s.size()}; }

constexpr size_t kFoundMax = 60;   // Bytes of a wrong value that a complaint repeats.

}  // namespace

std::vector<std::string_view> Split(std::string_view list, char separator) {
  std::vector<std::string_view> out;
  for (absl::string_view s : absl::StrSplit(A(list), separator, absl::SkipWhitespace())) {
    s = absl::StripAsciiWhitespace(s);
    out.emplace_back(s.data(), s.size());
  }
  return out;
}

std::string Shown(const Json& value) {
  std::string found = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return found.size() <= kFoundMax ? found : absl::StrCat(found.substr(0, kFoundMax - 3), "…");
}

std::optional<int64_t> ParseMillis(std::string_view text) {
  static constexpr std::pair<std::string_view, int64_t> kUnits[] = {{"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}};
  uint32_t n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc()) return std::nullopt;
  for (const auto& [name, factor] : kUnits) {
    if (text.substr(size_t(end - text.data())) == name) return n * factor;
  }
  return std::nullopt;
}

namespace {

constexpr size_t kNodesMax = 64;  // Bootstrap nodes; more help nobody and would all be asked at start.
constexpr size_t kTextMax = 4096;
constexpr size_t kErrorsMax = 20;  // Complaints about one text; then how many more there are.
constexpr size_t kNumberMax = 256;  // dht.concurrency: queries to that many nodes at once.

constexpr ConfigKey kKeys[] = {
    {"cage.admin_host", KeyType::kText, "IPv4 address of the operator's door: health, figures and a page that shows sites live (default 127.0.0.1)"},
    {"cage.admin_port", KeyType::kPort, "its TCP port, if there are sites; 0 has none (default 9000)"},
    {"cage.admin_token", KeyType::kText, "what it wants in Authorization: Bearer, 16 to 256 characters (default: made at first start and kept in admin.token of the data directory)"},
    {"cage.certificate", KeyType::kText, "file with the certificate of cage.https_port, in PEM (default: a self-signed one, made in the data directory)", {}, true},
    {"cage.default_site", KeyType::kText, "the site of requests whose host is none of cage.sites; without it they get 404"},
    {"cage.guard", KeyType::kChoice, "what becomes of requests that are an attack, a flood or an anomaly, to sites that do not say: flag (default; off in scenarios) serves and tells of them, block refuses them", "off flag block"},
    {"cage.host", KeyType::kText, "IPv4 address to serve sites on"},
    {"cage.http3", KeyType::kBool, "speak HTTP/3 too, on the same port of UDP as cage.https_port (default true)"},
    {"cage.http_port", KeyType::kPort, "TCP port to serve sites on, if there are any"},
    {"cage.https_port", KeyType::kPort, "TCP port to serve sites on behind TLS; 0 has none (default)"},
    {"cage.key", KeyType::kText, "file with the certificate's key, in PEM", {}, true},
    {"cage.sites", KeyType::kSites, "sites by host name"},
    {"cage.sites_dir", KeyType::kText, "directory of which each NAME.wasm is a site NAME; looked at again on SIGHUP and by site reload", {}, true},
    {"dht.any_port", KeyType::kBool, "if dht.port is taken, try the next four, then any"},
    {"dht.birthday", KeyType::kBool, "punch to NATs with random ports by trying many"},
    {"dht.bootstrap", KeyType::kBool, "be an open root: persistent and not firewalled from the start"},
    {"dht.cache", KeyType::kBool, "remember good nodes for a quick rejoin"},
    {"dht.concurrency", KeyType::kUint, "nodes that one query asks at once, 1 to 256"},
    {"dht.ephemeral", KeyType::kBool, "never enter other nodes' routing tables"},
    {"dht.firewalled", KeyType::kBool, "state whether a firewall stands before this node, instead of probing"},
    {"dht.host", KeyType::kText, "IPv4 address to bind"},
    {"dht.nodes", KeyType::kAddressList, "bootstrap nodes: \"1.2.3.4:49737\", \"name:49737\" or \"1.2.3.4@name:49737\""},
    {"dht.persistent", KeyType::kBool, "be persistent at once when the firewall probe passes"},
    {"dht.port", KeyType::kPort, "UDP port; 0 lets the system choose"},
    {"dht.punch", KeyType::kChoice, "which NATs to punch with; no-random: none that draws its ports", "any no-random never"},
    {"ipc_socket", KeyType::kText, "path of the Unix socket (default: orchard.sock in the data directory)", {}, true},
    {"log.level", KeyType::kChoice, "what is logged", "error warn info debug", true},
    {"metrics.port", KeyType::kPort, "serve Prometheus metrics on this loopback port; 0 does not", {}, true},
    {"pod.allow_private", KeyType::kBool, "let members have things fetched from this machine and its LAN too"},
    {"pod.check_permille", KeyType::kUint, "how many of a thousand chunks of members are compared with our own line's, if no hash is known"},
    {"pod.chunk_bytes", KeyType::kUint, "bytes of a chunk, 16384 to 1048576"},
    {"pod.discovery_port", KeyType::kPort, "UDP port of the beacons"},
    {"pod.enabled", KeyType::kBool, "form a pod with nearby devices, and pool their uplinks"},
    {"pod.loopback", KeyType::kBool, "find members on this machine's loopback too"},
    {"pod.profile", KeyType::kChoice, "which bytes and behaviour; all members must agree", "compat-code compat-doc hardened faithful-bugs"},
    {"pod.proxy_port", KeyType::kPort, "TCP port of the HTTP proxy on 127.0.0.1; 0 has none"},
    {"pod.scheduler", KeyType::kChoice, "who fetches which chunk", "adaptive round-robin weighted single-peer"},
    {"pod.secret", KeyType::kText, "64 hex digits that all members of a hardened pod share; who has others is no member"},
    {"pod.serve_rate", KeyType::kUint, "bytes a second that are fetched for each member; 0 is as fast as it goes"},
    {"pod.transport_port", KeyType::kPort, "TCP port on which members connect; 0 lets the system choose"},
    {"profile", KeyType::kChoice, "which logic to follow", "default js-compat hardened faithful-bugs"},
    {"relay.policy", KeyType::kChoice, "when to go through relay.through; only: no other way", "fallback always never only"},
    {"relay.serve", KeyType::kBool, "be a blind relay for others; implies dht.persistent"},
    {"relay.through", KeyType::kKey, "public key of a blind relay, for peers that cannot meet otherwise"},
    {"seed", KeyType::kText, "seed of the node's identity, 64 hex digits (default: made at first start and kept)"},
    {"swarm.max_peers", KeyType::kUint, "connections that the swarm keeps at most, 1 to 4096"},
    {"swarm.refresh", KeyType::kDuration, "how often a topic is looked up again, such as \"10min\""},
};

std::string Join(const std::vector<std::string_view>& words) {
  return absl::StrJoin(words, ", ", [](std::string* out, std::string_view w) { out->append(w); });
}

std::string ShownWord(std::string_view word) {
  std::string found = Shown(std::string(word));
  return found.back() == '"' ? found.substr(1, found.size() - 2) : found.substr(1);
}

// One value on its way into a Config, and the place to complain.
struct Merge {
  const ConfigKey& key;
  const Json& value;
  Config& config;
  std::vector<ConfigError>& errors;

  void Fail(std::string expected, std::string hint = "") const {
    errors.push_back({std::string(key.path), Shown(value), std::move(expected), std::move(hint)});
  }
  void Bool(bool& out) const {
    if (!value.is_boolean()) return Fail("true or false");
    out = value.get<bool>();
  }
  template <class Number>
  void Range(Number& out, uint64_t least, uint64_t most) const {
    if (!value.is_number_unsigned() || value.get<uint64_t>() < least || value.get<uint64_t>() > most) {
      return Fail(absl::StrCat("a whole number from ", least, " to ", most));
    }
    out = Number(value.get<uint64_t>());
  }
  // Null if it is no text, or one with a NUL in it.
  const std::string* Text() const {
    const auto* s = value.get_ptr<const std::string*>();
    return s != nullptr && s->size() <= kTextMax && s->find('\0') == s->npos ? s : nullptr;
  }
  // The position among the choices.
  std::optional<size_t> Choice() const {
    std::vector<std::string_view> words = Split(key.choices, ' ');
    const std::string* s = Text();
    auto it = s == nullptr ? words.end() : std::find(words.begin(), words.end(), *s);
    if (it != words.end()) return size_t(it - words.begin());
    std::string_view near = s == nullptr ? "" : NearestWord(*s, words);
    Fail(absl::StrCat("one of ", Join(words)), near.empty() ? "" : absl::StrCat("did you mean \"", A(near), "\"?"));
    return std::nullopt;
  }
};

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

bool IsHostName(std::string_view s) {
  // RFC 1123 §2.1; underscores are seen in the wild.
  return !s.empty() && s.size() <= 253 && std::all_of(s.begin(), s.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_';
  });
}

// The DHT is IPv4 only: "1.2.3.4:5", "name:5", "1.2.3.4@name:5" (as HyperDHT writes its suggested addresses).
std::optional<BootstrapNode> ParseNode(std::string_view text) {
  BootstrapNode node;
  size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  auto port = ParsePort(text.substr(colon + 1));
  if (!port) return std::nullopt;
  node.port = *port;
  std::string_view host = text.substr(0, colon);
  if (size_t at = host.find('@'); at != host.npos) {
    node.address = Endpoint::Parse(absl::StrCat(A(host.substr(0, at)), A(text.substr(colon))));
    node.name = std::string(host.substr(at + 1));
    return node.address && node.address->is_v4() && IsHostName(node.name) ? std::optional(node) : std::nullopt;
  }
  node.address = Endpoint::Parse(text);
  if (node.address) return node.address->is_v4() ? std::optional(node) : std::nullopt;
  // A wrong IPv4 address must not become a name to resolve.
  bool numeric = std::all_of(host.begin(), host.end(), [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '.'; });
  if (!IsHostName(host) || numeric) return std::nullopt;
  node.name = std::string(host);
  return node;
}

void MergeNodes(const Merge& m) {
  static constexpr char kExpected[] = "a list of addresses such as [\"1.2.3.4:49737\", \"name:49737\"]";
  if (!m.value.is_array() || m.value.size() > kNodesMax) return m.Fail(absl::StrCat(kExpected, ", at most ", kNodesMax));
  std::vector<BootstrapNode> nodes;
  for (size_t i = 0; i < m.value.size(); ++i) {
    const auto* s = m.value[i].get_ptr<const std::string*>();
    std::optional<BootstrapNode> node = s == nullptr ? std::nullopt : ParseNode(*s);
    if (!node) {
      std::string path = absl::StrCat(A(m.key.path), "[", i, "]");
      ConfigKey element = m.key;
      element.path = path;
      Merge{element, m.value[i], m.config, m.errors}.Fail("\"1.2.3.4:49737\", \"name:49737\" or \"1.2.3.4@name:49737\"",
                                                          s != nullptr && s->find(':') == s->npos ? "the port is missing" : "");
      continue;
    }
    nodes.push_back(*std::move(node));
  }
  m.config.dht.nodes = std::move(nodes);
}

void ApplyPod(const Merge& m) {
  Config::Pod& c = m.config.pod;
  const std::string_view p = m.key.path;
  if (p == "pod.allow_private") return m.Bool(c.allow_private);
  if (p == "pod.check_permille") return m.Range(c.check_permille, 0, 1000);
  if (p == "pod.chunk_bytes") return m.Range(c.chunk_bytes, 16 << 10, 1 << 20);
  if (p == "pod.discovery_port") return m.Range(c.discovery_port, 1, 65535);
  if (p == "pod.enabled") return m.Bool(c.enabled);
  if (p == "pod.loopback") return m.Bool(c.loopback);
  if (p == "pod.profile") {
    if (auto i = m.Choice()) c.profile = pod::Profile(*i);
    return;
  }
  if (p == "pod.proxy_port") return m.Range(c.proxy_port, 0, 65535);
  if (p == "pod.scheduler") {
    if (auto i = m.Choice()) c.scheduler = pod::Scheduler(*i);
    return;
  }
  if (p == "pod.secret") {
    const std::string* s = m.Text();
    // As an empty file or variable would say it: the pod would be open to all without a word.
    if (s != nullptr && (s->empty() || *s == std::string(64, '0'))) {
      m.errors.push_back({"pod.secret", s->empty() ? "nothing" : "zeros, which is what a pod without a secret has", "64 hex digits", "leave the key out for a pod that is open to its whole LAN"});
      return;
    }
    if (s == nullptr || s->size() != 64 || !FromHex(*s)) {
      m.errors.push_back({"pod.secret", "something else (not shown: it is a secret)", "64 hex digits", ""});
      return;
    }
    c.secret_hex = absl::AsciiStrToLower(*s);
    return;
  }
  if (p == "pod.serve_rate") return m.Range(c.serve_rate, 0, uint64_t{1} << 40);
  if (p == "pod.transport_port") return m.Range(c.transport_port, 0, 65535);
}

void ApplyCage(const Merge& m) {
  Config::Cage& c = m.config.cage;
  const std::string_view p = m.key.path;
  if (p == "cage.guard") return void(c.guard = guard::Mode(m.Choice().value_or(size_t(c.guard))));
  if (p == "cage.http_port") return m.Range(c.http_port, 0, 65535);
  if (p == "cage.http3") return m.Bool(c.http3);
  if (p == "cage.https_port") return m.Range(c.https_port, 0, 65535);
  if (p == "cage.sites") return MergeSites(m.value, c.sites, m.errors);
  if (p == "cage.admin_port") return m.Range(c.admin_port, 0, 65535);
  const std::string* s = m.Text();
  if (p == "cage.admin_token") {
    if (s == nullptr || (!s->empty() && !cage::IsToken(*s))) {
      m.errors.push_back({"cage.admin_token", "something else (not shown: it is a secret)", "16 to 256 letters, digits and any of -._~+/=", ""});
      return;
    }
    c.admin_token = *s;
    return;
  }
  if (p == "cage.sites_dir") {
    if (s == nullptr) return m.Fail("a directory");
    c.sites_dir = *s;
    return;
  }
  if (p == "cage.certificate" || p == "cage.key") {
    if (s == nullptr) return m.Fail("a file");
    (p == "cage.key" ? c.key : c.certificate) = *s;
    return;
  }
  if (p == "cage.default_site") {
    if (s == nullptr) return m.Fail("the name of a site");
    c.fallback = *s;
    return;
  }
  auto e = s == nullptr ? std::nullopt : Endpoint::Parse(*s + ":1");
  if (!e || !e->is_v4()) return m.Fail("an IPv4 address such as \"127.0.0.1\"");
  (p == "cage.admin_host" ? c.admin_host : c.host) = *s;
}

void Apply(const Merge& m) {
  Config& c = m.config;
  const std::string_view p = m.key.path;
  if (p == "dht.any_port") return m.Bool(c.dht.any_port);
  if (p == "dht.birthday") return m.Bool(c.dht.birthday);
  if (p == "dht.bootstrap") return m.Bool(c.dht.bootstrap);
  if (p == "dht.cache") return m.Bool(c.dht.cache);
  if (p == "dht.concurrency") return m.Range(c.dht.concurrency, 1, kNumberMax);
  if (p == "dht.ephemeral") return m.Bool(c.dht.ephemeral);
  if (p == "dht.firewalled") {
    if (!m.value.is_boolean()) return m.Fail("true or false");
    c.dht.firewalled = m.value.get<bool>();
    return;
  }
  if (p == "dht.host") {
    const std::string* s = m.Text();
    auto e = s == nullptr ? std::nullopt : Endpoint::Parse(*s + ":1");
    if (!e || !e->is_v4()) return m.Fail("an IPv4 address such as \"0.0.0.0\" (the DHT has no other)");
    if (e->v4() >> 28 >= 14) return m.Fail("an address of this machine, such as \"0.0.0.0\"", "that one is of a group, or of nobody");
    c.dht.host = *s;
    return;
  }
  if (p == "dht.nodes") return MergeNodes(m);
  if (p == "dht.persistent") return m.Bool(c.dht.persistent);
  if (p == "dht.port") return m.Range(c.dht.port, 0, 65535);
  if (p == "metrics.port") return m.Range(c.metrics.port, 0, 65535);
  if (p == "log.level") {
    if (m.Choice()) c.log.level = m.value.get<std::string>();
    return;
  }
  if (p == "dht.punch") {
    if (m.Choice()) c.dht.punch = m.value.get<std::string>();
    return;
  }
  if (p == "relay.serve") return m.Bool(c.relay.serve);
  if (p == "relay.policy") {
    if (m.Choice()) c.relay.policy = m.value.get<std::string>();
    return;
  }
  if (p == "relay.through") {
    const std::string* s = m.Text();
    std::optional<Key32> key = s == nullptr ? std::nullopt : ParseKey(*s);
    if (!key && (s == nullptr || !s->empty())) return m.Fail("a public key: 64 hex digits, or 52 of z-base-32");
    c.relay.through_hex = key ? ToHex(*key) : "";
    return;
  }
  if (p == "swarm.max_peers") return m.Range(c.swarm.max_peers, 1, 4096);
  if (p == "swarm.refresh") {
    const std::string* s = m.Text();
    std::optional<int64_t> ms = s == nullptr ? std::nullopt : ParseMillis(*s);
    if (!ms || *ms < 1000 || *ms > 24 * 3'600'000) return m.Fail("a duration from a second to a day, such as \"10min\"");
    c.swarm.refresh_ms = *ms;
    return;
  }
  if (p.starts_with("pod.")) return ApplyPod(m);
  if (p.starts_with("cage.")) return ApplyCage(m);
  if (p == "profile") {
    if (auto i = m.Choice()) c.profile = Profile(*i);
    return;
  }
  if (p == "ipc_socket") {
    const std::string* s = m.Text();
    // unix(7): sun_path has room for 107 bytes and a NUL.
    if (s == nullptr || s->empty() || s->size() > 107) return m.Fail("a path of at most 107 bytes");
    c.ipc_socket = *s;
    return;
  }
  if (p == "seed") {
    const std::string* s = m.Text();
    if (s == nullptr || s->size() != 64 || !FromHex(*s)) {
      m.errors.push_back({"seed", "something else (not shown: it may be a secret)", "64 hex digits", ""});
      return;
    }
    c.seed_hex = absl::AsciiStrToLower(*s);
  }
}

const ConfigKey* FindKey(std::string_view path) {
  auto it = std::find_if(std::begin(kKeys), std::end(kKeys), [&](const ConfigKey& k) { return k.path == path; });
  return it == std::end(kKeys) ? nullptr : it;
}

// The words that may follow `prefix` ("" or "dht.").
std::vector<std::string_view> Words(std::string_view prefix) {
  std::vector<std::string_view> out;
  for (const ConfigKey& k : kKeys) {
    if (k.path.substr(0, prefix.size()) != prefix) continue;
    std::string_view word = k.path.substr(prefix.size());
    word = word.substr(0, word.find('.'));
    if (out.empty() || out.back() != word) out.push_back(word);
  }
  return out;
}

void UnknownKey(const std::string& path, std::vector<ConfigError>& errors) {
  size_t dot = path.rfind('.');
  std::string prefix = dot == path.npos ? "" : path.substr(0, dot + 1), word = dot == path.npos ? path : path.substr(dot + 1);
  std::vector<std::string_view> words = Words(prefix);
  std::string hint;
  if (prefix.empty() && !Words(word + ".").empty()) {
    return errors.push_back({path, absl::StrCat("the room ", path, " and no key in it"), absl::StrCat(path, ".", A(Words(word + ".")[0]), " or another key: ", path, " has ", Join(Words(word + "."))), ""});
  }
  if (std::string_view near = NearestWord(word, words); !near.empty()) hint = absl::StrCat("did you mean \"", A(near), "\"?");
  // "port" is missing its room.
  for (const ConfigKey& k : kKeys) {
    size_t room = k.path.find('.');
    if (hint.empty() && room != k.path.npos && k.path.substr(room + 1) == word) hint = absl::StrCat("did you mean \"", A(k.path), "\"?");
  }
  std::string room = prefix.empty() ? "a configuration" : absl::StrCat("\"", prefix.substr(0, prefix.size() - 1), "\"");
  errors.push_back({ShownWord(path), absl::StrCat("unknown key \"", ShownWord(word), "\""), absl::StrCat(room, " has ", Join(words)), hint});
}

void MergeObject(const std::string& prefix, const Json& object, Config& config, std::set<std::string_view>& seen, std::vector<ConfigError>& errors) {
  for (const auto& [name, value] : object.items()) {
    std::string path = prefix + name;
    if (const ConfigKey* key = FindKey(path)) {
      if (!seen.insert(key->path).second) {
        errors.push_back({path, "the key twice, once with a dot and once in its object", "it once", "the second would silently replace the first"});
        continue;
      }
      Apply({*key, value, config, errors});
    } else if (prefix.empty() && !Words(path + ".").empty()) {
      if (value.is_object()) MergeObject(path + ".", value, config, seen, errors);
      else errors.push_back({path, Shown(value), "an object", absl::StrCat("it has ", Join(Words(path + ".")))});
    } else {
      UnknownKey(path, errors);
    }
  }
}

// Where the parser stumbled.
struct Stumble : nlohmann::json_sax<Json> {
  size_t position = 0;
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t at, const std::string&, const nlohmann::detail::exception&) override { return position = at, false; }
};

ConfigError NotJson(std::string_view text) {
  Stumble s;
  Json::sax_parse(text, &s, Json::input_format_t::json, /*strict=*/true, /*ignore_comments=*/true);
  std::string_view before = text.substr(0, s.position == 0 ? 0 : std::min(s.position - 1, text.size()));
  const size_t line = size_t(std::count(before.begin(), before.end(), '\n')), column = before.size() - (before.rfind('\n') + 1);
  const bool ended = s.position > text.size();
  return {absl::StrCat("line ", line + 1, ", column ", column + 1),
          ended ? "the end of the file" : Shown(std::string(text.substr(before.size(), text.find('\n', before.size()) - before.size()).substr(0, 20))), "JSON",
          ended ? "a brace, bracket or quote is not closed" : "is a comma or a quote missing, or one too many?"};
}

}  // namespace

absl::Span<const ConfigKey> ConfigKeys() { return kKeys; }

std::string EnvironmentName(std::string_view path) {
  std::string name = absl::StrCat("ORCHARD_", absl::AsciiStrToUpper(A(path)));
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

void MergeConfig(std::string_view json, Config& config, std::vector<ConfigError>& errors) {
  if (JsonDeeperThan(json, kJsonDepthMax)) {
    return errors.push_back({"", absl::StrCat("brackets nested more than ", kJsonDepthMax, " deep"), "a JSON object such as {\"dht\": {\"port\": 49737}}", ""});
  }
  // Of two the parser would take the last, and nobody see it.
  std::vector<std::set<std::string>> seen;
  std::vector<std::string> twice;
  auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    const size_t level = size_t(event == Json::parse_event_t::key ? depth - 1 : depth);
    if (event == Json::parse_event_t::object_start) seen.resize(level), seen.emplace_back();
    if (event == Json::parse_event_t::key && level < seen.size() && !seen[level].insert(value.get<std::string>()).second) twice.push_back(value.get<std::string>());
    return true;
  };
  Json root = Json::parse(json, watch, /*allow_exceptions=*/false, /*ignore_comments=*/true);
  if (!root.is_discarded() && !twice.empty()) {
    return errors.push_back({twice.front().substr(0, 80), "the key twice in one object", "it once", "the second would silently replace the first"});
  }
  if (root.is_discarded()) return errors.push_back(NotJson(json));
  if (!root.is_object()) return errors.push_back({"", Shown(root), "a JSON object such as {\"dht\": {\"port\": 49737}}", ""});
  const size_t first = errors.size();
  std::set<std::string_view> seen_keys;
  MergeObject("", root, config, seen_keys, errors);
  if (const size_t found = errors.size() - first; found > kErrorsMax) {
    errors.resize(first + kErrorsMax);
    errors.push_back({"", absl::StrCat(found - kErrorsMax, " more errors"), "those above to be mended first", ""});
  }
}

void MergeConfigText(std::string_view path, std::string_view value, Config& config, std::vector<ConfigError>& errors) {
  const ConfigKey* key = FindKey(path);
  if (key == nullptr) return UnknownKey(std::string(path), errors);
  Json json = std::string(value);
  switch (key->type) {
    case KeyType::kBool:
      if (value == "true" || value == "1") json = true;
      if (value == "false" || value == "0") json = false;
      break;
    case KeyType::kUint:
    case KeyType::kPort: {
      uint64_t number = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error == std::errc() && end == value.data() + value.size()) json = number;
      break;
    }
    case KeyType::kAddressList: {
      // "a:1,b:2", or the array as a file has it; empty: none.
      json = Json::parse(value, nullptr, false);
      if (json.is_array()) break;
      json = Json::array();
      for (std::string_view s : Split(value, ',')) json.push_back(std::string(s));
      break;
    }
    case KeyType::kSites: json = Json::parse(value, nullptr, false); break;
    case KeyType::kText:
    case KeyType::kDuration:
    case KeyType::kKey:
    case KeyType::kTextList:
    case KeyType::kUintList:
    case KeyType::kFiles:
    case KeyType::kChoice: break;
  }
  Apply({*key, json, config, errors});
}

void MergeConfigEnvironment(absl::Span<const std::string> environment, absl::Span<const std::string_view> others, Config& config,
                            std::vector<ConfigError>& errors) {
  static constexpr std::string_view kPrefix = "ORCHARD_";
  std::vector<std::string> names;
  for (const ConfigKey& k : kKeys) names.push_back(EnvironmentName(k.path));
  std::vector<std::string_view> words(names.begin(), names.end());
  static constexpr std::string_view kPeaPod[] = {"proxy_port", "discovery_port", "transport_port"};
  for (std::string_view entry : environment) {
    for (std::string_view word : kPeaPod) {
      const std::string path = absl::StrCat("pod.", A(word)), variable = absl::StrCat("PEAPOD_", absl::AsciiStrToUpper(A(word)));
      if (entry.substr(0, entry.find('=')) != variable) continue;
      const size_t before = errors.size();
      MergeConfigText(path, entry.substr(std::min(entry.size(), variable.size() + 1)), config, errors);
      for (size_t i = before; i < errors.size(); ++i) errors[i].path = variable;
    }
  }
  for (std::string_view entry : environment) {
    if (entry.substr(0, kPrefix.size()) != kPrefix) continue;
    std::string_view name = entry.substr(0, entry.find('='));
    if (std::find(others.begin(), others.end(), name.substr(kPrefix.size())) != others.end()) continue;
    auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end()) {
      std::string_view near = NearestWord(name, words);
      errors.push_back({std::string(name), "an environment variable that names no key", "ORCHARD_ and a key, such as ORCHARD_DHT_PORT",
                        near.empty() ? "" : absl::StrCat("did you mean \"", A(near), "\"?")});
      continue;
    }
    size_t before = errors.size();
    MergeConfigText(kKeys[it - names.begin()].path, entry.substr(std::min(entry.size(), name.size() + 1)), config, errors);
    for (size_t i = before; i < errors.size(); ++i) errors[i].path = std::string(name);
  }
}

void CheckConfig(const Config& config, std::vector<ConfigError>& errors) {
  if (config.dht.ephemeral && (config.dht.bootstrap || config.dht.persistent)) {
    const char* other = config.dht.bootstrap ? "dht.bootstrap" : "dht.persistent";
    errors.push_back({"dht.ephemeral", absl::StrCat("true beside ", other), "one of the two", absl::StrCat("a node with ", other, " is in other nodes' tables")});
  }
  if (config.dht.bootstrap && config.dht.firewalled.value_or(false)) {
    errors.push_back({"dht.firewalled", "true beside dht.bootstrap", "one of the two", "nobody can reach a root behind a firewall"});
  }
  if (config.relay.policy == "only" && config.relay.through_hex.empty()) {
    errors.push_back({"relay.policy", "only, without relay.through", "relay.through: the relay's public key", "without one no connection can come about"});
  }
  if (config.relay.serve && config.dht.ephemeral) {
    errors.push_back({"relay.serve", "true beside dht.ephemeral", "one of the two", "a relay must be found, and stay"});
  }
  if (config.cage.certificate.empty() != config.cage.key.empty()) {
    errors.push_back({config.cage.key.empty() ? "cage.certificate" : "cage.key", "one without the other", "both, or neither", "without them a self-signed certificate is made"});
  }
  if (config.cage.https_port != 0 && config.cage.https_port == config.cage.http_port) {
    errors.push_back({"cage.https_port", absl::StrCat(config.cage.https_port, ", which is cage.http_port too"), "another port", ""});
  }
  if (config.cage.admin_port != 0 && (config.cage.admin_port == config.cage.http_port || config.cage.admin_port == config.cage.https_port)) {
    errors.push_back({"cage.admin_port", absl::StrCat(config.cage.admin_port, ", where sites are served"), "another port", ""});
  }
  const auto& sites = config.cage.sites;
  if (!config.cage.fallback.empty() && config.cage.sites_dir.empty() && std::none_of(sites.begin(), sites.end(), [&](const cage::SiteConfig& x) { return x.name == config.cage.fallback; })) {
    errors.push_back({"cage.default_site", absl::StrCat("\"", config.cage.fallback, "\", which is none of cage.sites"), "the name of a site", ""});
  }
  if (!config.pod.secret_hex.empty() && config.pod.profile != pod::Profile::kHardened) {
    errors.push_back({"pod.secret", "a secret beside a pod.profile that is not hardened", "\"pod.profile\": \"hardened\"", "version 1 cannot prove that it knows one"});
  }
}

std::string Describe(const ConfigError& e) {
  std::string out = e.path.empty() ? "" : absl::StrCat(e.path, ": ");
  // "unknown key …" reads on its own; values are shown as found.
  absl::StrAppend(&out, absl::StartsWith(e.found, "unknown key") ? e.found : absl::StrCat("found ", e.found), "; ",
                  absl::StartsWith(e.found, "unknown key") ? e.expected : absl::StrCat("expected ", e.expected));
  if (!e.hint.empty()) absl::StrAppend(&out, ". ", e.hint);
  return out;
}

}  // namespace orchard::sidecar
