// Words of scenarios about uplinks, households, LANs, firewalls, chains and links, from the text of a file to packets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/language/loader.h"
#include "sim/language/plan.h"
#include "tests/sim/sim_world.h"

namespace orchard::sim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

WorldPlan PlanOf(const std::string& hosts, const std::string& more = "") {
  const std::string text = "{\"says\": \"x\", \"duration\": \"60s\", \"world\": {\"latency\": \"20ms\"" + (more.starts_with("\"nats\"") || more.starts_with("\"links\"") ? ", " + more : "") +
                           "}, \"hosts\": [{\"id\": \"server\", \"region\": \"eu\", \"link\": \"fiber\"}, " + hosts + "]" +
                           (more.empty() || more.starts_with("\"nats\"") || more.starts_with("\"links\"") ? "" : ", " + more) + "}";
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenarioFromText(text, "words.json", {}, errors, sources);
  EXPECT_TRUE(suite) << RenderErrors(errors, sources);
  return Expand(*BuildCase(*suite, suite->cases[0], errors), 1).world;
}

struct WordsWorld : PuppetWorld {
  explicit WordsWorld(const std::string& hosts, const std::string& more = "") : PuppetWorld(PlanOf(hosts, more)) { StartAll(); }
  Endpoint server() { return world->public_address(0).with_port(4000); }
  // Where the server sees a packet of `who` come from; nothing if none arrived.
  std::optional<Endpoint> Seen(std::string_view who) {
    const size_t mark = heard.size();
    Send(who, server(), "hello");
    Run(300ms);
    return heard.size() > mark && heard.back().host == 0 ? std::optional(heard.back().from) : std::nullopt;
  }
  Endpoint Local(std::string_view who) { return world->local_address(Index(who)).with_port(4000); }
  // What `who` hears of what `from` sends to `to`.
  std::vector<std::string> Hears(std::string_view who, std::string_view from, Endpoint to, std::string_view text) {
    const size_t mark = heard.size();
    Send(from, to, text);
    Run(300ms);
    return Texts(who, mark);
  }
  void Link(std::string_view name, bool up) {
    World::LinkChange change;
    change.up = up;
    ASSERT_TRUE(world->ChangeLink(name, change)) << name;
  }
};

TEST(WorldWordsTest, AnUplinkThatIsDownWaitsAndTakesOverWhenTheFirstFails) {
  WordsWorld w(R"({"id": "laptop", "region": "eu", "uplinks": {"wifi": {"link": "cable", "nat": "port-restricted"}, "cell": {"link": {"like": "lte", "loss": "0%"}, "nat": "cgn@telco", "is": "down"}}})");
  const std::optional<Endpoint> home = w.Seen("laptop");
  ASSERT_TRUE(home);
  EXPECT_EQ(w.world->plan(1).nat_label, "port-restricted");
  w.Link("laptop/cell", true);
  w.Run(1ms);
  ASSERT_EQ(w.interfaces.size(), 1u) << "the node is told";
  EXPECT_EQ(w.interfaces[0].size(), 2u);
  EXPECT_EQ(w.Seen("laptop"), home) << "the first that is up carries the default route";
  w.Link("laptop/wifi", false);
  const std::optional<Endpoint> away = w.Seen("laptop");
  ASSERT_TRUE(away);
  EXPECT_NE(away->host(), home->host());
  EXPECT_EQ(w.interfaces.size(), 2u);
  EXPECT_THAT(w.Hears("laptop", "server", *home, "to the old address"), IsEmpty());
  EXPECT_THAT(w.Hears("laptop", "server", *away, "to the new one"), ElementsAre("to the new one"));
  w.Link("laptop/cell", false);
  w.Run(1ms);
  EXPECT_THAT(w.interfaces.back(), IsEmpty());
  EXPECT_FALSE(w.Seen("laptop")) << "offline";
  EXPECT_EQ(w.drops("no-route"), 1u);
}

// 20 Mbit/s out: a datagram of 1,228 bytes with its headers is 0.49 ms on the wire.
struct Leaving : WordsWorld {
  explicit Leaving(const std::string& hosts, const std::string& more = "") : WordsWorld(hosts, more) {}
  void Burst(std::string_view who, int n) {
    for (int i = 0; i < n; ++i) Send(who, server(), std::string(1200, char('a' + i % 26)));
  }
};

TEST(WorldWordsTest, WhatWaitsInAQueueWhenTheLinkGoesDownIsLost) {
  for (const char* nat : {"open", "port-restricted"}) {
    Leaving w(std::string(R"({"id": "home", "region": "eu", "link": "cable", "nat": ")") + nat + "\"}");
    w.Burst("home", 100);
    w.Run(30ms);  // Some sixty have left the queue by then; those of the last 8 ms are still on the link.
    w.Link("home", false);
    w.Run(1s);
    const size_t arrived = w.Texts("server").size();
    EXPECT_GT(arrived, 35u) << nat;
    EXPECT_LT(arrived, 50u) << nat;
    EXPECT_EQ(w.drops("down"), 100 - arrived) << nat;
  }
}

TEST(WorldWordsTest, ALinkThatIsBackAtOnceBringsNothingOfItsOldQueue) {
  Leaving w(R"({"id": "home", "region": "eu", "link": "cable"})");
  w.Burst("home", 100);
  w.Run(10ms);
  w.Link("home", false), w.Link("home", true);
  const size_t before = w.Texts("server").size();
  w.Send("home", w.server(), "new");
  const Instant sent = w.world->now();
  w.Run(1s);
  const std::vector<std::string> texts = w.Texts("server");
  EXPECT_EQ(texts.back(), "new");
  EXPECT_LT(texts.size() - before, 10u) << "what was through the link already";
  EXPECT_LT(w.Last("server")->at - sent, 45ms) << "it waits for nobody: 8 ms, 20 ms, 2 ms and its own time";
  EXPECT_EQ(w.drops("down"), 101 - texts.size());
}

TEST(WorldWordsTest, OneWayOfALinkMayGoDownAlone) {
  Leaving w(R"({"id": "home", "region": "eu", "link": "cable"})");
  World::LinkChange out;
  out.up = false, out.inbound = false;
  w.Burst("home", 50);
  w.Run(10ms);
  ASSERT_TRUE(w.world->ChangeLink("home", out));
  w.Run(1s);
  const size_t arrived = w.Texts("server").size();
  EXPECT_LT(arrived, 10u);
  EXPECT_THAT(w.Hears("home", "server", w.world->public_address(1).with_port(4000), "inwards"), ElementsAre("inwards"));
  EXPECT_FALSE(w.Seen("home"));
}

TEST(WorldWordsTest, ABottleneckGetsOnlyWhatIsThroughTheLinkBeforeIt) {
  Leaving w(R"({"id": "home", "region": "eu", "link": {"like": "cable", "shares": "village"}})", R"("links": {"village": {"rate": "5Mbps", "queue": "10s"}})");
  w.Burst("home", 40);
  w.Run(21ms);  // Through the cable at 20 Mbit/s and 8 ms: some 26 of them.
  w.Link("home", false);
  w.Run(2s);
  const size_t arrived = w.Texts("server").size();
  EXPECT_GT(arrived, 20u) << "what waits in the village goes on";
  EXPECT_LT(arrived, 30u);
}

TEST(WorldWordsTest, AHouseholdSharesOneRouterAndMeetsInside) {
  WordsWorld w(R"({"id": "a", "region": "eu", "link": "cable", "nat": "port-restricted", "household": "smith"}, {"id": "b", "region": "eu", "link": "cable", "nat": "port-restricted", "household": "smith"})");
  const std::optional<Endpoint> a = w.Seen("a"), b = w.Seen("b");
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->host(), b->host()) << "one public address";
  EXPECT_NE(w.Local("a").host(), w.Local("b").host());
  EXPECT_THAT(w.Hears("b", "a", w.Local("b"), "over the LAN"), ElementsAre("over the LAN"));
  EXPECT_EQ(w.Last("b")->from, w.Local("a"));
  EXPECT_THAT(w.Hears("b", "a", *b, "around the corner"), IsEmpty()) << "no hairpin";
  EXPECT_EQ(w.drops("nat-hairpin"), 1u);
  EXPECT_EQ(LabelOf(w.world->plan(1), "nat"), "port-restricted");
  EXPECT_EQ(LabelOf(w.world->plan(1), "link"), "cable") << "of its router";
}

TEST(WorldWordsTest, AFirewallOnTheLanKeepsNeighboursOutButAHairpinGoesAround) {
  WordsWorld w(R"({"id": "a", "region": "eu", "link": "cable", "nat": "home-hp", "household": "smith", "firewall": "stateful"},
                  {"id": "b", "region": "eu", "link": "cable", "nat": "home-hp", "household": "smith", "firewall": "stateful"})",
               R"("nats": {"home-hp": {"like": "port-restricted", "hairpin": true}})");
  const std::optional<Endpoint> a = w.Seen("a"), b = w.Seen("b");
  ASSERT_TRUE(a && b);
  EXPECT_THAT(w.Hears("b", "a", w.Local("b"), "unasked"), IsEmpty());
  EXPECT_EQ(w.drops("firewall"), 1u);
  // Both send to where the server saw the other: the second packet finds box and firewall open.
  EXPECT_THAT(w.Hears("b", "a", *b, "punch"), IsEmpty());
  EXPECT_THAT(w.Hears("a", "b", *a, "punched"), ElementsAre("punched"));
  EXPECT_EQ(w.Last("a")->from, *b) << "with the external source";
  EXPECT_THAT(w.Hears("b", "a", *b, "and back"), ElementsAre("and back"));
}

TEST(WorldWordsTest, MembersOfALanMayHaveWaysOutOfTheirOwn) {
  WordsWorld w(R"({"id": "phone", "region": "eu", "link": {"like": "lte", "loss": "0%"}, "nat": "cgn@telco"}, {"id": "laptop", "region": "eu"})",
               R"("lans": [{"id": "flat", "rate": "300Mbps", "delay": "2ms", "members": ["phone", "laptop"], "router": {"link": "cable", "nat": "port-restricted"}}])");
  const std::optional<Endpoint> phone = w.Seen("phone"), laptop = w.Seen("laptop");
  ASSERT_TRUE(phone && laptop);
  EXPECT_NE(phone->host(), laptop->host());
  EXPECT_EQ(LabelOf(w.world->plan(1), "nat"), "cgn");
  EXPECT_EQ(LabelOf(w.world->plan(2), "nat"), "port-restricted");
  // The phone's own uplink is its default; the LAN is still there, at the laptop's address.
  EXPECT_THAT(w.Hears("laptop", "phone", w.Local("laptop"), "neighbour"), ElementsAre("neighbour"));
  w.Link("phone", false);
  w.Run(1ms);
  const std::optional<Endpoint> through = w.Seen("phone");
  ASSERT_TRUE(through) << "through the router, then";
  EXPECT_EQ(through->host(), laptop->host());
  w.Link("flat/router", false);
  EXPECT_FALSE(w.Seen("phone"));
  EXPECT_THAT(w.Hears("laptop", "phone", w.Local("laptop"), "still neighbours"), ElementsAre("still neighbours"));
}

TEST(WorldWordsTest, ACarriersBoxIsSharedByAllWhoNameItAndHairpinsAsItSays) {
  for (bool hairpin : {false, true}) {
    WordsWorld w(R"({"id": "a", "region": "eu", "nat": ["port-restricted", "telco@t"]}, {"id": "b", "region": "eu", "nat": ["port-restricted", "telco@t"]}, {"id": "c", "region": "eu", "nat": ["port-restricted", "cgn@x"]})",
                 std::string(R"("nats": {"telco": {"like": "cgn", "hairpin": )") + (hairpin ? "true" : "false") + "}}");
    const std::optional<Endpoint> a = w.Seen("a"), b = w.Seen("b"), c = w.Seen("c");
    ASSERT_TRUE(a && b && c);
    EXPECT_EQ(a->host(), b->host());
    EXPECT_NE(a->host(), c->host());
    EXPECT_EQ(w.world->plan(1).nat_label, "port-restricted+telco");
    EXPECT_THAT(w.Hears("b", "a", *b, "punch"), IsEmpty());
    EXPECT_EQ(w.Hears("a", "b", *a, "punched").size(), hairpin ? 1u : 0u);
  }
}

TEST(WorldWordsTest, SequentialAndPreservingSymmetricNatsChooseTheirPorts) {
  WordsWorld w(R"({"id": "seq", "region": "eu", "nat": "symmetric-sequential"}, {"id": "keep", "region": "eu", "nat": "symmetric-preserving"}, {"id": "rnd", "region": "eu", "nat": "symmetric"}, {"id": "other", "region": "eu"})");
  auto two = [&](std::string_view who) {
    const Endpoint first = *w.Seen(who);
    w.Send(who, w.world->public_address(4).with_port(4000), "hello");
    w.Run(300ms);
    return std::pair(first, w.Last("other")->from);
  };
  const auto [s1, s2] = two("seq");
  EXPECT_EQ(s2.port, s1.port + 1);
  const auto [k1, k2] = two("keep");
  EXPECT_EQ(k1.port, 4000);
  EXPECT_EQ(k2.port, 4000) << "looks consistent";
  const auto [r1, r2] = two("rnd");
  EXPECT_NE(r1.port, r2.port);
  EXPECT_NE(r1.port, 4000);
}

TEST(WorldWordsTest, RenumberingGivesAnotherAddressAndTellsTheNode) {
  WordsWorld w(R"({"id": "a", "region": "eu"}, {"id": "b", "region": "eu", "link": "cable", "nat": "port-restricted", "household": "smith"}, {"id": "c", "region": "eu", "link": "cable", "nat": "port-restricted", "household": "smith"})");
  const Endpoint before = *w.Seen("a"), b = w.Local("b"), c = w.Local("c");
  ASSERT_TRUE(w.world->Renumber("a"));
  w.Run(1ms);
  EXPECT_EQ(w.interfaces.size(), 1u);
  const Endpoint after = *w.Seen("a");
  EXPECT_NE(after.host(), before.host());
  EXPECT_THAT(w.Hears("a", "server", before, "to the old address"), IsEmpty());
  EXPECT_THAT(w.Hears("a", "server", after, "to the new one"), ElementsAre("to the new one"));
  // A LAN: everybody on it, behind the same public address.
  const std::optional<Endpoint> home = w.Seen("b");
  ASSERT_TRUE(w.world->Renumber("smith"));
  w.Run(1ms);
  EXPECT_EQ(w.interfaces.size(), 3u);
  EXPECT_NE(w.Local("b").host(), b.host());
  EXPECT_NE(w.Local("c").host(), c.host());
  EXPECT_EQ(w.Seen("b")->host(), home->host());
  EXPECT_THAT(w.Hears("c", "b", w.Local("c"), "still neighbours"), ElementsAre("still neighbours"));
}

TEST(WorldWordsTest, PacketsBeyondALinksMtuAreDroppedAndCounted) {
  WordsWorld w(R"({"id": "tunnel", "region": "eu", "link": {"like": "fiber", "mtu": 1280}})");
  for (auto [size, way, arrives] : {std::tuple(1252, "out", true), std::tuple(1253, "out", false), std::tuple(1252, "in", true), std::tuple(1253, "in", false)}) {
    const uint64_t before = w.drops("mtu");
    const bool out = std::string_view(way) == "out";
    const std::vector<std::string> heard = out ? w.Hears("server", "tunnel", w.server(), std::string(size_t(size), 'x'))
                                               : w.Hears("tunnel", "server", w.world->public_address(1).with_port(4000), std::string(size_t(size), 'x'));
    EXPECT_EQ(heard.size(), arrives ? 1u : 0u) << size << " " << way;  // 20 bytes of IPv4 and 8 of UDP.
    EXPECT_EQ(w.drops("mtu") - before, arrives ? 0u : 1u);
  }
  EXPECT_EQ(w.last_drop_where, "tunnel");
  for (const World::LinkInfo& l : w.world->links()) {
    if (l.name == "tunnel") { EXPECT_EQ(l.outbound.drops + l.inbound.drops, 2u); }
  }
}

// Shares of pairs by the table of NATs: what the mixes are calibrated to.
TEST(WorldWordsTest, TheMixesAreAsEasyAsWasMeasured) {
  auto easy = [](const HostPlan& h) {
    if (h.uplinks[0].nat.empty()) return true;
    return std::all_of(h.uplinks[0].nat.begin(), h.uplinks[0].nat.end(), [](const NatRef& n) { return !n.spec.udp_blocked && n.spec.mapping == Dependence::kEndpointIndependent; });
  };
  for (auto [mix, low, high] : {std::tuple("internet-2026", 0.63, 0.77), std::tuple("mobile-cgn", 0.27, 0.37)}) {
    const WorldPlan plan = PlanOf(std::string(R"({"id": "peer", "count": 4000, "mix": ")") + mix + "\"}");
    double behind = 0, soft = 0;
    for (const HostPlan& h : plan.hosts) {
      if (h.group != "peer" || h.uplinks[0].nat.empty()) continue;
      ++behind, soft += easy(h);
    }
    const double pairs = soft / behind * (soft / behind);
    EXPECT_GT(pairs, low) << mix;
    EXPECT_LT(pairs, high) << mix;
  }
}

}  // namespace
}  // namespace orchard::sim
