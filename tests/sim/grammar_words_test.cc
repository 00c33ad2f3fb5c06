// The five small grammars.

#include "sim/language/grammar.h"

#include <gtest/gtest.h>

namespace orchard::sim {
namespace {

int64_t Of(std::string_view text, Unit unit) {
  std::optional<Quantity> q = ParseQuantity(text);
  EXPECT_TRUE(q) << text;
  EXPECT_EQ(q->unit, unit) << text;
  return q->value;
}

TEST(GrammarTest, QuantitiesAreExactInTheirBaseForm) {
  EXPECT_EQ(Of("40ms", Unit::kDuration), 40'000'000);
  EXPECT_EQ(Of("8min", Unit::kDuration), 480'000'000'000);
  EXPECT_EQ(Of("1.5h", Unit::kDuration), 5'400'000'000'000);
  EXPECT_EQ(Of("365d", Unit::kDuration), 365 * 86'400'000'000'000);
  EXPECT_EQ(Of("0.3ms", Unit::kDuration), 300'000);
  EXPECT_EQ(Of("20Mbps", Unit::kRate), 20'000'000);
  EXPECT_EQ(Of("256KiB", Unit::kSize), 262'144);
  EXPECT_EQ(Of("1.5%", Unit::kShare), 15'000);
  EXPECT_EQ(Of("200ppm", Unit::kPpm), 200);
  EXPECT_EQ(Of("-30s", Unit::kDuration), -30'000'000'000);
}

TEST(GrammarTest, WhatIsNoQuantityIsNone) {
  std::string unit;
  EXPECT_FALSE(ParseQuantity("20mbit", &unit));
  EXPECT_EQ(unit, "mbit");
  for (const char* bad : {"", "ms", "1", "1.2.3s", "s1", "1 s", "--1s", "1e9s", "99999999999999999999d", "1s ", "."}) EXPECT_FALSE(ParseQuantity(bad)) << bad;
}

TEST(GrammarTest, MomentsAreInstantsEntriesAndWhatFollowsThem) {
  EXPECT_EQ(ParseMoment("90s")->offset, std::chrono::seconds(90));
  EXPECT_EQ(ParseMoment("end")->kind, Moment::Kind::kEnd);
  EXPECT_EQ(ParseMoment("remap")->kind, Moment::Kind::kEntry);
  EXPECT_EQ(ParseMoment("remap.end")->kind, Moment::Kind::kEntryEnd);
  Moment m = *ParseMoment("15s after remap.end");
  EXPECT_EQ(m.entry, "remap");
  EXPECT_EQ(m.kind, Moment::Kind::kEntryEnd);
  EXPECT_EQ(m.offset, std::chrono::seconds(15));
  for (const char* bad : {"", "15s after", "after remap", "15Mbps after remap", "a b", "-1s", "15s after 3s", ".end"}) EXPECT_FALSE(ParseMoment(bad)) << bad;
}

TEST(GrammarTest, ReferencesNameKeysAddressesAndResults) {
  EXPECT_EQ(ParseReference("@bob")->kind, Reference::Kind::kHostKey);
  EXPECT_EQ(ParseReference("@bob.ip")->kind, Reference::Kind::kHostIp);
  Reference r = *ParseReference("$note[eu-3].sha256");
  EXPECT_EQ(r.name, "note");
  EXPECT_EQ(r.host, "eu-3");
  EXPECT_EQ(r.field, "sha256");
  EXPECT_EQ(ParseReference("$note.key")->host, "");
  for (const char* bad : {"", "@", "$", "bob", "$note", "$.key", "$note.", "$note[.key", "@a b"}) EXPECT_FALSE(ParseReference(bad)) << bad;
}

TEST(GrammarTest, GlobsDoNotExplode) {
  EXPECT_TRUE(GlobMatches("peer-4*", "peer-42"));
  EXPECT_TRUE(GlobMatches("*|ei-ap", "ap-ap|ei-ap"));
  EXPECT_FALSE(GlobMatches("peer-4*", "peer-5"));
  EXPECT_FALSE(GlobMatches(std::string(200, '*') + "b", std::string(5000, 'a')));
}

TEST(GrammarTest, BoundsHaveAStatisticAndADirection) {
  BoundKey b = *ParseBoundKey("p99.9_at_most");
  EXPECT_EQ(b.stat, Bound::Stat::kQuantile);
  EXPECT_EQ(b.quantile_ppm, 999'000u);
  EXPECT_EQ(b.cmp, Bound::Cmp::kAtMost);
  EXPECT_EQ(ParseBoundKey("p5_at_least")->quantile_ppm, 50'000u);
  EXPECT_TRUE(ParseBoundKey("at_least")->bare);
  EXPECT_EQ(ParseBoundKey("last_is")->stat, Bound::Stat::kLast);
  for (const char* bad : {"p_at_most", "p101_at_most", "p5", "within", "mode_at_most", "_at_most"}) EXPECT_FALSE(ParseBoundKey(bad)) << bad;
}

TEST(GrammarTest, DecimalsAreNotRoundedThroughBinary) {
  EXPECT_EQ(ParseDecimal("0.1", 6), 100'000);
  EXPECT_EQ(ParseDecimal("-1.25e3", 0), -1250);
  EXPECT_EQ(ParseDecimal("0.0000005", 6), 1);
  EXPECT_EQ(ParseDecimal("9223372036854775807", 0), INT64_MAX);
  EXPECT_FALSE(ParseDecimal("9223372036854775808", 0));
  EXPECT_FALSE(ParseDecimal("1e400", 0));
}

}  // namespace
}  // namespace orchard::sim
