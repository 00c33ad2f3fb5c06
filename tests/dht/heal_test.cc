// A cut of 60 seconds, and what is left of the network half a minute later.
#include "node/dht/healer.h"

#include <gtest/gtest.h>

#include "tests/support/dht_net.h"

namespace orchard::dht {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t kNodes = 60;

// 60 nodes that look things up now and then; every second one lies beyond the cut.
struct CutNet : DhtNet {
  explicit CutNet(bool heal) : DhtNet({.jitter = 5ms}) {
    AddRoot({.heal_partitions = heal});
    for (uint32_t i = 1; i < kNodes; ++i) AddPersistent({.heal_partitions = heal});
    for (uint32_t i = 1; i < kNodes; i += 2) far.insert(i);
    for (uint32_t n = 0; n < kNodes; ++n) (*this)[n].keep_news = false;
    host.Run(30s);
  }
  // Each node looks up 8 topics in the time, so that dead nodes are noticed.
  void RunBusy(Duration d) {
    for (int i = 0; i < 8; ++i) {
      for (uint32_t n = 0; n < kNodes; ++n) {
        In(n, [&](Rpc& rpc, Turn& turn) {
          Key32 target;
          turn.rng.Fill(absl::MakeSpan(target));
          rpc.StartQuery(turn, {.target = target, .command = 2, .internal = true, .replies = false});
        });
      }
      host.Run(d / 8);
    }
  }
  // Entries, over all tables, of nodes on the other side.
  size_t Across() {
    size_t count = 0;
    for (uint32_t n = 0; n < kNodes; ++n) count += Across(n);
    return count;
  }
  size_t Across(uint32_t n) {
    size_t count = 0;
    for (const Contact& c : rpc(n).Nodes(1000)) count += far.contains(c.address.host - 0x0a000001) != far.contains(n);
    return count;
  }
  std::set<NodeIndex> far;
};

TEST(HealTest, AfterACutOfAMinuteTheHalvesMergeWithinThirtySeconds) {
  CutNet net(true);
  size_t before = net.Across();
  EXPECT_GT(before, kNodes * kNodes / 3);
  net.Cut(net.far);
  net.RunBusy(60s);
  size_t during = net.Across();
  EXPECT_LT(during, before / 8);
  net.Heal();
  net.host.Run(30s);
  // Not all of before: full rows keep the neighbours that they took in meanwhile.
  EXPECT_GT(net.Across(), before * 3 / 4) << "of " << before << "; during the cut " << during;
  for (uint32_t n = 0; n < kNodes; ++n) EXPECT_GT(net.Across(n), 8u) << n;
}

// Why it exists: the same cut, the deployed logic.
TEST(HealTest, TheDeployedLogicLeavesTheHalvesApart) {
  CutNet net(false);
  size_t before = net.Across();
  net.Cut(net.far);
  net.RunBusy(60s);
  net.Heal();
  net.host.Run(30s);
  EXPECT_LT(net.Across(), before / 2);
}

TEST(HealTest, ACutOffNodeIsBackWithinTenSeconds) {
  CutNet net(true);
  net.Cut({7});
  net.RunBusy(60s);
  EXPECT_LT(net.rpc(7).nodes(), 15u);
  net.Heal();
  net.host.Run(10s);
  EXPECT_GT(net.rpc(7).nodes(), kNodes * 8 / 10);
}

TEST(HealTest, KnockingCostsAtMostOneMessageASecond) {
  CutNet net(true);
  net.Cut(net.far);
  net.RunBusy(60s);
  uint64_t before = 0, after = 0;
  for (uint32_t n = 0; n < kNodes; ++n) before += net.rpc(n).stats().requests;
  net.host.Run(60s);  // Idle, and still cut.
  for (uint32_t n = 0; n < kNodes; ++n) after += net.rpc(n).stats().requests;
  // Pings, refreshes and the occasional query for the own neighbourhood (at most two a minute) included.
  EXPECT_LT(after - before, kNodes * (60 + 2 * 60));
}

TEST(HealerTest, ASlowlyShrinkingTableIsNotAWound) {
  Healer h;
  size_t nodes = 100;
  for (int tick = 0; tick < 600; ++tick) {
    if (tick % 20 == 0) --nodes;  // One lost in 100 seconds.
    h.OnTick(nodes, true);
    EXPECT_FALSE(h.wounded()) << tick;
  }
}

TEST(HealerTest, ASharpDropIsAWoundUntilItIsMadeGoodOrTenMinutesPass) {
  Healer h;
  for (int i = 0; i < 10; ++i) h.OnTick(100, true);
  for (uint32_t i = 0; i < 40; ++i) h.OnLost({i + 1, 1});
  Healer::Round round = h.OnTick(60, true);
  EXPECT_TRUE(h.wounded());
  EXPECT_TRUE(round.ask_roots);
  EXPECT_EQ(round.pings.size(), Healer::kKnocks);
  Healer back = h;
  back.OnTick(95, true);
  EXPECT_FALSE(back.wounded());
  for (uint32_t i = 0; i < Healer::kGiveUpTicks; ++i) h.OnTick(60, true);
  EXPECT_FALSE(h.wounded());
  h.OnTick(60, true);  // The smaller network is what there is.
  EXPECT_FALSE(h.wounded());
}

TEST(HealerTest, ContactMakesItAskTheRootsAndKnockEverywhere) {
  Healer h;
  for (int i = 0; i < 10; ++i) h.OnTick(100, true);
  for (uint32_t i = 0; i < 40; ++i) h.OnLost({i + 1, 1});
  h.OnTick(60, true);
  EXPECT_FALSE(h.OnTick(60, true).ask_roots);
  Healer::Round round = h.OnAnswer(/*root=*/false);
  EXPECT_TRUE(round.ask_roots);
  std::set<Ipv4Address> asked(round.pings.begin(), round.pings.end());
  for (Ipv4Address a : h.OnTick(60, true).pings) asked.insert(a);
  EXPECT_EQ(asked.size(), 40u);
}

TEST(HealerTest, ARootThatNeverFellSilentIsNoContact) {
  Healer h;
  for (int i = 0; i < 10; ++i) h.OnTick(100, true);
  h.OnTick(60, true);
  EXPECT_FALSE(h.OnAnswer(/*root=*/true).ask_roots);
  h.OnSilence(/*root=*/true);
  EXPECT_TRUE(h.OnAnswer(/*root=*/true).ask_roots);
}

TEST(HealerTest, TheLostAreBounded) {
  Healer h;
  for (uint32_t i = 0; i < 1000; ++i) h.OnLost({i + 1, 1});
  EXPECT_EQ(h.lost(), Healer::kLostMax);
  h.OnBack({1000, 1});
  EXPECT_EQ(h.lost(), Healer::kLostMax - 1);
}

}  // namespace
}  // namespace orchard::dht
