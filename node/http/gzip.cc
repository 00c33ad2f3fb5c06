#include "node/http/gzip.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "node/base/check.h"

namespace orchard::http {
namespace {

// CRC-32, reflected 0xedb88320; RFC 1952 §8.
constexpr std::array<uint32_t, 256> kTable = [] {
  std::array<uint32_t, 256> t{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    t[i] = c;
  }
  return t;
}();

void Little(std::string& out, uint64_t x, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(char(x >> 8 * i));
}

}  // namespace

uint64_t StoredGzip::SizeOf(uint64_t bytes) {
  const uint64_t blocks = std::max<uint64_t>(1, (bytes + kBlockMax - 1) / kBlockMax);
  return 10 + 5 * blocks + bytes + 8;
}

// No name, no time, unknown system.
std::string StoredGzip::Header() { return std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10); }

std::string StoredGzip::Block(Bytes bytes, bool last) {
  CHECK_LE(bytes.size(), kBlockMax);
  std::string out(1, char(last));
  Little(out, bytes.size(), 2), Little(out, ~bytes.size(), 2);
  out.append(AsText(bytes));
  uint32_t c = ~crc_;
  for (uint8_t b : bytes) c = kTable[(c ^ b) & 0xff] ^ c >> 8;
  crc_ = ~c, size_ += uint32_t(bytes.size());
  return out;
}

std::string StoredGzip::Trailer() const {
  std::string out;
  Little(out, crc_, 4), Little(out, size_, 4);
  return out;
}

}  // namespace orchard::http
