#include "node/crypto/secretstream.h"

#include <sodium.h>

#include "node/base/check.h"

namespace orchard::crypto {

Secretstream::Secretstream(const Key32& key, const Header& header) {
  crypto_secretstream_xchacha20poly1305_init_pull(&state_, header.data(), key.data());
}

Secretstream::~Secretstream() { sodium_memzero(&state_, sizeof state_); }

void Secretstream::Push(Bytes plain, std::string& out) {
  const size_t at = out.size();
  out.resize(at + plain.size() + kOverhead);
  crypto_secretstream_xchacha20poly1305_push(&state_, reinterpret_cast<uint8_t*>(out.data()) + at, nullptr, plain.data(),
                                             plain.size(), nullptr, 0, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
}

bool Secretstream::Pull(Bytes sealed, uint8_t* plain) {
  CHECK_GE(sealed.size(), kOverhead);
  uint8_t tag;  // No tag means anything to secret-stream; libsodium itself obeys REKEY.
  return crypto_secretstream_xchacha20poly1305_pull(&state_, plain, nullptr, &tag, sealed.data(), sealed.size(), nullptr, 0) == 0;
}

}  // namespace orchard::crypto
