// What a node's pod is told at its start.
#pragma once

#include <cstdint>
#include <optional>

#include "node/http/client_connection.h"
#include "node/pod/core.h"
#include "node/pod/messages.h"
#include "node/pod/profile.h"

namespace orchard::pod {

// With an origin. A line may be dark for ten seconds and TCP goes on by itself; what is quiet for longer waits for a time-out that has
// doubled too often, and is resumed.
inline constexpr http::ClientConnection::Patience kOriginPatience{.first_byte = std::chrono::seconds(15), .stall = std::chrono::seconds(12)};

struct PodConfig {
  Profile profile = Profile::kCompatCode;
  std::optional<Key32> secret;         // Hardened only: who has another is no member.
  CoreConfig core;
  uint16_t discovery_port = 45678;     // As the original.
  uint16_t transport_port = 45679;     // 0: any. If it is taken, any too: beacons tell.
  bool allow_private = false;          // Fetch for others from this LAN and this machine too.
  bool loopback = false;               // Find members on this machine's loopback.
  uint64_t serve_rate = 0;             // Bytes per second that each member may have fetched; 0: as fast as it goes.
};

}  // namespace orchard::pod
