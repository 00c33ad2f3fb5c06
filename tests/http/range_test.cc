#include "node/http/range.h"

#include <gtest/gtest.h>

namespace orchard::http {
namespace {

using Kind = RangeRequest::Kind;

TEST(RangeTest, ReadsRangesOfRfc9110) {
  EXPECT_EQ(RangeRequest::Parse("bytes=0-499").Resolve(10000), (ByteRange{0, 499}));
  EXPECT_EQ(RangeRequest::Parse("bytes=9500-").Resolve(10000), (ByteRange{9500, 9999}));
  EXPECT_EQ(RangeRequest::Parse("bytes=-500").Resolve(10000), (ByteRange{9500, 9999}));
  EXPECT_EQ(RangeRequest::Parse("bytes=-500").Resolve(100), (ByteRange{0, 99}));
  EXPECT_EQ(RangeRequest::Parse("Bytes= 5-99999 ").Resolve(100), (ByteRange{5, 99}));
  EXPECT_EQ(RangeRequest::Parse("bytes=100-").Resolve(100), std::nullopt);
  EXPECT_EQ(RangeRequest::Parse("bytes=-0").Resolve(100), std::nullopt);
  EXPECT_EQ(RangeRequest::Parse("bytes=-1").Resolve(0), std::nullopt);
  EXPECT_EQ(RangeRequest::Parse("bytes=0-1,5-6").kind, Kind::kSeveral);
  for (std::string_view none : {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=1-2-3", "items=0-1", "bytes=+1-2", "bytes=0-1000000000000000000000"}) {
    EXPECT_EQ(RangeRequest::Parse(none).kind, Kind::kNone) << none;
  }
  HeaderList twice;
  twice.Add("Range", "bytes=0-1"), twice.Add("range", "bytes=4-5");
  EXPECT_EQ(RangeRequest::Of(twice).kind, Kind::kSeveral);
}

TEST(RangeTest, ReadsContentRanges) {
  const auto c = ContentRange::Parse("bytes 42-1233/1234");
  ASSERT_TRUE(c.has_value());
  EXPECT_EQ(c->range, (ByteRange{42, 1233}));
  EXPECT_EQ(c->size, 1234u);
  EXPECT_EQ(c->ToString(), "bytes 42-1233/1234");
  EXPECT_EQ(ContentRange::Parse("bytes 42-1233/*")->ToString(), "bytes 42-1233/*");
  EXPECT_EQ(ContentRange::Parse("bytes */1234")->ToString(), "bytes */1234");
  for (std::string_view bad : {"", "bytes", "bytes 0-1", "bytes */*", "bytes 5-4/10", "bytes 0-10/10", "bytes a-b/10", "bytes=0-1/2", "items 0-1/2"}) {
    EXPECT_FALSE(ContentRange::Parse(bad).has_value()) << bad;
  }
}

// The table of RFC 9110 §8.8.3.2.
TEST(RangeTest, ComparesTagsAsTheStandardDoes) {
  const struct { std::string_view a, b; bool strong, weak; } kRows[] = {
      {"W/\"1\"", "W/\"1\"", false, true}, {"W/\"1\"", "W/\"2\"", false, false}, {"W/\"1\"", "\"1\"", false, true}, {"\"1\"", "\"1\"", true, true}};
  for (const auto& row : kRows) {
    const auto a = EntityTag::Parse(row.a), b = EntityTag::Parse(row.b);
    ASSERT_TRUE(a.has_value() && b.has_value());
    EXPECT_EQ(a->Strongly(*b), row.strong);
    EXPECT_EQ(a->Weakly(*b), row.weak);
    EXPECT_EQ(a->ToString(), row.a);
  }
  for (std::string_view bad : {"", "x", "\"", "W/x", "w/\"x\"", "\"a\"b\"", "\"a b\""}) EXPECT_FALSE(EntityTag::Parse(bad).has_value()) << bad;
}

TEST(RangeTest, AValidatorIsTheStrongTagOrTheDate) {
  HeaderList h;
  h.Add("ETag", "W/\"x\""), h.Add("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
  h.Add("Date", "Sun, 06 Nov 1994 08:49:38 GMT");
  const Validator v = Validator::Of(h);
  EXPECT_EQ(v.etag, "");
  EXPECT_EQ(v.if_range(), "Sun, 06 Nov 1994 08:49:37 GMT");
  HeaderList other;
  other.Add("ETag", "\"y\"");
  EXPECT_FALSE(v.Matches(other));
  EXPECT_TRUE(v.Matches(h));
  EXPECT_TRUE(Validator{}.Matches(other));
  EXPECT_FALSE(IsHttpDate("Sun, 06 Nov 1994 08:49:37 UTC"));
  EXPECT_FALSE(IsHttpDate("Sunday, 06-Nov-94 08:49:37 GMT"));
}

// RFC 9110 §8.8.2.2: within that second the file may change once more and keep the date.
TEST(RangeTest, ADateIsStrongOnceItsSecondIsOverByTheSameClock) {
  auto of = [](std::string_view changed, std::string_view now) {
    HeaderList h;
    h.Add("Last-Modified", changed);
    if (!now.empty()) h.Add("Date", now);
    return Validator::Of(h).last_modified;
  };
  const std::string_view then = "Thu, 29 Feb 2024 23:59:59 GMT";
  EXPECT_EQ(of(then, "Fri, 01 Mar 2024 00:00:00 GMT"), then);
  EXPECT_EQ(of(then, then), "");
  EXPECT_EQ(of(then, "Thu, 29 Feb 2024 23:59:58 GMT"), "");  // From the future.
  EXPECT_EQ(of(then, ""), "");
  EXPECT_EQ(of(then, "Fri, 01 Mar 2024 00:00:00"), "");
  // What was known to be strong is compared as it is written.
  HeaderList later;
  later.Add("Last-Modified", then);
  EXPECT_TRUE((Validator{.etag = "", .last_modified = std::string(then)}).Matches(later));
  EXPECT_FALSE((Validator{.etag = "", .last_modified = "Fri, 01 Mar 2024 00:00:00 GMT"}).Matches(later));
}

TEST(RangeTest, DatesAreSecondsAndBack) {
  const struct { std::string_view date; int64_t seconds; } kRows[] = {  // date -u -d @SECONDS
      {"Thu, 01 Jan 1970 00:00:00 GMT", 0}, {"Sun, 06 Nov 1994 08:49:37 GMT", 784'111'777}, {"Thu, 29 Feb 2024 23:59:59 GMT", 1'709'251'199},
      {"Fri, 01 Mar 2024 00:00:00 GMT", 1'709'251'200}, {"Mon, 01 Mar 2100 00:00:00 GMT", 4'107'542'400}, {"Tue, 31 Dec 2030 12:00:01 GMT", 1'924'948'801}};
  for (const auto& row : kRows) {
    EXPECT_EQ(SecondsOfHttpDate(row.date), row.seconds);
    EXPECT_EQ(HttpDate(row.seconds), row.date);
  }
  for (std::string_view bad : {"Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Xyz 1994 08:49:37 GMT", "Sun, 06 Anf 1994 08:49:37 GMT", ""}) {
    EXPECT_FALSE(SecondsOfHttpDate(bad).has_value()) << bad;
  }
}

TEST(RangeTest, WhatAnIfRangeNamesIsAStrongTagOrADate) {
  EXPECT_EQ(Validator::OfIfRange("\"a\"").etag, "\"a\"");
  EXPECT_EQ(Validator::OfIfRange("Sun, 06 Nov 1994 08:49:37 GMT").last_modified, "Sun, 06 Nov 1994 08:49:37 GMT");
  for (std::string_view bad : {"", "a", "W/\"a\"", "\"a\r\nX: y\"", "yesterday"}) EXPECT_TRUE(Validator::OfIfRange(bad).empty()) << bad;
}

TEST(RangeTest, IfRangeHoldsForTheSameStateAlone) {
  const Validator now{.etag = "\"a\"", .last_modified = "Sun, 06 Nov 1994 08:49:37 GMT"};
  auto holds = [&](std::string_view value) {
    HeaderList h;
    h.Add("If-Range", value);
    return IfRangeHolds(h, now);
  };
  EXPECT_TRUE(IfRangeHolds({}, now));
  EXPECT_TRUE(holds("\"a\""));
  EXPECT_FALSE(holds("\"b\""));
  EXPECT_FALSE(holds("W/\"a\""));
  EXPECT_TRUE(holds("Sun, 06 Nov 1994 08:49:37 GMT"));
  EXPECT_FALSE(holds("Mon, 07 Nov 1994 08:49:37 GMT"));
}

}  // namespace
}  // namespace orchard::http
