#include "node/udx/packet.h"

#include <algorithm>

namespace orchard::udx {
namespace {

constexpr uint8_t kMagic = 0xff, kVersion = 1;

// Byte by byte: compilers make one load or store of it, on any machine.
uint32_t Load(const uint8_t* p) { return uint32_t(p[0]) | uint32_t(p[1]) << 8 | uint32_t(p[2]) << 16 | uint32_t(p[3]) << 24; }
void Save(uint8_t* p, uint32_t x) { p[0] = uint8_t(x), p[1] = uint8_t(x >> 8), p[2] = uint8_t(x >> 16), p[3] = uint8_t(x >> 24); }

}  // namespace

std::optional<Header> ReadHeader(Bytes d) {
  if (d.size() < kHeaderBytes || d[0] != kMagic || d[1] != kVersion) return std::nullopt;
  const uint8_t* p = d.data();
  return Header{p[2], p[3], Load(p + 4), Load(p + 8), Load(p + 12), Load(p + 16)};
}

std::array<uint8_t, kHeaderBytes> WriteHeader(const Header& h) {
  std::array<uint8_t, kHeaderBytes> out = {kMagic, kVersion, h.type, h.data_offset};
  Save(&out[4], h.id), Save(&out[8], h.window), Save(&out[12], h.seq), Save(&out[16], h.ack);
  return out;
}

std::optional<Bytes> PayloadOf(const Header& h, Bytes d) {
  if (d.size() < kHeaderBytes + h.data_offset) return std::nullopt;
  return d.subspan(kHeaderBytes + h.data_offset);
}

SackBlocks::SackBlocks(const Header& h, Bytes d) {
  if ((h.type & kSack) == 0 || d.size() <= kHeaderBytes) return;
  const size_t after = d.size() - kHeaderBytes;
  const size_t area = h.data_offset == 0 ? after : std::min<size_t>(h.data_offset, after);
  bytes_ = d.subspan(kHeaderBytes, std::min(area / 8, kSackBlocksMax) * 8);
}

SeqRange SackBlocks::operator[](size_t i) const { return {Load(&bytes_[8 * i]), Load(&bytes_[8 * i + 4])}; }

}  // namespace orchard::udx
