// What the judge keeps of each claim between its looks.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "sim/run/claims.h"

namespace orchard::sim {

// What is made once per claim, and what was seen last, so that nothing is judged twice.
struct ClaimJudge::Watch {
  std::optional<SampleFilter> filter;
  size_t seen = SIZE_MAX;
  std::set<std::pair<uint32_t, uint32_t>> met;  // Pairs that were connected as wanted, once.
};

}  // namespace orchard::sim
