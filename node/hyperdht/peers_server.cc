// Peers, continued: what comes to our servers.

#include <algorithm>
#include <utility>

#include "node/hyperdht/connect_trace.h"
#include "node/hyperdht/peers_state.h"

namespace orchard::hyperdht {

void Peers::State::OnAnnouncer(Turn& turn, Server& s, const Announcer::News& happened, News& news) {
  for (const Announcer::Happened& h : happened) {
    switch (h.event) {
      case Announcer::Happened::Event::kStored:
        turn.trace.Add(ServerListens{.server = s.public_key()});
        news.push_back(ServerListening{s.public_key()});
        break;
      case Announcer::Happened::Event::kRemapped:
        turn.trace.Add(ServerRemaps{.server = s.public_key()});
        news.push_back(ServerRemapped{s.public_key(), h.from.endpoint(), h.to.endpoint()});
        break;
      case Announcer::Happened::Event::kObsolete:
        withdrawals.push_back({.target = s.target(), .key = s.options().key, .to = h.node});
        break;
    }
  }
}

// ---- Handshakes ----

bool Peers::State::OnHandshake(Turn& turn, Node& node, Server& s, const dht::Request& request, News& news) {
  auto refused = [&](std::string_view why) {
    turn.trace.Add(ConnectRefused{.why = why});
    return true;
  };
  if (!request.value.has_value()) return refused("malformed");
  absl::StatusOr<HandshakeEnvelope> envelope = HandshakeEnvelope::Decode(*request.value);
  if (!envelope.ok() || envelope->noise.empty()) return refused("malformed");
  if (envelope->mode == uint64_t(Mode::kFromServer)) return false;  // Someone else's; we are but the relay.
  Knock::Came came{.request = request, .client = request.from.endpoint()};
  came.request.value.reset();
  switch (envelope->mode) {
    case uint64_t(Mode::kFromClient): came.direct = true; break;
    case uint64_t(Mode::kFromSecondRelay):
      if (!envelope->relay_address.has_value() || envelope->relay_address->port == 0) return refused("malformed");
      came.second_relay = envelope->relay_address;
      [[fallthrough]];
    case uint64_t(Mode::kFromRelay):
      if (!envelope->peer_address.has_value() || envelope->peer_address->port == 0) return refused("malformed");
      came.client = *envelope->peer_address;
      break;
    default: return refused("malformed");
  }

  const Key32 hash = Hash(AsBytes(envelope->noise));
  if (std::optional<uint32_t> slot = s.SlotOf(hash)) {
    World w = world(turn, node);
    s.slot(*slot)->OnAgain(w, std::move(came));
    return true;
  }
  if (s.Spent(turn.now, hash)) return refused("replayed");
  if (!s.MayKnock(came.client)) {
    if (std::optional<uint32_t> spare = s.Spare(came.client)) FreeSlot(s, *spare);
  }
  if (!s.MayKnock(came.client) || connections.size() >= kConnectionsMax) return refused("overload");
  absl::StatusOr<ServerHandshake> handshake = ServerHandshake::Receive(turn, s.options().key, AsBytes(envelope->noise));
  if (!handshake.ok()) {
    s.Spend(turn.now, hash);  // Once more would cost us as much again.
    return refused("forged");
  }

  const bool reachable = came.direct || FirewallOf(handshake->payload().firewall) == Firewall::kOpen || node.rpc.remote_address().has_value();
  const bool takes_socket = !reachable && s.options().relay_policy != RelayPolicy::kOnly;
  const bool may = s.MayPunch(came.client, request.from.endpoint()) && node.rpc.sockets().extras() < kServersSocketsMax;
  if (takes_socket && !may) return refused("overload");

  if (Connection* moved = Moved(s, *handshake)) {
    // Servers remember first messages for a while only; a connection may last longer.
    if (std::find(moved->handshakes.begin(), moved->handshakes.end(), hash) != moved->handshakes.end()) {
      s.Spend(turn.now, hash);
      return refused("replayed");
    }
    if (moved->handshakes.size() == Connection::kHandshakesMax) moved->handshakes.erase(moved->handshakes.begin());
    moved->handshakes.push_back(hash);
    SettleKnock(turn, node, *moved, moved->own_socket);
    moved->slot = s.Take(hash, std::make_unique<Knock>(moved->info.id, *std::move(handshake), std::move(came)));
    moved->migrating = true;
    AnswerKnock(turn, node, *moved, news);
    return true;
  }
  const auto use = s.options().blind_relay ? Connection::Use::kRelayServer : Connection::Use::kOurs;
  Connection& c = Make(turn, use, false, s.public_key(), handshake->remote_key(), s.options().key);
  const Endpoint client = came.client;
  c.handshakes.push_back(hash);
  c.slot = s.Take(hash, std::make_unique<Knock>(c.info.id, *std::move(handshake), std::move(came)));
  if (s.options().asks && c.use == Connection::Use::kOurs) {
    c.asks = true, c.admit_until = turn.now + kAdmitWait;
    news.push_back(PeerKnocked{.connection = c.info.id, .server = s.public_key(), .remote_key = c.info.remote_key, .from = client});
    Rearm(c);
    return true;
  }
  AnswerKnock(turn, node, c, news);
  return true;
}

// What a server says of itself in the second message. The relay and the stream are agreed on by then, unless `error` says why not.
NoisePayload Peers::State::OurAnswer(const std::optional<Ipv4Address>& open, const Connection& c, const Server& s, uint64_t error) const {
  const bool shown = open.has_value() && !c.relay_only;
  NoisePayload ours{.error = error, .firewall = uint64_t(shown ? Firewall::kOpen : Firewall::kUnknown)};
  if (shown) ours.addresses4.push_back(open->endpoint());
  else ours.holepunch = NoisePayload::Holepunch{.id = *c.slot, .relays = s.announcer().relays()};
  if (c.relay_only) {
    // Deployed clients dial whoever cannot be punched to, so there must be relays; but where those see us is not told: a
    // message that they carry ends there, and the client stays with the blind relay.
    for (NoisePayload::Relay& r : ours.holepunch->relays) r.peer_address = r.relay_address;
  } else {
    ours.addresses4.insert(ours.addresses4.end(), locals.begin(), locals.end());
  }
  ours.udx = NoisePayload::Udx{.id = c.stream.has_value() ? uint32_t(*c.stream) : 0};
  ours.secret_stream = 1;
  std::vector<Endpoint> known;
  if (shown) known.push_back(open->endpoint());
  for (const NoisePayload::Relay& r : s.announcer().relays()) {
    if (known.size() < kRelayAddressesMax) known.push_back(r.relay_address);
  }
  if (!known.empty()) ours.relay_addresses = std::move(known);
  return ours;
}

// Source: npm hyperdht lib/server.js, _addHandshake.
void Peers::State::AnswerKnock(Turn& turn, Node& node, Connection& c, News& news) {
  Server* s = ServerOf(c);
  if (s == nullptr || !c.slot.has_value()) return Fail(turn, node, c, ConnectCode::kDestroyed, news);  // It was closed meanwhile.
  Knock& knock = *s->slot(*c.slot);
  const NoisePayload& theirs = knock.remote();
  const std::optional<Ipv4Address> open = node.rpc.remote_address();
  uint64_t error = 0;
  if (theirs.version != 1) error = uint64_t(Error::kVersionMismatch);
  else if (!theirs.udx.has_value()) error = uint64_t(Error::kAborted);
  if (error == 0) c.remote_addresses = theirs.addresses4;
  std::optional<NoisePayload::RelayThrough> offer;
  if (error == 0 && !c.migrating) {
    const RelayPolicy policy = s->options().relay_policy;
    std::optional<Key32> through = s->options().relay_through;
    AgreeOnRelay(c, theirs.relay_through, policy);
    c.relay_only = policy == RelayPolicy::kOnly || (theirs.relay_through.has_value() && theirs.relay_through->only);
    // The client must hear that there is no other way: its relay becomes ours.
    if (policy == RelayPolicy::kOnly && !through.has_value() && theirs.relay_through.has_value()) through = theirs.relay_through->public_key;
    offer = OfferRelay(turn, c, through, c.relay_only && policy != RelayPolicy::kNever ? RelayPolicy::kOnly : policy);
    if (c.relay_only && !c.relaying.has_value()) error = uint64_t(Error::kAborted);
  }
  if (error == 0 && !c.migrating) {
    c.remote_stream = uint32_t(theirs.udx->id);
    MakeStream(turn, c);
  }
  NoisePayload ours = OurAnswer(open, c, *s, error);
  ours.relay_through = offer;

  c.info.local_nat = open.has_value() ? Firewall::kOpen : Firewall::kUnknown;
  c.info.remote_nat = FirewallOf(theirs.firewall);
  World w = world(turn, node);
  Knock::News happened;
  knock.Answer(w, ours, open.has_value(), c.relay_only, config.birthday, std::max(s->options().punches, config.punches), happened);
  if (std::optional<Accepted> accepted = knock.accepted(); accepted.has_value() && ours.error == 0 && !c.migrating) {
    StartSecret(turn, c, accepted->keys);
    if (c.relaying.has_value() && c.relaying->policy >= RelayPolicy::kAlways) StartRelay(turn, c);
  }
  TakeKnock(turn, node, *s, *c.slot, happened, news);
}

void Peers::State::RefuseKnock(Turn& turn, Connection& c) {
  turn.trace.Add(ConnectRefused{.why = "firewall"});
  if (Knock* knock = KnockOf(c)) knock->Refuse(turn);
}

void Peers::State::TakeKnock(Turn& turn, Node& node, Server& s, uint32_t slot, const Knock::News& happened, News& news) {
  s.Rearm(slot);
  const ConnectionId id = s.slot(slot)->connection();
  for (const Knock::Happened& h : happened) {
    Connection* c = Find(id);
    if (c == nullptr) return;
    switch (h.event) {
      case Knock::Event::kStep:
        if (c->info.path == Path::kNone && c->info.step < ConnectStep::kFirstBytes) Enter(turn, *c, h.step);
        break;
      case Knock::Event::kPath: UsePath(turn, node, *c, h.socket, h.to, h.path, news); break;
      case Knock::Event::kGivenUp:
        // Deployed clients leave the relay 15 s after the handshake.
        if (c->info.path == Path::kNone && !c->migrating) StartRelay(turn, *c);
        break;
      case Knock::Event::kFailed:
        c->migrating = false;
        if (c->info.path == Path::kNone) FailOrRelay(turn, node, *c, h.code, news);
        break;
    }
  }
}

Knock* Peers::State::KnockOf(const Connection& c) {
  if (!c.slot.has_value()) return nullptr;
  Server* s = ServerOf(c);
  return s == nullptr ? nullptr : s->slot(*c.slot);
}

void Peers::State::SettleKnock(Turn& turn, Node& node, Connection& c, std::optional<SocketId> keep) {
  Knock* knock = KnockOf(c);
  if (knock == nullptr) return;
  FillInfo(c);
  World w = world(turn, node);
  if (!knock->settled()) knock->Settle(w, keep);
  ServerOf(c)->Rearm(*c.slot);
}

void Peers::State::FreeSlot(Server& s, uint32_t slot) {
  if (Connection* c = Find(s.slot(slot)->connection()); c != nullptr && c->slot == slot) c->slot.reset();
  s.Free(slot);
}

void Peers::State::OnSlotTime(Turn& turn, Node& node, Server& s, uint32_t slot, News& news) {
  Knock& knock = *s.slot(slot);
  if (knock.over(turn.now)) return FreeSlot(s, slot);
  World w = world(turn, node);
  Knock::News happened;
  knock.OnTime(w, happened);
  TakeKnock(turn, node, s, slot, happened, news);
}

// ---- Messages of a hole punch ----

bool Peers::State::OnHolepunch(Turn& turn, Node& node, Server& s, const dht::Request& request, News& news) {
  absl::StatusOr<HolepunchEnvelope> envelope =
      request.value.has_value() ? HolepunchEnvelope::Decode(*request.value) : absl::InvalidArgumentError("no value");
  if (!envelope.ok()) {
    turn.trace.Add(ConnectRefused{.why = "malformed"});
    return true;
  }
  if (envelope->mode != uint64_t(Mode::kFromRelay)) return false;
  Knock* knock = envelope->id < s.slots_end() ? s.slot(uint32_t(envelope->id)) : nullptr;
  if (knock == nullptr) return true;  // It was too late.
  World w = world(turn, node);
  Knock::News happened;
  knock->OnHolepunch(w, request, *envelope, s.announcer().IsRelay(request.from), /*has_relay=*/false, happened);
  TakeKnock(turn, node, s, uint32_t(envelope->id), happened, news);
  return true;
}

void Peers::State::StopServer(Turn& turn, Node& node, Server& s, News& news) {
  if (ServerOfKey(s.public_key()) == nullptr) node.router.Disown(s.target());
  for (Ipv4Address to : s.announcer().stored_at()) withdrawals.push_back({.target = s.target(), .key = s.options().key, .to = to});
  s.announcer().Stop(turn, node.rpc);
  World w = world(turn, node);
  for (uint32_t slot = 0; slot < s.slots_end(); ++slot) {
    Knock* knock = s.slot(slot);
    if (knock == nullptr) continue;
    Connection* c = Find(knock->connection());
    if (!knock->settled()) knock->Settle(w, std::nullopt);
    if (c != nullptr && c->info.path == Path::kNone) Fail(turn, node, *c, ConnectCode::kDestroyed, news);
  }
}

}  // namespace orchard::hyperdht
