#include "node/base/rng.h"

#include <gtest/gtest.h>
#include <sodium.h>

namespace orchard {
namespace {

TEST(RngTest, StreamsOfDifferentNamesDiffer) {
  EXPECT_EQ(Rng::Named(1, "a", "bc").Next(), Rng::Named(1, "a", "bc").Next());
  EXPECT_NE(Rng::Named(1, "a", "bc").Next(), Rng::Named(1, "ab", "c").Next());
  EXPECT_NE(Rng::Named(1, "a", "bc").Next(), Rng::Named(2, "a", "bc").Next());
}

TEST(RngTest, BelowIsUniform) {
  Rng rng = Rng::Named(1, "dice", "");
  int count[6] = {};
  for (int i = 0; i < 60000; ++i) ++count[rng.Below(6)];
  for (int n : count) EXPECT_NEAR(n, 10000, 400);  // Four standard deviations.
}

TEST(RngDeathTest, LibsodiumMayNotDrawByItself) {
  EXPECT_DEATH(
      {
        ForbidHiddenRandomness();
        uint8_t key[32];
        randombytes_buf(key, sizeof key);
      },
      "draw from Turn::rng");
}

}  // namespace
}  // namespace orchard
