#include "node/hyperdht/cache.h"

#include <gtest/gtest.h>

#include <set>

namespace orchard::hyperdht {
namespace {

using namespace std::chrono_literals;

Key32 K(uint8_t n) { return Key32{n}; }
Instant At(Duration d) { return Instant(d); }
std::string Blob(uint8_t n, char tail) { return std::string(1, char(n)) + std::string(31, '\0') + tail; }

TEST(XacheTest, AnEntryLivesBetweenTwoThirdsAndFourThirdsOfItsAge) {
  Xache<int> c(100, 3s);  // Ticks of 2 s, counted from the first touch.
  c.Set(At(0s), K(1), 1);
  c.Set(At(1900ms), K(2), 2);
  c.Set(At(2100ms), K(3), 3);
  EXPECT_EQ(c.size(), 3u);  // 1 and 2 are old now.
  c.Set(At(4100ms), K(4), 4);
  EXPECT_EQ(c.Get(At(4100ms), K(1)), nullptr);
  EXPECT_EQ(c.Get(At(4100ms), K(2)), nullptr);
  EXPECT_NE(c.Get(At(4100ms), K(3)), nullptr);
}

TEST(XacheTest, ReadingKeepsAnEntryYoung) {
  Xache<int> c(100, 3s);
  c.Set(At(0s), K(1), 7);
  for (int i = 1; i < 10; ++i) {
    int* found = c.Get(At(i * 1900ms), K(1));
    ASSERT_NE(found, nullptr) << i;
    EXPECT_EQ(*found, 7);
  }
}

TEST(XacheTest, AFullYoungMapTurnsAndTheNextTickPasses) {
  Xache<int> c(2, 3s);
  c.Set(At(0s), K(1), 1);
  c.Set(At(0s), K(2), 2);  // Turns: 1 and 2 are old.
  c.Set(At(0s), K(3), 3);
  c.Set(At(2100ms), K(5), 5);  // The tick passes, but 3 and 5 fill the young map: 1 and 2 go.
  EXPECT_EQ(c.size(), 2u);
  EXPECT_EQ(c.Get(At(2200ms), K(1)), nullptr);
  EXPECT_NE(c.Get(At(2200ms), K(3)), nullptr);
}

TEST(XacheTest, ARetainedEntryNeverExpiresAndIsNotOverwritten) {
  Xache<int> c(100, 3s);
  c.Retain(At(0s), K(1), 1);
  c.Set(At(1s), K(1), 2);
  ASSERT_NE(c.Get(At(1h), K(1)), nullptr);
  EXPECT_EQ(*c.Get(At(1h), K(1)), 1);
  c.Erase(At(1h), K(1));
  EXPECT_FALSE(c.owns_memory());
}

TEST(XacheTest, OwnsNoMemoryBeforeAndAfter) {
  Xache<std::string> c(100, 3s);
  EXPECT_FALSE(c.owns_memory());
  c.Set(At(0s), K(1), "x");
  EXPECT_TRUE(c.owns_memory());
  EXPECT_EQ(c.Get(At(1h), K(1)), nullptr);
  EXPECT_FALSE(c.owns_memory());
}

TEST(RecordCacheTest, KeepsOneRecordPerPeerTheNewest) {
  RecordCache c(100, 3s);
  Rng rng = Rng::Named(1, "cache", "test");
  c.Add(At(0s), K(9), AsBytes(Blob(1, 'a')));
  c.Add(At(0s), K(9), AsBytes(Blob(1, 'b')));
  c.Add(At(0s), K(9), AsBytes(Blob(2, 'c')));
  EXPECT_EQ(c.size(), 2u);
  auto got = c.Sample(At(0s), K(9), 20, rng);
  EXPECT_EQ(std::set<std::string>(got.begin(), got.end()), (std::set<std::string>{Blob(1, 'b'), Blob(2, 'c')}));
  c.Add(At(2100ms), K(9), AsBytes(Blob(1, 'd')));  // Moves from the old generation to the young one.
  EXPECT_EQ(c.size(), 2u);
  EXPECT_EQ(c.Sample(At(4100ms), K(9), 20, rng), std::vector<std::string>{Blob(1, 'd')});
}

TEST(RecordCacheTest, ReadingDoesNotProlongALife) {
  RecordCache c(100, 3s);
  Rng rng = Rng::Named(1, "cache", "test");
  c.Add(At(0s), K(9), AsBytes(Blob(1, 'a')));
  EXPECT_EQ(c.Sample(At(2100ms), K(9), 20, rng).size(), 1u);
  EXPECT_EQ(c.Sample(At(3900ms), K(9), 20, rng).size(), 1u);
  EXPECT_EQ(c.Sample(At(4100ms), K(9), 20, rng).size(), 0u);
  EXPECT_FALSE(c.owns_memory());
}

TEST(RecordCacheTest, SamplesUniformlyWithoutReplacement) {
  RecordCache c(1000, 3h);
  Rng rng = Rng::Named(1, "cache", "sample");
  for (uint8_t i = 0; i < 50; ++i) c.Add(At(i < 25 ? 0s : 2h + 1s), K(9), AsBytes(Blob(i, 'x')));  // Both generations.
  int hits[50] = {};
  for (int round = 0; round < 2000; ++round) {
    auto got = c.Sample(At(2h + 2s), K(9), 20, rng);
    ASSERT_EQ(got.size(), 20u);
    ASSERT_EQ(std::set<std::string>(got.begin(), got.end()).size(), 20u);
    for (const std::string& b : got) ++hits[uint8_t(b[0])];
  }
  for (int h : hits) EXPECT_NEAR(h, 800, 120);  // 2000 · 20/50; five standard deviations are 110.
}

TEST(RecordCacheTest, RemovesFromABigTopicByIndex) {
  RecordCache c(10000, 3h);
  Rng rng = Rng::Named(1, "cache", "big");
  for (int i = 0; i < 200; ++i) c.Add(At(0s), K(9), AsBytes(Blob(uint8_t(i), 'x')));
  for (int i = 0; i < 200; i += 2) c.Remove(At(0s), K(9), K(uint8_t(i)));
  EXPECT_EQ(c.size(), 100u);
  for (const std::string& b : c.Sample(At(0s), K(9), 200, rng)) EXPECT_EQ(uint8_t(b[0]) % 2, 1);
}

TEST(RecordCacheTest, AFloodIsBounded) {
  RecordCache c(64, 3h);
  for (int i = 0; i < 10000; ++i) {
    std::string blob(33, char(i & 0xff));
    blob[1] = char(i >> 8);
    c.Add(At(0s), K(uint8_t(i % 7)), AsBytes(blob));
    ASSERT_LE(c.size(), 2 * 65u);
  }
}

}  // namespace
}  // namespace orchard::hyperdht
