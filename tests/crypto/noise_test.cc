// v06: the transcripts of npm noise-handshake and hyperdht's NoiseWrap, byte for byte; and that nothing else is taken.

#include "node/crypto/noise.h"

#include <gtest/gtest.h>

#include "node/crypto/hash.h"
#include "tests/hyperdht/vectors.h"

namespace orchard::crypto {
namespace {

using hyperdht::Array;
using hyperdht::Hex;
using hyperdht::Raw;
using nlohmann::json;

const json& V06() {
  static const json* const kVectors = new json(hyperdht::LoadVectors("v06-noise-secretstream.json"));
  return *kVectors;
}
Key32 Seed(const char* who) { return Array(V06()["keys"][who]["seed"]); }
KeyPair Pair(const char* who) { return KeyPairFromSeed(Seed(who)); }

NoiseHandshake Side(NoisePattern pattern, bool initiator, Bytes prologue) {
  NoiseConfig config{.pattern = pattern, .initiator = initiator};
  config.key = Pair(initiator ? "initiator_static" : "responder_static");
  config.ephemeral_seed = Seed(initiator ? "initiator_ephemeral" : "responder_ephemeral");
  config.prologue = prologue;
  if (initiator && pattern == NoisePattern::kIk) config.remote_key = Pair("responder_static").public_key;
  return NoiseHandshake(config);
}

// The recorder wrote a message down after its reader had run. A reader that completes the handshake wipes the ephemeral
// key where it lies in the message: 32 zeros stand there.
std::string Recorded(const json& hex, const char* ephemeral) {
  std::string raw = Raw(hex);
  if (raw.substr(0, 32) == std::string(32, '\0')) raw.replace(0, 32, AsText(Pair(ephemeral).public_key));
  return raw;
}

// Plays a recorded transcript with both sides ours.
void Replay(const json& v) {
  SCOPED_TRACE(v["protocolName"].get<std::string>() + " prologue " + v["prologue"].get<std::string>());
  const NoisePattern pattern = v["pattern"] == "IK" ? NoisePattern::kIk : NoisePattern::kXx;
  const std::string prologue = Raw(v["prologue"]);
  NoiseHandshake i = Side(pattern, true, AsBytes(prologue)), r = Side(pattern, false, AsBytes(prologue));
  for (const json& m : v["messages"]) {
    const bool forth = m["dir"] == "i->r";
    NoiseHandshake& from = forth ? i : r;
    NoiseHandshake& to = forth ? r : i;
    ASSERT_FALSE(i.complete() && r.complete());
    const std::string payload = Raw(m["payload"]);
    const auto sent = from.Send(AsBytes(payload));
    ASSERT_TRUE(sent.ok()) << sent.status();
    ASSERT_EQ(Hex(*sent), Hex(Recorded(m["hex"], forth ? "initiator_ephemeral" : "responder_ephemeral")));
    const auto received = to.Receive(AsBytes(*sent));
    ASSERT_TRUE(received.ok()) << received.status();
    EXPECT_EQ(Hex(*received), m["received"]);
  }
  ASSERT_TRUE(i.complete() && r.complete());
  EXPECT_EQ(ToHex(i.keys().handshake_hash), v["handshakeHash"]);
  EXPECT_EQ(ToHex(r.keys().handshake_hash), v["handshakeHash"]);
  EXPECT_EQ(ToHex(i.keys().tx), v["initiator_tx"]);
  EXPECT_EQ(ToHex(i.keys().rx), v["initiator_rx"]);
  EXPECT_EQ(ToHex(r.keys().tx), v["responder_tx"]);
  EXPECT_EQ(ToHex(r.keys().rx), v["responder_rx"]);
  EXPECT_EQ(i.keys().remote_key, Pair("responder_static").public_key);
  EXPECT_EQ(r.keys().remote_key, Pair("initiator_static").public_key);
}

TEST(NoiseTest, DiffieHellmanIsTheRecordedOne) {
  ASSERT_EQ(V06()["dh"].size(), 3u);
  for (const json& v : V06()["dh"]) {
    const auto dh = EdwardsDh(KeyPairFromSeed(Array(v["seed"])).secret_key, Array(v["remotePk"]));
    ASSERT_TRUE(dh.ok());
    EXPECT_EQ(ToHex(*dh), v["dh"]);
  }
}

TEST(NoiseTest, HkdfIsTheRecordedOne) {
  ASSERT_EQ(V06()["hkdf"].size(), 2u);
  for (const json& v : V06()["hkdf"]) {
    const auto out = Hkdf2(Array<64>(v["salt"]), AsBytes(Raw(v["ikm"])));
    EXPECT_EQ(ToHex(out[0]), v["out"][0]);
    EXPECT_EQ(ToHex(out[1]), v["out"][1]);
  }
}

TEST(NoiseTest, IkTranscriptsAreTheRecordedOnes) {
  ASSERT_EQ(V06()["ik"].size(), 2u);
  for (const json& v : V06()["ik"]) Replay(v);
}

TEST(NoiseTest, XxTranscriptsAreTheRecordedOnes) {
  ASSERT_EQ(V06()["xx"].size(), 2u);
  for (const json& v : V06()["xx"]) Replay(v);
}

TEST(NoiseTest, HyperdhtsHandshakeIsTheRecordedOne) {
  ASSERT_EQ(V06()["hyperdht_ik"].size(), 1u);
  const json& v = V06()["hyperdht_ik"][0];
  const std::string prologue = Raw(v["prologue"]), m1 = Recorded(v["m1"], "initiator_ephemeral");
  NoiseHandshake i = Side(NoisePattern::kIk, true, AsBytes(prologue)), r = Side(NoisePattern::kIk, false, AsBytes(prologue));
  EXPECT_EQ(Hex(*i.Send(AsBytes(Raw(v["m1_payload"])))), Hex(m1));
  const auto p1 = r.Receive(AsBytes(m1));
  ASSERT_TRUE(p1.ok());
  EXPECT_EQ(Hex(*p1), v["m1_payload"]);
  // Before it answers, the responder knows who calls.
  ASSERT_TRUE(r.remote_key().has_value());
  EXPECT_EQ(ToHex(*r.remote_key()), v["responder_learned_rs"]);
  EXPECT_FALSE(r.complete());
  const auto m2 = r.Send(AsBytes(Raw(v["m2_payload"])));
  ASSERT_TRUE(m2.ok());
  EXPECT_EQ(Hex(*m2), Hex(Recorded(v["m2"], "responder_ephemeral")));
  EXPECT_EQ(Hex(*i.Receive(AsBytes(*m2))), v["m2_payload"]);
  EXPECT_EQ(ToHex(i.keys().handshake_hash), v["handshakeHash"]);
  EXPECT_EQ(ToHex(i.keys().tx), v["initiator_tx"]);
  EXPECT_EQ(ToHex(r.keys().tx), v["initiator_rx"]);
  // What a hole punch is sealed with is derived from the hash: spec 04 §3.
  const Key32 punch = Namespace("hyperswarm/dht", 1);
  EXPECT_EQ(ToHex(KeyedBlake2b256(i.keys().handshake_hash, punch)), v["holepunchSecret"]);
}

// The messages of a handshake, and sides that stand before message `step`.
struct Played {
  std::vector<std::string> messages;
  NoiseHandshake i, r;
  Played(NoisePattern pattern, size_t step, std::string_view payload = "payload")
      : i(Side(pattern, true, AsBytes("p"))), r(Side(pattern, false, AsBytes("p"))) {
    for (size_t n = 0; n < step; ++n) {
      NoiseHandshake& from = n % 2 == 0 ? i : r;
      NoiseHandshake& to = n % 2 == 0 ? r : i;
      messages.push_back(*from.Send(AsBytes(payload)));
      EXPECT_TRUE(to.Receive(AsBytes(messages.back())).ok());
    }
  }
  NoiseHandshake& reader(size_t step) { return step % 2 == 0 ? r : i; }
  NoiseHandshake& writer(size_t step) { return step % 2 == 0 ? i : r; }
};

struct Case { NoisePattern pattern; size_t step; };
constexpr Case kMessages[] = {{NoisePattern::kIk, 0}, {NoisePattern::kIk, 1}, {NoisePattern::kXx, 0}, {NoisePattern::kXx, 1}, {NoisePattern::kXx, 2}};

TEST(NoiseTest, NoPrefixOfASealedMessageIsTaken) {
  for (const Case& c : kMessages) {
    if (c.pattern == NoisePattern::kXx && c.step == 0) continue;  // All clear: a shorter one is another message.
    Played played(c.pattern, c.step);
    const std::string whole = *played.writer(c.step).Send(AsBytes("payload"));
    for (size_t n = 0; n < whole.size(); ++n) {
      NoiseHandshake reader = played.reader(c.step);
      EXPECT_FALSE(reader.Receive(AsBytes(whole.substr(0, n))).ok()) << "IK/XX " << int(c.pattern) << " step " << c.step << " at " << n;
    }
    EXPECT_TRUE(played.reader(c.step).Receive(AsBytes(whole)).ok());
  }
}

TEST(NoiseTest, XxsClearFirstMessageNeedsItsKey) {
  for (size_t n : {0u, 1u, 31u}) {
    NoiseHandshake reader = Side(NoisePattern::kXx, false, {});
    EXPECT_EQ(reader.Receive(AsBytes(std::string(n, 'x'))).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(NoiseTest, NoAlteredByteGoesUnnoticed) {
  size_t answered = 0;
  for (const Case& c : kMessages) {
    Played played(c.pattern, c.step);
    const std::string whole = *played.writer(c.step).Send(AsBytes("payload"));
    for (size_t n = 0; n < whole.size(); n += 5) {
      std::string altered = whole;
      altered[n] = char(altered[n] ^ 0x40);
      NoiseHandshake reader = played.reader(c.step), writer = played.writer(c.step);
      const bool taken = reader.Receive(AsBytes(altered)).ok();
      if (c.pattern == NoisePattern::kXx && c.step == 0) {
        // Nothing is sealed yet: the key is another (or none), and the answer is not understood.
        const auto answer = taken ? reader.Send({}) : absl::UnknownError("");
        if (answer.ok()) {
          EXPECT_FALSE(writer.Receive(AsBytes(*answer)).ok()) << n;
          ++answered;
        }
      } else {
        EXPECT_FALSE(taken) << "IK/XX " << int(c.pattern) << " step " << c.step << " at " << n;
        // Dead: the genuine message comes too late.
        EXPECT_EQ(reader.Receive(AsBytes(whole)).status().code(), absl::StatusCode::kFailedPrecondition);
      }
    }
  }
  EXPECT_GT(answered, 0u);
}

TEST(NoiseTest, PointsOfLowOrderAreRefused) {
  const char* const kLowOrder[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  };
  for (const char* hex : kLowOrder) {
    const Key32 point = Array(json(hex));
    EXPECT_EQ(EdwardsDh(Pair("initiator_static").secret_key, point).status().code(), absl::StatusCode::kInvalidArgument) << hex;
    // As an ephemeral key, in either pattern; and as the key of the one who is called.
    std::string message(96 + 7, 'x');
    message.replace(0, 32, AsText(point));
    EXPECT_FALSE(Side(NoisePattern::kIk, false, {}).Receive(AsBytes(message)).ok()) << hex;
    NoiseHandshake xx = Side(NoisePattern::kXx, true, {});
    ASSERT_TRUE(xx.Send({}).ok());
    EXPECT_EQ(xx.Receive(AsBytes(message)).status().code(), absl::StatusCode::kInvalidArgument) << hex;
    NoiseHandshake caller({.pattern = NoisePattern::kIk, .initiator = true, .key = Pair("initiator_static"),
                           .ephemeral_seed = Seed("initiator_ephemeral"), .remote_key = point});
    EXPECT_EQ(caller.Send({}).status().code(), absl::StatusCode::kInvalidArgument) << hex;
    EXPECT_EQ(caller.Send({}).status().code(), absl::StatusCode::kFailedPrecondition) << hex;
  }
}

TEST(NoiseTest, AnotherKeyOrAnotherPrologueIsAnotherHandshake) {
  NoiseHandshake i = Side(NoisePattern::kIk, true, AsBytes("p"));
  const std::string m1 = *i.Send(AsBytes("payload"));
  EXPECT_EQ(Side(NoisePattern::kIk, false, AsBytes("q")).Receive(AsBytes(m1)).status().code(), absl::StatusCode::kUnauthenticated);
  NoiseHandshake other({.pattern = NoisePattern::kIk, .initiator = false, .key = Pair("initiator_ephemeral"),
                        .ephemeral_seed = Seed("responder_ephemeral"), .prologue = AsBytes("p")});
  EXPECT_EQ(other.Receive(AsBytes(m1)).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST(NoiseTest, MessagesOutOfTurnAreRefusedAndHarmNothing) {
  Played played(NoisePattern::kXx, 1);
  const std::string m1 = played.messages[0], m2 = *played.r.Send({});
  // The initiator waits for message 2, the responder for message 3.
  EXPECT_EQ(played.i.Send({}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(played.r.Send({}).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(played.i.Receive(AsBytes(m2)).ok());
  EXPECT_EQ(played.i.Receive(AsBytes(m2)).status().code(), absl::StatusCode::kFailedPrecondition);
  const std::string m3 = *played.i.Send({});
  ASSERT_TRUE(played.r.Receive(AsBytes(m3)).ok());
  ASSERT_TRUE(played.i.complete() && played.r.complete());
  // After the end.
  EXPECT_EQ(played.r.Receive(AsBytes(m3)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(played.i.Send({}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(played.i.keys().handshake_hash, played.r.keys().handshake_hash);
}

TEST(NoiseTest, AMessageInAnothersPlaceIsRefused) {
  Played played(NoisePattern::kXx, 2);
  NoiseHandshake reader = played.r;
  EXPECT_FALSE(reader.Receive(AsBytes(played.messages[1])).ok());  // Its own message, reflected.
  reader = Played(NoisePattern::kXx, 2).r;
  EXPECT_FALSE(reader.Receive(AsBytes(played.messages[0])).ok());  // An old one, replayed.
}

TEST(NoiseTest, LongestMessageHas65535Bytes) {
  NoiseHandshake i = Side(NoisePattern::kIk, true, {}), r = Side(NoisePattern::kIk, false, {});
  const std::string longest(NoiseHandshake::kMessageMax - 96, 'x');
  NoiseHandshake other = i;
  EXPECT_EQ(other.Send(AsBytes(longest + "x")).status().code(), absl::StatusCode::kInvalidArgument);
  const auto sent = i.Send(AsBytes(longest));
  ASSERT_TRUE(sent.ok());
  EXPECT_EQ(sent->size(), NoiseHandshake::kMessageMax);
  EXPECT_EQ(NoiseHandshake(r).Receive(AsBytes(*sent + "x")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*r.Receive(AsBytes(*sent)), longest);
}

TEST(SecretTest, IsWipedWhenItDies) {
  alignas(Secret<32>) uint8_t room[sizeof(Secret<32>)];
  auto* secret = new (room) Secret<32>;
  secret->fill(7);
  secret->~Secret();
  EXPECT_EQ(std::string(AsText(room)), std::string(32, '\0'));
}

}  // namespace
}  // namespace orchard::crypto
