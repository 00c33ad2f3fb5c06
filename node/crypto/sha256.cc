#include "node/crypto/sha256.h"

#include <sodium.h>

#include <cstring>

namespace orchard::crypto {

static_assert(sizeof(crypto_hash_sha256_state) == 104 && alignof(crypto_hash_sha256_state) <= 8);

Key32 Sha256(Bytes data) {
  Key32 out;
  crypto_hash_sha256(out.data(), data.data(), data.size());
  return out;
}

Sha256Stream::Sha256Stream() {
  crypto_hash_sha256_state s;
  crypto_hash_sha256_init(&s);
  std::memcpy(state_.data(), &s, sizeof s);
}

void Sha256Stream::Add(Bytes data) {
  crypto_hash_sha256_state s;
  std::memcpy(&s, state_.data(), sizeof s);
  crypto_hash_sha256_update(&s, data.data(), data.size());
  std::memcpy(state_.data(), &s, sizeof s);
}

Key32 Sha256Stream::digest() const {
  crypto_hash_sha256_state s;
  std::memcpy(&s, state_.data(), sizeof s);
  Key32 out;
  crypto_hash_sha256_final(&s, out.data());
  return out;
}

}  // namespace orchard::crypto
