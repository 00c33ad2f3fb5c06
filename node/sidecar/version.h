// What this node calls itself.
#pragma once

#include <string_view>

namespace orchard::sidecar {

inline constexpr std::string_view kVersion = "0.1.0";  // As in CMakeLists.txt.

}  // namespace orchard::sidecar
