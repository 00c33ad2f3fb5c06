// relay.policy `only`: the peer is never dialled, and our words do not say where we are.
#include <gtest/gtest.h>

#include "node/hyperdht/holepunch_payload.h"
#include "tests/support/peers_fixture.h"

namespace orchard::hyperdht {
namespace {

class OnlyRelayTest : public RelayPeersTest {
 protected:
  // A relay, a server and a client; counts the datagrams between the last two.
  void Build(PeerNet::PeerOptions at_server, PeerNet::PeerOptions at_client, ListenOptions listen = {}) {
    net.AddRoots();
    AddRelay();
    server = Server(at_server, listen);
    if (at_client.lan.has_value()) at_client.lan = server;
    client = Client(at_client);
    net.host.set_filter([this](auto from, auto to, Bytes b) {
      if ((from == server && to == client) || (from == client && to == server)) ++direct;
      if (to == server && !b.empty() && b[0] == dht::kRequestByte) {
        auto r = dht::DecodeRequest(b, {1, 1});
        if (!r.ok() || r->command != kPeerHandshake || !r->value.has_value()) return true;
        if (auto e = HandshakeEnvelope::Decode(*r->value); e.ok()) noise = e->noise;
      }
      return true;
    });
  }
  // Opens by the relay, carries bytes both ways, and stays there.
  void ExpectRelayed() {
    net[server].echo = true;
    ASSERT_TRUE(Opens(client, c, 30s));
    for (int i = 0; i < 60; ++i) net.Send(client, c, std::to_string(i)), net.host.Run(1s);
    ASSERT_TRUE(net.Open(client, c));
    EXPECT_EQ(net[client].messages[c].size(), 60u);
    EXPECT_EQ(net.peers(client).info(c)->path, Path::kRelayed);
    EXPECT_EQ(net[server].Of<ConnectionOpened>().at(0).path, Path::kRelayed);
    EXPECT_TRUE(net[client].Of<PathChanged>().empty());
    EXPECT_TRUE(net[server].Of<PathChanged>().empty());
    EXPECT_EQ(direct, 0);
  }
  void ExpectNoAddresses(const NoisePayload& p) {
    EXPECT_TRUE(p.addresses4.empty());
    EXPECT_TRUE(p.addresses6.empty());
    EXPECT_EQ(FirewallOf(p.firewall), Firewall::kUnknown);
    ASSERT_TRUE(p.relay_through.has_value());
    EXPECT_TRUE(p.relay_through->only);
  }
  static ListenOptions Only() { return {.relay_through = PeerNet::Key(50).public_key, .relay_policy = RelayPolicy::kOnly}; }
  int direct = 0;
  std::string noise;  // The latest first message.
};

TEST_F(OnlyRelayTest, AClientNeverDialsAnOpenServer) {
  Build(Nat::kNone, Nat::kNone);
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kOnly));
  ExpectRelayed();
  BareTurn bare;
  auto handshake = ServerHandshake::Receive(bare.turn, PeerNet::Key(1), AsBytes(noise));
  ASSERT_TRUE(handshake.ok());
  ExpectNoAddresses(handshake->payload());
  EXPECT_FALSE(handshake->payload().relay_addresses.has_value());
}

TEST_F(OnlyRelayTest, AClientNeverPunches) {
  Build(Nat::kConsistent, Nat::kConsistent);
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kOnly));
  ExpectRelayed();
  EXPECT_EQ(net.peers(client).info(c)->probes, 0u);
}

TEST_F(OnlyRelayTest, TheLanIsNoShortcut) {
  PeerNet::PeerOptions beside = Nat::kConsistent;
  beside.lan = 0;
  Build(Nat::kConsistent, beside);
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kOnly));
  ExpectRelayed();
}

TEST_F(OnlyRelayTest, AnOpenServerIsReachedThroughItsRelayOnly) {
  Build(Nat::kNone, Nat::kNone, Only());
  c = net.Connect(client, 1);
  ExpectRelayed();
}

TEST_F(OnlyRelayTest, AServerBehindANatDialsNoOpenClient) {
  Build(Nat::kConsistent, Nat::kNone, Only());
  c = net.Connect(client, 1);
  ExpectRelayed();
}

TEST_F(OnlyRelayTest, AServerBehindANatIsNotPunchedTo) {
  Build(Nat::kConsistent, Nat::kConsistent, Only());
  c = net.Connect(client, 1);
  ExpectRelayed();
}

TEST_F(OnlyRelayTest, AServerWithoutARelayTakesTheClients) {
  Build(Nat::kNone, Nat::kNone, {.relay_policy = RelayPolicy::kOnly});
  c = net.Connect(client, 1, 200, Through(RelayPolicy::kFallback));
  ExpectRelayed();
}

TEST_F(OnlyRelayTest, WithoutAnyRelayItFailsAndNobodyIsDialed) {
  Build(Nat::kNone, Nat::kNone);
  c = net.Connect(client, 1, 200, {.relay_policy = RelayPolicy::kOnly});
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 60s));
  EXPECT_EQ(net.Code(client, c), ConnectCode::kCannotHolepunch);
  EXPECT_EQ(direct, 0);
}

TEST_F(OnlyRelayTest, AServerThatMeetsNoRelaySaysNoMoreThanNo) {
  Build(Nat::kNone, Nat::kNone, {.relay_policy = RelayPolicy::kOnly});
  c = net.Connect(client, 1);
  ASSERT_TRUE(net.host.RunUntil([&] { return net.Code(client, c).has_value(); }, 60s));
  EXPECT_EQ(net.Code(client, c), ConnectCode::kServerError);
  EXPECT_EQ(direct, 0);
  EXPECT_TRUE(net.peers(server).connections().empty());
}

TEST_F(OnlyRelayTest, TheServersAnswerNamesNoAddress) {
  Build(Nat::kNone, Nat::kNone, Only());
  BareTurn bare;
  NoisePayload ours{.addresses4 = {}, .udx = NoisePayload::Udx{.id = 7}, .secret_stream = 1};
  ClientHandshake handshake(bare.turn, PeerNet::Key(9), PeerNet::Key(1).public_key, ours);
  std::optional<NoisePayload> answer;
  net.host.set_filter([&](auto from, auto, Bytes b) {
    auto r = from == server && !b.empty() && b[0] == dht::kRequestByte ? dht::DecodeRequest(b, {1, 1}) : absl::InvalidArgumentError("");
    if (!r.ok() || r->command != kPeerHandshake || !r->value.has_value()) return true;
    auto e = HandshakeEnvelope::Decode(*r->value);
    auto accepted = e.ok() ? handshake.Finish(AsBytes(e->noise)) : absl::InvalidArgumentError("");
    if (accepted.ok()) answer = accepted->payload;
    return true;
  });
  const Key32 target = Hash(PeerNet::Key(1).public_key);
  HandshakeEnvelope e{.mode = uint64_t(Mode::kFromRelay), .noise = handshake.message(), .peer_address = Endpoint::V4(0x01020304, 1000)};
  const std::string value = e.Encode();
  wire::Writer w;
  dht::Encode(dht::RequestOut{.tid = 1, .to = {1, 1}, .command = kPeerHandshake, .target = &target, .value = AsBytes(value)}, w);
  net.host.Feed(server, Datagram{net[server].dht.rpc().sockets().socket(udx::SocketRole::kServer), net.host.address(0).with_port(49737), w.bytes()});
  net.host.Run(1s);
  ASSERT_TRUE(answer.has_value());
  ExpectNoAddresses(*answer);
  const Endpoint own = net.host.address(server);
  for (const Endpoint& a : answer->relay_addresses.value_or(std::vector<Endpoint>{})) EXPECT_NE(a.ip, own.ip);
  ASSERT_TRUE(answer->holepunch.has_value());  // Without, deployed clients would dial us where the node saw us.
  for (const auto& r : answer->holepunch->relays) {
    EXPECT_NE(r.peer_address.ip, own.ip);
    EXPECT_NE(r.relay_address.ip, own.ip);
  }
}

}  // namespace
}  // namespace orchard::hyperdht
