// X25519 (RFC 7748) as pure functions; private keys are 32 bytes of Turn::rng.
#pragma once

#include <optional>

#include "node/base/bytes.h"
#include "node/crypto/secret.h"

namespace orchard::crypto {

Key32 X25519Public(const Secret<32>& secret);
// Nothing if `remote` is of small order: the shared secret would be zero for every `secret`.
std::optional<Secret<32>> X25519(const Secret<32>& secret, const Key32& remote);

}  // namespace orchard::crypto
