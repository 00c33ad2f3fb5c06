#include "sim/world/chance.h"

#include "node/base/digest.h"

namespace orchard::sim {

uint64_t KeyOf(uint64_t seed, std::string_view name, std::string_view purpose) {
  Digest d;
  d.Add(seed);
  d.Add(AsBytes(name));
  d.Add(AsBytes(purpose));
  return d.value().low64;
}

namespace {

// About normal: four uniforms, centred; deviation 65,536 / √3, at most ± 131,070 (Irwin–Hall).
int64_t SumOfUniforms(uint64_t x) {
  return int64_t((x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48)) - 131'070;
}

}  // namespace

int64_t Jitter(uint64_t key, int64_t now_ns, int64_t sigma_ns) {
  if (sigma_ns <= 0) return 0;
  // Straight lines between independent knots, 10 sigma apart: the steepest falls by 8.5 sigma, so 0.85 ns per ns.
  const int64_t step = 10 * sigma_ns, knot = now_ns / step, into = now_ns % step;
  const int64_t a = SumOfUniforms(Mix(key ^ Mix(uint64_t(knot) + 0x9e3779b97f4a7c15u)));
  const int64_t b = SumOfUniforms(Mix(key ^ Mix(uint64_t(knot) + 1 + 0x9e3779b97f4a7c15u)));
  const __int128 mean = static_cast<__int128>(a) * (step - into) + static_cast<__int128>(b) * into;
  // A line between two knots has on average 2/3 of their variance: √3 · √1.5 = 139,022 / 65,536.
  const __int128 scaled = mean * sigma_ns / step * 139'022;
  return int64_t(scaled >> 32);
}

}  // namespace orchard::sim
