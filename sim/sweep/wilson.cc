#include "sim/sweep/wilson.h"

#include <algorithm>

#include "node/base/check.h"

namespace orchard::sim {
namespace {

using Wide = __int128;
using UWide = unsigned __int128;

constexpr int64_t kOne = 1'000'000;
// The square of 1.959964, the 97.5 % point of the normal distribution, in millionths.
constexpr int64_t kZ2 = 3'841'459;

// The largest integer whose square is at most x.
uint64_t Root(UWide x) {
  UWide low = 0, high = UWide{1} << 63;
  while (low < high) {
    const UWide middle = low + (high - low + 1) / 2;
    if (middle * middle <= x) low = middle;
    else high = middle - 1;
  }
  return uint64_t(low);
}

int64_t Ceil(Wide a, Wide b) { return int64_t((a + b - 1) / b); }

template <class Sample>
std::optional<uint64_t> LeastThatDecides(uint64_t from, bool at_least, int64_t bound_micro, Sample sample) {
  auto decided = [&](uint64_t n) { return Judged(sample(n), at_least, bound_micro).has_value(); };
  uint64_t high = std::max<uint64_t>(from, 1);
  while (!decided(high)) {
    if (high > kShareSamplesMax / 4) return std::nullopt;
    high *= 2;
  }
  uint64_t low = from;  // Not decided, or the answer.
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (decided(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

}  // namespace

Interval Wilson(Share s) {
  if (s.n == 0) return {};
  CHECK_LE(s.n, kShareSamplesMax);
  const Wide n = Wide(s.n) * kOne, hits = std::clamp<Wide>(s.hits_micro, 0, n);
  // (k + z²/2 ± z √(k (n - k) / n + z²/4)) / (n + z²), all in millionths.
  const Wide middle = hits + kZ2 / 2;
  const UWide under = UWide(kZ2) * UWide(hits * (n - hits) / n) + UWide(kZ2) * UWide(kZ2) / 4;
  const Wide half = Wide(Root(under)) + 2;  // What the division and the root cut off, outwards.
  Interval out;
  out.low_micro = hits == 0 ? 0 : int64_t(std::max<Wide>(middle - half, 0) * kOne / (n + kZ2));
  out.high_micro = hits == n ? kOne : std::min<int64_t>(Ceil((middle + half + 1) * kOne, n + kZ2), kOne);
  return out;
}

Side SideOf(Share s, int64_t bound_micro) {
  if (s.n == 0) return Side::kAstride;
  CHECK_LE(s.n, kShareSamplesMax);
  const Wide n = s.n, off = Wide(s.hits_micro) - n * bound_micro;
  // The bound p lies inside exactly if (k - n p)² ≤ z² n p (1 - p).
  if (off * off * kOne <= Wide(kZ2) * n * bound_micro * (kOne - bound_micro)) return Side::kAstride;
  return off < 0 ? Side::kBelow : Side::kAbove;
}

std::optional<bool> Judged(Share s, bool at_least, int64_t bound_micro) {
  if (s.n == 0) return false;
  if (bound_micro <= 0 || bound_micro >= kOne) {
    const Wide bound = Wide(s.n) * bound_micro;
    return at_least ? s.hits_micro >= bound : s.hits_micro <= bound;
  }
  const Side side = SideOf(s, bound_micro);
  if (side == Side::kAstride) return std::nullopt;
  return (side == Side::kAbove) == at_least;
}

std::optional<uint64_t> SamplesToDecide(Share s, bool at_least, int64_t bound_micro) {
  if (s.n == 0) return std::nullopt;
  return LeastThatDecides(s.n, at_least, bound_micro, [&](uint64_t n) { return Share{int64_t(Wide(s.hits_micro) * n / s.n), n}; });
}

std::optional<uint64_t> SamplesToHold(Share s, bool at_least, int64_t bound_micro) {
  return LeastThatDecides(s.n, at_least, bound_micro, [&](uint64_t n) { return Share{s.hits_micro + (at_least ? int64_t(n - s.n) * kOne : 0), n}; });
}

}  // namespace orchard::sim
