// The plan: every draw made, each from its own host's stream.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "sim/language/identity.h"
#include "sim/language/loader.h"
#include "sim/language/plan.h"

namespace orchard::sim {
namespace {

using testing::ElementsAre;

Scenario Load(const std::string& text, size_t which = 0) {
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenarioFromText(text, "plan.json", {}, errors, sources);
  EXPECT_TRUE(suite) << RenderErrors(errors, sources);
  return *BuildCase(*suite, suite->cases.at(which), errors);
}
std::string Hosts(const std::string& hosts, const std::string& more = "") {
  return "{\"says\": \"x\", \"duration\": \"60s\", \"hosts\": [" + hosts + "]" + (more.empty() ? "" : ", " + more) + "}";
}

TEST(PlanExpandTest, AGroupHasMembersFromOne) {
  Plan p = Expand(Load(Hosts(R"({"id": "boot", "region": "eu"}, {"id": "peer", "count": 3, "region": "asia", "nat": "symmetric"})")), 1);
  ASSERT_EQ(p.world.hosts.size(), 4u);
  EXPECT_EQ(p.world.hosts[0].id, "boot");
  EXPECT_EQ(p.world.hosts[3].id, "peer-3");
  EXPECT_EQ(p.world.hosts[3].region, "asia");
  EXPECT_EQ(p.world.hosts[3].nat_label, "symmetric");
  EXPECT_EQ(p.world.hosts[0].nat_label, "open");
  EXPECT_EQ(p.world.hosts[0].uplinks[0].link.preset, "datacenter");
}

TEST(PlanExpandTest, AMixIsDrawnByEachHostAndItsSharesAreExpectations) {
  Plan p = Expand(Load(Hosts(R"({"id": "peer", "count": 4000, "mix": "internet-2026"})")), 1);
  std::map<std::string, int> nats, regions, links;
  for (const HostPlan& h : p.world.hosts) ++nats[h.nat_label], ++regions[h.region], ++links[h.uplinks[0].link.preset];
  EXPECT_NEAR(nats["port-restricted"], 1600, 120);
  EXPECT_NEAR(nats["open"], 480, 80);
  EXPECT_NEAR(nats["port-restricted+cgn"], 200, 60);
  EXPECT_NEAR(nats["udp-blocked"], 160, 50);
  EXPECT_NEAR(regions["eu"], 1976, 130);
  EXPECT_GT(links["lte"], 700);
  ASSERT_FALSE(p.assumed.empty());
  EXPECT_EQ(p.assumed[0].stated, "12 %");
  EXPECT_NE(p.assumed[0].drawn.find(" of 4000"), std::string::npos);
}

TEST(PlanExpandTest, OneHostMoreChangesNoOthersLuck) {
  auto nats = [](uint32_t count) {
    std::string text = Hosts("{\"id\": \"peer\", \"count\": " + std::to_string(count) + ", \"mix\": \"internet-2026\", \"starts\": {\"between\": [\"0s\", \"20s\"]}}");
    Plan p = Expand(Load(text), 7);
    std::vector<std::string> out;
    for (size_t i = 0; i < 50; ++i) out.push_back(p.world.hosts[i].nat_label + p.world.hosts[i].region + std::to_string(p.lives[i].at.count()));
    return out;
  };
  EXPECT_EQ(nats(50), nats(51));
  Scenario s = Load(Hosts(R"({"id": "peer", "count": 50, "mix": "internet-2026"})"));
  EXPECT_NE(Expand(s, 1).world.hosts[0].nat_label + Expand(s, 1).world.hosts[1].nat_label + Expand(s, 1).world.hosts[2].nat_label + Expand(s, 1).world.hosts[3].nat_label,
            Expand(s, 2).world.hosts[0].nat_label + Expand(s, 2).world.hosts[1].nat_label + Expand(s, 2).world.hosts[2].nat_label + Expand(s, 2).world.hosts[3].nat_label);
}

TEST(PlanExpandTest, WhatAHostStatesBeatsItsMix) {
  Plan p = Expand(Load(Hosts(R"({"id": "peer", "count": 100, "mix": "internet-2026", "nat": "cgn@telco", "region": "au"})")), 1);
  for (const HostPlan& h : p.world.hosts) {
    ASSERT_EQ(h.uplinks[0].nat.size(), 1u);
    EXPECT_EQ(h.uplinks[0].nat[0].shared_name, "telco");
    EXPECT_EQ(h.region, "au");
  }
}

TEST(PlanExpandTest, CopiesOfAHouseholdShareOneRouter) {
  Plan p = Expand(Load(Hosts(R"({"id": "home", "count": 6, "household": "flat", "lan_of": 3, "link": "cable", "nat": "port-restricted"})")), 1);
  ASSERT_EQ(p.world.lans.size(), 2u);
  EXPECT_EQ(p.world.hosts[2].lan, p.world.hosts[0].lan);
  EXPECT_NE(p.world.hosts[3].lan, p.world.hosts[0].lan);
  EXPECT_TRUE(p.world.hosts[0].uplinks.empty());
  EXPECT_EQ(p.world.lans[0].router->link.preset, "cable");
  EXPECT_EQ(p.world.hosts[0].nat_label, "port-restricted");
  EXPECT_EQ(p.world.hosts[0].region, p.world.hosts[2].region);
}

TEST(PlanExpandTest, MembersOfALanKeepTheirUplinksAndOthersUseTheRouter) {
  Plan p = Expand(Load(Hosts(R"({"id": "phone", "link": "lte", "nat": "cgn"}, {"id": "laptop"})",
                             R"("lans": [{"id": "flat", "members": ["phone", "laptop"], "router": {"link": "dsl", "nat": "full-cone"}}])")), 1);
  EXPECT_EQ(p.world.hosts[0].uplinks.size(), 1u);
  EXPECT_EQ(p.world.hosts[0].nat_label, "cgn");
  EXPECT_TRUE(p.world.hosts[1].uplinks.empty());
  EXPECT_EQ(p.world.hosts[1].nat_label, "full-cone");
  EXPECT_EQ(p.world.lans[0].router->link.preset, "dsl");
}

TEST(PlanExpandTest, AKeyIsMadeOfTheSeedAndTheIdAndStandsForItsHostInConfigurations) {
  const std::string stated(64, '7');
  Scenario s = Load(Hosts(R"({"id": "bob", "node": {"seed": "@peer-1"}}, {"id": "peer", "count": 2}, {"id": "own", "node": {"seed": ")" + stated + R"("}}, {"id": "eve", "node": {"seed": "@own"}})"));
  Plan p = Expand(s, 7), other = Expand(s, 8);
  const std::string key = HostKeyHex(7, p.world.hosts[1]);
  EXPECT_EQ(p.world.hosts[0].config_json, "{\"seed\":\"" + key + "\"}");
  EXPECT_NE(other.world.hosts[0].config_json, p.world.hosts[0].config_json) << "of this run's seed, not the file's";
  EXPECT_NE(HostKeyHex(7, p.world.hosts[2]), key);
  EXPECT_EQ(HostSeedHex(7, p.world.hosts[3]), stated) << "what a configuration states";
  EXPECT_EQ(p.world.hosts[4].config_json, "{\"seed\":\"" + HostKeyHex(8, p.world.hosts[3]) + "\"}") << "whatever the run's seed";
}

TEST(PlanExpandTest, ChurnIsMetInMidSession) {
  // Up for an hour and down for an hour, on average: half of the hosts are met down, with about an hour left either way.
  Scenario s = Load(Hosts(R"({"id": "peer", "count": 2000, "churn": {"up": {"exp": "1h"}, "down": {"exp": "1h"}}})"));
  Plan p = Expand(s, 1);
  int up = 0;
  int64_t left = 0;
  for (const HostLife& l : p.lives) up += l.churn_starts_up, left += l.first_change.count() / 2000;
  EXPECT_NEAR(up, 1000, 100);
  EXPECT_NEAR(double(left) / 3.6e12, 1.0, 0.08);
}

TEST(PlanExpandTest, FasterShortensAPresetAndSaysWhatIsAssumed) {
  Plan p = Expand(Load(Hosts(R"({"id": "peer", "count": 2, "churn": {"like": "ipfs-server-2022", "faster": 40, "down": {"exp": "2min"}}})")), 1);
  EXPECT_EQ(p.lives[0].churn.up.a, 3'600'000'000'000 * 366 / 100 / 40);
  EXPECT_EQ(p.lives[0].churn.down.a, 120'000'000'000);
  ASSERT_EQ(p.assumed.size(), 1u);  // The share without goodbye; the absence is stated.
  EXPECT_EQ(p.assumed[0].stated, "70 %");
}

TEST(PlanExpandTest, SelectorsNameHostsAndPicksAreTheSameEverywhere) {
  Scenario s = Load(Hosts(R"({"id": "boot", "region": "eu"}, {"id": "peer", "count": 50, "nat": {"one_of": ["open", "symmetric"]}, "region": "asia"})",
                          R"("timeline": [{"at": "1s", "who": {"from": "peer", "where": {"nat": "!open"}, "except": "peer-1", "pick": 5, "as": "some"}, "do": "info"},
                                          {"at": "2s", "on": ["peer-4*", "boot"], "do": "kill"}, {"at": "3s", "on": "some", "do": "start"},
                                          {"at": "4s", "on": {"from": "peer", "pick": "30%"}, "do": "stop"}])"));
  Plan p = Expand(s, 3);
  std::vector<uint32_t> some = HostsOf(*s.timeline[0].who, s, p);
  EXPECT_EQ(some.size(), 5u);
  for (uint32_t h : some) EXPECT_EQ(p.world.hosts[h].nat_label, "symmetric");
  EXPECT_EQ(HostsOf(*s.timeline[2].who, s, p), some);
  EXPECT_EQ(p.picked.at("some"), some);
  EXPECT_EQ(HostsOf(*s.timeline[1].who, s, p).size(), 1u + 11u);  // peer-4, peer-40 … peer-49
  const size_t chance = HostsOf(*s.timeline[3].who, s, p).size();
  EXPECT_GT(chance, 5u);
  EXPECT_LT(chance, 26u);
}

TEST(PlanExpandTest, FaultsNameLinksLansAndBoxes) {
  Scenario s = Load(Hosts(R"({"id": "a", "uplinks": {"wifi": {"nat": "cgn@telco"}, "cell": {"link": {"like": "lte", "shares": "tower"}, "is": "down"}}}, {"id": "b"})",
                          R"("world": {"links": {"tower": {"rate": "50Mbps"}}}, "lans": [{"id": "flat", "members": ["b"]}],
                             "timeline": [{"at": "1s", "on": ["a/wifi", "flat", "b", "tower"], "do": "link", "with": {"loss": "1%"}}, {"at": "2s", "on": "nat@telco", "do": "nat-remap"}])"));
  Plan p = Expand(s, 1);
  EXPECT_THAT(TargetsOf(*s.timeline[0].who, s, p), ElementsAre("a/wifi", "flat", "tower", "b"));
  EXPECT_THAT(TargetsOf(*s.timeline[1].who, s, p), ElementsAre("nat@telco"));
  EXPECT_EQ(p.world.bottlenecks.count("tower"), 1u);
  EXPECT_FALSE(p.world.hosts[0].uplinks[1].up);
}

TEST(PlanExpandTest, OneLatencyEverywhereIsEverywhere) {
  Plan p = Expand(Load(Hosts(R"({"id": "a", "region": "eu"})", R"("world": {"latency": "20ms", "jitter": "5%", "loss": "0.1%", "hops": 7})")), 1);
  EXPECT_EQ(p.world.latency.at({"eu", "eu"}), std::chrono::milliseconds(20));
  EXPECT_EQ(p.world.latency.at({"eu", "au"}), std::chrono::milliseconds(20));
  EXPECT_EQ(p.world.jitter_ppm, 50'000u);
  EXPECT_EQ(p.world.loss_ppm, 1000u);
  EXPECT_EQ(p.world.hops, 7);
}

}  // namespace
}  // namespace orchard::sim
