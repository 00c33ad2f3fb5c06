#include "node/http/content.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "node/base/check.h"
#include "node/crypto/hash.h"
#include "node/crypto/sha256.h"

namespace orchard::http {
namespace {

std::array<uint8_t, 8> LittleEndian(uint64_t x) {
  std::array<uint8_t, 8> b;
  for (size_t i = 0; i < 8; ++i) b[i] = uint8_t(x >> 8 * i);
  return b;
}

}  // namespace

Content::Content(uint64_t seed, std::string_view path, uint64_t size) : size_(size) {
  const auto s = LittleEndian(seed);
  key_ = crypto::Blake2b256({AsBytes("orchard web file"), Bytes(s), AsBytes(path)});
}

void Content::Read(uint64_t offset, absl::Span<uint8_t> out) const {
  CHECK(offset <= size_ && out.size() <= size_ - offset);
  static constexpr uint8_t kNonce[crypto_stream_chacha20_NONCEBYTES] = {};
  // The cipher counts blocks of 64 bytes: one that is begun within is made apart.
  const size_t skip = offset % 64;
  if (skip != 0 && !out.empty()) {
    std::array<uint8_t, 64> block{};
    crypto_stream_chacha20_xor_ic(block.data(), block.data(), block.size(), kNonce, offset / 64, key_.data());
    const size_t n = std::min(out.size(), 64 - skip);
    std::copy_n(block.begin() + skip, n, out.begin());
    out = out.subspan(n), offset += n;
  }
  if (out.empty()) return;
  std::fill(out.begin(), out.end(), uint8_t{0});
  crypto_stream_chacha20_xor_ic(out.data(), out.data(), out.size(), kNonce, offset / 64, key_.data());
}

Key32 Content::Sha256(uint64_t offset, uint64_t size) const {
  crypto::Sha256Stream sum;
  std::vector<uint8_t> buffer(64 << 10);
  while (size > 0) {
    const auto piece = absl::MakeSpan(buffer).subspan(0, size_t(std::min<uint64_t>(size, buffer.size())));
    Read(offset, piece);
    sum.Add(piece);
    offset += piece.size(), size -= piece.size();
  }
  return sum.Digest();
}

std::string Content::etag() const {
  const auto size = LittleEndian(size_);
  return "\"" + ToHex(Bytes(crypto::Blake2b256({Bytes(key_), Bytes(size)})).subspan(0, 8)) + "\"";
}

}  // namespace orchard::http
