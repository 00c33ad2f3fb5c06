#include "tests/support/mem_host.h"

#include <gtest/gtest.h>

#include "tests/support/group_suite.h"
#include "tests/support/host_suite.h"
#include "tests/support/stream_suite.h"

namespace orchard {

using namespace std::chrono_literals;

// The in-memory host under the suite.
class MemDriver {
 public:
  uint32_t Add(std::string name, Machines machines) {
    added_.emplace_back(std::move(name), std::move(machines));
    return uint32_t(added_.size() - 1);
  }
  void Begin() {
    for (auto& [name, machines] : added_) host_.Add(name, [m = machines](uint32_t) { return m(); });
  }
  bool RunUntil(const std::function<bool()>& done, Duration bound) { return host_.RunUntil(done, bound); }
  Endpoint bind_address(uint32_t n) { return Endpoint::V4(0x0a000001 + n, 0); }
  Endpoint silent_address() { return Endpoint::V4(0x0a00ffff, 80); }
  void Call(uint32_t n, OpId op, std::string_view name, std::string_view params, uint32_t credit) { host_.Call(n, op, name, params, credit); }
  void Grant(uint32_t n, OpId op, uint32_t credit) { host_.Feed(n, OpCredit{op, credit}); }
  void Cancel(uint32_t n, OpId op) { host_.Cancel(n, op); }
  void StopNode(uint32_t n) { host_.Stop(n); }
  bool up(uint32_t n) { return host_.up(n); }
  std::vector<SuiteEvent> events(uint32_t n) {
    std::vector<SuiteEvent> out;
    for (const MemHost::Event& e : host_.events()) {
      if (e.node == n) out.push_back({e.op, e.json, e.final});
    }
    return out;
  }
  void HoldSyncs(uint32_t n) { host_.HoldSyncs(n, true); }
  void ReleaseSyncs(uint32_t n) { host_.HoldSyncs(n, false); }
  void Restart(uint32_t n) { host_.Restart(n); }
  uint64_t dead_ids(uint32_t) { return host_.counters().dead_id; }

 private:
  std::vector<std::pair<std::string, Machines>> added_;
  MemHost host_{{.latency = 1ms}};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Mem, HostSuite, MemDriver);
INSTANTIATE_TYPED_TEST_SUITE_P(Mem, StreamSuite, MemDriver);
INSTANTIATE_TYPED_TEST_SUITE_P(Mem, SilenceSuite, MemDriver);
INSTANTIATE_TYPED_TEST_SUITE_P(Mem, GroupSuite, MemDriver);

namespace {

// Writes what it is told; with "sync" it calls Sync().
struct Writer final : Machine {
  void Handle(Turn& t, const Input& input) override {
    const auto* call = std::get_if<OpCall>(&input);
    if (call == nullptr) return;
    t.store.Put(call->params, AsBytes("1"));
    if (call->name == "sync") t.store.Sync();
    t.out.Final(call->op, call->params);
  }
  Instant next_deadline() const override { return kNever; }
};
std::unique_ptr<Machine> MakeWriter(uint32_t) { return std::make_unique<Writer>(); }

TEST(MemHostTest, PowerLossTakesWhatWasNotSyncedAndNothingElse) {
  MemHost host;
  auto n = host.Add("n", MakeWriter);
  host.Call(n, OpId{1}, "sync", "a");
  host.Run(10ms);
  host.Call(n, OpId{2}, "plain", "b");
  host.Call(n, OpId{3}, "sync", "c");  // Still under way when the power fails: its final never left.
  EXPECT_NE(host.Final(n, OpId{1}), nullptr);
  EXPECT_NE(host.Final(n, OpId{2}), nullptr);
  EXPECT_EQ(host.Final(n, OpId{3}), nullptr);
  host.PowerLoss(n);
  EXPECT_TRUE(host.store(n).Get(AsBytes("a")));
  EXPECT_FALSE(host.store(n).Get(AsBytes("b")));
  EXPECT_FALSE(host.store(n).Get(AsBytes("c")));
  host.StartNode(n);
  host.Run(1s);
  EXPECT_EQ(host.Final(n, OpId{3}), nullptr);
}

TEST(MemHostTest, BytesArriveAsFastAsTheyAreAccepted) {
  // Accepts three bytes at a time and emits them.
  struct Eater final : Machine {
    void Handle(Turn& t, const Input& input) override {
      if (auto* call = std::get_if<OpCall>(&input)) t.out.AcceptOp(call->op, 3);
      if (auto* data = std::get_if<OpData>(&input)) {
        data->end ? t.out.Final(data->op, data->bytes) : t.out.Event(data->op, data->bytes);
        if (!data->end) t.out.AcceptOp(data->op, 3);
      }
    }
    Instant next_deadline() const override { return kNever; }
  };
  MemHost host;
  auto n = host.Add("n", [](uint32_t) { return std::make_unique<Eater>(); });
  host.Call(n, OpId{1}, "eat");
  host.Data(n, OpId{1}, "12345", false);
  host.Run(1ms);
  host.Data(n, OpId{1}, "678", true);
  host.Run(1ms);
  host.Data(n, OpId{1}, "late", true);
  host.Run(1ms);
  std::vector<std::string> got;
  for (const auto& e : host.events()) got.push_back(e.json + (e.final ? "." : ""));
  EXPECT_EQ(got, (std::vector<std::string>{"123", "45", "678."}));
}

TEST(MemHostTest, TheSameSeedIsTheSameHistory) {
  auto run = [](uint64_t seed) {
    MemHost host({.seed = seed, .jitter = 5ms, .loss_permille = 200});
    auto a = host.Add("a", MakeWriter), b = host.Add("b", MakeWriter);
    host.Call(a, OpId{1}, "sync", "x");
    host.Run(1s);
    host.Call(b, OpId{1}, "plain", std::to_string(seed));
    return host.fingerprint();
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(MemHostTest, AddressesByNameDoNotMoveWhenAnotherIsAdded) {
  MemHost one({.addresses_by_name = true}), two({.addresses_by_name = true});
  two.Add("first", MakeWriter);
  EXPECT_EQ(one.address(one.Add("n", MakeWriter)), two.address(two.Add("n", MakeWriter)));
}

}  // namespace
}  // namespace orchard
