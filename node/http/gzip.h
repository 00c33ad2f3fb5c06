// A gzip member (RFC 1952) that compresses nothing: stored blocks (RFC 1951 §3.2.4). What matters of a content coding here is
// that the bytes on the wire are others.
#pragma once

#include <cstdint>
#include <string>

#include "node/base/bytes.h"

namespace orchard::http {

class StoredGzip {
 public:
  static constexpr size_t kBlockMax = 32 << 10;
  // Of that many bytes, packed.
  static uint64_t SizeOf(uint64_t bytes);

  static std::string Header();
  // At most kBlockMax bytes.
  std::string Block(Bytes bytes, bool last);
  // A file without bytes has one empty block before it.
  std::string Trailer() const;

 private:
  uint32_t crc_ = 0, size_ = 0;
};

}  // namespace orchard::http
