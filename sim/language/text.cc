#include "sim/language/text.h"

#include <algorithm>
#include <numeric>

namespace orchard::sim {

size_t Width(std::string_view text) {
  return size_t(std::count_if(text.begin(), text.end(), [](char c) { return (uint8_t(c) & 0xc0) != 0x80; }));
}

std::string Shortened(std::string_view text, size_t width) {
  if (Width(text) <= width) return std::string(text);
  size_t columns = 0, at = 0;
  for (; at < text.size(); ++at) {
    const bool starts = (uint8_t(text[at]) & 0xc0) != 0x80;
    if (starts && columns + 1 >= width) break;
    columns += starts;
  }
  return width == 0 ? "" : Cat(text.substr(0, at), "…");
}

std::string PadRight(std::string_view text, size_t width) {
  size_t w = Width(text);
  return Cat(text, std::string(w < width ? width - w : 0, ' '));
}

std::string PadLeft(std::string_view text, size_t width) {
  size_t w = Width(text);
  return Cat(std::string(w < width ? width - w : 0, ' '), text);
}

std::string Decimal(int64_t micro, int decimals) {
  uint64_t magnitude = micro < 0 ? uint64_t(0) - uint64_t(micro) : uint64_t(micro);
  uint64_t step = 1;
  for (int i = decimals; i < 6; ++i) step *= 10;
  magnitude = (magnitude + step / 2) / step;
  uint64_t whole = magnitude, unit = 1;
  for (int i = 0; i < decimals; ++i) unit *= 10;
  whole /= unit;
  std::string fraction = std::to_string(magnitude % unit);
  fraction.insert(0, decimals > int(fraction.size()) ? size_t(decimals) - fraction.size() : 0, '0');
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  std::string out = Cat(micro < 0 && magnitude != 0 ? "-" : "", whole);
  return decimals == 0 || fraction.empty() ? out : Cat(out, '.', fraction);
}

std::string Value(int64_t micro, std::string_view unit) {
  int64_t magnitude = micro < 0 ? -micro : micro;
  if (unit == "ms") {
    if (magnitude < 10'000'000) return Cat(Decimal(micro, 1), " ms");
    if (magnitude < 1'000'000'000) return Cat(Decimal(micro, 0), " ms");
    return Cat(Decimal(micro / 1000, magnitude < 100'000'000'000 ? 2 : 0), " s");
  }
  if (unit == "bytes") {
    int64_t bytes = micro / 1'000'000;
    int64_t b = magnitude / 1'000'000;
    if (b < 10'000) return Cat(bytes, " B");
    if (b < 1 << 20) return Cat(Decimal(micro / 1024, 1), " KiB");
    return Cat(Decimal(micro / 1024 / 1024, 2), " MiB");
  }
  if (unit == "mbps") return Cat(Decimal(micro, 1), " Mbps");
  if (unit == "s") return Cat(Decimal(micro, 1), " s");
  return Decimal(micro, unit == "ratio" ? 4 : 3);
}

std::string TimeText(Duration d) {
  int64_t ns = d.count();
  if (ns < 0) return Cat("-", TimeText(-d));
  if (ns < 1'000'000'000) return Cat(Decimal(ns, ns < 10'000'000 ? 2 : 0), "ms");
  if (ns < 60'000'000'000) return Cat(Decimal(ns / 1000, 1), "s");
  int64_t minutes = ns / 60'000'000'000, rest = ns % 60'000'000'000;
  std::string out = minutes < 60 ? Cat(minutes, "min") : Cat(minutes / 60, "h", minutes % 60 ? Cat(" ", minutes % 60, "min") : "");
  return rest == 0 ? out : Cat(out, " ", Decimal(rest / 1000, 1), "s");
}

std::string ClockText(Duration d) {
  auto two = [](int64_t n) { return Cat(n < 10 ? "0" : "", n); };
  int64_t s = d.count() / 1'000'000'000;
  return s < 3600 ? Cat(s / 60, ":", two(s % 60)) : Cat(s / 3600, ":", two(s / 60 % 60), ":", two(s % 60));
}

std::string SizeText(uint64_t bytes) {
  if (bytes < 10'000) return Cat(bytes, " B");
  if (bytes < 1'000'000) return Cat(bytes / 1000, " kB");
  if (bytes < 1'000'000'000) return Cat(bytes / 1'000'000, " MB");
  return Cat(Decimal(int64_t(bytes / 1000), 1), " GB");
}

std::string CountText(uint64_t n) {
  if (n < 1000) return Cat(n);
  if (n < 100'000) return Cat(Decimal(int64_t(n * 1000), 1), " k");
  return Cat(Decimal(int64_t(n), 2), " M");
}

std::string NearestOf(std::string_view found, const std::vector<std::string>& words) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, found.size() / 3) + 1;
  for (const std::string& w : words) {
    std::vector<size_t> row(w.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= found.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= w.size(); ++j) {
        size_t above = row[j];
        row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (found[i - 1] == w[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) best_distance = row.back(), best = w;
  }
  return best;
}

std::string ListText(const std::vector<std::string>& words, size_t shown) {
  std::string out;
  for (size_t i = 0; i < words.size() && i < shown; ++i) out += Cat(i == 0 ? "" : ", ", words[i]);
  return words.size() > shown ? Cat(out, " and ", words.size() - shown, " more") : out;
}

}  // namespace orchard::sim
