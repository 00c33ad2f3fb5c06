// JSON as a person would write a scenario: what fits into a line stands in one.
#pragma once

#include <string>

#include "sim/language/json_text.h"

namespace orchard::sim {

inline constexpr size_t kPrettyColumns = 120;

// Ends with a line's end.
std::string PrettyJson(const Json& j);

}  // namespace orchard::sim
