#include "node/udx/packet.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "node/base/rng.h"

namespace orchard::udx {
namespace {

using nlohmann::json;

json Vectors(const std::string& name) { return json::parse(std::ifstream(std::string(ORCHARD_SOURCE_DIR) + "/tests/vectors/" + name)); }

TEST(PacketTest, EveryCapturedPacketReadsAndWritesBack) {
  const json vectors = Vectors("v05-udx.json");
  size_t packets = 0, sacks = 0;
  for (const json& scenario : vectors["scenarios"]) {
    for (const json& p : scenario["packets"]) {
      const std::string hex = p["hex"];  // Of a long one only the beginning, then "...".
      const std::optional<std::string> read = FromHex(hex.substr(0, hex.find('.')));
      ASSERT_TRUE(read.has_value()) << p.dump();
      const std::string& bytes = *read;
      std::optional<Header> h = ReadHeader(AsBytes(bytes));
      ASSERT_TRUE(h.has_value()) << p.dump();
      EXPECT_EQ(h->type, p["type"]);
      EXPECT_EQ(h->data_offset, p["data_offset"]);
      EXPECT_EQ(h->id, p["id"]);
      EXPECT_EQ(h->window, p["rwnd"]);
      EXPECT_EQ(h->seq, p["seq"]);
      EXPECT_EQ(h->ack, p["ack"]);
      EXPECT_EQ(ToHex(WriteHeader(*h)), hex.substr(0, 40));
      ++packets;
      if (bytes.size() == p["len"] && (h->type & kSack) == 0) {
        EXPECT_EQ(PayloadOf(*h, AsBytes(bytes))->size(), p["payload_len"]);
      }
      SackBlocks blocks(*h, AsBytes(bytes));
      const json expected = p.value("sacks", json::array());
      ASSERT_EQ(blocks.size(), expected.size());
      for (size_t i = 0; i < blocks.size(); ++i, ++sacks) EXPECT_EQ(blocks[i], (SeqRange{expected[i][0], expected[i][1]}));
    }
  }
  EXPECT_GT(packets, 250u);
  EXPECT_GE(sacks, 2u);
}

TEST(PacketTest, WhatIsShortOrOfAnotherMagicOrVersionIsNotUdx) {
  std::array<uint8_t, kHeaderBytes> good = WriteHeader({kData, 0, 1, 2, 3, 4});
  EXPECT_TRUE(ReadHeader(good).has_value());
  EXPECT_FALSE(ReadHeader(Bytes(good).first(19)).has_value());
  for (size_t i : {0, 1}) {
    auto bad = good;
    ++bad[i];
    EXPECT_FALSE(ReadHeader(bad).has_value());
  }
}

TEST(PacketTest, TheDataOffsetSaysWhereThePayloadBeginsAndHowLongTheBlocksAre) {
  std::string d(AsText(WriteHeader({kSack, 0, 1, 2, 3, 4})));
  for (uint32_t x : {5u, 7u, 9u, 10u}) {
    for (int i = 0; i < 4; ++i) d.push_back(char(x >> (8 * i)));
  }
  Header h = *ReadHeader(AsBytes(d));
  EXPECT_EQ(SackBlocks(h, AsBytes(d)).size(), 2u);
  EXPECT_EQ(SackBlocks(h, AsBytes(d).first(d.size() - 1)).size(), 1u);
  h.data_offset = 8;
  ASSERT_EQ(SackBlocks(h, AsBytes(d)).size(), 1u);
  EXPECT_EQ(SackBlocks(h, AsBytes(d))[0], (SeqRange{5, 7}));
  EXPECT_EQ(PayloadOf(h, AsBytes(d))->size(), 8u);
  h.data_offset = 17;
  EXPECT_FALSE(PayloadOf(h, AsBytes(d)).has_value());
  EXPECT_EQ(SackBlocks(h, AsBytes(d)).size(), 2u);
  std::string many(AsText(WriteHeader({kSack, 0, 1, 2, 3, 4})));
  many.resize(kHeaderBytes + 8 * 60);
  EXPECT_EQ(SackBlocks(*ReadHeader(AsBytes(many)), AsBytes(many)).size(), kSackBlocksMax);
}

TEST(PacketTest, SequenceNumbersCompareAroundTheWrap) {
  EXPECT_TRUE(Before(0xfffffffe, 1));
  EXPECT_FALSE(Before(1, 0xfffffffe));
  EXPECT_FALSE(Before(7, 7));
  EXPECT_TRUE(Before(0, 0x7fffffff));
}

}  // namespace
}  // namespace orchard::udx
