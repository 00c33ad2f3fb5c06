#include "node/cage_worker/channel.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace orchard::cage_worker {
namespace {

constexpr size_t kHead = 11;

void Append32(std::string& out, uint32_t x) {
  for (int i = 0; i < 4; ++i) out += char(x >> (8 * i));
}
uint32_t Read32(const char* p) {
  uint32_t x = 0;
  for (int i = 0; i < 4; ++i) x |= uint32_t(uint8_t(p[i])) << (8 * i);
  return x;
}

}  // namespace

void Append(std::string& out, const Frame& f) {
  Append32(out, uint32_t(kHead - 4 + f.payload.size()));
  out += char(f.word);
  Append32(out, f.tag);
  out += char(f.status), out += char(f.cause);
  out.append(f.payload);
}

absl::StatusOr<std::optional<Frame>> FrameReader::Next() {
  const std::string_view rest = std::string_view(buffer_).substr(at_);
  if (rest.size() < 4) {
    buffer_.erase(0, at_), at_ = 0;
    return std::nullopt;
  }
  const size_t size = Read32(rest.data());
  if (size < kHead - 4 || size > kFrameBytesMax) return absl::InvalidArgumentError(absl::StrCat("a frame of ", size, " bytes"));
  if (rest.size() < 4 + size) {
    buffer_.erase(0, at_), at_ = 0;
    return std::nullopt;
  }
  Frame f;
  const uint8_t word = uint8_t(rest[4]), status = uint8_t(rest[9]), cause = uint8_t(rest[10]);
  if (word > uint8_t(Word::kForget) || status > uint8_t(absl::StatusCode::kUnauthenticated) || cause > uint8_t(cage::Cause::kEngine)) {
    return absl::InvalidArgumentError("a frame of no such kind");
  }
  f.word = Word(word), f.tag = Read32(rest.data() + 5), f.status = absl::StatusCode(status), f.cause = cage::Cause(cause);
  f.payload = rest.substr(kHead, size - (kHead - 4));
  at_ += 4 + size;
  return f;
}

}  // namespace orchard::cage_worker
