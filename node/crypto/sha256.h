// SHA-256, for what people compare with the tools at hand. The protocols hash with BLAKE2b.
#pragma once

#include "node/base/bytes.h"

namespace orchard::crypto {

Key32 Sha256(Bytes data);

// Of what comes in pieces.
class Sha256Stream {
 public:
  Sha256Stream();
  void Add(Bytes data);
  // Of all that was added so far; more may follow.
  Key32 digest() const;

 private:
  alignas(8) std::array<uint8_t, 104> state_;  // libsodium's, whose header stays out of ours.
};

}  // namespace orchard::crypto
