// Numbers, times and tables as a person reads them. Exact: from integers, without floating point.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "node/base/time.h"

namespace orchard::sim {

namespace internal {
inline void Append(std::string& out, std::string_view s) { out += s; }
inline void Append(std::string& out, char c) { out += c; }
template <std::integral T>
void Append(std::string& out, T n) { out += std::to_string(n); }
}  // namespace internal

// absl::StrCat of Debian's build does not know std::string_view.
template <class... Parts>
std::string Cat(const Parts&... parts) {
  std::string out;
  (internal::Append(out, parts), ...);
  return out;
}

// Columns that a terminal needs for `text` (UTF-8, no wide characters).
size_t Width(std::string_view text);
// At most `width` columns of it; what is cut off ends in "…".
std::string Shortened(std::string_view text, size_t width);
// Padded to `width` columns; longer texts stay whole.
std::string PadRight(std::string_view text, size_t width);
std::string PadLeft(std::string_view text, size_t width);

// "0", "1.5", "0.993": a number of millionths, at most `decimals` of them, trailing zeros dropped; rounds half away from zero.
std::string Decimal(int64_t micro, int decimals);
// A value of a metric's unit (millionths of it): "212 ms", "3.1 s", "1.9 MiB", "0.993", "14".
std::string Value(int64_t micro, std::string_view unit);
// "250ms", "4.2s", "2min", "2min 15s": an instant or a span.
std::string TimeText(Duration d);
// "1:43", "1:02:05".
std::string ClockText(Duration d);
// "214 MB", "1.2 GB".
std::string SizeText(uint64_t bytes);
// "0.41 M", "12 k", "850".
std::string CountText(uint64_t n);

// The nearest of `words` to `found` by edit distance, if it is near enough to be meant; else empty.
std::string NearestOf(std::string_view found, const std::vector<std::string>& words);

// "a, b, c and 7 more": at most `shown` of them.
std::string ListText(const std::vector<std::string>& words, size_t shown);

}  // namespace orchard::sim
