// `orchard new scenario NAME`: a commented starter file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orchard::sim {

// The text of a file that holds as it stands.
std::string StarterScenario();
// Writes NAME.json (NAME may be a path); refuses to replace a file.
int NewScenario(const std::vector<std::string>& words);

}  // namespace orchard::sim
