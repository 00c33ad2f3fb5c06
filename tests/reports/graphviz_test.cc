// The child that lays a drawing out: bounded in time and bytes, and its absence is an answer.

#include "reports/graphviz.h"

#include <gtest/gtest.h>

#include "reports/dot.h"

namespace orchard::reports {
namespace {

using std::chrono::milliseconds;

TEST(GraphvizTest, FeedsAndReadsMoreThanAPipeHolds) {
  std::string input(3'000'000, 'x');
  absl::StatusOr<std::string> out = RunGraphviz({"cat"}, input, milliseconds(5000));
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(*out, input);
}

TEST(GraphvizTest, KillsAChildThatTakesTooLong) {
  auto start = std::chrono::steady_clock::now();
  absl::StatusOr<std::string> out = RunGraphviz({"sleep", "60"}, "", milliseconds(100));
  EXPECT_EQ(out.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(GraphvizTest, SaysThatAProgramIsMissingOrFailed) {
  absl::Status missing = RunGraphviz({"orchard-no-such-program"}, "", milliseconds(1000)).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(missing.message().find("apt-get install graphviz"), std::string::npos);
  absl::Status failed =
      RunGraphviz({"sh", "-c", "echo broken >&2; exit 3"}, std::string(1'000'000, 'x'), milliseconds(5000))
          .status();
  EXPECT_EQ(failed.code(), absl::StatusCode::kInternal);
  EXPECT_NE(failed.message().find("broken"), std::string::npos);
  EXPECT_EQ(RunGraphviz({"yes"}, "", milliseconds(20'000)).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(DotTest, ALabelShowsItsTextLiterally) {
  EXPECT_EQ(Quoted("plain"), "\"plain\"");
  EXPECT_EQ(Quoted("a\"b\\c\nd&lt;\x01"), "\"a\\\"b\\\\c\\nd&amp;lt;\"");
}

TEST(DotTest, TheShapeTellsTheClassOfTheNat) {
  Topology t;
  t.nats = {{.label = "odd", .chain = {{.mapping = "AP", .filtering = "EI"}}},
            {.label = "own", .chain = {{.mapping = "EI", .filtering = "AP"}}},
            {.label = "wall", .chain = {{.mapping = "block", .filtering = "block"}}}};
  const std::pair<const char*, const char*> expect[] = {{"open", "nat-open"},
                                                        {"port-restricted", "nat-home"},
                                                        {"own", "nat-home"},
                                                        {"odd", "nat-sym"},
                                                        {"symmetric-sequential", "nat-sym"},
                                                        {"cgn", "nat-cgn"},
                                                        {"port-restricted+cgn", "nat-chain"},
                                                        {"udp-blocked", "nat-blocked"},
                                                        {"wall", "nat-blocked"}};
  for (const auto& [label, css] : expect) EXPECT_STREQ(ClassOf(t, label).css, css) << label;
}

TEST(DotTest, NumbersReadAsPeopleWriteThem) {
  EXPECT_EQ(Number(12), "12");
  EXPECT_EQ(Number(1.50), "1.5");
  EXPECT_EQ(Number(212.4), "212");
  EXPECT_EQ(Rate(20e6), "20 Mbps");
  EXPECT_EQ(Rate(1e9), "1 Gbps");
  EXPECT_EQ(Grouped(1234567), "1,234,567");
}

}  // namespace
}  // namespace orchard::reports
