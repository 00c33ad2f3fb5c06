#include "node/crypto/chacha20poly1305.h"

#include <sodium.h>

#include <array>

namespace orchard::crypto {
namespace {

std::array<uint8_t, crypto_aead_chacha20poly1305_IETF_NPUBBYTES> Nonce(uint64_t counter) {
  std::array<uint8_t, crypto_aead_chacha20poly1305_IETF_NPUBBYTES> nonce{};
  for (size_t i = 0; i < 8; ++i) nonce[4 + i] = uint8_t(counter >> 8 * i);
  return nonce;
}

}  // namespace

void SealAead(Bytes plain, uint64_t counter, const Key32& key, std::string& out) {
  const size_t at = out.size();
  out.resize(at + plain.size() + kAeadTagBytes);
  crypto_aead_chacha20poly1305_ietf_encrypt(reinterpret_cast<uint8_t*>(out.data()) + at, nullptr, plain.data(), plain.size(),
                                            nullptr, 0, nullptr, Nonce(counter).data(), key.data());
}

bool OpenAead(Bytes sealed, uint64_t counter, const Key32& key, uint8_t* plain) {
  return sealed.size() >= kAeadTagBytes &&
         crypto_aead_chacha20poly1305_ietf_decrypt(plain, nullptr, nullptr, sealed.data(), sealed.size(), nullptr, 0,
                                                   Nonce(counter).data(), key.data()) == 0;
}

}  // namespace orchard::crypto
