// How deep a JSON text nests, before a parser builds it: what prints or walks a value does so by recursion.
#pragma once

#include <cstddef>
#include <string_view>

namespace orchard {

// Nobody nests a configuration or a request deeper; a thread's stack takes a thousand times as much.
inline constexpr size_t kJsonDepthMax = 64;

// True if the brackets of `text`, outside of strings and comments, nest deeper than `most`. Any text will do. O(n).
bool JsonDeeperThan(std::string_view text, size_t most);

}  // namespace orchard
