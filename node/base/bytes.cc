#include "node/base/bytes.h"

namespace orchard {

std::string ToHex(Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (uint8_t b : bytes) out.push_back(kDigits[b >> 4]), out.push_back(kDigits[b & 15]);
  return out;
}

std::optional<std::string> FromHex(std::string_view text) {
  auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(char(high << 4 | low));
  }
  return out;
}

bool IsPrintableUtf8(Bytes text) {
  size_t i = 0;
  while (i < text.size()) {
    uint8_t c = text[i];
    int more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : -1;
    if (more < 0 || i + size_t(more) >= text.size() || (c < 0x20 && c != '\n' && c != '\t' && c != '\r')) return false;
    uint32_t point = more == 0 ? c : c & (0x3f >> more);
    for (int k = 1; k <= more; ++k) {
      if ((text[i + k] & 0xc0) != 0x80) return false;
      point = point << 6 | (text[i + k] & 0x3f);
    }
    // Overlong forms and surrogates (RFC 3629 §3).
    if ((more == 2 && point < 0x800) || (more == 3 && (point < 0x10000 || point > 0x10ffff)) ||
        (point >= 0xd800 && point < 0xe000)) {
      return false;
    }
    i += size_t(more) + 1;
  }
  return true;
}

}  // namespace orchard
