// Operations that dial: who shares a connection, and who gets one of his own.

#include <gtest/gtest.h>

#include <set>

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

}  // namespace
}  // namespace orchard::sidecar
