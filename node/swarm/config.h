// How one swarm behaves. What a person may set lies in sidecar/config.h; the composition root translates.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "node/base/time.h"
#include "node/hyperdht/connection.h"

namespace orchard::swarm {

struct Config {
  crypto::KeyPair key;                 // One swarm, one key pair.
  uint32_t max_peers = 64;             // Connections, those under way too.
  uint32_t max_parallel = 3;           // Dials under way.
  uint32_t max_client_connections = UINT32_MAX, max_server_connections = UINT32_MAX;
  Duration refresh = std::chrono::minutes(10);  // Of each topic, and up to a fifth more.
  std::optional<Key32> relay_through;  // A blind relay's public key.
  hyperdht::RelayPolicy relay_policy = hyperdht::RelayPolicy::kFallback;
  // The deployed logic, blind spots included. docs/decisions says what it turns off.
  bool js_compat = false;

  // The deployed logic dials until it is full, and takes whoever comes. We stop a quarter earlier, so that a newcomer finds
  // room, and refuse when full.
  uint32_t dial_until() const { return js_compat ? max_peers : max_peers - max_peers / 4; }
  // Source: npm hyperswarm lib/peer-discovery.js: two minutes on top of ten.
  Duration refresh_jitter() const { return std::max(refresh / 5, Duration(1)); }
};

}  // namespace orchard::swarm
