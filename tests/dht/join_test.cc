// How a node becomes part of the network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/dht_net.h"

namespace orchard::dht {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Le;

TEST(JoinTest, ARootOnAWildcardAddressLearnsItsAddressFromItsFirstVisitor) {
  DhtNet net;
  auto root = net.AddRoot();
  net.host.Run(1s);
  EXPECT_FALSE(net.rpc(root).id().has_value());
  net.AddPersistent();
  ASSERT_TRUE(net.host.RunUntil([&] { return net.rpc(root).id().has_value(); }, 1s));
  EXPECT_EQ(*net.rpc(root).id(), IdOf(net.roots[0].address));
  EXPECT_EQ(net.rpc(root).remote_address(), net.roots[0].address);
  EXPECT_FALSE(net.rpc(root).firewalled());
}

TEST(JoinTest, ARootOnAConcreteAddressIsPersistentAtOnce) {
  DhtNet net;
  auto root = net.AddRoot({.host = Endpoint::V4(0x0a000001, 0)});
  net.host.Run(1ms);
  ASSERT_EQ(net[root].Of<BecamePersistent>().size(), 1u);
  EXPECT_EQ(*net.rpc(root).id(), IdOf(net.roots[0].address));
}

TEST(JoinTest, WhoeverPassesTheProbeIsPersistentAtOnceIfConfiguredSo) {
  DhtNet net;
  net.AddRoot();
  std::vector<DhtNet::NodeIndex> nodes;
  for (int i = 0; i < 10; ++i) nodes.push_back(net.AddPersistent());
  net.host.Run(3s);
  for (auto n : nodes) {
    Ipv4Address address = Ipv4Address::Of(net.host.address(n).with_port(49737));
    ASSERT_TRUE(net.rpc(n).id().has_value()) << n;
    EXPECT_EQ(*net.rpc(n).id(), IdOf(address));
    EXPECT_EQ(net.rpc(n).remote_address(), address);
    EXPECT_EQ(net[n].Of<Bootstrapped>().size(), 1u);
  }
}

// Names and times of these events, per node.
struct Traced {
  explicit Traced(DhtNet& net) {
    net.host.set_on_trace([this](uint32_t node, std::string_view event, auto fields) {
      for (const TraceField& f : fields) {
        if (std::string_view(f.name) == "ms") ms[{node, std::string(event)}].push_back(f.number);
      }
    });
  }
  std::map<std::pair<uint32_t, std::string>, std::vector<uint64_t>> ms;
};

TEST(JoinTest, TheFirstAnswerAndTheEndOfTheFirstWalkAreTracedApart) {
  DhtNet net;
  Traced traced(net);
  net.AddRoot();
  net.roots.push_back({.address = {0x0afffffe, 49737}});  // Nobody is there.
  auto n = net.AddPersistent();
  net.host.Run(30s);
  EXPECT_THAT((traced.ms[{n, "dht.bootstrapped"}]), ElementsAre(Le(50u)));
  EXPECT_THAT((traced.ms[{n, "dht.joined"}]), ElementsAre(AllOf(Ge(500u), Le(10'000u))));
}

// How long the second life's first walk takes, with nine of ten remembered nodes dead.
uint64_t Rejoin(bool quick, bool named_root) {
  DhtNet net({.jitter = 5ms});
  Traced traced(net);
  net.AddRoot();
  for (uint32_t i = 1; i < 80; ++i) net.AddPersistent();
  if (named_root) net.roots.push_back({.address = {0x0afffffe, 49737}, .name = "root.example", .port = 49737});
  auto n = net.AddPersistent({.quick_walks = quick});
  net.host.Run(30s);
  EXPECT_GE(net.rpc(n).nodes(), 40u);
  net.host.Stop(n);
  net.host.Run(1s);
  for (uint32_t i = 1; i < 80; ++i) {
    if (i % 10 != 0) net.host.Kill(i);
  }
  net.host.Restart(n);
  net.host.Run(40s);
  const auto& joined = traced.ms[{n, "dht.joined"}];
  EXPECT_EQ(joined.size(), 2u);
  EXPECT_GE(net.rpc(n).nodes(), 5u);
  return joined.back();
}

TEST(JoinTest, WhoeverReturnsToManyDeadNodesIsBackSoon) {
  EXPECT_LE(Rejoin(/*quick=*/true, /*named_root=*/false), 3000u);
  EXPECT_GE(Rejoin(/*quick=*/false, /*named_root=*/false), 5000u);
}

// One root is silent and its name unknown: five seconds go by until that is clear.
TEST(JoinTest, WhoeverReturnsDoesNotWaitForTheNamesOfRoots) {
  EXPECT_LE(Rejoin(/*quick=*/true, /*named_root=*/true), 3000u);
  EXPECT_GE(Rejoin(/*quick=*/false, /*named_root=*/true), 5000u);
}

TEST(JoinTest, ARootThatNobodyVisitsHasNotJoined) {
  DhtNet net;
  Traced traced(net);
  // Its list of roots names itself: it answers itself, which says nothing.
  auto root = net.Add({.bootstrap = true, .roots = {{.address = {0x0a000001, 49737}}}});
  net.host.Run(30s);
  EXPECT_GT(net.rpc(root).stats().responses, 0u);
  EXPECT_TRUE((traced.ms[{root, "dht.bootstrapped"}]).empty());
  EXPECT_TRUE((traced.ms[{root, "dht.joined"}]).empty());
}

TEST(JoinTest, TablesFillUntilEveryoneKnowsEveryoneOfASmallNetwork) {
  DhtNet net;
  net.AddRoot();
  for (int i = 0; i < 19; ++i) net.AddPersistent();
  net.host.Run(10s);
  for (uint32_t n = 0; n < 20; ++n) EXPECT_GE(net.rpc(n).nodes(), 17u) << n;
}

TEST(JoinTest, AnEphemeralNodeSendsNoIdAndEntersNoTable) {
  DhtNet net;
  auto root = net.AddRoot({.host = Endpoint::V4(0x0a000001, 0)});
  auto ephemeral = net.Add({.ephemeral = true, .roots = net.roots});
  net.host.Run(60s);
  EXPECT_TRUE(net.rpc(ephemeral).bootstrapped());
  EXPECT_TRUE(net.rpc(ephemeral).ephemeral());
  EXPECT_EQ(net.rpc(ephemeral).nodes(), 1u);
  EXPECT_EQ(net.rpc(root).nodes(), 0u);
}

TEST(JoinTest, AnAdaptiveNodeBecomesPersistentAfterTwentyStableMinutes) {
  DhtNet net;
  net.AddRoot();
  for (int i = 0; i < 6; ++i) net.AddPersistent();
  net.host.Run(5s);
  auto n = net.Add({.roots = net.roots});
  // The quick probe of a distant network comes back in time for the firewall, not for persistence.
  net.host.Run(19min);
  EXPECT_TRUE(net.rpc(n).ephemeral());
  net.host.Run(2min);
  EXPECT_FALSE(net.rpc(n).ephemeral());
  EXPECT_FALSE(net.rpc(n).firewalled());
}

// Nothing reaches the server socket of `n` from nodes it did not write to from there.
TEST(JoinTest, AFirewalledNodeStaysEphemeral) {
  DhtNet net;
  net.AddRoot();
  for (int i = 0; i < 6; ++i) net.AddPersistent();
  net.host.Run(5s);
  auto n = net.Add({.persistent = true, .roots = net.roots});
  net.host.set_filter([n](auto, auto to, Bytes b) {
    // PING_NAT's answers and requests go to the server socket; its own port is in `to` of either message.
    return to != n || !(b.size() >= 10 && b[8] == 0x49 && b[9] == 0xc2);
  });
  net.host.Run(5min);
  EXPECT_TRUE(net.rpc(n).bootstrapped());
  EXPECT_TRUE(net.rpc(n).firewalled());
  EXPECT_TRUE(net.rpc(n).ephemeral());
  EXPECT_GE(net.rpc(n).stats().ping_nat_sent, 15u);  // It kept trying,
  EXPECT_LE(net.rpc(n).stats().ping_nat_sent, 45u);  // ever more rarely.
}

TEST(JoinTest, ATakenPortMakesTheNextOneServe) {
  DhtNet net;
  auto n = net.Add({.bootstrap = true, .port = 5000});
  net.host.Run(1ms);
  ASSERT_EQ(net[n].Of<Listening>().size(), 1u);
  EXPECT_EQ(net[n].Of<Listening>()[0].server.port, 5000);
  EXPECT_NE(net[n].Of<Listening>()[0].client.port, 5000);
}

TEST(JoinTest, RootsAreFoundByName) {
  DhtNet net;
  net.AddRoot();
  net.host.SetName("root.example", {net.host.address(0)});
  auto n = net.Add({.persistent = true, .roots = {{.name = "root.example", .port = 49737}}});
  net.host.Run(3s);
  EXPECT_FALSE(net.rpc(n).ephemeral());
  EXPECT_EQ(net.rpc(n).nodes(), 1u);
}

TEST(JoinTest, ASilentRootAddressFallsBackToItsName) {
  DhtNet net;
  net.AddRoot();
  net.host.SetName("root.example", {net.host.address(0)});
  auto n = net.Add({.persistent = true, .roots = {{.address = {0x0a0000fe, 1}, .name = "root.example", .port = 49737}}});
  net.host.Run(3s);
  EXPECT_EQ(net.rpc(n).nodes(), 0u);  // Four sends, a second apart, come first.
  net.host.Run(3s);
  EXPECT_EQ(net.rpc(n).nodes(), 1u);
}

TEST(JoinTest, AStaleNameServesWhileItCannotBeAsked) {
  DhtNet net;
  net.AddRoot();
  net.host.SetName("root.example", {net.host.address(0)});
  auto n = net.Add({.ephemeral = true, .roots = {{.name = "root.example", .port = 49737}}});
  net.host.Run(20min);  // Asked every five minutes.
  net.host.SetName("root.example", {});
  net.host.Run(20min);
  net.host.Kill(0), net.host.Run(2min), net.host.StartNode(0);
  net.host.Run(2min);
  uint64_t before = net.rpc(n).stats().responses;
  net.host.Run(2min);
  EXPECT_GT(net.rpc(n).stats().responses, before);
}

TEST(JoinTest, ARootThatIsInItsOwnListDoesNotAskItself) {
  DhtNet net;
  Root self{.address = {0x0a000001, 49737}};
  auto root = net.AddRoot({.roots = {self}, .host = Endpoint::V4(0x0a000001, 0)});
  net.host.Run(10min);
  EXPECT_TRUE(net.rpc(root).bootstrapped());
  EXPECT_EQ(net.rpc(root).stats().requests, 0u);
}

TEST(JoinTest, AnUnknownNameLeavesANodeAloneButAlive) {
  DhtNet net;
  auto n = net.Add({.persistent = true, .roots = {{.name = "nowhere.example", .port = 49737}}});
  net.host.Run(60s);
  EXPECT_TRUE(net.rpc(n).bootstrapped());
  EXPECT_EQ(net.rpc(n).nodes(), 0u);
}

TEST(JoinTest, ARestartedNodeRejoinsThroughItsCacheWhenTheRootIsGone) {
  DhtNet net;
  net.AddRoot();
  for (int i = 0; i < 8; ++i) net.AddPersistent();
  net.host.Run(10s);
  net.host.Stop(5);
  EXPECT_FALSE(net.host.up(5));
  net.host.Kill(0);
  net.host.StartNode(5);
  net.host.Run(10s);
  EXPECT_GE(net.rpc(5).nodes(), 5u);
  EXPECT_FALSE(net.rpc(5).ephemeral());
}

TEST(JoinTest, WithoutACacheTheSameNodeIsLost) {
  DhtNet net;
  net.AddRoot();
  for (int i = 0; i < 8; ++i) net.AddPersistent({.cache = false});
  net.host.Run(10s);
  net.host.Stop(5);
  net.host.Kill(0);
  net.host.StartNode(5);
  net.host.Run(10s);
  EXPECT_EQ(net.rpc(5).nodes(), 0u);
}

TEST(JoinTest, TheSameSeedIsTheSameHistory) {
  auto run = [](uint64_t seed) {
    DhtNet net({.seed = seed, .jitter = 5ms});
    net.AddRoot();
    for (int i = 0; i < 10; ++i) net.AddPersistent();
    net.host.Run(30s);
    return net.host.fingerprint();
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace orchard::dht
