// NAT boxes in the simulated world: who reaches whom through which, chains, hairpins, re-maps.

#include <gtest/gtest.h>

#include "tests/sim/sim_world.h"

namespace orchard::sim {
namespace {

constexpr Dependence kDep[] = {Dependence::kEndpointIndependent, Dependence::kAddressDependent,
                               Dependence::kAddressAndPortDependent};

// Both register with a server, learn from it where the other was seen, and send probes there and to wherever a probe came
// from. True if both hear the other.
bool Punch(const std::vector<NatRef>& a, const std::vector<NatRef>& b) {
  WorldPlan plan = PlainPlan();
  AddHost(plan, "server");
  AddHost(plan, "a", a);
  AddHost(plan, "b", b);
  PuppetWorld w(plan);
  w.StartAll();
  Endpoint server = w.world->public_address(0).with_port(4000);
  w.Run(1ms);
  w.Send("a", server, "register");
  w.Run(700ms);
  w.Send("b", server, "register");
  w.Run(200ms);
  if (w.heard.size() != 2) return false;
  Endpoint seen[2] = {w.heard[0].from, w.heard[1].from};
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 2; ++i) {
      const char* me = i == 0 ? "a" : "b";
      w.Send(me, seen[1 - i], "probe");
      if (w.Last(me) != nullptr && w.Last(me)->from != seen[1 - i]) w.Send(me, w.Last(me)->from, "probe");
    }
    w.Run(400ms);
  }
  return w.Last("a") != nullptr && w.Last("b") != nullptr;
}

std::string Row(const std::vector<NatRef>& a, const std::vector<std::vector<NatRef>>& columns) {
  std::string row;
  for (const auto& b : columns) row += Punch(a, b) ? 'o' : '-';
  return row;
}

TEST(NatWorldTest, TheClassicFourMeetAsTheyAlwaysDid) {
  for (PortChoice ports : {PortChoice::kSequential, PortChoice::kRandom}) {
    std::vector<std::vector<NatRef>> kinds = {{{Nat(kDep[0], kDep[0], ports)}}, {{Nat(kDep[0], kDep[1], ports)}},
                                              {{Nat(kDep[0], kDep[2], ports)}}, {{Nat(kDep[2], kDep[2], ports)}}};
    EXPECT_EQ(Row(kinds[0], kinds), "oooo");
    EXPECT_EQ(Row(kinds[1], kinds), "oooo");
    EXPECT_EQ(Row(kinds[2], kinds), "ooo-");
    EXPECT_EQ(Row(kinds[3], kinds), "oo--");
  }
}

TEST(NatWorldTest, AllNineMappingsAndFiltersMeetAsComputed) {
  std::vector<std::vector<NatRef>> kinds;
  for (Dependence mapping : kDep) {
    for (Dependence filtering : kDep) kinds.push_back({{Nat(mapping, filtering, PortChoice::kRandom)}});
  }
  const char* expected[] = {"ooooooooo", "ooooooooo", "ooo------", "oo-oo-oo-", "oo-o--o--",
                            "oo-------", "oo-oo-oo-", "oo-o--o--", "oo-------"};
  for (size_t i = 0; i < kinds.size(); ++i) EXPECT_EQ(Row(kinds[i], kinds), expected[i]) << i;
}

TEST(NatWorldTest, PresetsMeetAsTheirNamesSay) {
  auto one = [](std::string_view p) { return std::vector<NatRef>{{Nat(p)}}; };
  EXPECT_TRUE(Punch({}, one("symmetric")));
  EXPECT_TRUE(Punch(one("port-restricted"), one("port-restricted")));
  EXPECT_FALSE(Punch(one("port-restricted"), one("symmetric")));
  EXPECT_TRUE(Punch(one("symmetric-preserving"), one("symmetric-preserving")));  // Looks consistent.
  EXPECT_FALSE(Punch(one("udp-blocked"), {}));
  // A home behind a carrier: as strict as the stricter of the two.
  std::vector<NatRef> twice = {{Nat("full-cone")}, {Nat("cgn")}};
  EXPECT_TRUE(Punch(twice, one("port-restricted")));
  EXPECT_FALSE(Punch(twice, one("symmetric")));
}

struct TwoBehindOne : PuppetWorld {
  static WorldPlan Plan(NatSpec spec, std::vector<NatRef> homes = {}) {
    WorldPlan plan = PlainPlan();
    AddHost(plan, "server");
    for (const char* id : {"a", "b"}) {
      std::vector<NatRef> chain = homes;
      chain.push_back({spec, "cgn@telco"});
      AddHost(plan, id, chain);
    }
    return plan;
  }
  explicit TwoBehindOne(NatSpec spec, std::vector<NatRef> homes = {}) : PuppetWorld(Plan(spec, homes)) {
    StartAll();
    Send("a", world->public_address(0).with_port(4000), "hello");
    Run(100ms);
    a = Last("server")->from;
    Send("b", world->public_address(0).with_port(4000), "hello");
    Run(100ms);
    b = Last("server")->from;
  }
  Endpoint a, b;  // As the server saw them.
};

TEST(NatWorldTest, ASharedBoxHairpinsOnlyIfItDoesAndThenWithTheExternalSource) {
  for (bool hairpin : {false, true}) {
    NatSpec s = Nat("cgn");
    s.hairpin = hairpin;
    TwoBehindOne w(s);
    EXPECT_EQ(w.a.ip, w.b.ip);
    EXPECT_NE(w.a.port, w.b.port);
    for (int i = 0; i < 3; ++i) w.Send("a", w.b, "hi"), w.Send("b", w.a, "hi"), w.Run(100ms);
    ASSERT_EQ(w.Last("a") != nullptr, hairpin);
    ASSERT_EQ(w.Last("b") != nullptr, hairpin);
    EXPECT_EQ(w.drops("nat-hairpin"), hairpin ? 0u : 6u);
    if (hairpin) { EXPECT_EQ(w.Last("a")->from, w.b); }
  }
}

TEST(NatWorldTest, HomesBehindOneCarrierReachEachOtherInsideIt) {
  TwoBehindOne w(Nat("cgn"), {{Nat("full-cone")}});
  auto boxes = w.world->boxes();
  ASSERT_EQ(boxes.size(), 3u);
  EXPECT_EQ(boxes[0].name, "cgn@telco");
  EXPECT_EQ(boxes[0].outside, "wan");
  EXPECT_EQ(boxes[0].members, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(boxes[1].name, "a");
  EXPECT_EQ(boxes[1].outside, "cgn@telco");
  EXPECT_EQ(boxes[0].mappings, 2u);
  // b's home box has an address in the carrier's realm, where a's packets need no translation by the carrier.
  ASSERT_EQ(boxes[2].name, "b");
  w.Send("a", boxes[2].addresses[0].with_port(4000), "neighbour");
  w.Run(100ms);
  ASSERT_NE(w.Last("b"), nullptr);
  EXPECT_EQ(w.Last("b")->from.host(), boxes[1].addresses[0].host());
}

// One host behind one box, and a server that answers to where it was seen.
struct Home : PuppetWorld {
  static WorldPlan Plan(NatSpec spec) {
    WorldPlan plan = PlainPlan();
    AddHost(plan, "server");
    AddHost(plan, "home", {{spec}});
    return plan;
  }
  explicit Home(NatSpec spec) : PuppetWorld(Plan(spec)) { StartAll(); }
  Endpoint Hello() {
    Send("home", world->public_address(0).with_port(4000), "hello");
    Run(100ms);
    return Last("server") == nullptr ? Endpoint{} : Last("server")->from;
  }
  bool Answered(Endpoint to) {
    size_t mark = heard.size();
    Send("server", to, "answer");
    Run(100ms);
    return !Texts("home", mark).empty();
  }
};

TEST(NatWorldTest, MappingsGoIdleOnTheWorldsClock) {
  Home w(Nat("port-restricted"));
  Endpoint at = w.Hello();
  EXPECT_EQ(at.host(), w.world->public_address(1).host());
  EXPECT_NE(w.world->local_address(1).host(), at.host());
  w.Run(25s);
  EXPECT_TRUE(w.Answered(at));
  w.Run(90s);
  EXPECT_TRUE(w.Answered(at));
  w.Run(10s);
  EXPECT_FALSE(w.Answered(at));
  EXPECT_EQ(w.drops("nat-unmapped"), 1u);
}

TEST(NatWorldTest, RemapAndRebootTakeTheOldEndpointAway) {
  Home w(Nat("port-restricted"));
  Endpoint first = w.Hello();
  EXPECT_EQ(first.port, 4000);
  ASSERT_TRUE(w.world->NatRemap("home", 1'000'000, false));
  EXPECT_FALSE(w.Answered(first));
  Endpoint second = w.Hello();
  EXPECT_EQ(second.host(), first.host());
  EXPECT_NE(second.port, first.port);
  EXPECT_TRUE(w.Answered(second));

  ASSERT_TRUE(w.world->NatReboot("home/wan", 3s, true));
  EXPECT_FALSE(w.Answered(second));
  size_t mark = w.heard.size();
  w.Hello();
  EXPECT_EQ(w.heard.size(), mark);  // The box is down.
  EXPECT_EQ(w.drops("down"), 1u);   // The answer went to an address that is nobody's.
  w.Run(3s);
  Endpoint third = w.Hello();
  EXPECT_NE(third.host(), first.host());
  EXPECT_EQ(third.host(), w.world->public_address(1).host());
  EXPECT_TRUE(w.Answered(third));
  EXPECT_TRUE(w.interfaces.empty());  // Nobody tells the node.
  EXPECT_FALSE(w.world->NatRemap("server", 1, false));
  EXPECT_FALSE(w.world->NatRemap("nobody", 1, false));
}

TEST(NatWorldTest, ABoxMayRemapByItself) {
  NatSpec s = Nat("port-restricted");
  s.remap_every = 60s;
  Home w(s);
  int changes = 0;
  Endpoint last = w.Hello();
  for (int i = 0; i < 600; ++i) {
    w.Run(900ms);
    Endpoint now = w.Hello();
    changes += now != last, last = now;
  }
  EXPECT_GT(changes, 4);  // Ten expected.
  EXPECT_LT(changes, 20);
}

TEST(NatWorldTest, ATtlThatEndsInTheCoreOpensTheNatAndDoesNotArrive) {
  WorldPlan plan = PlainPlan();  // 12 hops.
  AddHost(plan, "a", {{Nat("port-restricted")}});
  AddHost(plan, "b", {{Nat("port-restricted")}});
  PuppetWorld w(plan);
  w.StartAll();
  Endpoint a = w.world->public_address(0).with_port(4000), b = w.world->public_address(1).with_port(4000);
  w.Send("b", a, "not yet");
  w.Run(100ms);
  EXPECT_EQ(w.drops("nat-unmapped"), 1u);
  w.Send("a", b, "opens", 5);
  w.Run(100ms);
  EXPECT_EQ(w.drops("ttl"), 1u);
  EXPECT_EQ(w.last_drop_where, "wan");
  w.Send("b", a, "comes through");
  w.Run(100ms);
  EXPECT_EQ(w.Texts("a"), std::vector<std::string>{"comes through"});
  // Twelve routers, both boxes included: 12 dies at the far box, 13 arrives.
  w.Send("a", b, "dies", 12);
  w.Run(100ms);
  EXPECT_EQ(w.drops("ttl"), 2u);
  EXPECT_EQ(w.last_drop_where, "b");
  w.Send("a", b, "lives", 13);
  w.Run(100ms);
  EXPECT_EQ(w.Texts("b"), std::vector<std::string>{"lives"});
}

TEST(NatWorldTest, HopsAreTheSameWhateverTheBoxes) {
  for (const std::vector<NatRef>& chain : {std::vector<NatRef>{}, {{Nat("full-cone")}}, {{Nat("full-cone")}, {Nat("cgn")}}}) {
    WorldPlan plan = PlainPlan();
    AddHost(plan, "a", chain);
    AddHost(plan, "b");
    PuppetWorld w(plan);
    w.StartAll();
    Endpoint b = w.world->public_address(1).with_port(4000);
    w.Send("a", b, "dies", 12), w.Send("a", b, "lives", 13);
    w.Run(100ms);
    EXPECT_EQ(w.Texts("b"), std::vector<std::string>{"lives"});
    w.Send("b", w.Last("b")->from, "dies", 12), w.Send("b", w.Last("b")->from, "lives", 13);
    w.Run(100ms);
    EXPECT_EQ(w.Texts("a"), std::vector<std::string>{"lives"});
  }
}

TEST(NatWorldTest, AStatefulFirewallLetsInWhatWasAskedFor) {
  WorldPlan plan = PlainPlan();
  AddHost(plan, "a").firewall = Firewall::kStateful;
  AddHost(plan, "b");
  PuppetWorld w(plan);
  w.StartAll();
  Endpoint a = w.world->public_address(0).with_port(4000), b = w.world->public_address(1).with_port(4000);
  w.Send("b", a, "uninvited");
  w.Run(100ms);
  EXPECT_EQ(w.drops("firewall"), 1u);
  w.Send("a", b, "question"), w.Run(100ms), w.Send("b", a, "answer"), w.Run(100ms);
  EXPECT_EQ(w.Texts("a"), std::vector<std::string>{"answer"});
  w.Run(121s);
  w.Send("b", a, "late"), w.Run(100ms);
  EXPECT_EQ(w.drops("firewall"), 2u);
}

}  // namespace
}  // namespace orchard::sim
