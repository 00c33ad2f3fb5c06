#include "node/udx/sent_packets.h"

#include <utility>

namespace orchard::udx {

SentPacket& SentPackets::Push() {
  if (size() == ring_.size()) {
    std::vector<SentPacket> grown(ring_.empty() ? 16 : ring_.size() * 2);
    for (uint32_t s = first_; s != next_; ++s) grown[s & (uint32_t(grown.size()) - 1)] = (*this)[s];
    ring_ = std::move(grown);
  }
  SentPacket& p = (*this)[next_++];
  p = SentPacket{};
  return p;
}

void SentPackets::Pop() {
  CHECK((*this)[first_].where == Whereabouts::kArrived);
  if (++first_ == next_) ring_ = {};  // An idle stream holds nothing.
}

void SentPackets::Move(uint32_t seq, Whereabouts to) {
  SentPacket& p = (*this)[seq];
  if (p.where != Whereabouts::kArrived) {
    List& from = ListOf(p.where);
    if (from.head == seq) {
      from.head = p.newer;
    } else {
      (*this)[p.older].newer = p.newer;
    }
    if (from.tail == seq) {
      from.tail = p.older;
    } else {
      (*this)[p.newer].older = p.older;
    }
    --from.size;
  }
  p.where = to;
  if (to == Whereabouts::kArrived) return;
  List& list = ListOf(to);
  if (list.size++ == 0) {
    list.head = list.tail = seq;
  } else {
    (*this)[list.tail].newer = seq, p.older = list.tail, list.tail = seq;
  }
}

}  // namespace orchard::udx
