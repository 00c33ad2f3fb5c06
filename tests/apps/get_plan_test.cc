// Which connection fetches what, without a wire: seconds are numbers here.
#include "node/apps/get_plan.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

namespace orchard::cli {
namespace {

constexpr uint64_t kMin = GetPlan::kPieceMin, kMax = GetPlan::kPieceMax, kMiB = 1 << 20;

// Connections that bring so many bytes a second each, in steps of 10 ms, until all is there; what each brought. A rate of zero never brings one.
struct Race {
  explicit Race(uint64_t size, std::vector<double> rates) : plan(size, 0), rates(std::move(rates)), asked(this->rates.size()), brought(asked.size()), known(asked.size()) {}
  // False if it is not over by then.
  bool Run(double seconds) {
    for (; !plan.complete(); now += 0.01) {
      if (now > seconds) return false;
      for (size_t i = 0; i < rates.size(); ++i) Step(int(i));
    }
    return true;
  }
  void Step(int i) {
    if (asked[i].has_value() && plan.over(i)) plan.Release(i), asked[i].reset();
    if (!asked[i].has_value()) asked[i] = plan.Take(i, known[i], now);
    if (!asked[i].has_value() || rates[i] == 0) return;
    const uint64_t n = plan.OnBytes(i, uint64_t(rates[i] / 100), now);
    brought[i] += n, known[i] = rates[i];
  }
  GetPlan plan;
  std::vector<double> rates;
  std::vector<std::optional<GetPlan::Range>> asked;
  std::vector<uint64_t> brought;
  std::vector<double> known;
  double now = 0;
};

TEST(GetPlanTest, PiecesAreTwoSecondsLongWithinTheirBounds) {
  GetPlan plan(100 * kMiB, 0);
  auto size = [&](int connection, double rate) {
    const auto range = plan.Take(connection, rate, 0);
    return range.has_value() ? range->end - range->first : 0;
  };
  EXPECT_EQ(size(0, 0), kMin);          // Nothing is known of it.
  EXPECT_EQ(size(1, 1e6), 2'000'000u);
  EXPECT_EQ(size(2, 1e9), kMax);
  EXPECT_EQ(plan.at(2), kMin + 2'000'000);
}

TEST(GetPlanTest, ALittleRestGoesWithTheLastPiece) {
  GetPlan plan(kMin + kMin / 2 - 1, 0);
  EXPECT_EQ(plan.Take(0, 0, 0)->end, kMin + kMin / 2 - 1);
  GetPlan small(100, 0);                // As of a probe that asked for more than there is.
  EXPECT_EQ(small.Take(0, 0, 0)->end, 100u);
  EXPECT_EQ(small.OnBytes(0, 100, 0), 100u);
  EXPECT_TRUE(small.over(0) && small.complete());
  small.Release(0);
  EXPECT_FALSE(small.Take(0, 0, 1).has_value());
  GetPlan empty(0, 0);
  EXPECT_TRUE(empty.complete());
  EXPECT_FALSE(empty.Take(0, 0, 0).has_value());
}

TEST(GetPlanTest, WhatAConnectionDidNotBringIsForTheNext) {
  GetPlan plan(4 * kMiB, 0);
  const auto range = plan.Take(0, 1e6, 0);
  plan.OnBytes(0, 1000, 1);
  plan.Take(1, 1e6, 1);
  plan.Release(0);
  const auto again = plan.Take(2, 1e6, 2);
  EXPECT_EQ(again->first, 1000u);
  EXPECT_EQ(again->end, range->end);
}

TEST(GetPlanTest, BytesBeyondThePieceAreNotWanted) {
  GetPlan plan(kMin, 0);
  plan.Take(0, 0, 0);
  EXPECT_EQ(plan.OnBytes(0, kMin + 5, 0), kMin);
  EXPECT_EQ(plan.OnBytes(0, 5, 0), 0u);
  EXPECT_EQ(plan.OnBytes(7, 5, 0), 0u);  // Who asked for nothing brings nothing.
  EXPECT_EQ(plan.left(), 0u);
}

TEST(GetPlanTest, WhoIsIdleTakesOverTheFarHalfOfTheSlowest) {
  GetPlan plan(8 * kMiB, 0);
  const auto slow = plan.Take(0, 4e6, 0);
  ASSERT_EQ(slow->end, 8'000'000u);
  plan.Take(1, 1e9, 0);
  plan.OnBytes(0, 10'000, 1);           // It began well, and stands.
  plan.OnBytes(1, kMax, 1);
  plan.Release(1);
  const auto half = plan.Take(1, 1e6, 1);
  ASSERT_TRUE(half.has_value());
  EXPECT_EQ(half->end, 8'000'000u);
  EXPECT_GT(half->first, 10'000u);
  EXPECT_LT(half->first, 1'000'000u);   // Nearly all: it is a hundred times as fast.
  // Together they leave nothing out.
  plan.OnBytes(0, half->first - 10'000, 2);
  EXPECT_TRUE(plan.over(0));
  plan.OnBytes(1, half->end - half->first, 2);
  EXPECT_TRUE(plan.complete());
}

TEST(GetPlanTest, TheEndOfASmallPieceIsFetchedTwiceAndCountedOnce) {
  GetPlan plan(kMin, 0);
  plan.Take(0, 0, 0);
  plan.OnBytes(0, kMin - 1000, 1);
  const auto twin = plan.Take(1, 1e6, 60);  // A minute without a byte.
  ASSERT_TRUE(twin.has_value());
  EXPECT_EQ(twin->first, kMin - 1000);
  EXPECT_EQ(twin->end, kMin);
  EXPECT_EQ(plan.OnBytes(1, 500, 60), 500u);
  EXPECT_EQ(plan.left(), 500u);
  EXPECT_FALSE(plan.Take(2, 1e6, 60.1).has_value());  // Two are enough, of whom one brings it.
  EXPECT_EQ(plan.OnBytes(0, 10, 60.1), 10u);
  EXPECT_EQ(plan.left(), 500u);         // The same ten.
  plan.Release(0);                      // It broke, and the other goes on.
  EXPECT_FALSE(plan.Take(0, 1e6, 60.1).has_value());
  EXPECT_EQ(plan.OnBytes(1, 500, 61), 500u);
  EXPECT_TRUE(plan.complete());
}

TEST(GetPlanTest, ATwinThatBreaksLeavesTheRestToTheOther) {
  GetPlan plan(kMin, 0);
  plan.Take(0, 0, 0);
  plan.OnBytes(0, kMin - 1000, 1);
  plan.Take(1, 1e6, 60);
  plan.Release(1);
  const auto next = plan.Take(2, 1e6, 120);
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->first, kMin - 1000);
  plan.Release(0), plan.Release(2);     // Both.
  EXPECT_EQ(plan.Take(3, 1e6, 121)->first, kMin - 1000);
}

TEST(GetPlanTest, LinesAreUsedAsFastAsTheyAre) {
  Race race(60 * kMiB, {4e6, 2e6});
  ASSERT_TRUE(race.Run(60));
  EXPECT_LT(race.now, 1.08 * 60 * kMiB / 6e6);
  EXPECT_EQ(race.brought[0] + race.brought[1], 60 * kMiB);
  EXPECT_NEAR(double(race.brought[0]) / double(race.brought[1]), 2, 0.3);
}

TEST(GetPlanTest, ASlowLineNeverMakesItSlowerThanTheBestAlone) {
  Race race(20 * kMiB, {5e6, 20e3});
  ASSERT_TRUE(race.Run(60));
  EXPECT_LT(race.now, 20 * kMiB / 5e6 + 0.5);
}

TEST(GetPlanTest, ALineThatBringsNothingCostsSecondsAndNotTheFile) {
  Race race(20 * kMiB, {5e6, 0});
  ASSERT_TRUE(race.Run(60));
  EXPECT_LT(race.now, 20 * kMiB / 5e6 + 2);
  EXPECT_EQ(race.brought[0], 20 * kMiB);
}

TEST(GetPlanTest, AllThatKnowNoRateStillComeToAnEnd) {
  Race race(3 * kMiB, {0, 1e6, 0, 0});
  race.known = {0, 0, 0, 0};
  ASSERT_TRUE(race.Run(60));
}

}  // namespace
}  // namespace orchard::cli
