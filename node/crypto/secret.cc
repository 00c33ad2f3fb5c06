#include "node/crypto/secret.h"

#include <sodium.h>

namespace orchard::crypto {

void Wipe(absl::Span<uint8_t> bytes) { sodium_memzero(bytes.data(), bytes.size()); }

bool SameSecret(absl::Span<const uint8_t> a, absl::Span<const uint8_t> b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace orchard::crypto
