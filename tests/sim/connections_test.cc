// Connections as the recorder has them: metrics and events of what nodes trace.
#include <gmock/gmock.h>

#include "tests/sim/toy_connections.h"

namespace orchard::sim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Net : ToyRun {
  explicit Net(std::string_view timeline = "", std::string_view claims = R"({"says": "c", "never": "dht.ephemeral"})")
      : ToyRun(Cat(R"({"says": "x", "duration": "100s", "hosts": [{"id": "a", "nat": "symmetric", "region": "eu"}, {"id": "b", "nat": "cgn", "region": "au"},
          {"id": "p", "count": 4, "region": "eu"}], "timeline": [)", timeline, R"(], "claims": [)", claims, "]}")), told(*this) {}
  void At(int64_t second, std::function<void()> act) { stage->At(Second(second), std::move(act)); }
  std::vector<int64_t> Of(std::string_view metric, std::string_view key = {}, std::string_view value = {}) const {
    std::vector<int64_t> out;
    const Series* s = recorder->Find(metric);
    for (size_t i = 0; s != nullptr && i < s->samples.size(); ++i) {
      if (key.empty() || recorder->TagValue(s->samples[i].tag, key) == value) out.push_back(s->samples[i].micro);
    }
    return out;
  }
  // An operation that the entry number `as` - 1 caused.
  void Operation(std::string_view who, uint32_t op, uint16_t as, std::string_view action, std::string_view param, std::string_view value) {
    Json params = Json::Object();
    params.At(param) = Json::Text(value);
    connections->OnOperation(stage->now(), host(who), OpId{op}, as, action, params);
  }
  ToyConnections told;
};

TEST(ConnectionsTest, ADialThatOpensIsCountedOnceWithItsPathAndTheOthersNat) {
  Net n;
  n.At(10, [&] { n.told.Open(n.told.Dial("a", "b"), "punched"); });
  n.Run();
  EXPECT_THAT(n.Of("connect.opened"), ElementsAre(kMicro, kMicro));
  EXPECT_THAT(n.Of("connect.opened", "side", "out"), ElementsAre(kMicro));
  EXPECT_THAT(n.Of("connect.opened", "remote_nat", "symmetric"), ElementsAre(kMicro));  // At b.
  EXPECT_THAT(n.Of("connect.ok", "path", "punched"), ElementsAre(kMicro));
  EXPECT_THAT(n.Of("connect.ok", "remote_nat", "cgn"), ElementsAre(kMicro));
  EXPECT_THAT(n.Of("connect_ms"), ElementsAre(1500 * kMicro));
  EXPECT_THAT(n.Of("connect.attempts", "path", "punched"), ElementsAre(kMicro));
  EXPECT_THAT(n.Of("connect.probes"), ElementsAre(12 * kMicro));
  EXPECT_THAT(n.Of("connect.path"), ElementsAre(kMicro));
}

TEST(ConnectionsTest, AFailureSaysItsErrorAndItsStep) {
  Net n;
  n.At(10, [&] { n.told.Fail(n.told.Dial("a", "b"), "HOLEPUNCH_ABORTED", "probe"); });
  n.Run();
  EXPECT_THAT(n.Of("connect.ok", "error", "HOLEPUNCH_ABORTED"), ElementsAre(0));
  EXPECT_THAT(n.Of("connect.failed", "step", "probe"), ElementsAre(kMicro));
  EXPECT_THAT(n.Of("connect.attempts"), ElementsAre(3 * kMicro));
  EXPECT_THAT(n.Of("connect.path"), IsEmpty());
}

// An operation of the timeline that this version's node may not have yet: the file says `info`, the run carries out `action`.
void Becomes(Net& n, size_t entry, std::string_view action, std::string_view to) {
  n.scenario->timeline[entry].action = action;
  n.scenario->timeline[entry].with.At("to") = Json::Text(to);
}

TEST(ConnectionsTest, AnOperationCountsItsDialItselfAndIsItsCause) {
  Net n(R"({"at": "10s", "who": "a", "do": "info", "as": "ring"})");
  Becomes(n, 0, "connect", "@b");
  n.answer = [&](HostIndex, std::string_view, std::string_view) {
    n.told.Open(n.told.Dial("a", "b"), "relayed");
    return ToyRun::Answer{R"({"tag":"final","data":{"ok":true,"path":"relayed","attempts":1,"probes":12}})", std::chrono::seconds(2)};
  };
  n.Run();
  EXPECT_THAT(n.Of("connect.ok"), ElementsAre(kMicro)) << "not also by the trace";
  EXPECT_THAT(n.Of("connect.ok", "path", "relayed"), ElementsAre(kMicro));
  EXPECT_THAT(n.Of("connect.ok", "remote_nat", "cgn"), ElementsAre(kMicro));
  EXPECT_THAT(n.Of("connect_ms"), ElementsAre(2000 * kMicro)) << "from the intended start";
  EXPECT_THAT(n.Of("connect.path"), ElementsAre(0)) << "through a relay";
  for (const char* metric : {"connect.ok", "connect.attempts", "connect.opened"}) EXPECT_EQ(n.recorder->Find(metric)->samples[0].as, 1) << metric;
}

TEST(ConnectionsTest, WhatIsSentAndNeverReceivedIsLostAtTheEndAndWhenTheStreamCloses) {
  Net n;
  ToyConnections::Two one, two;
  n.At(10, [&] { n.told.Open(one = n.told.Dial("a", "b"), "punched"), n.told.Send(one, 1000); });
  n.At(11, [&] { n.told.Receive(one, 600); });
  n.At(20, [&] { n.told.Close(one, "ETIMEDOUT"); });
  n.At(30, [&] { n.told.Open(two = n.told.Dial("a", "b"), "relayed"), n.told.Send(two, 50); });
  n.Run(60);
  EXPECT_THAT(n.Of("stream.bytes_lost"), ElementsAre(400 * kMicro));
  EXPECT_EQ(n.recorder->Find("stream.bytes_lost")->samples[0].host, n.host("a"));
  n.Run();
  n.Finish();
  EXPECT_THAT(n.Of("stream.bytes_lost", "path", "relayed"), ElementsAre(50 * kMicro));
  EXPECT_THAT(n.Of("stream.bytes"), ElementsAre(600 * kMicro));
  EXPECT_THAT(n.Of("stream.goodput_mbps"), ElementsAre(600 * 8));
  EXPECT_THAT(n.Of("stream.closed", "error", "ETIMEDOUT"), ElementsAre(kMicro, kMicro));
}

TEST(ConnectionsTest, SilenceIsAGapOnlyWhileThereIsSomethingToHear) {
  Net n;
  ToyConnections::Two c;
  n.At(10, [&] { n.told.Open(c = n.told.Dial("a", "b"), "punched"), n.told.Send(c, 300); });
  n.At(11, [&] { n.told.Receive(c, 100); });
  n.At(18, [&] { n.told.Receive(c, 200); });                    // 7 s of silence: something was under way.
  n.At(40, [&] { n.told.Send(c, 10); });                        // 22 s of silence: there was nothing to say.
  n.At(41, [&] { n.told.Receive(c, 10); });
  n.Run();
  n.Finish();
  EXPECT_THAT(n.Of("stream.gap_ms"), ElementsAre(1000 * kMicro, 7000 * kMicro, 1000 * kMicro));
  EXPECT_THAT(n.Of("stream.bytes_lost"), IsEmpty());
  EXPECT_THAT(n.Of("stream.stalled"), ElementsAre(kMicro)) << "once, a second after the first 100 bytes";
}

TEST(ConnectionsTest, ATransferThatNeverGoesOnIsAGapToTheEnd) {
  Net n;
  ToyConnections::Two c;
  n.At(9, [&] { n.told.Open(c = n.told.Dial("a", "b"), "punched"); });
  n.At(10, [&] { n.Operation("a", 1, 7, "send", "to", HostKeyHex(1, "b")); });
  n.At(12, [&] { n.told.Send(c, 100); });
  n.At(13, [&] { n.told.Receive(c, 100); });  // All that was sent; but the operation is still under way.
  n.Run();
  n.Finish();
  EXPECT_THAT(n.Of("stream.gap_ms"), ElementsAre(1000 * kMicro, 87'000 * kMicro));
  EXPECT_EQ(n.recorder->Find("stream.bytes")->samples[0].as, 7);
}

TEST(ConnectionsTest, AHostThatDiesTakesItsEndsWithIt) {
  Net n(R"({"at": "20s", "on": "b", "do": "kill"})", R"({"says": "c", "connected": ["a", "b"], "during": ["15s", "30s"]})");
  n.At(10, [&] { n.told.Open(n.told.Dial("a", "b"), "punched"); });
  n.Run();
  EXPECT_EQ(n.Finish().verdict, Verdict::kFailed);
  EXPECT_THAT(n.claim().why[0], testing::HasSubstr("punched; none from 20s"));
}

TEST(ConnectionsTest, ReachIsTheShareOfATopicThatHangsTogether) {
  Net n(R"({"at": "60s", "on": "p-4", "do": "kill"})");
  n.At(1, [&] {
    for (uint32_t i = 1; i <= 4; ++i) n.Operation(Cat("p-", i), i, 0, "swarm.join", "topic", "orchard"), n.connections->OnOperationEnd(Second(1), OpId{i}, true);
  });
  n.At(70, [&] { n.Operation("p-3", 9, 0, "swarm.leave", "topic", "orchard"); });
  auto last = [&](std::string_view metric, std::string_view who) {
    int64_t out = -1;
    for (const Reading& r : n.recorder->Find(metric)->samples) out = r.host == n.host(who) ? r.micro : out;
    return out;
  };
  ToyConnections::Two c;
  n.At(10, [&] { n.told.Open(c = n.told.Dial("p-1", "p-2"), "direct"), n.told.Open(n.told.Dial("p-2", "p-3"), "direct"), n.told.Open(n.told.Dial("p-4", "a"), "direct"); });
  n.Run(20);
  EXPECT_EQ(last("swarm.reach_ratio", "p-1"), 666'666) << "two of three others, over p-2";
  EXPECT_EQ(last("swarm.reach_ratio", "p-4"), 0) << "a is not on the topic";
  EXPECT_EQ(last("swarm.peers", "p-2"), 2 * kMicro);
  EXPECT_EQ(last("swarm.peers", "p-4"), kMicro);
  n.At(50, [&] { n.told.Close(c); });
  n.Run(55);
  EXPECT_EQ(last("swarm.reach_ratio", "p-2"), 333'333);
  n.Run(65);
  EXPECT_EQ(last("swarm.reach_ratio", "p-2"), 500'000) << "p-4 is down";
  n.Run();
  EXPECT_EQ(last("swarm.reach_ratio", "p-2"), 0) << "p-3 left, p-1 is not connected";
}

TEST(ConnectionsTest, OtherEventsAreClaimedByName) {
  Net n("", R"({"says": "c", "never": "stream.closed", "of": "a", "during": ["5s", "60s"]}, {"says": "d", "event": "server.remapped", "of": "b", "since": "5s", "by": "30s"},
               {"says": "e", "metric": "connect.remote_changes", "at_most": 1}, {"says": "f", "event": "connect.path_changed", "where": {"path": "punched"}, "count_is": 2})");
  ToyConnections::Two c;
  n.At(10, [&] { n.told.Open(c = n.told.Dial("a", "b"), "relayed"), n.told.Change(c, "punched"); });
  n.At(20, [&] {
    n.Trace("b", hyperdht::ServerRemaps{n.told.KeyOf("b")});
    n.Trace("a", hyperdht::ConnectRemoteChanged{c.at_a, n.told.KeyOf("b")});
    n.Trace("b", hyperdht::ConnectRefused{"replayed"});
  });
  n.At(70, [&] { n.told.Close(c); });
  n.Run();
  n.Finish();
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(n.claim(i).verdict, Verdict::kHeld) << n.claim(i).observed;
  EXPECT_THAT(n.Of("connect.refused", "why", "replayed"), ElementsAre(kMicro));
}

TEST(ConnectionsTest, AMomentMayWaitForAConnectionOfACertainPath) {
  Net n(R"({"when": {"event": "connect.opened", "of": "a", "where": {"path": "punched", "remote_nat": "cgn"}}, "as": "met"})");
  n.At(10, [&] { n.told.Open(n.told.Dial("a", "p-1"), "punched"); });
  n.At(20, [&] { n.told.Open(n.told.Dial("a", "b"), "relayed"); });
  n.At(30, [&] { n.told.Open(n.told.Dial("a", "b"), "punched"); });
  n.Run();
  EXPECT_EQ(n.moments->Began("met"), Second(30));
}

}  // namespace
}  // namespace orchard::sim
