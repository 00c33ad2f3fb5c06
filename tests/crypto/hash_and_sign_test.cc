#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "node/crypto/hash.h"
#include "node/crypto/sign.h"

namespace orchard::crypto {
namespace {

using nlohmann::json;

json Vectors(const std::string& name) { return json::parse(std::ifstream(std::string(ORCHARD_SOURCE_DIR) + "/tests/vectors/" + name)); }

TEST(HashTest, NodeIdsOfTheVectors) {
  json v = Vectors("v02-dht-rpc.json");
  ASSERT_EQ(v.at("node_ids").size(), 8u);
  for (const json& row : v.at("node_ids")) {
    EXPECT_EQ(ToHex(Blake2b256(AsBytes(*FromHex(row.at("preimage").get<std::string>())))), row.at("id").get<std::string>());
  }
}

TEST(HashTest, TokensOfTheVectorsAreKeyed) {
  json v = Vectors("v02-dht-rpc.json");  // A range-for over a member of a temporary outlives it.
  ASSERT_FALSE(v.at("tokens").empty());
  for (const json& row : v.at("tokens")) {
    std::string host = row.at("host");
    for (auto [secret, token] : {std::pair("secret1", "token_current"), std::pair("secret0", "token_other")}) {
      std::string key = *FromHex(row.at(secret).get<std::string>());
      EXPECT_EQ(ToHex(KeyedBlake2b256(AsBytes(key), AsBytes(host))), row.at(token).get<std::string>());
    }
  }
}

TEST(HashTest, PartsHashAsTheirConcatenation) {
  EXPECT_EQ(Blake2b256({AsBytes("ab"), AsBytes(""), AsBytes("c")}), Blake2b256(AsBytes("abc")));
  EXPECT_NE(Blake2b256(AsBytes("abc")), Blake2b256(AsBytes("abd")));
}

// hyperdht 6.34 lib/constants.js, by command number.
TEST(HashTest, NamespacesOfHyperdht) {
  EXPECT_EQ(ToHex(Namespace("hyperswarm/dht", 4)), "36386adddf9f6fd60db83a6f42fc159d1146aa8644037664230aaa1f0179d497");
  EXPECT_EQ(ToHex(Namespace("hyperswarm/dht", 6)), "668e823edd5ce7f5338d68bf1161f4a3c28ce437ee2ab49efd30d99366039b1e");
}

// RFC 8032 §7.1, test 2.
TEST(SignTest, SignsAsTheRfc) {
  Key32 seed;
  std::string s = *FromHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  std::copy(s.begin(), s.end(), seed.begin());
  KeyPair pair = KeyPairFromSeed(seed);
  EXPECT_EQ(ToHex(pair.public_key), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const uint8_t message[] = {0x72};
  Signature signature = Sign(message, pair.secret_key);
  EXPECT_EQ(ToHex(signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(Verify(message, signature, pair.public_key));
  const uint8_t other[] = {0x73};
  EXPECT_FALSE(Verify(other, signature, pair.public_key));
  signature[3] ^= 1;
  EXPECT_FALSE(Verify(message, signature, pair.public_key));
}

}  // namespace
}  // namespace orchard::crypto
