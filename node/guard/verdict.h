// What the guard says of a request.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace orchard::guard {

enum class Class : uint8_t { kNone, kSqli, kXss, kScan, kFlood, kAnomaly };
inline constexpr std::array<std::string_view, 6> kClassNames = {"none", "sqli", "xss", "scan", "flood", "anomaly"};
inline constexpr std::string_view NameOf(Class c) { return kClassNames[size_t(c)]; }

struct Verdict {
  Class what = Class::kNone;
  uint32_t score = 0;        // Permille.
  std::string_view matched;  // What gave it away, in a word or two; lives as long as the program.

  explicit operator bool() const { return what != Class::kNone; }
};

}  // namespace orchard::guard
