#include "node/base/fixed_point.h"

#include <array>
#include <bit>
#include <limits>

#include "node/base/check.h"

namespace orchard {
namespace {

using Wide = __int128;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

constexpr int64_t Saturate(Wide x) { return x > kMax ? kMax : x < kMin ? kMin : int64_t(x); }

// n / d rounded to nearest, halves away from zero.
constexpr Wide DivideRound(Wide n, Wide d) {
  if (d < 0) n = -n, d = -d;
  return n >= 0 ? (n + d / 2) / d : -((-n + d / 2) / d);
}

// x × 2^-shift, rounded to nearest, halves up.
constexpr Wide ShiftRound(Wide x, int shift) { return (x + (Wide{1} << (shift - 1))) >> shift; }

// ---- Tables, made by the compiler in Q60 ----

constexpr int kQ = 60;
constexpr Wide kOne = Wide{1} << kQ;

// 2 atanh(p/q), for small p/q: the series converges like (p/q)^2.
constexpr Wide TwoAtanh(Wide p, Wide q) {
  Wide z = (p << kQ) / q, square = (z * z) >> kQ, term = z, sum = 0;
  for (int n = 1; term != 0; n += 2, term = (term * square) >> kQ) sum += term / n;
  return 2 * sum;
}
constexpr Wide kLn2 = TwoAtanh(1, 3);  // ln 2 = 2 atanh(1/3)

constexpr int kLogBits = 7, kLogCells = 1 << kLogBits;
// ln(1 + i/128), by ln(a/b) = 2 atanh((a-b)/(a+b)).
constexpr std::array<int64_t, kLogCells> kLog = [] {
  std::array<int64_t, kLogCells> t{};
  for (int i = 0; i < kLogCells; ++i) t[size_t(i)] = int64_t(TwoAtanh(i, 2 * kLogCells + i));
  return t;
}();

constexpr int kExpBits = 7, kExpCells = 1 << kExpBits;
// e^(i ln2 / 128), by Taylor's series.
constexpr std::array<int64_t, kExpCells> kExp = [] {
  std::array<int64_t, kExpCells> t{};
  for (int i = 0; i < kExpCells; ++i) {
    Wide x = kLn2 * i / kExpCells, term = kOne, sum = 0;
    for (int n = 1; term != 0; ++n) sum += term, term = ((term * x) >> kQ) / n;
    t[size_t(i)] = int64_t(sum);
  }
  return t;
}();

// ln of mantissa × 2^-63 in [1, 2), Q60.
int64_t LogOfMantissa(uint64_t mantissa) {
  const uint64_t i = (mantissa >> (63 - kLogBits)) & (kLogCells - 1);
  // r = m / c - 1 with c = 1 + i/128, 0 ≤ r < 1/128; ln(1+r) to the fifth order is off by less than r^6/6 < 2^-44.
  const uint64_t c = (uint64_t{1} << 63) + (i << (63 - kLogBits));
  const int64_t r = int64_t((Wide(mantissa - c) << kQ) / (Wide(kLogCells + i) << (63 - kLogBits)));
  auto times = [](int64_t a, int64_t b) { return int64_t((Wide(a) * b) >> kQ); };
  int64_t p = int64_t(kOne / 5);
  p = int64_t(kOne / 4) - times(p, r);
  p = int64_t(kOne / 3) - times(p, r);
  p = int64_t(kOne / 2) - times(p, r);
  p = int64_t(kOne) - times(p, r);
  return kLog[i] + times(p, r);
}

}  // namespace

Q32 RatioQ32(int64_t parts, int64_t whole) {
  CHECK_NE(whole, 0);
  return Saturate(DivideRound(Wide(parts) << 32, whole));
}
int64_t ScaleQ32(int64_t value, Q32 x) { return Saturate(ShiftRound(Wide(value) * x, 32)); }
Q32 MulQ32(Q32 a, Q32 b) { return ScaleQ32(a, b); }
Q32 DivQ32(Q32 a, Q32 b) { return RatioQ32(a, b); }

Q32 LnInteger(uint64_t x) {
  CHECK_GE(x, 1u);
  const int exponent = 63 - std::countl_zero(x);
  return Q32(ShiftRound(Wide(exponent) * kLn2 + LogOfMantissa(x << (63 - exponent)), kQ - 32));
}

Q32 LnQ32(Q32 x) {
  CHECK_GT(x, 0);
  const int top = 63 - std::countl_zero(uint64_t(x));
  return Q32(ShiftRound(Wide(top - 32) * kLn2 + LogOfMantissa(uint64_t(x) << (63 - top)), kQ - 32));
}

Q32 ExpQ32(Q32 x) {
  // x = (n + i/128) ln 2 + r, 0 ≤ r < ln 2 / 128.
  const Wide cells = (Wide(x) << (kQ - 32)) * kExpCells;
  Wide whole = cells / kLn2;
  if (cells % kLn2 < 0) --whole;  // Towards minus infinity.
  const int64_t n = int64_t(whole >> kExpBits), i = int64_t(whole) & (kExpCells - 1);
  if (n >= 31) return kMax;
  if (n < -33) return 0;
  const int64_t r = int64_t((cells - whole * kLn2) / kExpCells);
  auto times = [](int64_t a, int64_t b) { return int64_t((Wide(a) * b) >> kQ); };
  // 1 + r + r²/2 + r³/6 + r⁴/24; the rest is below 2^-44.
  int64_t p = int64_t(kOne) + r / 4;
  p = int64_t(kOne) + times(p, r) / 3;
  p = int64_t(kOne) + times(p, r) / 2;
  p = int64_t(kOne) + times(p, r);
  const Wide mantissa = (Wide(kExp[size_t(i)]) * p) >> kQ;  // In [1, 2), Q60.
  const int shift = int(kQ - 32 - n);
  return Saturate(shift > 0 ? ShiftRound(mantissa, shift) : mantissa << -shift);
}

Q32 SqrtQ32(Q32 x) {
  CHECK_GE(x, 0);
  // floor(sqrt(x × 2^32)), bit by bit from the highest that can be set.
  unsigned __int128 left = static_cast<unsigned __int128>(x) << 32, root = 0;
  unsigned __int128 bit = static_cast<unsigned __int128>(1) << 94;
  while (bit > left) bit >>= 2;
  for (; bit != 0; bit >>= 2) {
    if (left >= root + bit) {
      left -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return Q32(root);
}

int64_t DrawUniform(Rng& rng, int64_t low, int64_t high) {
  CHECK_LE(low, high);
  const uint64_t span = uint64_t(high) - uint64_t(low);
  if (span == std::numeric_limits<uint64_t>::max()) return int64_t(rng.Next());
  return int64_t(uint64_t(low) + rng.Below(span + 1));
}

Q32 DrawExp(Rng& rng) {
  // U = (x + 1) / 2^64 in (0, 1].
  const uint64_t x = rng.Next();
  const Q32 ln_two_64 = Q32(ShiftRound(64 * kLn2, kQ - 32));
  return x == std::numeric_limits<uint64_t>::max() ? 0 : ln_two_64 - LnInteger(x + 1);
}

Q32 DrawNormal(Rng& rng) {
  // u, v uniform in (-1, 1) on a grid of 2^-31; s = u² + v² on one of 2^-62.
  for (;;) {
    const uint64_t x = rng.Next();
    const int64_t u = int64_t(x >> 32) - (int64_t{1} << 31), v = int64_t(x & 0xffffffff) - (int64_t{1} << 31);
    const uint64_t s = uint64_t(u * u) + uint64_t(v * v);
    if (s == 0 || s >= uint64_t{1} << 62) continue;
    const Q32 ln_s = LnInteger(s) - Q32(ShiftRound(62 * kLn2, kQ - 32));  // ≤ 0
    // u × sqrt(-2 ln s / s) as sqrt(-2 ln s) × (u / sqrt(s)): nothing is lost for small s. The integers are u × 2^31 and
    // s × 2^62, and SqrtQ32 of the latter is sqrt(s) × 2^47.
    const Q32 length = SqrtQ32(-2 * ln_s);
    const Q32 unit = Q32((Wide(u) << 48) / SqrtQ32(int64_t(s)));
    return MulQ32(length, unit);
  }
}

int64_t DrawExponential(Rng& rng, int64_t mean) { return ScaleQ32(mean, DrawExp(rng)); }

int64_t DrawWeibull(Rng& rng, Q32 k, int64_t scale) {
  const Q32 e = DrawExp(rng);
  if (e == 0) return 0;
  return ScaleQ32(scale, ExpQ32(DivQ32(LnQ32(e), k)));
}

int64_t DrawLognormal(Rng& rng, int64_t median, Q32 sigma) {
  return ScaleQ32(median, ExpQ32(MulQ32(sigma, DrawNormal(rng))));
}

}  // namespace orchard
