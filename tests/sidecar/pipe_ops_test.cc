// `pipe` between whole nodes: which connection a waiting one takes, and who may believe that his bytes arrived.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/sidecar/ops.h"
#include "node/swarm/swarm.h"
#include "tests/sidecar/node_net.h"

namespace orchard::sidecar {
namespace {

using namespace std::chrono_literals;
using Json = NodeNet::Json;
using testing::HasSubstr;

class PipeOpsTest : public ::testing::Test {
 protected:
  void SetUp() override { net_.Grow(4, 20s); }
  std::string Key(uint32_t n) { return ToHex(net_.node(n).public_key()); }
  OpId Pipe(uint32_t n, Json params = Json::object()) {
    OpId op = net_.NewOp();
    net_.host.Call(n, op, "pipe", params.dump());
    return op;
  }
  OpId To(uint32_t n, uint32_t to) { return Pipe(n, {{"to", Key(to)}}); }
  // All its input, at once.
  void Say(uint32_t n, OpId op, std::string_view bytes, bool end = true) { net_.host.Data(n, op, bytes, end); }
  std::string Got(uint32_t n, OpId op) { return net_.host.op_bytes(n, op); }
  bool Ended(uint32_t n, OpId op) { return net_.host.Final(n, op) != nullptr; }
  NodeNet net_;
};

TEST_F(PipeOpsTest, WhatNobodyReadsIsNoSuccess) {
  ASSERT_TRUE(net_.Call(1, "listen").ok());
  const OpId gives = To(2, 1);
  Say(2, gives, "hello");
  NodeNet::Answer a = net_.Wait(2, gives);
  EXPECT_EQ(a.code(), "ECONNRESET") << a.final;
  EXPECT_THAT(a.final["message"].get<std::string>(), HasSubstr("run orchard pipe first"));
  net_.host.Run(1s);
  EXPECT_EQ(net_.Call(1, "connections").final["count"], 0);
  // It was not kept for the next either.
  const OpId takes = Pipe(1);
  net_.host.Run(10s);
  EXPECT_EQ(Got(1, takes), "");
}

TEST_F(PipeOpsTest, OfTwoWhoWriteOneIsReadAndTheOtherToldSo) {
  const OpId takes = Pipe(1);
  net_.host.Run(2s);
  const OpId first = To(2, 1), second = To(3, 1);
  Say(2, first, "first", false);
  net_.host.Run(2s);
  Say(3, second, "second");
  EXPECT_EQ(net_.Wait(3, second).code(), "ECONNRESET");
  Say(2, first, " and last");
  EXPECT_TRUE(net_.Wait(2, first, 1s).code() == "(no answer)");  // The other half is open still.
  Say(1, takes, "thanks");
  EXPECT_TRUE(net_.Wait(2, first).ok());
  EXPECT_TRUE(net_.Wait(1, takes).ok());
  EXPECT_EQ(Got(1, takes), "first and last");
  EXPECT_EQ(Got(2, first), "thanks");
}

TEST_F(PipeOpsTest, WhoOnlyLooksDoesNotUseUpAPipe) {
  const OpId takes = Pipe(1);
  Say(1, takes, "");
  net_.host.Run(2s);
  ASSERT_TRUE(net_.Call(2, "doctor", {{"to", Key(1)}}).ok());
  ASSERT_TRUE(net_.Call(2, "connect", {{"to", Key(1)}, {"fresh", true}}).ok());
  ASSERT_TRUE(net_.Call(3, "connect", {{"to", Key(1)}}).ok());  // That one stays.
  net_.host.Run(30s);
  EXPECT_FALSE(Ended(1, takes));
  const OpId gives = To(4, 1);
  Say(4, gives, "hello");
  EXPECT_TRUE(net_.Wait(4, gives).ok());
  EXPECT_TRUE(net_.Wait(1, takes).ok());
  EXPECT_EQ(Got(1, takes), "hello");
}

TEST_F(PipeOpsTest, WhoHasSomethingToSayNeedNotBeSpokenToFirst) {
  const std::string film(100'000, 'f');
  // The input of the one that dials is open and silent, or ends at once; what is to be said is there before or comes later.
  for (bool empty : {false, true}) {
    for (bool late : {false, true}) {
      const OpId serves = Pipe(1);
      if (!late) Say(1, serves, film);
      net_.host.Run(2s);
      const OpId fetches = To(2, 1);
      if (empty) Say(2, fetches, "");
      net_.host.Run(2s);
      if (late) Say(1, serves, film);
      net_.host.Run(2s);
      EXPECT_EQ(Got(2, fetches).size(), film.size()) << empty << late;
      if (!empty) Say(2, fetches, "");
      EXPECT_TRUE(net_.Wait(2, fetches).ok());
      EXPECT_TRUE(net_.Wait(1, serves).ok());
    }
  }
}

TEST_F(PipeOpsTest, OneThatWaitsForAPeerTakesNoOther) {
  const OpId takes = Pipe(1, {{"from", Key(3)}});
  Say(1, takes, "");
  net_.host.Run(2s);
  const OpId wrong = To(2, 1);
  Say(2, wrong, "wrong");
  EXPECT_EQ(net_.Wait(2, wrong).code(), "ECONNRESET");
  const OpId right = To(3, 1);
  Say(3, right, "right");
  EXPECT_TRUE(net_.Wait(3, right).ok());
  EXPECT_TRUE(net_.Wait(1, takes).ok());
  EXPECT_EQ(Got(1, takes), "right");
  // How a peer is dialed is nothing that a pipe which waits could heed.
  for (const Json& dials : {Json{{"relay", "only"}}, Json{{"punch", "never"}}, Json{{"through", Key(3)}}}) {
    EXPECT_EQ(net_.Call(1, "pipe", dials).code(), "ERR_PARAMS") << dials;
  }
  NodeNet::Answer both = net_.Call(1, "pipe", {{"from", Key(3)}, {"to", Key(2)}});
  EXPECT_EQ(both.code(), "ERR_PARAMS");
}

// Two who met in a topic hold a connection already; whoever dialled it.
TEST_F(PipeOpsTest, APipeStandsBesideTheConnectionOfASwarm) {
  for (Duration since : {Duration(2s), Duration(60s)}) {
    for (uint32_t n : {1u, 2u}) ASSERT_TRUE(net_.Call(n, "swarm.join", {{"topic", "apples"}}).ok());
    for (uint32_t n : {1u, 2u}) {
      ASSERT_TRUE(net_.host.RunUntil([&] { return net_.node(n).swarm()->open() == 1; }, 60s));
    }
    net_.host.Run(since);
    for (auto [from, to] : {std::pair(1u, 2u), std::pair(2u, 1u)}) {
      auto links = [&](uint32_t n) { return net_.node(n).swarm()->links(); };
      const hyperdht::ConnectionId before = links(from).begin()->first;
      const OpId takes = Pipe(to);
      Say(to, takes, "");
      const OpId gives = To(from, to);
      Say(from, gives, "one", false);
      net_.host.Run(5s);
      ASSERT_TRUE(net_.Call(from, "doctor", {{"to", Key(to)}}).ok());
      Say(from, gives, ", two");
      EXPECT_TRUE(net_.Wait(from, gives).ok()) << net_.Wait(from, gives).final;
      EXPECT_TRUE(net_.Wait(to, takes).ok());
      EXPECT_EQ(Got(to, takes), "one, two");
      net_.host.Run(1s);
      ASSERT_EQ(links(from).size(), 1u);
      EXPECT_EQ(links(from).begin()->first, before);  // It was never lost.
      EXPECT_EQ(net_.node(to).swarm()->open(), 1u);
      for (uint32_t n : {from, to}) EXPECT_EQ(net_.Call(n, "connections").final["count"], 1) << n;
    }
    for (uint32_t n : {1u, 2u}) ASSERT_TRUE(net_.Call(n, "swarm.leave", {{"topic", "apples"}}).ok());
    net_.Call(1, "disconnect", {{"to", Key(2)}});
    net_.host.Run(5s);
  }
}

TEST_F(PipeOpsTest, ASwarmsSilentConnectionIsNotTakenByAPipeThatHasSomethingToSay) {
  for (uint32_t n : {1u, 2u}) ASSERT_TRUE(net_.Call(n, "swarm.join", {{"topic", "apples"}, {"client", n == 2}}).ok());
  ASSERT_TRUE(net_.host.RunUntil([&] { return net_.node(1).swarm()->open() == 1; }, 60s));
  const OpId serves = Pipe(1);
  Say(1, serves, "film");
  net_.Call(2, "disconnect", {{"to", Key(1)}});  // It is dialled again while the pipe waits.
  ASSERT_TRUE(net_.host.RunUntil([&] { return net_.node(1).swarm()->open() == 1; }, 60s));
  net_.host.Run(10s);
  EXPECT_FALSE(Ended(1, serves));
  EXPECT_EQ(net_.node(1).swarm()->open(), 1u);
}

}  // namespace
}  // namespace orchard::sidecar
