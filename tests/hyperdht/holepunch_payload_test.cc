// v04: the payload's bytes, sealed and open, and tokens. v06: the key that a handshake leaves for them.

#include "node/hyperdht/holepunch_payload.h"

#include <gtest/gtest.h>

#include "node/crypto/hash.h"
#include "node/crypto/secretbox.h"
#include "tests/hyperdht/vectors.h"

namespace orchard::hyperdht {
namespace {

using nlohmann::json;

const json& V04() {
  static const json* const kVectors = new json(LoadVectors("v04-holepunch.json"));
  return *kVectors;
}

std::optional<Key32> OptionalKey(const json& j) { return j.is_null() ? std::nullopt : std::optional(Array(j)); }

HolepunchPayload Payload(const json& f) {
  HolepunchPayload p{.error = f["error"], .firewall = FirewallOf(f["firewall"]), .round = f["round"], .connected = f["connected"], .punching = f["punching"]};
  if (!f["addresses"].is_null()) {
    p.addresses.emplace();
    for (const json& a : f["addresses"]) p.addresses->push_back(*Address(a));
  }
  p.remote_address = Address(f["remoteAddress"]);
  p.token = OptionalKey(f["token"]), p.remote_token = OptionalKey(f["remoteToken"]);
  return p;
}

TEST(HolepunchPayloadTest, BytesAreTheRecordedOnes) {
  ASSERT_EQ(V04()["payloads"].size(), 7u);
  for (const json& c : V04()["payloads"]) {
    SCOPED_TRACE(c["name"].get<std::string>());
    EXPECT_EQ(Hex(Payload(c["fields"]).Encode()), c["hex"]);
    const std::string raw = Raw(c["hex"]);
    auto p = HolepunchPayload::Decode(AsBytes(raw));
    ASSERT_TRUE(p.ok());
    EXPECT_EQ(Hex(p->Encode()), c["hex"]);
    for (size_t n = 0; n < raw.size(); ++n) {
      std::string prefix = raw.substr(0, n);  // Its own allocation: a sanitizer sees a read past it.
      EXPECT_FALSE(HolepunchPayload::Decode(AsBytes(prefix)).ok()) << n;
    }
  }
}

TEST(HolepunchPayloadTest, AFirewallThatNobodyKnowsCountsAsRandom) {
  const uint8_t bytes[] = {0, 0, 9, 0};
  EXPECT_EQ(HolepunchPayload::Decode(bytes)->firewall, Firewall::kRandom);
}

TEST(SecurePayloadTest, OpensWhatJavaScriptSealedAndSealsTheSame) {
  ASSERT_EQ(V04()["encryption"].size(), 7u);
  Rng rng = Rng::Named(1, "secure", "");
  for (const json& c : V04()["encryption"]) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const SecurePayload secure(Array(c["secret"]), rng);
    auto p = secure.Open(AsBytes(Raw(c["sealed"])));
    ASSERT_TRUE(p.ok()) << p.status();
    EXPECT_EQ(Hex(p->Encode()), c["plaintext"]);
    const std::string box = crypto::SealBox(AsBytes(Raw(c["plaintext"])), Array<24>(c["nonce"]), Array(c["secret"]));
    EXPECT_EQ(c["nonce"].get<std::string>() + Hex(box), c["sealed"]);
  }
}

TEST(SecurePayloadTest, SealsWithAFreshNonceAndOpensOnlyWithTheSameKey) {
  Rng rng = Rng::Named(1, "secure", "");
  const SecurePayload a(Key32{1}, rng), same(Key32{1}, rng), other(Key32{2}, rng);
  const HolepunchPayload p{.firewall = Firewall::kConsistent, .round = 3};
  const std::string first = a.Seal(p, rng), second = a.Seal(p, rng);
  EXPECT_NE(first.substr(0, 24), second.substr(0, 24));
  EXPECT_EQ(same.Open(AsBytes(first))->round, 3u);
  EXPECT_FALSE(other.Open(AsBytes(first)).ok());
  for (size_t n = 0; n < first.size(); ++n) EXPECT_FALSE(a.Open(AsBytes(first.substr(0, n))).ok()) << n;
  std::string flipped = first;
  flipped.back() = char(flipped.back() ^ 1);
  EXPECT_FALSE(a.Open(AsBytes(flipped)).ok());
}

TEST(SecurePayloadTest, ATokenIsOfTheHostAlone) {
  for (const json& c : V04()["tokens"]) {
    const std::string host = c["host"];
    EXPECT_EQ(ToHex(crypto::KeyedBlake2b256(Array(c["localSecret"]), AsBytes(Endpoint::Parse(host + ":9")->host()))), c["token"]);
  }
  Rng rng = Rng::Named(1, "secure", "");
  const SecurePayload a(Key32{1}, rng), b(Key32{1}, rng);
  EXPECT_EQ(a.token(Endpoint::V4(7, 1)), a.token(Endpoint::V4(7, 2)));
  EXPECT_NE(a.token(Endpoint::V4(7, 1)), a.token(Endpoint::V4(8, 1)));
  EXPECT_NE(a.token(Endpoint::V4(7, 1)), b.token(Endpoint::V4(7, 1)));
}

TEST(SecurePayloadTest, ItsKeyComesFromTheHandshakesHash) {
  const json v = LoadVectors("v06-noise-secretstream.json");
  ASSERT_FALSE(v["hyperdht_ik"].empty());
  for (const json& c : v["hyperdht_ik"]) {
    EXPECT_EQ(ToHex(HolepunchSecret(Array<64>(c["handshakeHash"]))), c["holepunchSecret"]);
  }
}

}  // namespace
}  // namespace orchard::hyperdht
