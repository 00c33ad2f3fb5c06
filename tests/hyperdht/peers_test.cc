#include "node/hyperdht/peers.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "node/dht/message.h"
#include "node/hyperdht/connect_flow.h"
#include "node/hyperdht/handshake.h"
#include "tests/support/peers_fixture.h"

namespace orchard::hyperdht {
namespace {

TEST_F(PeersTest, ServerIsAnnouncedAtThreeNodes) {
  net.AddRoots();
  auto server = Server();
  ASSERT_EQ(net.peers(server).servers().size(), 1u);
  EXPECT_TRUE(net.peers(server).servers()[0].announced);
}

TEST_F(PeersTest, ClientReachesAServerAndMessagesGoBothWays) {
  net.AddRoots();
  auto server = Server(), client = Client();
  net[server].echo = true;
  ConnectionId c = net.Connect(client, 1);
  net.Send(client, c, "early");
  ASSERT_TRUE(Opens(client, c, 5s));
  net.Send(client, c, "hello");
  net.Send(client, c, std::string(300000, 'x'));
  ASSERT_TRUE(net.host.RunUntil([&] { return net[client].messages[c].size() == 3; }, 10s));
  EXPECT_EQ(net[client].messages[c][0], "early");
  EXPECT_EQ(net[client].messages[c][1], "hello");
  EXPECT_EQ(net[client].messages[c][2], std::string(300000, 'x'));
  auto opened = net[server].Of<ConnectionOpened>();
  ASSERT_EQ(opened.size(), 1u);
  EXPECT_EQ(opened[0].remote_key, PeerNet::Key(200).public_key);
}

TEST_F(PeersTest, ClosesInOrderWhenBothEnd) {
  net.AddRoots();
  auto server = Server(), client = Client();
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 5s));
  net.host.Run(1s);
  net.In(client, [&](Dht& d, Turn& t, News&) { d.peers().Send(t, c, AsBytes("last")), d.peers().End(t, c); });
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 5s));
  EXPECT_EQ(net.Code(client, c), ConnectCode::kOk);
  net.host.Run(1s);
  ConnectionId there = net[server].Of<ConnectionOpened>().at(0).connection;
  EXPECT_EQ(net[server].messages[there], std::vector<std::string>{"last"});
  EXPECT_EQ(net[server].Of<ConnectionEnded>().size(), 1u);
  EXPECT_EQ(net.Code(server, there), ConnectCode::kOk);
  EXPECT_EQ(net.peers(client).info(c), nullptr);
}

TEST_F(PeersTest, TheOtherSideLearnsOfADestroyedConnection) {
  net.AddRoots();
  auto server = Server(), client = Client();
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 5s));
  net.host.Run(1s);
  net.In(client, [&](Dht& d, Turn& t, News&) { d.peers().Destroy(t, c); });
  ConnectionId there = net[server].Of<ConnectionOpened>().at(0).connection;
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(server, there).has_value(); }, 5s));
  EXPECT_EQ(net.Code(server, there), ConnectCode::kReset);
  EXPECT_FALSE(net.Code(client, c).has_value());
}

TEST_F(PeersTest, UnknownPeerIsNotFound) {
  net.AddRoots();
  auto client = Client();
  ConnectionId c = net.Connect(client, 99);
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 20s));
  EXPECT_EQ(net.Code(client, c), ConnectCode::kPeerNotFound);
  EXPECT_EQ(net[client].Of<ConnectFailed>().at(0).step, ConnectStep::kFindPeer);
}

TEST_F(PeersTest, AServerThatAsksMayRefuse) {
  net.AddRoots();
  auto server = Server({}, {.asks = true}), client = Client();
  net[server].admit = false;
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 60s));
  EXPECT_EQ(net.Code(client, c), ConnectCode::kPeerConnectionFailed);
  ASSERT_EQ(net[server].Of<PeerKnocked>().size(), 1u);
  EXPECT_EQ(net[server].Of<PeerKnocked>()[0].remote_key, PeerNet::Key(200).public_key);
  EXPECT_TRUE(net[server].Of<ConnectionOpened>().empty());
  net[server].admit = true;
  ConnectionId again = net.Connect(client, 1);
  EXPECT_TRUE(Opens(client, again, 10s));
}

TEST_F(PeersTest, TheSameHandshakeThroughManyNodesIsOneConnection) {
  net.AddRoots();
  auto server = Server(), client = Client();
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 5s));
  net.host.Run(30s);
  EXPECT_EQ(net[server].Of<ConnectionOpened>().size(), 1u);
  EXPECT_EQ(net.peers(server).connections().size(), 1u);
}

TEST_F(PeersTest, NobodyFindsAServerThatStoppedListening) {
  net.AddRoots();
  auto server = Server(), client = Client();
  net.In(server, [&](Dht& d, Turn& t, News&) { EXPECT_TRUE(d.peers().Unlisten(t, PeerNet::Key(1).public_key)); });
  net.host.Run(5s);
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 30s));
  EXPECT_EQ(net.Code(client, c), ConnectCode::kPeerNotFound);
}

TEST_F(PeersTest, ADeadPeerIsNoticed) {
  net.AddRoots();
  auto server = Server(), client = Client();
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 5s));
  net.host.Run(30s);
  EXPECT_TRUE(net.Open(client, c));
  net.host.Kill(server);
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 40s));
  EXPECT_EQ(net.Code(client, c), ConnectCode::kTimedOut);
}

TEST_F(PeersTest, ASlowReaderClosesTheWindowOfTheWriter) {
  net.AddRoots();
  auto server = Server(), client = Client();
  net[server].consume = false;
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 5s));
  size_t sent = 0;
  for (int i = 0; i < 2000; ++i) {
    if (net.peers(client).room(c) > 0) net.Send(client, c, std::string(16384, 'a')), sent += 16384;
    net.host.Run(10ms);
  }
  const ConnectionId there = net[server].Of<ConnectionOpened>().at(0).connection;
  size_t got = 0;
  for (const std::string& m : net[server].messages[there]) got += m.size();
  EXPECT_LT(got, 5u << 20);
  EXPECT_LT(sent, 16u << 20);
  net.In(server, [&](Dht& d, Turn& t, News&) { d.peers().Consumed(t, there, got); });
  net[server].consume = true;
  net.host.Run(60s);
  size_t later = 0;
  for (const std::string& m : net[server].messages[there]) later += m.size();
  EXPECT_EQ(later, sent);
  EXPECT_TRUE(net.Open(client, c));
  EXPECT_FALSE(net[client].Of<ConnectionWritable>().empty());
}

TEST_F(PeersTest, AMessageLargerThanTheWindowArrivesWhole) {
  net.AddRoots();
  auto server = Server(), client = Client();
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 5s));
  std::string big(6u << 20, 'b');
  net.Send(client, c, big);
  net.host.Run(100ms);
  const ConnectionId there = net[server].Of<ConnectionOpened>().at(0).connection;
  ASSERT_TRUE(net.host.RunUntil([&] { return net[server].messages[there].size() == 1; }, 60s));
  EXPECT_EQ(net[server].messages[there][0], big);
}

TEST_F(PeersTest, UnorderedMessagesGoBothWays) {
  net.AddRoots();
  auto server = Server(), client = Client();
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 5s));
  net.In(client, [&](Dht& d, Turn& t, News&) { d.peers().SendUnordered(t, c, AsBytes("quick")); });
  net.host.Run(1s);
  const ConnectionId there = net[server].Of<ConnectionOpened>().at(0).connection;
  EXPECT_EQ(net[server].unordered[there], std::vector<std::string>{"quick"});
}

// ---- NATs ----

TEST_F(PunchPeersTest, OpenAndOpen) { EXPECT_EQ(Meet(Nat::kNone, Nat::kNone), Path::kDirect); }
TEST_F(PunchPeersTest, ConsistentClientOpenServer) { EXPECT_EQ(Meet(Nat::kConsistent, Nat::kNone), Path::kDirect); }
TEST_F(PunchPeersTest, RandomClientOpenServer) { EXPECT_EQ(Meet(Nat::kRandom, Nat::kNone), Path::kDirect); }
TEST_F(PunchPeersTest, OpenClientConsistentServer) { EXPECT_EQ(Meet(Nat::kNone, Nat::kConsistent), Path::kDirect); }
TEST_F(PunchPeersTest, OpenClientRandomServer) { EXPECT_EQ(Meet(Nat::kNone, Nat::kRandom), Path::kDirect); }
TEST_F(PunchPeersTest, ConsistentAndConsistent) { EXPECT_EQ(Meet(Nat::kConsistent, Nat::kConsistent), Path::kPunched); }
TEST_F(PunchPeersTest, RandomClientConsistentServer) { EXPECT_EQ(Meet(Nat::kRandom, Nat::kConsistent, 60s), Path::kPunched); }
TEST_F(PunchPeersTest, ConsistentClientRandomServer) { EXPECT_EQ(Meet(Nat::kConsistent, Nat::kRandom, 60s), Path::kPunched); }
TEST_F(PunchPeersTest, TwoRandomNatsCannotMeet) {
  EXPECT_EQ(Meet(Nat::kRandom, Nat::kRandom, 60s), Path::kNone);
  EXPECT_EQ(net.Code(client, c), ConnectCode::kDoubleRandomized);
}

TEST_F(PunchPeersTest, BehindOneNatTheyMeetOnTheLan) {
  net.AddRoots();
  server = Server(Nat::kConsistent);
  PeerNet::PeerOptions beside = Nat::kConsistent;
  beside.lan = server;
  client = Client(beside);
  c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 10s));
  EXPECT_EQ(net.peers(client).info(c)->path, Path::kLan);
}

// ---- Blind relays ----

TEST_F(RelayPeersTest, TwoRandomNatsMeetAtTheClientsRelay) {
  net.AddRoots();
  AddRelay();
  server = Server(Nat::kRandom), client = Client(Nat::kRandom);
  net[server].echo = true;
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kFallback));
  net.Send(client, c, "first");
  ASSERT_TRUE(Opens(client, c, 30s));
  EXPECT_EQ(net.peers(client).info(c)->path, Path::kRelayed);
  ASSERT_TRUE(net.host.RunUntil([&] { return net[client].messages[c].size() == 1; }, 5s));
  EXPECT_EQ(net[server].Of<ConnectionOpened>().at(0).path, Path::kRelayed);
  EXPECT_TRUE(net.peers(relay).connections().empty());  // Its own affairs are not told.
}

TEST_F(RelayPeersTest, TheServersRelayHolds) {
  net.AddRoots();
  AddRelay();
  server = Server(Nat::kRandom, {.relay_through = PeerNet::Key(50).public_key}), client = Client(Nat::kRandom);
  c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 30s));
  EXPECT_EQ(net.peers(client).info(c)->path, Path::kRelayed);
}

TEST_F(RelayPeersTest, ARelayedConnectionBecomesDirect) {
  net.AddRoots();
  AddRelay();
  server = Server(Nat::kConsistent), client = Client(Nat::kRandom);
  net[server].echo = true;
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kAlways));
  ASSERT_TRUE(Opens(client, c, 10s));
  EXPECT_EQ(net.peers(client).info(c)->path, Path::kRelayed);
  for (int i = 0; i < 600 && net.peers(client).info(c)->path == Path::kRelayed; ++i) {
    net.Send(client, c, std::to_string(i));
    net.host.Run(100ms);
  }
  EXPECT_EQ(net.peers(client).info(c)->path, Path::kPunched);
  net.host.Run(30s);
  ASSERT_TRUE(net.Open(client, c));
  ASSERT_EQ(net[client].Of<PathChanged>().size(), 1u);
  const size_t n = net[client].messages[c].size();
  for (size_t i = 0; i < n; ++i) EXPECT_EQ(net[client].messages[c][i], std::to_string(i));
  EXPECT_GT(n, 5u);
  // The relay is let go.
  net.host.Kill(relay);
  net.host.Run(40s);
  net.Send(client, c, "without");
  net.host.Run(1s);
  EXPECT_EQ(net[client].messages[c].back(), "without");
}

TEST_F(RelayPeersTest, WithoutTheRelayItFails) {
  net.AddRoots();
  server = Server(Nat::kRandom), client = Client(Nat::kRandom);
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kFallback));
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 60s));
  EXPECT_EQ(net.Code(client, c), ConnectCode::kRelayAborted);
}

// ---- Changes of the network ----

TEST_F(PunchPeersTest, AServerWhoseNatRemapsIsReachableAgainWithinFifteenSeconds) {
  net.AddRoots();
  server = Server(Nat::kConsistent), client = Client(Nat::kConsistent);
  net.Remap(server);
  net.host.Run(15s);
  c = net.Connect(client, 1);
  EXPECT_TRUE(Opens(client, c, 5s));
  EXPECT_EQ(net[server].Of<ServerRemapped>().size(), 1u);
}

TEST_F(PunchPeersTest, AsDeployedItStaysDark) {
  net.AddRoots();
  PeerNet::PeerOptions deployed = Nat::kConsistent;
  deployed.peers.js_compat = true;
  server = Server(deployed), client = Client(Nat::kConsistent);
  net.Remap(server);
  net.host.Run(15s);
  c = net.Connect(client, 1);
  EXPECT_FALSE(Opens(client, c, 20s));
  EXPECT_TRUE(net[server].Of<ServerRemapped>().empty());
  net.host.Run(300s);
  c = net.Connect(client, 1);
  EXPECT_TRUE(Opens(client, c, 5s));
}

TEST_F(PunchPeersTest, AConnectionOutlivesARemappedClient) {
  net.AddRoots();
  server = Server(Nat::kNone), client = Client(Nat::kConsistent);
  net[server].echo = true;
  c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 10s));
  net.host.Run(20s);
  net.Remap(client);
  net.In(client, [&](Dht& d, Turn& t, News&) {
    const Interface now[] = {{.address = Endpoint::V4(0xc0a80003, 0), .prefix_bits = 24, .loopback = false}};
    d.OnInterfacesChanged(t, now);
  });
  net.Send(client, c, "still here");
  EXPECT_TRUE(net.host.RunUntil([&] { return net[client].messages[c].size() == 1; }, 3s));
  net.host.Run(60s);
  EXPECT_TRUE(net.Open(client, c));
  EXPECT_EQ(net[server].Of<ConnectionOpened>().size(), 1u);
}

TEST_F(PunchPeersTest, ItOutlivesARemappedClientOfAPunchedServer) {
  net.AddRoots();
  server = Server(Nat::kConsistent), client = Client(Nat::kConsistent);
  net[server].echo = true;
  c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 10s));
  net.host.Run(20s);
  net.Remap(client);
  net.Send(client, c, "silent at first");
  EXPECT_TRUE(net.host.RunUntil([&] { return net[client].messages[c].size() == 1; }, 12s));
  net.host.Run(60s);
  EXPECT_TRUE(net.Open(client, c));
}

// ---- Abuse ----

TEST_F(AbusedPeersTest, GarbageForHandshakesIsRefusedAndCounted) {
  net.AddRoots();
  auto server = Server();
  const std::string good = Noise(2, 5);
  for (size_t n = 1; n < good.size(); ++n) Knock(server, good.substr(0, n), uint16_t(n));
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    bad[size_t(i) % bad.size()] = char(bad[size_t(i) % bad.size()] ^ (1 + i / 120));
    Knock(server, bad, uint16_t(i));
  }
  EXPECT_GT(refused["forged"], 300);
  EXPECT_TRUE(net.peers(server).connections().empty());
  const int forged = refused["forged"], replayed = refused["replayed"];
  Knock(server, good.substr(0, 100), 1);  // Not worth a second computation.
  EXPECT_EQ(refused["forged"], forged);
  EXPECT_EQ(refused["replayed"], replayed + 1);
  Feed(server, kPeerHandshake, "", 1);
  Feed(server, kPeerHandshake, "\xff\xff", 1);
  Knock(server, good, 1, 77);
  EXPECT_EQ(refused["malformed"], 3);
  Feed(server, kPeerHolepunch, "\x01", 1);
  Feed(server, kPeerHolepunch, HolepunchEnvelope{.mode = 2, .id = 999999, .payload = "x"}.Encode(), 1);
  auto client = Client();
  EXPECT_TRUE(Opens(client, net.Connect(client, 1), 5s));
}

TEST_F(AbusedPeersTest, AFloodOfTrueHandshakesFillsAllSlotsAndNoMore) {
  net.AddRoots();
  auto server = Server();
  for (uint32_t i = 0; i < 1100; ++i) Knock(server, Noise(2, i), uint16_t(i), uint64_t(Mode::kFromRelay), 0x01000000 + i);
  EXPECT_EQ(net.peers(server).connections().size(), 1024u);
  EXPECT_EQ(refused["overload"], 76);
  net.host.Run(25s);
  EXPECT_TRUE(net.peers(server).connections().empty());
  auto client = Client();
  EXPECT_TRUE(Opens(client, net.Connect(client, 1), 5s));
}

TEST_F(AbusedPeersTest, AHandshakeThatLedToAConnectionIsWorthNothingLater) {
  net.AddRoots();
  std::string noise;
  auto server = Server();
  PeerNet::NodeIndex client = Client();
  net.host.set_filter([&](auto, auto to, Bytes b) {
    absl::StatusOr<dht::Request> r = absl::InvalidArgumentError("");
    if (to == server && !b.empty() && b[0] == dht::kRequestByte) r = dht::DecodeRequest(b, {1, 1});
    if (r.ok() && r->command == kPeerHandshake && r->value.has_value()) {
      if (auto e = HandshakeEnvelope::Decode(*r->value); e.ok()) noise = e->noise;
    }
    return true;
  });
  ConnectionId c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 5s));
  ASSERT_FALSE(noise.empty());
  net.host.Run(30s);
  Knock(server, noise, 9);
  net.host.Run(1s);
  EXPECT_EQ(refused["replayed"], 1);
  EXPECT_EQ(net.peers(server).connections().size(), 1u);
}

TEST_F(PeersTest, WhoIsConnectedLeavesHisPlaceToTheNextOfHisHost) {
  net.AddRoots();
  auto server = Server(), client = Client();
  const Instant began = net.host.now();
  constexpr uint8_t kClients = 100;  // More than a host may have under way at once.
  for (uint8_t i = 0; i < kClients; ++i) ASSERT_TRUE(Opens(client, net.Connect(client, 1, uint8_t(100 + i)), 9s)) << int(i);
  EXPECT_LT(net.host.now() - began, 30s);
  EXPECT_EQ(net.peers(server).connections().size(), kClients);
  for (uint8_t i = 0; i < kClients; ++i) {
    const std::vector<ConnectionId> one = net.peers(server).connections(PeerNet::Key(uint8_t(100 + i)).public_key);
    ASSERT_EQ(one.size(), 1u);
    EXPECT_EQ(net.peers(server).Find(PeerNet::Key(uint8_t(100 + i)).public_key), one[0]);
  }
  const std::vector<ConnectionId> all = net.peers(client).connections(PeerNet::Key(1).public_key);
  EXPECT_EQ(all, net.peers(client).connections());
  net.In(client, [&](Dht& d, Turn& t, News&) { d.peers().Destroy(t, all[0]); });
  EXPECT_EQ(net.peers(client).Find(PeerNet::Key(1).public_key), all[1]);
}

// What a dial asked for, by command.
class RouteTest : public PeersTest {
 protected:
  void Watch(PeerNet::NodeIndex n) {
    net.host.set_filter([this, n](auto from, auto to, Bytes b) {
      if (from == n && !b.empty() && b[0] == dht::kRequestByte) {
        auto r = dht::DecodeRequest(b, {1, 1});
        if (r.ok() && !r->internal) ++asked[r->command];
      }
      return to != dead;
    });
  }
  Duration Took(PeerNet::NodeIndex n, ConnectionId c) { return net.peers(n).info(c)->opened - net.peers(n).info(c)->began; }
  std::map<uint64_t, int> asked;
  PeerNet::NodeIndex dead = ~0u;
};

TEST_F(RouteTest, WhoWasMetBeforeIsDialledWithoutASearch) {
  net.AddRoots();
  Server();
  auto client = Client();
  Watch(client);
  ASSERT_TRUE(Opens(client, net.Connect(client, 1), 5s));
  EXPECT_GT(asked[kFindPeer], 0);
  asked.clear();
  ASSERT_TRUE(Opens(client, net.Connect(client, 1), 5s));
  EXPECT_EQ(asked[kFindPeer], 0);
  EXPECT_EQ(asked[kPeerHandshake], 1);
}

TEST_F(RouteTest, ARouteThatLeadsNowhereCostsAFifthOfASecondAtMost) {
  net.AddRoots();
  Server();
  auto client = Client(), ignorant = Client();
  Watch(client);
  // It answers that it does not know.
  ConnectionId c = net.Connect(client, 1, 200, {.relay_addresses = {net.host.address(ignorant).with_port(net[ignorant].dht.rpc().sockets().local(udx::SocketRole::kServer).port)}});
  ASSERT_TRUE(Opens(client, c, 5s));
  EXPECT_GT(asked[kFindPeer], 0);
  EXPECT_LT(Took(client, c), ConnectFlow::kSearchAfter);
  dead = ignorant;
  c = net.Connect(client, 1, 201, {.relay_addresses = {net.host.address(ignorant).with_port(49737)}});
  ASSERT_TRUE(Opens(client, c, 5s));
  EXPECT_GE(Took(client, c), ConnectFlow::kSearchAfter);
  EXPECT_LT(Took(client, c), ConnectFlow::kSearchAfter + 400ms);
}

TEST_F(PeersTest, ManyDialsAtOnceEachHearTheirOwnAnswer) {
  net.AddRoots();
  auto server = Server(), client = Client();
  std::vector<ConnectionId> dials, lost;
  for (uint8_t i = 0; i < 30; ++i) dials.push_back(net.Connect(client, 1, uint8_t(100 + i))), lost.push_back(net.Connect(client, uint8_t(2 + i)));
  net.host.Run(10s);
  for (ConnectionId c : dials) EXPECT_TRUE(net.Open(client, c));
  for (ConnectionId c : lost) EXPECT_EQ(net.Code(client, c), ConnectCode::kPeerNotFound);
  EXPECT_EQ(net.peers(server).connections().size(), dials.size());
}

TEST_F(AbusedPeersTest, ProbesFromNowhereChangeNothing) {
  net.AddRoots();
  auto server = Server(Nat::kConsistent), client = Client(Nat::kConsistent);
  ConnectionId c = net.Connect(client, 1);
  const uint8_t zero[1] = {0};
  for (uint32_t socket = 1; socket < 40; ++socket) {
    net.host.Feed(server, Datagram{SocketId{socket}, Endpoint::V4(0x05050505, 5), zero});
  }
  EXPECT_TRUE(Opens(client, c, 10s));
}

}  // namespace
}  // namespace orchard::hyperdht
