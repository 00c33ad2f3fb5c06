// Peers, continued: dials, and which path a stream takes.

#include <algorithm>
#include <utility>

#include "node/hyperdht/addresses.h"
#include "node/hyperdht/connect_trace.h"
#include "node/hyperdht/peers_state.h"

namespace orchard::hyperdht {

void Peers::State::MakeStream(Turn& turn, Connection& c) {
  c.stream = streams.Create(turn, {.any_socket = true});
  by_stream.emplace(*c.stream, c.info.id);
}

void Peers::State::BeginDial(Turn& turn, Node& node, Connection& c, News& news) {
  const ConnectOptions& o = *c.options;
  c.relay_only = o.relay_policy == RelayPolicy::kOnly;
  MakeStream(turn, c);
  NoisePayload ours = OurPayload(turn, node, c);
  ConnectFlow::Spec spec{.target = Hash(c.info.remote_key), .open = node.rpc.remote_address().has_value(),
                         .fast_open = o.fast_open, .lan = o.lan, .punch = o.punch, .relay_only = c.relay_only, .birthday = config.birthday,
                         .punches = std::max(o.punches, config.punches), .confirm = !config.js_compat, .connection = c.info.id};
  spec.candidates = Candidates(turn, node, c);
  c.info.local_nat = spec.open ? Firewall::kOpen : Firewall::kUnknown;
  ClientHandshake handshake(turn, c.key, c.info.remote_key, ours);
  if (handshake.message().empty()) return Fail(turn, node, c, ConnectCode::kPeerNotFound, news);  // No such key exists.
  c.flow = std::make_unique<ConnectFlow>(std::move(spec), std::move(handshake));
  World w = world(turn, node);
  ConnectFlow::News happened;
  c.flow->Begin(w, happened);
  TakeFlow(turn, node, c, happened, news);
}

// Nodes that likely know the peer.
std::vector<Ipv4Address> Peers::State::Candidates(Turn& turn, Node& node, const Connection& c) {
  std::vector<Ipv4Address> out;
  if (c.options != nullptr) {
    for (const Endpoint& e : c.options->relay_addresses) out.push_back(Ipv4Address::Of(e));
  }
  if (auto known = routes.find(c.info.remote_key); out.empty() && known != routes.end()) {
    for (const Endpoint& e : known->second) out.push_back(Ipv4Address::Of(e));
  }
  // Whoever announced itself here can be asked straight away.
  const Router::Forward* f = node.router.Get(turn.now, Hash(c.info.remote_key));
  if (out.empty() && f != nullptr) out.push_back(Ipv4Address::Of(f->relay));
  std::erase_if(out, [](Ipv4Address a) { return a.port == 0 || a.host == 0; });
  return out;
}

// What a client says of itself in the first message.
NoisePayload Peers::State::OurPayload(Turn& turn, Node& node, Connection& c) {
  const std::optional<Ipv4Address> open = node.rpc.remote_address();
  NoisePayload ours{.firewall = uint64_t(open.has_value() && !c.relay_only ? Firewall::kOpen : Firewall::kUnknown)};
  if (open.has_value() && !c.relay_only) ours.addresses4.push_back(open->endpoint());
  if (c.options->lan && !c.relay_only) ours.addresses4.insert(ours.addresses4.end(), locals.begin(), locals.end());
  ours.udx = NoisePayload::Udx{.id = uint32_t(*c.stream)};
  ours.secret_stream = 1;
  ours.relay_through = OfferRelay(turn, c, c.options->relay_through, c.options->relay_policy);
  return ours;
}

void Peers::State::TakeFlow(Turn& turn, Node& node, Connection& c, const ConnectFlow::News& happened, News& news) {
  const ConnectionId id = c.info.id;
  for (const ConnectFlow::Happened& h : happened) {
    if (Find(id) == nullptr) return;
    switch (h.event) {
      case ConnectFlow::Event::kStep:
        if (c.info.path == Path::kNone) Enter(turn, c, h.step);
        break;
      case ConnectFlow::Event::kHandshaken: OnHandshaken(turn, node, c, *c.flow->accepted(), news); break;
      case ConnectFlow::Event::kPath: UsePath(turn, node, c, h.socket, h.to, h.path, news); break;
      case ConnectFlow::Event::kFailed: {
        ConnectCode code = h.code;
        // Any failure inside the rounds destroys the puncher first, whose word is the one that is heard.
        if (c.migrating || c.stays) c.migrate_at = c.stays ? kNever : turn.now + kMigrateAgain;
        const bool punch = code >= ConnectCode::kHolepunchInvalid && code <= ConnectCode::kRemoteAborted;
        if (config.js_compat && punch) code = ConnectCode::kHolepunchAborted;
        return FailOrRelay(turn, node, c, code, news);
      }
    }
  }
  if (Find(id) != nullptr) Rearm(c);
}

void Peers::State::OnHandshaken(Turn& turn, Node&, Connection& c, const Accepted& accepted, News&) {
  const NoisePayload& p = accepted.payload;
  if (c.migrating) {
    // Another id is another stream: the other side has begun a new connection, and knows nothing of ours.
    if (uint32_t(p.udx->id) != c.remote_stream) c.stays = true, c.migrating = false;
    c.remote_addresses = p.addresses4;
    return;
  }
  c.remote_stream = uint32_t(p.udx->id);
  c.remote_addresses = p.addresses4;
  c.info.remote_nat = FirewallOf(p.firewall);
  std::vector<Endpoint> relays = p.relay_addresses.value_or(std::vector<Endpoint>{});
  if (relays.empty()) relays.push_back(c.flow->relay().endpoint());
  RememberRoute(c.info.remote_key, relays);
  StartSecret(turn, c, accepted.keys);
  AgreeOnRelay(c, p.relay_through, c.options->relay_policy);
  if (c.relaying.has_value() && c.relaying->policy >= RelayPolicy::kAlways && StartRelay(turn, c)) c.flow->set_relay(true);
}

void Peers::State::RememberRoute(const Key32& key, const std::vector<Endpoint>& relays) {
  std::vector<Endpoint> some(relays.begin(), relays.begin() + ptrdiff_t(std::min(relays.size(), kRelayAddressesMax)));
  auto [it, added] = routes.insert_or_assign(key, std::move(some));
  if (!added) return;
  routes_by_age.push_back(key);
  if (routes_by_age.size() <= kRoutesMax) return;
  routes.erase(routes_by_age.front());
  routes_by_age.erase(routes_by_age.begin());
}

// The header is written before there is a path: it is the first that the other side gets to see of us.
void Peers::State::StartSecret(Turn& turn, Connection& c, const crypto::SessionKeys& keys) {
  c.secret.emplace(keys, c.info.initiator, secret_stream::Options{.keep_alive = config.keep_alive});
  streams.Write(turn, *c.stream, c.secret->Start(turn));
  streams_touched = true;
  SendPending(turn, c);
}

// What kind of path leads where a packet came from.
Path Peers::State::KindOf(const Connection& c, const Endpoint& from) const {
  if (c.info.local_nat == Firewall::kOpen || c.info.remote_nat == Firewall::kOpen) return Path::kDirect;
  auto same = [&](const Endpoint& e) { return e.ip == from.ip; };
  const bool local = IsPrivate(from) && std::any_of(c.remote_addresses.begin(), c.remote_addresses.end(), same);
  return local ? Path::kLan : Path::kPunched;
}

void Peers::State::TakePath(Turn& turn, Connection& c, SocketId socket, const Endpoint& to, Path path) {
  const Path before = std::exchange(c.info.path, path);
  c.socket = socket, c.info.remote = to, c.info.path_since = turn.now;
  if (before == path || before == Path::kNone || c.use != Connection::Use::kOurs) return;
  turn.trace.Add(ConnectPathChanged{.connection = uint32_t(c.info.id), .peer = c.info.remote_key, .from = PathName(before), .to = PathName(path)});
}

// The first direct path that is found is taken. Source: npm hyperdht lib/connect.js and lib/server.js, onsocket.
void Peers::State::UsePath(Turn& turn, Node& node, Connection& c, SocketId socket, const Endpoint& to, Path path,
                           News& news) {
  const Path before = c.info.path;
  if (c.relay_only) return;
  if (!c.stream.has_value() || (before != Path::kNone && before != Path::kRelayed && !c.migrating)) return;
  FillInfo(c);
  if (c.migrating) {
    Migrate(turn, c, socket, to, path, news);
  } else if (before == Path::kNone) {
    streams.Connect(turn, *c.stream, socket, to, c.remote_stream);
  } else {
    streams.ChangeRemote(turn, *c.stream, socket, to, c.remote_stream, /*abandon_old=*/false);
    c.upgrade = Upgrade::kChanging;
  }
  streams_touched = true;
  TakePath(turn, c, socket, to, path);
  if (before != Path::kNone && before != path && c.open() && c.use == Connection::Use::kOurs) {
    news.push_back(PathChanged{.connection = c.info.id, .from = before, .to = path});
  }
  if (c.own_socket != socket) ReleaseSocket(c);
  if (node.rpc.sockets().IsExtra(socket)) c.own_socket = socket;
  if (before == Path::kNone) Enter(turn, c, ConnectStep::kFirstBytes), c.first_bytes_until = turn.now + kFirstBytesWait;
  if (c.flow != nullptr) {
    World w = world(turn, node);
    c.flow->Stop(w, c.own_socket);
    c.flow.reset();
  }
  SettleKnock(turn, node, c, c.own_socket);
  Rearm(c);
  if (c.early.empty()) return;
  kept.push_back(std::exchange(c.early, {}));
  OnBytes(turn, node, c, kept.back(), news);
}

void Peers::State::UseRelay(Turn& turn, Node&, Connection& c, const Connection& control, uint32_t remote_id, News&) {
  streams.Connect(turn, *c.stream, control.socket, control.info.remote, remote_id);
  streams_touched = true;
  TakePath(turn, c, control.socket, control.info.remote, Path::kRelayed);
  Enter(turn, c, ConnectStep::kFirstBytes);
  c.first_bytes_until = turn.now + kFirstBytesWait;
  Rearm(c);
}

void Peers::State::ReleaseSocket(Connection& c) {
  if (c.own_socket.has_value()) to_close.push_back(*c.own_socket);
  c.own_socket.reset();
}

}  // namespace orchard::hyperdht
