// What becomes of a scenario when real daemons run it in real time: time bounds get a second of grace, and what only the
// simulator costs is not judged. Source: docs/SCENARIOS.md, "The kernel host".
#pragma once

#include <string>
#include <vector>

#include "sim/language/scenario.h"

namespace orchard::sim {

inline constexpr Duration kGrace = std::chrono::seconds(1);

// Returns what the reader of the result must know.
std::vector<std::string> GrantTerms(Scenario& scenario);

}  // namespace orchard::sim
