// Errors as people and programs read them.

#include <algorithm>

#include "sim/language/loader.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr size_t kLineShownMax = 160;  // Columns of a source line that are shown; longer ones are cut around the caret.

std::string Where(const LoadError& e, const Sources& sources) {
  std::string out = e.place.file < sources.files.size() ? sources.files[e.place.file].name : "scenario";
  if (e.place.line != 0) out += Cat(":", e.place.line, ":", e.place.column);
  return out;
}

// Byte offset of column `column` (from 1) in `line`.
size_t ByteOf(std::string_view line, size_t column) {
  size_t i = 0;
  for (size_t c = 1; c < column && i < line.size(); ++c) {
    ++i;
    while (i < line.size() && (line[i] & 0xc0) == 0x80) ++i;
  }
  return i;
}

// The source line, and under it the caret.
std::string Excerpt(const LoadError& e, const Sources& sources) {
  std::string_view line = sources.Line(e.place);
  if (line.empty()) return e.hint.empty() ? "" : Cat("  ", e.hint, "\n");
  std::string number = std::to_string(e.place.line), before, after;
  size_t column = e.place.column;
  if (Width(line) > kLineShownMax) {
    // Some room on the left of the caret.
    const size_t first = column > kLineShownMax / 2 ? column - kLineShownMax / 2 : 1;
    const size_t start = ByteOf(line, first), end = ByteOf(line, first + kLineShownMax);
    before = first > 1 ? "… " : "", after = end < line.size() ? " …" : "";
    line = line.substr(start, end - start);
    column = column - first + 1 + Width(before);
  }
  std::string shown = Cat(before, line, after), under;
  const size_t lead = ByteOf(shown, column);
  for (size_t i = 0; i < lead; ++i) {
    if ((shown[i] & 0xc0) != 0x80) under += shown[i] == '\t' ? '\t' : ' ';
  }
  const size_t room = Width(std::string_view(shown).substr(lead));
  under += std::string(std::max<size_t>(1, std::min<size_t>(e.caret, room)), '^');
  return Cat(PadLeft(number, 3), " | ", shown, "\n", std::string(std::max<size_t>(3, number.size()), ' '), " | ", under,
             e.hint.empty() ? "" : Cat(" ", e.hint), "\n");
}

}  // namespace

std::string RenderErrors(const std::vector<LoadError>& errors, const Sources& sources) {
  std::string out;
  for (size_t i = 0; i < errors.size() && i < kErrorsShownMax; ++i) {
    const LoadError& e = errors[i];
    out += Cat(Where(e, sources), ": ", e.path, e.path.empty() ? "" : ": ", e.found, e.expected.empty() ? "" : "; ", e.expected, "\n", Excerpt(e, sources));
  }
  if (errors.size() > kErrorsShownMax) out += Cat("… and ", errors.size() - kErrorsShownMax, " more\n");
  return out;
}

std::string RenderErrorsJson(const std::vector<LoadError>& errors, const Sources& sources) {
  std::string out;
  for (size_t i = 0; i < errors.size() && i < kErrorsShownMax; ++i) {
    const LoadError& e = errors[i];
    const std::string file = e.place.file < sources.files.size() ? sources.files[e.place.file].name : "";
    out += Cat("{\"tag\":\"error\",\"data\":{\"code\":\"ERR_SCENARIO\",\"file\":", QuoteJson(file), ",\"line\":", e.place.line,
               ",\"column\":", e.place.column, ",\"path\":", QuoteJson(e.path), ",\"found\":", QuoteJson(e.found),
               ",\"expected\":", QuoteJson(e.expected), ",\"hint\":", QuoteJson(e.hint), "}}\n");
  }
  if (errors.size() > kErrorsShownMax) {
    out += Cat("{\"tag\":\"error\",\"data\":{\"code\":\"ERR_SCENARIO\",\"more\":", errors.size() - kErrorsShownMax, "}}\n");
  }
  return out;
}

}  // namespace orchard::sim
