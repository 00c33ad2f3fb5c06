// XSalsa20-Poly1305 with a key that both sides have (libsodium's crypto_secretbox_easy): the tag first, then the ciphertext.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "node/base/bytes.h"

namespace orchard::crypto {

using BoxNonce = std::array<uint8_t, 24>;
inline constexpr size_t kBoxTagBytes = 16;

// `nonce` must never be used twice with `key`.
std::string SealBox(Bytes plain, const BoxNonce& nonce, const Key32& key);
// Nothing if `sealed` was not made with this key and nonce.
std::optional<std::string> OpenBox(Bytes sealed, const BoxNonce& nonce, const Key32& key);

}  // namespace orchard::crypto
