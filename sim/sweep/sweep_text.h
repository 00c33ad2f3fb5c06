// What the terminal shows of a sweep, from its result.json.
#pragma once

#include <string>

#include "sim/language/json_text.h"

namespace orchard::sim {

// A line per claim, the failed ones last: `reachable again   198 of 200 seeds   99.0 %  [96.4, 99.7]   UNDECIDED (…)   failing: 17, 142`.
std::string SweepTable(const Json& result, bool colour);
// The runs that failed, each with the command that repeats it; empty if none did.
std::string FailingTable(const Json& result);
// "needs ≥ 99 %; about 400 more seeds": what an undecided or failed claim of a sweep lacks.
std::string LacksText(const Json& claim);

inline constexpr size_t kFailingShownMax = 12;
inline constexpr size_t kHeldShownMax = 40;  // More claims that hold are summed up.

}  // namespace orchard::sim
