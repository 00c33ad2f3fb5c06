#include "sim/sweep/reduce.h"

#include <gtest/gtest.h>

#include <functional>

#include "sim/language/text.h"
#include "sim/run/result_read.h"
#include "sim/sweep/pretty_json.h"

namespace orchard::sim {
namespace {

Json Parsed(std::string_view text) {
  JsonError error;
  std::optional<Json> j = ParseJson(text, 0, error);
  EXPECT_TRUE(j) << error.found;
  return j ? *j : Json::Object();
}

bool Has(const Json& j, std::string_view list, std::string_view key, std::string_view value) {
  for (const Json& m : ListIn(j, list)) {
    if (TextIn(m, key) == value) return true;
  }
  return false;
}

class ReduceTest : public testing::Test {
 protected:
  // The first for which `breaks` is true.
  Json Reduced(const Json& from, std::function<bool(const Json&)> breaks) {
    EXPECT_TRUE(breaks(from));
    const FirstThatBreaks first = [&](const std::vector<Json>& candidates) {
      for (size_t i = 0; i < candidates.size(); ++i) {
        ++tried_;
        EXPECT_LT(candidates[i].Dump().size(), most_) << "a candidate that is no smaller";
        if (breaks(candidates[i])) return most_ = candidates[i].Dump().size() + 1, i;
      }
      return candidates.size();
    };
    most_ = from.Dump().size() + 1;
    return Reduce(from, "it works", first);
  }
  static Json Big(size_t entries, size_t hosts) {
    std::string text = R"({"says": "Big.", "seed": 1, "duration": "10min", "world": {"latency": "20ms", "loss": "1%", "links": {"thin": {"like": "dsl", "up": "1Mbps"}, "other": {"like": "dsl"}}}, "hosts": [)";
    for (size_t i = 0; i < hosts; ++i) text += Cat(i == 0 ? "" : ",", R"({"id": "h)", i, R"(", "count": 40, "region": "eu", "link": "thin", "node": {"dht": {"bootstrap": true, "x": 1}}})");
    text += R"(], "timeline": [)";
    for (size_t i = 0; i < entries; ++i) text += Cat(i == 0 ? "" : ",", R"({"at": "1s", "who": "h0", "do": "info", "as": "e)", i, R"("})");
    text += R"(], "claims": [{"says": "other"}, {"says": "it works", "metric": "m", "at_least": 1, "where": {"as": "e1"}}, {"says": "third"}], "fails_when": [{"says": "x"}]})";
    return Parsed(text);
  }
  size_t tried_ = 0, most_ = 0;
};

TEST_F(ReduceTest, KeepsOnlyWhatTheFailureNeeds) {
  const Json small = Reduced(Big(20, 6), [](const Json& j) { return Has(j, "timeline", "as", "e3") && Has(j, "timeline", "as", "e17") && Has(j, "hosts", "id", "h4"); });
  EXPECT_EQ(ListIn(small, "timeline").size(), 2u);
  EXPECT_EQ(ListIn(small, "hosts").size(), 1u);
  EXPECT_EQ(ListIn(small, "claims").size(), 1u);
  EXPECT_EQ(small.Find("world"), nullptr);
  EXPECT_EQ(small.Find("fails_when"), nullptr);
  EXPECT_EQ(TextIn(small, "duration"), "1s");
  // Words of what stays go, too; the claim stays as it was written.
  EXPECT_EQ(ListIn(small, "hosts")[0].Dump(), R"({"id":"h4"})");
  EXPECT_EQ(ListIn(small, "claims")[0].Dump(), ListIn(Big(1, 1), "claims")[1].Dump());
  // Bisection, not one by one and again: 20 entries, 6 hosts, three times as many words.
  EXPECT_LT(tried_, 250u);
}

TEST_F(ReduceTest, NumbersAndTheDurationShrinkToTheLeastThatStillBreaks) {
  const Json small = Reduced(Big(3, 3), [](const Json& j) {
    return Has(j, "hosts", "id", "h1") && CountIn(ListIn(j, "hosts").back(), "count") >= 7 && (TextIn(j, "duration") == "10min" || std::stoi(TextIn(j, "duration")) >= 45);
  });
  EXPECT_EQ(CountIn(ListIn(small, "hosts")[0], "count"), 7u);
  EXPECT_EQ(TextIn(small, "duration"), "45s");
}

TEST_F(ReduceTest, WordsDeepInsideGoOneByOne) {
  const Json small = Reduced(Big(1, 1), [](const Json& j) {
    const Json* world = j.Find("world");
    const Json* links = world == nullptr ? nullptr : world->Find("links");
    const Json* thin = links == nullptr ? nullptr : links->Find("thin");
    return thin != nullptr && TextIn(*thin, "up") == "1Mbps" && !ListIn(j, "hosts").empty();
  });
  EXPECT_EQ(small.Find("world")->Dump(), R"({"links":{"thin":{"up":"1Mbps"}}})");
}

TEST_F(ReduceTest, StopsWhenNothingBreaksAnyMore) {
  const Json big = Big(10, 3);
  const Json same = Reduce(big, "it works", [&](const std::vector<Json>& candidates) { return ++tried_, candidates.size(); });
  EXPECT_EQ(same.Dump(), big.Dump());
  EXPECT_LT(tried_, 60u);
}

TEST(PrettyJsonTest, IsTheSameJsonInLinesThatFit) {
  const Json j = Parsed(R"({"says":"ü \"quoted\"","empty":[],"hosts":[{"id":"root","count":2,"node":{"dht":{"bootstrap":true}}},{"id":"p","region":"eu","link":"cable","nat":"port-restricted","starts":{"between":["0s","20s"]}}],"seed":1e3})");
  const std::string text = PrettyJson(j);
  EXPECT_EQ(Parsed(text).Dump(), j.Dump());
  EXPECT_TRUE(text.ends_with("}\n"));
  std::stringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(Width(line), kPrettyColumns) << line;
  EXPECT_NE(text.find("{\"id\": \"root\", \"count\": 2, \"node\": {\"dht\": {\"bootstrap\": true}}}"), std::string::npos) << text;
}

}  // namespace
}  // namespace orchard::sim
