#include "node/base/turn_runner.h"

#include <gtest/gtest.h>

#include "node/store/mem_store.h"

namespace orchard {
namespace {

using namespace std::chrono_literals;

// Writes and syncs on every `sync` call; answers each call with a gated final and an ungated packet.
class Signer final : public Machine {
 public:
  void Handle(Turn& t, const Input& input) override {
    const auto* call = std::get_if<OpCall>(&input);
    if (call == nullptr) return;
    if (call->name == "sync") t.store.Put(AsBytes("k"), call->params), t.store.Sync();
    t.out.Send(SocketId{1}, {}, call->params, Gate::kNone);
    t.out.Final(call->op, call->params);
  }
  Instant next_deadline() const override { return kNever; }
};

struct Log final : TurnRunner::Host {
  void Perform(const Output& o, Bytes b) override {
    lines.push_back((o.what == Do::kSend ? "send " : "final ") + std::string(AsText(b)));
  }
  void StartSync() override { ++syncs; }
  std::vector<std::string> lines;
  int syncs = 0;
};

TEST(TurnRunnerTest, AShutGateHoldsLaterTurnsToo) {
  MemStore store;
  TurnRunner runner(std::make_unique<Signer>(), Rng::Named(1, "a", "0"), &store, nullptr, nullptr);
  Log log;
  Outbox out;
  auto call = [&](std::string_view name, std::string_view what) {
    runner.Feed(Instant(1s), 0s, OpCall{OpId{1}, name, AsBytes(what)}, log, out);
  };
  call("plain", "1"), call("sync", "2"), call("plain", "3"), call("sync", "4"), call("plain", "5");
  EXPECT_EQ(log.lines, (std::vector<std::string>{"send 1", "final 1", "send 2", "send 3", "send 4", "send 5"}));
  EXPECT_EQ(log.syncs, 2);
  log.lines.clear();
  runner.Synced(log);
  EXPECT_EQ(log.lines, (std::vector<std::string>{"final 2", "final 3"}));
  EXPECT_TRUE(runner.gate_shut());
  runner.Synced(log);
  EXPECT_EQ(log.lines.back(), "final 5");
  EXPECT_FALSE(runner.gate_shut());
}

}  // namespace
}  // namespace orchard
