#include "node/base/nearest_word.h"

#include <gtest/gtest.h>

#include <string>

namespace orchard {
namespace {

TEST(NearestWordTest, FindsWhatWasMeantAndInventsNothing) {
  const std::string_view words[] = {"port", "host", "bootstrap", "nodes"};
  EXPECT_EQ(NearestWord("prot", words), "port");      // A swap is one step.
  EXPECT_EQ(NearestWord("bootstap", words), "bootstrap");
  EXPECT_EQ(NearestWord("hostt", words), "host");
  EXPECT_EQ(NearestWord("node", words), "nodes");
  EXPECT_EQ(NearestWord("apple", words), "");
  EXPECT_EQ(NearestWord("", words), "");
  EXPECT_EQ(NearestWord(std::string(100, 'p'), words), "");
}

}  // namespace
}  // namespace orchard
