// From one module of a site, or its files, to another, a slot at a time: the first that runs the new one is watched (a canary, with its share of the
// requests), then the others follow. If a cage of the new module dies, or too many of its answers are no answers, all go back.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "node/cage/pool.h"

namespace orchard::cage {

class Rollout {
 public:
  enum class Step : uint8_t { kCanary, kRolling, kDone, kBackRolling, kRolledBack };
  static std::string_view StepName(Step step);

  // How long the canary is watched, and each further slot; how many of its answers may be nonsense, of at least so many.
  static constexpr Duration kCanaryWatch = std::chrono::seconds(10), kSlotWatch = std::chrono::seconds(1);
  static constexpr uint64_t kErrorsPercentMax = 5, kAnswersMin = 20;

  Rollout(const Image& from, const Image& to) : from_(from), to_(to) {}
  // Whenever something happened to the pool, or its time has come.
  void Go(Turn& turn, Jobs& jobs, Pool& pool);
  // By an operator's word.
  void Back(Turn& turn, Jobs& jobs, Pool& pool);
  // A cage of the new module answered, with sense or without.
  void Judge(bool sense) { ++(sense ? good_ : bad_); }
  Instant next_deadline() const { return at_; }

  Step step() const { return step_; }
  bool over() const { return step_ == Step::kDone || step_ == Step::kRolledBack; }
  const Image& to() const { return to_; }
  const Image& from() const { return from_; }
  std::string_view why() const { return why_; }  // It went back.

 private:
  // The next slot's turn, once the one before was healthy for long enough.
  void Forward(Turn& turn, Jobs& jobs, Pool& pool);
  Image from_, to_;
  Step step_ = Step::kCanary;
  size_t slots_ = 0;        // Given the new module so far.
  uint64_t deaths_ = 0;     // Of those slots, when they got it.
  Instant healthy_ = kNever;  // Since when the last of them is.
  Instant at_ = kNever;
  uint64_t good_ = 0, bad_ = 0;
  std::string_view why_;
};

}  // namespace orchard::cage
