// Two punchers, each with its dht::Rpc behind a NAT box of a chosen kind, some nodes of the DHT that answer pings, and a relay
// that carries sealed payloads; in virtual time. Driven by as much of the connect flow and the server as a punch needs
// (the order of npm hyperdht lib/connect.js and lib/server.js), so that the whole can be compared with recorded runs.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/dht/message.h"
#include "node/hyperdht/holepunch_payload.h"
#include "node/hyperdht/puncher.h"
#include "node/store/mem_store.h"

namespace orchard::hyperdht {

// kLoopback: as the recorder of v04b had it. Nothing is translated; a filter is emulated. kLoopbackRandom: moreover samples
// are given false ports, and the first socket receives no probes.
enum class Mapping : uint8_t { kOpen, kIndependent, kPerRemote, kLoopback, kLoopbackRandom };
enum class Filtering : uint8_t { kAny, kHost, kEndpoint };  // Who may send in: anyone, hosts sent to, endpoints sent to.
struct NatKind {
  Mapping mapping = Mapping::kIndependent;
  Filtering filtering = Filtering::kEndpoint;
};

class PunchNet {
 public:
  struct Options {
    NatKind client, server;
    Duration latency = std::chrono::milliseconds(20);
    uint64_t seed = 1;
    size_t nodes = 10;
    uint32_t silent_nodes = 0;   // The latest of them do not answer.
    bool fast_open = true, birthday = true;
    bool server_deferred = false;  // Its limiter has just ended a random punch.
  };
  struct Probe {
    Instant at;
    bool from_client;
    SocketId socket;
    Ipv4Address to;
    uint8_t ttl;
    bool delivered = false;
  };

  explicit PunchNet(Options o) : options_(o), wire_(Rng::Named(o.seed, "wire", "")) {
    for (bool is_client : {true, false}) {
      Side& s = side(is_client);
      s.host = is_client ? 0x2c000001 : 0x2d000001;
      s.kind = is_client ? o.client : o.server;
      s.rng = Rng::Named(o.seed, is_client ? "client" : "server", "1");
      s.limiter.last = !is_client && o.server_deferred ? now : kNever;
      s.puncher = std::make_unique<Puncher>(Puncher::Config{.initiator = is_client, .dht_firewalled = s.kind.mapping != Mapping::kOpen, .birthday = o.birthday},
                                            &s.limiter);
      s.rpc = std::make_unique<dht::Rpc>(dht::RpcConfig{.ephemeral = true, .firewalled = s.kind.mapping != Mapping::kOpen, .port = 0, .cache = false});
      s.secure = std::make_unique<SecurePayload>(Key32{7}, s.rng);
      In(s, [&](Turn& t, dht::News& n, Puncher::News&) { s.rpc->OnStart(t, n); });
    }
    Run(std::chrono::milliseconds(10));
    for (bool is_client : {true, false}) {
      Side& s = side(is_client);
      In(s, [&](Turn& t, dht::News& n, Puncher::News&) {
        for (uint32_t i = 0; i < o.nodes; ++i) s.rpc->AddNode(t, Node(i), n);
      });
    }
  }

  // The server's puncher starts with the handshake's arrival, the client's with its answer.
  void Connect() {
    flowing_ = true;
    In(server, [&](Turn& t, dht::News&, Puncher::News&) { server.puncher->Start(t, *server.rpc); });
    Run(2 * options_.latency);
    server_address_ = SeenBy(server, Relay(0));
    In(client, [&](Turn& t, dht::News&, Puncher::News&) {
      client.puncher->Start(t, *client.rpc);
      ProbeRound(t);
    });
  }
  void RunUntil(Instant end) {
    while (Step(end)) continue;
    now = std::max(now, end);
  }
  void Run(Duration d) { RunUntil(now + d); }
  // "connected" or why not; empty if it is still going on after `bound`.
  std::string RunToEnd(Duration bound = std::chrono::seconds(120)) {
    const Instant end = now + bound;
    while (result.empty() && Step(end)) continue;
    return result;
  }

  struct Side final : Trace::Sink {
    void Record(std::string_view event, absl::Span<const TraceField> fields) override {
      std::string line(event);
      for (const TraceField& f : fields) line += " " + (f.bytes.data() != nullptr ? std::string(AsText(f.bytes)) : std::to_string(f.number));
      if (event.substr(0, 6) == "punch.") trace.push_back(line);
      if (event == "punch.sampled") samples.push_back(std::to_string(fields[2].number) + " " + std::string(AsText(fields[3].bytes)));
    }
    std::vector<std::string> trace, samples;  // Events of punching, values only; samples: their number and the class.
    uint32_t host = 0;
    NatKind kind;
    Rng rng{Key32{}};
    PunchLimiter limiter;
    std::unique_ptr<Puncher> puncher;
    std::unique_ptr<dht::Rpc> rpc;
    std::unique_ptr<SecurePayload> secure;
    MemStore store;
    Outbox out;
    std::map<uint32_t, uint16_t> ports;   // Of open sockets.
    std::map<uint16_t, uint32_t> sockets;
    std::map<std::pair<uint16_t, uint64_t>, uint16_t> mapped;   // (inside port, remote or 0) → outside port.
    std::map<uint16_t, uint16_t> inside;                        // Outside port → inside port.
    std::set<std::pair<uint16_t, uint64_t>> sessions;           // (outside port, remote): it was sent to.
    std::set<SocketId> blocked;                                 // kLoopbackRandom: first sockets.
    uint32_t opened = 0;
    size_t sockets_max = 0;
    bool refuse_sockets = false;
  };
  Side client, server;
  Instant now{std::chrono::seconds(1)};
  std::string result;
  std::optional<Puncher::Happened> connected;
  Endpoint peer_of_client;
  std::vector<Probe> probes;
  std::vector<std::string> messages;  // Payloads and what was made of them.
  std::vector<std::string> merged;    // These and the probes, in order; probes by their number.

  Side& side(bool is_client) { return is_client ? client : server; }
  static Ipv4Address Node(uint32_t i) { return {0x64000000 + i, 49737}; }
  static Ipv4Address Relay(uint32_t i) { return {0x65000000 + i, 49737}; }
  // Where `to` sees the primary socket's packets come from (nowhere if it is gone); opens that mapping, as the packet would.
  Endpoint SeenBy(Side& s, Ipv4Address to) {
    auto port = s.ports.find(uint32_t(s.puncher->socket()));
    return port == s.ports.end() ? Endpoint{} : Translate(s, port->second, to).endpoint();
  }

  // One turn of a side: `f`, then what came of it.
  void In(Side& s, const std::function<void(Turn&, dht::News&, Puncher::News&)>& f) {
    Trace trace(nullptr, &s);
    Turn turn{now, {}, s.rng, s.store, s.out, trace};
    dht::News rpc_news;
    Puncher::News news;
    f(turn, rpc_news, news);
    for (dht::RpcNews& n : rpc_news) {
      if (auto* r = std::get_if<dht::ReplyReceived>(&n)) s.puncher->OnReply(turn, *s.rpc, *r, news);
      if (auto* r = std::get_if<dht::RequestFailed>(&n)) s.puncher->OnFailure(turn, *s.rpc, *r, news);
    }
    for (size_t i = 0; i < news.size(); ++i) OnPuncher(s, turn, Puncher::Happened(news[i]), news);
    s.store.Commit(nullptr);
    s.sockets_max = std::max(s.sockets_max, s.puncher->sockets());
    Perform(s);
  }

 private:
  struct Event {
    Instant at;
    uint64_t seq;
    std::function<void()> run;
    bool operator<(const Event& o) const { return std::tie(at, seq) > std::tie(o.at, o.seq); }
  };
  void At(Instant at, std::function<void()> run) { events_.push({at, seq_++, std::move(run)}); }

  static Instant Deadline(const Side& s) { return std::min(s.rpc->next_deadline(), s.puncher->next_deadline()); }
  bool Step(Instant end) {
    const Instant due = std::min(Deadline(client), Deadline(server)), next = events_.empty() ? kNever : events_.top().at;
    if (std::min(due, next) > end) return false;
    now = std::max(now, std::min(due, next));
    if (due <= next) {
      Side& s = Deadline(client) <= Deadline(server) ? client : server;
      In(s, [&](Turn& t, dht::News& n, Puncher::News& p) {
        if (s.rpc->next_deadline() <= now) s.rpc->OnTime(t, n);
        if (s.puncher->next_deadline() <= now) s.puncher->OnTime(t, *s.rpc, p);
      });
      return true;
    }
    auto run = events_.top().run;
    events_.pop();
    run();
    return true;
  }

  // ---- Wire ----
  void Perform(Side& s) {
    Outbox out = std::exchange(s.out, Outbox());
    size_t done = 0;
    for (const Output& o : out.outputs()) {
      for (; !notes_.empty() && notes_.front().first <= done; notes_.erase(notes_.begin())) merged.push_back(notes_.front().second);
      ++done;
      if (o.what == Do::kOpenSocket) {
        const uint16_t port = uint16_t(30000 + s.opened++);
        const bool ok = !s.refuse_sockets;
        if (ok) s.ports[o.id] = port, s.sockets[port] = o.id;
        At(now, [this, &s, id = o.id, port, ok] {
          SocketOpened opened{SocketId{id}, Endpoint::V4(s.host, port), ok ? absl::StatusCode::kOk : absl::StatusCode::kResourceExhausted};
          In(s, [&](Turn& t, dht::News& n, Puncher::News& p) {
            if (!s.rpc->OnSocketOpened(t, opened, n)) s.puncher->OnSocketOpened(t, *s.rpc, opened, p);
          });
        });
      } else if (o.what == Do::kCloseSocket) {
        if (auto it = s.ports.find(o.id); it != s.ports.end()) s.sockets.erase(it->second), s.ports.erase(it);
      } else if (o.what == Do::kSend) {
        Send(s, SocketId{o.id}, Ipv4Address::Of(o.peer), std::string(AsText(out.bytes(o))), o.ttl);
      }
    }
    for (auto& [place, line] : std::exchange(notes_, {})) merged.push_back(line);
  }
  Ipv4Address Translate(Side& s, uint16_t port, Ipv4Address to) {
    if (s.kind.mapping != Mapping::kIndependent && s.kind.mapping != Mapping::kPerRemote) {
      s.inside[port] = port, s.sessions.insert({port, to.packed()});
      return {s.host, port};
    }
    auto [it, fresh] = s.mapped.try_emplace({port, s.kind.mapping == Mapping::kPerRemote ? to.packed() : 0}, uint16_t(0));
    while (fresh && (it->second == 0 || !s.inside.try_emplace(it->second, port).second)) it->second = uint16_t(1024 + wire_.Below(64'512));
    s.sessions.insert({it->second, to.packed()});
    return {s.host, it->second};
  }
  bool Passes(const Side& s, uint16_t outside, Ipv4Address from) const {
    if (s.kind.mapping == Mapping::kOpen) return true;
    if (s.kind.filtering == Filtering::kAny) return true;
    if (s.kind.filtering == Filtering::kEndpoint) return s.sessions.contains({outside, from.packed()});
    auto it = s.sessions.lower_bound({outside, Ipv4Address{from.host, 0}.packed()});
    return it != s.sessions.end() && it->first == outside && Ipv4Address::Unpack(it->second).host == from.host;
  }
  void Send(Side& s, SocketId socket, Ipv4Address to, std::string bytes, uint8_t ttl) {
    auto port = s.ports.find(uint32_t(socket));
    if (port == s.ports.end()) return;
    const Ipv4Address from = Translate(s, port->second, to);
    const bool is_probe = bytes.size() == 1;
    const size_t number = probes.size();
    if (is_probe) {
      if (probes.empty() || s.blocked.empty()) Block(s);
      probes.push_back({now, &s == &client, socket, to, ttl});
      merged.push_back(std::to_string(number));
    }
    if (ttl <= Puncher::kOpenTtl) return;
    At(now + options_.latency, [this, &s, from, to, is_probe, number, bytes = std::move(bytes)] {
      for (bool c : {true, false}) {
        Side& d = side(c);
        if (to.host != d.host) continue;
        auto inside = d.inside.find(to.port);
        if (inside == d.inside.end() || !Passes(d, to.port, from)) return;
        auto id = d.sockets.find(inside->second);
        if (id == d.sockets.end() || (is_probe && d.blocked.contains(SocketId{id->second}))) return;
        if (is_probe) probes[number].delivered = true;
        return Arrive(d, Datagram{SocketId{id->second}, from.endpoint(), AsBytes(bytes)});
      }
      AnswerAsNode(s, from, to, bytes);
    });
  }
  void Arrive(Side& d, const Datagram& datagram) {
    In(d, [&](Turn& t, dht::News& n, Puncher::News& p) {
      if (d.rpc->OnDatagram(t, datagram, n)) return;
      if (datagram.payload.size() == 1) d.puncher->OnProbe(t, *d.rpc, datagram.socket, datagram.from, p);
    });
  }
  void AnswerAsNode(Side& s, Ipv4Address from, Ipv4Address node, const std::string& bytes) {
    const uint32_t i = node.host - Node(0).host;
    if (i >= options_.nodes || i + options_.silent_nodes >= options_.nodes || bytes.empty() || uint8_t(bytes[0]) != dht::kRequestByte) return;
    auto request = dht::DecodeRequest(AsBytes(bytes), from);
    if (!request.ok()) return;
    wire::Writer w;
    Encode(dht::ResponseOut{.tid = request->tid, .to = Seen(s, from)}, w);
    At(now + options_.latency, [this, &s, from, node, answer = w.str()] {
      auto inside = s.inside.find(from.port);
      if (inside == s.inside.end() || !Passes(s, from.port, node)) return;
      if (auto id = s.sockets.find(inside->second); id != s.sockets.end()) Arrive(s, Datagram{SocketId{id->second}, node.endpoint(), AsBytes(answer)});
    });
  }
  Ipv4Address Seen(const Side& s, Ipv4Address from) {
    return s.kind.mapping == Mapping::kLoopbackRandom ? Ipv4Address{from.host, false_port_++} : from;
  }
  void Block(Side& s) {
    if (s.kind.mapping == Mapping::kLoopbackRandom) s.blocked.insert(s.puncher->socket());
  }

  // ---- Messages ----
  // Among the probes of the same turn it has its place.
  void Note(const Side& s, std::string line) { messages.push_back(line), notes_.emplace_back(s.out.outputs().size(), std::move(line)); }
  static std::string Describe(const std::optional<std::vector<Endpoint>>& list) {
    if (!list) return "null";
    std::string out = "[";
    for (const Endpoint& e : *list) out += e.port == 0 ? "host" : "full";
    return out + "]";
  }
  std::string Seal(Side& s, Turn& t, const HolepunchPayload& p) {
    Note(s, std::string(&s == &client ? "client" : "server") + " sends error " + std::to_string(p.error) + " firewall " + std::to_string(int(p.firewall)) +
         " round " + std::to_string(p.round) + (p.punching ? " punching" : "") + " addresses " + Describe(p.addresses) +
         (p.remote_address ? " remoteAddress" : "") + (p.token ? " token" : "") + (p.remote_token ? " remoteToken" : ""));
    return s.secure->Seal(p, t.rng);
  }
  void Update(Side& s, const HolepunchPayload& p, const std::optional<Endpoint>& verified) {
    s.puncher->UpdateRemote(p.punching, p.firewall, p.addresses ? &*p.addresses : nullptr, verified);
    Note(s, std::string(&s == &client ? "client" : "server") + " updates firewall " + std::to_string(int(p.firewall)) + (p.punching ? " punching" : "") +
         " addresses " + Describe(p.addresses) + (verified ? " verified" : ""));
  }

  // ---- Client ----
  void ProbeRound(Turn& t) {
    if (options_.fast_open) client.puncher->OpenSession(t, *client.rpc, server_address_);
    HolepunchPayload p{.firewall = client.puncher->nat().firewall(), .round = round_++, .addresses = client.puncher->nat().addresses()};
    if (options_.fast_open) p.remote_address = server_address_;
    ToServer(t, p, 0);
  }
  void ToServer(Turn& t, const HolepunchPayload& p, uint32_t relay) {
    // It leaves when the turn is over: the socket may be of this turn.
    At(now, [this, sealed = Seal(client, t, p), relay] {
      if (client.puncher->destroyed()) return;
      At(now + 2 * options_.latency, [this, sealed, relay, from = SeenBy(client, Relay(relay))] { ServerGets(sealed, from, relay); });
    });
  }
  void ClientGets(const std::string& sealed, const Endpoint& client_seen, const Endpoint& server_seen) {
    auto p = client.secure->Open(AsBytes(sealed));
    if (!p.ok() || !result.empty()) return;
    In(client, [&](Turn& t, dht::News&, Puncher::News& news) {
      if (p->error != 0) return Fail(t, "HOLEPUNCH_ABORTED");
      const bool echoed = p->remote_token.has_value() && p->remote_token == sent_token_;
      Update(client, *p, echoed ? std::optional(server_seen) : std::nullopt);
      if (punch_sent_) {
        if (!p->punching || !client.puncher->Punch(t, *client.rpc)) return Fail(t, "REMOTE_NOT_HOLEPUNCHING");
        return;
      }
      token_ = p->token, server_address_ = server_seen;
      client.puncher->AddSample(t, *client.rpc, Seen(client, Ipv4Address::Of(client_seen)), Relay(0), news);
      client.puncher->Analyze(t, *client.rpc, /*allow_reopen=*/false, news);
    });
  }
  void ClientAnalyzed(Turn& t, const Puncher::Happened& h, Puncher::News& news) {
    Puncher& p = *client.puncher;
    if (!h.stable && !h.reopen) return p.Analyze(t, *client.rpc, /*allow_reopen=*/true, news);
    if (h.reopen && h.stable) return ProbeRound(t);
    const Firewall local = p.nat().firewall(), remote = p.remote_firewall();
    if (local == Firewall::kUnknown || remote == Firewall::kUnknown || (local == Firewall::kRandom && remote == Firewall::kRandom)) {
      return ToServer(t, {.error = 1, .round = round_++}, 0);  // The answer ends it.
    }
    p.nat().Freeze();
    if ((local == Firewall::kRandom || remote == Firewall::kRandom) && client.limiter.busy(now)) return Fail(t, "HOLEPUNCH_ABORTED");
    punch_sent_ = true;
    sent_token_ = client.secure->token(server_address_);
    ToServer(t, {.firewall = local, .round = round_++, .punching = true, .addresses = p.nat().addresses(), .token = sent_token_, .remote_token = token_}, 1);
  }
  void Fail(Turn& t, std::string why) {
    client.puncher->Destroy(t, *client.rpc);
    result = std::move(why);
  }

  // ---- Server ----
  void ServerGets(const std::string& sealed, const Endpoint& peer, uint32_t relay) {
    auto p = server.secure->Open(AsBytes(sealed));
    if (!p.ok()) return;
    In(server, [&](Turn& t, dht::News&, Puncher::News& news) {
      message_ = *p, peer_of_client = peer, relay_ = relay;
      if (p->error != 0) return ServerAborts(t, 1);
      const Key32 token = server.secure->token(peer);
      // The first relay is one of the four that were asked.
      if (relay != 0) {
        server.puncher->AddSample(t, *server.rpc, Seen(server, Ipv4Address::Of(SeenBy(server, Relay(relay)))), Relay(relay), news);
      }
      Update(server, *p, p->remote_token == token ? std::optional(peer) : std::nullopt);
      server.puncher->Analyze(t, *server.rpc, /*allow_reopen=*/false, news);
    });
  }
  void ServerAnalyzed(Turn& t, const Puncher::Happened& h, Puncher::News& news) {
    Puncher& p = *server.puncher;
    if (!h.stable && !message_.punching) {
      if (!h.reopen) return p.Analyze(t, *server.rpc, /*allow_reopen=*/true, news);
      return ServerAborts(t, 1);
    }
    const Firewall local = p.nat().firewall();
    const auto& own = p.nat().addresses();
    if (local != Firewall::kRandom && local != Firewall::kUnknown && message_.remote_address && own &&
        std::find(own->begin(), own->end(), *message_.remote_address) != own->end()) {
      p.Ping(t, *server.rpc, peer_of_client);
    }
    if (message_.punching) {
      const bool random = local == Firewall::kRandom || p.remote_firewall() == Firewall::kRandom;
      if (random && server.limiter.busy(now)) return ServerAborts(t, 3);
      if (!p.Punch(t, *server.rpc)) return ServerAborts(t, 1);
    }
    if (local != Firewall::kUnknown) p.nat().Freeze();
    Answer(t, {.firewall = local, .round = message_.round, .punching = p.punching(), .addresses = own,
               .token = server.secure->token(peer_of_client), .remote_token = message_.token});
  }
  void ServerAborts(Turn& t, uint64_t error) {
    Answer(t, {.error = error, .round = message_.round});
    server.puncher->Destroy(t, *server.rpc);
  }
  void Answer(Turn& t, const HolepunchPayload& p) {
    const Ipv4Address relay = Relay(relay_);
    At(now + 2 * options_.latency, [this, sealed = Seal(server, t, p), to = peer_of_client, from = SeenBy(server, relay)] { ClientGets(sealed, to, from); });
  }

  void OnPuncher(Side& s, Turn& t, const Puncher::Happened& h, Puncher::News& news) {
    switch (h.event) {
      case Puncher::Event::kAnalyzed:
        if (!flowing_) return;
        return &s == &client ? ClientAnalyzed(t, h, news) : ServerAnalyzed(t, h, news);
      case Puncher::Event::kConnected: connected = h, result = "connected"; break;
      case Puncher::Event::kAborted: result = "HOLEPUNCH_ABORTED"; break;
    }
  }

  Options options_;
  Rng wire_;
  std::priority_queue<Event> events_;
  uint64_t seq_ = 0, round_ = 0;
  uint16_t false_port_ = 20000;
  Endpoint server_address_;
  std::vector<std::pair<size_t, std::string>> notes_;  // Of this turn, with the number of outputs before each.
  std::optional<Key32> token_, sent_token_;
  HolepunchPayload message_;
  uint32_t relay_ = 0;
  bool punch_sent_ = false, flowing_ = false;
};

}  // namespace orchard::hyperdht
