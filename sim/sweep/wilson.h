// How sure a share is: Wilson's score interval at 95 %, in integers, so that every machine decides the same.
// Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927), 209-212.
#pragma once

#include <cstdint>
#include <optional>

namespace orchard::sim {

// `hits` of `n`. Hits are in millionths: a sample may count in part (a mean of numbers from 0 to 1; the interval is then wider
// than it need be, since nothing with that mean varies more than ones and zeros).
struct Share {
  int64_t hits_micro = 0;
  uint64_t n = 0;
};

inline constexpr uint64_t kShareSamplesMax = 10'000'000'000;  // Beyond it the squares below leave 128 bits.

// In millionths, rounded outwards; 0 of n begins at exactly 0, n of n ends at exactly 1. Without a sample: all from 0 to 1.
struct Interval {
  int64_t low_micro = 0, high_micro = 1'000'000;
};
Interval Wilson(Share share);

// Where the interval lies. Decided by the inequality that the interval solves, so without a root, and exactly.
enum class Side : uint8_t { kBelow, kAstride, kAbove };
Side SideOf(Share share, int64_t bound_micro);

// Whether "at least (at most) `bound`" holds for what the samples were drawn from: true or false if the interval lies wholly on
// one side, nothing if it lies astride. A bound of 0 or 1 asks about every sample, and is answered by counting. No sample: false.
std::optional<bool> Judged(Share share, bool at_least, int64_t bound_micro);

// How many samples in all would decide it, if the share stays as it is; nothing if none would (it lies on the bound).
std::optional<uint64_t> SamplesToDecide(Share share, bool at_least, int64_t bound_micro);
// The same if all that is still to come speaks for it.
std::optional<uint64_t> SamplesToHold(Share share, bool at_least, int64_t bound_micro);

}  // namespace orchard::sim
