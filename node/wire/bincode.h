// bincode 1 as Rust's `serialize` writes it: little-endian integers of fixed width, lengths of eight bytes. An error sticks:
// from then on every read yields zero or nothing. Trailing bytes are the caller's affair; bincode 1 ignores them.
// Source: bincode 1.x default options; the layouts of PeaPod, docs/PEAPOD.md.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "node/base/bytes.h"

namespace orchard::wire {

class BincodeReader {
 public:
  explicit BincodeReader(Bytes window) : rest_(window) {}

  bool ok() const { return why_ == nullptr; }
  // kInvalidArgument, saying what was wrong.
  absl::Status status() const;
  size_t remaining() const { return rest_.size(); }
  // For a format's own rules; the first reason stays.
  void Fail(const char* why);

  uint8_t U8() { return uint8_t(Fixed(1)); }
  uint16_t U16() { return uint16_t(Fixed(2)); }
  uint32_t U32() { return uint32_t(Fixed(4)); }
  uint64_t U64() { return Fixed(8); }
  Bytes Take(size_t n);  // Exactly n bytes: an array.
  Bytes Slice();         // Eight bytes of length, then that many: slices, vectors, strings.
  // The tag of an Option: 0 or 1, anything else is an error.
  bool Some();

 private:
  uint64_t Fixed(size_t bytes);
  Bytes rest_;
  const char* why_ = nullptr;
};

// Appends to `out`.
class BincodeWriter {
 public:
  explicit BincodeWriter(std::string& out) : out_(out) {}
  void U8(uint8_t x) { out_.push_back(char(x)); }
  void U16(uint16_t x) { Fixed(x, 2); }
  void U32(uint32_t x) { Fixed(x, 4); }
  void U64(uint64_t x) { Fixed(x, 8); }
  void Raw(Bytes b) { out_.append(AsText(b)); }
  void Slice(Bytes b) { U64(b.size()), Raw(b); }

 private:
  void Fixed(uint64_t x, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) out_.push_back(char(x >> 8 * i));
  }
  std::string& out_;
};

}  // namespace orchard::wire
