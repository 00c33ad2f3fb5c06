// Borrowed bytes, and their text forms.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/types/span.h"

namespace orchard {

using Bytes = absl::Span<const uint8_t>;
using Key32 = std::array<uint8_t, 32>;

inline Bytes AsBytes(std::string_view s) { return {reinterpret_cast<const uint8_t*>(s.data()), s.size()}; }
inline std::string_view AsText(Bytes b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

// Lower-case hexadecimal.
std::string ToHex(Bytes bytes);
// Nothing unless `text` is an even number of hexadecimal digits, of either case.
std::optional<std::string> FromHex(std::string_view text);

// True if `text` is well-formed UTF-8 without NUL; such bytes may be shown to a person as they are.
bool IsPrintableUtf8(Bytes text);

}  // namespace orchard
