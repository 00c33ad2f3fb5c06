// A node's own random stream: ChaCha20, keyed by BLAKE2b-256 of names (simulator) or by the operating system (daemon).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "node/base/bytes.h"

namespace orchard {

class Rng {
 public:
  explicit Rng(const Key32& key) : key_(key) {}
  // The stream of (seed, name, purpose): adding another stream changes no one's luck. A host's own stream has its
  // incarnation as purpose, so a restart never repeats a nonce.
  static Rng Named(uint64_t seed, std::string_view name, std::string_view purpose);

  void Fill(absl::Span<uint8_t> out);
  uint64_t Next();
  // Uniform in [0, bound), bound > 0; by rejection, without floating point.
  uint64_t Below(uint64_t bound);
  // True with probability parts/whole.
  bool Chance(uint64_t parts, uint64_t whole) { return Below(whole) < parts; }

 private:
  void Refill();
  Key32 key_;
  uint64_t counter_ = 0;
  std::array<uint8_t, 64> block_{};
  uint8_t used_ = 64;
};

// From here on libsodium's randombytes*() abort, in every thread: a function that draws inside has no place in a
// deterministic node. Call once, before anything else.
void ForbidHiddenRandomness();

}  // namespace orchard
