// v04: the classifier over every recorded run of samples.

#include "node/hyperdht/nat.h"

#include <gtest/gtest.h>

#include "tests/hyperdht/vectors.h"

namespace orchard::hyperdht {
namespace {

using nlohmann::json;

Ipv4Address At(const std::string& text) { return Ipv4Address::Of(*Endpoint::Parse(text)); }

// "44.1.1.1:1#3" without the number of hits.
std::vector<Endpoint> List(const json& j) {
  std::vector<Endpoint> out;
  for (const json& a : j) out.push_back(*Endpoint::Parse(a.get<std::string>().substr(0, a.get<std::string>().find('#'))));
  return out;
}

TEST(NatTest, ClassifiesAndAdvertisesAsTheRecordedRuns) {
  const json v = LoadVectors("v04-holepunch.json");
  ASSERT_EQ(v["nat"].size(), 12u);
  for (const json& run : v["nat"]) {
    SCOPED_TRACE(run["name"].get<std::string>());
    Nat nat(run["dhtFirewalled"].get<bool>());
    EXPECT_EQ(int(nat.firewall()), run["initialFirewall"]);
    for (const json& s : run["steps"]) {
      nat.Add(At(s["add"]), At(s["from"].get<std::string>() + ":49737"));
      EXPECT_EQ(nat.sampled(), s["sampled"]);
      EXPECT_EQ(int(nat.firewall()), s["firewall"]);
      ASSERT_EQ(nat.addresses().has_value(), !s["addresses"].is_null());
      if (nat.addresses()) { EXPECT_EQ(*nat.addresses(), List(s["addresses"])); }
    }
    EXPECT_EQ(int(nat.firewall()), run["final"]);
  }
}

TEST(NatTest, IsAnalyzedOnceConsistentOrOpenOrFourHaveSpoken) {
  const Ipv4Address us{0x2c010101, 1};
  Nat consistent(true), random(true), open(false), lonely(true);
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(consistent.analyzed());
    consistent.Add(us, {i, 1});
  }
  EXPECT_TRUE(consistent.analyzed());
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_FALSE(random.analyzed());
    random.Add({us.host, uint16_t(i + 1)}, {i, 1});
  }
  EXPECT_TRUE(random.analyzed());
  open.Add(us, {1, 1});
  EXPECT_TRUE(open.analyzed());
  lonely.EndSampling();
  EXPECT_TRUE(lonely.analyzed());
  EXPECT_EQ(lonely.firewall(), Firewall::kUnknown);
}

TEST(NatTest, AfterAFreezeSamplesCountButDecideNothing) {
  const Ipv4Address us{0x2c010101, 1};
  Nat nat(true);
  for (uint32_t i = 0; i < 3; ++i) nat.Add(us, {i, 1});
  nat.Freeze();
  for (uint32_t i = 3; i < 8; ++i) nat.Add({us.host, 2}, {i, 1});
  EXPECT_EQ(nat.sampled(), 8u);
  EXPECT_EQ(nat.firewall(), Firewall::kConsistent);
  EXPECT_EQ(nat.addresses(), std::vector<Endpoint>{us.endpoint()});
}

TEST(NatTest, APeerCannotMakeItRememberMoreThanSixtyFourSamplers) {
  Nat nat(true);
  for (uint32_t i = 0; i < 1000; ++i) nat.Add({7, uint16_t(i + 1)}, {i, 1});
  EXPECT_EQ(nat.sampled(), Nat::kSamplersMax);
  EXPECT_FALSE(nat.Visit({5000, 1}));
}

TEST(NatTest, ASamplerIsAskedOnceAndHeardOnce) {
  Nat nat(true);
  EXPECT_TRUE(nat.Visit({1, 1}));
  EXPECT_FALSE(nat.Visit({1, 1}));
  nat.Add({7, 7}, {1, 1});
  nat.Add({7, 7}, {1, 1});
  EXPECT_EQ(nat.sampled(), 1u);
  EXPECT_FALSE(nat.Visit({1, 1}));
}

}  // namespace
}  // namespace orchard::hyperdht
