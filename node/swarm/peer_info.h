// What a swarm knows of one other peer, and the two tables that say how eagerly it is dialled and when again.
// Source: npm hyperswarm 4.17 lib/peer-info.js, lib/retry-timer.js; vectors v07.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/base/time.h"
#include "node/hyperdht/connection.h"

namespace orchard::swarm {

enum class Priority : uint8_t { kVeryLow, kLow, kNormal, kHigh, kVeryHigh };
inline constexpr size_t kPriorities = 5;

// About 1 s, 5 s, 15 s, 10 min.
enum class Backoff : uint8_t { kShort, kMedium, kLong, kVeryLong };
inline constexpr size_t kBackoffs = 4;

struct PeerInfo {
  // A connection that lasted so long was a good one: the peer is dialled again as if for the first time.
  static constexpr Duration kGoodConnection = std::chrono::seconds(15);
  // After so many failures in a row it is left alone, until it is found again.
  static constexpr uint32_t kAttemptsMax = 3;

  std::vector<Endpoint> relay_addresses;   // Nodes that may know it, of the last lookup that found it.
  std::vector<Key32> topics;               // Joined ones that led to it.
  std::optional<hyperdht::ConnectionId> connection;  // The one with it, perhaps under way.
  Instant connected = kNever;              // Since when our dial holds.
  Instant disconnected{};
  uint64_t flush_tick = 0;                 // When it was queued, in calls of Flush.
  uint32_t attempts = 0;                   // Dials since the last good connection.
  uint32_t ticket = 0;                     // Of its place in a retry timer; others are void.
  Priority priority = Priority::kNormal;   // As of the last UpdatePriority.
  bool reconnecting = true;                // Off: dialled once.
  bool proven = false;                     // A dial once succeeded.
  bool tried = false;                      // Never set by hyperswarm 4.17, but the table knows it.
  bool banned = false;
  bool is_explicit = false;                // Asked for by its key.
  bool waiting = false;                    // In a retry timer.
  bool queued = false;
  bool client = false;                     // We dialled it last, not it us.
  bool force_relaying = false;             // Punching is known not to work.

  Priority ComputePriority() const;
  // False: it shall not be queued.
  bool UpdatePriority();
  bool prioritized() const { return priority >= Priority::kNormal; }
  // Our dial opened; it is over, opened or not.
  void Connected(Instant now);
  void Disconnected(Instant now);
  // As if never dialled.
  void Reset();
  // How long to wait before the next dial; nothing: not again.
  std::optional<Backoff> backoff() const;
  // Nobody needs it: it may be forgotten.
  bool idle() const { return !banned && !queued && !is_explicit && !waiting && !connection.has_value(); }
};

}  // namespace orchard::swarm
