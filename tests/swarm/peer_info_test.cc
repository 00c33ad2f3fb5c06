// The tables of hyperswarm's own classes, and what they do not cover: the queue, the timers, the rule of duplicates.

#include "node/swarm/peer_info.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "node/crypto/hash.h"
#include "node/swarm/duplicates.h"
#include "node/swarm/queue.h"
#include "node/swarm/retry_timers.h"

namespace orchard::swarm {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

const json& V07() {
  static const json kVectors = [] {
    std::ifstream in(std::string(ORCHARD_SOURCE_DIR) + "/tests/vectors/v07-hyperswarm.json");
    return json::parse(in);
  }();
  return kVectors;
}

TEST(V07Test, Priorities) {
  ASSERT_EQ(V07()["priority"].size(), 24u);
  for (const json& v : V07()["priority"]) {
    PeerInfo p{.attempts = v["attempts"], .proven = v["proven"], .tried = v["tried"]};
    EXPECT_EQ(int(p.ComputePriority()), v["priorityFn"]) << v;
    EXPECT_EQ(p.UpdatePriority(), v["queueable"]) << v;
  }
}

TEST(V07Test, RetryTimers) {
  ASSERT_EQ(V07()["retry"].size(), 20u);
  for (const json& v : V07()["retry"]) {
    PeerInfo p{.attempts = v["attempts"], .proven = v["proven"], .is_explicit = v["explicit"]};
    std::optional<Backoff> b = p.backoff();
    EXPECT_EQ(v["timer"], b.has_value() ? json(std::string(1, "SMLX"[int(*b)])) : json()) << v;
  }
}

TEST(V07Test, WhichDuplicateStays) {
  ASSERT_EQ(V07()["dedupe"].size(), 8u);
  for (const json& v : V07()["dedupe"]) {
    EXPECT_EQ(DeployedKeepsNew(v["existingHasTraffic"], v["localKeyGreater"], v["newIsInitiator"]), v["keepNew"]) << v;
  }
}

TEST(V07Test, TopicOfAHypercore) {
  for (const json& v : V07()["discoveryKeys"]) {
    std::string key = *FromHex(v["key"].get<std::string>());
    EXPECT_EQ(ToHex(crypto::KeyedBlake2b256(AsBytes(key), AsBytes("hypercore"))), v["discoveryKey"]);
  }
}

TEST(PeerInfoTest, AConnectionOfFifteenSecondsForgivesAllFailures) {
  PeerInfo p{.attempts = 3};
  p.Connected(Instant(1s));
  p.Disconnected(Instant(16s));
  EXPECT_EQ(p.attempts, 1u);
  p.Connected(Instant(20s));
  p.Disconnected(Instant(34'999ms));
  EXPECT_EQ(p.attempts, 2u);
  p.Disconnected(Instant(40s));  // Never opened.
  EXPECT_EQ(p.attempts, 3u);
}

TEST(PeerInfoTest, TheExplicitAreNeverGivenUpAndTheBannedAlways) {
  PeerInfo p{.attempts = 9, .is_explicit = true};
  EXPECT_EQ(p.backoff(), Backoff::kVeryLong);
  EXPECT_TRUE(p.UpdatePriority());
  EXPECT_EQ(p.attempts, 3u);
  p.banned = true;
  EXPECT_FALSE(p.UpdatePriority());
  EXPECT_EQ(p.backoff(), std::nullopt);
  EXPECT_EQ((PeerInfo{.reconnecting = false}).backoff(), std::nullopt);
}

TEST(ShuffledQueueTest, TakesTheHighestPriorityAndAnyOfThose) {
  std::set<Key32> firsts;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Rng rng = Rng::Named(seed, "queue", "");
    ShuffledQueue q;
    for (uint8_t i = 0; i < 3; ++i) q.Add(Key32{i}, Priority::kHigh), q.Add(Key32{uint8_t(10 + i)}, Priority::kLow);
    q.Erase(Key32{1}, Priority::kHigh);
    Key32 first = *q.Shift(rng);
    firsts.insert(first);
    EXPECT_EQ((*q.Shift(rng))[0] + first[0], 2);  // The two of high priority that are left.
    EXPECT_GE((*q.Pop(rng))[0], 10);
    EXPECT_EQ(q.size(), 2u);
  }
  EXPECT_EQ(firsts, (std::set<Key32>{Key32{0}, Key32{2}}));
  ShuffledQueue empty;
  Rng rng = Rng::Named(1, "queue", "");
  EXPECT_EQ(empty.Shift(rng), std::nullopt);
}

TEST(BulkTimerTest, ReleasesOnTheSecondTickAfterComing) {
  BulkTimer t;
  t.Start(Instant(10s), 1s);
  EXPECT_EQ(t.next_deadline(), kNever);
  std::vector<Waiting> out;
  ASSERT_TRUE(t.Add(Instant(10'100ms), {.key = Key32{1}}));  // Ticks: 10.66, 11.32, 11.98, …
  EXPECT_EQ(t.next_deadline(), Instant(10'660ms));
  t.OnTime(Instant(10'660ms), out);
  ASSERT_TRUE(t.Add(Instant(11'300ms), {.key = Key32{2}}));
  EXPECT_TRUE(out.empty());
  t.OnTime(Instant(11'320ms), out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].key, Key32{1});
  t.OnTime(Instant(11'980ms), out);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(t.next_deadline(), kNever);  // Nobody waits: nobody is woken.
  ASSERT_TRUE(t.Add(Instant(12'600ms), {.key = Key32{3}}));
  EXPECT_EQ(t.next_deadline(), Instant(12'640ms));  // The grid went on.
}

TEST(BulkTimerTest, ReleasesWithinTwoThirdsAndFourThirdsOfThePeriod) {
  Rng rng = Rng::Named(1, "timers", "");
  RetryTimers t;
  Instant now{};
  std::map<Backoff, std::pair<Duration, Duration>> bounds = {
      {Backoff::kShort, {660ms, 2'670ms}}, {Backoff::kMedium, {3'300ms, 8'650ms}}, {Backoff::kLong, {9'900ms, 23'300ms}}};
  for (int i = 0; i < 300; ++i) {
    now += Duration(int64_t(rng.Below(3'000'000'000)));
    for (const auto& [backoff, bound] : bounds) {
      RetryTimers one = t;
      one.Clear();
      ASSERT_TRUE(one.Add(now, rng, backoff, {.key = Key32{9}}));
      std::vector<Waiting> out;
      Instant at = now;
      while (out.empty()) at = one.next_deadline(), one.OnTime(at, out);
      EXPECT_GE(at - now, bound.first);
      EXPECT_LE(at - now, bound.second);
      t = one;
    }
  }
}

TEST(BulkTimerTest, TakesNoMoreThanItsBound) {
  BulkTimer t;
  t.Start(Instant(1s), 1s);
  for (size_t i = 0; i < BulkTimer::kWaitingMax; ++i) ASSERT_TRUE(t.Add(Instant(1s), {}));
  EXPECT_FALSE(t.Add(Instant(1s), {}));
}

TEST(DuplicatesTest, BothEndsOfTwoCrossingDialsKeepTheSameOne) {
  // Each end has its own dial, open for a moment or not at all, when the other's comes in.
  for (Duration greater_open : {Duration(-1), Duration(0), Duration(3s)}) {
    for (Duration lesser_open : {Duration(-1), Duration(0), Duration(3s)}) {
      EXPECT_FALSE(KeepsNew(true, greater_open, true));  // The greater key keeps its own dial,
      EXPECT_TRUE(KeepsNew(true, lesser_open, false));   // and the lesser one the other's.
    }
  }
  // The deployed rule lets both die if both opened first.
  EXPECT_TRUE(DeployedKeepsNew(true, true, false) && DeployedKeepsNew(true, false, false));
}

TEST(DuplicatesTest, WhoDialsAgainHasLostTheFirst) {
  EXPECT_TRUE(KeepsNew(false, 1s, true));
  EXPECT_TRUE(KeepsNew(false, Duration(-1), true));
  EXPECT_TRUE(KeepsNew(true, kCrossingMax, true));
}

}  // namespace
}  // namespace orchard::swarm
