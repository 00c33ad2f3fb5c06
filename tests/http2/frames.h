// Frames of HTTP/2 as bytes, written and read without nghttp2: what a test says of the wire it says itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/http2/preface.h"

namespace orchard::http2 {

enum FrameType : uint8_t { kData = 0, kHeaders = 1, kPriority = 2, kRst = 3, kSettings = 4, kPush = 5, kPing = 6, kGoaway = 7, kWindow = 8, kMore = 9 };
constexpr uint8_t kEnd = 1, kAck = 1, kWhole = 4;

inline std::string Big(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(char(value >> (8 * i)));
  return out;
}
inline std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload = "") {
  return Big(payload.size(), 3) + char(type) + char(flags) + Big(stream, 4) + std::string(payload);
}
// RFC 7541 §5.1, §5.2: without Huffman.
inline std::string HpackText(std::string_view text) {
  std::string out;
  size_t n = text.size();
  if (n < 127) out.push_back(char(n));
  else {
    out.push_back(127);
    for (n -= 127; n >= 128; n /= 128) out.push_back(char(n % 128 | 128));
    out.push_back(char(n));
  }
  return out + std::string(text);
}
// §6.2.2: a literal that is not indexed.
inline std::string Literal(std::string_view name, std::string_view value) { return std::string(1, '\0') + HpackText(name) + HpackText(value); }
using Fields = std::vector<std::pair<std::string, std::string>>;
inline std::string Block(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) out += Literal(name, value);
  return out;
}
inline Fields Get(std::string_view path) { return {{":method", "GET"}, {":scheme", "http"}, {":path", std::string(path)}, {":authority", "site"}}; }
inline Fields With(Fields fields, const Fields& more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}
inline std::string Head(uint32_t stream, const Fields& fields, uint8_t flags = kEnd | kWhole) { return Frame(kHeaders, flags, stream, Block(fields)); }
inline std::string Hello(std::string_view settings = "") { return std::string(kPreface) + Frame(kSettings, 0, 0, settings); }
inline std::string Setting(uint16_t id, uint32_t value) { return Big(id, 2) + Big(value, 4); }
inline std::string Times(size_t n, std::string_view what) {
  std::string out;
  for (size_t i = 0; i < n; ++i) out += what;
  return out;
}

struct Parsed {
  uint8_t type, flags;
  uint32_t stream;
  std::string payload;
  uint32_t Word(size_t at) const {
    uint32_t v = 0;
    for (size_t i = at; i < at + 4; ++i) v = v << 8 | uint8_t(payload.at(i));
    return v;
  }
};
inline std::vector<Parsed> ParseFrames(std::string_view bytes) {
  std::vector<Parsed> out;
  while (bytes.size() >= 9) {
    auto at = [&](size_t i) { return uint32_t(uint8_t(bytes[i])); };
    const size_t size = at(0) << 16 | at(1) << 8 | at(2);
    if (bytes.size() < 9 + size) break;
    out.push_back({uint8_t(at(3)), uint8_t(at(4)), at(5) << 24 | at(6) << 16 | at(7) << 8 | at(8), std::string(bytes.substr(9, size))});
    bytes.remove_prefix(9 + size);
  }
  return out;
}

}  // namespace orchard::http2
