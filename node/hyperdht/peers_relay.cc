// Peers, continued: blind relays, from both ends of a relayed connection and as the relay itself.
// Source: npm blind-relay 1.6.1, hyperdht lib/connect.js and lib/server.js (relayConnection).

#include <algorithm>
#include <utility>

#include "node/hyperdht/connect_trace.h"
#include "node/hyperdht/peers_state.h"

namespace orchard::hyperdht {

constexpr Duration kPairingWait = std::chrono::seconds(15);
// A link over which nothing came for as long, and at most twice as long, is cut: keep-alives come every five seconds.
constexpr Duration kLinkIdleMax = std::chrono::seconds(60);

// ---- Which relay ----

std::optional<NoisePayload::RelayThrough> Peers::State::OfferRelay(Turn& turn, Connection& c, const std::optional<Key32>& through,
                                                                   RelayPolicy policy) {
  if (!through.has_value() || policy == RelayPolicy::kNever) return std::nullopt;
  Relaying r{.relay = *through, .initiator = true, .policy = policy};
  turn.rng.Fill(absl::MakeSpan(r.token));
  c.relaying = r;
  return NoisePayload::RelayThrough{.fallback = policy == RelayPolicy::kFallback, .only = policy == RelayPolicy::kOnly, .public_key = r.relay, .token = r.token};
}

void Peers::State::AgreeOnRelay(Connection& c, const std::optional<NoisePayload::RelayThrough>& theirs, RelayPolicy policy) {
  if (!theirs.has_value() || policy == RelayPolicy::kNever) return;
  // With two offers the server's holds, on both sides. Who names a relay says when to use it.
  if (policy != RelayPolicy::kOnly) policy = theirs->only ? RelayPolicy::kOnly : theirs->fallback ? RelayPolicy::kFallback : RelayPolicy::kAlways;
  c.relay_only = policy == RelayPolicy::kOnly;
  c.relaying = Relaying{.relay = theirs->public_key, .token = theirs->token, .initiator = false, .policy = policy};
}

bool Peers::State::StartRelay(Turn& turn, Connection& c) {
  if (!c.relaying.has_value() || c.relaying->step != Relaying::Step::kOffered) return false;
  Relaying& r = *c.relaying;
  r.until = turn.now + kPairingWait;
  auto [it, added] = controls.try_emplace({c.key.public_key, r.relay}, ConnectionId{});
  if (added) {
    Connection& control = Make(turn, Connection::Use::kRelayClient, true, r.relay, r.relay, c.key);
    control.options = std::make_unique<ConnectOptions>(ConnectOptions{.key = c.key});
    it->second = control.info.id;
    to_begin.push_back(control.info.id);
    Wake(turn);
  }
  Connection& control = *Find(it->second);
  r.control = control.info.id;
  r.step = Relaying::Step::kDialing;
  control.relay_users.insert({r.token, c.info.id});
  if (control.open()) AskRelay(turn, control, c);
  Rearm(c);
  return true;
}

std::vector<ConnectionId> Peers::State::UsersOf(const Connection& control) const {
  std::vector<ConnectionId> out;
  for (const auto& [token, id] : control.relay_users) out.push_back(id);
  std::sort(out.begin(), out.end());
  return out;
}

void Peers::State::AskRelay(Turn& turn, Connection& control, Connection& c) {
  protomux::Out out;
  const absl::Status asked =
      control.relay_client->Pair(*control.mux, c.relaying->token, c.relaying->initiator, uint32_t(*c.stream), out);
  if (!asked.ok()) {
    c.relaying->until = turn.now;  // OnTime gives it up.
    return Rearm(c);
  }
  c.relaying->step = Relaying::Step::kPairing;
  if (c.info.step == ConnectStep::kRelayDial) Enter(turn, c, ConnectStep::kRelayPair);
  SendControl(turn, control, out);
}

void Peers::State::FailOrRelay(Turn& turn, Node& node, Connection& c, ConnectCode code, News& news) {
  FillInfo(c);
  if (c.flow != nullptr) {
    World w = world(turn, node);
    c.flow->Stop(w, std::nullopt);
    c.flow.reset();
  }
  if (c.info.path != Path::kNone) return;  // The relay goes on carrying it.
  if (c.secret.has_value() && c.relaying.has_value()) {
    if (!c.relay_only) c.info.direct = code;
    StartRelay(turn, c);
    const Relaying::Step step = c.relaying->step;
    if (step == Relaying::Step::kDialing || step == Relaying::Step::kPairing) {
      Enter(turn, c, ConnectStep::kRelayDial);
      if (step == Relaying::Step::kPairing) Enter(turn, c, ConnectStep::kRelayPair);
      return Rearm(c);
    }
  }
  Fail(turn, node, c, code, news);
}

void Peers::State::RelayFailed(Turn& turn, Node& node, Connection& c, News& news) {
  LeaveRelay(turn, c);
  if (c.info.path != Path::kNone) return;
  // A punch may still be under way.
  const Knock* knock = KnockOf(c);
  if (c.flow != nullptr || (knock != nullptr && !knock->settled())) return;
  Fail(turn, node, c, ConnectCode::kRelayAborted, news);
}

void Peers::State::LeaveRelay(Turn& turn, Connection& c) {
  if (!c.relaying.has_value()) return;
  Relaying& r = *c.relaying;
  r.until = kNever;
  const Relaying::Step step = std::exchange(r.step, Relaying::Step::kOver);
  if (!r.control.has_value()) return;
  Connection* control = Find(*std::exchange(r.control, std::nullopt));
  if (control == nullptr) return;
  protomux::Out out;
  if (control->relay_client != nullptr && (step == Relaying::Step::kPairing || step == Relaying::Step::kPaired)) {
    control->relay_client->Unpair(*control->mux, r.token, out);
  }
  control->relay_users.erase({r.token, c.info.id});
  if (control->relay_users.empty()) {
    controls.erase({control->key.public_key, control->info.remote_key});
    if (control->open()) {
      if (control->relay_client != nullptr) control->relay_client->Close(*control->mux, out);
      SendControl(turn, *control, out);
      control->wants_end = true;
      streams.End(turn, *control->stream);
      streams_touched = true;
      control->first_bytes_until = turn.now + kFirstBytesWait;  // The relay may not end its half.
      return Rearm(*control);
    }
    to_destroy.push_back(control->info.id);
    return Wake(turn);
  }
  SendControl(turn, *control, out);
}

void Peers::State::OnRelayTime(Turn& turn, Node& node, Connection& c, News& news) {
  if (!c.relaying.has_value() || c.relaying->until > turn.now) return;
  const Connection* control = c.relaying->control.has_value() ? Find(*c.relaying->control) : nullptr;
  const bool asked = control != nullptr && c.relaying->step == Relaying::Step::kPairing;
  c.info.relay = !asked ? RelayFailure::kUnreachable : control->relay_client->opened() ? RelayFailure::kNobodyCame : RelayFailure::kRefused;
  RelayFailed(turn, node, c, news);
}

// ---- The connection to a relay ----

void Peers::State::SendControl(Turn& turn, Connection& c, protomux::Out& out) {
  for (const std::string& message : out) WriteMessage(turn, c, AsBytes(message));
  out.clear();
}

void Peers::State::OnControlOpened(Turn& turn, Node&, Connection& c, News&) {
  c.mux = std::make_unique<protomux::Mux>();
  protomux::News mux_news;
  protomux::Out out;
  if (c.use == Connection::Use::kRelayServer) {
    // One too many is not served: its messages find no channel, and it goes.
    if (!relay_server.Accept(protomux::RelaySession{uint32_t(c.info.id)}, c.info.remote_key, *c.mux, mux_news, out)) {
      turn.trace.Add(ConnectRefused{.why = "overload"});
      to_destroy.push_back(c.info.id);
      return Wake(turn);
    }
    return SendControl(turn, c, out);
  }
  c.relay_client = std::make_unique<protomux::BlindRelayClient>(c.key.public_key, *c.mux, mux_news, out);
  SendControl(turn, c, out);
  for (ConnectionId id : UsersOf(c)) AskRelay(turn, c, *Find(id));
}

void Peers::State::OnControlMessages(Turn& turn, Node& node, Connection& c, absl::Span<const Bytes> messages, News& news) {
  const ConnectionId id = c.info.id;
  for (Bytes message : messages) {
    protomux::News items;
    protomux::Out out;
    const absl::Status status = c.mux->OnMessage(message, items, out);
    protomux::BlindRelayClient::News client;
    protomux::BlindRelayServer::News server;
    for (const protomux::Item& item : items.list) {
      if (c.relay_client != nullptr) c.relay_client->OnNews(item, client);
      else relay_server.OnNews(turn, protomux::RelaySession{uint32_t(id)}, item, server);
    }
    TakeRelayServer(turn, server);
    c.mux->EndTurn(out);
    SendControl(turn, c, out);
    for (const auto& n : client) {
      if (auto* paired = std::get_if<protomux::BlindRelayClient::Paired>(&n)) {
        OnRelayPaired(turn, node, c, paired->token, paired->remote_id, news);
      } else {
        c.info.relay = RelayFailure::kRefused;  // For those that rely on it.
        Fail(turn, node, c, ConnectCode::kRelayAborted, news);
      }
      if (Find(id) == nullptr) return;
    }
    if (!status.ok()) return Fail(turn, node, c, ConnectCode::kBadStream, news);
  }
}

// It failed or closed: whoever needed it must do without.
void Peers::State::OnControlGone(Turn& turn, Node& node, Connection& c, News& news) {
  if (c.use == Connection::Use::kRelayServer) {
    protomux::BlindRelayServer::News happened;
    relay_server.OnClosed(protomux::RelaySession{uint32_t(c.info.id)}, happened);
    return TakeRelayServer(turn, happened);
  }
  if (c.use != Connection::Use::kRelayClient) return;
  auto at = controls.find({c.key.public_key, c.info.remote_key});
  if (at != controls.end() && at->second == c.info.id) controls.erase(at);
  for (ConnectionId id : UsersOf(c)) {
    Connection* user = Find(id);
    if (user == nullptr) continue;
    user->relaying->control.reset();
    user->info.relay = c.info.relay != RelayFailure::kNone ? c.info.relay : c.open() ? RelayFailure::kLost : RelayFailure::kUnreachable;
    const bool carried = user->info.path == Path::kRelayed;
    RelayFailed(turn, node, *user, news);
    // What the relay carried is cut with its connection. If it can still be punched, that goes on without a path: too late.
    if (carried && (user = Find(id)) != nullptr) Fail(turn, node, *user, ConnectCode::kRelayAborted, news);
  }
}

void Peers::State::OnRelayPaired(Turn& turn, Node& node, Connection& control, const Key32& token, uint32_t remote_id, News& news) {
  auto user = control.relay_users.lower_bound({token, ConnectionId{}});
  if (user == control.relay_users.end() || user->first != token) return;
  Connection& c = *Find(user->second);
  if (c.relaying->step != Relaying::Step::kPairing) return;
  c.relaying->step = Relaying::Step::kPaired, c.relaying->until = kNever, c.relaying->remote_stream = remote_id;
  if (c.info.path != Path::kNone) return LeaveRelay(turn, c);  // A direct path was faster.
  UseRelay(turn, node, c, control, remote_id, news);
}

// The new path has brought a packet: nothing needs the relay any more.
void Peers::State::OnPathConfirmed(Turn& turn, Connection& c) {
  c.upgrade = Upgrade::kNone;
  LeaveRelay(turn, c);
}

// ---- As a relay ----

void Peers::State::TakeRelayServer(Turn& turn, const protomux::BlindRelayServer::News& happened) {
  for (const auto& n : happened) {
    if (auto* unlinked = std::get_if<protomux::BlindRelayServer::Unlinked>(&n)) {
      CutRelayLink(turn, unlinked->link);
      continue;
    }
    const auto& linked = std::get<protomux::BlindRelayServer::Linked>(n);
    std::array<udx::StreamId, 2> made;
    for (udx::StreamId& s : made) s = streams.Create(turn, {.any_socket = true});
    for (size_t i = 0; i < 2; ++i) {
      relay_sweep_at = std::min(relay_sweep_at, turn.now + kLinkIdleMax);
      relay_halves[made[i]] = {.link = linked.link, .remote_id = linked.ends[i].remote_id, .other = made[1 - i]};
      streams.RelayTo(made[i], made[1 - i]);
    }
    streams_touched = true;
    for (size_t i = 0; i < 2; ++i) {
      Connection* c = Find(ConnectionId{uint32_t(linked.ends[i].session)});
      if (c == nullptr || c->mux == nullptr) continue;
      protomux::Out out;
      relay_server.SendPair(linked.ends[i].session, *c->mux, linked.token, /*initiator=*/i == 1, uint32_t(made[i]), out);
      SendControl(turn, *c, out);
    }
  }
}

void Peers::State::CutRelayLink(Turn& turn, protomux::RelayLink link) {
  for (auto it = relay_halves.begin(); it != relay_halves.end();) {
    if (it->second.link != link) {
      ++it;
      continue;
    }
    turn.trace.Add(RelayCarried{.link = uint32_t(link), .bytes = streams.stats(it->first).bytes_received});
    streams.Destroy(turn, it->first);
    it = relay_halves.erase(it);
  }
  streams_touched = true;
}

// Links that nobody uses would stay as long as both ends keep their connections to us.
void Peers::State::OnRelayServerTime(Turn& turn) {
  if (relay_server.next_deadline() <= turn.now) relay_server.OnTime(turn);
  if (relay_sweep_at > turn.now) return;
  absl::btree_set<protomux::RelayLink> busy, idle;
  for (auto& [stream, half] : relay_halves) {
    const uint64_t bytes = streams.stats(stream).bytes_received;
    (std::exchange(half.bytes, bytes) != bytes ? busy : idle).insert(half.link);
  }
  for (protomux::RelayLink link : idle) {
    if (busy.contains(link)) continue;
    relay_server.Cut(link);
    CutRelayLink(turn, link);
  }
  relay_sweep_at = relay_halves.empty() ? kNever : turn.now + kLinkIdleMax;
}

bool Peers::State::OnRelayStream(Turn& turn, const udx::News& happened, udx::StreamId stream, size_t index) {
  auto half = relay_halves.find(stream);
  if (half == relay_halves.end()) return false;
  if (auto* seen = std::get_if<udx::RemoteSeen>(&happened.list[index])) {
    // Each end's first packet says where it is; a later one from elsewhere, that its NAT has re-mapped it.
    if (!streams.connected(stream)) streams.Connect(turn, stream, seen->socket, seen->from, half->second.remote_id);
    else streams.ChangeRemote(turn, stream, seen->socket, seen->from, half->second.remote_id, /*abandon_old=*/true);
  } else if (std::holds_alternative<udx::StreamClosed>(happened.list[index])) {
    const protomux::RelayLink link = half->second.link;
    relay_server.Cut(link);
    CutRelayLink(turn, link);
  }
  return true;
}

}  // namespace orchard::hyperdht
