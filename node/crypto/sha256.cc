#include "node/crypto/sha256.h"

#include <sodium.h>

namespace orchard::crypto {

Key32 Sha256(Bytes data) {
  Key32 out;
  crypto_hash_sha256(out.data(), data.data(), data.size());
  return out;
}

Sha256Stream::Sha256Stream() { crypto_hash_sha256_init(&state_); }
void Sha256Stream::Add(Bytes part) { crypto_hash_sha256_update(&state_, part.data(), part.size()); }
Key32 Sha256Stream::Digest() const {
  crypto_hash_sha256_state copy = state_;
  Key32 out;
  crypto_hash_sha256_final(&copy, out.data());
  return out;
}

}  // namespace orchard::crypto
