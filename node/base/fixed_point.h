// Logarithms, exponentials and the distributions made of them, in integers alone: the same bits under every compiler, with
// or without FMA, where libm's differ. Reals are Q32: value × 2^32 in an int64_t.
//
// Error bounds (tests/base/fixed_point_test.cc holds them against long double): Ln ≤ 2^-30 absolute, Exp ≤ 2^-30 relative
// plus one unit of the last place, SqrtFixed one unit of the last place.
#pragma once

#include <cstdint>

#include "node/base/rng.h"

namespace orchard {

using Q32 = int64_t;
inline constexpr Q32 kQ32One = Q32{1} << 32;

// parts / whole as Q32, rounded to nearest; |result| must fit.
Q32 RatioQ32(int64_t parts, int64_t whole);
// value × x, rounded to nearest, saturating.
int64_t ScaleQ32(int64_t value, Q32 x);
Q32 MulQ32(Q32 a, Q32 b);  // Saturating.
Q32 DivQ32(Q32 a, Q32 b);  // b ≠ 0; saturating.

// Natural logarithm of the integer x ≥ 1, and of the Q32 x > 0.
Q32 LnInteger(uint64_t x);
Q32 LnQ32(Q32 x);
// e^x; saturates above ln 2^31, zero far below.
Q32 ExpQ32(Q32 x);
// Square root of x ≥ 0.
Q32 SqrtQ32(Q32 x);

// ---- Draws ----

// Uniform in [low, high], low ≤ high.
int64_t DrawUniform(Rng& rng, int64_t low, int64_t high);
// Unit exponential: -ln(U), at most 64 ln 2.
Q32 DrawExp(Rng& rng);
// Standard normal, by Marsaglia's polar method (1964).
Q32 DrawNormal(Rng& rng);
// Exponential with that mean, a Weibull of shape k (Q32) and scale, a log-normal of median and sigma (Q32), in the unit of
// the parameter; saturating.
int64_t DrawExponential(Rng& rng, int64_t mean);
int64_t DrawWeibull(Rng& rng, Q32 k, int64_t scale);
int64_t DrawLognormal(Rng& rng, int64_t median, Q32 sigma);

}  // namespace orchard
