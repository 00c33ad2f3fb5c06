#include "node/crypto/hash.h"

#include <sodium.h>

#include "node/base/check.h"

namespace orchard::crypto {

Key32 Blake2b256(Bytes data) {
  Key32 out;
  crypto_generichash(out.data(), out.size(), data.data(), data.size(), nullptr, 0);
  return out;
}

Key32 Blake2b256(std::initializer_list<Bytes> parts) {
  crypto_generichash_state state;
  Key32 out;
  crypto_generichash_init(&state, nullptr, 0, out.size());
  for (Bytes p : parts) crypto_generichash_update(&state, p.data(), p.size());
  crypto_generichash_final(&state, out.data(), out.size());
  return out;
}

Key32 KeyedBlake2b256(Bytes key, Bytes data) {
  CHECK_LE(key.size(), size_t{crypto_generichash_KEYBYTES_MAX});
  Key32 out;
  crypto_generichash(out.data(), out.size(), data.data(), data.size(), key.data(), key.size());
  return out;
}

Key32 Namespace(std::string_view name, uint8_t id) {
  Key32 hash = Blake2b256(AsBytes(name));
  return Blake2b256({hash, Bytes(&id, 1)});
}

}  // namespace orchard::crypto
