// v06: the frames of npm @hyperswarm/secret-stream, byte for byte; and what a stream does with time and with strangers.

#include "node/secret_stream/secret_stream.h"

#include <gtest/gtest.h>

#include "node/crypto/hash.h"
#include "tests/hyperdht/vectors.h"
#include "tests/support/bare_turn.h"

namespace orchard::secret_stream {
namespace {

using namespace std::chrono_literals;
using hyperdht::Array;
using hyperdht::Hex;
using hyperdht::Raw;
using nlohmann::json;

const json& V06() {
  static const json* const kVectors = new json(hyperdht::LoadVectors("v06-noise-secretstream.json"));
  return *kVectors;
}

std::vector<std::string> Texts(const News& news) {
  std::vector<std::string> out;
  for (Bytes m : news.messages) out.emplace_back(AsText(m));
  return out;
}

crypto::SessionKeys Keys(const json& v) {
  crypto::SessionKeys keys;
  keys.tx = Array(v["tx"]), keys.rx = Array(v["rx"]), keys.handshake_hash = Array<64>(v["handshakeHash"]);
  return keys;
}
Draws Recorded(const json& v) {
  Draws draws{};
  const std::string header = Raw(v["frames"][0]);
  std::copy_n(AsBytes(header).begin() + 35, 24, draws.header.begin());
  draws.counter = Array<8>(v["sendKeys"]["initialCounter"]);
  return draws;
}

// The two ends of a session whose keys are known.
struct Pair {
  BareTurn box;
  SecretStream a, b;
  News at_a, at_b;

  explicit Pair(Options options = {}) : a(Keys(V06()["secretstream"][0]), true, options), b(Keys(V06()["secretstream"][1]), false, options) {}
  Turn& turn() { return box.turn; }
  void Open() {
    const std::string from_a = a.Start(turn()), from_b = b.Start(turn());
    ASSERT_TRUE(a.OnBytes(turn(), AsBytes(from_b), at_a).ok());
    ASSERT_TRUE(b.OnBytes(turn(), AsBytes(from_a), at_b).ok());
    ASSERT_TRUE(a.opened() && b.opened());
  }
  std::string Pushed(std::string_view message) {
    std::string out;
    a.Push(turn(), AsBytes(message), out);
    return out;
  }
};

TEST(SecretStreamTest, FramesAreTheRecordedOnes) {
  ASSERT_EQ(V06()["secretstream"].size(), 2u);
  for (const json& v : V06()["secretstream"]) {
    BareTurn box;
    SecretStream s(Keys(v), v["role"] == "initiator", {});
    std::vector<std::string> frames = {s.Start(Instant{}, Recorded(v))};
    for (const json& plain : v["plaintexts"]) s.Push(box.turn, AsBytes(Raw(plain)), frames.emplace_back());
    for (const json& plain : v["unorderedPlain"]) {
      s.Seal(AsBytes(Raw(plain)), frames.emplace_back());
    }
    ASSERT_EQ(frames.size(), v["frames"].size());
    for (size_t i = 0; i < frames.size(); ++i) {
      const std::string expected = v["frames"][i];
      EXPECT_EQ(Hex(frames[i]), expected.starts_with("MSG:") ? expected.substr(4) : expected) << i;
    }
    EXPECT_EQ(frames[0].size(), SecretStream::kHeaderFrame);
    EXPECT_EQ(frames[0].substr(3, 32), Raw(v["streamId"]));
  }
}

TEST(SecretStreamTest, ReadsTheRecordedFramesHoweverTheyAreCut) {
  for (size_t role : {0u, 1u}) {
    const json &mine = V06()["secretstream"][role], &theirs = V06()["secretstream"][1 - role];
    std::string raw;
    std::vector<std::string> expected, unordered;
    for (const json& f : theirs["frames"]) {
      const std::string hex = f;
      if (hex.starts_with("MSG:")) unordered.push_back(Raw(json(hex.substr(4))));
      else raw += Raw(f);
    }
    for (const json& p : theirs["plaintexts"]) expected.push_back(Raw(p));
    for (size_t chunk = 1; chunk <= raw.size(); ++chunk) {
      BareTurn box;
      SecretStream s(Keys(mine), mine["role"] == "initiator", {});
      s.Start(box.turn);
      News news;
      for (size_t at = 0; at < raw.size(); at += chunk) {
        const std::string part = raw.substr(at, chunk);
        ASSERT_TRUE(s.OnBytes(box.turn, AsBytes(part), news).ok());
        ASSERT_EQ(s.opened(), at + part.size() >= SecretStream::kHeaderFrame);
      }
      ASSERT_EQ(Texts(news), expected) << "in pieces of " << chunk;
      EXPECT_EQ(s.buffered(), 0u);
      for (size_t i = 0; i < unordered.size(); ++i) {
        const auto plain = s.Open(AsBytes(unordered[i]), news);
        ASSERT_TRUE(plain.has_value());
        EXPECT_EQ(ToHex(*plain), theirs["unorderedPlain"][i]);
      }
    }
  }
}

// What the recorder drew: BLAKE2b-256(label ‖ u32 0), labels counted over all kinds (generator g06, patchRandom).
Key32 RecordersSeed(std::string_view label) {
  return crypto::Blake2b256({AsBytes(label), AsBytes(std::string_view("\0\0\0\0", 4))});
}

TEST(SecretStreamTest, StandAloneHandshakeIsTheRecordedOne) {
  const json& v = V06()["xx_secretstream_transcript"];
  std::string forth, back;  // All that went either way.
  std::vector<std::string> chunks_forth, chunks_back;
  for (const json& c : v["chunks"]) (c["dir"] == "i->r" ? chunks_forth : chunks_back).push_back(Raw(c["hex"]));
  ASSERT_EQ(chunks_forth.size(), 4u);  // Message 1, message 3, header, "ping".
  ASSERT_EQ(chunks_back.size(), 3u);   // Message 2, header, "pong".

  auto draws = [](std::string_view seed, const std::string& header_frame) {
    Draws d{.ephemeral_seed = RecordersSeed(seed)};
    std::copy_n(AsBytes(header_frame).begin() + 35, 24, d.header.begin());
    return d;
  };
  BareTurn box;
  SecretStream i(crypto::KeyPairFromSeed(Array(V06()["keys"]["initiator_static"]["seed"])), true, {});
  SecretStream r(crypto::KeyPairFromSeed(Array(V06()["keys"]["responder_static"]["seed"])), false, {});
  const std::string first = i.Start(Instant{}, draws("noise:kp:4", chunks_forth[2]));
  EXPECT_EQ(r.Start(Instant{}, draws("noise:kp:5", chunks_back[1])), "");
  EXPECT_EQ(Hex(first), Hex(chunks_forth[0]));
  EXPECT_FALSE(i.ready() || r.ready());

  News at_i, at_r;
  ASSERT_TRUE(r.OnBytes(box.turn, AsBytes(first), at_r).ok());
  EXPECT_EQ(Hex(at_r.write), Hex(chunks_back[0]));
  ASSERT_TRUE(i.OnBytes(box.turn, AsBytes(std::exchange(at_r.write, "")), at_i).ok());
  ASSERT_TRUE(i.ready());
  EXPECT_FALSE(i.opened());
  EXPECT_EQ(Hex(at_i.write), Hex(chunks_forth[1] + chunks_forth[2]));
  i.Push(box.turn, AsBytes("ping"), at_i.write);
  EXPECT_EQ(Hex(at_i.write), Hex(chunks_forth[1] + chunks_forth[2] + chunks_forth[3]));

  ASSERT_TRUE(r.OnBytes(box.turn, AsBytes(at_i.write), at_r).ok());
  ASSERT_TRUE(r.opened());
  EXPECT_EQ(Texts(at_r), std::vector<std::string>{"ping"});
  r.Push(box.turn, AsBytes("pong"), at_r.write);
  EXPECT_EQ(Hex(at_r.write), Hex(chunks_back[1] + chunks_back[2]));
  ASSERT_TRUE(i.OnBytes(box.turn, AsBytes(at_r.write), at_i).ok());
  EXPECT_EQ(Texts(at_i), std::vector<std::string>{"pong"});

  EXPECT_EQ(ToHex(i.handshake_hash()), v["handshakeHash"]);
  EXPECT_EQ(i.handshake_hash(), r.handshake_hash());
  EXPECT_EQ(ToHex(r.remote_key()), v["initiator"]);
  EXPECT_EQ(ToHex(i.remote_key()), v["responder"]);
}

TEST(SecretStreamTest, HeadersOfTheWrongRoleOrSizeAreRefused) {
  {
    Pair p;
    p.a.Start(p.turn());
    SecretStream twin(Keys(V06()["secretstream"][0]), true, {});  // Our own header, reflected.
    EXPECT_EQ(p.a.OnBytes(p.turn(), AsBytes(twin.Start(p.turn())), p.at_a).code(), absl::StatusCode::kUnauthenticated);
    EXPECT_TRUE(p.a.failed());
    EXPECT_EQ(p.a.OnBytes(p.turn(), AsBytes(p.b.Start(p.turn())), p.at_a).code(), absl::StatusCode::kFailedPrecondition);
  }
  for (int size : {0, 55, 57, 0xffffff}) {
    Pair p;
    p.a.Start(p.turn());
    const std::string length = {char(size), char(size >> 8), char(size >> 16)};
    EXPECT_EQ(p.a.OnBytes(p.turn(), AsBytes(length), p.at_a).code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(SecretStreamTest, AnAlteredFrameEndsTheStream) {
  for (size_t at : {3u, 4u, 8u, 24u}) {
    Pair p;
    p.Open();
    std::string raw = p.Pushed("hello");
    raw += p.Pushed("world");
    raw[raw.size() / 2 + at] = char(raw[raw.size() / 2 + at] ^ 1);
    EXPECT_EQ(p.b.OnBytes(p.turn(), AsBytes(raw), p.at_b).code(), absl::StatusCode::kUnauthenticated) << at;
    EXPECT_EQ(Texts(p.at_b), std::vector<std::string>{"hello"});  // What came before is genuine.
    EXPECT_TRUE(p.b.failed());
    EXPECT_EQ(p.b.next_deadline(), kNever);
  }
}

TEST(SecretStreamTest, AFrameShorterThanItsMacEndsTheStreamBeforeItsBodyComes) {
  Pair p;
  p.Open();
  EXPECT_EQ(p.b.OnBytes(p.turn(), AsBytes(std::string("\x10\0\0", 3)), p.at_b).code(), absl::StatusCode::kInvalidArgument);
}

TEST(SecretStreamTest, RepeatedAndSwappedFramesEndTheStream) {
  for (bool swapped : {false, true}) {
    Pair p;
    p.Open();
    const std::string one = p.Pushed("one"), two = p.Pushed("two");
    const std::string raw = swapped ? two + one : one + one;
    EXPECT_EQ(p.b.OnBytes(p.turn(), AsBytes(raw), p.at_b).code(), absl::StatusCode::kUnauthenticated);
  }
}

TEST(SecretStreamTest, MessagesOfAllSizesArriveWholeHoweverTheyAreCut) {
  Pair p;
  p.Open();
  std::string raw;
  std::vector<std::string> sent;
  Rng rng = Rng::Named(7, "sizes", "");
  for (size_t size : {0, 1, 17, 1200, 16367, 16384, 65536, 0, 300000, 5}) {
    sent.emplace_back(size, '\0');
    for (char& c : sent.back()) c = char(rng.Next());
    p.a.Push(p.turn(), AsBytes(sent.back()), raw);
  }
  for (size_t at = 0; at < raw.size();) {
    const size_t part = 1 + rng.Below(rng.Chance(1, 8) ? 40000 : 1400);
    ASSERT_TRUE(p.b.OnBytes(p.turn(), AsBytes(raw).subspan(at, part), p.at_b).ok());
    at += part;
  }
  EXPECT_EQ(Texts(p.at_b), sent);
}

TEST(SecretStreamTest, LargestMessageFitsIntoThreeBytesOfLength) {
  Pair p;
  p.Open();
  const std::string largest(SecretStream::kMessageMax, 'x'), raw = p.Pushed(largest);
  EXPECT_EQ(raw.substr(0, 3), "\xff\xff\xff");
  EXPECT_EQ(raw.size(), SecretStream::kOverhead + largest.size());
  ASSERT_TRUE(p.b.OnBytes(p.turn(), AsBytes(raw), p.at_b).ok());
  EXPECT_EQ(Texts(p.at_b), std::vector<std::string>{largest});
}

TEST(SecretStreamTest, APromisedLengthCostsNoMoreThanWhatArrived) {
  Pair p;
  p.Open();
  std::string promise = "\xff\xff\xff";
  ASSERT_TRUE(p.b.OnBytes(p.turn(), AsBytes(promise), p.at_b).ok());
  EXPECT_EQ(p.b.buffered(), 0u);
  const std::string part(1000, 'x');
  size_t arrived = 0;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(p.b.OnBytes(p.turn(), AsBytes(part), p.at_b).ok());
    arrived += part.size();
    ASSERT_LE(p.b.buffered(), std::max<size_t>(16 * 1024, 4 * arrived));
  }
}

TEST(SecretStreamTest, AnIdleStreamIsSmall) { EXPECT_LE(sizeof(SecretStream), 400u); }

TEST(KeepAliveTest, AnEmptyMessageGoesOutAfterFiveSecondsOfSilence) {
  Pair p({.keep_alive = 5s});
  p.Open();
  EXPECT_EQ(p.a.next_deadline(), Instant{} + 5s);
  News news;
  ASSERT_TRUE(p.a.OnTime(p.box.At(5s), news).ok());
  EXPECT_EQ(news.write.size(), SecretStream::kOverhead);
  EXPECT_EQ(p.a.next_deadline(), Instant{} + 10s);
  ASSERT_TRUE(p.b.OnBytes(p.turn(), AsBytes(news.write), p.at_b).ok());
  EXPECT_TRUE(p.at_b.messages.empty());  // The other side does the same, and swallows it.
}

TEST(KeepAliveTest, EveryWriteRestartsTheInterval) {
  Pair p({.keep_alive = 5s});
  p.Open();
  p.box.At(3s);
  p.Pushed("busy");
  News news;
  ASSERT_TRUE(p.a.OnTime(p.box.At(5s), news).ok());
  EXPECT_EQ(news.write, "");
  EXPECT_EQ(p.a.next_deadline(), Instant{} + 8s);
  ASSERT_TRUE(p.a.OnTime(p.box.At(8s), news).ok());
  EXPECT_EQ(news.write.size(), SecretStream::kOverhead);
}

TEST(KeepAliveTest, WithoutItEmptyMessagesAreMessages) {
  Pair p;
  p.Open();
  EXPECT_EQ(p.a.next_deadline(), kNever);
  ASSERT_TRUE(p.b.OnBytes(p.turn(), AsBytes(p.Pushed("")), p.at_b).ok());
  EXPECT_EQ(Texts(p.at_b), std::vector<std::string>{""});
}

TEST(KeepAliveTest, StopsWhenOurHalfHasEnded) {
  Pair p({.keep_alive = 5s});
  p.Open();
  p.a.SetKeepAlive(p.turn().now, {});
  EXPECT_EQ(p.a.next_deadline(), kNever);
}

TEST(ReceiveTimeoutTest, FailsAfterSoMuchSilenceAndAnyRawByteRestartsIt) {
  Pair p({.receive_timeout = 10s});
  p.Open();
  News news;
  ASSERT_TRUE(p.b.OnBytes(p.box.At(6s), AsBytes(p.Pushed("hello").substr(0, 1)), news).ok());
  ASSERT_TRUE(p.b.OnTime(p.box.At(10s), news).ok());
  EXPECT_EQ(p.b.next_deadline(), Instant{} + 16s);
  EXPECT_EQ(p.b.OnTime(p.box.At(16s), news).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(p.b.failed());
}

TEST(ReceiveTimeoutTest, CoversTheHandshake) {
  BareTurn box;
  SecretStream s(crypto::KeyPairFromSeed(Key32{1}), false, {.receive_timeout = 10s});
  s.Start(box.turn);
  News news;
  EXPECT_EQ(s.OnTime(box.At(10s), news).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(UnorderedTest, MessagesAreReadInAnyOrderAndTwice) {
  Pair p;
  p.Open();
  std::vector<std::string> packets(3);
  for (size_t i = 0; i < 3; ++i) p.a.Seal(AsBytes(std::string(i, 'x')), packets[i]);
  News news;
  for (size_t i : {2u, 0u, 1u, 1u}) {
    const auto plain = p.b.Open(AsBytes(packets[i]), news);
    ASSERT_TRUE(plain.has_value());
    EXPECT_EQ(AsText(*plain), std::string(i, 'x'));
    EXPECT_EQ(packets[i].size(), i + SecretStream::kUnorderedOverhead);
  }
}

TEST(UnorderedTest, ForgedShortAndReflectedPacketsAreNothing) {
  Pair p;
  p.Open();
  std::string packet;
  p.a.Seal(AsBytes("hello"), packet);
  News news;
  EXPECT_FALSE(p.a.Open(AsBytes(packet), news).has_value());  // Keys differ per direction.
  for (size_t n = 0; n < packet.size(); ++n) {
    EXPECT_FALSE(p.b.Open(AsBytes(packet.substr(0, n)), news).has_value()) << n;
    std::string altered = packet;
    altered[n] = char(altered[n] ^ 1);
    EXPECT_FALSE(p.b.Open(AsBytes(altered), news).has_value()) << n;
  }
  EXPECT_TRUE(news.kept.empty());
  EXPECT_FALSE(p.b.failed());
}

TEST(UnorderedTest, NothingIsReadBeforeThereAreKeys) {
  BareTurn box;
  SecretStream s(crypto::KeyPairFromSeed(Key32{1}), false, {});
  s.Start(box.turn);
  News news;
  EXPECT_FALSE(s.Open(AsBytes(std::string(64, 'x')), news).has_value());
}

TEST(StandAloneTest, AForgedHandshakeEndsTheStream) {
  BareTurn box;
  const crypto::KeyPair key = crypto::KeyPairFromSeed(Key32{1});
  // Truncated, of low order, and a length that no handshake has.
  for (const std::string& frame : {std::string("\x05\0\0hello", 8), std::string("\x20\0\0", 3) + std::string(32, '\0'), std::string("\0\0\x01", 3)}) {
    SecretStream s(key, false, {});
    s.Start(box.turn);
    News news;
    EXPECT_FALSE(s.OnBytes(box.turn, AsBytes(frame), news).ok());
    EXPECT_TRUE(s.failed());
    EXPECT_EQ(news.write, "");
  }
}

}  // namespace
}  // namespace orchard::secret_stream
