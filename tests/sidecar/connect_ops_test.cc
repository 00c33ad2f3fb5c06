// Operations that dial: who shares a connection, and who gets one of his own.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "node/hyperdht/connect_trace.h"
#include "node/sidecar/ops.h"
#include "node/sidecar/params.h"
#include "tests/sidecar/node_net.h"

namespace orchard::sidecar {
namespace {

using namespace std::chrono_literals;
using Json = NodeNet::Json;

class ConnectOpsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    net_.Grow(3, 20s);
    ASSERT_TRUE(net_.Call(1, "listen").ok());
  }
  const Json Connect(Json more = Json::object()) {
    more["to"] = ToHex(net_.node(1).public_key());
    return net_.Call(2, "connect", more).final;
  }
  NodeNet net_;
};

TEST_F(ConnectOpsTest, WhoIsConnectedAlreadyIsNotDialledAgain) {
  const Json first = Connect();
  ASSERT_TRUE(first["ok"] == true) << first;
  EXPECT_EQ(Connect()["connection"], first["connection"]);
  EXPECT_EQ(net_.Call(1, "connections").final["count"], 1);
}

TEST_F(ConnectOpsTest, AnotherKeyPairIsAnotherPeer) {
  std::set<Json> made = {Connect()["connection"]};
  for (char c : {'1', '2', '3'}) {
    const Json j = Connect({{"seed", std::string(64, c)}});
    ASSERT_TRUE(j["ok"] == true) << j;
    made.insert(j["connection"]);
  }
  EXPECT_EQ(made.size(), 4u);
  std::set<Json> peers;
  const Json all = net_.Call(1, "connections").final["connections"];
  for (const Json& c : all) peers.insert(c["peer"]);
  EXPECT_EQ(peers.size(), 4u) << all;
}

// Several parts of connections, all between two nodes.
class ManyConnectionsTest : public ConnectOpsTest {
 protected:
  static constexpr size_t kCount = 3 * Ops::kPartMax + 10;
  void SetUp() override {
    ConnectOpsTest::SetUp();
    for (size_t i = 0; i < kCount; ++i) {
      std::string seed = std::to_string(i);
      ASSERT_TRUE(Connect({{"seed", std::string(64 - seed.size(), '0') + seed}})["ok"] == true);
    }
  }
  // Nanoseconds from the call at node 2 to its final. A part a turn, a turn a nanosecond.
  int64_t Took(OpId op, Instant called) {
    for (const MemHost::Event& e : net_.host.events()) {
      if (e.node == 2 && e.op == op && e.final) return (e.at - called).count();
    }
    return -1;
  }
};

TEST_F(ManyConnectionsTest, AListIsMadeOfAPartATurnAndIsWhole) {
  const Instant called = net_.host.now();
  const OpId op = net_.NewOp(), second = net_.NewOp();
  net_.host.Call(2, op, "connections", "{}");
  net_.host.Call(2, second, "doctor", "{}");
  const Json all = net_.Wait(2, op).final, examined = net_.Wait(2, second).final;
  std::set<Json> ids;
  for (const Json& c : all["connections"]) ids.insert(c["id"]);
  EXPECT_EQ(ids.size(), kCount);
  EXPECT_EQ(all["count"], kCount);
  EXPECT_EQ(examined["connections"].size(), kCount);
  EXPECT_TRUE(examined["verdict"].is_string() && examined["checks"].is_array() && examined["failures"].is_array());
  EXPECT_GE(Took(op, called), 3);
  EXPECT_GE(Took(second, called), 6);  // Two that ask at once still have one part a turn between them.
}

TEST_F(ManyConnectionsTest, ATurnEndsAPartOfThemUntilAllAreGone) {
  std::map<Instant, size_t> ended;  // By time: here, a turn's.
  net_.host.set_on_trace([&](uint32_t n, std::string_view event, absl::Span<const TraceField>) {
    if (n == 2 && event == hyperdht::ConnectClosed::kName) ++ended[net_.host.now()];
  });
  const NodeNet::Answer gone = net_.Call(2, "disconnect", {{"to", ToHex(net_.node(1).public_key())}});
  ASSERT_TRUE(gone.ok()) << gone.final;
  EXPECT_EQ(gone.final["connections"], kCount);
  size_t most = 0, total = 0;
  for (const auto& [at, n] : ended) most = std::max(most, n), total += n;
  EXPECT_EQ(most, Ops::kPartMax);
  EXPECT_EQ(total, kCount);
  EXPECT_EQ(net_.Call(2, "connections").final["count"], 0);
  EXPECT_EQ(net_.Call(2, "disconnect", {{"to", ToHex(net_.node(1).public_key())}}).code(), "NOT_FOUND");
  net_.host.Run(1s);
  EXPECT_EQ(net_.Call(1, "connections").final["count"], 0);
}

TEST_F(ManyConnectionsTest, WhoHangsUpWhileTheyEndLeavesTheRestOpen) {
  const OpId op = net_.NewOp();
  net_.host.Call(2, op, "disconnect", Json{{"to", ToHex(net_.node(1).public_key())}}.dump());
  net_.host.Cancel(2, op);
  net_.host.Run(1s);
  EXPECT_EQ(net_.Call(2, "connections").final["count"], kCount - Ops::kPartMax);
}

}  // namespace
}  // namespace orchard::sidecar
