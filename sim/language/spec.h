// What the simulated network is made of, in base units: nanoseconds, bits per second, parts per million. The scenario loader
// fills these; the world is built from them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/base/time.h"

namespace orchard::sim {

// How a host lies to others, whatever its node does.
enum class Misdeed : uint8_t {
  kNone,
  kFlipBytes,    // A bit of what the web sends it is another when it comes to the node: so what it serves to others is false.
  kSpoofBeacon,  // It says on its LAN that pod members are there which are not.
};

// One access link: a FIFO with a bounded queue each way, then a one-way delay. Source: ../docs/SCENARIOS.md, "World".
struct LinkSpec {
  std::string preset = "datacenter";  // The preset or world.links name it came from, for labels.
  int64_t down_bps = 1'000'000'000, up_bps = 1'000'000'000;
  Duration delay{200'000};            // One way, added to the path.
  Duration jitter{};                  // Standard deviation added by this link.
  uint32_t loss_ppm = 0;
  Duration queue{100'000'000};        // Longest wait before the tail is dropped.
  uint32_t mtu = 1500;
  std::string shares;                 // Name of a bottleneck of world.links that this link feeds through; or empty.
};

enum class Dependence : uint8_t { kEndpointIndependent, kAddressDependent, kAddressAndPortDependent };  // RFC 4787 §4.1, §5.
enum class PortChoice : uint8_t { kPreserve, kSequential, kRandom, kBlock };
enum class WhenFull : uint8_t { kRefuse, kEvict };

// One NAT box. Source: RFC 4787; ../docs/SCENARIOS.md.
struct NatSpec {
  std::string preset = "port-restricted";
  Dependence mapping = Dependence::kEndpointIndependent;
  Dependence filtering = Dependence::kAddressAndPortDependent;
  PortChoice ports = PortChoice::kPreserve;
  Duration idle{std::chrono::seconds(120)};       // A mapping that saw traffic both ways lives so long without any.
  Duration idle_first{std::chrono::seconds(30)};  // One that only ever saw outbound packets.
  Duration life{};                                // Absolute; zero: none.
  bool refresh_inbound = false;                   // `refresh: both`; outbound always refreshes.
  bool hairpin = false;
  uint32_t max_mappings = 0;                      // 0: as many as ports.
  WhenFull when_full = WhenFull::kRefuse;
  uint32_t pool = 1;                              // Public addresses; paired pooling (RFC 4787 §4.1 REQ-2).
  uint32_t block_ports = 512;                     // `ports: block`: ports per inside address.
  Duration remap_every{};                         // Mean of the exponential time between re-maps; zero: never.
  bool udp_blocked = false;
};

// A box in a host's chain: its own (shared_name empty) or the one box of that name.
struct NatRef {
  NatSpec spec;
  std::string shared_name;
};

enum class Firewall : uint8_t { kNone, kStateful };
enum class Stack : uint8_t { kFast, kFull };

// How a host reaches the world. The first that is up carries the default route.
struct UplinkPlan {
  std::string name = "wan";
  LinkSpec link;
  std::vector<NatRef> nat;  // Nearest first; empty: a public address.
  bool up = true;
};

// A LAN with an optional router, which has an uplink of its own (its nat then stands in the router).
struct LanPlan {
  std::string id;
  int64_t rate_bps = 1'000'000'000;
  Duration delay{200'000};
  std::optional<UplinkPlan> router;
  std::string region;
};

// What an origin server offers. node/http/origin.h says what each does.
struct WebSpec {
  std::map<std::string, uint64_t> files;  // Path to size in bytes.
  bool ranges = true, gzip = false, etags = true, chunked = false;
  std::string last_modified;
  int64_t rate_bps = 0;                   // Of a connection; 0: no limit.
  int64_t lie = 0, shift = 0;
  int status = 0;
  std::string redirect;
  uint16_t port = 80;
};

// One host, all draws made.
struct HostPlan {
  std::string id;      // "peer-3"; every random stream of this host is keyed by it.
  std::string group;   // "peer"
  std::string region;
  std::vector<UplinkPlan> uplinks;
  std::string lan;     // LanPlan::id, or empty.
  Firewall firewall = Firewall::kNone;
  Stack stack = Stack::kFast;
  std::string nat_label;  // "cgn", "port-restricted+cgn", "open": the label `nat`.
  bool runs_node = true;
  bool runs_js = false;  // The node is the JavaScript peer.
  bool clients = false;  // The timeline has operations of clients for it: http.get.
  std::shared_ptr<const WebSpec> web;  // Not null: it runs an origin server, and no node.
  std::string config_json;  // The node's configuration, as JSON.
  std::string seed_hex;     // Of its identity, if its configuration states one; else sim/language/identity.h makes it.
  std::string link_label;   // Label `link`: of its first uplink, or of its LAN's router.
};

struct WorldPlan {
  uint64_t seed = 1;
  // One-way latency between regions, inside a region 2 ms unless given; both directions the same.
  std::map<std::pair<std::string, std::string>, Duration> latency;
  Duration latency_default{};      // For pairs that are not in the map.
  uint32_t jitter_ppm = 0;         // Standard deviation of the path delay, as a share of it.
  Duration jitter{};               // Or absolute.
  uint32_t loss_ppm = 0;           // In the core, per packet.
  uint8_t hops = 12;               // Routers on a path, NATs included: taken off the TTL.
  std::map<std::string, LinkSpec> bottlenecks;  // world.links that `shares` names.
  std::vector<LanPlan> lans;
  std::vector<HostPlan> hosts;
  bool pcap = false;
  std::string pcap_dir;
  std::optional<Stack> stack;      // Overrides every host's.
  Duration sync_delay{2'000'000};     // What an fsync takes.
  Duration resolve_delay{20'000'000};  // What resolving a host's name takes; the names are the ids of hosts.
  std::string scheduler;           // Empty: our loop; or one of ns-3's, in its own. Results do not depend on it.
};

}  // namespace orchard::sim
