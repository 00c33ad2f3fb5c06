#include "node/base/rng.h"

#include <sodium.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "node/base/check.h"

namespace orchard {

Rng Rng::Named(uint64_t seed, std::string_view name, std::string_view purpose) {
  // Lengths are hashed too, so that ("ab", "c") and ("a", "bc") differ.
  crypto_generichash_state state;
  Key32 key;
  crypto_generichash_init(&state, nullptr, 0, key.size());
  uint64_t head[3] = {seed, name.size(), purpose.size()};
  crypto_generichash_update(&state, reinterpret_cast<const uint8_t*>(head), sizeof head);
  crypto_generichash_update(&state, AsBytes(name).data(), name.size());
  crypto_generichash_update(&state, AsBytes(purpose).data(), purpose.size());
  crypto_generichash_final(&state, key.data(), key.size());
  return Rng(key);
}

void Rng::Fill(absl::Span<uint8_t> out) {
  for (uint8_t& b : out) {
    if (used_ == block_.size()) Refill();
    b = std::exchange(block_[used_], uint8_t{0}), ++used_;  // Spent bytes are wiped.
  }
}

uint64_t Rng::Next() {
  std::array<uint8_t, 8> b;
  Fill(absl::MakeSpan(b));
  uint64_t x;
  std::memcpy(&x, b.data(), 8);
  return x;
}

uint64_t Rng::Below(uint64_t bound) {
  CHECK_GT(bound, 0u);
  const uint64_t limit = std::numeric_limits<uint64_t>::max() / bound * bound;
  uint64_t x;
  do x = Next();
  while (x >= limit);
  return x % bound;
}

void Rng::Refill() {
  std::array<uint8_t, 8> nonce;
  for (size_t i = 0; i < 8; ++i) nonce[i] = uint8_t(counter_ >> 8 * i);
  crypto_stream_chacha20(block_.data(), block_.size(), nonce.data(), key_.data());
  ++counter_, used_ = 0;
}

namespace {

[[noreturn]] void Refuse() {
  std::fputs("orchard: libsodium was asked for randomness of its own; draw from Turn::rng\n", stderr);
  std::abort();
}
const char* Name() { return "orchard-forbidden"; }
uint32_t Random() { Refuse(); }
void Stir() {}
void Buffer(void* const, const size_t) { Refuse(); }
int Close() { return 0; }

}  // namespace

void ForbidHiddenRandomness() {
  static randombytes_implementation forbidden = {Name, Random, Stir, nullptr, Buffer, Close};
  // sodium_init() itself draws a canary for sodium_malloc(), which nothing here uses; from then on all drawing aborts.
  CHECK_GE(sodium_init(), 0);
  CHECK_EQ(randombytes_set_implementation(&forbidden), 0);
}

}  // namespace orchard
