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
#include "node/hyperdht/puncher.h"
#include "node/hyperdht/router.h"

namespace orchard::hyperdht {

struct PeersConfig {
  // As deployed, also where we do better: a server whose NAT re-maps waits for its next announcement, nothing migrates, a
  // failed punch is always HOLEPUNCH_ABORTED.
  bool js_compat = false;
  bool birthday = true;    // Off: a random NAT is never punched with.
  PunchPolicy punches = PunchPolicy::kAny;  // Of all dials and servers.
  // Ours: a connection from which nothing came for so long is closed (ETIMEDOUT); in js_compat only
  // if keep-alives had come. Zero: never.
  Duration silence_max = std::chrono::seconds(20);
  // Whoever has nothing to say says so, so often; zero: never. Source: npm hyperdht index.js, connectionKeepAlive.
  Duration keep_alive = std::chrono::seconds(5);
};

class Peers {
 public:
  static constexpr size_t kConnectionsMax = 16384;
  static constexpr size_t kServersMax = 64;
  static constexpr size_t kUnorderedMax = 1100;
  // Extra sockets, from which on no handshake that came to us makes another: the rest is for our own dials.
  static constexpr size_t kServersSocketsMax = udx::SocketMux::kExtraMax - Puncher::kBirthdaySockets;
  static constexpr size_t kMessageMax = (1u << 24) - 1 - 17;
  // Bytes of messages that wait for a connection's keys.
  static constexpr size_t kPendingMax = 256 * 1024;
  // The other side's first bytes come within this, once a path is chosen.
  static constexpr Duration kFirstBytesWait = std::chrono::seconds(30);
  static constexpr Duration kAdmitWait = std::chrono::seconds(10);
  // Peers whose relays are remembered. Source: npm hyperdht index.js, relayAddresses.
  static constexpr size_t kRoutesMax = 512;

  explicit Peers(const PeersConfig& config);
  ~Peers();
  Peers(Peers&&) noexcept;
  Peers& operator=(Peers&&) noexcept;

  // ---- For whoever listens and connects ----
  // What these cause with others happens at Dht::Flush, or a nanosecond later.

  // One server per key. ServerListening follows. Again with the same key: the options are replaced. False if there are
  // kServersMax already.
  bool Listen(Turn& turn, const ListenOptions& options, News& news);
  // Takes the announcement back; its connections stay. False if there is none.
  bool Unlisten(Turn& turn, const Key32& public_key);
  void Admit(Turn& turn, ConnectionId connection, News& news);
  void Refuse(Turn& turn, ConnectionId connection);

  // ConnectionOpened or ConnectFailed follows, never within this call.
  ConnectionId Connect(Turn& turn, const Key32& remote_key, const ConnectOptions& options);

  // One message, at most kMessageMax; taken whole. Allowed before the connection is open.
  void Send(Turn& turn, ConnectionId connection, Bytes message);
  // Bytes that are welcome now.
  size_t room(ConnectionId connection) const;
  // Message bytes that are not acknowledged yet, with their frames. ConnectionFlushed tells when it falls to zero.
  uint64_t unacknowledged(ConnectionId connection) const;
  // May be lost. At most about 1,100 bytes; longer ones are dropped.
  void SendUnordered(Turn& turn, ConnectionId connection, Bytes message);
  void Consumed(Turn& turn, ConnectionId connection, size_t bytes);
  void End(Turn& turn, ConnectionId connection);
  // No news.
  void Destroy(Turn& turn, ConnectionId connection);

  // Null if gone. Valid until the next call.
  const ConnectionInfo* info(ConnectionId connection) const;
  // All, in order of id; at most `max` of those after `after`.
  std::vector<ConnectionId> connections(ConnectionId after = {}, size_t max = kConnectionsMax) const;
  std::vector<ConnectionId> connections(const Key32& remote_key, size_t max = kConnectionsMax) const;
  // How many there are.
  size_t size() const;
  // The first open one with that peer; else the first that is under way.
  std::optional<ConnectionId> Find(const Key32& remote_key) const;
  // Public keys that listen, and whether their announcement is stored.
  struct Listening {
    Key32 public_key;
    bool announced;
  };
  std::vector<Listening> servers() const;
  // The nodes that relay handshakes to that server of ours: for announcements that lead to it.
  std::vector<Endpoint> relay_addresses(const Key32& public_key) const;

  // ---- For Dht ----
  // What the node lends for one call.
  struct Node {
    dht::Rpc& rpc;
    Router& router;
  };
  // An announcement that `to` should not hold any more.
  struct Withdrawal {
    Key32 target;
    crypto::KeyPair key;
    Ipv4Address to;
  };
  // Nothing was asked of it in this life: the verbs need not be called.
  bool idle() const { return state_ == nullptr; }
  void SetInterfaces(absl::Span<const Interface> interfaces);
  // Something changed about our place in the network. `moved`: our own addresses are others.
  void OnNetworkChanged(Turn& turn, bool moved);
  // Each says whether it was theirs.
  // `mark`: what the socket bore before the answer came.
  bool OnSocketOpened(Turn& turn, Node node, const SocketOpened& opened, udx::SocketMark mark, News& news);
  // Datagrams that are UDX packets or probes.
  bool OnDatagram(Turn& turn, Node node, const Datagram& datagram, News& news);
  // PEER_HANDSHAKE and PEER_HOLEPUNCH for a server of ours.
  bool OnRequest(Turn& turn, Node node, const dht::Request& request, News& news);
  bool OnReply(Turn& turn, Node node, const dht::ReplyReceived& reply, News& news);
  bool OnFailure(Turn& turn, Node node, const dht::RequestFailed& failed, News& news);
  bool OnQueryReply(Turn& turn, Node node, const dht::QueryReply& reply, News& news);
  bool OnCommitDue(Turn& turn, Node node, const dht::CommitDue& due, News& news);
  bool OnCommitReply(Turn& turn, Node node, const dht::CommitReply& reply, News& news);
  bool OnQueryFinished(Turn& turn, Node node, const dht::QueryFinished& finished, News& news);
  void OnTime(Turn& turn, Node node, News& news);
  Instant next_deadline() const;
  // Last in every turn.
  void Flush(Turn& turn, Node node);
  std::vector<Withdrawal> TakeWithdrawals();
  // Destroys all connections, without news, and stops the servers.
  void OnStop(Turn& turn, Node node);

 private:
  struct State;
  State& state();
  PeersConfig config_;
  std::vector<Interface> interfaces_;
  std::unique_ptr<State> state_;  // Made when first needed: most nodes of a large world have neither.
};

}  // namespace orchard::hyperdht
