// Ed25519 signatures, as pure functions; key pairs come from seeds, seeds from Turn::rng.
#pragma once

#include <array>

#include "node/base/bytes.h"

namespace orchard::crypto {

using PublicKey = Key32;
using SecretKey = std::array<uint8_t, 64>;  // Seed, then public key, as libsodium keeps it.
using Signature = std::array<uint8_t, 64>;

struct KeyPair {
  PublicKey public_key;
  SecretKey secret_key;
};

KeyPair KeyPairFromSeed(const Key32& seed);
Signature Sign(Bytes message, const SecretKey& key);
bool Verify(Bytes message, const Signature& signature, const PublicKey& key);

}  // namespace orchard::crypto
