// SHA-256, for what people compare with the tools at hand. The protocols hash with BLAKE2b.
#pragma once

#include <sodium/crypto_hash_sha256.h>

#include "node/base/bytes.h"

namespace orchard::crypto {

Key32 Sha256(Bytes data);

// Of bytes that come in parts.
class Sha256Stream {
 public:
  Sha256Stream();
  void Add(Bytes part);
  // Of all parts so far; more may follow.
  Key32 Digest() const;

 private:
  crypto_hash_sha256_state state_;
};

}  // namespace orchard::crypto
