// The bound of a metric, in a claim or in a `when`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sim/language/loader_context.h"

namespace orchard::sim {

// A number in the metric's own unit, or a quantity; in millionths. `pure`: a plain number whatever the unit.
std::optional<int64_t> ValueOf(Context& c, const Json& j, const std::string& path, std::string_view unit, bool pure = false);

}  // namespace orchard::sim
