#include "node/cage/latency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "node/base/rng.h"

namespace orchard::cage {
namespace {

using namespace std::chrono_literals;

// Against all values, sorted: the truth.
TEST(LatencyTest, AQuantileIsAtMostAnEighthAboveTheTruthAndNeverBelow) {
  Rng rng = Rng::Named(1, "latency", "");
  for (int round = 0; round < 20; ++round) {
    Histogram h;
    std::vector<uint64_t> all;
    for (int i = 0; i < 1000; ++i) {
      const uint64_t us = rng.Below(uint64_t{1} << (1 + rng.Below(27)));
      all.push_back(us), h.Add(us);
    }
    std::sort(all.begin(), all.end());
    for (uint64_t permille : {1, 500, 900, 990, 999, 1000}) {
      const uint64_t truth = all[std::max<uint64_t>((1000 * permille + 999) / 1000, 1) - 1], said = *h.Quantile(permille);
      EXPECT_GE(said, truth) << permille;
      EXPECT_LE(said, std::max<uint64_t>(truth + truth / 8 + 1, 1)) << permille;
    }
    for (uint32_t k = 3; k <= 28; ++k) EXPECT_EQ(h.AtMost(k), uint64_t(std::upper_bound(all.begin(), all.end(), uint64_t{1} << k) - all.begin())) << k;
  }
}

TEST(LatencyTest, TheEndsAreKept) {
  Histogram h;
  EXPECT_FALSE(h.Quantile(500).has_value());
  h.Add(0), h.Add(UINT64_MAX);
  EXPECT_EQ(h.Quantile(1), 1u);
  EXPECT_EQ(h.Quantile(1000), uint64_t{1} << 28);
  EXPECT_EQ(h.count(), 2u);
}

TEST(LatencyTest, OfLateForgets) {
  Latency l;
  const auto at = [](Duration d) { return Instant{} + d; };
  l.Add(at(100s), 10);
  l.Add(at(135s), 20);
  EXPECT_EQ(l.Recent(at(136s)).count(), 2u);
  EXPECT_EQ(l.Recent(at(170s)).count(), 1u);
  EXPECT_EQ(l.Recent(at(200s)).count(), 0u);
  l.Add(at(200s), 30);
  EXPECT_EQ(l.Recent(at(200s)).count(), 1u);
  EXPECT_EQ(l.all().count(), 3u);
}

}  // namespace
}  // namespace orchard::cage
