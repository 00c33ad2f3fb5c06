// The core as pea-core c85a76f is: for `faithful-bugs`, so that scenarios show each fault beside its cure. docs/PEAPOD.md §5.
//
// One transfer at a time (a second one takes its place); chunks are numbered from zero whatever the range's offset; who fetches
// what is planned once; the whole body is kept; nothing is raced and no chunk has a deadline; only Heartbeats count as life; what is
// reassigned goes out without its url, so nobody serves it; lies and lengths pass.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/pod/messages.h"
#include "node/pod/plan.h"

namespace orchard::pod {

class FaithfulCore {
 public:
  static constexpr uint64_t kChunkBytes = 256 << 10;
  static constexpr uint64_t kBodyMax = 256u << 20;     // Ours: the original keeps any body in memory. Above: Fallback.
  static constexpr size_t kPeersMax = 256;             // Ours.
  static constexpr uint64_t kSilentTicks = 5;          // Gone when more have passed.

  struct Assignment { uint64_t start, end; std::optional<DeviceId> peer; };  // No peer: ourselves.
  struct Accelerate { TransferId transfer; uint64_t total; std::vector<Assignment> chunks; };
  // To be sent to that device. It may be our own, to which no host has a sender: then it is lost.
  struct Outbound { DeviceId to; Message message; };

  explicit FaithfulCore(const DeviceId& own) : own_(own) {}

  // `first` and `last` of a closed Range: bytes=first-last; nothing if the request has none. Nothing: Fallback.
  std::optional<Accelerate> OnIncomingRequest(Rng& rng, std::optional<std::pair<uint64_t, uint64_t>> range);
  struct Received {
    std::optional<std::string> body;       // All chunks are here.
    std::vector<Outbound> reassigned;      // The hash was wrong. Two of three callers in the original drop this.
  };
  Received OnChunkReceived(const ChunkData& data);
  void OnPeerJoined(const DeviceId& peer);
  std::vector<Outbound> OnPeerLeft(const DeviceId& peer);
  // Chunk data goes to OnChunkReceived, by the host's hand; a request is the host's own affair.
  std::vector<Outbound> OnMessage(const DeviceId& from, const Message& message);
  std::vector<Outbound> Tick();   // Once a second: a Heartbeat for each peer, and who was silent is gone.

  const std::vector<DeviceId>& peers() const { return peers_; }

 private:
  struct Piece { uint64_t start, end; DeviceId owner; std::optional<std::string> data; };
  std::vector<Outbound> Reassign(size_t piece, size_t& turn);

  DeviceId own_;
  std::vector<DeviceId> peers_;                        // As they joined.
  absl::btree_map<DeviceId, uint64_t> last_tick_;
  uint64_t tick_ = 0;
  TransferId transfer_{};
  std::vector<Piece> pieces_;                          // Of the one transfer; empty: none.
};

}  // namespace orchard::pod
