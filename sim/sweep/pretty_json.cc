#include "sim/sweep/pretty_json.h"

#include "sim/language/text.h"

namespace orchard::sim {
namespace {

// In one line, with spaces.
std::string Inline(const Json& j) {
  if (!j.is_array() && !j.is_object()) return j.Dump();
  std::string out = j.is_array() ? "[" : "{";
  for (size_t i = 0; i < j.items.size(); ++i) {
    out += Cat(i == 0 ? "" : ", ", j.is_object() ? Cat(QuoteJson(j.keys[i].text), ": ") : "", Inline(j.items[i]));
  }
  return out + (j.is_array() ? ']' : '}');
}

// `before`: columns that are taken on the first line; `depth`: how far members are set in.
std::string Lay(const Json& j, size_t before, size_t depth) {
  std::string line = Inline(j);
  if (depth > 0 && before + Width(line) <= kPrettyColumns) return line;
  if ((!j.is_array() && !j.is_object()) || j.items.empty()) return line;
  const std::string in(2 * (depth + 1), ' ');
  std::string out = j.is_array() ? "[\n" : "{\n";
  for (size_t i = 0; i < j.items.size(); ++i) {
    const std::string key = j.is_object() ? Cat(QuoteJson(j.keys[i].text), ": ") : "";
    out += Cat(in, key, Lay(j.items[i], in.size() + Width(key) + 1, depth + 1), i + 1 < j.items.size() ? ",\n" : "\n");
  }
  return Cat(out, std::string(2 * depth, ' '), j.is_array() ? "]" : "}");
}

}  // namespace

std::string PrettyJson(const Json& j) { return Lay(j, 0, 0) + "\n"; }

}  // namespace orchard::sim
