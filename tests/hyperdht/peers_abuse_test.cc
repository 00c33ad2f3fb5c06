// Floods, forgeries and replays of handshakes and hole-punch messages: bounded, and the rightful connection comes about.
#include <gtest/gtest.h>

#include "node/hyperdht/holepunch_payload.h"
#include "node/hyperdht/server.h"
#include "node/protomux/blind_relay.h"
#include "node/protomux/mux.h"
#include "tests/support/peers_fixture.h"

namespace orchard::hyperdht {
namespace {

constexpr uint64_t kRelayed = uint64_t(Mode::kFromRelay);

class FloodTest : public AbusedPeersTest {
 protected:
  size_t Sockets(PeerNet::NodeIndex n) { return net[n].dht.rpc().sockets().extras(); }
};

TEST_F(FloodTest, OneHostTakesSixtyFourSlotsAndSixteenSockets) {
  net.AddRoots();
  auto server = Server(Nat::kConsistent);
  for (uint32_t i = 0; i < 1000; ++i) Knock(server, Noise(2, i), uint16_t(i));
  EXPECT_EQ(Sockets(server), Server::kPunchesOfOneHost);
  EXPECT_EQ(net.peers(server).connections().size(), Server::kPunchesOfOneHost);
  EXPECT_EQ(refused["overload"], int(1000 - Server::kPunchesOfOneHost));
  // Somebody else gets in beside it.
  auto client = Client(Nat::kConsistent);
  for (uint32_t i = 0; i < 200; ++i) Knock(server, Noise(2, 5000 + i), uint16_t(i));
  ConnectionId c = net.Connect(client, 1);
  EXPECT_TRUE(Opens(client, c, 10s));
  net.host.Run(60s);
  EXPECT_LE(Sockets(server), 1u);
  EXPECT_EQ(net.peers(server).connections().size(), 1u);
}

TEST_F(FloodTest, OneHostTakesSixtyFourSlotsOfAnOpenServer) {
  net.AddRoots();
  auto server = Server();
  for (uint32_t i = 0; i < 100; ++i) Knock(server, Noise(2, i), uint16_t(i));
  EXPECT_EQ(net.peers(server).connections().size(), Server::kSlotsOfOneHost);
  EXPECT_EQ(Sockets(server), 0u);
}

// Each holds its slot for ten seconds, in which messages of its punch may come still; but not at the cost of the next.
TEST_F(FloodTest, AHostThatConnectsOftenIsNotLimitedByConnectionsThatOpened) {
  net.AddRoots();
  Server(Nat::kConsistent);
  auto client = Client(Nat::kConsistent);
  const Instant began = net.host.now();
  for (uint32_t i = 0; i < 2 * hyperdht::Server::kSlotsOfOneHost; i += 8) {
    std::vector<ConnectionId> eight;
    for (uint8_t own = 100; own < 108; ++own) eight.push_back(net.Connect(client, 1, own));
    for (ConnectionId c : eight) {
      ASSERT_TRUE(Opens(client, c, 3s)) << i;
      net.In(client, [&](Dht& d, Turn& t, News&) { d.peers().Destroy(t, c); });
    }
  }
  ASSERT_LT(net.host.now() - began, hyperdht::Knock::kClearAfter);  // Else the slots would have been free by themselves.
  EXPECT_EQ(refused["overload"], 0);
}

TEST_F(FloodTest, ARelayThatInventsHostsTakesItsShareOnly) {
  net.AddRoots();
  auto server = Server(Nat::kConsistent);
  auto client = Client(Nat::kConsistent);
  size_t most = 0;
  for (int second = 0; second < 20; ++second) {
    for (uint32_t i = 0; i < 200; ++i) Knock(server, Noise(2, i), uint16_t(i), kRelayed, 0x02000000 + uint32_t(second) * 1000 + i);
    EXPECT_LE(Sockets(server), size_t(Server::kPunchesOfOneRelay));
    most = std::max(most, Sockets(server));
    if (second < 19) net.host.Run(1s);
  }
  EXPECT_EQ(most, Server::kPunchesOfOneRelay);
  ConnectionId c = net.Connect(client, 1);
  EXPECT_TRUE(Opens(client, c, 10s));  // It came through another.
}

// ---- Messages of a hole punch that are none ----

class ForgedPunchTest : public AbusedPeersTest {
 protected:
  // A handshake whose keys the test holds, and the slot that the server gave it.
  struct Session {
    Accepted accepted;
    uint64_t slot;
  };
  Session Begin(uint8_t key, uint32_t stream, uint32_t host) {
    NoisePayload p{.udx = NoisePayload::Udx{.id = stream}, .secret_stream = 1};
    ClientHandshake handshake(bare.turn, PeerNet::Key(key), PeerNet::Key(1).public_key, p);
    std::optional<Accepted> got;
    Watch([&](uint64_t command, Bytes value) {
      if (command != kPeerHandshake) return;
      auto e = HandshakeEnvelope::Decode(value);
      auto accepted = e.ok() ? handshake.Finish(AsBytes(e->noise)) : absl::InvalidArgumentError("");
      if (accepted.ok()) got = *accepted;
    });
    Knock(server, handshake.message(), 77, kRelayed, host);
    net.host.Run(100ms);
    Watch([](uint64_t, Bytes) {});  // What it held is gone with this call.
    EXPECT_TRUE(got.has_value() && got->payload.holepunch.has_value());
    return {*got, got->payload.holepunch->id};
  }
  void Watch(std::function<void(uint64_t, Bytes)> f) {
    net.host.set_filter([this, f](auto from, auto, Bytes b) {
      if (from != server || b.empty() || b[0] != dht::kRequestByte) return true;
      auto r = dht::DecodeRequest(b, {1, 1});
      if (r.ok() && r->value.has_value()) f(r->command, *r->value);
      return true;
    });
  }
  void Punch(uint64_t slot, std::string payload, uint16_t tid, uint32_t host = 0x01020304) {
    Feed(server, kPeerHolepunch, HolepunchEnvelope{.mode = kRelayed, .id = slot, .payload = std::move(payload), .peer_address = Endpoint::V4(host, 1000)}.Encode(), tid);
  }
  static HolepunchPayload Says(uint64_t round, bool punching) {
    return {.firewall = Firewall::kRandom, .round = round, .punching = punching, .addresses = std::vector<Endpoint>{Endpoint::V4(0x01020304, 0)}};
  }
  size_t Sockets() { return net[server].dht.rpc().sockets().extras(); }
  PeerNet::NodeIndex server{};
};

TEST_F(ForgedPunchTest, NothingOpensAndTheRightfulOneConnects) {
  net.AddRoots();
  server = Server(Nat::kConsistent);
  auto client = Client(Nat::kConsistent);
  Session a = Begin(2, 5, 0x01020304), b = Begin(3, 6, 0x01020305);
  SecurePayload of_a(HolepunchSecret(a.accepted.keys.handshake_hash), bare.rng), of_b(HolepunchSecret(b.accepted.keys.handshake_hash), bare.rng);
  const size_t before = Sockets();
  const std::string sealed = of_a.Seal(Says(0, true), bare.rng);
  Punch(999, sealed, 1);                                            // No such slot.
  Punch(b.slot, sealed, 2);                                         // Of another session.
  Punch(a.slot, sealed.substr(0, 40), 3);
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string bent = sealed;
    bent[i] = char(bent[i] ^ 1);
    Punch(a.slot, bent, uint16_t(10 + i));
  }
  EXPECT_GE(refused["forged"], int(sealed.size()) + 2);
  EXPECT_EQ(Sockets(), before);
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 10s));
  EXPECT_EQ(net.peers(client).info(c)->path, Path::kPunched);
  net.host.Run(60s);
  EXPECT_EQ(net[server].Of<ConnectionOpened>().size(), 1u);
  EXPECT_EQ(net.peers(server).connections().size(), 1u);
}

TEST_F(ForgedPunchTest, RepliesReplaysAndOldRoundsAreBounded) {
  net.AddRoots();
  server = Server(Nat::kConsistent);
  Session a = Begin(2, 5, 0x01020304);
  SecurePayload seal(HolepunchSecret(a.accepted.keys.handshake_hash), bare.rng);
  net.host.Run(3s);
  int answers = 0;
  uint64_t last_round = 0;
  Watch([&](uint64_t command, Bytes value) {
    if (command != kPeerHolepunch) return;
    auto e = HolepunchEnvelope::Decode(value);
    auto p = e.ok() ? seal.Open(AsBytes(e->payload)) : absl::InvalidArgumentError("");
    if (p.ok()) ++answers, last_round = p->round;
  });
  const std::string third = seal.Seal(Says(3, false), bare.rng), first = seal.Seal(Says(1, false), bare.rng);
  Punch(a.slot, third, 1), Punch(a.slot, first, 2);
  net.host.Run(100ms);
  EXPECT_EQ(answers, 2);
  EXPECT_EQ(last_round, 3u);  // An older one is answered, and changes nothing.
  for (uint16_t i = 0; i < 500; ++i) Punch(a.slot, third, uint16_t(10 + i));
  net.host.Run(100ms);
  EXPECT_LE(answers, 502);
  EXPECT_EQ(Sockets(), 1u);
}

TEST_F(ForgedPunchTest, AClientThatNeverProvedItsHostIsNotProbedAtRandom) {
  net.AddRoots();
  server = Server(Nat::kConsistent);
  Session a = Begin(2, 5, 0x01020304);
  SecurePayload seal(HolepunchSecret(a.accepted.keys.handshake_hash), bare.rng);
  net.host.Run(3s);
  // It names a victim's host, and a token that is not of that host.
  HolepunchPayload says = Says(1, true);
  says.addresses = std::vector<Endpoint>{Endpoint::V4(0x09090909, 0)};
  says.remote_token = Key32{1};
  Punch(a.slot, seal.Seal(says, bare.rng), 1, 0x09090909);
  net.host.Run(5s);
  EXPECT_TRUE(net.peers(server).connections().empty());
  EXPECT_EQ(Sockets(), 0u);
}

TEST_F(AbusedPeersTest, HandshakesOutOfPlaceLeadNowhere) {
  net.AddRoots();
  auto server = Server(Nat::kConsistent), client = Client(Nat::kConsistent);
  const std::string good = Noise(2, 5);
  // Made for another server, for nobody, and as what a server sends.
  NoisePayload p{.udx = NoisePayload::Udx{.id = 9}, .secret_stream = 1};
  Knock(server, ClientHandshake(bare.turn, PeerNet::Key(2), PeerNet::Key(3).public_key, p).message(), 1);
  EXPECT_EQ(refused["forged"], 1);
  Knock(server, good, 2, uint64_t(Mode::kFromServer));
  Knock(server, good, 3, uint64_t(Mode::kReply));
  EXPECT_TRUE(net.peers(server).connections().empty());
  // The same through many relays is one.
  for (uint16_t i = 0; i < 50; ++i) Knock(server, good, uint16_t(10 + i), kRelayed, 0x03000000u + i);
  EXPECT_EQ(net.peers(server).connections().size(), 1u);
  ConnectionId c = net.Connect(client, 1);
  EXPECT_TRUE(Opens(client, c, 10s));
}

// ---- A handshake that comes again once it led to a connection ----

class AgainTest : public AbusedPeersTest {
 protected:
  // The client's connection is open, and the server's echoes; `noise` is what made it.
  void Open(Nat at_client, Nat at_server) {
    net.AddRoots();
    server = Server(at_server), client = Client(at_client);
    net.host.set_filter([&](auto, auto to, Bytes b) {
      absl::StatusOr<dht::Request> r = absl::InvalidArgumentError("");
      if (to == server && !b.empty() && b[0] == dht::kRequestByte) r = dht::DecodeRequest(b, {1, 1});
      if (r.ok() && r->command == kPeerHandshake && r->value.has_value()) {
        if (auto e = HandshakeEnvelope::Decode(*r->value); e.ok()) noise = e->noise;
      }
      return true;
    });
    net[server].echo = true;
    c = net.Connect(client, 1);
    ASSERT_TRUE(Opens(client, c, 10s));
    ASSERT_FALSE(noise.empty());
    ASSERT_TRUE(net.host.RunUntil([&] { return !net[server].Of<ConnectionOpened>().empty(); }, 5s));
    made = noise;
  }
  // One connection at the server, at the same place as before, which works.
  void ExpectUnharmed() {
    ASSERT_EQ(net.peers(server).connections().size(), 1u);
    const ConnectionId at_server = net.peers(server).connections()[0];
    EXPECT_EQ(net[server].Of<ConnectionOpened>().size(), 1u);
    EXPECT_EQ(net.peers(server).info(at_server)->remote, place);
    const size_t before = net[client].messages[c].size();
    net.Send(client, c, "still here");
    EXPECT_TRUE(net.host.RunUntil([&] { return net[client].messages[c].size() == before + 1; }, 1s));
    EXPECT_TRUE(net.Open(client, c));
  }
  void Remember() { place = net.peers(server).info(net.peers(server).connections()[0])->remote; }
  // From the attacker's relay, which says that the client is at its own host.
  void Replay(std::string message, uint16_t tid) {
    Knock(server, std::move(message), tid, kRelayed, 0x09090909);
    net.host.Run(3s);
  }
  PeerNet::NodeIndex server{}, client{};
  ConnectionId c{};
  std::string noise, made;
  Endpoint place;
};

TEST_F(AgainTest, ACopyThatWasLateIsRefusedAndHarmsNothing) {
  Open(Nat::kNone, Nat::kNone), Remember();
  for (uint16_t i = 0; i < 20; ++i) Knock(server, made, uint16_t(500 + i), i % 2 == 0 ? kRelayed : uint64_t(Mode::kFromClient), 0x03000000u + i);
  EXPECT_EQ(refused["replayed"], 20);
  ExpectUnharmed();
}

TEST_F(AgainTest, AReplayDoesNotMoveAConnectionHoweverOldItIs) {
  Open(Nat::kNone, Nat::kNone), Remember();
  net.host.Run(Server::kSpentFor + 1min);
  Replay(made, 1);
  EXPECT_EQ(refused["replayed"], 1);
  ExpectUnharmed();
}

TEST_F(AgainTest, AReplayDoesNotMoveAPunchedConnectionEither) {
  Open(Nat::kConsistent, Nat::kConsistent), Remember();
  net.host.Run(Server::kSpentFor + 1min);
  Replay(made, 1);
  EXPECT_EQ(refused["replayed"], 1);
  EXPECT_LE(net[server].dht.rpc().sockets().extras(), 1u);
  ExpectUnharmed();
}

TEST_F(AgainTest, NeitherTheFirstNorAnOlderMoveComesBack) {
  Open(Nat::kConsistent, Nat::kConsistent);
  std::vector<std::string> all = {made};
  for (int move = 0; move < 2; ++move) {
    net.host.Run(10s);  // Keep-alives have come: it will be missed when none does.
    net.Remap(client);
    ASSERT_TRUE(net.host.RunUntil([&] { return noise != all.back(); }, 30s));
    net.host.Run(20s);
    ASSERT_TRUE(net.Open(client, c));
    all.push_back(noise);
  }
  Remember();
  net.host.Run(Server::kSpentFor + 1min);
  for (size_t i = 0; i < all.size(); ++i) Replay(all[i], uint16_t(1 + i));
  EXPECT_EQ(refused["replayed"], int(all.size()));
  ExpectUnharmed();
}

TEST_F(AgainTest, WhoseFirstAnswersAreLostGetsThemAgainAndOneConnection) {
  net.AddRoots();
  server = Server(), client = Client();
  int lost = 0;
  net.host.set_filter([&](auto from, auto, Bytes b) {
    if (from != server || b.empty() || b[0] != dht::kRequestByte) return true;
    auto r = dht::DecodeRequest(b, {1, 1});
    return !(r.ok() && r->command == kPeerHandshake && lost++ < 3);
  });
  c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 10s));
  EXPECT_GE(lost, 3);
  net.host.Run(60s);
  EXPECT_EQ(net.peers(server).connections().size(), 1u);
  EXPECT_EQ(net[server].Of<ConnectionOpened>().size(), 1u);
  EXPECT_TRUE(net[server].Of<ConnectFailed>().empty());
  EXPECT_TRUE(net.Open(client, c));
}

// ---- A relay that is used by whom it does not like ----

class RelayAbuseTest : public RelayPeersTest {
 protected:
  // Asks the relay for a pair by hand, and has no stream for it. The connection to the relay stays.
  ConnectionId Ask(PeerNet::NodeIndex n, uint8_t key, const Key32& token, bool initiator) {
    const ConnectionId to_relay = net.Connect(n, 50, key);
    EXPECT_TRUE(Opens(n, to_relay, 10s));
    protomux::Mux mux;
    protomux::News news;
    protomux::Out out;
    protomux::BlindRelayClient asks(PeerNet::Key(key).public_key, mux, news, out);
    EXPECT_TRUE(asks.Pair(mux, token, initiator, 7, out).ok());
    mux.EndTurn(out);
    for (const std::string& message : out) net.Send(n, to_relay, message);
    net.host.Run(1s);
    return to_relay;
  }
  int cut = 0;
  void CountCuts() {
    net.host.set_on_trace([this](PeerNet::NodeIndex, std::string_view event, absl::Span<const TraceField>) { cut += event == "relay.carried"; });
  }
};

TEST_F(RelayAbuseTest, ALinkWithoutABitOfTrafficIsCutThoughBothEndsStay) {
  net.AddRoots();
  AddRelay();
  CountCuts();
  server = Client(), client = Client();
  const ConnectionId a = Ask(server, 201, Key32{7}, true), b = Ask(client, 202, Key32{7}, false);
  EXPECT_FALSE(net[server].messages[a].empty());  // Paired.
  net.host.Run(30s);
  EXPECT_EQ(cut, 0);
  net.host.Run(120s);
  EXPECT_EQ(cut, 2);
  EXPECT_TRUE(net.Open(server, a));
  EXPECT_TRUE(net.Open(client, b));
}

TEST_F(RelayAbuseTest, ATokenThatNobodyClaimsIsForgotten) {
  net.AddRoots();
  AddRelay();
  CountCuts();
  server = Client(), client = Client();
  const ConnectionId a = Ask(server, 201, Key32{7}, true);
  net.host.Run(90s);
  const size_t told = net[server].messages[a].size();
  Ask(client, 202, Key32{7}, false);
  net.host.Run(5s);
  EXPECT_EQ(net[server].messages[a].size(), told);  // The other half came a minute too late.
}

TEST_F(RelayAbuseTest, OneKeyHasFourConnectionsToARelay) {
  net.AddRoots();
  AddRelay();
  client = Client();
  std::vector<ConnectionId> all;
  for (int i = 0; i < 6; ++i) {
    all.push_back(net.Connect(client, 50, 201));
    EXPECT_TRUE(Opens(client, all.back(), 10s));
    net.host.Run(1s);
  }
  int open = 0;
  for (ConnectionId id : all) open += net.Open(client, id);
  EXPECT_EQ(open, 4);
}

TEST_F(RelayAbuseTest, ALinkInUseIsNotCut) {
  net.AddRoots();
  AddRelay();
  uint64_t carried = 0;
  int cut = 0;
  net.host.set_on_trace([&](PeerNet::NodeIndex, std::string_view event, absl::Span<const TraceField> fields) {
    if (event == "relay.carried") ++cut, carried += fields[1].number;
  });
  server = Server(Nat::kRandom), client = Client(Nat::kRandom);
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kFallback));
  ASSERT_TRUE(Opens(client, c, 30s));
  net.Send(client, c, std::string(100000, 'x'));
  net.host.Run(300s);
  EXPECT_TRUE(net.Open(client, c));  // Keep-alives are use.
  EXPECT_EQ(cut, 0);
  net.SetDown(client, true), net.SetDown(server, true);
  net.host.Run(200s);
  EXPECT_EQ(cut, 2);
  EXPECT_GT(carried, 100000u);
}

TEST_F(RelayAbuseTest, ARelayThatIsNoneIsNamedSo) {
  net.AddRoots();
  relay = net.AddPeer();
  net.host.Run(10s);
  net.Listen(relay, 50);  // It listens, and relays nothing.
  net.host.Run(10s);
  server = Server(Nat::kRandom), client = Client(Nat::kRandom);
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kFallback));
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 90s));
  const ConnectFailed failed = net[client].Of<ConnectFailed>().at(0);
  EXPECT_EQ(failed.code, ConnectCode::kRelayAborted);
  EXPECT_EQ(failed.relay, RelayFailure::kRefused);
  EXPECT_EQ(failed.direct, ConnectCode::kDoubleRandomized);
  EXPECT_EQ(failed.local_nat, Firewall::kRandom);
  EXPECT_EQ(failed.remote_nat, Firewall::kRandom);
}

TEST_F(RelayAbuseTest, ARelayThatIsNotThereIsNamedSo) {
  net.AddRoots();
  server = Server(Nat::kRandom), client = Client(Nat::kRandom);
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kFallback));
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 90s));
  EXPECT_EQ(net[client].Of<ConnectFailed>().at(0).relay, RelayFailure::kUnreachable);
}

TEST_F(RelayAbuseTest, APeerThatDoesNotComeToTheRelayIsNamedSo) {
  net.AddRoots();
  AddRelay();
  server = Server(Nat::kRandom, {.relay_policy = RelayPolicy::kNever}), client = Client(Nat::kRandom);
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kFallback));
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 90s));
  EXPECT_EQ(net[client].Of<ConnectFailed>().at(0).relay, RelayFailure::kNobodyCame);
}

TEST_F(PunchPeersTest, WhyItFailedIsToldWithBothNats) {
  net.AddRoots();
  server = Server(Nat::kRandom), client = Client(Nat::kRandom);
  c = net.Connect(client, 1);
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 60s));
  const ConnectFailed failed = net[client].Of<ConnectFailed>().at(0);
  EXPECT_EQ(failed.local_nat, Firewall::kRandom);
  EXPECT_EQ(failed.remote_nat, Firewall::kRandom);
  EXPECT_EQ(failed.relay, RelayFailure::kNone);
}

}  // namespace
}  // namespace orchard::hyperdht
