// cages.json: what each slot did over time, and what followed each death (docs/RUN-DIRECTORY.md).
#pragma once

#include <string>
#include <vector>

#include "sim/language/json_text.h"
#include "sim/run/cage_film.h"

namespace orchard::sim {

inline constexpr size_t kCageLanesWritten = 256, kCageSitesWritten = 256, kCageDeathsWritten = 1000;
// A slot that changed more often is told in so many steps.
inline constexpr size_t kLaneChangesWritten = 256, kLaneSteps = 400;

// Null if there were no cages. `hosts`: their names, by index; `end`: when the run ended.
Json CagesJson(const CageFilm& film, const std::vector<std::string>& hosts, Instant end);

}  // namespace orchard::sim
