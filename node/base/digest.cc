#include "node/base/digest.h"

namespace orchard {

Digest::Digest() { XXH3_128bits_reset(&state_); }

void Digest::Add(uint64_t x) { XXH3_128bits_update(&state_, &x, sizeof x); }

void Digest::Add(Bytes bytes) {
  Add(bytes.size());
  XXH3_128bits_update(&state_, bytes.data(), bytes.size());
}

XXH128_hash_t Digest::value() const { return XXH3_128bits_digest(&state_); }

std::string Digest::hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, value());
  return ToHex(Bytes(canonical.digest, sizeof canonical.digest));
}

}  // namespace orchard
