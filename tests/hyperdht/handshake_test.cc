#include "node/hyperdht/handshake.h"

#include <gtest/gtest.h>

#include "node/hyperdht/signatures.h"
#include "tests/hyperdht/vectors.h"
#include "tests/support/bare_turn.h"

namespace orchard::hyperdht {
namespace {

crypto::KeyPair Key(uint8_t seed) {
  Key32 s{};
  s[0] = seed;
  return crypto::KeyPairFromSeed(s);
}

NoisePayload Payload(uint64_t stream) {
  NoisePayload p;
  p.udx = NoisePayload::Udx{.id = stream};
  p.secret_stream = 1;
  return p;
}

TEST(HandshakeTest, BothSidesEndWithTheSameKeys) {
  BareTurn turn;
  const crypto::KeyPair client = Key(1), server = Key(2);
  ClientHandshake c(turn.turn, client, server.public_key, Payload(7));
  absl::StatusOr<ServerHandshake> s = ServerHandshake::Receive(turn.turn, server, AsBytes(c.message()));
  ASSERT_TRUE(s.ok());
  EXPECT_EQ(s->remote_key(), client.public_key);
  EXPECT_EQ(s->payload().udx->id, 7u);
  absl::StatusOr<std::string> answer = s->Answer(Payload(8));
  ASSERT_TRUE(answer.ok());
  absl::StatusOr<Accepted> accepted = c.Finish(AsBytes(*answer));
  ASSERT_TRUE(accepted.ok());
  EXPECT_EQ(accepted->payload.udx->id, 8u);
  EXPECT_EQ(accepted->keys.tx, s->accepted().keys.rx);
  EXPECT_EQ(accepted->keys.handshake_hash, s->accepted().keys.handshake_hash);
}

TEST(HandshakeTest, AForgedAnswerChangesNothing) {
  BareTurn turn;
  const crypto::KeyPair client = Key(1), server = Key(2);
  ClientHandshake c(turn.turn, client, server.public_key, Payload(7));
  absl::StatusOr<ServerHandshake> s = ServerHandshake::Receive(turn.turn, server, AsBytes(c.message()));
  std::string answer = *s->Answer(Payload(8)), forged = answer;
  forged.back() = char(forged.back() ^ 1);
  EXPECT_FALSE(c.Finish(AsBytes(forged)).ok());
  EXPECT_FALSE(c.Finish(AsBytes("")).ok());
  EXPECT_TRUE(c.Finish(AsBytes(answer)).ok());
}

TEST(HandshakeTest, AMessageForAnotherServerIsRefused) {
  BareTurn turn;
  ClientHandshake c(turn.turn, Key(1), Key(2).public_key, Payload(7));
  EXPECT_FALSE(ServerHandshake::Receive(turn.turn, Key(3), AsBytes(c.message())).ok());
  for (size_t n = 0; n < c.message().size(); ++n) {
    EXPECT_FALSE(ServerHandshake::Receive(turn.turn, Key(2), AsBytes(c.message()).subspan(0, n)).ok()) << n;
  }
}

TEST(HandshakeTest, AKeyThatIsNoPointHasNoMessage) {
  BareTurn turn;
  EXPECT_TRUE(ClientHandshake(turn.turn, Key(1), Key32{}, Payload(7)).message().empty());
}

// The payloads inside the recorded messages, and their sizes: 96 bytes more for the first, 48 for the second.
TEST(HandshakeTest, PayloadsAreTheRecordedBytes) {
  const nlohmann::json v = LoadVectors("v06-noise-secretstream.json")["hyperdht_ik"][0];
  for (const char* which : {"m1", "m2"}) {
    const nlohmann::json& f = v[std::string(which) + "_payload_fields"];
    NoisePayload p{.error = f["error"], .firewall = f["firewall"]};
    if (!f["holepunch"].is_null()) {
      p.holepunch = NoisePayload::Holepunch{.id = f["holepunch"]["id"]};
      for (const auto& r : f["holepunch"]["relays"]) {
        p.holepunch->relays.push_back({.relay_address = *Address(r["relayAddress"]), .peer_address = *Address(r["peerAddress"])});
      }
    }
    for (const auto& a : f["addresses4"]) p.addresses4.push_back(*Address(a));
    p.udx = NoisePayload::Udx{.reusable_socket = f["udx"]["reusableSocket"], .id = f["udx"]["id"]};
    p.secret_stream = 1;
    if (f.contains("relayAddresses") && !f["relayAddresses"].is_null()) {
      p.relay_addresses.emplace();
      for (const auto& a : f["relayAddresses"]) p.relay_addresses->push_back(*Address(a));
    }
    EXPECT_EQ(Hex(p.Encode()), v[std::string(which) + "_payload"].get<std::string>()) << which;
    const size_t more = std::string(which) == "m1" ? 96 : 48;
    EXPECT_EQ(p.Encode().size() + more, Raw(v[which]).size());
  }
  BareTurn turn;
  NoisePayload p = Payload(7);
  EXPECT_EQ(ClientHandshake(turn.turn, Key(1), Key(2).public_key, p).message().size(), p.Encode().size() + 96);
}

}  // namespace
}  // namespace orchard::hyperdht
