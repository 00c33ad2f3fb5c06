// The events of this layer. `topic` and `peer` are 32 bytes; `connection` is a ConnectionId.
#pragma once

#include <cstdint>
#include <string_view>

#include "node/base/bytes.h"

namespace orchard::swarm {

struct SwarmJoined {
  static constexpr std::string_view kName = "swarm.joined";
  Bytes topic;
  uint64_t server, client;
  template <class V>
  void Fields(V&& v) const { v("topic", topic), v("server", server), v("client", client); }
};
struct SwarmLeft {
  static constexpr std::string_view kName = "swarm.left";
  Bytes topic;
  template <class V>
  void Fields(V&& v) const { v("topic", topic); }
};
// The first search after a Join is over.
struct SwarmFlushed {
  static constexpr std::string_view kName = "swarm.flushed";
  Bytes topic;
  uint64_t ok, found, nodes, took_ns;
  template <class V>
  void Fields(V&& v) const { v("topic", topic), v("ok", ok), v("found", found), v("nodes", nodes), v("took_ns", took_ns); }
};
// A search found a peer.
struct SwarmPeer {
  static constexpr std::string_view kName = "swarm.peer";
  Bytes topic, peer;
  template <class V>
  void Fields(V&& v) const { v("topic", topic), v("peer", peer); }
};
struct SwarmDialed {
  static constexpr std::string_view kName = "swarm.dialed";
  uint32_t connection;
  Bytes peer;
  uint64_t attempts, priority, relayed;  // Before this one; 0 to 4; through a relay at once.
  template <class V>
  void Fields(V&& v) const {
    v("connection", connection), v("peer", peer), v("attempts", attempts), v("priority", priority), v("relayed", relayed);
  }
};
// `dropped`: 0 if both stay.
struct SwarmDuplicate {
  static constexpr std::string_view kName = "swarm.duplicate";
  Bytes peer;
  uint32_t kept, dropped;
  template <class V>
  void Fields(V&& v) const { v("peer", peer), v("kept", kept), v("dropped", dropped); }
};
// Someone knocked and was not let in: "own-key", "banned", "full", "suspended".
struct SwarmRefused {
  static constexpr std::string_view kName = "swarm.refused";
  Bytes peer;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("peer", peer), v("why", why); }
};

}  // namespace orchard::swarm
