#include "node/hyperdht/peers.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "node/hyperdht/addresses.h"
#include "node/hyperdht/connect_moves.h"
#include "node/hyperdht/connect_trace.h"
#include "node/hyperdht/peers_state.h"

namespace orchard::hyperdht {

Peers::Peers(const PeersConfig& config) : config_(config) {}
Peers::~Peers() = default;
Peers::Peers(Peers&&) noexcept = default;
Peers& Peers::operator=(Peers&&) noexcept = default;

Peers::State& Peers::state() {
  if (state_ == nullptr) state_ = std::make_unique<State>(config_);
  return *state_;
}

// ---- Calls ----

bool Peers::Listen(Turn& turn, const ListenOptions& options, News& news) {
  State& s = state();
  if (Server* server = s.ServerOfKey(options.key.public_key)) {
    server->set_options(options);
    if (server->announcer().stored()) news.push_back(ServerListening{server->public_key()});
    return true;
  }
  if (s.servers.size() >= kServersMax) return false;
  s.servers.emplace(options.key.public_key, std::make_unique<Server>(options, !s.config.js_compat));
  s.to_listen.push_back(options.key.public_key);
  s.Wake(turn);
  return true;
}

bool Peers::Unlisten(Turn& turn, const Key32& public_key) {
  if (idle()) return false;
  State& s = state();
  auto it = s.servers.find(public_key);
  if (it == s.servers.end()) return false;
  for (auto& [id, c] : s.connections) {
    if (c->key.public_key == public_key) c->slot.reset();
  }
  s.to_stop.push_back(std::move(it->second));
  s.servers.erase(it);
  s.Wake(turn);
  return true;
}

void Peers::Admit(Turn& turn, ConnectionId id, News&) {
  if (idle()) return;
  State& s = state();
  Connection* c = s.Find(id);
  if (c == nullptr || !std::exchange(c->asks, false)) return;
  c->admit_until = kNever;
  s.to_answer.push_back(id);
  s.Wake(turn);
}

void Peers::Refuse(Turn& turn, ConnectionId id) {
  if (idle()) return;
  State& s = state();
  Connection* c = s.Find(id);
  if (c == nullptr || !std::exchange(c->asks, false)) return;
  s.RefuseKnock(turn, *c);
  Destroy(turn, id);
}

ConnectionId Peers::Connect(Turn& turn, const Key32& remote_key, const ConnectOptions& options) {
  State& s = state();
  if (s.connections.size() >= kConnectionsMax) {
    const ConnectionId id{s.next_connection++};
    s.late.push_back(ConnectFailed{.connection = id, .initiator = true, .remote_key = remote_key, .code = ConnectCode::kOverload,
                                   .step = ConnectStep::kFindPeer});
    s.Wake(turn);
    return id;
  }
  Connection& c = s.Make(turn, Connection::Use::kOurs, true, remote_key, remote_key, options.key);
  c.options = std::make_unique<ConnectOptions>(options);
  s.to_begin.push_back(c.info.id);
  s.Wake(turn);
  return c.info.id;
}

void Peers::Send(Turn& turn, ConnectionId id, Bytes message) {
  if (idle()) return;
  State& s = state();
  Connection* c = s.Find(id);
  if (c == nullptr || message.size() > kMessageMax) return;
  if (c->secret.has_value()) return s.WriteMessage(turn, *c, message);
  c->pending.emplace_back(AsText(message));
  c->pending_bytes += message.size();
}

size_t Peers::room(ConnectionId id) const {
  if (idle()) return 0;
  const Connection* c = state_->Find(id);
  if (c == nullptr) return 0;
  if (!c->secret.has_value()) return kPendingMax - std::min(kPendingMax, c->pending_bytes);
  return state_->streams.room(*c->stream);
}

uint64_t Peers::unacknowledged(ConnectionId id) const {
  const Connection* c = idle() ? nullptr : state_->Find(id);
  if (c == nullptr) return 0;
  return c->pending_bytes + (c->stream.has_value() ? state_->streams.unacknowledged(*c->stream) : 0);
}

void Peers::Consumed(Turn& turn, ConnectionId id, size_t bytes) {
  if (idle()) return;
  Connection* c = state_->Find(id);
  if (c == nullptr) return;
  c->unread -= std::min(c->unread, bytes);
  state_->GiveBack(turn, *c);
}

void Peers::End(Turn& turn, ConnectionId id) {
  if (idle()) return;
  State& s = state();
  Connection* c = s.Find(id);
  if (c == nullptr || std::exchange(c->wants_end, true)) return;
  if (c->secret.has_value()) s.EndStream(turn, *c);
}

void Peers::Destroy(Turn& turn, ConnectionId id) {
  if (idle()) return;
  State& s = state();
  Connection* found = s.Find(id);
  if (found == nullptr) return;
  Connection& c = *found;
  s.TraceEnd(turn, c, ConnectCode::kDestroyed);
  s.LeaveRelay(turn, c);
  s.deadlines.Move(id, c.armed, kNever);
  if (c.stream.has_value()) {
    s.by_stream.erase(*c.stream);
    s.streams.Destroy(turn, *c.stream);
    s.streams_touched = true;
    c.stream.reset();
  }
  s.to_forget.push_back(s.Take(id));
  s.Wake(turn);
}

const ConnectionInfo* Peers::info(ConnectionId id) const {
  if (idle()) return nullptr;
  Connection* c = state_->Find(id);
  if (c == nullptr) return nullptr;
  state_->FillInfo(*c);
  return &c->info;
}

std::vector<ConnectionId> Peers::connections(ConnectionId after, size_t max) const {
  std::vector<ConnectionId> out;
  if (idle()) return out;
  const auto& all = state_->connections;
  for (auto it = all.upper_bound(after); it != all.end() && out.size() < max; ++it) {
    if (it->second->use == Connection::Use::kOurs) out.push_back(it->first);
  }
  return out;
}

size_t Peers::size() const { return idle() ? 0 : state_->ours; }

std::optional<ConnectionId> Peers::Find(const Key32& remote_key) const {
  std::optional<ConnectionId> first;
  if (idle()) return first;
  const auto& all = state_->by_remote_key;
  for (auto it = all.lower_bound({remote_key, ConnectionId{}}); it != all.end() && it->first == remote_key; ++it) {
    const Connection& c = *state_->Find(it->second);
    if (c.use != Connection::Use::kOurs) continue;
    if (c.open()) return it->second;
    if (!first.has_value()) first = it->second;
  }
  return first;
}

std::vector<ConnectionId> Peers::connections(const Key32& remote_key, size_t max) const {
  std::vector<ConnectionId> out;
  if (idle()) return out;
  const auto& all = state_->by_remote_key;
  for (auto it = all.lower_bound({remote_key, ConnectionId{}}); it != all.end() && it->first == remote_key && out.size() < max; ++it) {
    if (state_->Find(it->second)->use == Connection::Use::kOurs) out.push_back(it->second);
  }
  return out;
}

std::vector<Peers::Listening> Peers::servers() const {
  std::vector<Listening> out;
  if (idle()) return out;
  for (const auto& [key, server] : state_->servers) out.push_back({key, server->announcer().stored()});
  return out;
}

std::vector<Endpoint> Peers::relay_addresses(const Key32& public_key) const {
  std::vector<Endpoint> out;
  if (idle()) return out;
  auto it = state_->servers.find(public_key);
  if (it == state_->servers.end()) return out;
  for (const NoisePayload::Relay& r : it->second->announcer().relays()) out.push_back(r.relay_address);
  return out;
}

// ---- One connection ----

Connection* Peers::State::Find(ConnectionId id) {
  auto it = connections.find(id);
  return it == connections.end() ? nullptr : it->second.get();
}

std::unique_ptr<Connection> Peers::State::Take(ConnectionId id) {
  auto it = connections.find(id);
  std::unique_ptr<Connection> c = std::move(it->second);
  connections.erase(it);
  if (c->use == Connection::Use::kOurs) --ours;
  by_remote_key.erase({c->info.remote_key, id});
  return c;
}

bool Peers::State::Offer(Turn& turn, Node& node, ConnectionId id, News& news,
                         absl::FunctionRef<bool(ConnectFlow&, ConnectFlow::News&)> to_flow,
                         absl::FunctionRef<bool(Knock&, Knock::News&)> to_knock) {
  Connection* c = Find(id);
  if (c == nullptr) return false;
  ConnectFlow::News of_flow;
  if (c->flow != nullptr && to_flow(*c->flow, of_flow)) return TakeFlow(turn, node, *c, of_flow, news), true;
  Knock::News of_knock;
  Knock* knock = KnockOf(*c);
  if (knock == nullptr || !to_knock(*knock, of_knock)) return false;
  TakeKnock(turn, node, *ServerOf(*c), *c->slot, of_knock, news);
  return true;
}

Connection& Peers::State::Make(Turn& turn, Connection::Use use, bool initiator, const Key32& server, const Key32& remote_key,
                               const crypto::KeyPair& key) {
  const ConnectionId id{next_connection++};
  Connection& c = *connections.emplace(id, std::make_unique<Connection>(id)).first->second;
  c.use = use, c.info.initiator = initiator, c.info.server = server, c.info.remote_key = remote_key, c.key = key;
  c.info.began = turn.now;
  if (use == Connection::Use::kOurs) ++ours;
  by_remote_key.insert({remote_key, id});
  c.info.step = initiator ? ConnectStep::kFindPeer : ConnectStep::kHandshake;
  c.info.history.push_back({c.info.step, turn.now});
  if (use != Connection::Use::kOurs) return c;
  turn.trace.Add(ConnectBegan{.connection = uint32_t(id), .peer = c.info.remote_key, .initiator = initiator});
  turn.trace.Add(ConnectStepped{.connection = uint32_t(id), .step = StepName(c.info.step)});
  return c;
}

void Peers::State::Enter(Turn& turn, Connection& c, ConnectStep step) {
  if (c.info.step == step) return;
  CHECK(std::any_of(std::begin(kConnectMoves), std::end(kConnectMoves),
                    [&](const ConnectMove& m) { return m.from == c.info.step && m.to == step; }));
  c.info.step = step;
  constexpr size_t kHistoryMax = 16;
  if (c.info.history.size() < kHistoryMax) c.info.history.push_back({step, turn.now});
  if (c.use == Connection::Use::kOurs) turn.trace.Add(ConnectStepped{.connection = uint32_t(c.info.id), .step = StepName(step)});
}

void Peers::State::FillInfo(Connection& c) {
  const Puncher* p = c.flow != nullptr ? c.flow->puncher() : nullptr;
  if (const Knock* k = KnockOf(c)) p = k->puncher(), c.info.rounds = std::max(c.info.rounds, k->rounds());
  if (c.flow != nullptr) c.info.attempts = c.flow->attempts(), c.info.rounds = c.flow->rounds();
  if (p != nullptr) {
    c.info.probes = p->probes();
    if (p->nat().firewall() != Firewall::kUnknown) c.info.local_nat = p->nat().firewall();
    if (p->remote_firewall() != Firewall::kUnknown) c.info.remote_nat = p->remote_firewall();
  }
  if (c.stream.has_value()) c.info.rtt = streams.stats(*c.stream).rtt;
}

namespace {

std::string_view NatName(Firewall f) {
  switch (f) {
    case Firewall::kUnknown: return "unknown";
    case Firewall::kOpen: return "open";
    case Firewall::kConsistent: return "consistent";
    case Firewall::kRandom: return "random";
  }
  return "";
}

}  // namespace

void Peers::State::TraceOpened(Turn& turn, Connection& c) {
  FillInfo(c);
  if (c.use != Connection::Use::kOurs) return;
  turn.trace.Add(ConnectOpened{.connection = uint32_t(c.info.id), .peer = c.info.remote_key, .initiator = c.info.initiator,
                               .path = PathName(c.info.path), .took_ns = uint64_t((turn.now - c.info.began).count()),
                               .attempts = c.info.attempts, .probes = c.info.probes, .local_nat = NatName(c.info.local_nat),
                               .remote_nat = NatName(c.info.remote_nat)});
}

void Peers::State::TraceBytes(Turn& turn, Connection& c) {
  const auto id = uint32_t(c.info.id);
  if (c.use != Connection::Use::kOurs) return void(c.sent_now = c.received_now = 0);
  if (c.sent_now > 0) turn.trace.Add(StreamSent{.connection = id, .bytes = std::exchange(c.sent_now, 0)});
  if (c.received_now > 0) turn.trace.Add(StreamReceived{.connection = id, .bytes = std::exchange(c.received_now, 0)});
}

void Peers::State::TraceEnd(Turn& turn, Connection& c, ConnectCode code) {
  FillInfo(c);
  if (c.use != Connection::Use::kOurs) return;
  TraceBytes(turn, c);
  const auto id = uint32_t(c.info.id);
  if (c.open()) {
    turn.trace.Add(ConnectClosed{.connection = id, .peer = c.info.remote_key, .code = CodeName(code),
                                 .sent_bytes = c.info.bytes_sent, .received_bytes = c.info.bytes_received});
  } else {
    turn.trace.Add(ConnectFailure{.connection = id, .peer = c.info.remote_key, .initiator = c.info.initiator, .code = CodeName(code),
                                  .step = StepName(c.info.step), .took_ns = uint64_t((turn.now - c.info.began).count()),
                                  .attempts = c.info.attempts, .probes = c.info.probes, .local_nat = NatName(c.info.local_nat),
                                  .remote_nat = NatName(c.info.remote_nat)});
  }
}

void Peers::State::Fail(Turn& turn, Node& node, Connection& c, ConnectCode code, News& news) {
  if (c.open()) return Close(turn, node, c, code, news);
  TraceEnd(turn, c, code);
  if (c.use == Connection::Use::kOurs) {
    news.push_back(ConnectFailed{.connection = c.info.id, .initiator = c.info.initiator, .remote_key = c.info.remote_key,
                                 .code = code, .step = c.info.step, .local_nat = c.info.local_nat, .remote_nat = c.info.remote_nat,
                                 .direct = c.info.direct, .relay = c.info.relay});
  }
  Forget(turn, node, c, news);
}

void Peers::State::Close(Turn& turn, Node& node, Connection& c, ConnectCode code, News& news) {
  TraceEnd(turn, c, code);
  if (c.use == Connection::Use::kOurs) {
    news.push_back(ConnectionClosed{.connection = c.info.id, .remote_key = c.info.remote_key, .code = code});
  }
  Forget(turn, node, c, news);
}

void Peers::State::Forget(Turn& turn, Node& node, Connection& c, News& news) {
  if (c.flow != nullptr) {
    World w = world(turn, node);
    c.flow->Stop(w, std::nullopt);
  }
  SettleKnock(turn, node, c, std::nullopt);
  LeaveRelay(turn, c);
  if (c.stream.has_value()) {
    by_stream.erase(*c.stream);
    if (streams.exists(*c.stream)) streams.Destroy(turn, *c.stream);
    streams_touched = true;
  }
  ReleaseSocket(c);
  deadlines.Move(c.info.id, c.armed, kNever);
  // Those that relied on it are told after it is gone.
  const std::unique_ptr<Connection> gone = Take(c.info.id);
  OnControlGone(turn, node, *gone, news);
}

void Peers::State::Rearm(Connection& c) {
  Instant next = std::min(c.admit_until, c.first_bytes_until);
  if (c.relaying.has_value()) next = std::min(next, c.relaying->until);
  if (c.flow != nullptr) next = std::min(next, c.flow->next_deadline());
  if (c.secret.has_value()) next = std::min(next, c.secret->next_deadline());
  next = std::min(next, MigrationDeadline(c));
  if (HasToSpeak(c)) next = std::min(next, c.heard_at + config.silence_max);
  // A later one is left to the wake-up of the earlier: a busy stream moves its own with every packet.
  if (c.armed <= next) return;
  deadlines.Move(c.info.id, c.armed, next);
  c.armed = next;
}

void Peers::State::RunCalls(Turn& turn, Node& node, News& news) {
  World w = world(turn, node);
  for (std::unique_ptr<Connection>& c : std::exchange(to_forget, {})) {
    if (c->flow != nullptr) c->flow->Stop(w, std::nullopt);
    SettleKnock(turn, node, *c, std::nullopt);
    ReleaseSocket(*c);
  }
  for (ConnectionId id : std::exchange(to_destroy, {})) {
    if (Connection* c = Find(id); c != nullptr && c->relay_users.empty()) Fail(turn, node, *c, ConnectCode::kDestroyed, news);
  }
  for (std::unique_ptr<Server>& s : std::exchange(to_stop, {})) StopServer(turn, node, *s, news);
  for (const Key32& key : std::exchange(to_listen, {})) {
    Server* s = ServerOfKey(key);
    if (s == nullptr) continue;
    node.router.Own(s->target(), Peer{.public_key = key}.Encode());
    Announcer::News happened;
    s->announcer().Start(turn, node.rpc, happened);
    OnAnnouncer(turn, *s, happened, news);
  }
  for (ConnectionId id : std::exchange(to_begin, {})) {
    if (Connection* c = Find(id)) BeginDial(turn, node, *c, news);
  }
  for (ConnectionId id : std::exchange(to_answer, {})) {
    if (Connection* c = Find(id)) AnswerKnock(turn, node, *c, news);
  }
}

void Peers::State::OnTime(Turn& turn, Node& node, Connection& c, News& news) {
  deadlines.Move(c.info.id, std::exchange(c.armed, kNever), kNever);
  if (c.admit_until <= turn.now) {  // Nobody decided: as if refused.
    RefuseKnock(turn, c);
    return Fail(turn, node, c, ConnectCode::kRefused, news);
  }
  if (c.first_bytes_until <= turn.now) return Fail(turn, node, c, ConnectCode::kTimedOut, news);
  if (HasToSpeak(c) && c.heard_at + config.silence_max <= turn.now) {
    // What it says to a sender is mostly that our bytes have come.
    c.heard_at = std::max(c.heard_at, streams.heard_at(*c.stream));
    // While a deployed node's bytes are held back, it may be that it cannot send.
    if (config.js_compat && c.held > 0) c.heard_at = turn.now;
    if (c.heard_at + config.silence_max <= turn.now) return Close(turn, node, c, ConnectCode::kTimedOut, news);
  }
  KeepAlive(turn, c);
  const ConnectionId id = c.info.id;
  OnRelayTime(turn, node, c, news);
  if (Find(id) == nullptr) return;
  OnMigrationTime(turn, node, c, news);
  if (c.flow != nullptr && c.flow->next_deadline() <= turn.now) {
    World w = world(turn, node);
    ConnectFlow::News happened;
    c.flow->OnTime(w, happened);
    return TakeFlow(turn, node, c, happened, news);
  }
  Rearm(c);
}

void Peers::State::UpdateLocals(const std::vector<Interface>& interfaces, const dht::Rpc& rpc) {
  const Endpoint& bound = rpc.sockets().local(udx::SocketRole::kServer);
  if (locals_of == bound) return;
  locals = LocalAddresses(interfaces, bound);
  locals_of = bound;
}

Server* Peers::State::ServerOfKey(const Key32& key) {
  auto it = servers.find(key);
  return it == servers.end() ? nullptr : it->second.get();
}

Server* Peers::State::ServerOfTarget(const Key32& target) {
  for (auto& [key, server] : servers) {
    if (server->target() == target) return server.get();
  }
  return nullptr;
}

}  // namespace orchard::hyperdht
