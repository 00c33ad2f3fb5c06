// Links, LANs, cuts, lives and clocks of the simulated world.

#include "sim/world/world.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/world/addresses.h"
#include "tests/sim/sim_world.h"

namespace orchard::sim {
namespace {

struct Pair : PuppetWorld {
  static WorldPlan Plan(std::string_view link) {
    WorldPlan plan = PlainPlan();
    AddHost(plan, "a", {}, link);
    AddHost(plan, "b", {}, link);
    return plan;
  }
  explicit Pair(WorldPlan plan, Puppet::Mind mind = {}) : PuppetWorld(std::move(plan), std::move(mind)) { Begin(); }
  explicit Pair(std::string_view link = "datacenter") : Pair(Plan(link)) {}
  void Begin() {
    StartAll();
    Run(1s);
    a = world->public_address(0).with_port(4000), b = world->public_address(1).with_port(4000);
  }
  Endpoint a, b;
};

TEST(WorldTest, APacketTakesItsTimeInQueueServiceAndPath) {
  Pair w("dsl");  // 10 Mbps up, 50 down, 15 ms each end, 20 ms between.
  const std::string text(972, 'x');  // 1,000 bytes on the wire: 800 µs up, 160 µs down.
  w.Send("a", w.b, text), w.Send("a", w.b, text);
  w.Run(100ms);
  ASSERT_EQ(w.heard.size(), 2u);
  EXPECT_EQ(w.heard[0].at, Instant(1s + 50ms + 960us));
  EXPECT_EQ(w.heard[1].at, Instant(1s + 50ms + 1760us));
  EXPECT_EQ(w.heard[0].from, w.a);
  EXPECT_EQ(w.world->bytes_sent(0), 2000u);
}

TEST(WorldTest, AQueueDropsItsTailByTime) {
  Pair w("dsl");  // 100 ms at 10 Mbps: 125 packets wait, one is in service.
  const std::string text(972, 'x');
  for (int i = 0; i < 300; ++i) w.Send("a", w.b, text);
  w.Run(1s);
  EXPECT_EQ(w.heard.size(), 126u);
  EXPECT_EQ(w.drops("queue"), 174u);
  EXPECT_EQ(w.last_drop_where, "a");
  auto links = w.world->links();
  EXPECT_EQ(links[0].outbound.packets, 126u);
  EXPECT_EQ(links[0].outbound.drops, 174u);
  EXPECT_EQ(links[0].outbound.queue_max, 100ms);
  EXPECT_EQ(links[1].inbound.packets, 126u);
}

TEST(WorldTest, RegionsHaveTheirLatencyAndTooLongPacketsDie) {
  WorldPlan plan;
  plan.latency = *LatencyPreset("world-8");
  AddHost(plan, "a").region = "eu", AddHost(plan, "b").region = "au", AddHost(plan, "c").region = "eu";
  PuppetWorld w(plan);
  w.StartAll();
  w.Send("a", w.world->public_address(1).with_port(4000), "far");
  w.Send("a", w.world->public_address(2).with_port(4000), "near");
  w.Send("a", w.world->public_address(1).with_port(4000), std::string(1473, 'x'));
  w.Run(1s);
  ASSERT_EQ(w.heard.size(), 2u);
  EXPECT_EQ((w.Last("b")->at - Instant{}) / 1ms, 82);  // 165 / 2 and twice 0.2.
  EXPECT_EQ((w.Last("c")->at - Instant{}) / 1ms, 2);
  EXPECT_EQ(w.drops("mtu"), 1u);
}

TEST(WorldTest, LossIsAsAskedAndBurstsAreAsLong) {
  for (uint32_t burst : {0u, 5u}) {
    Pair w;
    World::LinkChange c;
    c.loss_ppm = 100'000, c.burst_mean = burst, c.inbound = false;
    ASSERT_TRUE(w.world->ChangeLink("a", c));
    for (int i = 0; i < 20'000; ++i) w.Send("a", w.b, std::to_string(i)), w.Run(100us);
    w.Run(1s);
    const double lost = double(w.drops("loss"));
    EXPECT_NEAR(lost, 2000, 300);
    int bursts = 0, next = 0;
    for (const Heard& h : w.heard) bursts += std::stoi(h.text) != next, next = std::stoi(h.text) + 1;
    EXPECT_NEAR(lost / bursts, burst == 0 ? 1.11 : 5, burst == 0 ? 0.1 : 0.8);
  }
}

TEST(WorldTest, JitterDelaysUnevenlyAndNeverReordersButReorderDoes) {
  WorldPlan plan = Pair::Plan("lte");  // 10 ms deviation at each end.
  plan.jitter_ppm = 50'000;
  for (auto& h : plan.hosts) h.uplinks[0].link.loss_ppm = 0;
  Pair w(plan);
  std::vector<int64_t> delays;
  auto run = [&] {
    w.heard.clear();
    delays.clear();
    for (int i = 0; i < 5000; ++i) {
      w.Send("a", w.b, std::to_string(ToNanos(w.world->now())));
      w.Run(i % 3 == 0 ? 20us : 5ms);
    }
    w.Run(1s);
    ASSERT_EQ(w.heard.size(), 5000u);
    for (const Heard& h : w.heard) delays.push_back(ToNanos(h.at) - std::stoll(h.text));
  };
  run();
  EXPECT_TRUE(std::is_sorted(w.heard.begin(), w.heard.end(), [](auto& x, auto& y) { return std::stoll(x.text) < std::stoll(y.text); }));
  double mean = 0, square = 0;
  for (int64_t d : delays) mean += double(d) / 5e9;
  for (int64_t d : delays) square += (double(d) / 1e6 - mean) * (double(d) / 1e6 - mean) / 5000;
  EXPECT_NEAR(mean, 80, 1.5);
  EXPECT_NEAR(square, 201, 60);  // Two links of 10 ms and a path of 1 ms.
  World::LinkChange c;
  c.reorder_ppm = 100'000;
  w.world->ChangeLink("a", c);
  run();
  EXPECT_FALSE(std::is_sorted(w.heard.begin(), w.heard.end(), [](auto& x, auto& y) { return std::stoll(x.text) < std::stoll(y.text); }));
}

TEST(WorldTest, DuplicatesArriveTwiceAndBrokenBitsAreCaught) {
  Pair w;
  World::LinkChange c;
  c.duplicate_ppm = 1'000'000;
  uint64_t ticket = w.world->PushLinkChange("b", c);
  w.Send("a", w.b, "twice");
  w.Run(1s);
  EXPECT_EQ(w.Texts("b"), (std::vector<std::string>{"twice", "twice"}));
  w.world->PopLinkChange(ticket);
  c = {};
  c.corrupt_ppm = 1'000'000;
  w.world->ChangeLink("a", c);
  for (int i = 0; i < 200; ++i) w.Send("a", w.b, "broken");
  w.Run(1s);
  EXPECT_EQ(w.drops("corrupt"), 200u);
  EXPECT_EQ(w.heard.size(), 2u);
}

TEST(WorldTest, LinkChangesStackAndEndInAnyOrder) {
  Pair w;
  auto delay = [&] {
    const Instant before = w.world->now();
    w.Send("a", w.b, "x");
    w.Run(5s);
    return (w.heard.back().at - before) / 1ms;
  };
  World::LinkChange slow, slower, down;
  slow.delay = 100ms, slower.delay = 500ms, down.up = false;
  EXPECT_EQ(delay(), 20);
  uint64_t first = w.world->PushLinkChange("a", slow), second = w.world->PushLinkChange("a/wan", slower);
  EXPECT_EQ(delay(), 520);
  w.world->PopLinkChange(first);
  EXPECT_EQ(delay(), 520);
  w.world->PopLinkChange(second);
  EXPECT_EQ(delay(), 20);
  EXPECT_EQ(w.world->PushLinkChange("c", slow), 0u);

  uint64_t cut = w.world->PushLinkChange("a", down);
  w.Run(1ms);
  ASSERT_EQ(w.interfaces.size(), 1u);  // Told, as by an OS.
  EXPECT_TRUE(w.interfaces[0].empty());
  size_t heard = w.heard.size();
  w.Send("a", w.b, "x"), w.Send("b", w.a, "x");
  w.Run(1s);
  EXPECT_EQ(w.heard.size(), heard);
  EXPECT_EQ(w.drops("no-route"), 1u);
  EXPECT_EQ(w.drops("down"), 1u);
  w.world->PopLinkChange(cut);
  EXPECT_EQ(delay(), 20);
  EXPECT_EQ(w.interfaces.size(), 2u);
}

TEST(WorldTest, ASharedBottleneckIsSharedBothWays) {
  WorldPlan plan = PlainPlan();
  plan.bottlenecks["tower"] = FindLinkPreset("dsl")->spec();  // 10 Mbps up.
  AddHost(plan, "sink");
  for (const char* id : {"a", "b"}) AddHost(plan, id, {}, "fiber").uplinks[0].link.shares = "tower";
  PuppetWorld w(plan);
  w.StartAll();
  const std::string text(972, 'x');
  for (int i = 0; i < 100; ++i) w.Send(i % 2 == 0 ? "a" : "b", w.world->public_address(0).with_port(4000), text);
  w.Run(1s);
  ASSERT_EQ(w.heard.size(), 100u);
  EXPECT_NEAR(double((w.heard.back().at - w.heard.front().at) / 1us), 99 * 800, 100);
  World::LinkChange down;
  down.up = false;
  ASSERT_TRUE(w.world->ChangeLink("tower", down));
  w.Send("a", w.world->public_address(0).with_port(4000), text);
  w.Run(1s);
  EXPECT_EQ(w.heard.size(), 100u);
  EXPECT_EQ(w.last_drop_where, "tower");
}

TEST(WorldTest, CutsOverlapAndHealOneByOne) {
  WorldPlan plan = PlainPlan();
  for (const char* id : {"a", "b", "c"}) AddHost(plan, id);
  PuppetWorld w(plan);
  w.StartAll();
  auto reaches = [&](HostIndex from, HostIndex to) {
    size_t mark = w.heard.size();
    w.Send(w.world->plan(from).id, w.world->public_address(to).with_port(4000), "x");
    w.Run(1s);
    return w.heard.size() > mark;
  };
  uint64_t one = w.world->Partition({{}, {1, 2}});  // a stays with the first group.
  EXPECT_FALSE(reaches(0, 1));
  EXPECT_FALSE(reaches(1, 0));
  EXPECT_TRUE(reaches(1, 2));
  uint64_t two = w.world->PartitionOneWay({1}, {0, 2});
  EXPECT_FALSE(reaches(1, 2));
  EXPECT_TRUE(reaches(2, 1));
  w.world->Heal(one);
  EXPECT_FALSE(reaches(1, 0));
  EXPECT_TRUE(reaches(0, 1));
  w.world->Heal(two);
  EXPECT_TRUE(reaches(1, 0));
  EXPECT_EQ(w.drops("partition"), 4u);
}

TEST(WorldTest, NeighboursMeetOnTheirLanAndTheRouterTakesThemOut) {
  WorldPlan plan = PlainPlan();
  AddHost(plan, "server");
  for (const char* id : {"phone", "laptop"}) {
    HostPlan& h = plan.hosts.emplace_back();
    h.id = id, h.lan = "flat";
  }
  LanPlan& lan = plan.lans.emplace_back();
  lan.id = "flat", lan.delay = 2ms;
  lan.router = UplinkPlan{.link = FindLinkPreset("cable")->spec(), .nat = {{Nat("port-restricted")}}};
  PuppetWorld w(plan);
  w.StartAll();
  const Instant start = w.world->now();
  w.Send("phone", w.world->local_address(2).with_port(4000), "neighbour", 1);  // No router between them.
  w.Send("phone", w.world->public_address(0).with_port(4000), "out");
  w.Run(1s);
  ASSERT_NE(w.Last("laptop"), nullptr);
  EXPECT_EQ((w.Last("laptop")->at - start) / 1ms, 4);
  EXPECT_EQ(w.Last("laptop")->from.host(), w.world->local_address(1).host());
  ASSERT_NE(w.Last("server"), nullptr);
  EXPECT_EQ(w.Last("server")->from.host(), w.world->public_address(1).host());
  EXPECT_EQ(w.world->public_address(1), w.world->public_address(2));
  w.Send("server", w.Last("server")->from, "back");
  w.Run(1s);
  EXPECT_EQ(w.Texts("phone"), std::vector<std::string>{"back"});
  EXPECT_TRUE(w.world->NatRemap("flat", 1'000'000, false));
  EXPECT_TRUE(w.world->NatRemap("phone", 1'000'000, false));
  World::LinkChange down;
  down.up = false;
  EXPECT_TRUE(w.world->ChangeLink("flat/router", down));
  w.Send("phone", w.world->local_address(2).with_port(4000), "still here");
  w.Send("phone", w.world->public_address(0).with_port(4000), "cut off");
  w.Run(1s);
  EXPECT_EQ(w.Texts("laptop").back(), "still here");
  EXPECT_EQ(w.Texts("server").size(), 1u);
  EXPECT_EQ(w.last_drop_where, "flat");
}

TEST(WorldTest, WithoutARouterALanIsAnIslandAndWithAPlainOneItIsPublic) {
  for (bool router : {false, true}) {
    WorldPlan plan = PlainPlan();
    AddHost(plan, "server");
    HostPlan& h = plan.hosts.emplace_back();
    h.id = "member", h.lan = "lan";
    LanPlan& lan = plan.lans.emplace_back();
    lan.id = "lan";
    if (router) lan.router = UplinkPlan{.link = FindLinkPreset("fiber")->spec()};
    PuppetWorld w(plan);
    w.StartAll();
    w.Send("member", w.world->public_address(0).with_port(4000), "x");
    w.Run(1s);
    EXPECT_EQ(w.Texts("server").size(), router ? 1u : 0u);
    EXPECT_EQ(w.world->public_address(1) == Endpoint{}, !router);
    if (!router) continue;
    EXPECT_EQ(w.world->public_address(1), w.world->local_address(1));
    w.Send("server", w.world->public_address(1).with_port(4000), "unasked");
    w.Run(1s);
    EXPECT_EQ(w.Texts("member"), std::vector<std::string>{"unasked"});
  }
}

TEST(WorldTest, TheFirstUplinkThatIsUpCarriesTheDefaultRoute) {
  WorldPlan plan = PlainPlan();
  AddHost(plan, "server");
  HostPlan& h = AddHost(plan, "laptop");
  h.uplinks = {{.name = "wifi", .link = FindLinkPreset("cable")->spec(), .nat = {{Nat("port-restricted")}}},
               {.name = "cell", .link = FindLinkPreset("lte")->spec(), .nat = {{Nat("cgn"), "telco"}}, .up = false}};
  h.uplinks[1].link.loss_ppm = 0;
  PuppetWorld w(plan);
  w.StartAll();
  auto seen = [&] {
    w.Send("laptop", w.world->public_address(0).with_port(4000), "x");
    w.Run(1s);
    return w.heard.back().from.host();
  };
  const std::string home = seen();
  World::LinkChange down, up;
  down.up = false, up.up = true;
  uint64_t off = w.world->PushLinkChange("laptop/wifi", down);
  w.world->ChangeLink("laptop/cell", up);
  w.Run(1ms);
  ASSERT_EQ(w.interfaces.size(), 1u);  // Both changes at once.
  EXPECT_EQ(w.interfaces[0].size(), 1u);
  const std::string away = seen();
  EXPECT_NE(away, home);
  w.world->PopLinkChange(off);
  EXPECT_EQ(seen(), home);
  EXPECT_TRUE(w.world->Renumber("laptop/wifi"));
  w.Run(1ms);
  EXPECT_EQ(w.interfaces.size(), 3u);
  EXPECT_EQ(seen(), home);  // The box's address is what it was.
}

TEST(WorldTest, AddressesComeFromNamesAlone) {
  WorldPlan small = PlainPlan(), large = PlainPlan();
  AddHost(large, "newcomer", {{Nat("cgn"), "telco"}});
  for (WorldPlan* p : {&small, &large}) {
    for (int i = 0; i < 300; ++i) AddHost(*p, "h" + std::to_string(i), i % 2 ? std::vector<NatRef>{{Nat("cgn"), "telco"}} : std::vector<NatRef>{});
  }
  std::map<std::string, std::string> first;
  {
    PuppetWorld w(small);
    for (HostIndex h = 0; h < 300; ++h) {
      EXPECT_FALSE(IsBogon(w.world->public_address(h).v4()));
      first[w.world->plan(h).id] = w.world->local_address(h).host() + w.world->public_address(h).host();
    }
  }
  PuppetWorld w(large);
  for (HostIndex h = 1; h <= 300; ++h) {
    EXPECT_EQ(first[w.world->plan(h).id], w.world->local_address(h).host() + w.world->public_address(h).host());
  }
  for (uint32_t bogon : {0x0a000001u, 0x64400001u, 0x7f000001u, 0xa9fe0101u, 0xac1f0001u, 0xc0a80101u, 0xe0000001u, 0x00000001u, 0xc6130001u}) {
    EXPECT_TRUE(IsBogon(bogon));
  }
  EXPECT_FALSE(IsBogon(0x08080808));
}

TEST(WorldTest, HostsResolveEachOthersNames) {
  Pair w;
  w.world->Call(0, OpId{99}, "resolve", "b");
  w.Run(19ms);
  EXPECT_EQ(w.last_resolved, "");
  w.Run(1s);
  EXPECT_EQ(w.last_resolved, ToHex(Bytes(w.b.ip).subspan(12)));
  w.world->Call(0, OpId{100}, "resolve", "nobody");
  w.Run(1s);
  EXPECT_TRUE(w.resolve_failed);
}

}  // namespace
}  // namespace orchard::sim
