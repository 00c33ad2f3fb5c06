// What is to be done when, in one order whatever put it there: by instant, then lives of hosts, faults, moments, operations,
// then by place in the file, then in the order it was put.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>

#include "sim/run/timeline_stage.h"

namespace orchard::sim {

class Agenda {
 public:
  enum class Class : uint8_t { kLife, kFault, kMoment, kOperation };
  explicit Agenda(Stage& stage) : stage_(stage) {}

  // An instant that is over means now. May be called in the middle of a turn.
  void Put(Instant at, Class what, uint64_t entry, std::function<void()> act) {
    at = std::max(at, stage_.now());
    acts_.emplace(Key{at, what, entry, next_++}, std::move(act));
    if (at < wake_) {
      wake_ = at;
      stage_.At(at, [this, at] { Run(at); });
    }
  }
  bool empty() const { return acts_.empty(); }

 private:
  struct Key {
    Instant at;
    Class what;
    uint64_t entry, sequence;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  void Run(Instant at) {
    if (wake_ == at) wake_ = kNever;
    while (!acts_.empty() && acts_.begin()->first.at <= at) {
      std::function<void()> act = std::move(acts_.begin()->second);
      acts_.erase(acts_.begin());
      act();
    }
    if (!acts_.empty() && acts_.begin()->first.at < wake_) {
      wake_ = acts_.begin()->first.at;
      stage_.At(wake_, [this, at = wake_] { Run(at); });
    }
  }

  Stage& stage_;
  std::map<Key, std::function<void()>> acts_;
  Instant wake_ = kNever;
  uint64_t next_ = 0;
};

}  // namespace orchard::sim
