// One stream of ours and one of udx-native's share a link of the kernel's: a referee of our congestion control.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "sim/language/json_text.h"
#include "tests/netns/lab.h"
#include "tests/support/process.h"

namespace orchard::sim {
namespace {

constexpr int64_t kBytes = 24'000'000;  // Ten seconds of the whole link.

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

// Not reached: in four of five runs the slower stream had 12 % to 19 % while both ran, ours as often as theirs. Set
// ORCHARD_FAIRNESS to run it; the bound stays until the streams meet it.
TEST_F(FairnessTest, OursAndTheDeployedStreamShareALink) {
  if (getenv("ORCHARD_FAIRNESS") == nullptr) GTEST_SKIP() << "not reached yet: one of the two streams often gets less than a fifth";
  HostPlan sink = Host("sink");
  sink.uplinks[0].link.down_bps = 20'000'000, sink.uplinks[0].link.queue = 60ms;
  Build({std::move(sink), Host("ours"), Host("theirs")});
  const auto ours_in = Peer(0, true, 7001, Public(1, 7002), 0), theirs_in = Peer(0, true, 7003, Public(2, 7004), 0);
  const auto ours = Peer(1, false, 7002, Public(0, 7001), kBytes), theirs = Peer(2, true, 7004, Public(0, 7003), kBytes);
  const int64_t a = Took(*ours_in), b = Took(*theirs_in);
  EXPECT_EQ(ours->Wait(), 0) << ours->err();
  EXPECT_EQ(theirs->Wait(), 0) << theirs->err();
  // Until the faster has all of it, the link carries the same bytes a second as over the whole: 2 · kBytes in the longer time. Two
  // streams of udx-native share as 1 : 1.2 to 1 : 6 here.
  const int64_t first = std::min(a, b), last = std::max(a, b);
  const int64_t slower = 2 * kBytes * first / last - kBytes;
  EXPECT_GE(slower, kBytes / 4) << "ours " << a << " ms, theirs " << b << " ms";
  EXPECT_LE(last, 23'000) << "the link is not full: its rate is 19.2 s of both";
}

}  // namespace
}  // namespace orchard::sim
