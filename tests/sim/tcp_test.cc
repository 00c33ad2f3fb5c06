// TCP in the simulated world: ns-3's own, over our links, boxes and faults.

#include <gtest/gtest.h>

#include "tests/sim/stream_world.h"

namespace orchard::sim {
namespace {

constexpr uint64_t kMega = 1'000'000;

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
  EXPECT_TRUE(w.Until([&] {
    StreamView& v = w.stream("client");
    if (half == Instant{} && v.got >= bytes / 2) half = v.last;
    return v.closed;
  }, bound));
  const StreamView& v = w.stream("client");
  EXPECT_EQ(v.got, bytes);
  EXPECT_FALSE(v.broken);
  EXPECT_EQ(v.status, absl::StatusCode::kOk);
  EXPECT_TRUE(w.Until([&] { return w.sides["server"].accepted().closed; }, 10s));
  EXPECT_EQ(w.sides["server"].accepted().status, absl::StatusCode::kOk);
  return {Mbps(bytes, v.last - v.first), Mbps(bytes / 2, v.last - half), w.world->totals().events};
}

// 1448 of 1500 bytes are data.
constexpr double kShare = 1448.0 / 1500;

TEST(TcpTest, FillsACleanLinkAfterSlowStart) {
  const Fetched f = Fetch(Pair(100'000'000, 20ms), 50 * kMega);
  EXPECT_GT(f.late_mbps, 100 * kShare * 0.98);
  EXPECT_LE(f.late_mbps, 100 * kShare * 1.001);
}

TEST(TcpTest, FillsAGigabitOverATenthOfASecond) {
  const Fetched f = Fetch(Pair(1'000'000'000, 50ms), 400 * kMega);
  EXPECT_GT(f.late_mbps, 1000 * kShare * 0.98);
  EXPECT_LE(f.late_mbps, 1000 * kShare * 1.001);
}

}  // namespace
}  // namespace orchard::sim
