#include "node/wire/reader.h"

#include <cstring>

namespace orchard::wire {

absl::Status Reader::status() const {
  return ok() ? absl::OkStatus() : absl::InvalidArgumentError(why_);
}

Bytes Reader::Take(size_t n) {
  if (n > remaining()) {
    Fail("out of bounds");
    return {};
  }
  Bytes b(at_, n);
  at_ += n;
  return b;
}

uint64_t Reader::Fixed(size_t bytes) {
  Bytes b = Take(bytes);
  uint64_t x = 0;
  for (size_t i = b.size(); i-- > 0;) x = x << 8 | b[i];
  if (x > kUintMax) {
    Fail("integer above 2^53 - 1");
    return 0;
  }
  return x;
}

uint64_t Reader::Uint() {
  uint8_t first = U8();
  if (first < 0xfd) return first;
  return Fixed(first == 0xfd ? 2 : first == 0xfe ? 4 : 8);
}

int64_t Reader::Int() {
  uint64_t x = Uint();
  return x & 1 ? -int64_t(x >> 1) - 1 : int64_t(x >> 1);
}

uint64_t Reader::U32Be() {
  Bytes b = Take(4);
  uint64_t x = 0;
  for (uint8_t v : b) x = x << 8 | v;
  return x;
}

uint64_t Reader::U64Be() {
  uint64_t high = U32Be(), x = high << 32 | U32Be();
  if (x > kUintMax) {
    Fail("integer above 2^53 - 1");
    return 0;
  }
  return x;
}

Bytes Reader::Buffer() {
  uint64_t n = Uint();
  return Take(n);
}

std::optional<Bytes> Reader::OptionalBuffer() {
  Bytes b = Buffer();
  return b.empty() ? std::nullopt : std::optional(b);
}

Key32 Reader::Key() {
  Key32 k{};
  if (Bytes b = Take(k.size()); !b.empty()) std::memcpy(k.data(), b.data(), k.size());
  return k;
}

Ipv4Address Reader::Ipv4() {
  uint32_t host = uint32_t(U32Be());
  return {host, U16()};
}

Endpoint Reader::Ipv6() {
  Endpoint e;
  if (Bytes b = Take(e.ip.size()); !b.empty()) std::memcpy(e.ip.data(), b.data(), e.ip.size());
  e.port = U16();
  return e;
}

uint64_t Reader::ArraySize() {
  uint64_t n = Uint();
  // compact-encoding refuses at the bound itself, before it reads an item.
  if (n > kArrayMax) {
    Fail("array is too big");
    return 0;
  }
  return n;
}

uint64_t Reader::Lexint() {
  uint8_t first = U8();
  if (first < 251) return first;
  if (first == 255) Fail("lexint above 2^32 - 1");
  uint64_t x = 0;
  for (uint8_t v : Take(size_t(first - 250))) x = x << 8 | v;
  return ok() ? x + 251 : 0;
}

uint64_t Reader::Bitfield() {
  uint8_t first = U8();
  if (first < 0xfd) return first;
  return Fixed(first == 0xfd ? 2 : first == 0xfe ? 4 : 8);
}

}  // namespace orchard::wire
