// Two peers of one LAN that know a single node of the DHT: neither can tell its NAT, so punching is given up early. They need none.

#include <gtest/gtest.h>

#include <algorithm>

#include "node/hyperdht/knock.h"
#include "tests/support/peer_net.h"

namespace orchard::hyperdht {
namespace {

using namespace std::chrono_literals;
using Nat = PeerNet::Nat;

class LanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    net_.AddRoots(0);
    PeerNet::PeerOptions o = Nat::kConsistent;
    server_ = net_.AddPeer(o);
    o.lan = server_;
    client_ = net_.AddPeer(o);
    net_.Listen(server_, 1);
    ASSERT_TRUE(net_.host.RunUntil([&] { return !net_[server_].Of<ServerListening>().empty(); }, 20s));
  }
  // Dials, and loses all that these two say to each other for so long.
  void Dial(Duration silence, uint8_t key = 1) {
    const Instant until = net_.host.now() + silence;
    net_.host.set_filter([this, until](PeerNet::NodeIndex from, PeerNet::NodeIndex to, Bytes) {
      return net_.host.now() >= until || std::minmax(from, to) != std::minmax(server_, client_);
    });
    c_ = net_.Connect(client_, key);
  }
  PeerNet net_;
  PeerNet::NodeIndex server_{}, client_{};
  ConnectionId c_{};
};

TEST_F(LanTest, TheyMeetThoughPunchingWasGivenUpBefore) {
  Dial(600ms);
  ASSERT_TRUE(net_.host.RunUntil([&] { return net_.Open(client_, c_); }, 15s)) << CodeName(net_.Code(client_, c_).value_or(ConnectCode::kOk));
  EXPECT_EQ(net_.peers(client_).info(c_)->path, Path::kLan);
  EXPECT_GT(net_.host.now() - net_.peers(client_).info(c_)->began, 600ms);
  ASSERT_EQ(net_[server_].Of<ConnectionOpened>().size(), 1u);
  EXPECT_EQ(net_[server_].Of<ConnectionOpened>()[0].path, Path::kLan);
}

// Deployed clients wait at the relay from the handshake on, 15 s: a server must not first wait for a neighbour in vain.
TEST_F(LanTest, TheRelayIsSoughtWhenPunchingIsGivenUp) {
  const auto through = PeerNet::Key(50).public_key;
  net_.Listen(net_.AddPeer(), 50, {.blind_relay = true});
  net_.Listen(server_, 2, {.relay_through = through, .relay_policy = RelayPolicy::kFallback});
  net_.host.Run(10s);
  Dial(1h, 2);
  ASSERT_TRUE(net_.host.RunUntil([&] { return net_.Open(client_, c_); }, Knock::kInitialWait)) << CodeName(net_.Code(client_, c_).value_or(ConnectCode::kOk));
  EXPECT_EQ(net_.peers(client_).info(c_)->path, Path::kRelayed);
}

TEST_F(LanTest, AndFailsInTimeIfTheLanIsDead) {
  Dial(1h);
  ASSERT_TRUE(net_.host.RunUntil([&] { return net_.Code(client_, c_).has_value(); }, 15s));
  EXPECT_NE(*net_.Code(client_, c_), ConnectCode::kOk);
  net_.host.Run(20s);
  EXPECT_EQ(net_.peers(server_).connections().size(), 0u);
}

}  // namespace
}  // namespace orchard::hyperdht
