// One stream of ours and one of udx-native's share a link of the kernel's: a referee of our congestion control.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <thread>
#include <cstdlib>

#include "sim/language/json_text.h"
#include "tests/netns/lab.h"
#include "tests/support/process.h"

namespace orchard::sim {
namespace {

constexpr int64_t kBytes = 16'000'000;  // Six seconds of the whole link.

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
  // How long the stream took from its first byte to its last, as its receiver saw it.
  static int64_t Took(Process& receiver) {
    EXPECT_EQ(receiver.Wait(), 0) << receiver.err();
    JsonError error;
    Json said = ParseJson(receiver.out(), 0, error).value_or(Json::Object());
    EXPECT_EQ(said.At("received").Micro().value_or(0) / 1'000'000, kBytes) << receiver.out() << receiver.err();
    return said.At("ms").Micro().value_or(0) / 1'000'000;
  }
};

// Eight links at once, two streams each: four of ours beside one of theirs, either first, and four of theirs beside theirs.
// Not reached: in 11 pairs of ours and theirs the slower stream had 12.7 % twice, else 34 to 49, while both ran; in 12 of theirs
// 27 to 49 % (with 24 MB each). Where ours had so little, it lost under 100 of 16,700 packets. Set ORCHARD_FAIRNESS to run it.
TEST_F(FairnessTest, OursAndTheDeployedStreamShareALink) {
  if (getenv("ORCHARD_FAIRNESS") == nullptr) GTEST_SKIP() << "not reached yet: ours at times has an eighth of the link";
  constexpr size_t kLabs = 8;
  std::vector<HostPlan> hosts;
  for (size_t k = 0; k < kLabs; ++k) {
    const std::string n = std::to_string(k);
    HostPlan sink = Host("sink" + n);
    sink.uplinks[0].link.down_bps = 20'000'000, sink.uplinks[0].link.queue = 60ms;
    hosts.push_back(std::move(sink)), hosts.push_back(Host("a" + n)), hosts.push_back(Host("b" + n));
  }
  Build(std::move(hosts));
  auto js = [](size_t k, size_t side) { return k >= kLabs / 2 || (side == 0) == (k % 2 == 0); };
  std::vector<std::unique_ptr<Process>> in, out;
  for (size_t k = 0; k < kLabs; ++k) {
    for (size_t side = 0; side < 2; ++side) in.push_back(Peer(HostIndex(3 * k), true, uint16_t(7001 + 2 * side), Public(HostIndex(3 * k + 1 + side), 7002), 0));
  }
  std::this_thread::sleep_for(2s);  // All of Node's have started.
  for (size_t side = 0; side < 2; ++side) {
    for (size_t k = 0; k < kLabs; ++k) out.push_back(Peer(HostIndex(3 * k + 1 + side), js(k, side), 7002, Public(HostIndex(3 * k), uint16_t(7001 + 2 * side)), kBytes));
    std::this_thread::sleep_for(300ms);
  }
  // Permille that the slower of two had while both ran. Until the faster has all of it, the link carries the same bytes a second
  // as over the whole: 2 · kBytes in the longer time.
  int64_t ours = 0, theirs = 0;
  for (size_t k = 0; k < kLabs; ++k) {
    const int64_t a = Took(*in[2 * k]), b = Took(*in[2 * k + 1]);
    ASSERT_GT(std::min(a, b), 0);
    const int64_t slower = 1000 - 500 * std::max(a, b) / std::min(a, b);
    std::printf("%s %ld ms, %s %ld ms: the slower had %ld permille\n", js(k, 0) ? "theirs" : "ours", long(a), js(k, 1) ? "theirs" : "ours", long(b), long(slower));
    (k < kLabs / 2 ? ours : theirs) += slower;
    if (k < kLabs / 2) {
      EXPECT_GE(slower, 250);
    }
  }
  for (auto& o : out) EXPECT_EQ(o->Wait(), 0) << o->err();
  EXPECT_GE(10 * ours, 9 * theirs) << "ours beside theirs share worse than theirs among themselves";
}

}  // namespace
}  // namespace orchard::sim
