// A network of hyperdht::Dht machines on MemHost, each behind a NAT or not: who listens, connects, sends, and what they heard.
//
//   PeerNet net;
//   net.AddRoots();
//   auto server = net.AddPeer(), client = net.AddPeer({.nat = PeerNet::Nat::kConsistent});
//   net.Listen(server);
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/hyperdht/dht.h"
#include "tests/support/mem_host.h"

namespace orchard::hyperdht {

class PeerMachine final : public Machine {
 public:
  PeerMachine(dht::RpcConfig config, PeersConfig peers) : dht(std::move(config), peers) {}

  void Handle(Turn& turn, const Input& input) override {
    News news;
    if (const auto* start = std::get_if<Start>(&input)) dht.SetInterfaces(start->interfaces), dht.OnStart(turn, news);
    if (const auto* o = std::get_if<SocketOpened>(&input)) dht.OnSocketOpened(turn, *o, news);
    if (const auto* d = std::get_if<Datagram>(&input)) dht.OnDatagram(turn, *d, news);
    if (const auto* j = std::get_if<JobDone>(&input)) dht.OnJobDone(turn, *j, news);
    if (const auto* i = std::get_if<InterfacesChanged>(&input)) dht.OnInterfacesChanged(turn, i->interfaces);
    if (std::holds_alternative<Deadline>(input)) dht.OnTime(turn, news);
    if (std::holds_alternative<Stop>(input)) dht.OnStop(turn, news);
    if (std::holds_alternative<OpCall>(input) && ask) std::exchange(ask, nullptr)(dht, turn, news);
    for (auto& n : news) Hear(turn, n);
    dht.Flush(turn);
  }
  Instant next_deadline() const override { return dht.next_deadline(); }

  template <class T>
  std::vector<T> Of() const {
    std::vector<T> out;
    for (const auto& n : heard) {
      if (const T* t = std::get_if<T>(&n)) out.push_back(*t);
    }
    return out;
  }

  Dht dht;
  std::function<void(Dht&, Turn&, News&)> ask;
  News heard;                                     // Messages without their bytes.
  std::map<ConnectionId, std::vector<std::string>> messages, unordered;
  bool echo = false, consume = true, admit = true, end_back = true;

 private:
  void Hear(Turn& turn, News::value_type& n) {
    if (auto* m = std::get_if<ConnectionMessage>(&n)) {
      (m->unordered ? unordered : messages)[m->connection].emplace_back(AsText(m->bytes));
      if (echo && !m->unordered) dht.peers().Send(turn, m->connection, m->bytes);
      if (consume) dht.peers().Consumed(turn, m->connection, m->bytes.size());
      m->bytes = {};
    }
    if (auto* ended = std::get_if<ConnectionEnded>(&n); ended != nullptr && end_back) dht.peers().End(turn, ended->connection);
    if (auto* knock = std::get_if<PeerKnocked>(&n)) {
      News more;
      if (admit) dht.peers().Admit(turn, knock->connection, more);
      else dht.peers().Refuse(turn, knock->connection);
    }
    if (std::holds_alternative<GoodbyeSaid>(n)) turn.out.Stopped();
    heard.push_back(n);
  }
};

class PeerNet {
 public:
  using NodeIndex = MemHost::NodeIndex;
  // kConsistent: one port for all destinations. kRandom: another, random one for each. Both let in only whom was written to.
  enum class Nat : uint8_t { kNone, kConsistent, kRandom };
  struct PeerOptions {
    PeerOptions(Nat n = Nat::kNone) : nat(n) {}
    Nat nat;
    PeersConfig peers;
    dht::RpcConfig rpc;
    std::optional<NodeIndex> lan;  // Behind the same NAT as that peer.
  };

  explicit PeerNet(MemHost::Options options = {}) : host(options), rng_(Rng::Named(options.seed, "nats", "")) {
    host.set_nat([this](NodeIndex n, Endpoint& from, const Endpoint& to, uint8_t ttl) { return Outbound(n, from, to, ttl); },
                 [this](NodeIndex n, const Endpoint& from, Endpoint& to) { return Inbound(n, from, to); },
                 [this](const Endpoint& to) { return Behind(to); });
    host.set_filter([this](NodeIndex from, NodeIndex to, Bytes) { return !down_.contains(from) && !down_.contains(to); });
  }
  void AddRoots(size_t persistent = 5) {
    dht::RpcConfig root{.bootstrap = true};
    NodeIndex n = Add(root, {}, std::nullopt);
    roots.push_back({.address = Ipv4Address::Of(host.address(n).with_port(root.port))});
    for (size_t i = 0; i < persistent; ++i) Add({.persistent = true, .roots = roots}, {}, std::nullopt);
    host.Run(std::chrono::seconds(30));
  }
  NodeIndex AddPeer(PeerOptions o = {}) {
    o.rpc.roots = roots;
    if (o.nat == Nat::kNone && !o.rpc.firewalled.has_value()) o.rpc.firewalled = false;
    if (o.nat == Nat::kNone) return Add(o.rpc, o.peers, std::nullopt);
    const auto box = uint32_t(o.lan.has_value() ? boxes_of_.at(*o.lan) : boxes_.size());
    if (!o.lan.has_value()) boxes_.push_back({.kind = o.nat, .address = Endpoint::V4(0x50000001 + box, 0)});
    const uint32_t at = 0xc0a80002 + (box << 8) + uint32_t(boxes_[box].hosts++);
    const auto next = NodeIndex(host.size());
    boxes_of_[next] = box;
    return Add(o.rpc, o.peers, Endpoint::V4(at, 0));
  }
  PeerMachine& operator[](NodeIndex n) { return host.machine<PeerMachine>(n); }
  Peers& peers(NodeIndex n) { return (*this)[n].dht.peers(); }
  void In(NodeIndex n, std::function<void(Dht&, Turn&, News&)> f) {
    (*this)[n].ask = std::move(f);
    host.Feed(n, OpCall{OpId{++op_}, "ask", {}});
  }
  static crypto::KeyPair Key(uint8_t seed) {
    Key32 s{};
    s[0] = seed;
    return crypto::KeyPairFromSeed(s);
  }
  void Listen(NodeIndex n, uint8_t key, ListenOptions o = {}) {
    o.key = Key(key);
    In(n, [&](Dht& d, Turn& t, News& news) { d.peers().Listen(t, o, news); });
  }
  ConnectionId Connect(NodeIndex n, uint8_t to, uint8_t own = 200, ConnectOptions o = {}) {
    o.key = Key(own);
    ConnectionId id{};
    In(n, [&](Dht& d, Turn& t, News&) { id = d.peers().Connect(t, Key(to).public_key, o); });
    return id;
  }
  void Send(NodeIndex n, ConnectionId c, std::string message) {
    In(n, [&](Dht& d, Turn& t, News&) { d.peers().Send(t, c, AsBytes(message)); });
  }
  // The latest code of a connection that failed or closed.
  std::optional<ConnectCode> Code(NodeIndex n, ConnectionId c) {
    for (const auto& f : (*this)[n].Of<ConnectFailed>()) if (f.connection == c) return f.code;
    for (const auto& f : (*this)[n].Of<ConnectionClosed>()) if (f.connection == c) return f.code;
    return std::nullopt;
  }
  bool Open(NodeIndex n, ConnectionId c) {
    const ConnectionInfo* i = peers(n).info(c);
    return i != nullptr && i->step == ConnectStep::kOpen;
  }
  // Its NAT forgets all mappings and makes others from now on.
  void Remap(NodeIndex n) { boxes_[boxes_of_.at(n)].maps.clear(), boxes_[boxes_of_.at(n)].next += 1000; }
  void SetDown(NodeIndex n, bool down) { down ? void(down_.insert(n)) : void(down_.erase(n)); }

  MemHost host;
  std::vector<dht::Root> roots;

 private:
  struct Map {
    Endpoint inside;
    NodeIndex node;
    Endpoint to;                      // kRandom: the only destination.
    std::map<Endpoint, bool> allowed;
  };
  struct Box {
    Nat kind;
    Endpoint address;
    uint32_t hosts = 0;
    uint16_t next = 20000;
    std::map<uint16_t, Map> maps{};   // By public port.
  };
  NodeIndex Add(dht::RpcConfig c, PeersConfig p, std::optional<Endpoint> at) {
    c.quick_walks = c.calm_swaps = true;
    return host.Add("n" + std::to_string(host.size()), [c, p](uint32_t) { return std::make_unique<PeerMachine>(c, p); }, at);
  }
  bool Outbound(NodeIndex n, Endpoint& from, const Endpoint& to, uint8_t ttl) {
    auto at = boxes_of_.find(n);
    const bool near = to.is_v4() && (to.v4() >> 8) == (from.v4() >> 8);
    if (near) return true;
    if (to.is_v4() && to.v4() >> 16 == 0xc0a8) return false;  // No way from outside.
    if (at == boxes_of_.end()) return ttl > 11;
    Box& box = boxes_[at->second];
    for (auto& [port, m] : box.maps) {
      if (m.node != n || m.inside != from || (box.kind == Nat::kRandom && m.to != to)) continue;
      m.allowed[to] = true;
      from = box.address.with_port(port);
      return ttl > 11;
    }
    uint16_t port = box.kind == Nat::kRandom ? uint16_t(1024 + rng_.Below(64000)) : box.next++;
    while (box.maps.contains(port)) ++port;
    box.maps[port] = {.inside = from, .node = n, .to = to, .allowed = {{to, true}}};
    from = box.address.with_port(port);
    return ttl > 11;
  }
  std::optional<NodeIndex> Behind(const Endpoint& to) const {
    for (const Box& box : boxes_) {
      if (box.address.ip != to.ip) continue;
      auto m = box.maps.find(to.port);
      return m == box.maps.end() ? std::nullopt : std::optional(m->second.node);
    }
    return std::nullopt;
  }
  bool Inbound(NodeIndex n, const Endpoint& from, Endpoint& to) {
    auto at = boxes_of_.find(n);
    if (at == boxes_of_.end()) return true;
    Box& box = boxes_[at->second];
    if (to.ip != box.address.ip) return true;  // From the same network.
    auto m = box.maps.find(to.port);
    if (m == box.maps.end() || m->second.node != n || !m->second.allowed.contains(from)) return false;
    to = m->second.inside;
    return true;
  }

  Rng rng_;
  std::vector<Box> boxes_;
  std::map<NodeIndex, uint32_t> boxes_of_;
  std::set<NodeIndex> down_;
  uint32_t op_ = 0;
};

}  // namespace orchard::hyperdht
