// Connections that outlive a change of address of either side, or of both.
#include <gtest/gtest.h>

#include "tests/support/peers_fixture.h"

namespace orchard::hyperdht {
namespace {

class MigrateTest : public PunchPeersTest {
 protected:
  void Build(PeerNet::PeerOptions at_server, PeerNet::PeerOptions at_client, bool one_lan = false) {
    net.AddRoots();
    server = Server(at_server);
    if (one_lan) at_client.lan = server;
    client = Client(at_client);
    net[server].echo = true;
    c = net.Connect(client, 1);
    ASSERT_TRUE(Opens(client, c, 10s));
    net.host.Run(20s);
  }
  void TellMoved(PeerNet::NodeIndex n, uint32_t address) {
    net.In(n, [&](Dht& d, Turn& t, News&) {
      const Interface now[] = {{.address = Endpoint::V4(address, 0), .prefix_bits = 24, .loopback = false}};
      d.OnInterfacesChanged(t, now);
    });
  }
  // The same connection, on both sides, carries bytes both ways.
  void ExpectAlive(Duration within) {
    net.Send(client, c, "still here");
    EXPECT_TRUE(net.host.RunUntil([&] { return net[client].messages[c].size() == 1; }, within));
    net.host.Run(60s);
    EXPECT_TRUE(net.Open(client, c));
    EXPECT_EQ(net[server].Of<ConnectionOpened>().size(), 1u);
    EXPECT_TRUE(net[server].Of<ConnectionClosed>().empty());
  }
};

TEST_F(MigrateTest, AServerWhoseNatRemapsKeepsAPunchedConnection) {
  Build(Nat::kConsistent, Nat::kConsistent);
  net.Remap(server);
  ExpectAlive(20s);
}

TEST_F(MigrateTest, AServerWhoseNatRemapsKeepsTheConnectionOfAnOpenClient) {
  Build(Nat::kConsistent, Nat::kNone);
  net.Remap(server);
  ExpectAlive(20s);
}

TEST_F(MigrateTest, BothMayMoveAtOnce) {
  Build(Nat::kConsistent, Nat::kConsistent);
  net.Remap(server), net.Remap(client);
  ExpectAlive(20s);
}

TEST_F(MigrateTest, AServerThatIsToldOfItsMoveKeepsIt) {
  Build(Nat::kConsistent, Nat::kConsistent);
  net.Remap(server);
  TellMoved(server, 0xc0a80003);
  ExpectAlive(20s);
}

// The one that was dialled knocks at the dialler's own server, if that has one, to move the connection.
TEST_F(MigrateTest, AServerThatIsToldOfItsMoveFindsADiallerThatListensToo) {
  Build(Nat::kConsistent, Nat::kConsistent);
  net.Listen(client, 200);
  net.host.Run(10s);
  net.Remap(server);
  TellMoved(server, 0xc0a80003);
  ExpectAlive(20s);
  EXPECT_TRUE(net[client].Of<ConnectionClosed>().empty());
}

TEST_F(MigrateTest, OnOneLanNothingIsLostWhenAnInterfaceChanges) {
  Build(Nat::kConsistent, Nat::kConsistent, /*one_lan=*/true);
  ASSERT_EQ(net.peers(client).info(c)->path, Path::kLan);
  TellMoved(client, 0xc0a80004);
  TellMoved(server, 0xc0a80005);
  ExpectAlive(20s);
}

}  // namespace
}  // namespace orchard::hyperdht
