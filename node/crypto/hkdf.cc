#include "node/crypto/hkdf.h"

#include <sodium.h>

#include <algorithm>

namespace orchard::crypto {
namespace {

// `key` has 64 bytes: shorter than the block, so it is padded, not hashed.
Secret<64> Hmac(const Secret<64>& key, std::initializer_list<Bytes> parts) {
  constexpr size_t kBlock = 128;
  Secret<kBlock> inner, outer;
  std::fill(inner.begin(), inner.end(), 0x36), std::fill(outer.begin(), outer.end(), 0x5c);
  for (size_t i = 0; i < key.size(); ++i) inner[i] ^= key[i], outer[i] ^= key[i];

  crypto_generichash_state state;
  Secret<64> out;
  crypto_generichash_init(&state, nullptr, 0, out.size());
  crypto_generichash_update(&state, inner.data(), inner.size());
  for (Bytes p : parts) crypto_generichash_update(&state, p.data(), p.size());
  crypto_generichash_final(&state, out.data(), out.size());

  crypto_generichash_init(&state, nullptr, 0, out.size());
  crypto_generichash_update(&state, outer.data(), outer.size());
  crypto_generichash_update(&state, out.data(), out.size());
  crypto_generichash_final(&state, out.data(), out.size());
  sodium_memzero(&state, sizeof state);
  return out;
}

}  // namespace

Hash64 Blake2b512(std::initializer_list<Bytes> parts) {
  crypto_generichash_state state;
  Hash64 out;
  crypto_generichash_init(&state, nullptr, 0, out.size());
  for (Bytes p : parts) crypto_generichash_update(&state, p.data(), p.size());
  crypto_generichash_final(&state, out.data(), out.size());
  return out;
}

std::array<Secret<64>, 2> Hkdf2(const Secret<64>& salt, Bytes ikm) {
  const Secret<64> prk = Hmac(salt, {ikm});
  const uint8_t one = 1, two = 2;
  const Secret<64> first = Hmac(prk, {Bytes(&one, 1)});
  return {first, Hmac(prk, {first, Bytes(&two, 1)})};
}

}  // namespace orchard::crypto
