// A node's configuration: the daemon's file, and the "node" of a scenario's hosts, word for word. Every key is also an
// environment variable: dht.bootstrap is ORCHARD_DHT_BOOTSTRAP.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "node/base/endpoint.h"
#include "node/cage/config.h"
#include "node/pod/plan.h"
#include "node/pod/profile.h"

namespace orchard::sidecar {

enum class Profile {
  kDefault,
  kJsCompat,      // The deployed logic, blind spots included.
  kHardened,
  kFaithfulBugs,
};

// A bootstrap node: an address, or a name to resolve, or both (the address is tried first).
struct BootstrapNode {
  std::optional<Endpoint> address;
  std::string name;
  uint16_t port = 0;
};

struct Config {
  Profile profile = Profile::kDefault;
  std::string seed_hex;  // The identity's seed; empty: made at first start and kept in the store.
  struct Dht {
    bool bootstrap = false;   // An open root: persistent and not firewalled from the start; implies persistent.
    bool persistent = false;  // Whoever passes the firewall probe is persistent at once.
    bool ephemeral = false;   // Never become persistent.
    std::optional<bool> firewalled;  // States it instead of probing.
    std::optional<std::vector<BootstrapNode>> nodes;  // Everyone's bootstrap list; absent: the public one (daemon) or the scenario's.
    std::string host = "0.0.0.0";
    uint16_t port = 49737;
    bool any_port = true;     // If taken, try the next four, then any.
    uint32_t concurrency = 10;
    bool cache = true;        // Remember good nodes for a quick rejoin.
    std::string punch = "any";  // hyperdht::PunchPolicy.
    bool birthday = true;     // Punch to NATs with random ports by trying many (up to 256 sockets).
  } dht;
  struct Relay {               // Blind relays.
    std::string through_hex;   // The relay's public key, 64 hex digits; empty: none.
    std::string policy = "fallback";
    bool serve = false;        // Be one for others.
  } relay;
  struct Swarm {
    int64_t refresh_ms = 600'000;  // Between two lookups of a topic, before jitter.
    uint32_t max_peers = 64;
  } swarm;
  struct Pod {                 // PeaPod; node/pod/config.h has what becomes of it.
    bool enabled = false;
    pod::Profile profile = pod::Profile::kCompatCode;
    std::string secret_hex;    // Hardened only: 64 hex digits; empty: none.
    pod::Scheduler scheduler = pod::Scheduler::kAdaptive;
    uint64_t chunk_bytes = 256 << 10;
    uint32_t check_permille = 50;
    uint16_t proxy_port = 3128, discovery_port = 45678, transport_port = 45679;
    bool allow_private = false;
    bool loopback = false;
    uint64_t serve_rate = 0;   // Bytes per second and member; 0: as fast as it goes.
  } pod;
  struct Cage {                // Sites; node/cage/config.h has what they are.
    std::string host = "0.0.0.0";
    uint16_t http_port = 8080;
    uint16_t https_port = 0;   // 0: none.
    bool http3 = true;         // On the same port of UDP.
    std::string certificate, key;  // Files in PEM; empty: a self-signed one of the data directory's.
    std::string fallback;      // The site of requests for none of ours.
    std::vector<cage::SiteConfig> sites;
    guard::Mode guard = guard::Mode::kFlag;  // Of sites that do not say.
    std::string sites_dir;         // Each NAME.wasm in it is a site NAME; empty: none.
    std::string admin_host = "127.0.0.1";
    uint16_t admin_port = 9000;    // As the original's dashboard; 0: none.
    std::string admin_token;       // Empty: the daemon makes one and keeps it; elsewhere nobody has it.
    bool serves() const { return !sites.empty() || !sites_dir.empty(); }
  } cage;
  struct Log {
    std::string level = "info";
  } log;
  struct Metrics {
    uint16_t port = 0;        // 0: no Prometheus endpoint.
  } metrics;
  std::string ipc_socket;     // Empty: <data>/orchard.sock.
};

enum class KeyType { kBool, kUint, kText, kPort, kAddressList, kChoice, kDuration, kKey, kTextList, kUintList, kSites, kFiles };
struct ConfigKey {
  std::string_view path;  // "dht.bootstrap"
  KeyType type;
  std::string_view says;
  std::string_view choices = {};
  bool daemon_only = false;  // Refused in a scenario.
};
// Ordered by path.
absl::Span<const ConfigKey> ConfigKeys();
// Those of one site in cage.sites; paths within it.
absl::Span<const ConfigKey> SiteKeys();
std::string EnvironmentName(std::string_view path);

struct ConfigError {
  std::string path;      // "dht.prot", relative to the config's root.
  std::string found;
  std::string expected;
  std::string hint;      // May be empty.
};

// Lays the JSON text of an object over `config`. Appends every error; `config` is then unusable. `text` must be valid JSON.
void MergeConfig(std::string_view json, Config& config, std::vector<ConfigError>& errors);
// Lays every ORCHARD_… variable of `environment` ("NAME=value") that names a key over `config`; one that names none is an
// error, except those of `others` (without prefix: "DATA"). The three variables of the original PeaPod count too, as
// PEAPOD_PROXY_PORT does for pod.proxy_port.
void MergeConfigEnvironment(absl::Span<const std::string> environment, absl::Span<const std::string_view> others, Config& config,
                            std::vector<ConfigError>& errors);
// What no single key can say: keys that contradict each other. Last, when all sources are merged.
void CheckConfig(const Config& config, std::vector<ConfigError>& errors);
// "dht.prot: unknown key "prot"; …" in one line, hint included.
std::string Describe(const ConfigError& error);
// One key's value given as text (environment, --set).
void MergeConfigText(std::string_view path, std::string_view value, Config& config, std::vector<ConfigError>& errors);

}  // namespace orchard::sidecar
