#include "sim/netns/told_order.h"

#include <gtest/gtest.h>

#include <string>

namespace orchard::sim {
namespace {

using namespace std::chrono_literals;

constexpr Instant At(Duration d) { return Instant(d); }

std::string Taken(ToldOrder<std::string>& order, Duration round_began) {
  std::string out;
  order.Take(At(round_began), [&](std::string&& told) { out += (out.empty() ? "" : " ") + told; });
  return out;
}

TEST(ToldOrderTest, AConsequenceThatWasReadFirstIsToldAfterItsCause) {
  ToldOrder<std::string> order;
  // The round began at 10: the dialler's pipe was empty. Then it dialled, and the listener's pipe was read with what came of it.
  order.Add(At(14ms), "listener began");
  EXPECT_EQ(Taken(order, 10ms), "");
  EXPECT_FALSE(order.empty());
  order.Add(At(12ms), "dialler began");
  EXPECT_EQ(Taken(order, 20ms), "dialler began listener began");
  EXPECT_TRUE(order.empty());
}

TEST(ToldOrderTest, OfOneMomentTheFirstToldIsFirst) {
  ToldOrder<std::string> order;
  for (const char* word : {"a", "b", "c"}) order.Add(At(5ms), word);
  EXPECT_EQ(Taken(order, 6ms), "a b c");
}

}  // namespace
}  // namespace orchard::sim
