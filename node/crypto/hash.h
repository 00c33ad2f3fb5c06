// BLAKE2b-256, as a pure function.
#pragma once

#include <initializer_list>
#include <string_view>

#include "node/base/bytes.h"

namespace orchard::crypto {

Key32 Blake2b256(Bytes data);
// Of the parts' concatenation.
Key32 Blake2b256(std::initializer_list<Bytes> parts);
// `key` has at most 64 bytes.
Key32 KeyedBlake2b256(Bytes key, Bytes data);
// hypercore-crypto's namespace: what a signature is for. BLAKE2b-256(BLAKE2b-256(name) ‖ id).
Key32 Namespace(std::string_view name, uint8_t id);

}  // namespace orchard::crypto
