#include "node/base/nearest_word.h"

#include <algorithm>
#include <array>

namespace orchard {
namespace {

constexpr size_t kLettersMax = 64;  // Longer words are names of nothing we know.

// Optimal string alignment distance; both words at most kLettersMax long.
size_t Distance(std::string_view a, std::string_view b) {
  std::array<size_t, kLettersMax + 1> before{}, above{}, row{};
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = above, above = row;
  }
  return above[b.size()];
}

}  // namespace

std::string_view NearestWord(std::string_view found, absl::Span<const std::string_view> words) {
  std::string_view best;
  size_t best_distance = kLettersMax;
  if (found.empty() || found.size() > kLettersMax) return best;
  for (std::string_view w : words) {
    if (w.empty() || w.size() > kLettersMax) continue;
    size_t d = Distance(found, w);
    if (d < best_distance && d <= std::max<size_t>(1, std::max(w.size(), found.size()) / 3)) best = w, best_distance = d;
  }
  return best;
}

}  // namespace orchard
