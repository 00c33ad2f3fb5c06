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
