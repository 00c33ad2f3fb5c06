// What a token of the admin's may be: RFC 6750 §2.1 (token68), long enough not to be guessed.
#pragma once

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"

namespace orchard::cage {

inline constexpr size_t kTokenMin = 16, kTokenMax = 256;

inline bool IsToken(std::string_view text) {
  return text.size() >= kTokenMin && text.size() <= kTokenMax && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(uint8_t(c)) || std::string_view("-._~+/=").find(c) != std::string_view::npos;
  });
}

}  // namespace orchard::cage
