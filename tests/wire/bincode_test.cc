#include "node/wire/bincode.h"

#include <gtest/gtest.h>

namespace orchard::wire {
namespace {

TEST(BincodeTest, WhatIsWrittenReadsBackAsLittleEndianOfFixedWidth) {
  std::string out;
  BincodeWriter w(out);
  w.U8(1), w.U16(0x0203), w.U32(0x04050607), w.U64(0xfffefdfcfbfaf9f8), w.Slice(AsBytes("ab")), w.Raw(AsBytes("c"));
  EXPECT_EQ(ToHex(AsBytes(out)), "010302" "07060504" "f8f9fafbfcfdfeff" "0200000000000000" "6162" "63");
  BincodeReader r(AsBytes(out));
  EXPECT_EQ(r.U8(), 1);
  EXPECT_EQ(r.U16(), 0x0203);
  EXPECT_EQ(r.U32(), 0x04050607u);
  EXPECT_EQ(r.U64(), 0xfffefdfcfbfaf9f8u);
  EXPECT_EQ(AsText(r.Slice()), "ab");
  EXPECT_EQ(AsText(r.Take(1)), "c");
  EXPECT_TRUE(r.ok() && r.remaining() == 0);
}

TEST(BincodeTest, ALengthThatWouldWrapIsRefused) {
  const std::string lie = *FromHex("ffffffffffffffff6162");
  BincodeReader r(AsBytes(lie));
  EXPECT_TRUE(r.Slice().empty());
  EXPECT_EQ(r.status().message(), "bincode: a length beyond its end");
}

TEST(BincodeTest, TheFirstErrorSticksAndNothingIsReadAfterIt) {
  BincodeReader r(AsBytes("\x02\x01"));
  EXPECT_FALSE(r.Some());  // Neither none nor some.
  EXPECT_EQ(r.U8(), 0);
  EXPECT_EQ(r.status().message(), "bincode: an option that is neither there nor not");
}

}  // namespace
}  // namespace orchard::wire
