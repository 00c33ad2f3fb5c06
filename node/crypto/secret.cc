#include "node/crypto/secret.h"

#include <sodium.h>

namespace orchard::crypto {

void Wipe(absl::Span<uint8_t> bytes) { sodium_memzero(bytes.data(), bytes.size()); }

}  // namespace orchard::crypto
