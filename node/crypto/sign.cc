#include "node/crypto/sign.h"

#include <sodium.h>

namespace orchard::crypto {

KeyPair KeyPairFromSeed(const Key32& seed) {
  KeyPair pair;
  crypto_sign_seed_keypair(pair.public_key.data(), pair.secret_key.data(), seed.data());
  return pair;
}

Signature Sign(Bytes message, const SecretKey& key) {
  Signature signature;
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), key.data());
  return signature;
}

bool Verify(Bytes message, const Signature& signature, const PublicKey& key) {
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(), key.data()) == 0;
}

}  // namespace orchard::crypto
