#include "node/dht/healer.h"

#include <algorithm>

namespace orchard::dht {

void Healer::OnLost(Ipv4Address node) {
  if (std::find(lost_.begin(), lost_.end(), node) != lost_.end()) return;
  if (lost_.size() == kLostMax) lost_.erase(lost_.begin());
  lost_.push_back(node);
}

void Healer::OnBack(Ipv4Address node) {
  auto found = std::find(lost_.begin(), lost_.end(), node);
  if (found != lost_.end()) lost_.erase(found);
}

void Healer::Knock(size_t count, Round& round) {
  count = std::min(count, lost_.size());
  round.pings.assign(lost_.begin(), lost_.begin() + ptrdiff_t(count));
  std::rotate(lost_.begin(), lost_.begin() + ptrdiff_t(count), lost_.end());
  knocks_owed_ = uint16_t(knocks_owed_ > count ? knocks_owed_ - count : 0);
}

Healer::Round Healer::OnAnswer(bool root) {
  Round round;
  // A root on our side of the cut answers all the time.
  if (!wounded_ || contact_ || contact_ok_in_ > 0 || (root && !root_silent_)) return round;
  contact_ = round.ask_roots = true, root_silent_ = false;
  contact_ok_in_ = kContactTicks, knocks_owed_ = uint16_t(lost_.size());
  Knock(kKnocksAfterContact, round);
  return round;
}

Healer::Round Healer::OnTick(size_t nodes, bool has_roots) {
  Round round;
  if (nodes >= peak_) {
    peak_ = uint16_t(nodes), peak_age_ = 0;
  } else if (!wounded_ && ++peak_age_ >= kPeakWindowTicks) {
    peak_ = uint16_t(nodes), peak_age_ = 0;  // Slow shrinking is not a wound.
  }
  const bool empty = nodes == 0 && has_roots;
  const bool wound = empty || wound_now_ || (peak_ >= kPeakMin && nodes * 4 < size_t{peak_} * 3);
  wound_now_ = false;
  if (!wounded_ && wound) {
    wounded_ = true, contact_ = root_silent_ = false, ticks_ = query_in_ = 0, query_every_ = kFirstQueryTicks;
  } else if (wounded_ && ((!empty && nodes * 10 >= size_t{peak_} * 9 && knocks_owed_ == 0) || ++ticks_ >= kGiveUpTicks)) {
    wounded_ = contact_ = false;
    if (ticks_ >= kGiveUpTicks) peak_ = uint16_t(nodes), lost_.clear();
  }
  if (!wounded_) {
    if (lost_.empty()) lost_.shrink_to_fit();
    return round;
  }

  if (contact_ok_in_ > 0) --contact_ok_in_;
  if (query_in_ == 0) {
    round.ask_roots = true;
    query_in_ = query_every_, query_every_ = std::min(2 * query_every_, kQueryTicksMax);
  }
  --query_in_;
  round.ping_root = has_roots;
  Knock(contact_ && knocks_owed_ > 0 ? kKnocksAfterContact : kKnocks, round);
  // All were asked: the next sign of life from a node still missing counts as contact again.
  if (knocks_owed_ == 0) contact_ = false;
  return round;
}

}  // namespace orchard::dht
