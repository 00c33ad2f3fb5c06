// Streams that are gone, for a while. A packet for one of them means that our last word was lost: the final ACK (the other
// side would repeat its END for thirteen seconds) or the DESTROY (it would believe in us until it times out). So it is said
// again. JavaScript has no such memory.
#pragma once

#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "node/udx/stream.h"

namespace orchard::udx {

class ClosedStreams {
 public:
  // Longer than the other side tries: 13 s.
  static constexpr Duration kKept = std::chrono::seconds(30);
  static constexpr size_t kMax = 1024;  // The oldest goes first.

  void Add(Instant now, const Stream& stream, uint32_t window, bool destroyed);
  bool contains(StreamId id) const { return by_id_.contains(id); }
  // True if it is a packet for one of them; answers it if it needs an answer.
  bool OnPacket(Turn& turn, const Header& header, StreamCounters& counters);

 private:
  struct Closed {
    Stream::Path path;
    Instant until;
    uint32_t seq, ack, window;
    bool destroyed;
  };
  absl::flat_hash_map<StreamId, Closed> by_id_;
  std::vector<StreamId> order_;  // A ring of kMax once it is full.
  size_t oldest_ = 0;
};

}  // namespace orchard::udx
