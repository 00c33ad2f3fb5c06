#include "node/wasm/engine.h"

#include <utility>

namespace orchard::wasm {

std::string TrapWords(std::string_view message) {
  // V8's src/common/message-template.h and libwabt's src/interp/interp.cc. The first that fits counts.
  static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"unreachable", "unreachable"},
      {"table index is out of bounds", "out of bounds of a table"},
      {"undefined table index", "out of bounds of a table"},
      {"out of bounds table access", "out of bounds of a table"},
      {"table access out of bounds", "out of bounds of a table"},
      {"table.", "out of bounds of a table"},
      {"memory access out of bounds", "out of bounds of the memory"},
      {"out of bounds memory access", "out of bounds of the memory"},
      {"memory.", "out of bounds of the memory"},
      {"segment", "out of bounds of a segment"},
      {"divide by zero", "division by zero"},
      {"remainder by zero", "division by zero"},
      {"divide result unrepresentable", "integer overflow"},
      {"integer overflow", "integer overflow"},
      {"float unrepresentable", "no such integer"},
      {"invalid conversion to integer", "no such integer"},
      {"signature mismatch", "call of no such function"},
      {"uninitialized table element", "call of no such function"},
      {"null function", "call of no such function"},
      {"Maximum call stack", "calls too deep"},
      {"call stack exhausted", "calls too deep"}};
  for (const auto& [text, words] : kWords) {
    if (message.find(text) != message.npos) return std::string(words);
  }
  return std::string(message.substr(0, 120));
}

}  // namespace orchard::wasm
