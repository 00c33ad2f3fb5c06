// HKDF over HMAC-BLAKE2b-512, as Noise uses it: outputs are 64 bytes, of which a cipher takes the first 32.
// Source: RFC 5869 (shape); RFC 2104 (HMAC, block of 128 bytes); npm noise-handshake 4.2.0 lib hkdf, hmac.
#pragma once

#include <array>
#include <initializer_list>

#include "node/base/bytes.h"
#include "node/crypto/secret.h"

namespace orchard::crypto {

using Hash64 = std::array<uint8_t, 64>;

// BLAKE2b-512 of the parts' concatenation, without a key.
Hash64 Blake2b512(std::initializer_list<Bytes> parts);

// The first two outputs of HKDF(salt, ikm) with an empty info.
std::array<Secret<64>, 2> Hkdf2(const Secret<64>& salt, Bytes ikm);

}  // namespace orchard::crypto
