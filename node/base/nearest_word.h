// What somebody probably meant who mistyped a word.
#pragma once

#include <string_view>

#include "absl/types/span.h"

namespace orchard {

// The word of `words` that is nearest to `found` (insertions, deletions, replacements and swaps of neighbours count one
// each), if at most a third of its letters differ; the first of equals; else empty.
std::string_view NearestWord(std::string_view found, absl::Span<const std::string_view> words);

}  // namespace orchard
