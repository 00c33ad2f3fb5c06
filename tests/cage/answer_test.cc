#include "node/cage/answer.h"

#include <gtest/gtest.h>

#include "node/cage/site_id.h"
#include "node/cage/state.h"

namespace orchard::cage {
namespace {

TEST(CageAnswerTest, HeaderLinesThenABody) {
  const auto a = ParseAnswer("Content-Type: text/plain\nStatus: 404 Not Found\r\nX-A: b\n\nbody\n");
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(a->status, 404);
  EXPECT_EQ(a->headers.Find("content-type"), "text/plain");
  EXPECT_EQ(a->headers.size(), 2u);
  EXPECT_EQ(a->body, "body\n");
  EXPECT_EQ(ParseAnswer("A: b\n\n")->status, 200);
  EXPECT_EQ(ParseAnswer("Location: /x\n\n")->status, 302);
}

TEST(CageAnswerTest, WhatIsTheServersToSayIsDropped) {
  const auto a = ParseAnswer("Content-Length: 9\nTransfer-Encoding: chunked\nConnection: X-Gone\nX-Gone: 1\nA: b\n\nx");
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(a->headers.size(), 1u);
}

TEST(CageAnswerTest, NonsenseIsNamed) {
  for (std::string_view s : {"", "\n", "hello", "hello\n\n", "A b: c\n\n", "A: b\n", "A: b\x01\n\n", ": x\n\n", "Status: 99\n\n", "Status: 600\n\n", "Status: abc\n\n",
                             "Status: 200\nStatus: 200\n\n", "Status: 101 Switching\n\n", "A: b\rX: c\n\n"}) {
    EXPECT_EQ(ParseAnswer(s).status().code(), absl::StatusCode::kInvalidArgument) << s;
  }
  std::string many;
  for (int i = 0; i < 70; ++i) many += "A: b\n";
  EXPECT_FALSE(ParseAnswer(many + "\n").ok());
  EXPECT_FALSE(ParseAnswer("A: " + std::string(40000, 'x') + "\n\n").ok());
}

TEST(SiteIdTest, PortAndDotAreCutAndCaseIsFolded) {
  EXPECT_EQ(SiteId("Shop.Example:8080"), "shop.example");
  EXPECT_EQ(SiteId("shop.example."), "shop.example");
  EXPECT_EQ(SiteId("[::1]:80"), "[::1]");
  EXPECT_EQ(SiteId(""), "");
  EXPECT_TRUE(IsSiteName("a-b.c_d"));
  for (std::string_view s : {"", "A", "a b", ".a", "a.", "a/b", "a:1"}) EXPECT_FALSE(IsSiteName(s)) << s;
}

TEST(CageStateTest, OnlyDrawnMovesAreLegal) {
  size_t legal = 0;
  for (int f = 0; f < 5; ++f) {
    for (int t = 0; t < 5; ++t) legal += Legal(State(f), State(t));
  }
  EXPECT_EQ(legal, kMoves.size());
  EXPECT_FALSE(Legal(State::kCrash, State::kRun));  // A cage that died is replaced, never revived.
  EXPECT_FALSE(Legal(State::kTerm, State::kRun));
}

}  // namespace
}  // namespace orchard::cage
