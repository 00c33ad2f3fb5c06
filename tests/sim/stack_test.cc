// One run, one fingerprint: whatever the stack, the scheduler, or how often it is run.

#include <gtest/gtest.h>

#include <cstring>

#include "tests/sim/sim_world.h"

namespace orchard::sim {
namespace {

// Sends questions to random others every few milliseconds, some with a short TTL and some too long; answers what it hears;
// counts in its store and syncs now and then; opens and closes sockets.
class Talker final : public Machine {
 public:
  explicit Talker(const std::vector<Endpoint>* all) : all_(all) {}
  void Handle(Turn& t, const Input& input) override {
    if (std::holds_alternative<Start>(input)) t.out.OpenSocket(SocketId{1}, Endpoint::V4(0, 4000)), deadline_ = t.now + 1ms;
    if (std::holds_alternative<Stop>(input)) t.out.Stopped();
    if (const auto* d = std::get_if<Datagram>(&input)) {
      t.trace.Add(Note{ToNanos(t.now) > 0 ? d->payload.size() : 0, d->from.port});
      if (d->payload[0] == 'Q') {
        std::string answer = "A" + std::string(AsText(d->payload.subspan(1)));
        t.out.Send(d->socket, d->from, AsBytes(answer), Gate::kNone);
      } else if (d->payload[0] == 'A') {
        t.store.Put(AsBytes("n"), AsBytes(std::to_string(++answers_)));
        if (answers_ % 16 == 0) t.store.Sync();
        t.out.Send(d->socket, d->from, AsBytes("thanks"));
      }
    }
    if (std::holds_alternative<Deadline>(input)) {
      deadline_ = t.now + std::chrono::microseconds(500 + t.rng.Below(20'000));
      std::string text = "Q" + std::string(t.rng.Below(1500), 'q');
      const Endpoint& to = (*all_)[t.rng.Below(all_->size())];
      const uint8_t ttl = t.rng.Chance(1, 4) ? uint8_t(1 + t.rng.Below(16)) : 64;
      if (t.rng.Chance(1, 8)) {
        t.out.OpenSocket(SocketId{++sockets_}, Endpoint::V4(0, 0));
        t.out.Send(SocketId{sockets_}, to, AsBytes(text), Gate::kNone, ttl);
        if (sockets_ > 5) t.out.CloseSocket(SocketId{sockets_ - 3});
      } else {
        t.out.Send(SocketId{1}, to, AsBytes(text), Gate::kNone, ttl);
      }
    }
  }
  Instant next_deadline() const override { return deadline_; }

 private:
  struct Note {
    static constexpr std::string_view kName = "test.heard";
    uint64_t size, port;
    template <class V>
    void Fields(V&& v) const { v("size", size), v("port", port); }
  };
  const std::vector<Endpoint>* all_;
  Instant deadline_ = kNever;
  uint32_t sockets_ = 1, answers_ = 0;
};

enum class Shape { kPlain, kNats, kLans, kFaults };

WorldPlan Make(Shape shape, uint64_t seed) {
  WorldPlan plan;
  plan.seed = seed, plan.latency = *LatencyPreset("world-8"), plan.jitter_ppm = 50'000, plan.loss_ppm = 5'000;
  const char* regions[] = {"eu", "us-east", "asia"};
  const char* nats[] = {"full-cone", "restricted-cone", "port-restricted", "symmetric", "symmetric-preserving", "cgn"};
  const char* links[] = {"datacenter", "cable", "3g", "wifi"};
  for (int i = 0; i < 24; ++i) {
    std::vector<NatRef> chain;
    if (shape == Shape::kNats || shape == Shape::kFaults) {
      if (i % 4 != 0) chain.push_back({Nat(nats[i % 6]), ""});
      if (i % 5 == 0) chain.push_back({Nat("cgn"), "telco"});
    }
    HostPlan& h = AddHost(plan, "h" + std::to_string(i), chain, links[i % 4]);
    h.region = regions[i % 3];
    if (i % 4 == 2 || (shape == Shape::kLans && i == 8)) h.uplinks[0].link.up_bps = 300'000, h.uplinks[0].link.queue = 50ms;
    if (i % 7 == 0) h.firewall = Firewall::kStateful;
    if (shape != Shape::kLans) continue;
    h.lan = "lan" + std::to_string(i / 8);
    if (i % 8 != 0) h.uplinks.clear();
  }
  for (int i = 0; shape == Shape::kLans && i < 3; ++i) {
    LanPlan& lan = plan.lans.emplace_back();
    lan.id = "lan" + std::to_string(i), lan.region = "eu";
    if (i != 2) lan.router = UplinkPlan{.link = FindLinkPreset("dsl")->spec()};
    if (i == 0) lan.router->nat = {{Nat("port-restricted")}};
  }
  return plan;
}

struct Result {
  std::string fingerprint;
  std::vector<std::string> checkpoints;
  Totals totals;
  std::map<std::string, uint64_t> dropped;
};

Result RunIt(WorldPlan plan, Shape shape, bool in_pieces = false) {
  struct Watch : Observer {
    void OnDrop(const Drop& d) override { ++dropped[std::string(d.why)]; }
    std::map<std::string, uint64_t> dropped;
  } watch;
  std::vector<Endpoint> all;
  World w(std::move(plan), [&](const HostPlan&, uint32_t) { return std::make_unique<Talker>(&all); }, &watch);
  for (HostIndex h = 0; h < w.size(); ++h) {
    all.push_back(w.local_address(h).with_port(4000));
    if (w.public_address(h) != Endpoint{}) all.push_back(w.public_address(h).with_port(4000));
    w.At(Instant(Duration(h * 1'000'000)), [&w, h] { w.StartHost(h); });
  }
  if (shape == Shape::kFaults) {
    World::LinkChange bad;
    bad.loss_ppm = 200'000, bad.burst_mean = 4, bad.reorder_ppm = 50'000, bad.duplicate_ppm = 50'000, bad.corrupt_ppm = 50'000;
    w.At(Instant(500ms), [&w, bad] { w.PushLinkChange("h1", bad); });
    w.At(Instant(600ms), [&w] { w.Partition({{1, 2, 3}, {4, 5, 6}}); });
    w.At(Instant(700ms), [&w] { w.Kill(8), w.NatReboot("cgn@telco", 100ms, true), w.NatRemap("h2", 1'000'000, false); });
    w.At(Instant(900ms), [&w] { w.StartHost(8, World::Keep::kTorn), w.Clock(9, 5s, 1000), w.Renumber("h12"), w.Stop(3); });
    World::LinkChange down;
    down.up = false;
    w.At(Instant(1100ms), [&w, down] { w.PushLinkChange("h4", down); });
    w.At(Instant(1300ms), [&w] { w.PopLinkChange(2); });
  }
  if (in_pieces) {
    for (int i = 1; i < 300; ++i) w.RunUntil(Instant(i * 7ms + Duration(i)));
  }
  w.RunUntil(Instant(3s));
  return {w.fingerprint(), w.checkpoints(), w.totals(), watch.dropped};
}

class StackTest : public testing::TestWithParam<Shape> {};

TEST_P(StackTest, EveryWayOfRunningItGivesOneFingerprint) {
  const Result first = RunIt(Make(GetParam(), 1), GetParam());
  EXPECT_GT(first.totals.delivered, 1000u);
  EXPECT_EQ(first.checkpoints.size(), 3u);
  auto same = [&](const Result& r, const char* what) {
    EXPECT_EQ(r.fingerprint, first.fingerprint) << what;
    EXPECT_EQ(r.checkpoints, first.checkpoints) << what;
    EXPECT_EQ(r.totals.packets, first.totals.packets) << what;
    EXPECT_EQ(r.dropped, first.dropped) << what;
  };
  same(RunIt(Make(GetParam(), 1), GetParam()), "again");
  same(RunIt(Make(GetParam(), 1), GetParam(), true), "in pieces");
  WorldPlan full = Make(GetParam(), 1);
  full.stack = Stack::kFull;
  same(RunIt(full, GetParam()), "ns-3's Internet stack");
  WorldPlan mixed = Make(GetParam(), 1);
  for (size_t i = 0; i < mixed.hosts.size(); i += 3) mixed.hosts[i].stack = Stack::kFull;
  same(RunIt(mixed, GetParam()), "both stacks");
  for (const char* scheduler : {"ns3::MapScheduler", "ns3::HeapScheduler", "ns3::ListScheduler"}) {
    WorldPlan other = Make(GetParam(), 1);
    other.scheduler = scheduler;
    same(RunIt(other, GetParam()), scheduler);
  }
  EXPECT_NE(RunIt(Make(GetParam(), 2), GetParam()).fingerprint, first.fingerprint);
  // What the two stacks must agree about did happen.
  for (const char* why : {"queue", "loss", "ttl", "mtu", "no-socket", "firewall"}) EXPECT_TRUE(first.dropped.contains(why)) << why;
  if (GetParam() == Shape::kNats) { EXPECT_TRUE(first.dropped.contains("nat-filter")); }
  if (GetParam() == Shape::kFaults) {
    for (const char* why : {"corrupt", "partition", "down"}) EXPECT_TRUE(first.dropped.contains(why)) << why;
  }
}

TEST(CheckpointTest, ADifferenceShowsInTheCheckpointAfterIt) {
  std::vector<Endpoint> none = {Endpoint::V4(0x08080808, 4000)};
  auto run = [&](bool call) {
    WorldPlan plan = PlainPlan();
    AddHost(plan, "a"), AddHost(plan, "b");
    World w(plan, [&](const HostPlan&, uint32_t) { return std::make_unique<Talker>(&none); }, nullptr);
    w.StartHost(0), w.StartHost(1);
    if (call) w.At(Instant(2500ms), [&w] { w.Call(1, OpId{1}, "x", "{}"); });
    w.RunUntil(Instant(5s));
    return std::pair(w.checkpoints(), w.fingerprint(0));
  };
  auto [a, a0] = run(false);
  auto [b, b0] = run(true);
  EXPECT_EQ(a0, b0);
  ASSERT_EQ(a.size(), 5u);
  EXPECT_EQ(a[0], b[0]);
  EXPECT_EQ(a[1], b[1]);
  EXPECT_NE(a[0], a[1]);
  EXPECT_NE(a[2], b[2]);
  EXPECT_NE(a[4], b[4]);
}

std::string NameOf(const testing::TestParamInfo<Shape>& info) {
  constexpr const char* kNames[] = {"Plain", "Nats", "Lans", "Faults"};
  return kNames[int(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Worlds, StackTest, testing::Values(Shape::kPlain, Shape::kNats, Shape::kLans, Shape::kFaults), NameOf);

}  // namespace
}  // namespace orchard::sim
