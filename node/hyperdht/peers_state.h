// The inside of Peers. Its functions lie by topic: peers.cc (calls, and one connection's life), peers_verbs.cc, peers_server.cc (what comes to our servers),
// peers_paths.cc (dials, and which path a stream takes), peers_streams.cc (bytes), peers_relay.cc (blind relays),
// peers_migrate.cc (a new path for a connection that is open).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "node/base/deadlines.h"
#include "node/hyperdht/connect_flow.h"
#include "node/hyperdht/peers.h"
#include "node/hyperdht/puncher.h"
#include "node/hyperdht/server.h"
#include "node/hyperdht/world.h"
#include "node/protomux/blind_relay.h"
#include "node/protomux/mux.h"
#include "node/secret_stream/secret_stream.h"
#include "node/udx/streams.h"

namespace orchard::hyperdht {

// A migration that found no path is tried again.
inline constexpr Duration kMigrateAgain = std::chrono::seconds(2);

// What a connection has to do with a blind relay.
struct Relaying {
  enum class Step : uint8_t {
    kOffered,   // Agreed on in the handshake; nothing was done yet.
    kDialing,   // The connection to the relay is on its way.
    kPairing,   // The relay was asked.
    kPaired,    // It carries our stream, or did until a better path came.
    kOver,      // It did not work, or is not needed any more.
  };
  Key32 relay{}, token{};
  bool initiator = false;
  RelayPolicy policy = RelayPolicy::kFallback;
  Step step = Step::kOffered;
  std::optional<ConnectionId> control;   // Our connection to the relay.
  uint32_t remote_stream = 0;            // The relay's, once paired.
  Instant until = kNever;                // It must be paired by then.
};

// A direct path replaces the relay in two steps: what was sent through the relay is acknowledged; then a packet came by
// the new path. Only then is the relay let go.
enum class Upgrade : uint8_t { kNone, kChanging, kConfirming };

struct Connection {
  // Connections to relays, and of others to us as a relay, are told neither upward nor in the trace.
  enum class Use : uint8_t { kOurs, kRelayClient, kRelayServer };
  explicit Connection(ConnectionId id) { info.id = id; }

  ConnectionInfo info;
  Use use = Use::kOurs;
  crypto::KeyPair key;                        // Ours.
  std::unique_ptr<ConnectOptions> options;    // Of a dial.
  std::unique_ptr<ConnectFlow> flow;          // Of a dial, until a path is taken.
  std::optional<uint32_t> slot;               // Of a knock: its handshake at the server of our key.
  // The first messages that made it and moved it, by hash, the latest last. A replay of one would move it to whoever sent that.
  static constexpr size_t kHandshakesMax = 16;
  std::vector<Key32> handshakes;
  bool asks = false;                          // PeerKnocked was told; Admit or Refuse has not come.
  Instant admit_until = kNever;

  std::optional<udx::StreamId> stream;
  uint32_t remote_stream = 0;
  std::optional<crypto::SessionKeys> keys;
  std::optional<secret_stream::SecretStream> secret;  // Once there are keys.
  SocketId socket{};                          // Its packets leave from here, once a path is chosen.
  std::optional<SocketId> own_socket;         // A socket of a punch, which lives as long as the stream uses it.
  Instant first_bytes_until = kNever, heard_at = kNever;
  bool remote_keeps_alive = false;            // The other side sent an empty message.
  // The next path is taken in place of the one that we have: the handshake was run again for it.
  bool migrating = false;
  bool relay_only = false;                    // One of the two sides wants it so: RelayPolicy::kOnly.
  bool stays = false;                         // The other side does not know of migration.
  Instant migrate_at = kNever;

  std::optional<Relaying> relaying;
  Upgrade upgrade = Upgrade::kNone;
  std::unique_ptr<protomux::Mux> mux;         // Of a connection that serves relaying.
  std::unique_ptr<protomux::BlindRelayClient> relay_client;
  absl::btree_set<std::pair<Key32, ConnectionId>> relay_users;  // Connections that need this one to the relay, by token.
  std::vector<uint8_t> early;                          // What the stream brought before there were keys.
  std::vector<Endpoint> remote_addresses;     // As the other side lists them, its public one not.
  std::vector<std::string> pending;           // Messages that wait for keys.
  size_t pending_bytes = 0;
  bool wants_end = false;                     // End was called before there were keys.
  // Of the receive window: message bytes that the parent still holds, and stream bytes that were not given back.
  size_t unread = 0, held = 0;
  uint64_t sent_now = 0, received_now = 0;    // Message bytes of this turn, for the trace.
  Instant armed = kNever;

  bool open() const { return info.step == ConnectStep::kOpen; }
};

struct Peers::State {
  explicit State(const PeersConfig& c) : config(c), streams({.deployed = c.js_compat}) {}

  World world(Turn& turn, Node& node) { return {turn, node.rpc, limiter, locals}; }
  void FillInfo(Connection& c);
  void TraceOpened(Turn& turn, Connection& c);
  void TraceBytes(Turn& turn, Connection& c);
  void TraceEnd(Turn& turn, Connection& c, ConnectCode code);
  void UpdateLocals(const std::vector<Interface>& interfaces, const dht::Rpc& rpc);

  // peers.cc
  Connection* Find(ConnectionId id);
  std::unique_ptr<Connection> Take(ConnectionId id);
  // To the machine that asked for what came: the connection's dial, or the knock that it is. False if neither takes it.
  bool Offer(Turn& turn, Node& node, ConnectionId id, News& news, absl::FunctionRef<bool(ConnectFlow&, ConnectFlow::News&)> to_flow,
             absl::FunctionRef<bool(Knock&, Knock::News&)> to_knock);
  Connection& Make(Turn& turn, Connection::Use use, bool initiator, const Key32& server, const Key32& remote_key, const crypto::KeyPair& key);
  Server* ServerOfTarget(const Key32& target);
  Server* ServerOfKey(const Key32& key);
  // Where it knocked, or, of one that we dialled, where the other side knocked to move it. Null: there is none any more.
  Server* ServerOf(const Connection& c) { return ServerOfKey(c.key.public_key); }
  void Wake(Turn& turn) { wake_at = std::min(wake_at, turn.now + Duration(1)); }
  // After whatever may have changed when it must be woken.
  void Rearm(Connection& c);
  void Enter(Turn& turn, Connection& c, ConnectStep step);
  // Each ends it: `c` is gone afterwards. The stream is destroyed unless it is gone already.
  void Fail(Turn& turn, Node& node, Connection& c, ConnectCode code, News& news);
  void Close(Turn& turn, Node& node, Connection& c, ConnectCode code, News& news);
  void Forget(Turn& turn, Node& node, Connection& c, News& news);
  void RunCalls(Turn& turn, Node& node, News& news);
  void OnTime(Turn& turn, Node& node, Connection& c, News& news);

  // peers_server.cc
  void OnAnnouncer(Turn& turn, Server& s, const Announcer::News& happened, News& news);
  bool OnHandshake(Turn& turn, Node& node, Server& s, const dht::Request& request, News& news);
  bool OnHolepunch(Turn& turn, Node& node, Server& s, const dht::Request& request, News& news);
  NoisePayload OurAnswer(const std::optional<Ipv4Address>& open, const Connection& c, const Server& s, uint64_t error) const;
  void AnswerKnock(Turn& turn, Node& node, Connection& c, News& news);
  void RefuseKnock(Turn& turn, Connection& c);
  void TakeKnock(Turn& turn, Node& node, Server& s, uint32_t slot, const Knock::News& happened, News& news);
  void SettleKnock(Turn& turn, Node& node, Connection& c, std::optional<SocketId> keep);
  void FreeSlot(Server& s, uint32_t slot);
  void OnSlotTime(Turn& turn, Node& node, Server& s, uint32_t slot, News& news);
  void StopServer(Turn& turn, Node& node, Server& s, News& news);
  Knock* KnockOf(const Connection& c);

  // peers_paths.cc
  void BeginDial(Turn& turn, Node& node, Connection& c, News& news);
  NoisePayload OurPayload(Turn& turn, Node& node, Connection& c);
  void TakeFlow(Turn& turn, Node& node, Connection& c, const ConnectFlow::News& happened, News& news);
  void OnHandshaken(Turn& turn, Node& node, Connection& c, const Accepted& accepted, News& news);
  void UsePath(Turn& turn, Node& node, Connection& c, SocketId socket, const Endpoint& to, Path path, News& news);
  Path KindOf(const Connection& c, const Endpoint& from) const;
  // The relay carries the stream from now on. A punch goes on beside it.
  void UseRelay(Turn& turn, Node& node, Connection& c, const Connection& control, uint32_t remote_id, News& news);
  void TakePath(Turn& turn, Connection& c, SocketId socket, const Endpoint& to, Path path);
  void ReleaseSocket(Connection& c);
  void MakeStream(Turn& turn, Connection& c);
  void StartSecret(Turn& turn, Connection& c, const crypto::SessionKeys& keys);
  void RememberRoute(const Key32& key, const std::vector<Endpoint>& relays);
  std::vector<Ipv4Address> Candidates(Turn& turn, Node& node, const Connection& c);

  // peers_migrate.cc
  void OnMoved(Turn& turn);
  void StartMigration(Turn& turn, Node& node, Connection& c, News& news);
  void OnMigrationTime(Turn& turn, Node& node, Connection& c, News& news);
  Instant MigrationDeadline(const Connection& c) const;
  // The connection that this handshake moves; null if it begins a new one.
  Connection* Moved(const Server& s, const ServerHandshake& handshake);
  void Migrate(Turn& turn, Connection& c, SocketId socket, const Endpoint& to, Path path, News& news);

  // peers_relay.cc
  std::optional<NoisePayload::RelayThrough> OfferRelay(Turn& turn, Connection& c, const std::optional<Key32>& through, RelayPolicy policy);
  // Both sides' words are known: whose relay it is.
  void AgreeOnRelay(Connection& c, const std::optional<NoisePayload::RelayThrough>& theirs, RelayPolicy policy);
  // False if there is no relay to turn to.
  bool StartRelay(Turn& turn, Connection& c);
  // No direct way is being tried any more: `code` says why. The relay is the last hope.
  void FailOrRelay(Turn& turn, Node& node, Connection& c, ConnectCode code, News& news);
  void AskRelay(Turn& turn, Connection& control, Connection& c);
  std::vector<ConnectionId> UsersOf(const Connection& control) const;  // The oldest first.
  void OnRelayPaired(Turn& turn, Node& node, Connection& control, const Key32& token, uint32_t remote_id, News& news);
  void RelayFailed(Turn& turn, Node& node, Connection& c, News& news);
  void LeaveRelay(Turn& turn, Connection& c);
  // The connection to, or at, a relay.
  void OnControlOpened(Turn& turn, Node& node, Connection& c, News& news);
  void OnControlMessages(Turn& turn, Node& node, Connection& c, absl::Span<const Bytes> messages, News& news);
  void OnControlGone(Turn& turn, Node& node, Connection& c, News& news);
  void SendControl(Turn& turn, Connection& c, protomux::Out& out);
  void TakeRelayServer(Turn& turn, const protomux::BlindRelayServer::News& happened);
  void OnRelayTime(Turn& turn, Node& node, Connection& c, News& news);
  // Of the streams that we relay. False if it is none.
  bool OnRelayStream(Turn& turn, const udx::News& happened, udx::StreamId stream, size_t index);
  void OnRelayServerTime(Turn& turn);
  void CutRelayLink(Turn& turn, protomux::RelayLink link);
  // What a better path means for the relay.
  void OnPathConfirmed(Turn& turn, Connection& c);

  // peers_streams.cc
  void TakeStreams(Turn& turn, Node& node, udx::News& happened, News& news);
  // True if the stream goes there from now on.
  bool OnSeen(Turn& turn, Node& node, Connection& c, const udx::RemoteSeen& seen, News& news);
  void OnBytes(Turn& turn, Node& node, Connection& c, Bytes bytes, News& news);
  void OnUnordered(Turn& turn, Connection& c, Bytes bytes, News& news);
  void OnStreamClosed(Turn& turn, Node& node, Connection& c, udx::CloseReason why, News& news);
  void EndStream(Turn& turn, Connection& c);
  bool HasToSpeak(const Connection& c) const;
  void KeepAlive(Turn& turn, Connection& c);
  void GiveBack(Turn& turn, Connection& c);
  void WriteMessage(Turn& turn, Connection& c, Bytes message);
  void SendPending(Turn& turn, Connection& c);

  PeersConfig config;
  udx::Streams streams;
  PunchLimiter limiter;
  std::vector<Endpoint> locals;
  std::optional<Endpoint> locals_of;          // The bound address that they are of; none: they must be found anew.
  absl::btree_map<ConnectionId, std::unique_ptr<Connection>> connections;
  size_t ours = 0;                            // Of them, by Connection::Use.
  absl::btree_map<udx::StreamId, ConnectionId> by_stream;
  absl::btree_map<Key32, std::unique_ptr<Server>> servers;
  absl::btree_set<std::pair<Key32, ConnectionId>> by_remote_key;
  absl::btree_map<Key32, std::vector<Endpoint>> routes;  // Relays of peers that we met.
  std::vector<Key32> routes_by_age;
  absl::btree_map<std::pair<Key32, Key32>, ConnectionId> controls;   // To relays, by (our key, the relay's key).
  protomux::BlindRelayServer relay_server;
  struct RelayHalf {
    protomux::RelayLink link;
    uint32_t remote_id;
    udx::StreamId other;
    uint64_t bytes = 0;                       // That had come when it was last looked at.
  };
  absl::btree_map<udx::StreamId, RelayHalf> relay_halves;
  Instant relay_sweep_at = kNever;
  Deadlines<ConnectionId> deadlines;

  // Calls that wait for the node: what Flush carries out.
  std::vector<ConnectionId> to_begin, to_answer;
  std::vector<Key32> to_listen;
  std::vector<ConnectionId> to_destroy;       // To relays that nobody needs any more.
  std::vector<std::unique_ptr<Connection>> to_forget;
  std::vector<std::unique_ptr<Server>> to_stop;
  std::vector<SocketId> to_close;             // When no stream uses them any more.
  std::vector<ConnectionId> touched;          // Moved message bytes in this turn.
  // What spans of this turn's news point to.
  std::vector<std::unique_ptr<uint8_t[]>> kept_bytes;
  std::vector<std::vector<uint8_t>> kept;
  std::vector<Withdrawal> withdrawals;
  News late;                                  // Of what Flush did.
  Instant wake_at = kNever;
  bool streams_touched = false;
  uint32_t next_connection = 1;
};

}  // namespace orchard::hyperdht
