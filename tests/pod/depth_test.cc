// How many fetches are under way: of our own WAN (Depth), and for each member (Pace).

#include "node/pod/depth.h"

#include <gtest/gtest.h>

#include "node/pod/pace.h"

namespace orchard::pod {
namespace {

using namespace std::chrono_literals;

// A line on which each connection brings `each` bytes a second, and all of them `most`; others of the pod bring the rest.
struct Line {
  uint64_t each, most, pool = UINT64_MAX, others = 0;
  bool roomy = true;
  Depth depth;
  Instant now{};
  uint64_t own = 0, total = 0, trials = 0;

  void Run(Duration span, uint64_t base = 1) {
    uint64_t before = depth.extra();
    for (Duration t{}; t < span; t += 50ms, now += 50ms) {
      const uint64_t n = base + depth.extra(), mine = std::min(each * n, most);
      own += mine / 20, total += std::min(mine + others, pool) / 20;
      depth.OnProgress(now, total, own, n, roomy);
      trials += depth.extra() > before, before = depth.extra();
    }
  }
};

TEST(DepthTest, ALossyLineIsGivenConnectionsUntilItIsFull) {
  Line line{.each = 800'000, .most = 3'600'000};
  line.Run(12s);
  EXPECT_GE(line.depth.extra(), 3u);
  EXPECT_LE(line.depth.extra(), 5u);
}

TEST(DepthTest, AFullLineIsTriedSeldomAndEverMoreSo) {
  Line line{.each = 6'000'000, .most = 6'000'000};
  line.Run(30s);
  const uint64_t soon = line.trials;
  line.Run(30s);
  EXPECT_LE(soon, 6u);
  EXPECT_LE(line.trials - soon, 1u);
  EXPECT_LE(line.depth.extra(), 1u);
}

TEST(DepthTest, NothingIsTriedWhereRequestsQueue) {
  Line line{.each = 800'000, .most = 3'600'000, .roomy = false};
  line.Run(30s);
  EXPECT_EQ(line.trials, 0u);
}

TEST(DepthTest, WhatOneTakesFromAnotherMemberIsNoGain) {
  Line line{.each = 600'000, .most = 1'800'000, .pool = 1'800'000, .others = 1'800'000};
  line.Run(20s);
  EXPECT_LE(line.depth.extra(), 1u);
}

TEST(PaceTest, TheNextBeginsWhenTheRestIsWhatARoundTripHolds) {
  constexpr uint64_t kChunk = 256 << 10;
  Pace pace;
  EXPECT_TRUE(pace.may(0, 0));
  EXPECT_TRUE(pace.may(1, kChunk));  // Nothing is known.
  EXPECT_FALSE(pace.may(Pace::kFirst, Pace::kFirst * kChunk));
  Instant now{};
  pace.OnFirstBytes(100ms, now);
  for (int i = 0; i < 100; ++i) pace.OnBytes(50'000, now += 10ms);  // 5 MB/s: half a megabyte in a round trip.
  EXPECT_TRUE(pace.may(2, 500'000));
  EXPECT_FALSE(pace.may(3, 700'000));
  EXPECT_FALSE(pace.may(Pace::kMax, 0));
  // A queue of our own making is no longer way; a longer way is believed after a while.
  pace.OnFirstBytes(400ms, now);
  EXPECT_FALSE(pace.may(3, 700'000));
  pace.OnFirstBytes(400ms, now + Pace::kFirstBytesMemory);
  EXPECT_TRUE(pace.may(3, 700'000));
}

}  // namespace
}  // namespace orchard::pod
