// Writes compact-encoding, always in the shortest form. Packets of usual size stay on the caller's stack.
// Source: compact-encoding 3.5.2.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/wire/address.h"

namespace orchard::wire {

class Writer {
 public:
  Bytes bytes() const { return Bytes(out_.data(), out_.size()); }
  std::string str() const { return std::string(AsText(bytes())); }
  size_t size() const { return out_.size(); }

  void Uint(uint64_t x);  // At most kUintMax.
  void Int(int64_t x);    // Zig-zag over Uint.
  void Fixed(uint64_t x, size_t bytes);  // Little endian, 1 to 8 bytes.
  void U8(uint8_t x) { out_.push_back(x); }
  void U16(uint16_t x) { Fixed(x, 2); }
  void U32(uint32_t x) { Fixed(x, 4); }
  void U32Be(uint32_t x);
  void U64Be(uint64_t x);
  void Bool(bool b) { U8(b ? 1 : 0); }
  void Buffer(Bytes b) { Uint(b.size()), Raw(b); }
  void String(std::string_view s) { Buffer(AsBytes(s)); }
  void Raw(Bytes b) {
    if (b.empty()) return;
    const size_t at = out_.size();
    out_.resize(at + b.size());  // insert() would go byte by byte.
    std::memcpy(out_.data() + at, b.data(), b.size());
  }
  void Key(const Key32& k) { Raw(k); }
  void Ipv4(Ipv4Address a);
  void Ipv6(const Endpoint& e);
  void Lexint(uint64_t x);  // Up to 2^32 - 1.
  void Bitfield(uint64_t mask, size_t bits);

 private:
  absl::InlinedVector<uint8_t, 512> out_;
};

}  // namespace orchard::wire
