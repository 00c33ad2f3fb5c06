#include "node/udx/reassembly.h"

#include <utility>

namespace orchard::udx {

bool Reassembly::Hold(uint32_t next, uint32_t seq, Bytes bytes, bool has_data) {
  if (!held_.Add(seq)) return false;
  if (seq - next >= slots_.size()) {
    size_t size = slots_.empty() ? 16 : slots_.size();
    while (seq - next >= size) size *= 2;
    std::vector<Packet> grown(size);
    for (const SeqRange& r : held_.ranges()) {
      for (uint32_t s = r.start; s != r.end; ++s) {
        if (s != seq) grown[s & (size - 1)] = std::move(slots_[s & (slots_.size() - 1)]);
      }
    }
    slots_ = std::move(grown);
  }
  Packet& p = slots_[seq & (slots_.size() - 1)];
  p.bytes.assign(bytes.begin(), bytes.end());
  p.has_data = has_data;
  bytes_ += bytes.size();
  return true;
}

std::optional<Reassembly::Packet> Reassembly::Take(uint32_t next) {
  if (held_.empty() || held_.ranges()[0].start != next) return std::nullopt;
  held_.DropBefore(next + 1);
  Packet p = std::move(slots_[next & (slots_.size() - 1)]);
  bytes_ -= p.bytes.size();
  return p;
}

}  // namespace orchard::udx
