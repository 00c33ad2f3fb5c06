#include "sim/sweep/wilson.h"

#include <gtest/gtest.h>

namespace orchard::sim {
namespace {

Share Of(uint64_t hits, uint64_t n) { return {int64_t(hits) * 1'000'000, n}; }

struct Known {
  uint64_t hits, n;
  int64_t low, high;  // Computed elsewhere with z = 1.959963984540054, in millionths, rounded.
};
constexpr Known kKnown[] = {{0, 10, 0, 277'533},          {10, 10, 722'467, 1'000'000},     {5, 10, 236'593, 763'407}, {1, 10, 17'876, 404'150},
                            {198, 200, 964'278, 997'253}, {0, 1, 0, 793'451},               {1, 1, 206'549, 1'000'000}, {999, 1000, 994'357, 999'823},
                            {3, 7, 158'220, 749'542},     {9980, 10'000, 996'913, 998'705}, {500'000, 1'000'000, 499'020, 500'980}};

TEST(WilsonTest, IsTheIntervalOfTheBooks) {
  for (const Known& k : kKnown) {
    const Interval i = Wilson(Of(k.hits, k.n));
    EXPECT_NEAR(double(i.low_micro), double(k.low), 3) << k.hits << " of " << k.n;
    EXPECT_NEAR(double(i.high_micro), double(k.high), 3) << k.hits << " of " << k.n;
  }
}

TEST(WilsonTest, IsExactAtTheEdges) {
  for (uint64_t n : {1, 2, 3, 10, 999, 1'000'000}) {
    EXPECT_EQ(Wilson(Of(0, n)).low_micro, 0) << n;
    EXPECT_EQ(Wilson(Of(n, n)).high_micro, 1'000'000) << n;
    EXPECT_GT(Wilson(Of(0, n)).high_micro, 0) << n;
    EXPECT_LT(Wilson(Of(n, n)).low_micro, 1'000'000) << n;
  }
  EXPECT_EQ(Wilson({}).low_micro, 0);
  EXPECT_EQ(Wilson({}).high_micro, 1'000'000);
  // The largest that is allowed stays inside its integers.
  const Interval most = Wilson(Of(kShareSamplesMax / 2, kShareSamplesMax));
  EXPECT_NEAR(double(most.low_micro), 499'990, 3);
  EXPECT_EQ(SideOf(Of(kShareSamplesMax, kShareSamplesMax), 1), Side::kAbove);
}

TEST(WilsonTest, ASideIsWhereTheIntervalLies) {
  for (uint64_t n : {1, 2, 3, 7, 20, 50, 200}) {
    for (uint64_t k = 0; k <= n; ++k) {
      const Interval i = Wilson(Of(k, n));
      for (int64_t bound = 5'000; bound < 1'000'000; bound += 9'973) {
        // What rounding moved outwards may stand on either side.
        if (std::abs(bound - i.low_micro) <= 3 || std::abs(bound - i.high_micro) <= 3) continue;
        const Side expected = i.high_micro < bound ? Side::kBelow : i.low_micro > bound ? Side::kAbove : Side::kAstride;
        EXPECT_EQ(SideOf(Of(k, n), bound), expected) << k << " of " << n << " against " << bound;
      }
    }
  }
}

TEST(WilsonTest, ABoundIsHeldFailedOrLeftOpen) {
  EXPECT_EQ(Judged(Of(198, 200), true, 990'000), std::nullopt);  // [96.4, 99.7] lies astride 99.
  EXPECT_EQ(Judged(Of(198, 200), true, 900'000), true);
  EXPECT_EQ(Judged(Of(198, 200), true, 999'000), false);
  EXPECT_EQ(Judged(Of(2, 200), false, 10'000), std::nullopt);
  EXPECT_EQ(Judged(Of(2, 200), false, 100'000), true);
  EXPECT_EQ(Judged(Of(50, 200), false, 100'000), false);
  EXPECT_EQ(Judged({}, true, 0), false) << "without a sample a claim fails";
}

TEST(WilsonTest, ABoundOnEverySampleIsCounted) {
  EXPECT_EQ(Judged(Of(3, 3), true, 1'000'000), true);
  EXPECT_EQ(Judged(Of(999'999, 1'000'000), true, 1'000'000), false);
  EXPECT_EQ(Judged(Of(0, 3), false, 0), true);
  EXPECT_EQ(Judged(Of(1, 1'000'000), false, 0), false);
  EXPECT_EQ(Judged(Of(0, 1), true, 0), true);
  EXPECT_EQ(Judged(Of(1, 1), false, 1'000'000), true);
}

TEST(WilsonTest, SamplesThatCountInPartAreAShareToo) {
  const Interval i = Wilson({5'500'000, 10}), below = Wilson(Of(5, 10)), above = Wilson(Of(6, 10));
  EXPECT_GT(i.low_micro, below.low_micro);
  EXPECT_LT(i.low_micro, above.low_micro);
}

TEST(WilsonTest, SaysHowManySamplesWouldDecide) {
  // All of 50 held; 99 % are asked: n / (n + z²) passes it at 381.
  EXPECT_EQ(SamplesToDecide(Of(50, 50), true, 990'000), 381u);
  const std::optional<uint64_t> n = SamplesToDecide(Of(197, 200), true, 990'000);
  ASSERT_TRUE(n);
  EXPECT_EQ(Judged({int64_t(197 * 1'000'000 * *n / 200), *n}, true, 990'000), false);
  EXPECT_GT(*n, 200u);
  // What is decided needs no more; what lies on its bound is never decided, but may come to hold.
  EXPECT_EQ(SamplesToDecide(Of(0, 50), true, 990'000), 50u);
  EXPECT_EQ(SamplesToDecide(Of(198, 200), true, 990'000), std::nullopt);
  const std::optional<uint64_t> best = SamplesToHold(Of(198, 200), true, 990'000);
  ASSERT_TRUE(best);
  EXPECT_EQ(Judged({int64_t(*best - 2) * 1'000'000, *best}, true, 990'000), true);
  EXPECT_EQ(Judged({int64_t(*best - 3) * 1'000'000, *best - 1}, true, 990'000), std::nullopt);
  // The other way round.
  EXPECT_EQ(SamplesToDecide(Of(0, 50), false, 10'000), 381u);
  EXPECT_EQ(SamplesToHold(Of(2, 200), false, 10'000), best);
}

}  // namespace
}  // namespace orchard::sim
