// Servers and connections under hostile handshakes, hole-punch messages, probes, packets and time, some of them sealed with the
// right keys: nothing crashes, and sockets, slots and output stay bounded.
#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "node/base/check.h"
#include "node/base/turn_runner.h"
#include "node/dht/message.h"
#include "node/hyperdht/dht.h"
#include "node/hyperdht/handshake.h"
#include "node/hyperdht/holepunch_payload.h"
#include "node/hyperdht/server.h"
#include "node/store/mem_store.h"
#include "node/udx/packet.h"

namespace {

using namespace orchard;
using namespace orchard::hyperdht;

crypto::KeyPair Key(uint8_t seed) { return crypto::KeyPairFromSeed(Key32{seed}); }

class Victim final : public Machine {
 public:
  void Handle(Turn& turn, const Input& input) override {
    News news;
    if (std::holds_alternative<Start>(input)) {
      dht.OnStart(turn, news);
      dht.peers().Listen(turn, {.key = Key(1), .relay_through = Key32(Key(3).public_key)}, news);
      dht.peers().Listen(turn, {.key = Key(3), .blind_relay = true}, news);
      for (uint8_t to : {3, 4}) {
        dials.push_back(dht.peers().Connect(turn, Key(to).public_key, {.key = Key(2), .relay_addresses = {Endpoint::V4(0x7f000002, 1)},
                                                                         .relay_through = Key32(Key(5).public_key)}));
      }
    }
    if (const auto* o = std::get_if<SocketOpened>(&input)) dht.OnSocketOpened(turn, *o, news);
    if (const auto* d = std::get_if<Datagram>(&input)) dht.OnDatagram(turn, *d, news);
    if (const auto* i = std::get_if<InterfacesChanged>(&input)) dht.OnInterfacesChanged(turn, i->interfaces);
    if (const auto* c = std::get_if<OpCall>(&input)) {
      const auto all = dht.peers().connections();
      if (!all.empty() && !c->params.empty()) {
        const ConnectionId id = all[c->params[0] % all.size()];
        switch (c->params[0] % 3) {
          case 0: dht.peers().Send(turn, id, c->params); break;
          case 1: dht.peers().End(turn, id); break;
          case 2: dht.peers().Destroy(turn, id); break;
        }
      }
    }
    if (std::holds_alternative<Deadline>(input)) dht.OnTime(turn, news);
    dht.Flush(turn);
  }
  Instant next_deadline() const override { return dht.next_deadline(); }

  Dht dht{dht::RpcConfig{.firewalled = true, .roots = {{.address = {0x7f000002, 1}}}}, PeersConfig{}};
  std::vector<ConnectionId> dials;
};

// One handshake that was truly made, and what came of it.
struct Session {
  ClientHandshake handshake;
  std::optional<Accepted> accepted;
};

struct Host final : TurnRunner::Host {
  void Perform(const Output& o, Bytes b) override {
    if (o.what == Do::kOpenSocket) opened.push_back(SocketId{o.id});
    if (o.what != Do::kSend) return;
    bytes += o.size;
    if (b.empty() || b[0] != dht::kRequestByte || sessions.empty()) return;
    absl::StatusOr<dht::Request> r = dht::DecodeRequest(b, {1, 1});
    if (!r.ok() || r->command != kPeerHandshake || !r->value.has_value()) return;
    absl::StatusOr<HandshakeEnvelope> e = HandshakeEnvelope::Decode(*r->value);
    if (!e.ok() || e->mode != uint64_t(Mode::kFromServer)) return;
    absl::StatusOr<Accepted> a = sessions.back().handshake.Finish(AsBytes(e->noise));
    if (a.ok()) sessions.back().accepted = *std::move(a);
  }
  void StartSync() override { ++syncs; }
  std::vector<SocketId> opened;
  std::vector<Session> sessions;
  size_t bytes = 0;
  int syncs = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemStore store, scratch;
  Host host;
  Outbox outbox, unsent;
  Rng rng = Rng::Named(1, "fuzz", "client");
  Trace untraced{nullptr, nullptr};
  auto owned = std::make_unique<Victim>();
  Victim& victim = *owned;
  TurnRunner runner(std::move(owned), Rng::Named(1, "fuzz", "0"), &store, nullptr, nullptr);
  Instant now(std::chrono::seconds(1));
  Turn aside{now, {}, rng, scratch, unsent, untraced};
  uint32_t last_socket = 2, step = 0;
  auto feed = [&](const Input& input) {
    runner.Feed(now, Duration{}, input, host, outbox);
    while (!host.opened.empty()) {
      const SocketId s = host.opened.back();
      host.opened.pop_back();
      last_socket = std::max(last_socket, uint32_t(s));
      runner.Feed(now, Duration{}, SocketOpened{s, Endpoint::V4(0x7f000001, uint16_t(40000 + uint32_t(s))), absl::StatusCode::kOk}, host, outbox);
    }
    for (; host.syncs > 0; --host.syncs) runner.Synced(host);
  };
  auto ask = [&](uint64_t command, const std::string& value, uint8_t from) {
    const Key32 target = Hash(Key(1).public_key);
    wire::Writer w;
    dht::Encode(dht::RequestOut{.tid = uint16_t(step), .to = {0x05050505, 7}, .command = command, .target = &target, .value = AsBytes(value)}, w);
    feed(Datagram{SocketId{1}, Endpoint::V4(0x7f000002 + from, 1), w.bytes()});
  };
  feed(Start{});
  while (size > 2) {
    // A step: what, how much, then so many bytes.
    const uint8_t what = data[0] % 10, how = data[1];
    const size_t n = std::min<size_t>(size - 2, how % 96);
    const Bytes payload(data + 2, n);
    ++step;
    switch (what) {
      case 0: feed(Datagram{SocketId{1 + how % last_socket}, Endpoint::V4(0x7f000002 + data[0], 1), payload}); break;
      case 1: ask(kPeerHandshake, std::string(AsText(payload)), how); break;
      case 2:
      case 3: {  // A true one, with whatever payload can be read.
        NoisePayload p;
        if (absl::StatusOr<NoisePayload> read = NoisePayload::Decode(payload); read.ok()) p = *std::move(read);
        else p.udx = NoisePayload::Udx{.id = how}, p.secret_stream = 1, p.firewall = data[0] / 10 % 5;
        if (p.Encode().size() > 400) break;
        host.sessions.push_back({ClientHandshake(aside, Key(uint8_t(10 + how % 8)), Key(1).public_key, p), std::nullopt});
        HandshakeEnvelope e{.mode = uint64_t(what == 2 ? Mode::kFromRelay : Mode::kFromClient), .noise = host.sessions.back().handshake.message(),
                            .peer_address = Endpoint::V4(0x01000000 + how, 9)};
        ask(kPeerHandshake, e.Encode(), how % 4);
        break;
      }
      case 4:
      case 5: {  // Sealed for one of the sessions.
        if (host.sessions.empty()) break;
        const Session& s = host.sessions[how % host.sessions.size()];
        if (!s.accepted.has_value()) break;
        HolepunchPayload p{.firewall = Firewall(data[0] / 10 % 4), .round = how % 7u, .punching = how % 2 == 1,
                           .addresses = std::vector<Endpoint>{Endpoint::V4(0x01000000 + how, 9)}};
        if (absl::StatusOr<HolepunchPayload> read = HolepunchPayload::Decode(payload); read.ok()) p = *std::move(read);
        SecurePayload seal(HolepunchSecret(s.accepted->keys.handshake_hash), rng);
        const auto& punch = s.accepted->payload.holepunch;
        ask(kPeerHolepunch, HolepunchEnvelope{.mode = uint64_t(Mode::kFromRelay), .id = punch.has_value() ? punch->id : how, .payload = seal.Seal(p, rng),
                                              .peer_address = Endpoint::V4(0x01000000 + how, 9)}.Encode(), how % 4);
        break;
      }
      case 6: ask(kPeerHolepunch, std::string(AsText(payload)), how); break;
      case 7: {
        const uint8_t zero[1] = {0};
        feed(Datagram{SocketId{1 + how % last_socket}, Endpoint::V4(0x01000000 + data[0], 9), zero});
        break;
      }
      case 8: now += std::chrono::milliseconds(how * 40); aside.now = now; runner.FeedDeadline(now, Duration{}, host, outbox); feed(InterfacesChanged{}); break;
      case 9: feed(OpCall{OpId{step}, "do", payload}); break;
    }
    data += 2 + n, size -= 2 + n;
    const Peers& peers = victim.dht.peers();
    CHECK_LE(peers.connections().size(), Server::kSlotsMax + victim.dials.size());
    CHECK_LE(victim.dht.rpc().sockets().extras(), Peers::kServersSocketsMax + 256);
  }
  CHECK_LT(host.bytes, size_t{16} << 20);
  return 0;
}
