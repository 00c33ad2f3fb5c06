// The original's core, faults and all.

#include "node/pod/faithful_core.h"

#include <gtest/gtest.h>

#include "node/crypto/sha256.h"

namespace orchard::pod {
namespace {

const DeviceId kSelf{1}, kA{2}, kB{3};

struct Pod {
  Rng rng = Rng::Named(1, "faithful", "");
  FaithfulCore core{kSelf};
  explicit Pod(std::initializer_list<DeviceId> peers) {
    for (const DeviceId& p : peers) core.OnPeerJoined(p);
  }
  static ChunkData Data(const FaithfulCore::Accelerate& t, size_t i, Bytes payload) {
    return {.transfer = t.transfer, .start = t.chunks[i].start, .end = t.chunks[i].end, .hash = crypto::Sha256(payload), .payload = payload};
  }
};

TEST(FaithfulCoreTest, FallsBackWithoutRangeOrPeersAndLosesTheOffset) {
  Pod alone({}), pod({kA});
  EXPECT_FALSE(alone.core.OnIncomingRequest(alone.rng, std::pair(100, 199)).has_value());
  EXPECT_FALSE(pod.core.OnIncomingRequest(pod.rng, std::nullopt).has_value());
  const auto t = pod.core.OnIncomingRequest(pod.rng, std::pair(100, 199));
  ASSERT_TRUE(t.has_value());
  EXPECT_EQ(t->total, 100u);
  ASSERT_EQ(t->chunks.size(), 1u);
  EXPECT_EQ(t->chunks[0].start, 0u);  // Not 100.
  EXPECT_FALSE(t->chunks[0].peer.has_value());
}

TEST(FaithfulCoreTest, GoesThroughTheSeedsFlowAndConcatenates) {
  Pod pod({kA, kB});
  const auto t = pod.core.OnIncomingRequest(pod.rng, std::pair(0, 5 * 262144 - 1));
  ASSERT_EQ(t->chunks.size(), 5u);
  EXPECT_EQ(t->chunks[1].peer, kA);
  EXPECT_EQ(t->chunks[2].peer, kB);
  EXPECT_EQ(t->chunks[4].peer, kA);
  std::string all;
  for (size_t i = 0; i < 5; ++i) {
    const std::string part(3, char('a' + i));  // Lengths are not compared.
    const auto got = pod.core.OnChunkReceived(Pod::Data(*t, i, AsBytes(part)));
    EXPECT_EQ(got.body.has_value(), i == 4);
    if (got.body) all = *got.body;
  }
  EXPECT_EQ(all, "aaabbbcccdddeee");
}

TEST(FaithfulCoreTest, ASecondTransferTakesTheFirstsPlace) {
  Pod pod({kA});
  const auto one = pod.core.OnIncomingRequest(pod.rng, std::pair(0, 9)), two = pod.core.OnIncomingRequest(pod.rng, std::pair(0, 9));
  EXPECT_FALSE(pod.core.OnChunkReceived(Pod::Data(*one, 0, AsBytes("0123456789"))).body.has_value());
  EXPECT_TRUE(pod.core.OnChunkReceived(Pod::Data(*two, 0, AsBytes("0123456789"))).body.has_value());
}

TEST(FaithfulCoreTest, ReassignsWithoutTheUrlAndToItself) {
  Pod pod({kA});
  const auto t = pod.core.OnIncomingRequest(pod.rng, std::pair(0, 2 * 262144 - 1));
  const auto out = pod.core.OnPeerLeft(kA);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].to, kSelf);
  EXPECT_FALSE(std::get<ChunkRequest>(out[0].message).url.has_value());
  ChunkData wrong = Pod::Data(*t, 0, AsBytes("x"));
  wrong.hash = {};
  EXPECT_TRUE(pod.core.OnChunkReceived(wrong).reassigned.empty());  // Nobody is left.
}

TEST(FaithfulCoreTest, DropsAPeerAtTheSixthSilentTickWhateverElseItSends) {
  Pod pod({});
  for (int i = 0; i < 10; ++i) pod.core.Tick();
  pod.core.OnPeerJoined(kA);
  for (int i = 11; i <= 15; ++i) {
    EXPECT_EQ(pod.core.Tick().size(), 1u);
    pod.core.OnMessage(kA, Nack{});
  }
  EXPECT_EQ(pod.core.peers().size(), 1u);
  EXPECT_TRUE(pod.core.Tick().empty());
  EXPECT_TRUE(pod.core.peers().empty());
}

TEST(FaithfulCoreTest, LeavesOnlyByItsOwnWord) {
  Pod pod({kA, kB});
  pod.core.OnMessage(kA, Leave{kB});
  EXPECT_EQ(pod.core.peers().size(), 2u);
  pod.core.OnMessage(kA, Leave{kA});
  EXPECT_EQ(pod.core.peers().size(), 1u);
}

}  // namespace
}  // namespace orchard::pod
