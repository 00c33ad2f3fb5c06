#include "node/hyperdht/peers.h"

#include <gtest/gtest.h>

#include "tests/support/peer_net.h"

namespace orchard::hyperdht {
namespace {

using namespace std::chrono_literals;
using Nat = PeerNet::Nat;

class PeersTest : public ::testing::Test {
 protected:
  // A server that listens, and is announced.
  PeerNet::NodeIndex Server(PeerNet::PeerOptions o = {}, ListenOptions listen = {}) {
    PeerNet::NodeIndex n = net.AddPeer(o);
    net.host.Run(10s);
    net.Listen(n, 1, listen);
    EXPECT_TRUE(net.host.RunUntil([&] { return !net[n].Of<ServerListening>().empty(); }, 20s));
    return n;
  }
  PeerNet::NodeIndex Client(PeerNet::PeerOptions o = {}) {
    PeerNet::NodeIndex n = net.AddPeer(o);
    net.host.Run(10s);
    return n;
  }
  bool Opens(PeerNet::NodeIndex n, ConnectionId c, Duration within) {
    return net.host.RunUntil([&] { return net.Open(n, c) || net.Code(n, c).has_value(); }, within) && net.Open(n, c);
  }
  PeerNet net;
};

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

}  // namespace
}  // namespace orchard::hyperdht
