#include "node/wire/writer.h"

#include "node/base/check.h"
#include "node/wire/reader.h"

namespace orchard::wire {

void Writer::Fixed(uint64_t x, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out_.push_back(uint8_t(x >> 8 * i));
}

void Writer::Uint(uint64_t x) {
  CHECK_LE(x, kUintMax);
  if (x < 0xfd) return U8(uint8_t(x));
  if (x <= 0xffff) return U8(0xfd), Fixed(x, 2);
  if (x <= 0xffffffff) return U8(0xfe), Fixed(x, 4);
  U8(0xff), Fixed(x, 8);
}

void Writer::Int(int64_t x) {
  Uint(x < 0 ? uint64_t(-(x + 1)) * 2 + 1 : uint64_t(x) * 2);
}

void Writer::U32Be(uint32_t x) {
  for (int shift = 24; shift >= 0; shift -= 8) out_.push_back(uint8_t(x >> shift));
}

void Writer::U64Be(uint64_t x) { U32Be(uint32_t(x >> 32)), U32Be(uint32_t(x)); }

void Writer::Ipv4(Ipv4Address a) { U32Be(a.host), U16(a.port); }

void Writer::Ipv6(const Endpoint& e) { Raw(e.ip), U16(e.port); }

void Writer::Lexint(uint64_t x) {
  CHECK_LE(x, 0xffffffffu);
  if (x < 251) return U8(uint8_t(x));
  // The width follows from the value, not from what is written of it.
  size_t bytes = x <= 0xff ? 1 : x <= 0xffff ? 2 : x <= 0xffffff ? 3 : 4;
  x -= 251;
  U8(uint8_t(250 + bytes));
  while (bytes-- > 0) U8(uint8_t(x >> 8 * bytes));
}

void Writer::Bitfield(uint64_t mask, size_t bits) {
  CHECK_LE(bits, 64u);
  if (bits < 8) return U8(uint8_t(mask));
  size_t bytes = bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
  U8(uint8_t(bytes == 2 ? 0xfd : bytes == 4 ? 0xfe : 0xff)), Fixed(mask, bytes);
}

}  // namespace orchard::wire
