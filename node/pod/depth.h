// Whether more connections of our own make the whole pod faster. On a clean line one round trip's worth of requests is enough; where
// single packets are lost TCP is far below the line's rate, and another connection brings as much again. So one more is tried
// now and then, and stays if all uplinks together brought at least half of what it should add: a line that we share with a member of
// the pod shows no gain. After a trial in vain the next one waits twice as long.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "node/base/time.h"

namespace orchard::pod {

class Depth {
 public:
  static constexpr uint64_t kMax = 6;
  static constexpr Duration kSpan = std::chrono::milliseconds(500);  // Of one measurement, at least; the first after a change does not count.
  static constexpr uint32_t kPatienceMax = 64;

  // Requests beyond those that a round trip needs.
  uint64_t extra() const { return extra_ + (step_ == Step::kTrial ? 1 : 0); }
  // At any time while something is being fetched. So far: bytes that all uplinks brought, and ours. `requests`: ours under way.
  // `roomy`: they do not wait for each other on the line, so a trial makes sense.
  void OnProgress(Instant now, uint64_t total, uint64_t own, uint64_t requests, bool roomy) {
    if (since_ == kNever || total < total_ || own < own_) return Begin(now, total, own);
    if (now - since_ < kSpan) return;
    const uint64_t all = PerSecond(total - total_, now), ours = PerSecond(own - own_, now);
    Begin(now, total, own);
    if (std::exchange(fresh_, false)) return;
    if (step_ == Step::kTrial) {
      step_ = Step::kSteady;
      if (all > base_ + gain_) ++extra_, patience_ = 1;
      else patience_ = std::min(patience_ * 2, kPatienceMax);
      left_ = patience_, fresh_ = true;
      return;
    }
    if (left_ > 0) --left_;
    if (extra_ >= kMax || left_ > 0 || !roomy) return;
    base_ = all, gain_ = ours / std::max<uint64_t>(2, 2 * requests);
    step_ = Step::kTrial, fresh_ = true;
  }
  void OnLull() { since_ = kNever, step_ = Step::kSteady, fresh_ = true; }

 private:
  enum class Step : uint8_t { kSteady, kTrial };
  void Begin(Instant now, uint64_t total, uint64_t own) { since_ = now, total_ = total, own_ = own; }
  uint64_t PerSecond(uint64_t bytes, Instant now) const {
    return uint64_t(static_cast<unsigned __int128>(bytes) * 1'000'000'000u / uint64_t((now - since_).count()));
  }

  uint64_t extra_ = 0, base_ = 0, gain_ = 0;
  Step step_ = Step::kSteady;
  bool fresh_ = true;
  uint32_t patience_ = 1, left_ = 1;
  Instant since_ = kNever;
  uint64_t total_ = 0, own_ = 0;
};

}  // namespace orchard::pod
