// Servers, and connections to and from others: the handshake through nodes that know the peer, the choice of a path (LAN,
// direct, punched, relayed), and the encrypted stream on it. Owned by Dht, which feeds it what concerns it.
// Source: npm hyperdht lib/server.js, lib/connect.js, lib/announcer.js; blind-relay 1.6.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "node/base/turn.h"
#include "node/dht/rpc.h"
#include "node/hyperdht/connection.h"
#include "node/hyperdht/news.h"

namespace orchard::hyperdht {

class Peers {
 public:
  static constexpr size_t kConnectionsMax = 16384;
  static constexpr size_t kServersMax = 64;
  static constexpr size_t kUnorderedMax = 1100;
  static constexpr size_t kMessageMax = (1u << 24) - 1 - 17;

  // One server per key. ServerListening follows, once announced (again, if it was already). With the same key: the options are replaced.
  void Listen(Turn& turn, const ListenOptions& options, News& news);
  // Takes the announcement back; its connections stay. False if there is none.
  bool Unlisten(Turn& turn, const Key32& public_key);
  void Admit(Turn& turn, ConnectionId connection, News& news);
  void Refuse(Turn& turn, ConnectionId connection);

  // ConnectionOpened or ConnectFailed follows, never within this call.
  ConnectionId Connect(Turn& turn, const Key32& remote_key, const ConnectOptions& options);

  // One message, at most kMessageMax; taken whole. Allowed before the connection is open.
  void Send(Turn& turn, ConnectionId connection, Bytes message);
  // Message bytes that are not acknowledged yet, framing included. ConnectionFlushed tells when it falls to zero.
  uint64_t unacknowledged(ConnectionId connection) const;
  // Bytes that are welcome now.
  size_t room(ConnectionId connection) const;
  // May be lost. At most about 1,100 bytes; longer ones are dropped.
  void SendUnordered(Turn& turn, ConnectionId connection, Bytes message);
  void Consumed(Turn& turn, ConnectionId connection, size_t bytes);
  void End(Turn& turn, ConnectionId connection);
  // No news.
  void Destroy(Turn& turn, ConnectionId connection);

  // Null if gone. Valid until the next call.
  const ConnectionInfo* info(ConnectionId connection) const;
  // All, in order of id.
  std::vector<ConnectionId> connections() const;
  // The first open one with that peer; else the first that is under way.
  std::optional<ConnectionId> Find(const Key32& remote_key) const;
};

}  // namespace orchard::hyperdht
