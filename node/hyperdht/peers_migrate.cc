// Peers, continued: a new path for a connection that is open (ours; the deployed nodes close it and begin another). Whoever
// lost its path runs the handshake again, with the same keys and the same stream id. The other side knows by these that it is
// no new connection, answers with its own stream id of before, and both streams go on at the new addresses.

#include <algorithm>
#include <utility>

#include "node/hyperdht/connect_trace.h"
#include "node/hyperdht/peers_state.h"

namespace orchard::hyperdht {

// Keep-alives come every five seconds: after so long the path is dead, or they were lost.
constexpr Duration kPathSilence = std::chrono::seconds(7);

void Peers::State::OnMoved(Turn& turn) {
  if (config.js_compat) return;
  for (auto& [id, c] : connections) {
    if (!c->open() || c->stays || c->info.path == Path::kRelayed) continue;  // That of a relay goes where its control goes.
    c->migrate_at = turn.now + Duration(1);
    Rearm(*c);
  }
}

Instant Peers::State::MigrationDeadline(const Connection& c) const {
  if (!c.open() || config.js_compat || c.stays || c.flow != nullptr || c.info.path == Path::kRelayed) return kNever;
  // The side that dialled knows how to dial again.
  if (!c.info.initiator || !c.remote_keeps_alive) return c.migrate_at;
  return c.migrate_at != kNever ? c.migrate_at : c.heard_at + kPathSilence;  // The next try is not due before its time, however silent it is.
}

void Peers::State::OnMigrationTime(Turn& turn, Node& node, Connection& c, News& news) {
  if (MigrationDeadline(c) > turn.now) return;
  // Of a sender, that its bytes arrive. (That something comes from elsewhere says nothing of the way there.)
  c.heard_at = std::max(c.heard_at, streams.acked_at(*c.stream));
  if (MigrationDeadline(c) > turn.now) return;
  // Since the last attempt something came: the path lives.
  if (c.migrating && c.heard_at + kMigrateAgain > turn.now) {
    c.migrating = false, c.migrate_at = kNever;
    return;
  }
  c.migrate_at = turn.now + kMigrateAgain;
  if (c.heard_at + kPathSilence <= turn.now && !node.rpc.online()) return;
  StartMigration(turn, node, c, news);
}

void Peers::State::StartMigration(Turn& turn, Node& node, Connection& c, News& news) {
  c.migrating = true;
  NoisePayload ours{.firewall = uint64_t(Firewall::kUnknown), .addresses4 = locals,
                    .udx = NoisePayload::Udx{.id = uint32_t(*c.stream)}, .secret_stream = 1};
  // What we knew of our own address is of before.
  ConnectFlow::Spec spec{.target = Hash(c.info.remote_key), .candidates = Candidates(turn, node, c), .firewalled = true,
                         .birthday = config.birthday, .punches = std::max(c.options == nullptr ? PunchPolicy::kAny : c.options->punches, config.punches),
                         .confirm = !config.js_compat, .connection = c.info.id};
  ClientHandshake handshake(turn, c.key, c.info.remote_key, ours);
  if (handshake.message().empty()) return;
  c.flow = std::make_unique<ConnectFlow>(std::move(spec), std::move(handshake));
  World w = world(turn, node);
  ConnectFlow::News happened;
  c.flow->Begin(w, happened);
  TakeFlow(turn, node, c, happened, news);
}

Connection* Peers::State::Moved(const Server& s, const ServerHandshake& handshake) {
  if (config.js_compat || !handshake.payload().udx.has_value()) return nullptr;
  const Key32& key = handshake.remote_key();
  for (auto it = by_remote_key.lower_bound({key, ConnectionId{}}); it != by_remote_key.end() && it->first == key; ++it) {
    Connection* c = Find(it->second);
    if (c->open() && c->key.public_key == s.public_key() && c->remote_stream == handshake.payload().udx->id) return c;
  }
  return nullptr;
}

void Peers::State::Migrate(Turn& turn, Connection& c, SocketId socket, const Endpoint& to, Path, News&) {
  c.migrating = false, c.migrate_at = kNever;
  streams.ChangeRemote(turn, *c.stream, socket, to, c.remote_stream, /*abandon_old=*/true);
  // Perhaps there is nothing to send again, and the other side waits for a packet that tells where we are.
  streams.SendMessage(turn, *c.stream, {});
  if (c.use == Connection::Use::kOurs) turn.trace.Add(ConnectRemoteChanged{.connection = uint32_t(c.info.id), .peer = c.info.remote_key});
  if (c.use != Connection::Use::kRelayClient) return;
  for (ConnectionId id : UsersOf(c)) {
    Connection* user = Find(id);
    if (user->info.path != Path::kRelayed) continue;
    streams.ChangeRemote(turn, *user->stream, socket, to, user->relaying->remote_stream, /*abandon_old=*/true);
    streams.SendMessage(turn, *user->stream, {});
    user->socket = socket, user->info.remote = to;
  }
}

}  // namespace orchard::hyperdht
