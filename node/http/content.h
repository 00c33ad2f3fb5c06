// The files of an origin that has none: bytes made of a name and a seed, at any offset, without memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "node/base/bytes.h"

namespace orchard::http {

class Content {
 public:
  // ChaCha20, keyed by BLAKE2b-256 of the seed and the path.
  Content(uint64_t seed, std::string_view path, uint64_t size);
  uint64_t size() const { return size_; }
  // `out` from `offset` on; within the size.
  void Read(uint64_t offset, absl::Span<uint8_t> out) const;
  // Of `size` bytes from `offset` on. Long: for claims and tests, not for turns.
  Key32 Sha256(uint64_t offset, uint64_t size) const;
  Key32 Sha256() const { return Sha256(0, size_); }
  // A strong tag, with its quotes: another file, seed or size has another.
  std::string etag() const;

 private:
  Key32 key_;
  uint64_t size_;
};

}  // namespace orchard::http
