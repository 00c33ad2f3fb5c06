// Whole nodes that meet in topics: operations, swarm, DHT, handshakes and streams, on the in-memory wire.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "node/dht/message.h"
#include "node/sidecar/params.h"
#include "node/swarm/swarm.h"
#include "tests/sidecar/node_net.h"

namespace orchard::sidecar {
namespace {

using namespace std::chrono_literals;
using Json = NodeNet::Json;

class SwarmOpsTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kNodes = 6;
  void SetUp() override { net_.Grow(kNodes, 20s); }

  // Of node n, those that are open.
  std::set<std::string> Peers(uint32_t n) {
    std::set<std::string> out;
    Json peers = net_.Call(n, "swarm.peers").final["peers"];
    for (const Json& p : peers) {
      if (p["open"] != true) continue;
      EXPECT_TRUE(out.insert(p["key"]).second);
    }
    return out;
  }
  // Until each of those holds all others, or it gives up.
  bool AllMeet(const std::vector<uint32_t>& nodes, Duration bound) {
    return net_.host.RunUntil([&] {
      return std::all_of(nodes.begin(), nodes.end(), [&](uint32_t n) {
        const swarm::Swarm* s = net_.node(n).swarm();
        return s != nullptr && s->open() == nodes.size() - 1;
      });
    }, bound);
  }
  size_t Connections(uint32_t n) { return net_.Call(n, "connections").final["connections"].size(); }

  NodeNet net_;
};

TEST_F(SwarmOpsTest, WhoJoinsATopicIsConnectedWithAllOthersOnce) {
  for (uint32_t n = 1; n <= kNodes; ++n) {
    NodeNet::Answer a = net_.Call(n, "swarm.join", {{"topic", "apples"}});
    ASSERT_TRUE(a.ok()) << a.final;
    EXPECT_GT(a.final["nodes"], 0);
    EXPECT_TRUE(a.final["server"] == true && a.final["client"] == true);
  }
  ASSERT_TRUE(AllMeet({1, 2, 3, 4, 5, 6}, 60s));
  net_.host.Run(30s);
  for (uint32_t n = 1; n <= kNodes; ++n) {
    EXPECT_EQ(Peers(n).size(), kNodes - 1);
    EXPECT_EQ(Connections(n), kNodes - 1);
    EXPECT_EQ(net_.Call(n, "swarm.peers").final["count"], kNodes - 1);
  }
  EXPECT_EQ(net_.counts["swarm.joined"], kNodes);
  EXPECT_EQ(net_.counts["swarm.flushed"], kNodes);
}

TEST_F(SwarmOpsTest, AllWhoJoinAtOnceMeetToo) {
  for (uint32_t n = 1; n <= kNodes; ++n) net_.host.Call(n, net_.NewOp(), "swarm.join", R"({"topic":"apples"})");
  EXPECT_TRUE(AllMeet({1, 2, 3, 4, 5, 6}, 60s));
  net_.host.Run(10s);
  for (uint32_t n = 1; n <= kNodes; ++n) EXPECT_EQ(Connections(n), kNodes - 1);
}

TEST_F(SwarmOpsTest, WhoLeavesIsFoundNoMore) {
  for (uint32_t n : {1u, 2u, 3u}) ASSERT_TRUE(net_.Call(n, "swarm.join", {{"topic", "apples"}}).ok());
  ASSERT_TRUE(AllMeet({1, 2, 3}, 60s));
  EXPECT_EQ(net_.Call(1, "swarm.leave", {{"topic", "pears"}}).code(), "NOT_FOUND");
  NodeNet::Answer left = net_.Call(1, "swarm.leave", {{"topic", "apples"}});
  ASSERT_TRUE(left.ok()) << left.final;
  EXPECT_GT(left.final["nodes"], 0);
  EXPECT_EQ(Peers(1).size(), 2u);  // Connections stay.
  std::set<std::string> found;
  const Json peers = net_.Call(4, "dht.lookup", {{"topic", "apples"}}).final["peers"];
  for (const Json& p : peers) found.insert(p["key"]);
  EXPECT_EQ(found, (std::set<std::string>{ToHex(net_.node(2).public_key()), ToHex(net_.node(3).public_key())}));
  EXPECT_EQ(net_.Call(1, "swarm.leave", {{"topic", "apples"}}).code(), "NOT_FOUND");
  EXPECT_TRUE(net_.Call(1, "swarm.peers").final["topics"].empty());
}

TEST_F(SwarmOpsTest, AClientIsNotFoundAndAServerDialsNobody) {
  ASSERT_TRUE(net_.Call(1, "swarm.join", {{"topic", "apples"}, {"client", false}}).ok());
  ASSERT_TRUE(net_.Call(2, "swarm.join", {{"topic", "apples"}, {"client", false}}).ok());
  net_.host.Run(60s);
  EXPECT_EQ(Peers(1).size() + Peers(2).size(), 0u);
  ASSERT_TRUE(net_.Call(3, "swarm.join", {{"topic", "apples"}, {"server", false}}).ok());
  net_.host.Run(20s);
  EXPECT_EQ(Peers(3).size(), 2u);
  EXPECT_EQ(net_.Call(4, "dht.lookup", {{"topic", "apples"}}).final["peers"].size(), 2u);
  EXPECT_EQ(net_.Call(3, "swarm.join", {{"topic", "apples"}, {"server", false}, {"client", false}}).code(), "ERR_PARAMS");
}

TEST_F(SwarmOpsTest, WhoWasKilledComesBackByHimself) {
  for (uint32_t n : {1u, 2u, 3u}) ASSERT_TRUE(net_.Call(n, "swarm.join", {{"topic", "apples"}}).ok());
  ASSERT_TRUE(AllMeet({1, 2, 3}, 60s));
  net_.host.Restart(1);
  net_.host.Call(1, net_.NewOp(), "swarm.join", R"({"topic":"apples"})");  // A standing order.
  EXPECT_TRUE(net_.host.RunUntil([&] { return net_.node(1).swarm() != nullptr && net_.node(1).swarm()->open() == 2; }, 30s));
  net_.host.Run(60s);
  for (uint32_t n : {1u, 2u, 3u}) EXPECT_EQ(Connections(n), 2u) << n;  // The dead ones are gone.
}

TEST_F(SwarmOpsTest, ARecordOfAnEarlierLifeIsTakenBackBeforeTheNewOneIsStored) {
  ASSERT_TRUE(net_.Call(1, "swarm.join", {{"topic", "apples"}}).ok());
  net_.host.Restart(1);
  net_.host.Run(10s);
  std::map<uint32_t, std::vector<uint64_t>> asked;  // By storing node: announcements and their opposite, in order.
  const Key32 topic = ParseTopic("apples");
  net_.host.set_filter([&](uint32_t from, uint32_t to, Bytes payload) {
    if (from != 1 || payload.empty() || payload[0] != dht::kRequestByte) return true;
    auto r = dht::DecodeRequest(payload, Ipv4Address{1, 1});
    if (r.ok() && !r->internal && r->target == topic && (r->command == hyperdht::kAnnounce || r->command == hyperdht::kUnannounce)) {
      asked[to].push_back(r->command);
    }
    return true;
  });
  ASSERT_TRUE(net_.Call(1, "swarm.join", {{"topic", "apples"}}).ok());
  ASSERT_GE(asked.size(), 3u);
  for (const auto& [to, commands] : asked) {
    EXPECT_EQ(commands, (std::vector<uint64_t>{hyperdht::kUnannounce, hyperdht::kAnnounce})) << to;
  }
  EXPECT_EQ(net_.Call(2, "dht.lookup", {{"topic", "apples"}}).final["peers"].size(), 1u);
}

TEST_F(SwarmOpsTest, WhomAnOperationDisconnectsIsDialledAgain) {
  for (uint32_t n : {1u, 2u}) ASSERT_TRUE(net_.Call(n, "swarm.join", {{"topic", "apples"}}).ok());
  ASSERT_TRUE(AllMeet({1, 2}, 60s));
  for (uint32_t n : {1u, 2u}) {
    EXPECT_TRUE(net_.Call(n, "disconnect", {{"to", ToHex(net_.node(3 - n).public_key())}}).ok());
    EXPECT_EQ(net_.node(n).swarm()->open(), 0u);
    EXPECT_TRUE(AllMeet({1, 2}, 30s)) << n;
  }
}

TEST_F(SwarmOpsTest, UnlistenLeavesTheSwarmItsServer) {
  ASSERT_TRUE(net_.Call(1, "swarm.join", {{"topic", "apples"}}).ok());
  ASSERT_TRUE(net_.Call(1, "listen").ok());
  const NodeNet::Answer a = net_.Call(1, "unlisten");
  ASSERT_TRUE(a.ok()) << a.final;
  EXPECT_EQ(a.final["kept_by"], "swarm");
  EXPECT_TRUE(net_.Call(2, "connect", {{"to", ToHex(net_.node(1).public_key())}, {"fresh", true}}).ok());
  ASSERT_TRUE(net_.Call(3, "listen").ok());
  EXPECT_EQ(net_.Call(3, "unlisten").final["kept_by"], nullptr);
  EXPECT_EQ(net_.Call(3, "unlisten").final["code"], "NOT_FOUND");
}

TEST_F(SwarmOpsTest, JoiningAgainChangesTheMode) {
  ASSERT_TRUE(net_.Call(1, "swarm.join", {{"topic", "apples"}}).ok());
  ASSERT_TRUE(net_.Call(1, "swarm.join", {{"topic", "apples"}, {"server", false}}).ok());
  net_.host.Run(5s);
  Json topics = net_.Call(1, "swarm.peers").final["topics"];
  ASSERT_EQ(topics.size(), 1u);
  EXPECT_EQ(topics[0]["server"], false);
  EXPECT_TRUE(net_.Call(2, "dht.lookup", {{"topic", "apples"}}).final["peers"].empty());
}

TEST_F(SwarmOpsTest, WhoIsAloneSaysSoAndGoesOnTrying) {
  Config lost;
  lost.dht.nodes.emplace().push_back({.address = Endpoint::V4(0x0affffff, 1), .port = 1});
  uint32_t n = net_.Add("lost", lost);
  net_.host.Run(10s);
  NodeNet::Answer a = net_.Call(n, "swarm.join", {{"topic", "apples"}}, 60s);
  EXPECT_FALSE(a.ok());
  EXPECT_TRUE(a.code() == "OFFLINE" || a.code() == "TIMEOUT") << a.final;
  EXPECT_EQ(net_.Call(n, "swarm.peers").final["topics"].size(), 1u);
}

TEST_F(SwarmOpsTest, AGoodbyeTakesTheTopicAlong) {
  ASSERT_TRUE(net_.Call(1, "swarm.join", {{"topic", "apples"}}).ok());
  ASSERT_EQ(net_.Call(2, "dht.lookup", {{"topic", "apples"}}).final["peers"].size(), 1u);
  net_.host.Stop(1);
  net_.host.Run(5s);
  EXPECT_FALSE(net_.host.up(1));
  EXPECT_FALSE(net_.Call(2, "dht.lookup", {{"topic", "apples"}}).ok());
}

}  // namespace
}  // namespace orchard::sidecar
