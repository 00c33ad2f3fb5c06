// ChaCha20-Poly1305 of RFC 8439 with a counter as nonce: four zero bytes, then the counter, little endian. No associated data.
#pragma once

#include <cstdint>
#include <string>

#include "node/base/bytes.h"

namespace orchard::crypto {

inline constexpr size_t kAeadTagBytes = 16;

// Appends the ciphertext and its tag to `out`. A counter never twice with one key.
void SealAead(Bytes plain, uint64_t counter, const Key32& key, std::string& out);
// Opens `sealed`, of at least kAeadTagBytes, into `plain` of that many fewer; it may be sealed.data(). False, and `plain`
// unspecified, if it was not made with this key and counter.
bool OpenAead(Bytes sealed, uint64_t counter, const Key32& key, uint8_t* plain);

}  // namespace orchard::crypto
