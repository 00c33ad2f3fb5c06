// Relaying for others: each mode, at a node that does not own the target.

#include "node/hyperdht/router.h"

#include <gtest/gtest.h>

#include "node/hyperdht/messages.h"

namespace orchard::hyperdht {
namespace {

using namespace std::chrono_literals;
using Kind = Action::Kind;

class RouterTest : public ::testing::Test {
 protected:
  Action Handshake(Mode mode, HandshakeEnvelope m = {}) {
    m.mode = uint64_t(mode);
    if (m.noise.empty()) m.noise = "noise";
    return Raw(&Router::OnPeerHandshake, m.Encode());
  }
  Action Holepunch(Mode mode, std::optional<Endpoint> peer = std::nullopt) {
    HolepunchEnvelope m{.mode = uint64_t(mode), .id = 300, .payload = "payload", .peer_address = peer};
    return Raw(&Router::OnPeerHolepunch, m.Encode());
  }
  Action Raw(Action (Router::*handler)(Instant, const UserRequest&), std::optional<std::string> value) {
    UserRequest r{.from = source_, .target = target_};
    if (value.has_value()) r.value = AsBytes(*value);
    return (router_.*handler)(now_, r);
  }
  void Know() { router_.Set(now_, target_, {.relay = server_, .record = "record"}); }
  static HandshakeEnvelope Sent(const Action& a) { return *HandshakeEnvelope::Decode(AsBytes(*a.value)); }
  static HolepunchEnvelope Punch(const Action& a) { return *HolepunchEnvelope::Decode(AsBytes(*a.value)); }

  Instant now_{1h};
  Router router_;
  Key32 target_{5};
  Endpoint source_ = Endpoint::V4(0x01010101, 1), server_ = Endpoint::V4(0x02020202, 2), third_ = Endpoint::V4(0x03030303, 3);
};

TEST_F(RouterTest, AClientIsRelayedToTheKnownPeer) {
  Know();
  Action a = Handshake(Mode::kFromClient);
  EXPECT_EQ(a.kind, Kind::kRelay);
  EXPECT_EQ(a.to, server_);
  EXPECT_EQ(Sent(a).mode, uint64_t(Mode::kFromRelay));
  EXPECT_EQ(Sent(a).noise, "noise");
  EXPECT_EQ(Sent(a).peer_address, source_);
  EXPECT_FALSE(Sent(a).relay_address.has_value());
}

TEST_F(RouterTest, AClientMayNameTheRelayAndItWins) {
  Action a = Handshake(Mode::kFromClient, {.relay_address = third_});
  EXPECT_EQ(a.to, third_);
  Know();
  EXPECT_EQ(Handshake(Mode::kFromClient, {.relay_address = third_}).to, third_);
}

TEST_F(RouterTest, AnUnknownPeerGetsCloserNodes) {
  Action a = Handshake(Mode::kFromClient);
  EXPECT_EQ(a.kind, Kind::kReply);
  EXPECT_FALSE(a.token);
  EXPECT_TRUE(a.closer_nodes);
  EXPECT_FALSE(a.value.has_value());
}

TEST_F(RouterTest, ARelayedHandshakeGoesOnToASecondRelay) {
  EXPECT_EQ(Handshake(Mode::kFromRelay, {.peer_address = third_}).kind, Kind::kSilence);
  Know();
  Action a = Handshake(Mode::kFromRelay, {.peer_address = third_});
  EXPECT_EQ(a.kind, Kind::kRelay);
  EXPECT_EQ(a.to, server_);
  EXPECT_EQ(Sent(a).mode, uint64_t(Mode::kFromSecondRelay));
  EXPECT_EQ(Sent(a).peer_address, third_);
  EXPECT_EQ(Sent(a).relay_address, source_);
}

TEST_F(RouterTest, TheServersAnswerBecomesTheClientsResponse) {
  Action a = Handshake(Mode::kFromServer, {.peer_address = third_});
  EXPECT_EQ(a.kind, Kind::kReply);
  EXPECT_EQ(a.to, third_);
  EXPECT_FALSE(a.token || a.closer_nodes);
  EXPECT_EQ(Sent(a).mode, uint64_t(Mode::kReply));
  EXPECT_EQ(Sent(a).peer_address, source_);
  EXPECT_EQ(Handshake(Mode::kFromServer).kind, Kind::kSilence);
}

TEST_F(RouterTest, WhatConcernsTheOwnerOrNobodyIsIgnored) {
  Know();
  EXPECT_EQ(Handshake(Mode::kFromSecondRelay, {.peer_address = third_, .relay_address = third_}).kind, Kind::kSilence);
  EXPECT_EQ(Handshake(Mode::kReply, {.peer_address = third_}).kind, Kind::kSilence);
  EXPECT_EQ(Handshake(Mode(9)).kind, Kind::kSilence);
  EXPECT_EQ(Raw(&Router::OnPeerHandshake, std::nullopt).kind, Kind::kSilence);
  EXPECT_EQ(Raw(&Router::OnPeerHandshake, "\x01").kind, Kind::kSilence);
  EXPECT_EQ(Raw(&Router::OnPeerHandshake, HandshakeEnvelope{}.Encode()).kind, Kind::kSilence);  // No Noise message.
  EXPECT_EQ(Raw(&Router::OnPeerHolepunch, "\x01").kind, Kind::kSilence);
  EXPECT_EQ(Holepunch(Mode::kFromRelay, third_).kind, Kind::kSilence);
  EXPECT_EQ(Holepunch(Mode::kFromSecondRelay, third_).kind, Kind::kSilence);
}

TEST_F(RouterTest, APunchIsRelayedToTheNamedPeerOrTheKnownOne) {
  EXPECT_EQ(Holepunch(Mode::kFromClient).kind, Kind::kSilence);
  Action a = Holepunch(Mode::kFromClient, third_);
  EXPECT_EQ(a.kind, Kind::kRelay);
  EXPECT_EQ(a.to, third_);
  EXPECT_EQ(Punch(a).mode, uint64_t(Mode::kFromRelay));
  EXPECT_EQ(Punch(a).id, 300u);
  EXPECT_EQ(Punch(a).payload, "payload");
  EXPECT_EQ(Punch(a).peer_address, source_);
  Know();
  EXPECT_EQ(Holepunch(Mode::kFromClient).to, server_);
}

TEST_F(RouterTest, ThePunchsAnswerBecomesTheClientsResponse) {
  Action a = Holepunch(Mode::kFromServer, third_);
  EXPECT_EQ(a.kind, Kind::kReply);
  EXPECT_EQ(a.to, third_);
  EXPECT_EQ(Punch(a).mode, uint64_t(Mode::kReply));
  EXPECT_EQ(Punch(a).peer_address, source_);
  EXPECT_EQ(Holepunch(Mode::kFromServer).kind, Kind::kSilence);
}

TEST_F(RouterTest, ARouteAgesUnlessItIsUsed) {
  Know();
  for (int i = 0; i < 10; ++i) {
    now_ += 12min;
    EXPECT_EQ(Handshake(Mode::kFromClient).kind, Kind::kRelay) << i;
  }
  now_ += 28min;
  EXPECT_EQ(Handshake(Mode::kFromClient).kind, Kind::kReply);
}

}  // namespace
}  // namespace orchard::hyperdht
