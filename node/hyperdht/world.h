// What the machines of one connection borrow from the node for the length of one call.
#pragma once

#include "absl/types/span.h"
#include "node/base/turn.h"
#include "node/dht/rpc.h"

namespace orchard::hyperdht {

struct PunchLimiter;

struct World {
  Turn& turn;
  dht::Rpc& rpc;
  PunchLimiter& limiter;
  // Where our own networks reach the server socket.
  absl::Span<const Endpoint> locals;

  SocketId main_socket() const { return rpc.sockets().socket(udx::SocketRole::kServer); }
};

}  // namespace orchard::hyperdht
