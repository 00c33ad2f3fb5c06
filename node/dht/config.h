// How one dht-rpc node behaves. What a person may set lies in sidecar/config.h; the composition root translates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "node/base/endpoint.h"
#include "node/wire/address.h"

namespace orchard::dht {

// A root: an address, or a name to resolve, or both (the address is pinged first; the name is asked if it is silent).
struct Root {
  Ipv4Address address;  // Port 0: none given.
  std::string name;
  uint16_t port = 0;    // With `name`.
};

struct RpcConfig {
  bool bootstrap = false;   // A root itself: open and persistent as soon as it knows its address; no probe.
  bool persistent = false;  // Persistent as soon as the firewall probe passes. dht-rpc: ephemeral: false.
  bool ephemeral = false;   // Never persistent. dht-rpc: ephemeral: true.
  std::optional<bool> firewalled;  // States it instead of probing. Absent: firewalled until a probe passes.
  std::vector<Root> roots;
  Endpoint host = Endpoint::V4(0, 0);
  uint16_t port = 49737;
  bool any_port = true;
  uint32_t concurrency = 10;
  bool down_hints = true;   // Tell referrers that a node they named is down.
  bool cache = true;        // Keep good nodes in the store for a quick rejoin.
  // Ours: after a cut or a mass loss of nodes, ask the roots again. The deployed logic asks them only when the table is
  // nearly empty, so two halves of a healed partition may stay strangers. Off in profile js-compat.
  bool heal_partitions = true;
  // Ours: a node heard within the last minute is not pinged to make room for a newcomer. Off in profile js-compat.
  bool calm_swaps = true;
  // Ours: searches wait for silent nodes as long as answers take here, not whole seconds; the first walk is as wide as any
  // other and does not wait for the names of roots. Off in profile js-compat.
  bool quick_walks = true;
  // Never in a table, never asked. Port 0 vetoes the host.
  std::vector<Ipv4Address> vetoed;
};

}  // namespace orchard::dht
