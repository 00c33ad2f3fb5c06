#include "node/dht/rpc.h"

#include <algorithm>
#include <utility>

#include "node/dht/rpc_state.h"

namespace orchard::dht {

Rpc::State::State(RpcConfig c)
    : config(std::move(c)),
      mux({.host = config.host, .port = config.port, .any_port = config.any_port}),
      table(Key32{}),
      adaptive(!config.persistent && !config.ephemeral && !config.bootstrap),
      force_persistent(config.bootstrap || (config.persistent && !config.ephemeral)),
      firewalled(config.firewalled.value_or(!config.bootstrap)) {
  roots.resize(config.roots.size());
  for (size_t i = 0; i < roots.size(); ++i) {
    if (!config.roots[i].name.empty()) continue;
    roots[i] = {.step = RootState::Step::kKnown, .address = config.roots[i].address};
  }
}

Rpc::Rpc(RpcConfig config) : state_(std::make_unique<State>(std::move(config))) {}
Rpc::~Rpc() = default;
Rpc::Rpc(Rpc&&) noexcept = default;
Rpc& Rpc::operator=(Rpc&&) noexcept = default;

void Rpc::OnStart(Turn& turn, News&) {
  State& s = *state_;
  Key32 centre;
  turn.rng.Fill(absl::MakeSpan(centre));
  s.table = RoutingTable(centre);
  s.requests.set_first_tid(uint16_t(turn.rng.Below(65536)));
  // Ticks of nodes that start together are spread.
  s.tick = uint32_t(100 - turn.rng.Below(50));
  s.refresh_ticks = int32_t(kRefreshTicks - int64_t(turn.rng.Below(kRefreshTicks / 2)));
  s.stable_ticks = s.adaptive ? kStableTicks : 0;
  s.started = s.last_tick = turn.now, s.tick_at = turn.now + kTickInterval;
  s.step = State::Step::kBinding;
  s.mux.Open(turn);
}

bool Rpc::OnSocketOpened(Turn& turn, const SocketOpened& opened, News& news) {
  State& s = *state_;
  const bool was_open = s.mux.binding() == udx::SocketMux::Binding::kOpen;
  const bool extra = s.mux.IsExtra(opened.socket);
  if (!s.mux.OnSocketOpened(turn, opened) || extra) return false;
  s.Enter(turn);
  if (s.mux.binding() == udx::SocketMux::Binding::kFailed) news.push_back(BindFailed{s.mux.failure()});
  if (!was_open && s.mux.binding() == udx::SocketMux::Binding::kOpen) s.OnOpen(turn, news);
  return true;
}

bool Rpc::OnDatagram(Turn& turn, const Datagram& d, News& news) {
  State& s = *state_;
  std::optional<udx::SocketRole> role = s.mux.role(d.socket);
  if (!role.has_value() && !s.mux.IsExtra(d.socket)) return false;
  const udx::DatagramKind kind = udx::Classify(d.payload);
  // Those who opened an extra socket know what else comes there.
  if (!role.has_value() && (kind == udx::DatagramKind::kProbe || kind == udx::DatagramKind::kUdx)) return false;
  if ((kind != udx::DatagramKind::kRequest && kind != udx::DatagramKind::kResponse) || !d.from.is_v4() || d.from.port == 0) {
    s.mux.CountDropped(kind);
    ++s.stats.foreign;
    return true;
  }
  s.Enter(turn);
  const Ipv4Address from = Ipv4Address::Of(d.from);
  if (s.probe != nullptr && role == udx::SocketRole::kServer && s.probe->server_hosts.size() < kServerHostsMax) {
    s.probe->server_hosts.push_back(from.host);
  }
  const bool external = d.socket != s.AskingSocket();
  if (kind == udx::DatagramKind::kRequest) {
    s.OnRequest(turn, news, d.socket, d.payload, from, external);
  } else {
    s.OnResponse(turn, news, d.payload, from, external);
  }
  return true;
}

bool Rpc::OnJobDone(Turn& turn, const JobDone& done, News& news) {
  state_->Enter(turn);
  return state_->OnJobDone(turn, news, done);
}

void Rpc::OnTime(Turn& turn, News& news) {
  State& s = *state_;
  s.Enter(turn);
  if (s.deferred_at <= turn.now) {
    news.insert(news.end(), std::make_move_iterator(s.deferred.begin()), std::make_move_iterator(s.deferred.end()));
    News().swap(s.deferred);
    s.deferred_at = kNever;
  }
  if (!s.held_pings.empty()) s.AnswerHeldPings(turn);
  s.OnRequestTimers(turn, news);
  if (s.tick_at <= turn.now) s.OnTick(turn, news);
}

Instant Rpc::next_deadline() const {
  const State& s = *state_;
  Instant next = std::min({s.tick_at, s.deferred_at, s.requests.next_deadline()});
  for (const State::HeldPing& h : s.held_pings) next = std::min(next, h.at);
  return next;
}

void Rpc::OnStop(Turn& turn) {
  State& s = *state_;
  if (s.step == State::Step::kStopped) return;
  if (s.config.cache) s.SaveCache(turn);
  s.mux.Close(turn);
  s.queries.clear(), s.held_pings.clear(), s.deferred.clear(), s.probe.reset();
  s.requests = Requests();
  s.step = State::Step::kStopped, s.tick_at = s.deferred_at = kNever;
}

namespace {

// Calls downward tell their news later; `deferred` holds no spans, since no datagram is being read.
template <class State>
void Defer(Turn& turn, State& s) {
  if (!s.deferred.empty() && s.deferred_at == kNever) s.deferred_at = turn.now + Duration(1);
}

}  // namespace

RequestId Rpc::Ask(Turn& turn, Ipv4Address to, uint64_t command, const std::optional<Key32>& target,
                   std::optional<Bytes> value, const RequestOptions& o) {
  State& s = *state_;
  s.Enter(turn);
  std::optional<RequestId> id = s.Send(turn,
                                       {.to = to, .internal = o.internal, .command = command,
                                        .target = target ? &*target : nullptr, .token = o.token ? &*o.token : nullptr,
                                        .value = value, .socket = o.socket},
                                       {.retries = o.retries, .evict = o.evict, .a = uint32_t(o.asker)});
  if (id.has_value()) return *id;
  RequestId refused = s.requests.NewId();
  s.deferred.push_back(RequestFailed{refused, to, Failure::kOverload, o.asker});
  Defer(turn, s);
  return refused;
}

RequestId Rpc::Ping(Turn& turn, Ipv4Address to, uint8_t retries, Asker asker) {
  return Ask(turn, to, uint64_t(Internal::kPing), std::nullopt, std::nullopt, {.retries = retries, .internal = true, .asker = asker});
}

void Rpc::Cancel(Turn& turn, RequestId request) {
  state_->Enter(turn);
  if (const Pending* p = state_->requests.Find(request); p != nullptr && p->purpose == Purpose::kUser) {
    state_->requests.Take(request);
  }
}

QueryId Rpc::StartQuery(Turn& turn, const QuerySpec& spec) {
  State& s = *state_;
  s.Enter(turn);
  QueryId id = s.Start(turn, s.deferred, spec, State::Kind::kUser);
  Defer(turn, s);
  return id;
}

void Rpc::Cancel(Turn& turn, QueryId query) {
  State& s = *state_;
  s.Enter(turn);
  if (State::Running* q = s.FindQuery(query)) s.FinishQuery(turn, s.deferred, *q, QueryOutcome::kCancelled);
  Defer(turn, s);
}

void Rpc::CommitTo(Turn& turn, QueryId query, size_t index, uint64_t command, std::optional<Bytes> value) {
  State& s = *state_;
  s.Enter(turn);
  State::Running* q = s.FindQuery(query);
  if (q == nullptr || q->stage != State::Running::Stage::kCommitting || q->commits_ended ||
      index >= q->search.closest().size()) {
    return;
  }
  if (!s.CommitTo(turn, *q, index, command, value)) ++q->commits_failed;
}

void Rpc::EndCommits(Turn& turn, QueryId query) {
  State& s = *state_;
  State::Running* q = s.FindQuery(query);
  if (q == nullptr || q->stage != State::Running::Stage::kCommitting) return;
  q->commits_ended = true;
  s.MaybeFinish(turn, s.deferred, *q);
  Defer(turn, s);
}

void Rpc::Reply(Turn& turn, const Request& r, std::optional<Bytes> value, const ReplyOptions& o) {
  State& s = *state_;
  s.Enter(turn);
  s.SendReply(turn, {.socket = o.socket.value_or(r.socket), .to = o.to.value_or(r.from), .tid = r.tid, .error = o.error,
                     .value = value, .token = o.token, .closer_to = o.closer && r.target ? &*r.target : nullptr});
}

void Rpc::Relay(Turn& turn, const Request& r, std::optional<Bytes> value, Ipv4Address to, std::optional<SocketId> socket) {
  State& s = *state_;
  const SocketId from = socket.value_or(r.socket);
  wire::Writer packet;
  Encode(RequestOut{.tid = r.tid, .to = to, .id = s.SendsId(from) ? &s.table.self() : nullptr, .internal = r.internal,
                    .command = r.command, .target = r.target ? &*r.target : nullptr, .value = value},
         packet);
  ++s.stats.relayed;
  s.mux.Send(turn, from, to, packet.bytes());
}

void Rpc::AddNode(Turn& turn, Ipv4Address address, News& news) {
  state_->Enter(turn);
  state_->AddNode(turn, news, {address, IdOf(address)}, nullptr);
}

std::optional<Key32> Rpc::id() const { return state_->ephemeral ? std::nullopt : std::optional(state_->table.self()); }
const Key32& Rpc::table_id() const { return state_->table.self(); }
bool Rpc::bootstrapped() const { return state_->bootstrapped; }
bool Rpc::ephemeral() const { return state_->ephemeral; }
bool Rpc::firewalled() const { return state_->firewalled; }
bool Rpc::online() const { return state_->health.online(); }
bool Rpc::degraded() const { return state_->health.degraded(); }
std::optional<uint32_t> Rpc::public_host() const { return state_->nat.host(); }
uint16_t Rpc::public_port() const { return state_->nat.port(); }

std::optional<Ipv4Address> Rpc::remote_address() const {
  const State& s = *state_;
  if (!s.nat.host() || s.nat.port() == 0 || s.firewalled) return std::nullopt;
  if (s.mux.binding() != udx::SocketMux::Binding::kOpen) return std::nullopt;
  if (s.mux.local(udx::SocketRole::kServer).port != s.nat.port()) return std::nullopt;
  return Ipv4Address{*s.nat.host(), s.nat.port()};
}

size_t Rpc::nodes() const { return state_->table.size(); }

std::vector<Contact> Rpc::Nodes(size_t limit) const {
  const RoutingTable& t = state_->table;
  std::vector<Contact> out;
  for (RoutingTable::Slot s = t.latest(); s != RoutingTable::kNone && out.size() < limit; s = t[s].older) {
    out.push_back({t[s].address(), t[s].id});
  }
  return out;
}

std::vector<Contact> Rpc::Closest(const Key32& target, size_t k) const {
  std::vector<Contact> out;
  const RoutingTable& t = state_->table;
  t.Closest(target, k, [&](Ipv4Address a, RoutingTable::Slot s) { out.push_back({a, t[s].id}); });
  return out;
}

size_t Rpc::requests_in_flight() const { return state_->requests.size(); }
size_t Rpc::queries_running() const { return state_->queries.size(); }
const RpcStats& Rpc::stats() const { return state_->stats; }
const RpcConfig& Rpc::config() const { return state_->config; }
udx::SocketMux& Rpc::sockets() { return state_->mux; }
const udx::SocketMux& Rpc::sockets() const { return state_->mux; }

}  // namespace orchard::dht
