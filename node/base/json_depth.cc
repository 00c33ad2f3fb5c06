#include "node/base/json_depth.h"

#include <algorithm>

namespace orchard {

bool JsonDeeperThan(std::string_view text, size_t most) {
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case '[':
      case '{':
        if (++depth > most) return true;
        break;
      case ']':
      case '}':
        if (depth > 0) --depth;
        break;
      case '"':
        for (++i; i < text.size() && text[i] != '"'; ++i) i += text[i] == '\\';
        break;
      case '/': {  // Comments end where nlohmann's lexer sees their end.
        const char kind = i + 1 < text.size() ? text[i + 1] : 0;
        if (kind == '/') i = std::min(text.size(), text.find_first_of(std::string_view("\n\r\0", 3), i));
        if (kind == '*') i = std::min(text.size() - 2, text.find("*/", i + 2)) + 1;
        break;
      }
      default: break;
    }
  }
  return false;
}

}  // namespace orchard
