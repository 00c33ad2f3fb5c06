#include "node/base/json_depth.h"

#include <gtest/gtest.h>

#include <string>

namespace orchard {
namespace {

TEST(JsonDepthTest, CountsBracketsThatAreOpenAtOnce) {
  EXPECT_FALSE(JsonDeeperThan("", 0));
  EXPECT_FALSE(JsonDeeperThan("[][][]{}", 1));
  EXPECT_FALSE(JsonDeeperThan(R"({"a":[[1],[2]]})", 3));
  EXPECT_TRUE(JsonDeeperThan(R"({"a":[[1],[2]]})", 2));
  EXPECT_TRUE(JsonDeeperThan(std::string(1 << 20, '['), 64));
  EXPECT_FALSE(JsonDeeperThan("]]]]]][", 1));
}

TEST(JsonDepthTest, StringsAndCommentsHideBracketsAndEachOther) {
  EXPECT_FALSE(JsonDeeperThan(R"(["[[[[", "\"[[[[", "\\"])", 1));
  EXPECT_TRUE(JsonDeeperThan(R"(["\\",[[[]]]])", 3));
  EXPECT_FALSE(JsonDeeperThan("// [[[ don't \"say\n[1] /* [[[ \" /*/ // [[", 1));
  EXPECT_TRUE(JsonDeeperThan("// \"\n[[[[", 3));
  EXPECT_TRUE(JsonDeeperThan("/* \" */[[[[", 3));
  EXPECT_TRUE(JsonDeeperThan("\"//\"[[[[", 3));
  for (const char* torn : {"\"", "\"\\", "/", "//", "/*", "/**", "[/"}) EXPECT_FALSE(JsonDeeperThan(torn, 1)) << torn;
}

}  // namespace
}  // namespace orchard
