// The luck of the network: small, fast streams for decisions that are made once per packet, keyed by name like every other
// stream. Draws that are made rarely use base/rng.h.
#pragma once

#include <cstdint>
#include <string_view>

namespace orchard::sim {

// A bijection that scatters its argument. Source: Steele, Lea & Flood 2014 (SplitMix64's finalizer).
constexpr uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// The key of (seed, name, purpose), framed like Rng::Named.
uint64_t KeyOf(uint64_t seed, std::string_view name, std::string_view purpose);

class Luck {
 public:
  explicit Luck(uint64_t key) : state_(key) {}
  uint64_t Next() { return Mix(state_ += 0x9e3779b97f4a7c15u); }
  // Uniform in [0, bound) but for a bias below bound / 2^64; bound > 0.
  uint64_t Below(uint64_t bound) { return uint64_t((static_cast<unsigned __int128>(Next()) * bound) >> 64); }
  bool Chance(uint32_t ppm) { return Below(1'000'000) < ppm; }

 private:
  uint64_t state_;
};

// A delay that wanders around zero with standard deviation `sigma_ns`: at most 4.25 sigma, and forgotten after 10. It is a
// function of (key, time) alone, needs no memory, and never falls faster than time passes: packets of one flow are
// delayed unevenly, but never overtake each other.
int64_t Jitter(uint64_t key, int64_t now_ns, int64_t sigma_ns);

}  // namespace orchard::sim
