// What the machines of one connection borrow from the node for the length of one call.
#pragma once

#include "absl/types/span.h"
#include "node/base/turn.h"
#include "node/dht/rpc.h"
#include "node/hyperdht/connection.h"

namespace orchard::hyperdht {

struct PunchLimiter;

// Connections begin at 1, so that none is nobody.
inline dht::Asker AskerOf(ConnectionId id) { return dht::Asker{uint32_t(id)}; }

struct World {
  Turn& turn;
  dht::Rpc& rpc;
  PunchLimiter& limiter;
  // Where our own networks reach the server socket.
  absl::Span<const Endpoint> locals;

  SocketId main_socket() const { return rpc.sockets().socket(udx::SocketRole::kServer); }
};

}  // namespace orchard::hyperdht
