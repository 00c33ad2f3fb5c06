// Hundreds of swarms in memory and virtual time, on a double of the network.

#include <gtest/gtest.h>

#include "tests/swarm/fake_network.h"

namespace orchard::swarm {
namespace {

using namespace std::chrono_literals;

const Key32 kTopic{1, 2, 3};

void JoinAt(FakeWorld& world, uint32_t i, JoinOptions options = {}) {
  FakeWorld::Host& h = world.host(i);
  world.In(h, 0s, [&h, options](Turn& turn) { ASSERT_TRUE(h.swarm->Join(turn, h, kTopic, options).ok()); });
}

double Percentile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  return values.empty() ? -1 : values[size_t(p * double(values.size() - 1))];
}

size_t MaxLinks(FakeWorld& world) {
  size_t most = 0;
  for (uint32_t i = 0; i < world.size(); ++i) {
    if (world.up(i)) most = std::max(most, world.host(i).swarm->open());
  }
  return most;
}

// The churn of scenarios/dht/churn.json: Weibull sessions, shape 0.608, of 5.5 minutes; back after two minutes on average.
void Churn(FakeWorld& world, uint32_t i, Instant until) {
  auto uniform = [&] { return (double(world.chance().Below(1'000'000)) + 1) / 1'000'001; };
  const double up_s = 329.4 * std::pow(-std::log(uniform()), 1 / 0.608);
  const double down_s = 120 * -std::log(uniform());
  const bool silent = world.chance().Below(10) < 7;
  const Instant dies = world.now() + Duration(int64_t(up_s * 1e9));
  if (dies > until) return;
  world.At(dies, [&world, i, silent, down_s, until] {
    if (world.up(i)) world.Kill(i, silent);
    world.At(world.now() + Duration(int64_t(down_s * 1e9)), [&world, i, until] {
      if (world.up(i)) return;
      world.Start(i);
      JoinAt(world, i);
      Churn(world, i, until);
    });
  });
}

void Populate(FakeWorld& world, uint32_t n, Duration spread, bool churn, Instant until = {}) {
  for (uint32_t i = 0; i < n; ++i) {
    world.Add();
    world.At(Instant(Duration(int64_t(world.chance().Below(uint64_t(spread.count()))))), [&world, i, churn, until] {
      world.Start(i);
      JoinAt(world, i);
      if (churn) Churn(world, i, until);
    });
  }
}

// Neither dials nor handshakes are under way: each end that the world knows is an open connection of the swarm.
bool Settled(FakeWorld& world) {
  for (uint32_t i = 0; i < world.size(); ++i) {
    if (world.up(i) && world.host(i).ends.size() != world.host(i).swarm->open()) return false;
  }
  return true;
}

// No pair holds two connections, and what one end holds the other holds.
void ExpectOneConnectionPerPair(FakeWorld& world) {
  // What is forgotten would stay so; what is under way ends.
  for (int i = 0; i < 120 && !Settled(world); ++i) world.Run(500ms);
  EXPECT_TRUE(Settled(world));
  std::set<std::pair<uint32_t, uint32_t>> edges = world.Edges();
  size_t held = 0;
  for (uint32_t i = 0; i < world.size(); ++i) {
    if (!world.up(i)) continue;
    std::set<Key32> peers;
    for (const auto& [id, link] : world.host(i).swarm->links()) {
      EXPECT_TRUE(peers.insert(link.peer).second);
      ++held;
    }
  }
  EXPECT_EQ(held, 2 * edges.size());
}

TEST(SwarmWorldTest, TwoHundredPeersUnderChurnStayOneSwarm) {
  FakeWorld world({.seed = 1});
  const Instant end{30min};
  Populate(world, 200, 60s, true, end);
  auto warm = [&](uint32_t i) { return world.now() - world.host(i).up_since >= 5min; };
  std::vector<double> ratios;
  size_t most = 0;
  while (world.now() < end) {
    world.Run(5s);
    most = std::max(most, MaxLinks(world));
    if (world.now() < Instant(8min)) continue;
    std::vector<double> now = world.ReachRatios(warm);
    ratios.insert(ratios.end(), now.begin(), now.end());
  }
  EXPECT_GE(Percentile(ratios, 0.05), 0.95);
  EXPECT_LE(most, 64u);
  uint64_t dials_max = 0, dials = 0;
  for (const auto& [i, n] : world.dials) dials_max = std::max(dials_max, n), dials += n;
  EXPECT_LE(dials_max, 2000u);
  std::cout << "reach p5 " << Percentile(ratios, 0.05) << " min " << Percentile(ratios, 0) << ", connections at most " << most
            << ", dials of a host at most " << dials_max << ", on average " << dials / 200 << "\n";
}

TEST(SwarmWorldTest, AnExodusHealsAndThoseWhoReturnAreBackInAMinute) {
  FakeWorld world({.seed = 2});
  Populate(world, 200, 60s, false);
  world.Run(15min);
  for (uint32_t i = 0; i < 200; i += 2) world.Kill(i, true);
  world.Run(2min);
  auto stayed = [](uint32_t i) { return i % 2 == 1; };
  EXPECT_GE(Percentile(world.ReachRatios(stayed), 0.05), 0.95);
  world.Run(1min);
  for (uint32_t i = 0; i < 200; i += 2) {
    world.At(world.now() + world.Between(0, 10'000), [&world, i] { world.Start(i), JoinAt(world, i); });
  }
  world.Run(70s);
  std::vector<double> open;
  for (uint32_t i = 0; i < 200; i += 2) open.push_back(double(world.host(i).swarm->open()));
  EXPECT_GE(Percentile(open, 0.05), 1);
  EXPECT_EQ(Percentile(world.ReachRatios([](uint32_t) { return true; }), 0), 1);
  EXPECT_LE(MaxLinks(world), 64u);
}

TEST(SwarmWorldTest, CrossingDialsEndInOneConnectionForEachPair) {
  // All lose power, and are back at the same moment: everybody finds and dials everybody.
  FakeWorld world({.seed = 3});
  Populate(world, 40, 1ms, false);
  world.Run(1min);
  for (uint32_t i = 0; i < 40; ++i) world.Kill(i, true);
  world.Run(1min);
  for (uint32_t i = 0; i < 40; ++i) world.Start(i), JoinAt(world, i);
  world.Run(2min);
  uint64_t duplicates = 0;
  for (uint32_t i = 0; i < 40; ++i) duplicates += world.host(i).swarm->stats().duplicates;
  EXPECT_GT(duplicates, 20u);
  EXPECT_EQ(world.Edges().size(), 40u * 39 / 2);
  ExpectOneConnectionPerPair(world);
}

TEST(SwarmWorldTest, AQuietSwarmHoldsConsistentBooks) {
  FakeWorld world({.seed = 4});
  Populate(world, 200, 60s, true, Instant(10min));
  world.Run(20min);  // Ten minutes without churn.
  ExpectOneConnectionPerPair(world);
  for (uint32_t i = 0; i < 200; ++i) {
    if (!world.up(i)) continue;
    EXPECT_GE(world.host(i).swarm->open(), 32u);
  }
}

TEST(SwarmWorldTest, TheDeployedLogicTakesMoreThanItsLimit) {
  // Why a quarter is kept for those who come: the first to be there is dialled by all who follow.
  auto most = [](bool js_compat) {
    FakeWorld world({.seed = 5, .config = {.js_compat = js_compat}});
    Populate(world, 200, 60s, false);
    world.Run(5min);
    return MaxLinks(world);
  };
  EXPECT_GT(most(true), 64u);
  EXPECT_LE(most(false), 64u);
}

TEST(SwarmWorldTest, HalvesThatWereFullGrowTogetherAgain) {
  auto whole = [](bool js_compat) {
    FakeWorld world({.seed = 6, .config = {.max_peers = 24, .js_compat = js_compat}, .record_age = 10min});
    Populate(world, 120, 60s, false);
    world.Run(5min);
    std::set<uint32_t> half;
    for (uint32_t i = 0; i < 60; ++i) half.insert(i);
    world.Cut(half);
    world.Run(30min);
    auto all = [](uint32_t) { return true; };
    EXPECT_LE(Percentile(world.ReachRatios(all), 1), 0.5);
    world.Cut({});
    world.Run(13min);
    return Percentile(world.ReachRatios(all), 0.05);
  };
  EXPECT_EQ(whole(false), 1);
  EXPECT_LE(whole(true), 0.5);  // Everybody is content with his half.
}

TEST(SwarmWorldTest, TwoWhoMissedEachOtherMeetWithinAMinute) {
  // Each searched before the other's announcement lay there, and the deployed logic searches again after ten minutes.
  auto meet = [](bool js_compat) {
    FakeWorld world({.seed = 7, .config = {.js_compat = js_compat}});
    world.Add(), world.Add();
    world.Cut({1});
    for (uint32_t i : {0u, 1u}) world.Start(i), JoinAt(world, i);
    world.Run(20s);
    world.Cut({});
    while (world.Edges().empty()) world.Run(1s);
    return world.now();
  };
  EXPECT_LE(meet(false), Instant(60s));
  EXPECT_GE(meet(true), Instant(10min));
}

TEST(SwarmWorldTest, AFewWhoStartAtOnceAllMeetWithinAMinute) {
  // The devices of one person: each pair matters.
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    FakeWorld world({.seed = seed});
    Populate(world, 6, 1s, false);
    world.Run(60s);
    EXPECT_EQ(world.Edges().size(), 15u) << seed;
  }
}

TEST(SwarmWorldTest, TheSameSeedIsTheSameHistory) {
  auto run = [](uint64_t seed) {
    FakeWorld world({.seed = seed});
    Populate(world, 60, 20s, true, Instant(5min));
    world.Run(5min);
    return world.fingerprint();
  };
  EXPECT_EQ(run(8), run(8));
  EXPECT_NE(run(8), run(9));
}

TEST(SwarmWorldTest, WhoLeavesIsNotFoundAnyMore) {
  FakeWorld world({.seed = 10});
  Populate(world, 2, 1ms, false);
  world.Run(10s);
  ASSERT_EQ(world.Edges().size(), 1u);
  FakeWorld::Host& h = world.host(0);
  world.In(h, 0s, [&h](Turn& turn) { EXPECT_TRUE(h.swarm->Leave(turn, h, kTopic, h.news)); });
  world.Run(2s);
  ASSERT_EQ(Of<TopicLeft>(h.news).size(), 1u);
  EXPECT_EQ(Of<TopicLeft>(h.news)[0].nodes, 20u);
  EXPECT_TRUE(h.swarm->topics().empty());
  EXPECT_EQ(world.Edges().size(), 1u);  // Connections stay.
  world.Add();
  world.Start(2);
  JoinAt(world, 2);
  world.Run(30s);
  EXPECT_EQ(world.Edges().count({0, 2}), 0u);
  EXPECT_EQ(world.Edges().count({1, 2}), 1u);
}

TEST(SwarmWorldTest, ASuspendedSwarmLetsGoAndComesBack) {
  FakeWorld world({.seed = 11});
  Populate(world, 20, 1s, false);
  world.Run(60s);
  FakeWorld::Host& h = world.host(3);
  ASSERT_EQ(h.swarm->open(), 19u);
  world.In(h, 0s, [&h](Turn& turn) { h.swarm->Suspend(turn, h, h.news); });
  world.Run(60s);
  EXPECT_TRUE(h.swarm->links().empty());
  EXPECT_TRUE(h.ends.empty());
  EXPECT_EQ(Of<PeerDisconnected>(h.news).size(), Of<PeerConnected>(h.news).size());
  world.In(h, 0s, [&h](Turn& turn) { h.swarm->Resume(turn, h, h.news); });
  world.Run(60s);
  EXPECT_EQ(h.swarm->open(), 19u);
  ExpectOneConnectionPerPair(world);
}

}  // namespace
}  // namespace orchard::swarm
