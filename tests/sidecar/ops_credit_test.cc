// What an operation costs when its caller does not read, dies, or asks too much.

#include <gtest/gtest.h>

#include "node/sidecar/ops.h"
#include "tests/sidecar/node_net.h"

namespace orchard {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

// A node's operations alone: its DHT knows nobody, so nothing ends before the test says so.
class OpsCreditTest : public ::testing::Test {
 protected:
  OpsCreditTest() {
    hyperdht::News none;
    Turn([&](orchard::Turn& t) { dht_.OnStart(t, none); });
    Turn([&](orchard::Turn& t) { dht_.OnSocketOpened(t, {SocketId{1}, Endpoint::V4(1, 1), {}}, none); });
    Turn([&](orchard::Turn& t) { dht_.OnSocketOpened(t, {SocketId{2}, Endpoint::V4(1, 2), {}}, none); });
  }
  template <class F>
  void Turn(F&& f) {
    now_ += 1ms;
    Trace trace(nullptr, nullptr);
    orchard::Turn turn{now_, 0s, rng_, store_, out_, trace};
    f(turn);
    store_.Commit(nullptr);
    for (const Output& o : out_.outputs()) {
      if (o.what == Do::kOpEvent) events_.push_back(std::string(AsText(out_.bytes(o))));
      if (o.what == Do::kOpFinal) finals_.push_back(std::string(AsText(out_.bytes(o))));
    }
    out_.Clear();
  }
  void Call(uint32_t op, std::string_view name, std::string_view params) {
    Turn([&](orchard::Turn& t) { ops_.OnCall(t, target(), {OpId{op}, name, AsBytes(params)}); });
  }
  // The lookup that began as flow `flow` meets `n` peers.
  void Meet(uint32_t flow, int n) {
    hyperdht::PeersFound found{.flow = hyperdht::FlowId{flow}, .from = Endpoint::V4(9, 9)};
    for (int i = 0; i < n; ++i, ++peer_) found.peers.push_back({.public_key = Key32{uint8_t(peer_), uint8_t(peer_ >> 8)}});
    hyperdht::News news;
    news.push_back(found);
    Turn([&](orchard::Turn& t) { ops_.OnNews(t, target(), news); });
  }
  void Finish(uint32_t flow, hyperdht::Outcome outcome = hyperdht::Outcome::kOk) {
    hyperdht::News news;
    news.push_back(hyperdht::FlowEnded{.flow = hyperdht::FlowId{flow}, .kind = hyperdht::FlowKind::kLookup, .outcome = outcome});
    Turn([&](orchard::Turn& t) { ops_.OnNews(t, target(), news); });
  }
  sidecar::OpTarget target() { return {.dht = dht_, .key = key_, .config = config_, .started = Instant{}, .interfaces = {}}; }

  Instant now_{1s};
  Rng rng_ = Rng::Named(1, "ops", "credit");
  MemStore store_;
  Outbox out_;
  crypto::KeyPair key_ = crypto::KeyPairFromSeed(Key32{1});
  hyperdht::Dht dht_{{.cache = false}};
  sidecar::Config config_;
  sidecar::Ops ops_;
  std::vector<std::string> events_, finals_;
  int peer_ = 0;
};

TEST_F(OpsCreditTest, TheFirstEventIsGrantedAndTheRestWait) {
  Call(1, "dht.lookup", R"({"topic":"apples"})");
  Meet(1, 10);
  EXPECT_EQ(events_.size(), 1u);
  Turn([&](orchard::Turn& t) { ops_.OnCredit(t, target(), {OpId{1}, 4}); });
  EXPECT_EQ(events_.size(), 5u);
  Turn([&](orchard::Turn& t) { ops_.OnCredit(t, target(), {OpId{1}, 100}); });
  EXPECT_EQ(events_.size(), 10u);
  Meet(1, 1);
  EXPECT_EQ(events_.size(), 11u);
  Finish(1);  // Nothing is held, so the final comes at once.
  ASSERT_EQ(finals_.size(), 1u);
  EXPECT_EQ(Json::parse(finals_[0])["data"]["peers"].size(), 11u);
  EXPECT_EQ(ops_.running(), 0u);
}

TEST_F(OpsCreditTest, TheFinalFollowsTheHeldEvents) {
  Call(1, "dht.lookup", R"({"topic":"apples"})");
  Meet(1, 10);
  Finish(1);
  EXPECT_TRUE(finals_.empty());
  Turn([&](orchard::Turn& t) { ops_.OnCredit(t, target(), {OpId{1}, 8}); });
  EXPECT_EQ(events_.size(), 9u);
  EXPECT_TRUE(finals_.empty());
  Turn([&](orchard::Turn& t) { ops_.OnCredit(t, target(), {OpId{1}, 1}); });
  EXPECT_EQ(events_.size(), 10u);
  ASSERT_EQ(finals_.size(), 1u);
  EXPECT_EQ(Json::parse(finals_[0])["data"]["peers"].size(), 10u);
  EXPECT_EQ(ops_.running(), 0u);
}

TEST_F(OpsCreditTest, AnErrorWaitsForCreditToo) {
  Call(1, "dht.lookup", R"({"topic":"apples"})");
  Meet(1, 1);  // Takes the granted event.
  Finish(1, hyperdht::Outcome::kTimeout);
  EXPECT_TRUE(finals_.empty());
  Turn([&](orchard::Turn& t) { ops_.OnCredit(t, target(), {OpId{1}, 1}); });
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_EQ(Json::parse(events_[1])["data"]["step"], "search");
  ASSERT_EQ(finals_.size(), 1u);
  EXPECT_EQ(Json::parse(finals_[0])["data"]["code"], "TIMEOUT");
}

TEST_F(OpsCreditTest, WhoeverWaitsOrCallsWhileTheNodeStopsIsTold) {
  Call(1, "dht.lookup", R"({"topic":"apples"})");
  Call(2, "dht.lookup", R"({"topic":"apples"})");
  Meet(2, 5);
  Finish(2);
  Turn([&](orchard::Turn& t) { ops_.OnStop(t); });
  Call(3, "info", "{}");
  ASSERT_EQ(finals_.size(), 3u);
  EXPECT_EQ(Json::parse(finals_[0])["data"]["code"], "OFFLINE");
  EXPECT_EQ(Json::parse(finals_[1])["data"]["ok"], true);  // It had ended; only its reader was slow.
  EXPECT_EQ(Json::parse(finals_[2])["data"]["code"], "OFFLINE");
}

TEST_F(OpsCreditTest, ACallerThatNeverReadsIsBounded) {
  Call(1, "dht.lookup", R"({"topic":"apples"})");
  for (int i = 0; i < 500; ++i) Meet(1, 20);
  EXPECT_EQ(events_.size(), 1u);
  EXPECT_LE(ops_.held_bytes(), 300u * 1024);  // Held events and the final's list.
  Finish(1);
  EXPECT_TRUE(finals_.empty());
  EXPECT_LE(ops_.held_bytes(), 300u * 1024);
  Turn([&](orchard::Turn& t) { ops_.OnCredit(t, target(), {OpId{1}, 1u << 20}); });
  ASSERT_EQ(finals_.size(), 1u);
  EXPECT_EQ(Json::parse(finals_[0])["data"]["peers"].size(), sidecar::Ops::kListMax);
  EXPECT_EQ(ops_.held_bytes(), 0u);
}

TEST_F(OpsCreditTest, ACancelledCallIsForgottenAtOnce) {
  Call(1, "dht.lookup", R"({"topic":"apples"})");
  Call(2, "dht.get", R"({"key":"aaeeeb72f686029485137eb9ad00a4d773713ca566473b2ade44a6b0338c9c98"})");
  Call(3, "dht.announce", R"({"topic":"apples"})");
  Meet(1, 10);
  EXPECT_EQ(dht_.flows(), 4u);
  EXPECT_EQ(dht_.announcements().all().size(), 1u);
  for (uint32_t op = 1; op <= 3; ++op) {
    Turn([&](orchard::Turn& t) { ops_.OnCancelled(t, target(), {OpId{op}}); });
  }
  EXPECT_EQ(ops_.running(), 0u);
  EXPECT_EQ(ops_.held_bytes(), 0u);
  EXPECT_EQ(dht_.flows(), 0u);
  EXPECT_EQ(dht_.rpc().queries_running(), 0u);
  EXPECT_TRUE(dht_.announcements().all().empty());
  size_t events = events_.size();
  Meet(1, 1), Finish(1);
  EXPECT_EQ(events_.size(), events);
  EXPECT_TRUE(finals_.empty());
}

TEST_F(OpsCreditTest, TooManyCallsAreRefused) {
  for (uint32_t op = 1; op <= sidecar::Ops::kOpsMax; ++op) Call(op, "dht.lookup", R"({"topic":"apples"})");
  EXPECT_EQ(ops_.running(), sidecar::Ops::kOpsMax);
  EXPECT_TRUE(finals_.empty());
  Call(9999, "dht.lookup", R"({"topic":"apples"})");
  ASSERT_EQ(finals_.size(), 1u);
  EXPECT_EQ(Json::parse(finals_[0])["data"]["code"], "OVERLOAD");
}

TEST_F(OpsCreditTest, TextThatNeedsEscapesStaysJson) {
  JsonWriter w;
  w.Open('[').Text("a\"b\\c\n\x01é").Uint(7).Open('{').Key("k").Null().Key("l").Bool(true).Close('}').Close(']');
  EXPECT_EQ(Json::parse(w.text()), Json::parse(R"(["a\"b\\c\n\u0001é",7,{"k":null,"l":true}])"));
}

}  // namespace
}  // namespace orchard
