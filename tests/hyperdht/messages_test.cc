// v03: every message, signature and namespace that the JavaScript implementation produced.

#include "node/hyperdht/messages.h"

#include <gtest/gtest.h>

#include "node/hyperdht/signatures.h"
#include "tests/hyperdht/vectors.h"

namespace orchard::hyperdht {
namespace {

using nlohmann::json;

const json& V03() {
  static const json* const kVectors = new json(LoadVectors("v03-hyperdht.json"));
  return *kVectors;
}

KeyPair Pair() { return crypto::KeyPairFromSeed(Array(V03()["keyPair"]["seed"])); }

// Every prefix of a message is refused or read; none is read beyond.
template <class M>
void ExpectPrefixesAreSafe(const std::string& whole) {
  for (size_t n = 0; n < whole.size(); ++n) {
    std::string prefix = whole.substr(0, n);  // Its own allocation: a sanitizer sees a read past it.
    (void)M::Decode(AsBytes(prefix));
  }
}

template <class M>
absl::StatusOr<M> Decoded(const json& hex) {
  std::string raw = Raw(hex);
  ExpectPrefixesAreSafe<M>(raw);
  return M::Decode(AsBytes(raw));
}

TEST(V03Test, KeyPairAndTarget) {
  const json& v = V03()["keyPair"];
  KeyPair k = Pair();
  EXPECT_EQ(ToHex(k.public_key), v["publicKey"]);
  EXPECT_EQ(ToHex(k.secret_key), v["secretKey"]);
  EXPECT_EQ(ToHex(Hash(k.public_key)), v["target"]);
}

TEST(V03Test, Namespaces) {
  const json& v = V03()["namespaces"];
  EXPECT_EQ(ToHex(Hash(AsBytes(v["name"].get<std::string>()))), v["nameHash"]);
  ASSERT_EQ(v["ids"].size(), 6u);
  for (const auto& [name, id] : v["ids"].items()) {
    EXPECT_EQ(ToHex(Namespace(Command(id.get<int>()))), v["values"][name]) << name;
  }
  const json& s = V03()["secretStreamNamespaces"];
  EXPECT_EQ(ToHex(crypto::Namespace("hyperswarm/secret-stream", 0)), s["initiator"]);
  EXPECT_EQ(ToHex(crypto::Namespace("hyperswarm/secret-stream", 1)), s["responder"]);
  EXPECT_EQ(ToHex(crypto::Namespace("hyperswarm/secret-stream", 2)), s["send"]);
}

TEST(V03Test, Announce) {
  ASSERT_EQ(V03()["announce"].size(), 7u);
  for (const json& v : V03()["announce"]) {
    SCOPED_TRACE(v["name"].get<std::string>());
    auto m = Decoded<AnnounceMessage>(v["message"]);
    ASSERT_TRUE(m.ok()) << m.status();
    EXPECT_EQ(Hex(m->Encode()), v["message"]);
    if (!v.contains("fn")) {
      EXPECT_FALSE(m->peer.has_value());
      ASSERT_TRUE(m->refresh.has_value());
      EXPECT_EQ(ToHex(*m->refresh), v["refresh"]);
      EXPECT_EQ(ToHex(Hash(*m->refresh)), v["matchesStoredRefresh"]);
      continue;
    }
    EXPECT_EQ(Hex(m->peer->Encode()), v["peerEncoded"]);
    EXPECT_EQ(m->bump, v["bump"].get<uint64_t>());
    Command command = v["fn"] == "signAnnounce" ? kAnnounce : kUnannounce;
    Signable s = AnnounceSignable(command, Array(v["target"]), Array(v["token"]), Array(v["nodeId"]), *m);
    EXPECT_EQ(ToHex(s), v["signable"]);
    EXPECT_EQ(ToHex(Sign(s, Pair())), v["signature"]);
    EXPECT_TRUE(Verify(*m->signature, s, m->peer->public_key));
    Key32 other = Array(v["nodeId"]);
    other[0] ^= 1;
    EXPECT_FALSE(Verify(*m->signature, AnnounceSignable(command, Array(v["target"]), Array(v["token"]), other, *m),
                        m->peer->public_key));
  }
}

TEST(V03Test, Mutable) {
  ASSERT_EQ(V03()["mutable"].size(), 3u);
  for (const json& v : V03()["mutable"]) {
    uint64_t seq = v["seq"];
    std::string value = Raw(v["value"]);
    EXPECT_EQ(ToHex(Hash(Pair().public_key)), v["target"]);
    Signable s = MutableSignable(seq, AsBytes(value));
    EXPECT_EQ(ToHex(s), v["signable"]);
    EXPECT_EQ(ToHex(Sign(s, Pair())), v["signature"]);
    auto put = Decoded<MutablePut>(v["putRequest"]);
    ASSERT_TRUE(put.ok());
    EXPECT_EQ(put->seq, seq);
    EXPECT_EQ(put->value, value);
    EXPECT_EQ(Verify(put->signature, s, put->public_key), v["verify"].get<bool>());
    EXPECT_EQ(Hex(put->Encode()), v["putRequest"]);
    auto reply = Decoded<MutableRecord>(v["getResponse"]);
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(Hex(reply->Encode()), v["getResponse"]);
    EXPECT_EQ(Hex(EncodeMinimumSeq(seq)), v["getRequestValue"]);
    EXPECT_EQ(*DecodeMinimumSeq(AsBytes(Raw(v["getRequestValue"]))), seq);
  }
}

TEST(V03Test, Immutable) {
  ASSERT_EQ(V03()["immutable"].size(), 2u);
  for (const json& v : V03()["immutable"]) EXPECT_EQ(ToHex(Hash(AsBytes(Raw(v["value"])))), v["target"]);
}

TEST(V03Test, PeerAndLookupReply) {
  std::vector<std::string> blobs;
  for (const json& v : V03()["peer"]) {
    auto peer = Decoded<Peer>(v);
    ASSERT_TRUE(peer.ok());
    EXPECT_EQ(Hex(peer->Encode()), v);
    blobs.push_back(Raw(v));
  }
  ASSERT_EQ(blobs.size(), 2u);
  const json& replies = V03()["lookupReply"];
  EXPECT_EQ(Hex(LookupReply::Encode(blobs, 0)), replies[0]["hex"]);
  EXPECT_EQ(Hex(LookupReply::Encode({blobs[1]}, 1'700'000'000'000)), replies[1]["hex"]);
  for (const json& v : replies) {
    auto m = Decoded<LookupReply>(v["hex"]);
    ASSERT_TRUE(m.ok());
    EXPECT_EQ(m->bump, v["bump"].get<uint64_t>());
    EXPECT_EQ(m->peers.size(), v["peers"].get<size_t>());
  }
  std::string without_bump = Raw(replies[0]["hex"]);
  without_bump.pop_back();
  EXPECT_EQ(LookupReply::Decode(AsBytes(without_bump))->bump, 0u);
}

TEST(V03Test, HandshakeEnvelope) {
  ASSERT_EQ(V03()["handshake"].size(), 7u);
  for (const json& v : V03()["handshake"]) {
    SCOPED_TRACE(v["name"].get<std::string>());
    auto m = Decoded<HandshakeEnvelope>(v["hex"]);
    ASSERT_TRUE(m.ok());
    EXPECT_EQ(m->mode, v["mode"].get<uint64_t>());
    EXPECT_EQ(Hex(m->noise), v["noise"]);
    EXPECT_EQ(m->peer_address, Address(v["peerAddress"]));
    EXPECT_EQ(m->relay_address, Address(v["relayAddress"]));
    EXPECT_EQ(Hex(m->Encode()), v["hex"]);
  }
}

TEST(V03Test, HolepunchEnvelope) {
  ASSERT_EQ(V03()["holepunch"].size(), 5u);
  for (const json& v : V03()["holepunch"]) {
    SCOPED_TRACE(v["name"].get<std::string>());
    auto m = Decoded<HolepunchEnvelope>(v["hex"]);
    ASSERT_TRUE(m.ok());
    EXPECT_EQ(m->mode, v["mode"].get<uint64_t>());
    EXPECT_EQ(m->id, v["id"].get<uint64_t>());
    EXPECT_EQ(Hex(m->payload), v["payload"]);
    EXPECT_EQ(m->peer_address, Address(v["peerAddress"]));
    EXPECT_EQ(Hex(m->Encode()), v["hex"]);
  }
}

void ExpectHolepunch(const NoisePayload& m, const json& d) {
  ASSERT_EQ(m.holepunch.has_value(), !d.is_null());
  if (!m.holepunch.has_value()) return;
  EXPECT_EQ(m.holepunch->id, d["id"].get<uint64_t>());
  ASSERT_EQ(m.holepunch->relays.size(), d["relays"].size());
  for (size_t i = 0; i < m.holepunch->relays.size(); ++i) {
    EXPECT_EQ(m.holepunch->relays[i].relay_address, *Address(d["relays"][i]["relayAddress"]));
    EXPECT_EQ(m.holepunch->relays[i].peer_address, *Address(d["relays"][i]["peerAddress"]));
  }
}

TEST(V03Test, NoisePayload) {
  ASSERT_EQ(V03()["noisePayload"].size(), 9u);
  for (const json& v : V03()["noisePayload"]) {
    SCOPED_TRACE(v.value("name", ""));
    auto m = Decoded<NoisePayload>(v["hex"]);
    ASSERT_TRUE(m.ok());
    const json& d = v["decoded"];
    EXPECT_EQ(m->version, d["version"].get<uint64_t>());
    EXPECT_EQ(m->error, d["error"].get<uint64_t>());
    EXPECT_EQ(m->firewall, d["firewall"].get<uint64_t>());
    ASSERT_EQ(m->addresses4.size(), d["addresses4"].size());
    ASSERT_EQ(m->addresses6.size(), d["addresses6"].size());
    for (size_t i = 0; i < m->addresses4.size(); ++i) EXPECT_EQ(m->addresses4[i], *Address(d["addresses4"][i]));
    for (size_t i = 0; i < m->addresses6.size(); ++i) EXPECT_EQ(m->addresses6[i].host(), d["addresses6"][i]["host"]);
    ASSERT_EQ(m->udx.has_value(), !d["udx"].is_null());
    if (m->udx.has_value()) {
      EXPECT_EQ(m->udx->id, d["udx"]["id"].get<uint64_t>());
      EXPECT_EQ(m->udx->reusable_socket, d["udx"]["reusableSocket"].get<bool>());
    }
    ExpectHolepunch(*m, d["holepunch"]);
    EXPECT_EQ(m->relay_addresses.has_value(), !d["relayAddresses"].is_null());
    EXPECT_EQ(m->relay_through.has_value(), !d["relayThrough"].is_null());
    EXPECT_EQ(m->secret_stream.has_value(), !d["secretStream"].is_null());
    if (m->version == 1) {
      EXPECT_EQ(Hex(m->Encode()), v["hex"]);
    }
  }
}

TEST(V03Test, PluginAndAddress) {
  const json& p = V03()["plugin"][0];
  auto m = Decoded<PluginMessage>(p["hex"]);
  ASSERT_TRUE(m.ok());
  EXPECT_EQ(m->plugin, p["fields"]["plugin"]);
  EXPECT_EQ(m->version, p["fields"]["version"].get<uint64_t>());
  EXPECT_EQ(m->command, p["fields"]["command"].get<uint64_t>());
  EXPECT_EQ(Hex(*m->value), p["fields"]["value"]);
  EXPECT_EQ(Hex(m->Encode()), p["hex"]);
  size_t seen = 0;
  for (const json& v : V03()["hyperdhtAddress"]) {
    if (!v.contains("hex")) continue;
    auto a = Decoded<HyperdhtAddress>(v["hex"]);
    ASSERT_TRUE(a.ok());
    EXPECT_EQ(ToHex(a->key), v["key"]);
    EXPECT_EQ(a->nodes.size(), v["nodes"].is_null() ? 0 : v["nodes"].size());
    EXPECT_EQ(Hex(a->Encode()), v["hex"]);
    ++seen;
  }
  EXPECT_EQ(seen, 2u);
  auto bare = HyperdhtAddress::Decode(Pair().public_key);
  ASSERT_TRUE(bare.ok());
  EXPECT_TRUE(bare->nodes.empty());
}

TEST(V03Test, DiscoveryKey) {
  const json& v = V03()["discoveryKey"];
  EXPECT_EQ(ToHex(crypto::KeyedBlake2b256(Array(v["key"]), AsBytes("hypercore"))), v["discoveryKey"]);
}

TEST(MessagesTest, ACountThatTheBytesCannotHoldIsRefused) {
  EXPECT_FALSE(LookupReply::Decode(AsBytes(*FromHex("fe00001000aa"))).ok());
  EXPECT_FALSE(LookupReply::Decode(AsBytes(*FromHex("feffffffff"))).ok());
}

}  // namespace
}  // namespace orchard::hyperdht
