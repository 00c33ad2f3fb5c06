// Reads compact-encoding from a borrowed window. An error sticks: from then on every read yields zero or nothing, so a
// decoder reads all its fields and asks ok() once. Trailing bytes are the caller's affair (most formats ignore them).
// Source: compact-encoding 3.5.2.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/wire/address.h"

namespace orchard::wire {

// A JavaScript number counts exactly up to here; larger varints are errors on both sides.
inline constexpr uint64_t kUintMax = (uint64_t{1} << 53) - 1;
// More items than this is not a message but an attack.
inline constexpr uint64_t kArrayMax = 0x100000;

class Reader {
 public:
  explicit Reader(Bytes window) : at_(window.data()), end_(window.data() + window.size()) {}

  bool ok() const { return why_ == nullptr; }
  // kInvalidArgument, saying what was wrong.
  absl::Status status() const;
  size_t remaining() const { return size_t(end_ - at_); }
  // For a format's own rules; the first reason stays.
  void Fail(const char* why) {
    if (why_ == nullptr) why_ = why;
    at_ = end_;
  }

  uint64_t Uint();  // Varint; over-long forms are accepted, values above kUintMax are not.
  int64_t Int();    // Zig-zag over Uint.
  uint64_t Fixed(size_t bytes);  // Little endian, 1 to 8 bytes, at most kUintMax.
  uint8_t U8() { return uint8_t(Fixed(1)); }
  uint16_t U16() { return uint16_t(Fixed(2)); }
  uint32_t U32() { return uint32_t(Fixed(4)); }
  uint64_t U32Be();
  uint64_t U64Be();  // At most kUintMax.
  bool Bool() { return U8() == 1; }
  Bytes Buffer();    // Length, then that many bytes.
  std::optional<Bytes> OptionalBuffer();  // An empty one reads as none.
  Bytes Take(size_t n);  // Exactly n bytes.
  Bytes Raw() { return Take(remaining()); }
  Key32 Key();
  Ipv4Address Ipv4();
  Endpoint Ipv6();
  uint64_t ArraySize();  // Refuses more than kArrayMax.
  // The window of one length-prefixed value; this reader is then past it, whatever is read of it.
  Reader Frame() { return Reader(Buffer()); }
  uint64_t Lexint();     // Orders as bytes do; up to 2^32 - 1.
  uint64_t Bitfield();   // compact-encoding-bitfield: the first byte says the width.

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  const char* why_ = nullptr;
};

}  // namespace orchard::wire
