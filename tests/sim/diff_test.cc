#include "sim/sweep/diff.h"

#include <gtest/gtest.h>

#include <sstream>

#include "sim/world/checkpoints.h"

namespace orchard::sim {
namespace {

Json Parsed(std::string_view text) {
  JsonError error;
  std::optional<Json> j = ParseJson(text, 0, error);
  EXPECT_TRUE(j) << error.found;
  return j ? *j : Json::Object();
}

TEST(PartingTest, IsTheLastCheckpointThatBothShare) {
  const Json a = Parsed(R"({"checkpoints": ["1", "2", "3"]})"), b = Parsed(R"({"checkpoints": ["1", "9", "8"]})"), shorter = Parsed(R"({"checkpoints": ["1", "2"]})");
  EXPECT_EQ(PartingOf(a, b).agreed, 1u);
  EXPECT_TRUE(PartingOf(a, b).in_checkpoints);
  EXPECT_EQ(PartingOf(a, shorter).agreed, 2u);
  EXPECT_FALSE(PartingOf(a, shorter).in_checkpoints);
  EXPECT_FALSE(PartingOf(Json::Object(), a).in_checkpoints);
}

TEST(HostsApartTest, AreThoseOfTheFirstRowThatDiffers) {
  const Json a = Parsed(R"({"step_ms": 1000, "hosts": ["x", "y", "z"], "rows": ["aaaaaaaabbbbbbbbcccccccc", "aaaaaaa1bbbbbbb1ccccccc1", "aaaaaaa2bbbbbbb2ccccccc2"]})");
  const Json b = Parsed(R"({"step_ms": 1000, "hosts": ["x", "y", "z"], "rows": ["aaaaaaaabbbbbbbbcccccccc", "aaaaaaa1bbbbbbb9ccccccc9", "aaaaaaa9bbbbbbb9ccccccc9"]})");
  const std::optional<HostsApart> apart = HostsApartIn(a, b);
  ASSERT_TRUE(apart);
  EXPECT_EQ(apart->second, 2u);
  EXPECT_EQ(apart->hosts, (std::vector<std::string>{"y", "z"}));
  EXPECT_FALSE(HostsApartIn(a, a));
}

TEST(HostsApartTest, AreFoundByNameAndAtTheSecondsThatBothKept) {
  const Json a = Parsed(R"({"step_ms": 1000, "hosts": ["x", "y"], "rows": ["0000000011111111", "0000000011111111", "0000000011111111", "0000000011111111"]})");
  const Json b = Parsed(R"({"step_ms": 2000, "hosts": ["new", "y", "x"], "rows": ["999999991111111100000000", "999999991111111100000007"]})");
  const std::optional<HostsApart> apart = HostsApartIn(a, b);
  ASSERT_TRUE(apart);
  EXPECT_EQ(apart->second, 4u);
  EXPECT_EQ(apart->hosts, std::vector<std::string>{"x"});
  // What is cut off or odd is no reason to fall.
  EXPECT_FALSE(HostsApartIn(a, Parsed(R"({"step_ms": 1000, "hosts": ["x", "y"], "rows": ["00"]})")));
  EXPECT_FALSE(HostsApartIn(Json::Object(), b));
}

TEST(EventsApartTest, TheFirstLineThatDiffersComesWithWhatWasBefore) {
  std::stringstream a("1\n2\n3\n4\n5\nleft\n"), b("1\n2\n3\n4\n5\nright\n");
  const std::optional<EventsApart> apart = EventsApartIn(a, b);
  ASSERT_TRUE(apart);
  EXPECT_EQ(apart->number, 6u);
  EXPECT_EQ(apart->before, (std::vector<std::string>{"3", "4", "5"}));
  EXPECT_EQ(apart->a, "left");
  EXPECT_EQ(apart->b, "right");
}

TEST(EventsApartTest, AnEndIsADifferenceAndTheSameIsNone) {
  std::stringstream a("1\n2\n"), b("1\n"), c("1\n2\n"), d("1\n2\n");
  const std::optional<EventsApart> apart = EventsApartIn(a, b);
  ASSERT_TRUE(apart);
  EXPECT_EQ(apart->a, "2");
  EXPECT_EQ(apart->b, std::nullopt);
  EXPECT_FALSE(EventsApartIn(c, d));
}

TEST(HostCheckpointsTest, KeepEverySecondWhileThereIsRoom) {
  HostCheckpoints kept(10);
  for (int64_t s = 1; s <= 300; ++s) kept.Second(s, 10, [&](size_t h) { return uint32_t(s * 100 + int64_t(h)); });
  EXPECT_EQ(kept.step(), 1);
  ASSERT_EQ(kept.rows().size(), 300u);
  EXPECT_EQ(kept.rows()[41][3], 4203u);
}

TEST(HostCheckpointsTest, StayWithinTheirRoomHoweverLongTheyRun) {
  for (size_t hosts : {1000, 60'000, 150'000}) {
    HostCheckpoints kept(hosts);
    const int64_t last = 1000;
    for (int64_t s = 1; s <= last; ++s) {
      kept.Second(s, hosts, [&](size_t) { return uint32_t(s); });
      EXPECT_LE(kept.rows().size() * hosts, std::max(HostCheckpoints::kWordsMax, 2 * hosts));
    }
    EXPECT_GT(kept.step(), 1);
    EXPECT_EQ(kept.rows().size(), size_t(last / kept.step()));
    for (size_t i = 0; i < kept.rows().size(); ++i) EXPECT_EQ(kept.rows()[i][0], uint32_t(int64_t(i + 1) * kept.step()));
  }
}

}  // namespace
}  // namespace orchard::sim
