// TCP on LANs and in households, and that a run with it has one fingerprint.

#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "tests/sim/stream_world.h"

namespace orchard::sim {
namespace {

// 1448 of 1500 bytes are data.
constexpr double kShare = 1448.0 / 1500;

double Mbps(uint64_t bytes, Duration d) { return double(bytes) * 8e3 / double(d.count()); }

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

TEST(TcpLanTest, MembersOfATableTalkOverItAndToTheWorldByTheirOwnWay) {
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

TEST(TcpLanTest, AHouseholdSharesItsRouter) {
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

TEST(TcpLanTest, EveryWayOfRunningItGivesOneFingerprint) {
  const std::string first = Busy(std::nullopt, "", 1);
  EXPECT_EQ(Busy(std::nullopt, "", 1), first);
  EXPECT_EQ(Busy(std::nullopt, "", 1, true), first) << "in pieces";
  EXPECT_EQ(Busy(Stack::kFull, "", 1), first) << "full stack";
  EXPECT_EQ(Busy(std::nullopt, "ns3::MapScheduler", 1), first);
  EXPECT_EQ(Busy(std::nullopt, "ns3::HeapScheduler", 1), first);
  EXPECT_NE(Busy(std::nullopt, "", 2), first);
}

}  // namespace
}  // namespace orchard::sim
