// Fifty nodes that announce, look up, put and get through their operations, as a person would.

#include "node/sidecar/ops.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/sidecar/node_net.h"

namespace orchard {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

// The result fields that the table promises, and no other.
void ExpectPromised(std::string_view operation, const Json& final) {
  const sidecar::Operation* o = sidecar::FindOperation(operation);
  ASSERT_NE(o, nullptr);
  std::set<std::string> promised{"ok"}, found;
  std::stringstream words{std::string(o->result)};
  for (std::string w; words >> w;) promised.insert(w);
  for (const auto& [key, value] : final.items()) found.insert(key);
  EXPECT_EQ(found, promised) << operation << ": " << final;
}

class OpsNetTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kNodes = 50;
  void SetUp() override { net_.Grow(kNodes); }
  NodeNet net_;
};

TEST_F(OpsNetTest, EveryNodeJoinsAndSaysWhoItIs) {
  for (uint32_t n = 0; n <= kNodes; ++n) {
    auto a = net_.Call(n, "info");
    ASSERT_TRUE(a.ok()) << a.final;
    ExpectPromised("info", a.final);
    EXPECT_EQ(a.final["ephemeral"], false) << n;
    EXPECT_EQ(a.final["firewalled"], false) << n;
    EXPECT_EQ(a.final["id"].get<std::string>(), ToHex(dht::IdOf(Ipv4Address::Of(net_.host.address(n).with_port(49737)))));
    EXPECT_GE(a.final["nodes"].get<int>(), 20) << n;
  }
}

TEST_F(OpsNetTest, AnAnnouncedTopicIsFoundByEveryone) {
  auto said = net_.Call(7, "dht.announce", {{"topic", "apples"}});
  ASSERT_TRUE(said.ok()) << said.final;
  ExpectPromised("dht.announce", said.final);
  EXPECT_EQ(said.final["nodes"], 20);
  for (uint32_t n : {0u, 3u, 20u, 50u}) {
    auto a = net_.Call(n, "dht.lookup", {{"topic", "apples"}});
    ASSERT_TRUE(a.ok()) << a.final;
    ExpectPromised("dht.lookup", a.final);
    ASSERT_EQ(a.final["peers"].size(), 1u);
    EXPECT_EQ(a.final["peers"][0]["key"], said.final["key"]);
    EXPECT_GE(a.final["hops"].get<int>(), 1);
    EXPECT_GE(a.final["requests"].get<int>(), 20);
    ASSERT_EQ(a.events.size(), 1u);
    EXPECT_EQ(a.events[0]["tag"], "peer");
    EXPECT_EQ(a.events[0]["data"]["key"], said.final["key"]);
  }
  auto taken = net_.Call(7, "dht.unannounce", {{"topic", "apples"}});
  ASSERT_TRUE(taken.ok()) << taken.final;
  ExpectPromised("dht.unannounce", taken.final);
  EXPECT_EQ(taken.final["nodes"], 20);
  auto gone = net_.Call(3, "dht.lookup", {{"topic", "apples"}});
  EXPECT_EQ(gone.code(), "NOT_FOUND");
  // What it cost is told all the same.
  EXPECT_GE(gone.final["nodes"].get<int>(), 20);
  EXPECT_GE(gone.final["requests"].get<int>(), gone.final["nodes"].get<int>());
  EXPECT_GE(gone.final["hops"].get<int>(), 1);
  ASSERT_FALSE(gone.events.empty());
  EXPECT_EQ(gone.events.back()["tag"], "error");
  EXPECT_EQ(gone.events.back()["data"]["code"], "NOT_FOUND");
  EXPECT_EQ(net_.Call(7, "dht.unannounce", {{"topic", "apples"}}).code(), "NOT_FOUND");
}

TEST_F(OpsNetTest, ManyPeersOfATopicAreEachToldOnce) {
  for (uint32_t n = 1; n <= 30; ++n) ASSERT_TRUE(net_.Call(n, "dht.announce", {{"topic", "pears"}}).ok());
  auto a = net_.Call(40, "dht.lookup", {{"topic", "pears"}});
  ASSERT_TRUE(a.ok());
  std::set<std::string> keys;
  for (const Json& p : a.final["peers"]) EXPECT_TRUE(keys.insert(p["key"]).second);
  EXPECT_GE(keys.size(), 28u);  // Each node tells twenty of thirty by chance; twenty nodes tell.
  EXPECT_EQ(a.events.size(), keys.size());
}

TEST_F(OpsNetTest, AnAnnouncementOutlivesItsRecordsAge) {
  ASSERT_TRUE(net_.Call(7, "dht.announce", {{"topic", "apples"}}).ok());
  net_.host.Run(60min);
  EXPECT_TRUE(net_.Call(9, "dht.lookup", {{"topic", "apples"}}).ok());
  net_.host.Kill(7);  // Without goodbye: it ages.
  EXPECT_TRUE(net_.Call(9, "dht.lookup", {{"topic", "apples"}}).ok());
  net_.host.Run(27min);
  EXPECT_EQ(net_.Call(9, "dht.lookup", {{"topic", "apples"}}).code(), "NOT_FOUND");
}

TEST_F(OpsNetTest, AGoodbyeTakesTheAnnouncementsBackWithinTwoSeconds) {
  ASSERT_TRUE(net_.Call(7, "dht.announce", {{"topic", "apples"}}).ok());
  Instant begin = net_.host.now();
  net_.host.Stop(7);
  ASSERT_TRUE(net_.host.RunUntil([&] { return !net_.host.up(7); }, 2s));
  EXPECT_LE(net_.host.now() - begin, 2s);
  EXPECT_EQ(net_.Call(9, "dht.lookup", {{"topic", "apples"}}).code(), "NOT_FOUND");
}

TEST_F(OpsNetTest, AGoodbyeToASilentNetworkStillEnds) {
  ASSERT_TRUE(net_.Call(7, "dht.announce", {{"topic", "apples"}}).ok());
  OpId waiting = net_.NewOp();
  net_.host.set_filter([](uint32_t, uint32_t, Bytes) { return false; });
  net_.host.Call(7, waiting, "dht.lookup", R"({"topic":"apples"})");
  net_.host.Stop(7);
  EXPECT_EQ(net_.Wait(7, waiting).code(), "OFFLINE");
  EXPECT_TRUE(net_.host.RunUntil([&] { return !net_.host.up(7); }, 2s));
}

TEST_F(OpsNetTest, APeerThatAnnouncesItselfIsFoundByItsKey) {
  std::string key = net_.Call(5, "info").final["key"];
  auto unknown = net_.Call(9, "dht.find-peer", {{"key", key}});
  EXPECT_EQ(unknown.code(), "NOT_FOUND");
  EXPECT_EQ(unknown.final["nodes"], Json::array());
  EXPECT_GE(unknown.final["requests"].get<int>(), 20);
  std::string self = ToHex(hyperdht::Hash(*sidecar::ParseKey(key)));
  auto said = net_.Call(5, "dht.announce", {{"topic", self}});
  ASSERT_TRUE(said.ok()) << said.final;
  EXPECT_EQ(said.final["nodes"], 3);  // Clients come through these.
  EXPECT_EQ(net_.counts["dht.record.stored:self"], 3u);
  auto found = net_.Call(9, "dht.find-peer", {{"key", key}});
  ASSERT_TRUE(found.ok()) << found.final;
  ExpectPromised("dht.find-peer", found.final);
  EXPECT_EQ(found.final["found"], true);
  EXPECT_EQ(found.final["nodes"].size(), 3u);
  net_.host.Run(30min);  // Refreshed meanwhile.
  EXPECT_TRUE(net_.Call(9, "dht.find-peer", {{"key", key}}).ok());
  net_.host.Stop(5);
  net_.host.Run(2s);
  EXPECT_EQ(net_.Call(9, "dht.find-peer", {{"key", key}}).code(), "NOT_FOUND");
}

TEST_F(OpsNetTest, AnImmutableValueIsReadByAnyone) {
  auto put = net_.Call(4, "dht.put", {{"value", "hello world"}});
  ASSERT_TRUE(put.ok()) << put.final;
  ExpectPromised("dht.put", put.final);
  EXPECT_EQ(put.final["key"], "256c83b297114d201b30179f3f0ef0cace9783622da5974326b436178aeef610");
  EXPECT_EQ(put.final["sha256"], "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9");
  EXPECT_EQ(put.final["nodes"], 20);
  EXPECT_EQ(put.final["bytes"], 11);
  auto got = net_.Call(44, "dht.get", {{"key", put.final["key"]}});
  ASSERT_TRUE(got.ok()) << got.final;
  ExpectPromised("dht.get", got.final);
  EXPECT_EQ(got.final["value"], "hello world");
  EXPECT_EQ(got.final["encoding"], "utf8");
  EXPECT_EQ(got.final["sha256"], put.final["sha256"]);
  auto raw = net_.Call(4, "dht.put", {{"value", "00ff"}, {"encoding", "hex"}});
  ASSERT_TRUE(raw.ok());
  got = net_.Call(44, "dht.get", {{"key", raw.final["key"]}, {"mutable", false}});
  EXPECT_EQ(got.final["value"], "00ff");
  EXPECT_EQ(got.final["encoding"], "hex");
  EXPECT_EQ(got.final["bytes"], 2);
}

TEST_F(OpsNetTest, AMutableRecordIsReplacedAndItsNewestIsRead) {
  auto v1 = net_.Call(4, "dht.put", {{"value", "v1"}, {"mutable", true}});
  ASSERT_TRUE(v1.ok()) << v1.final;
  ExpectPromised("dht.put", v1.final);
  EXPECT_EQ(v1.final["seq"], 1);
  Json key = v1.final["key"];
  EXPECT_EQ(key, net_.Call(4, "info").final["key"]);
  auto v2 = net_.Call(4, "dht.put", {{"value", "v2"}, {"mutable", true}});
  EXPECT_EQ(v2.final["seq"], 2);
  for (const Json& params : {Json{{"key", key}}, Json{{"key", key}, {"mutable", true}}, Json{{"key", key}, {"seq", 2}, {"latest", false}}}) {
    auto got = net_.Call(33, "dht.get", params);
    ASSERT_TRUE(got.ok()) << got.final;
    ExpectPromised("dht.get", got.final);
    EXPECT_EQ(got.final["value"], "v2");
    EXPECT_EQ(got.final["seq"], 2);
  }
  EXPECT_EQ(net_.Call(33, "dht.get", {{"key", key}, {"seq", 3}}).code(), "NOT_FOUND");
  EXPECT_EQ(net_.Call(4, "dht.put", {{"value", "other"}, {"mutable", true}, {"seq", 2}}).code(), "SEQ_REUSED");
  EXPECT_EQ(net_.Call(4, "dht.put", {{"value", "old"}, {"mutable", true}, {"seq", 1}}).code(), "SEQ_TOO_LOW");
  EXPECT_EQ(net_.Call(4, "dht.put", {{"value", "v9"}, {"mutable", true}, {"seq", 9}}).final["seq"], 9);
}

TEST_F(OpsNetTest, AForgottenNetworkDoesNotMakeUsReuseASeq) {
  ASSERT_EQ(net_.Call(4, "dht.put", {{"value", "v1"}, {"mutable", true}}).final["seq"], 1);
  net_.host.Restart(4);  // A new life of the same store; meanwhile the network forgets.
  for (uint32_t n = 0; n <= kNodes; ++n) {
    if (n != 4) net_.host.Restart(n);
  }
  net_.host.Run(60s);
  auto v2 = net_.Call(4, "dht.put", {{"value", "v2"}, {"mutable", true}});
  ASSERT_TRUE(v2.ok()) << v2.final;
  EXPECT_EQ(v2.final["seq"], 2);
}

TEST_F(OpsNetTest, AnotherKeyPairSignsIfItsSeedIsGiven) {
  std::string seed(64, '3');
  auto put = net_.Call(4, "dht.put", {{"value", "mine"}, {"mutable", true}, {"seed", seed}});
  ASSERT_TRUE(put.ok());
  EXPECT_EQ(put.final["key"], ToHex(crypto::KeyPairFromSeed(*sidecar::ParseKey(seed)).public_key));
  EXPECT_EQ(net_.Call(8, "dht.get", {{"key", put.final["key"]}}).final["value"], "mine");
}

TEST_F(OpsNetTest, PingAndTheWalkAndTheTable) {
  std::string address = net_.host.address(9).with_port(49737).ToString();
  auto ping = net_.Call(2, "dht.ping", {{"address", address}});
  ASSERT_TRUE(ping.ok()) << ping.final;
  ExpectPromised("dht.ping", ping.final);
  EXPECT_EQ(ping.final["rtt_ms"], 40.0);
  EXPECT_EQ(ping.final["to"], net_.host.address(2).with_port(49737).ToString());
  auto silent = net_.Call(2, "dht.ping", {{"address", "10.9.9.9:1"}});
  EXPECT_EQ(silent.code(), "TIMEOUT");
  EXPECT_EQ(silent.final["step"], "ping");
  auto walk = net_.Call(2, "dht.find-node", {{"target", "apples"}});
  ASSERT_TRUE(walk.ok());
  ExpectPromised("dht.find-node", walk.final);
  EXPECT_EQ(walk.final["nodes"].size(), 20u);
  auto table = net_.Call(2, "dht.nodes");
  ASSERT_TRUE(table.ok());
  ExpectPromised("dht.nodes", table.final);
  EXPECT_EQ(table.final["nodes"].size(), table.final["count"].get<size_t>());
}

TEST_F(OpsNetTest, ACutNetworkSaysWhichStepWaited) {
  net_.host.set_filter([](uint32_t from, uint32_t to, Bytes) { return from != 6 && to != 6; });
  auto a = net_.Call(6, "dht.lookup", {{"topic", "apples"}}, 60s);
  EXPECT_EQ(a.code(), "TIMEOUT");
  EXPECT_EQ(a.final["step"], "search");
}

TEST_F(OpsNetTest, AfterACutBothHalvesFindEachOthersAnnouncements) {
  auto left = [](uint32_t n) { return n <= 25; };
  net_.host.set_filter([&](uint32_t from, uint32_t to, Bytes) { return left(from) == left(to); });
  net_.host.Run(60s);
  ASSERT_TRUE(net_.Call(40, "dht.announce", {{"topic", "apples"}}, 60s).ok());
  auto put = net_.Call(40, "dht.put", {{"value", "v2"}, {"mutable", true}}, 60s);
  ASSERT_TRUE(put.ok());
  EXPECT_FALSE(net_.Call(10, "dht.lookup", {{"topic", "apples"}}, 60s).ok());
  net_.host.set_filter(nullptr);
  net_.host.Run(30s);
  for (uint32_t n = 0; n <= kNodes; n += 5) {
    EXPECT_TRUE(net_.Call(n, "dht.lookup", {{"topic", "apples"}}).ok()) << n;
    EXPECT_EQ(net_.Call(n, "dht.get", {{"key", put.final["key"]}}).final["value"], "v2") << n;
  }
}

TEST_F(OpsNetTest, AnInterfaceThatChangesBringsTheAnnouncementForward) {
  ASSERT_TRUE(net_.Call(7, "dht.announce", {{"topic", "apples"}}).ok());
  uint64_t before = net_.counts["dht.record.stored:peer"];
  net_.host.Run(30s);
  EXPECT_EQ(net_.counts["dht.record.stored:peer"], before);
  net_.host.Feed(7, InterfacesChanged{});
  net_.host.Run(10s);
  EXPECT_EQ(net_.counts["dht.record.stored:peer"], before + 20);
}

TEST(OpsTest, WrongCallsAreRefusedWithTheReason) {
  NodeNet net;
  net.Grow(2, 5s);
  auto a = net.Call(1, "dht.lookup", {{"topik", "apples"}});
  EXPECT_EQ(a.code(), "ERR_PARAMS");
  ASSERT_EQ(a.events.size(), 1u);
  EXPECT_EQ(a.events[0]["data"]["param"], "topik");
  EXPECT_EQ(a.events[0]["data"]["expected"], "topic");
  EXPECT_EQ(net.Call(1, "dht.frobnicate").code(), "ERR_UNKNOWN_OPERATION");
  a = net.Call(1, "dht.put", {{"value", std::string(1001, 'x')}});
  EXPECT_EQ(a.code(), "OVERSIZE");
  EXPECT_EQ(a.events[0]["data"]["found"], "1001 bytes");
  EXPECT_EQ(net.Call(1, "dht.put", {{"value", "abc"}, {"encoding", "hex"}}).code(), "ERR_PARAMS");
  EXPECT_EQ(net.Call(1, "dht.put", {{"value", "abc"}, {"seq", 1}}).code(), "ERR_PARAMS");
  a = net.Call(1, "dht.put", {{"value", "abc"}, {"mutable", true}, {"seed", "secret"}});
  EXPECT_EQ(a.code(), "ERR_PARAMS");
  EXPECT_EQ(a.events[0].dump().find("secret"), std::string::npos);
}

TEST(OpsTest, AnAloneNodeIsOffline) {
  NodeNet net;
  sidecar::Config c;
  c.dht.nodes.emplace();
  net.Add("alone", c);
  net.host.Run(5s);
  EXPECT_EQ(net.Call(0, "dht.lookup", {{"topic", "apples"}}).code(), "OFFLINE");
  EXPECT_EQ(net.Call(0, "dht.put", {{"value", "x"}}).code(), "OFFLINE");
}

TEST(OpsTest, TheSameSeedGivesTheSameRun) {
  auto run = [](uint64_t seed) {
    NodeNet net({.seed = seed});
    net.Grow(12, 30s);
    net.Call(3, "dht.announce", {{"topic", "apples"}});
    net.Call(5, "dht.put", {{"value", "v1"}, {"mutable", true}});
    net.Call(9, "dht.lookup", {{"topic", "apples"}});
    return net.host.fingerprint();
  };
  std::string first = run(1);
  EXPECT_EQ(first, run(1));
  EXPECT_NE(first, run(2));
}

TEST(OpsTest, TheIdentityIsOfTheSeedOrKept) {
  NodeNet net;
  sidecar::Config given;
  given.dht.nodes.emplace();
  given.seed_hex = std::string(64, '5');
  net.Add("given", given);
  EXPECT_EQ(net.node(0).public_key(), crypto::KeyPairFromSeed(*sidecar::ParseKey(given.seed_hex)).public_key);
  sidecar::Config drawn;
  drawn.dht.nodes.emplace();
  net.Add("drawn", drawn);
  Key32 key = net.node(1).public_key();
  net.host.Run(1s);
  net.host.PowerLoss(1);
  net.host.StartNode(1);
  EXPECT_EQ(net.node(1).public_key(), key);
  EXPECT_NE(net.node(0).public_key(), key);
}

// Whatever it says: an answer, not the end of the node.
TEST(OperationsTest, EveryParameterMayStandAloneAndBesideEachOther) {
  const auto value = [](const sidecar::Param& p) -> Json {
    switch (p.type) {
      case sidecar::ParamType::kKey: case sidecar::ParamType::kTopic: return std::string(64, '7');
      case sidecar::ParamType::kAddress: return "10.0.0.1:1";
      case sidecar::ParamType::kText: return "7";
      case sidecar::ParamType::kUint: case sidecar::ParamType::kBytes: return 7;
      case sidecar::ParamType::kBool: return true;
      case sidecar::ParamType::kChoice: return std::string(p.choices.substr(0, p.choices.find(' ')));
    }
    return {};
  };
  NodeNet net;
  net.Grow(2);
  uint32_t asked = 0;
  for (const sidecar::Operation& o : sidecar::Operations()) {
    if (o.local) continue;
    Json required = Json::object();
    std::vector<const sidecar::Param*> others;
    for (const sidecar::Param& p : o.params) {
      if (p.required) required[std::string(p.name)] = value(p);
      else others.push_back(&p);
    }
    for (size_t i = 0; i <= others.size(); ++i) {
      for (size_t j = i; j <= others.size(); ++j) {  // The last of each: none.
        Json params = required;
        if (i < others.size()) params[std::string(others[i]->name)] = value(*others[i]);
        if (j < others.size()) params[std::string(others[j]->name)] = value(*others[j]);
        net.host.Call(1, OpId{1'000'000 + asked++}, o.name, params.dump());
        net.host.Run(1ms);
      }
    }
  }
  EXPECT_GT(asked, 200u);
  EXPECT_TRUE(net.Call(0, "info").ok());
}

}  // namespace
}  // namespace orchard
