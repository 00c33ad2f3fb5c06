// What a swarm tells its parent.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "node/base/bytes.h"
#include "node/hyperdht/connection.h"
#include "node/hyperdht/news.h"

namespace orchard::swarm {

// A reason to be in a topic: one call of Join. Counted up, never reused within a life.
enum class SessionId : uint32_t {};
enum class FlushId : uint32_t {};

// A search of the topic is over: our announcement lies there, those who were found are queued. After each Join, and then
// about every ten minutes.
struct TopicRefreshed {
  Key32 topic;
  hyperdht::Outcome outcome;  // kOk: nodes answered; if we announced, some stored it.
  bool server, client;
  uint32_t found;             // Distinct peers.
  uint32_t nodes;             // That stored the announcement; of a mere lookup, that answered.
};
// The last session ended and the announcement is taken back.
struct TopicLeft { Key32 topic; uint32_t nodes; };
struct PeerConnected {
  hyperdht::ConnectionId connection;
  Key32 peer;
  bool initiator;
  hyperdht::Path path;
  std::vector<Key32> topics;  // That led to it, as far as this side knows: whoever is dialled is not told.
};
struct PeerDisconnected { hyperdht::ConnectionId connection; Key32 peer; hyperdht::ConnectCode code; };
// All topics were searched, and whoever waited then was tried once. Not ok: the swarm was suspended, or too many wait.
struct Flushed { FlushId flush; bool ok; };

using News = std::vector<std::variant<TopicRefreshed, TopicLeft, PeerConnected, PeerDisconnected, Flushed>>;

}  // namespace orchard::swarm
