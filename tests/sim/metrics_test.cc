#include "sim/language/metrics_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "node/sidecar/operations.h"

namespace orchard::sim {
namespace {

TEST(MetricsTableTest, EveryOperationHasItsOkAndItsTime) {
  for (const sidecar::Operation& o : sidecar::Operations()) {
    const Metric* ok = FindMetric(std::string(o.name) + ".ok");
    ASSERT_NE(ok, nullptr) << o.name;
    EXPECT_EQ(ok->unit, "ratio");
    const Metric* ms = FindMetric(std::string(o.name) + "_ms");
    ASSERT_NE(ms, nullptr) << o.name;
    EXPECT_EQ(ms->unit, "ms");
  }
}

TEST(MetricsTableTest, NamesAreUniqueAndOrderedSoThatTheyAreFound) {
  const std::vector<Metric>& m = Metrics();
  for (size_t i = 1; i < m.size(); ++i) EXPECT_LT(m[i - 1].name, m[i].name);
  EXPECT_EQ(FindMetric("dht.lookup"), nullptr);
}

TEST(MetricsTableTest, UnitsFollowTheirNames) {
  for (const Metric& m : Metrics()) {
    EXPECT_EQ(m.name.ends_with("_ms"), m.unit == "ms") << m.name;
    EXPECT_EQ(m.name.ends_with(".ok") || m.name.ends_with("_ratio"), m.unit == "ratio") << m.name;
  }
}

TEST(MetricsTableTest, TheListingKeepsToThePattern) {
  std::string text = MetricsText("^link\\.");
  EXPECT_THAT(text, testing::HasSubstr("link.drops {why}"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("dht.")));
}

}  // namespace
}  // namespace orchard::sim
