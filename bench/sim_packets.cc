// How many packets a second the simulator moves without a protocol on it, against the same traffic on the bare ns-3 event
// loop, in the same process, by turns: every host sends 200 bytes to a random other ten times a second.
//   sim_packets [--json FILE] [--hosts N] [PAIRS]   (100, 1,000, 10,000 and 50,000 hosts and 5 pairs unless given;
//   0 pairs: one world and no loop beside it, for profilers)
// Packets, events and bytes are exact; wall times are the median of the pairs, with their range.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include "ns3/nstime.h"
#include "ns3/object-factory.h"
#include "ns3/simulator.h"
#include "sim/world/chance.h"
#include "sim/language/presets.h"
#include "sim/world/world.h"

namespace orchard::sim {
namespace {

using namespace std::chrono_literals;
constexpr Duration kPeriod = 100ms;
constexpr size_t kPayload = 200;

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

size_t RssBytes() {
  long pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return size_t(resident) * size_t(sysconf(_SC_PAGESIZE));
}

class Sender final : public Machine {
 public:
  explicit Sender(const std::vector<Endpoint>* all) : all_(all) {}
  void Handle(Turn& t, const Input& input) override {
    if (std::holds_alternative<Start>(input)) {
      luck_ = Luck(t.rng.Next());
      t.out.OpenSocket(SocketId{1}, Endpoint::V4(0, 4000));
      deadline_ = t.now + Duration(1 + luck_.Below(uint64_t(kPeriod.count())));
    } else if (std::holds_alternative<Deadline>(input)) {
      static constexpr uint8_t kBytes[kPayload] = {};
      t.out.Send(SocketId{1}, (*all_)[luck_.Below(all_->size())], kBytes, Gate::kNone);
      deadline_ = t.now + kPeriod;
    }
  }
  Instant next_deadline() const override { return deadline_; }

 private:
  const std::vector<Endpoint>* all_;
  Instant deadline_ = kNever;
  Luck luck_{0};
};

struct Figures {
  double packets_per_s = 0, setup_s = 0;
  uint64_t packets = 0, events = 0, bytes = 0;
  double bytes_per_host = 0;
};

Figures RunWorld(uint32_t hosts, Duration span) {
  WorldPlan plan;
  plan.latency_default = 20ms;
  const LinkSpec link = FindLinkPreset("fiber")->spec();
  for (uint32_t i = 0; i < hosts; ++i) {
    HostPlan& h = plan.hosts.emplace_back();
    h.id = "host-" + std::to_string(i);
    h.uplinks.push_back({.name = "wan", .link = link});
  }
  const size_t before = RssBytes();
  auto t0 = std::chrono::steady_clock::now();
  std::vector<Endpoint> all(hosts);
  World world(std::move(plan), [&](const HostPlan&, uint32_t) { return std::make_unique<Sender>(&all); }, nullptr);
  for (HostIndex h = 0; h < hosts; ++h) all[h] = world.public_address(h).with_port(4000);
  for (HostIndex h = 0; h < hosts; ++h) world.StartHost(h);
  Figures f;
  f.setup_s = Seconds(t0);
  world.RunUntil(Instant(kPeriod));  // Warm: every host has sent once.
  const Totals warm = world.totals();
  t0 = std::chrono::steady_clock::now();
  world.RunUntil(Instant(kPeriod + span));
  const double wall = Seconds(t0);
  const Totals end = world.totals();
  f.packets = end.packets - warm.packets, f.events = end.events - warm.events, f.bytes = end.bytes - warm.bytes;
  f.packets_per_s = double(f.packets) / wall;
  f.bytes_per_host = double(RssBytes() - std::min(RssBytes(), before)) / hosts;
  return f;
}

// The least that any simulator on ns-3 does: a timer, an arrival and a delivery per packet.
Figures RunBare(uint32_t hosts, Duration span) {
  ns3::ObjectFactory factory;
  factory.SetTypeId("ns3::PriorityQueueScheduler");
  ns3::Simulator::SetScheduler(factory);
  ns3::Simulator::Run();
  struct Node {
    Luck luck{0};
    uint64_t received = 0;
    std::function<void()> tick;
  };
  std::vector<Node> nodes(hosts);
  uint64_t packets = 0;
  auto after = [](Duration d, std::function<void()> f) { ns3::Simulator::Schedule(ns3::TimeStep(d.count()), std::move(f)); };
  for (uint32_t i = 0; i < hosts; ++i) {
    Node& n = nodes[i];
    n.luck = Luck(Mix(i + 1));
    n.tick = [&nodes, &n, &packets, &after, hosts] {
      Node* to = &nodes[n.luck.Below(hosts)];
      ++packets;
      after(24ms, [to, &after] { after(6us, [to] { ++to->received; }); });
      after(kPeriod, n.tick);
    };
    after(Duration(1 + n.luck.Below(uint64_t(kPeriod.count()))), n.tick);
  }
  auto run = [](Duration d) { ns3::Simulator::Stop(ns3::TimeStep(d.count())), ns3::Simulator::Run(); };
  run(kPeriod);
  const uint64_t warm = packets, warm_events = ns3::Simulator::GetEventCount();
  auto t0 = std::chrono::steady_clock::now();
  run(span);
  Figures f;
  f.packets = packets - warm;
  f.packets_per_s = double(f.packets) / Seconds(t0);
  f.events = ns3::Simulator::GetEventCount() - warm_events;
  ns3::Simulator::Destroy();
  return f;
}

// About a quarter of a million packets.
Duration SpanFor(uint32_t hosts) { return kPeriod * std::max<int64_t>(4, 250'000 / hosts); }

struct Spread {
  double median, low, high;
};
Spread Of(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return {v[v.size() / 2], v.front(), v.back()};
}

int Main(int argc, char** argv) {
  int pairs = 5;
  std::string json_path;
  std::vector<uint32_t> sizes = {100, 1000, 10'000, 50'000};
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) json_path = argv[++i];
    else if (std::strcmp(argv[i], "--hosts") == 0 && i + 1 < argc) sizes = {uint32_t(std::max(1, std::atoi(argv[++i])))};
    else pairs = std::max(0, std::atoi(argv[i]));
  }
  if (pairs == 0) {
    const Figures f = RunWorld(sizes[0], SpanFor(sizes[0]));
    return std::printf("%u hosts, %lu packets, %lu events\n", sizes[0], f.packets, f.events), 0;
  }
  std::string json = "{";
  std::printf("%8s %12s %25s %25s %22s %9s %9s %8s\n", "hosts", "packets", "world packets/s", "bare packets/s", "world / bare",
              "ev/packet", "B/host", "set-up");
  for (uint32_t hosts : sizes) {
    const Duration span = SpanFor(hosts);
    std::vector<double> world, bare, ratio;
    Figures first;
    for (int p = 0; p < pairs; ++p) {
      const Figures w = RunWorld(hosts, span), b = RunBare(hosts, span);
      if (p == 0) first = w;
      if (w.packets != first.packets || w.events != first.events) return std::puts("two equal runs differ"), 3;
      world.push_back(w.packets_per_s), bare.push_back(b.packets_per_s), ratio.push_back(w.packets_per_s / b.packets_per_s);
    }
    const Spread w = Of(world), b = Of(bare), r = Of(ratio);
    std::printf("%8u %12lu %8.0fk (%5.0fk-%5.0fk) %8.0fk (%5.0fk-%5.0fk) %6.2f (%.2f-%.2f)   %9.2f %9.0f %7.3fs\n", hosts,
                first.packets, w.median / 1e3, w.low / 1e3, w.high / 1e3, b.median / 1e3, b.low / 1e3, b.high / 1e3, r.median,
                r.low, r.high, double(first.events) / double(first.packets), first.bytes_per_host, first.setup_s);
    std::fflush(stdout);
    char line[512];
    std::snprintf(line, sizeof line,
                  "%s\"sim_packets/%u\": {\"packets\": %lu, \"events\": %lu, \"bytes\": %lu, \"world_packets_per_s\": %.0f, "
                  "\"bare_packets_per_s\": %.0f, \"ratio\": %.3f}",
                  json.size() > 1 ? ", " : "", hosts, first.packets, first.events, first.bytes, w.median, b.median, r.median);
    json += line;
  }
  if (!json_path.empty()) std::ofstream(json_path) << json << "}\n";
  return 0;
}

}  // namespace
}  // namespace orchard::sim

int main(int argc, char** argv) { return orchard::sim::Main(argc, argv); }
