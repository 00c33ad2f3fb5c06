// The timers of many children in one ordered index: the parent moves a child's entry after each call down. O(log n); ties
// go by id.
#pragma once

#include <optional>
#include <utility>

#include "absl/container/btree_set.h"
#include "node/base/time.h"

namespace orchard {

template <class Id>
class Deadlines {
 public:
  void Move(Id id, Instant from, Instant to) {
    if (from == to) return;
    if (from != kNever) due_.erase({from, id});
    if (to != kNever) due_.insert({to, id});
  }
  Instant next() const { return due_.empty() ? kNever : due_.begin()->first; }
  // The earliest child that is due; move its entry before asking again.
  std::optional<Id> due(Instant now) const { return next() <= now ? std::optional(due_.begin()->second) : std::nullopt; }
  size_t size() const { return due_.size(); }

 private:
  absl::btree_set<std::pair<Instant, Id>> due_;
};

}  // namespace orchard
