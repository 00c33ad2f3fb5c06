#include "node/crypto/sha256.h"

#include <sodium.h>

namespace orchard::crypto {

Key32 Sha256(Bytes data) {
  Key32 out;
  crypto_hash_sha256(out.data(), data.data(), data.size());
  return out;
}

}  // namespace orchard::crypto
