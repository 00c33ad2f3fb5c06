#include "node/cage/balance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace orchard::cage {
namespace {

using testing::ElementsAre;

std::vector<size_t> Pick(Balance balance, std::vector<Balancer::Candidate> slots, size_t n, bool keep) {
  Balancer b;
  Rng rng = Rng::Named(1, "balance", "");
  std::vector<size_t> out;
  for (size_t i = 0; i < n; ++i) {
    const auto chosen = b.Choose(balance, slots, rng);
    if (!chosen.has_value()) break;
    out.push_back(*chosen);
    if (keep) ++slots[*chosen].active;
  }
  return out;
}

TEST(BalanceTest, RoundRobinSkipsWhoCannot) {
  EXPECT_THAT(Pick(Balance::kRoundRobin, {{true}, {false}, {true}}, 6, false), ElementsAre(0, 2, 0, 2, 0, 2));
}

TEST(BalanceTest, LeastConnectedTakesTheFirstOfEquals) {
  EXPECT_THAT(Pick(Balance::kLeastConnected, {{true, 2}, {true, 0}, {true, 0}}, 5, true), ElementsAre(1, 2, 1, 2, 0));
}

// nginx's smooth weighted round-robin of 5, 1, 1: a a b a c a a.
TEST(BalanceTest, WeightsAreSpreadEvenly) {
  EXPECT_THAT(Pick(Balance::kWeighted, {{true, 0, 5}, {true, 0, 1}, {true, 0, 1}}, 7, false), ElementsAre(0, 0, 1, 0, 2, 0, 0));
}

TEST(BalanceTest, OfTwoDrawnTheIdlerIsTaken) {
  std::map<size_t, size_t> count;
  for (size_t i : Pick(Balance::kTwoChoices, {{true, 100}, {true, 0}, {true, 0}}, 60, true)) ++count[i];
  EXPECT_EQ(count[0], 0u);  // It is never the idler of two.
  EXPECT_EQ(count[1] + count[2], 60u);
  EXPECT_LE(count[1] > count[2] ? count[1] - count[2] : count[2] - count[1], 2u);
}

TEST(BalanceTest, WithoutAnyoneThereIsNone) {
  for (Balance b : {Balance::kRoundRobin, Balance::kLeastConnected, Balance::kWeighted, Balance::kTwoChoices}) {
    EXPECT_TRUE(Pick(b, {{false}, {false}}, 1, false).empty());
    EXPECT_TRUE(Pick(b, {}, 1, false).empty());
  }
}

}  // namespace
}  // namespace orchard::cage
