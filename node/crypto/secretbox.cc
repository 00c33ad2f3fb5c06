#include "node/crypto/secretbox.h"

#include <sodium.h>

namespace orchard::crypto {
namespace {

uint8_t* Raw(std::string& s) { return reinterpret_cast<uint8_t*>(s.data()); }

}  // namespace

std::string SealBox(Bytes plain, const BoxNonce& nonce, const Key32& key) {
  std::string out(plain.size() + kBoxTagBytes, '\0');
  crypto_secretbox_easy(Raw(out), plain.data(), plain.size(), nonce.data(), key.data());
  return out;
}

std::optional<std::string> OpenBox(Bytes sealed, const BoxNonce& nonce, const Key32& key) {
  if (sealed.size() < kBoxTagBytes) return std::nullopt;
  std::string out(sealed.size() - kBoxTagBytes, '\0');
  if (crypto_secretbox_open_easy(Raw(out), sealed.data(), sealed.size(), nonce.data(), key.data()) != 0) return std::nullopt;
  return out;
}

}  // namespace orchard::crypto
