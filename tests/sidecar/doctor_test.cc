// What `doctor` says, of ailments that are real and of those that are described to it.
#include "node/sidecar/doctor.h"

#include <gmock/gmock.h>

#include "node/crypto/sign.h"
#include "tests/sidecar/node_net.h"

namespace orchard {
namespace {

using namespace std::chrono_literals;
using hyperdht::ConnectCode;
using hyperdht::ConnectStep;
using hyperdht::Firewall;
using hyperdht::RelayFailure;
using sidecar::Symptoms;
using testing::HasSubstr;
using testing::Not;

// ---- Provoked ----

class DoctorTest : public ::testing::Test {
 protected:
  std::string Verdict(uint32_t n, const NodeNet::Json& params = NodeNet::Json::object()) {
    auto a = net_.Call(n, "doctor", params, 120s);
    EXPECT_TRUE(a.ok()) << a.final;
    return a.final.value("verdict", "");
  }
  NodeNet net_;
};

TEST(ExamineTest, TheFirstNodeThatOthersAskIsWell) {
  const Interface lo{.address = Endpoint::V4(0x7f000001, 0), .prefix_bits = 8, .loopback = true};
  Symptoms s{.interfaces = absl::MakeConstSpan(&lo, 1), .bootstrapped = true, .online = true, .seen_as = "127.0.0.1:1"};
  EXPECT_FALSE(sidecar::IsWell(sidecar::Examine(s)));
  s.replies = 1;
  EXPECT_TRUE(sidecar::IsWell(sidecar::Examine(s)));
}

TEST_F(DoctorTest, NobodyAnswersWithoutInternet) {
  sidecar::Config lost;
  lost.dht.nodes.emplace().push_back({.address = Endpoint::V4(0x01020304, 49737), .port = 49737});
  const uint32_t n = net_.Add("lost", lost);
  net_.host.Run(60s);
  EXPECT_THAT(Verdict(n), HasSubstr("no bootstrap node answers: no Internet, UDP is blocked here"));
}

TEST_F(DoctorTest, AConnectionThatWentDownIsToldFromOneThatNeverWas) {
  net_.Grow(6);
  for (uint32_t n = 0; n < 6; ++n) net_.host.Kill(n);
  net_.host.Run(300s);
  EXPECT_THAT(Verdict(6), HasSubstr("nobody answers now"));
}

TEST_F(DoctorTest, APeerThatNobodyKnows) {
  net_.Grow(6);
  EXPECT_THAT(Verdict(3, {{"to", std::string(64, '1')}}), HasSubstr("No node of the DHT knows this key"));
}

TEST_F(DoctorTest, APeerThatIsReached) {
  net_.Grow(6);
  auto listening = net_.Call(2, "listen");
  ASSERT_TRUE(listening.ok());
  EXPECT_EQ(Verdict(3, {{"to", listening.final["key"]}}), "all is well: reached: direct");
}

TEST_F(DoctorTest, ARelayThatRelaysNothing) {
  net_.Grow(6);
  auto relay = net_.Call(1, "listen"), peer = net_.Call(2, "listen");
  ASSERT_TRUE(relay.ok() && peer.ok());
  sidecar::Config config = net_.Member();
  config.relay.policy = "only", config.relay.through_hex = relay.final["key"];
  const uint32_t n = net_.Add("client", config);
  net_.host.Run(30s);
  const std::string says = Verdict(n, {{"to", peer.final["key"]}});
  EXPECT_THAT(says, HasSubstr("relays nothing"));
  EXPECT_THAT(says, HasSubstr("relay-pair"));
}

TEST_F(DoctorTest, ARelayThatIsNotThere) {
  net_.Grow(6);
  auto peer = net_.Call(2, "listen");
  sidecar::Config config = net_.Member();
  config.relay.policy = "only", config.relay.through_hex = ToHex(crypto::KeyPairFromSeed(Key32{77}).public_key);
  const uint32_t n = net_.Add("client", config);
  net_.host.Run(30s);
  EXPECT_THAT(Verdict(n, {{"to", peer.final["key"]}}), HasSubstr("The blind relay could not be reached"));
}

TEST_F(DoctorTest, NoRelayForAPeerThatWantsNoOtherWay) {
  net_.Grow(6);
  auto peer = net_.Call(2, "listen");
  sidecar::Config config = net_.Member();
  config.relay.policy = "only";
  const uint32_t n = net_.Add("client", config);
  net_.host.Run(30s);
  EXPECT_THAT(Verdict(n, {{"to", peer.final["key"]}}), HasSubstr("goes through a blind relay only (relay.policy) and there is none"));
}

// ---- Described ----

std::string Says(Symptoms::Dialed dialed) {
  const Interface up[] = {{.address = Endpoint::V4(0x0a000001, 0), .prefix_bits = 8, .loopback = false}};
  return sidecar::Verdict(sidecar::Examine({.interfaces = up, .bootstrapped = true, .online = true, .nodes = 5, .seen_as = "1.2.3.4:5", .dialed = dialed}));
}

TEST(ExamineTest, APunchThatFailedNamesBothNats) {
  const std::string says = Says({ConnectCode::kDoubleRandomized, ConnectStep::kAnalyze, hyperdht::Path::kNone, Firewall::kRandom, Firewall::kRandom});
  EXPECT_THAT(says, HasSubstr("Both NATs choose a new port per peer"));
  EXPECT_THAT(says, HasSubstr("our NAT: random, theirs: random"));
}

TEST(ExamineTest, ARelayThatFailedAfterAPunchNamesBoth) {
  const std::string says = Says({ConnectCode::kRelayAborted, ConnectStep::kRelayPair, hyperdht::Path::kNone, Firewall::kRandom, Firewall::kRandom,
                                 ConnectCode::kDoubleRandomized, RelayFailure::kNobodyCame});
  EXPECT_THAT(says, HasSubstr("the peer did not come to it"));
  EXPECT_THAT(says, HasSubstr("Before that, no direct way was found: Both NATs"));
}

TEST(ExamineTest, EveryCodeAndEveryEndOfARelayHasASentence) {
  for (int c = 0; c <= int(ConnectCode::kDestroyed); ++c) EXPECT_THAT(sidecar::Explain(ConnectCode(c)), testing::EndsWith(".")) << c;
  for (int f = 1; f <= int(RelayFailure::kLost); ++f) {
    EXPECT_THAT(sidecar::Explain(RelayFailure(f)), testing::EndsWith(".")) << f;
    EXPECT_THAT(hyperdht::RelayFailureName(RelayFailure(f)), Not(testing::IsEmpty()));
  }
}

TEST(ExamineTest, WithoutAnInterfaceNothingElseIsLookedAt) {
  const auto findings = sidecar::Examine({});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_THAT(findings[0].says, HasSubstr("no network interface"));
}

}  // namespace
}  // namespace orchard
