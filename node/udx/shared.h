// What the streams of one node have in common. Owned by Streams, passed down with each call.
#pragma once

#include <bit>
#include <string_view>

#include "absl/container/btree_map.h"
#include "node/udx/streams.h"
#include "node/udx/trace_events.h"

namespace orchard::udx {

struct Shared {
  StreamsConfig config;
  StreamCounters counters;
  uint64_t held_bytes = 0;                       // Out of order, of all streams.
  absl::btree_map<SocketId, uint32_t> users;     // How many paths lead through a socket.

  void Use(SocketId socket) { ++users[socket]; }
  void Leave(SocketId socket) {
    auto it = users.find(socket);
    if (it != users.end() && --it->second == 0) users.erase(it);
  }
  void Reject(Turn& turn, uint64_t& counter, std::string_view why) {
    if (std::has_single_bit(++counter)) turn.trace.Add(trace::Rejected{why, counter});
  }
};

}  // namespace orchard::udx
