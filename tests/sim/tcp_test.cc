// TCP in the simulated world: ns-3's own, over our links, boxes and faults.

#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "tests/sim/stream_world.h"

namespace orchard::sim {
namespace {

constexpr uint64_t kMega = 1'000'000;
// As sim/world/tcp_end.h has it: what a reader that reads nothing is sent.
constexpr uint64_t kBufferFirst = 1 << 20;

// A server and a client with these rates and delays; no latency but the links'.
WorldPlan Pair(int64_t bps, Duration one_way, Duration queue = 100ms) {
  WorldPlan plan;
  plan.latency_default = {};
  for (const char* id : {"server", "client"}) {
    HostPlan& h = AddHost(plan, id);
    h.uplinks[0].link.down_bps = h.uplinks[0].link.up_bps = bps;
    h.uplinks[0].link.delay = one_way / 2, h.uplinks[0].link.queue = queue;
  }
  return plan;
}

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

TEST(TcpTest, RefusesWithinARoundTripWhereNobodyListens) {
  // With a stack (the host listens elsewhere), without one, and after the process has stopped.
  for (int kind = 0; kind < 3; ++kind) {
    StreamWorld w(Pair(100'000'000, 10ms));
    w.sides["server"].listen = kind != 1;
    w.StartAll();
    w.Run(1ms);
    if (kind == 2) w.world->Stop(w.Index("server"));
    w.Connect("client", kind == 0 ? w.at("server").with_port(81) : w.at("server"));
    w.Run(21ms);
    EXPECT_TRUE(w.stream("client").closed) << kind;
    EXPECT_EQ(w.stream("client").status, absl::StatusCode::kUnavailable);
  }
}

TEST(TcpTest, AHalfThatIsClosedLeavesTheOtherOpen) {
  for (uint32_t loss : {0u, 20'000u}) {
    WorldPlan plan = Pair(10'000'000, 10ms);
    plan.hosts[1].uplinks[0].link.loss_ppm = loss;
    StreamWorld w(std::move(plan));
    w.sides["server"].end_after = false;
    w.StartAll();
    w.Run(1ms);
    for (uint32_t s = 1; s <= 20; ++s) {
      w.Connect("client", w.at("server"), s, 3000);  // Asks, and ends its half.
      ASSERT_TRUE(w.Until([&] { return w.sides["server"].accepted(s).ended; }, 60s));
      EXPECT_EQ(w.sides["server"].accepted(s).got, 3000u);
      EXPECT_FALSE(w.stream("client", s).ended);
      w.Do("server", "write", absl::StrCat(kAccepted | s, " 200000"));
      w.Do("server", "end", absl::StrCat(kAccepted | s));
      ASSERT_TRUE(w.Until([&] { return w.stream("client", s).closed; }, 60s)) << s;
      EXPECT_EQ(w.stream("client", s).got, 200'000u);
      EXPECT_EQ(w.stream("client", s).status, absl::StatusCode::kOk);
      EXPECT_FALSE(w.stream("client", s).broken);
      EXPECT_EQ(w.sides["server"].accepted(s).status, absl::StatusCode::kOk);
    }
  }
}

TEST(TcpTest, EveryStreamEndsWholeOnABadLink) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    WorldPlan plan = Pair(10'000'000, 10ms);
    plan.seed = seed;
    StreamWorld w(std::move(plan));
    World::LinkChange bad;
    bad.loss_ppm = 100'000, bad.reorder_ppm = 50'000, bad.duplicate_ppm = 50'000, bad.corrupt_ppm = 10'000;
    w.world->PushLinkChange("client", bad);
    w.StartAll();
    w.Run(1ms);
    const uint64_t sizes[] = {0, 1, 1448, 1449, 5000, 40'000};
    uint32_t s = 0;
    for (uint64_t up : sizes) {
      for (uint64_t down : sizes) {
        w.sides["server"].serve = down;
        w.Connect("client", w.at("server"), ++s, up);
        w.Run(200ms);
      }
    }
    auto all = [](const StreamSide& side, auto p) {
      return std::all_of(side.streams.begin(), side.streams.end(), [&](const auto& v) { return p(v.second); });
    };
    for (const char* id : {"client", "server"}) {
      EXPECT_TRUE(w.Until([&] { return all(w.sides[id], [](const StreamView& v) { return v.closed; }); }, 200s)) << id << seed;
      EXPECT_TRUE(all(w.sides[id], [](const StreamView& v) { return v.status == absl::StatusCode::kOk && v.ended && !v.broken; })) << id << seed;
    }
    for (const auto& [id, c] : w.sides["client"].streams) {
      const auto& theirs = w.sides["server"].streams;
      auto it = std::find_if(theirs.begin(), theirs.end(), [&c = c](const auto& v) { return v.second.peer == c.local; });
      ASSERT_NE(it, theirs.end()) << id;
      EXPECT_EQ(c.got, it->second.written);
      EXPECT_EQ(it->second.got, c.written);
    }
  }
}

TEST(TcpTest, AHalfStaysClosedThoughItsAcknowledgmentIsLost) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 10, true);
  w.Run(1s);
  const uint64_t ticket = w.world->PartitionOneWay({0}, {1});
  w.Do("client", "end", "1");
  w.Run(100ms);
  w.world->Heal(ticket);
  w.Run(2000s);
  EXPECT_TRUE(w.sides["server"].accepted().ended);
  w.Do("server", "write", absl::StrCat(kAccepted | 1, " 100"));
  w.Run(1s);
  EXPECT_EQ(w.stream("client").got, 100u);
}

TEST(TcpTest, AFinAcknowledgesDataToo) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 10, true);
  w.Run(100ms);
  w.Do("client", "write", "1 10");
  w.Run(11ms);  // It is there, and its ACK is put off.
  w.Do("server", "end", absl::StrCat(kAccepted | 1));
  w.Run(3s);
  EXPECT_TRUE(w.stream("client").ended);
  EXPECT_EQ(w.world->packets_sent(1), 5u);  // SYN, its ACK, two of data, the FIN's ACK; none twice.
}

TEST(TcpTest, AReaderThatStopsAndGoesOnABadLinkGetsItAll) {
  WorldPlan plan = Pair(50'000'000, 5ms);
  StreamWorld w(std::move(plan));
  World::LinkChange bad;
  bad.loss_ppm = 30'000;
  w.world->PushLinkChange("client", bad);
  w.sides["client"].accept = 0;
  w.sides["server"].serve = 6 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"));
  for (int i = 0; i < 10; ++i) {
    w.Run(8s);  // Until the window is shut.
    w.Do("client", "accept", "1 600000");
  }
  EXPECT_TRUE(w.Until([&] { return w.stream("client").ended; }, 120s));
  EXPECT_EQ(w.stream("client").got, 6 * kMega);
  EXPECT_FALSE(w.stream("client").broken);
}

TEST(TcpTest, AServerMaySpeakFirstThoughHandshakesAreLost) {
  WorldPlan plan = Pair(10'000'000, 10ms);
  plan.hosts[1].uplinks[0].link.loss_ppm = 150'000;
  StreamWorld w(std::move(plan));
  w.sides["server"].serve = 100, w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  for (uint32_t s = 1; s <= 150; ++s) w.Connect("client", w.at("server"), s, 0, true);
  // With 15 % of packets lost, a hundred and fifty of them need some retries, but none of them a dozen.
  EXPECT_TRUE(w.Until([&] {
    const auto& all = w.sides["client"].streams;
    return std::all_of(all.begin(), all.end(), [](const auto& v) { return v.second.got == 100; });
  }, 29s));
}

TEST(TcpTest, AGoodbyeToAHostThatIsGoneIsSaidAFewTimes) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 10, true);
  w.Run(1s);
  w.world->Kill(w.Index("server"));
  w.Do("client", "end", "1");
  const uint64_t sent = w.world->packets_sent(1);
  w.Run(2000s);
  EXPECT_EQ(w.stream("client").status, absl::StatusCode::kDeadlineExceeded);
  EXPECT_GT(w.world->packets_sent(1) - sent, 10u);
  EXPECT_LT(w.world->packets_sent(1) - sent, 20u);
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

TEST(TcpTest, AKilledHostVanishesAndAStoppedOneSaysSo) {
  for (bool stop : {false, true}) {
    StreamWorld w(Pair(100'000'000, 10ms));
    w.StartAll();
    w.sides["server"].end_after = false;
    w.Run(1ms);
    w.Connect("client", w.at("server"), 1, 10, true);
    w.Run(1s);
    ASSERT_TRUE(w.stream("client").open);
    if (stop) w.world->Stop(w.Index("server"));
    else w.world->Kill(w.Index("server"));
    w.Run(100ms);
    EXPECT_EQ(w.stream("client").closed, stop);
    if (stop) {
      EXPECT_EQ(w.stream("client").status, absl::StatusCode::kAborted);
      continue;
    }
    // It writes into the dark, until another life at that address knows nothing of it.
    w.Do("client", "write", "1 100");
    w.Run(10s);
    EXPECT_FALSE(w.stream("client").closed);
    w.world->StartHost(w.Index("server"));
    EXPECT_TRUE(w.Until([&] { return w.stream("client").closed; }, 30s));
    EXPECT_EQ(w.stream("client").status, absl::StatusCode::kAborted);
  }
}

TEST(TcpTest, GivesUpAQuarterOfAnHourAfterThePeerHasVanished) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 10, true);
  w.Run(1s);
  w.world->Kill(w.Index("server"));
  w.Do("client", "write", "1 100");
  w.Run(400s);
  EXPECT_FALSE(w.stream("client").closed);
  w.Run(800s);
  EXPECT_EQ(w.stream("client").status, absl::StatusCode::kDeadlineExceeded);
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

TEST(TcpTest, AReaderThatReadsNothingHoldsTheWriterAndThenLetsItGo) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["client"].accept = 0;
  w.sides["server"].serve = 20 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"));
  w.Run(30s);
  const uint64_t held = w.sides["server"].accepted().written;
  EXPECT_GT(held, kBufferFirst);
  EXPECT_LT(held, 4 * kBufferFirst);
  const uint64_t events = w.world->totals().events;
  w.Run(100s);
  EXPECT_EQ(w.sides["server"].accepted().written, held);
  EXPECT_LT(w.world->totals().events - events, 200u);  // A probe now and then.
  EXPECT_EQ(w.stream("client").got, 0u);
  w.Do("client", "accept", "1 1000");
  w.Run(1s);
  EXPECT_EQ(w.stream("client").got, 1000u);
  w.sides["client"].accept = 1u << 30;
  w.Do("client", "accept", absl::StrCat("1 ", 1u << 30));
  EXPECT_TRUE(w.Until([&] { return w.stream("client").got == 20 * kMega; }, 5s));
  EXPECT_FALSE(w.stream("client").broken);
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

// ---- LANs ----

// The table of the scenario language's page: a LAN whose members have ways out of their own.
WorldPlan Table() {
  WorldPlan plan = PlainPlan();
  LanPlan& lan = plan.lans.emplace_back();
  lan.id = "table", lan.rate_bps = 300'000'000, lan.delay = 2ms;
  for (const char* id : {"server-a", "server-b", "server-c"}) AddHost(plan, id, {{Nat("port-restricted")}}, "dsl").lan = "table";
  AddHost(plan, "server-far");
  return plan;
}

Endpoint OnLan(StreamWorld& w, std::string_view host) {
  Endpoint e{};
  for (const Interface& i : w.world->interfaces(w.Index(host))) e = i.address;  // The LAN is the last.
  return e.with_port(80);
}

TEST(TcpTest, MembersOfATableTalkOverItAndToTheWorldByTheirOwnWay) {
  StreamWorld w(Table());
  for (auto& [id, side] : w.sides) side.serve = 8 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("server-a", OnLan(w, "server-b"), 1);
  ASSERT_TRUE(w.Until([&] { return w.stream("server-a").closed; }, 5s));
  const StreamView& v = w.stream("server-a");
  EXPECT_EQ(v.got, 8 * kMega);
  EXPECT_EQ(v.local.ip, OnLan(w, "server-a").ip);
  EXPECT_GT(Mbps(v.got, v.last - v.first), 300 * kShare * 0.8);
  EXPECT_LT(Mbps(v.got, v.last - v.first), 300);
  w.Connect("server-a", w.at("server-far"), 2);
  ASSERT_TRUE(w.Until([&] { return w.stream("server-a", 2).closed; }, 20s));
  const StreamView& far = w.stream("server-a", 2);
  EXPECT_LT(Mbps(far.got, far.last - far.first), 50);  // Its DSL.
  EXPECT_EQ(w.sides["server-far"].accepted().peer.ip, w.world->public_address(0).ip);
}

TEST(TcpTest, AHouseholdSharesItsRouter) {
  WorldPlan plan = PlainPlan();
  LanPlan& lan = plan.lans.emplace_back();
  lan.id = "home", lan.router = UplinkPlan{.link = FindLinkPreset("dsl")->spec(), .nat = {{Nat("symmetric")}}};
  for (const char* id : {"a", "b"}) AddHost(plan, id).uplinks.clear(), plan.hosts.back().lan = "home";
  AddHost(plan, "server");
  StreamWorld w(std::move(plan));
  w.sides["server"].serve = 10 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("a", w.at("server")), w.Connect("b", w.at("server"));
  ASSERT_TRUE(w.Until([&] { return w.stream("a").closed && w.stream("b").closed; }, 30s));
  EXPECT_EQ(w.stream("a").got + w.stream("b").got, 20 * kMega);
  const Instant last = std::max(w.stream("a").last, w.stream("b").last);
  EXPECT_LT(Mbps(20 * kMega, last - w.stream("a").first), 50);
}

// ---- One run, one fingerprint ----

std::string Busy(std::optional<Stack> stack, std::string_view scheduler, uint64_t seed, bool pieces = false) {
  WorldPlan plan = Table();
  plan.seed = seed, plan.loss_ppm = 5000, plan.jitter = 1ms;
  plan.stack = stack, plan.scheduler = scheduler;
  for (HostPlan& h : plan.hosts) h.uplinks[0].link.loss_ppm = 3000;
  AddHost(plan, "cg", {{Nat("port-restricted")}, {Nat("cgn"), "telco"}}, "lte").firewall = Firewall::kStateful;
  StreamWorld w(std::move(plan));
  for (auto& [id, side] : w.sides) side.serve = 2 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("server-a", OnLan(w, "server-b"), 1, 100'000), w.Connect("server-c", w.at("server-far"), 1, 300'000);
  w.Connect("cg", w.at("server-far"), 1, 50'000), w.Connect("server-far", w.at("server-a"), 1);
  World::LinkChange bad;
  bad.reorder_ppm = 50'000, bad.duplicate_ppm = 50'000, bad.corrupt_ppm = 20'000;
  w.world->At(Instant(500ms), [&] { w.world->PushLinkChange("server-far", bad); });
  w.world->At(Instant(2s), [&] { w.world->Kill(1), w.world->NatReboot("cg", 10ms, false); });
  w.world->At(Instant(4s), [&] { w.world->StartHost(1), w.world->Stop(2); });
  for (int i = 0; pieces && i < 500; ++i) w.Run(11ms + Duration(i));
  w.world->RunUntil(Instant(20s));
  EXPECT_GT(w.stream("cg").got + w.stream("server-c").got, 100'000u);
  return absl::StrCat(w.world->fingerprint(), " ", w.world->totals().packets, " ", w.stream("server-c").got, " ", w.stream("cg").got, " ",
                      absl::StrJoin(w.world->checkpoints(), ","));
}

TEST(TcpTest, EveryWayOfRunningItGivesOneFingerprint) {
  const std::string first = Busy(std::nullopt, "", 1);
  EXPECT_EQ(Busy(std::nullopt, "", 1), first);
  EXPECT_EQ(Busy(std::nullopt, "", 1, true), first) << "in pieces";
  EXPECT_EQ(Busy(Stack::kFull, "", 1), first) << "full stack";
  EXPECT_EQ(Busy(std::nullopt, "ns3::MapScheduler", 1), first);
  EXPECT_EQ(Busy(std::nullopt, "ns3::HeapScheduler", 1), first);
  EXPECT_NE(Busy(std::nullopt, "", 2), first);
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
