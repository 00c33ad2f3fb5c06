#include "node/cage/rollout.h"

#include <algorithm>

namespace orchard::cage {

std::string_view Rollout::StepName(Step step) {
  static constexpr std::string_view kNames[] = {"canary", "rolling", "done", "rolling-back", "rolled-back"};
  return kNames[size_t(step)];
}

void Rollout::Go(Turn& turn, Jobs& jobs, Pool& pool) {
  at_ = kNever;
  if (over()) return;
  const auto& slots = pool.slots();
  if (step_ == Step::kBackRolling) {
    const bool all = std::all_of(slots.begin(), slots.end(), [&](const Pool::Slot& s) { return s.image == from_; });
    if (all) step_ = Step::kRolledBack;
    return;
  }
  slots_ = std::min(slots_, slots.size());
  uint64_t deaths = 0;
  for (size_t i = 0; i < slots_; ++i) deaths += slots[i].deaths;
  if (deaths > deaths_) {
    why_ = "a cage of the new module died";
    return Back(turn, jobs, pool);
  }
  // Its breaker spares the canary requests then: there may never be enough of them to count.
  if (std::any_of(slots.begin(), slots.end(), [&](const Pool::Slot& s) { return s.image == to_ && s.breaker.open(); })) {
    why_ = "a cage of the new module answers nonsense";
    return Back(turn, jobs, pool);
  }
  if (good_ + bad_ >= kAnswersMin && bad_ * 100 > (good_ + bad_) * kErrorsPercentMax) {
    why_ = "more than 5 % of the new module's answers are none";
    return Back(turn, jobs, pool);
  }
  Forward(turn, jobs, pool);
}

void Rollout::Forward(Turn& turn, Jobs& jobs, Pool& pool) {
  const auto& slots = pool.slots();
  if (slots_ > 0) {
    const bool runs = slots[slots_ - 1].state == State::kRun && slots[slots_ - 1].image == to_;
    if (!runs) return void(healthy_ = kNever);  // It drains, or is being made.
    if (healthy_ == kNever) healthy_ = turn.now;
    const Duration watch = step_ == Step::kCanary ? kCanaryWatch : kSlotWatch;
    if (turn.now - healthy_ < watch) return void(at_ = healthy_ + watch);
    step_ = Step::kRolling;
  }
  if (slots_ == slots.size()) return void(step_ = Step::kDone);
  deaths_ += slots[slots_].deaths;
  healthy_ = kNever;
  pool.Replace(turn, jobs, slots_++, to_);
}

void Rollout::Back(Turn& turn, Jobs& jobs, Pool& pool) {
  if (over()) return;
  if (why_.empty()) why_ = "asked for";
  step_ = Step::kBackRolling;
  for (size_t i = 0; i < pool.slots().size(); ++i) {
    if (pool.slots()[i].image == to_) pool.Replace(turn, jobs, i, from_);
  }
  Go(turn, jobs, pool);
}

}  // namespace orchard::cage
