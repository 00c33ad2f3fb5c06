// Paths, links, cuts and delays of a world in the kernel.

#include <gmock/gmock.h>

#include "tests/netns/lab.h"

namespace orchard::sim {
namespace {

class NetTest : public KernelTest {};

// Round trips of small packets, the shortest of five.
Duration RoundTrip(const UdpEnd& a, const UdpEnd& b, Endpoint to) {
  Duration best = std::chrono::hours(1);
  for (int i = 0; i < 5; ++i) {
    const Instant from = host::BootNow();
    a.Send(to, "ping");
    std::optional<UdpEnd::Packet> p = b.Receive();
    if (!p) return best;
    b.Send(p->from, "pong");
    if (!a.Receive()) return best;
    best = std::min(best, host::BootNow() - from);
  }
  return best;
}

TEST_F(NetTest, APathHasAsManyRoutersAsInTheSimulator) {
  const NatRef home = Box(Preset("full-cone")), telco = Box(Preset("full-cone"), "telco");
  for (uint8_t hops : {12, 9}) {
    plan_.hops = hops;
    Build({Host("open"), Host("other"), Host("home", {home}), Host("deep", hops == 12 ? std::vector<NatRef>{home, telco} : std::vector<NatRef>{home})});
    for (HostIndex to : {0u, 1u}) {
      UdpEnd end = Open(to, 1000);
      for (HostIndex from : {0u, 1u, 2u, 3u}) {
        if (from == to) continue;
        UdpEnd begin = Open(from, 2000);
        begin.Send(Public(to, 1000), "out", 64);
        std::optional<UdpEnd::Packet> p = end.Receive();
        ASSERT_TRUE(p.has_value());
        EXPECT_EQ(p->ttl, 64 - hops) << from << " to " << to;
        end.Send(p->from, "back", 64);
        p = begin.Receive();
        ASSERT_TRUE(p.has_value());
        EXPECT_EQ(p->ttl, 64 - hops) << to << " to " << from;
        // An opening probe passes its own boxes and dies before the other's.
        begin.Send(Public(to, 1000), "opening", 5);
        begin.Send(Public(to, 1000), "last", hops + 1);
        p = end.Receive();
        ASSERT_TRUE(p.has_value());
        EXPECT_EQ(p->text, "last");
        begin.Send(Public(to, 1000), "one short", hops);
        EXPECT_FALSE(end.Receive(kSilenceMs).has_value());
      }
    }
    net_.reset();
  }
}

TEST_F(NetTest, AddressesAreThoseOfTheSimulator) {
  Build({Host("open"), Host("home", {Box(Preset("port-restricted"))}), Host("phone", {Box(Preset("cgn"), "telco")})});
  struct Idle final : Machine {
    void Handle(Turn&, const Input&) override {}
    Instant next_deadline() const override { return kNever; }
  };
  World world(plan_, [](const HostPlan&, uint32_t) { return std::make_unique<Idle>(); }, nullptr);
  for (HostIndex h = 0; h < 3; ++h) {
    EXPECT_EQ(world.public_address(h).v4(), net_->public_address(h));
    EXPECT_EQ(world.local_address(h).v4(), net_->local_address(h));
  }
}

TEST_F(NetTest, DelaysAreThoseOfTheRegionsAndTheLinks) {
  if (access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "delays need /dev/net/tun";
  plan_.latency[{"eu", "au"}] = 60ms;
  HostPlan far = Host("far", {}, "dsl");  // 15 ms.
  far.region = "au";
  Build({Host("near"), std::move(far), Host("twin")});
  UdpEnd a = Open(0, 1000), b = Open(1, 1000), c = Open(2, 1000);
  const Duration far_trip = RoundTrip(a, b, Public(1, 1000)), near_trip = RoundTrip(a, c, Public(2, 1000));
  // Never less than the plan's 2 × (0.2 + 60 + 15) and 2 × (0.2 + 2 + 0.2) ms.
  EXPECT_GE(far_trip, 150'400us);
  EXPECT_GE(near_trip, 4'800us);
  EXPECT_LT(near_trip, far_trip);
}

TEST_F(NetTest, ALinkThatIsDownComesBack) {
  Build({Host("a", {Box(Preset("port-restricted"))}), Host("b")});
  UdpEnd a = Open(0, 1000), b = Open(1, 1000);
  const uint64_t ticket = net_->PushLinkChange("a", {.up = false});
  ASSERT_NE(ticket, 0u);
  a.Send(Public(1, 1000), "unheard");
  EXPECT_FALSE(b.Receive(kSilenceMs).has_value());
  net_->PopLinkChange(ticket);
  a.Send(Public(1, 1000), "heard");
  EXPECT_TRUE(b.Hears("heard", kArrivalMs));
}

TEST_F(NetTest, ALinkHasTheRateAndTheQueueThatItsWordsSay) {
  HostPlan slow = Host("slow");
  slow.uplinks[0].link.up_bps = 1'000'000, slow.uplinks[0].link.queue = 50ms;
  Build({std::move(slow), Host("b")});
  UdpEnd a = Open(0, 1000), b = Open(1, 1000);
  const std::string packet(1222, 'x');  // 1,250 bytes with headers: 10 ms each.
  for (int i = 0; i < 30; ++i) a.Send(Public(1, 1000), packet);
  int arrived = 0;
  Instant first{}, last{};
  while (b.Receive(kSilenceMs).has_value()) {
    last = host::BootNow();
    if (arrived++ == 0) first = last;
  }
  // The bucket lets some through at once, five fit into the queue, the tail is lost.
  EXPECT_GE(arrived, 5);
  EXPECT_LE(arrived, 12);
  EXPECT_GE(last - first, 30ms);
}

TEST_F(NetTest, ALossyLinkLosesAboutThatShare) {
  HostPlan lossy = Host("lossy");
  lossy.uplinks[0].link.loss_ppm = 500'000;
  Build({std::move(lossy), Host("b")});
  UdpEnd a = Open(0, 1000), b = Open(1, 1000);
  for (int i = 0; i < 200; ++i) a.Send(Public(1, 1000), "x");
  int arrived = 0;
  while (b.Receive(kSilenceMs).has_value()) ++arrived;
  EXPECT_GT(arrived, 60);   // 100 ± 6 standard deviations.
  EXPECT_LT(arrived, 140);
}

TEST_F(NetTest, ACutKeepsGroupsApartUntilItHeals) {
  Build({Host("a"), Host("b"), Host("c", {Box(Preset("full-cone"))})});
  UdpEnd a = Open(0, 1000), b = Open(1, 1000), c = Open(2, 1000);
  const uint64_t cut = net_->Partition({{0}, {1, 2}});
  a.Send(Public(1, 1000), "across");
  c.Send(Public(1, 1000), "within");
  EXPECT_TRUE(b.Hears("within", kArrivalMs));
  EXPECT_FALSE(b.Receive(kSilenceMs).has_value());
  net_->Heal(cut);
  a.Send(Public(1, 1000), "healed");
  EXPECT_TRUE(b.Hears("healed", kArrivalMs));
  const uint64_t one_way = net_->PartitionOneWay({0}, {1});
  a.Send(Public(1, 1000), "lost");
  EXPECT_FALSE(b.Receive(kSilenceMs).has_value());
  b.Send(Public(0, 1000), "other way");
  EXPECT_TRUE(a.Hears("other way", kArrivalMs));
  net_->Heal(one_way);
}

TEST_F(NetTest, AHostThatMovesIsReachedAtItsNewAddressOnly) {
  Build({Host("a"), Host("b")});
  UdpEnd b = Open(1, 1000);
  const Endpoint old = Public(0, 1000);
  ASSERT_TRUE(net_->Renumber("a"));
  EXPECT_NE(old, Public(0, 1000));
  UdpEnd a = Open(0, 1000);
  b.Send(old, "old");
  b.Send(Public(0, 1000), "new");
  std::optional<UdpEnd::Packet> p = a.Receive();
  ASSERT_TRUE(p.has_value());
  EXPECT_EQ(p->text, "new");
}

TEST_F(NetTest, MembersOfAHouseholdMeetWithoutTheirRouter) {
  plan_.lans.push_back({.id = "flat", .router = UplinkPlan{.link = FindLinkPreset("cable")->spec(), .nat = {Box(Preset("port-restricted"))}}, .region = "eu"});
  HostPlan a{.id = "a", .region = "eu", .lan = "flat"}, b{.id = "b", .region = "eu", .lan = "flat"};
  Build({a, b, Host("out")});
  UdpEnd x = Open(0, 1000), y = Open(1, 1000), out = Open(2, 1000);
  x.Send(Endpoint::V4(net_->local_address(1), 1000), "near");
  std::optional<UdpEnd::Packet> p = y.Receive();
  ASSERT_TRUE(p.has_value());
  EXPECT_EQ(p->ttl, 64);
  y.Send(Public(2, 1000), "far");
  EXPECT_TRUE(out.Hears("far", kArrivalMs));
  EXPECT_EQ(net_->public_address(0), net_->public_address(1));
}

TEST_F(NetTest, AStatefulFirewallDropsWhatWasNotAskedFor) {
  HostPlan shy = Host("shy");
  shy.firewall = Firewall::kStateful;
  Build({std::move(shy), Host("b")});
  UdpEnd a = Open(0, 1000), b = Open(1, 1000);
  b.Send(Public(0, 1000), "uninvited");
  EXPECT_FALSE(a.Receive(kSilenceMs).has_value());
  a.Send(Public(1, 1000), "come");
  EXPECT_TRUE(b.Hears("come", kArrivalMs));
  b.Send(Public(0, 1000), "invited");
  EXPECT_TRUE(a.Hears("invited", kArrivalMs));
}

TEST_F(NetTest, WhatAHostSendsIsCountedAsTheSimulatorCountsIt) {
  Build({Host("a"), Host("b")});
  UdpEnd a = Open(0, 1000), b = Open(1, 1000);
  a.Send(Public(1, 1000), "warm up");  // Who has which address is asked once.
  ASSERT_TRUE(b.Receive().has_value());
  const KernelNet::Sent before = net_->sent(0);
  a.Send(Public(1, 1000), std::string(100, 'x'));
  ASSERT_TRUE(b.Receive().has_value());
  EXPECT_EQ(net_->sent(0).packets, before.packets + 1);
  EXPECT_EQ(net_->sent(0).bytes, before.bytes + 128);
}

}  // namespace
}  // namespace orchard::sim
