#include "node/crypto/x25519.h"

#include <sodium.h>

namespace orchard::crypto {

Key32 X25519Public(const Secret<32>& secret) {
  Key32 out;
  crypto_scalarmult_base(out.data(), secret.data());
  return out;
}

std::optional<Secret<32>> X25519(const Secret<32>& secret, const Key32& remote) {
  Secret<32> out;
  if (crypto_scalarmult(out.data(), secret.data(), remote.data()) != 0) return std::nullopt;
  return out;
}

}  // namespace orchard::crypto
