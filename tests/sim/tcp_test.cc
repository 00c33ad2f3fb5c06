// TCP in the simulated world: ns-3's own, over our links, boxes and faults.

#include <gtest/gtest.h>

#include "tests/sim/stream_world.h"

namespace orchard::sim {
namespace {

double Mbps(uint64_t bytes, Duration d) { return double(bytes) * 8e3 / double(d.count()); }

// What client fetches of `bytes` served.
struct Fetched {
  double mbps;        // From the first byte to the last.
  double late_mbps;   // Of the second half.
  uint64_t events;
};
Fetched Fetch(WorldPlan plan, uint64_t bytes, Duration bound = 120s) {
  StreamWorld w(std::move(plan));
  w.sides["server"].serve = bytes;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"));
  Instant half{};
  uint64_t half_got = 0;
  EXPECT_TRUE(w.Until([&] {
    StreamView& v = w.stream("client");
    if (half == Instant{} && v.got >= bytes / 2) half = v.last, half_got = v.got;
    return v.closed;
  }, bound));
  const StreamView& v = w.stream("client");
  EXPECT_EQ(v.got, bytes);
  EXPECT_FALSE(v.broken);
  EXPECT_EQ(v.status, absl::StatusCode::kOk);
  EXPECT_TRUE(w.Until([&] { return w.sides["server"].accepted().closed; }, 10s));
  EXPECT_EQ(w.sides["server"].accepted().status, absl::StatusCode::kOk);
  return {Mbps(bytes, v.last - v.first), Mbps(bytes - half_got, v.last - half), w.world->totals().events};
}

// 1448 of 1500 bytes are data.
constexpr double kShare = 1448.0 / 1500;

TEST(TcpTest, FillsACleanLinkAfterSlowStart) {
  const Fetched f = Fetch(Pair(100'000'000, 20ms), 50 * kMega);
  EXPECT_GT(f.late_mbps, 100 * kShare * 0.98);
  EXPECT_LE(f.late_mbps, 100 * kShare * 1.001);
}

TEST(TcpTest, FillsAGigabitOverATenthOfASecond) {
  const Fetched f = Fetch(Pair(1'000'000'000, 50ms), 100 * kMega);
  EXPECT_GT(f.late_mbps, 1000 * kShare * 0.98);
  EXPECT_LE(f.late_mbps, 1000 * kShare * 1.001);
}

TEST(TcpTest, LivesThroughLossAtAboutTheRateThatLossAllows) {
  WorldPlan plan = Pair(100'000'000, 20ms);
  plan.hosts[0].uplinks[0].link.loss_ppm = 10'000;
  const Fetched f = Fetch(std::move(plan), 10 * kMega, 300s);
  // Mathis et al. 1997: MSS/RTT · C/√p, C between 0.9 (every second segment acknowledged) and 1.3.
  const double mathis = 1448 * 8e-6 / 0.040 / 0.1;
  EXPECT_GT(f.mbps, 0.6 * mathis);
  EXPECT_LT(f.mbps, 1.5 * mathis);
}

TEST(TcpTest, SharesABottleneckAsRenoDoes) {
  // Two clients of one server whose uplink is the bottleneck; one is three times as far away.
  for (Duration far : {10ms, 50ms}) {
    WorldPlan plan = Pair(100'000'000, 10ms);
    plan.hosts[0].uplinks[0].link.up_bps = 10'000'000, plan.hosts[0].uplinks[0].link.queue = 50ms;
    AddHost(plan, "far").uplinks[0].link = plan.hosts[1].uplinks[0].link;
    plan.hosts[2].uplinks[0].link.delay = far;
    StreamWorld w(std::move(plan));
    w.sides["server"].serve = 1000 * kMega;
    w.StartAll();
    w.Run(1ms);
    w.Connect("client", w.at("server")), w.Connect("far", w.at("server"));
    w.Run(30s);
    const uint64_t near_got = w.stream("client").got, far_got = w.stream("far").got;
    EXPECT_GT(Mbps(near_got + far_got, 30s), 10 * kShare * 0.93);
    const double ratio = double(near_got) / double(far_got);
    if (far == 10ms) {
      EXPECT_LT(std::max(ratio, 1 / ratio), 1.6);
    } else {
      EXPECT_GT(ratio, 1.2);  // The nearer one wins, by at most the square of the ratio of the round trips.
      EXPECT_LT(ratio, 9);
    }
  }
}

TEST(TcpTest, GoesThroughNatsOfAllKindsFromInside) {
  const std::vector<std::vector<NatRef>> chains = {{{Nat("full-cone")}}, {{Nat("port-restricted")}}, {{Nat("symmetric")}}, {{Nat("udp-blocked")}},
                                                   {{Nat("port-restricted")}, {Nat("cgn"), "telco"}}};
  for (const auto& chain : chains) {
    WorldPlan plan = Pair(100'000'000, 10ms);
    plan.hosts[1].uplinks[0].nat = chain;
    StreamWorld w(std::move(plan));
    w.sides["server"].serve = 300'000;
    w.StartAll();
    w.Run(1ms);
    w.Connect("client", w.at("server"), 1, 200'000);
    EXPECT_TRUE(w.Until([&] { return w.stream("client").closed && w.sides["server"].accepted().closed; }, 10s));
    const StreamView &c = w.stream("client"), &s = w.sides["server"].accepted();
    EXPECT_EQ(c.got, 300'000u);
    EXPECT_EQ(s.got, 200'000u);
    EXPECT_FALSE(c.broken || s.broken);
    EXPECT_EQ(s.peer.ip, w.world->public_address(1).ip);
    EXPECT_EQ(c.local.ip, w.world->local_address(1).ip);
  }
}

TEST(TcpTest, ANatForgetsAnIdleConnectionAfterTwoHours) {
  WorldPlan plan = Pair(100'000'000, 10ms);
  plan.hosts[1].uplinks[0].nat = {{Nat("port-restricted")}};
  StreamWorld w(std::move(plan));
  w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 10, true);
  w.Run(2s);
  EXPECT_EQ(w.world->boxes()[0].mappings, 1u);
  w.Run(7000s);  // Less than 2 h 4 min.
  w.Do("client", "write", "1 100");
  w.Run(2s);
  EXPECT_EQ(w.sides["server"].accepted().got, 110u);
  w.Run(7500s);  // More.
  w.Do("server", "write", absl::StrCat(kAccepted | 1, " 100"));
  w.Run(5s);
  EXPECT_EQ(w.stream("client").got, 0u);
  EXPECT_GT(w.dropped["nat-unmapped"], 0u);
}

TEST(TcpTest, WhoIsBehindANatOrAFirewallCannotBeReachedUnasked) {
  for (bool nat : {false, true}) {
    WorldPlan plan = Pair(100'000'000, 10ms);
    if (nat) plan.hosts[0].uplinks[0].nat = {{Nat("port-restricted")}};
    else plan.hosts[0].firewall = Firewall::kStateful;
    StreamWorld w(std::move(plan));
    w.StartAll();
    w.Run(1ms);
    w.Connect("client", w.at("server"));
    w.Run(29s);
    EXPECT_FALSE(w.stream("client").closed);
    w.Run(2s);
    EXPECT_EQ(w.stream("client").status, absl::StatusCode::kDeadlineExceeded);
    EXPECT_GT(w.dropped[nat ? "nat-unmapped" : "firewall"], 3u);
  }
}

TEST(TcpTest, AFirewallLetsInWhatWasAskedFor) {
  WorldPlan plan = Pair(100'000'000, 10ms);
  plan.hosts[1].firewall = Firewall::kStateful;
  EXPECT_GT(Fetch(std::move(plan), 2 * kMega).mbps, 10);
}

TEST(TcpTest, AConnectionThroughABoxThatRebootsIsLostAndAnotherIsNot) {
  WorldPlan plan = Pair(20'000'000, 10ms);
  plan.hosts[1].uplinks[0].nat = {{Nat(Dependence::kEndpointIndependent, Dependence::kAddressAndPortDependent, PortChoice::kRandom)}};
  StreamWorld w(std::move(plan));
  w.sides["server"].serve = 10 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 0, true);
  w.Run(1s);
  ASSERT_TRUE(w.world->NatReboot("client", 100ms, true));
  w.Run(200ms);
  w.Do("client", "write", "1 1");  // From another address: the server knows nobody there.
  EXPECT_TRUE(w.Until([&] { return w.stream("client").closed; }, 5s));
  EXPECT_EQ(w.stream("client").status, absl::StatusCode::kAborted);
  w.Connect("client", w.at("server"), 2);
  EXPECT_TRUE(w.Until([&] { return w.stream("client", 2).closed; }, 20s));
  EXPECT_EQ(w.stream("client", 2).got, 10 * kMega);
}

TEST(TcpTest, AConnectionOutlivesALinkThatIsDownForSevenSeconds) {
  StreamWorld w(Pair(20'000'000, 20ms));
  w.sides["server"].serve = 40 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"));
  w.Run(3s);
  World::LinkChange down;
  down.up = false;
  const uint64_t ticket = w.world->PushLinkChange("client", down);
  const uint64_t before = w.stream("client").got;
  w.Run(7s);
  EXPECT_EQ(w.stream("client").got, before);
  w.world->PopLinkChange(ticket);
  // The timer has backed off: 0.2 s, doubled until past 7 s; it fires by 12.6 s.
  EXPECT_TRUE(w.Until([&] { return w.stream("client").got > before; }, 6s));
  EXPECT_TRUE(w.Until([&] { return w.stream("client").closed; }, 60s));
  EXPECT_EQ(w.stream("client").got, 40 * kMega);
  EXPECT_FALSE(w.stream("client").broken);
}

TEST(TcpTest, ALinkThatCutsTcpStopsItAlone) {
  StreamWorld w(Pair(20'000'000, 20ms));
  w.sides["server"].serve = 40 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"));
  w.Run(3s);
  for (uint8_t protocol : {uint8_t{17}, uint8_t{6}}) {
    World::LinkChange cut;
    cut.cuts = protocol;
    const uint64_t ticket = w.world->PushLinkChange("client", cut);
    w.Run(500ms);  // What was on its way arrives.
    const uint64_t before = w.stream("client").got;
    w.Run(2s);
    EXPECT_EQ(w.stream("client").got == before, protocol == 6);
    w.world->PopLinkChange(ticket);
  }
  EXPECT_TRUE(w.Until([&] { return w.stream("client").closed; }, 60s));
  EXPECT_EQ(w.stream("client").got, 40 * kMega);
}

WorldPlan Crowd(int n) {
  WorldPlan plan = PlainPlan();
  AddHost(plan, "server");
  for (int i = 0; i < n; ++i) AddHost(plan, absl::StrCat("peer-", i), {}, "cable");
  return plan;
}

TEST(TcpTest, ServesTwoHundredHostsAtOnce) {
  StreamWorld w(Crowd(200));
  w.sides["server"].serve = 300'000;
  w.StartAll();
  w.Run(1ms);
  for (int i = 0; i < 200; ++i) w.Connect(absl::StrCat("peer-", i), w.at("server"), 1, 1000);
  EXPECT_TRUE(w.Until([&] {
    for (int i = 0; i < 200; ++i) {
      if (!w.stream(absl::StrCat("peer-", i)).closed) return false;
    }
    return true;
  }, 30s));
  for (int i = 0; i < 200; ++i) {
    const StreamView& v = w.stream(absl::StrCat("peer-", i));
    EXPECT_EQ(v.got, 300'000u);
    EXPECT_EQ(v.status, absl::StatusCode::kOk);
    EXPECT_FALSE(v.broken);
  }
}

TEST(TcpTest, ReachesItsOwnComputer) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["server"].serve = kMega;
  w.StartAll();
  w.Run(1ms);
  for (Endpoint to : {Endpoint::V4(0x7f000001, 80), w.world->local_address(0).with_port(80)}) {
    w.sides["server"].streams.clear();
    const uint32_t s = 10 + to.ip[15];
    w.Connect("server", to, s, 5);
    EXPECT_TRUE(w.Until([&] { return w.stream("server", s).closed; }, 10s));
    EXPECT_EQ(w.stream("server", s).got, kMega);
  }
}

TEST(TcpTest, PartitionsCutItAndItGoesOnWhenTheyHeal) {
  StreamWorld w(Pair(20'000'000, 10ms));
  w.sides["server"].serve = 10 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"));
  w.Run(1s);
  const uint64_t ticket = w.world->Partition({{0}, {1}});
  w.Run(100ms);
  const uint64_t got = w.stream("client").got;
  w.Run(3s);
  EXPECT_EQ(w.stream("client").got, got);
  w.world->Heal(ticket);
  EXPECT_TRUE(w.Until([&] { return w.stream("client").closed; }, 30s));
  EXPECT_EQ(w.stream("client").got, 10 * kMega);
  EXPECT_GT(w.dropped["partition"], 0u);
}

TEST(TcpTest, LeavesByTheUplinkThatUdpWouldLeaveBy) {
  WorldPlan plan = Pair(100'000'000, 10ms);
  plan.hosts[1].uplinks[0].name = "wifi";
  plan.hosts[1].uplinks.push_back({.name = "cell", .link = FindLinkPreset("lte")->spec()});
  StreamWorld w(std::move(plan));
  w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 10, true);
  w.Run(1s);
  World::LinkChange down;
  down.up = false;
  w.world->PushLinkChange("client/wifi", down);
  w.Connect("client", w.at("server"), 2, 10, true);
  w.Run(2s);
  ASSERT_TRUE(w.stream("client", 2).open);
  EXPECT_NE(w.stream("client", 1).local.ip, w.stream("client", 2).local.ip);
  EXPECT_EQ(w.sides["server"].accepted(2).peer.ip, w.world->public_address(1).ip);
}

TEST(TcpTest, AHostThatUsesNoTcpHasNoStack) {
  StreamWorld w(Crowd(20));
  w.sides["server"].serve = 1000;
  w.StartAll();
  w.Run(1ms);
  EXPECT_EQ(w.world->stacks(), 1u);  // The server's.
  w.Connect("peer-0", w.at("server")), w.Connect("peer-1", w.at("server").with_port(9));
  w.Connect("server", w.world->public_address(w.Index("peer-2")).with_port(80), 1);  // Refused without one.
  w.Run(5s);
  EXPECT_EQ(w.stream("server").status, absl::StatusCode::kUnavailable);
  EXPECT_EQ(w.world->stacks(), 3u);
}

}  // namespace
}  // namespace orchard::sim
