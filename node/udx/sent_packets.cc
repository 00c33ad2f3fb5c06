#include "node/udx/sent_packets.h"

#include <utility>

#include "node/udx/packet.h"

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
  std::optional<uint32_t> before;
  if (list.size > 0) before = to == Whereabouts::kLost ? LostBefore(seq) : list.tail;
  const bool first = !before.has_value(), last = list.size == 0 || (before && *before == list.tail);
  p.older = first ? seq : *before;
  p.newer = last ? seq : first ? list.head : (*this)[*before].newer;
  if (!last) (*this)[p.newer].older = seq;
  if (!first) (*this)[*before].newer = seq;
  if (first) list.head = seq;
  if (last) list.tail = seq;
  ++list.size;
  if (to == Whereabouts::kLost) lost_last_ = seq;
}

std::optional<uint32_t> SentPackets::LostBefore(uint32_t seq) const {
  const List& list = lists_[1];
  if (Before(seq, list.head)) return std::nullopt;
  uint32_t at = lost_last_ - first_ < size() && (*this)[lost_last_].where == Whereabouts::kLost && lost_last_ != seq ? lost_last_ : list.tail;
  while (Before(seq, at)) at = (*this)[at].older;
  while (at != list.tail && Before((*this)[at].newer, seq)) at = (*this)[at].newer;
  return at;
}

}  // namespace orchard::udx
