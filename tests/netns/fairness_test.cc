// One stream of ours and one of udx-native's share a link of the kernel's: a referee of our congestion control.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <thread>

#include "sim/language/json_text.h"
#include "tests/netns/lab.h"
#include "tests/support/process.h"

namespace orchard::sim {
namespace {

constexpr int64_t kBitsPerSecond = 20'000'000;
// The way to the sink; the round trip is twice that. Without a delay the queue would be 75 round trips long, and whoever came
// last would have nine tenths until the first measures the empty path, of theirs among themselves as well (docs/decisions/0011).
constexpr auto kLatency = 10ms;
constexpr auto kQueue = 60ms;
// The second stream begins that much later.
constexpr auto kStagger = 300ms;
// What is judged, in seconds: BBR looks for the least round trip each ten seconds. Before the first time, the one that came
// last takes the others' queue for the path.
constexpr int64_t kSettle = 12, kWindow = 12;
constexpr int64_t kBytes = 200'000'000;  // More than the link carries in that time.
// Permille of the link. Medians of so few pairs differ by a tenth of the link from run to run.
constexpr int64_t kTolerance = 100, kLeast = 250;
// Headers and acknowledgements take 45 of a full link; the rest is what a busy machine costs.
constexpr int64_t kFullMedian = 920, kFullEach = 750;

class FairnessTest : public KernelTest {
 protected:
  // `udx_peer` inside a host's namespace.
  std::unique_ptr<Process> Peer(HostIndex h, bool js, uint16_t port, const Endpoint& to, int64_t bytes) {
    const Space::Visit visit(net_->space(h));
    std::vector<std::string> command = {ORCHARD_BINARY_DIR "/bench/udx_peer"};
    if (js) command = {"/usr/bin/env", "node", ORCHARD_SOURCE_DIR "/bench/udx_peer.cjs"};
    command.insert(command.end(), {std::to_string(port), to.ToString(), std::to_string(bytes)});
    return std::make_unique<Process>(command, Process::Options{.environment = {std::string("PATH=") + getenv("PATH")}});
  }
  // Bytes that came, by second of Unix time, as the receiver saw it; it ends.
  static std::map<int64_t, int64_t> Received(Process& receiver) {
    receiver.Signal(SIGTERM);
    EXPECT_EQ(receiver.Wait(), 0) << receiver.err();
    JsonError error;
    Json said = ParseJson(receiver.out(), 0, error).value_or(Json::Object());
    EXPECT_EQ(said.At("wrong").Integer().value_or(1), 0) << receiver.out() << receiver.err();
    std::map<int64_t, int64_t> out;
    for (const Json& pair : said.At("by_second").items) {
      out[pair.items[0].Integer().value_or(0)] = pair.items[1].Integer().value_or(0);
    }
    return out;
  }
};

int64_t Median(std::vector<int64_t> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

// Three links at a time, two streams each: one of ours and one of theirs, either first, and two of theirs.
TEST_F(FairnessTest, OursAndTheDeployedStreamShareALink) {
  constexpr size_t kLabs = 3, kRounds = 7;
  std::vector<HostPlan> hosts;
  for (size_t k = 0; k < kLabs; ++k) {
    const std::string n = std::to_string(k);
    HostPlan sink = Host("sink" + n);
    sink.uplinks[0].link.down_bps = kBitsPerSecond, sink.uplinks[0].link.queue = kQueue;
    hosts.push_back(std::move(sink)), hosts.push_back(Host("a" + n)), hosts.push_back(Host("b" + n));
  }
  plan_.latency_default = kLatency;
  Build(std::move(hosts));
  // Of lab 0 ours is first, of lab 1 theirs, in lab 2 both are theirs.
  auto js = [](size_t k, size_t side) { return k == 2 || side != k; };
  std::vector<int64_t> ours, theirs, fulls;  // Permille that the slower of two had.
  for (size_t round = 0; round < kRounds; ++round) {
    std::vector<std::unique_ptr<Process>> in, out;
    for (size_t k = 0; k < kLabs; ++k) {
      for (size_t side = 0; side < 2; ++side) in.push_back(Peer(HostIndex(3 * k), true, uint16_t(7001 + 2 * side), Public(HostIndex(3 * k + 1 + side), 7002), 0));
    }
    std::this_thread::sleep_for(1s);  // All of Node's have started.
    for (size_t side = 0; side < 2; ++side) {
      for (size_t k = 0; k < kLabs; ++k) out.push_back(Peer(HostIndex(3 * k + 1 + side), js(k, side), 7002, Public(HostIndex(3 * k), uint16_t(7001 + 2 * side)), kBytes));
      std::this_thread::sleep_for(kStagger);
    }
    const int64_t from = time(nullptr) + 1 + kSettle;
    std::this_thread::sleep_for(std::chrono::seconds(1 + kSettle + kWindow + 1));
    for (size_t k = 0; k < kLabs; ++k) {
      const std::map<int64_t, int64_t> a = Received(*in[2 * k]), b = Received(*in[2 * k + 1]);
      auto sum = [&](const std::map<int64_t, int64_t>& m) {
        int64_t n = 0;
        for (auto it = m.lower_bound(from); it != m.end() && it->first < from + kWindow; ++it) n += it->second;
        return n;
      };
      const int64_t of_a = sum(a), of_b = sum(b);
      ASSERT_GT(of_a + of_b, 0);
      const int64_t slower = 1000 * std::min(of_a, of_b) / (of_a + of_b), full = 8000 * (of_a + of_b) / kWindow / kBitsPerSecond;
      std::printf("%s %ld, %s %ld permille; %ld of the link\n", js(k, 0) ? "theirs" : "ours", long(1000 * of_a / (of_a + of_b)), js(k, 1) ? "theirs" : "ours",
                  long(1000 * of_b / (of_a + of_b)), long(full));
      std::fflush(stdout);
      (k < 2 ? ours : theirs).push_back(slower), fulls.push_back(full);
    }
  }
  std::printf("medians: the slower of ours and theirs %ld, of theirs and theirs %ld permille; %ld of the link\n", long(Median(ours)), long(Median(theirs)), long(Median(fulls)));
  EXPECT_GE(Median(ours), Median(theirs) - kTolerance) << "ours beside theirs share worse than theirs among themselves";
  EXPECT_GE(Median(ours), kLeast);
  EXPECT_GE(Median(fulls), kFullMedian) << "the links were not full";
  EXPECT_GE(*std::min_element(fulls.begin(), fulls.end()), kFullEach) << "a link was not full";
}

}  // namespace
}  // namespace orchard::sim
