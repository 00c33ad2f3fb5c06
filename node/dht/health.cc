#include "node/dht/health.h"

namespace orchard::dht {

bool Health::OnTick(uint64_t responses, uint64_t timeouts) {
  head_ = uint8_t((head_ + 1) % kWindowTicks);
  // The slot to be reused leaves the counts. An offline tick counts as neither.
  if (filled_ == kWindowTicks && window_[head_] == Verdict::kDegraded) --degraded_ticks_;
  if (filled_ == kWindowTicks && window_[head_] == Verdict::kHealthy) --healthy_ticks_;
  window_[head_] = Verdict::kNone;
  uint64_t answered = responses - responses_, lost = timeouts - timeouts_;
  responses_ = responses, timeouts_ = timeouts;
  if (filled_ < kWindowTicks) ++filled_;
  if (filled_ < kWindowTicks || answered + lost < kIdleEvents) return false;

  if (answered == 0) {
    window_[head_] = Verdict::kOffline, ++offline_ticks_;
    if (offline_ticks_ >= kOfflineTicks) window_online_ = false;
  } else {
    offline_ticks_ = 0, window_online_ = true;
    bool bad = lost > answered;  // More than half of all.
    window_[head_] = bad ? Verdict::kDegraded : Verdict::kHealthy;
    ++(bad ? degraded_ticks_ : healthy_ticks_);
  }
  if (!window_online_ || healthy_ticks_ == kWindowTicks) window_degraded_ = false;
  if (window_online_ && degraded_ticks_ == kWindowTicks) window_degraded_ = true;

  bool changed = online_ != window_online_ || degraded_ != window_degraded_;
  online_ = window_online_, degraded_ = window_degraded_;
  return changed;
}

bool Health::Reset() {
  bool changed = !online_ || degraded_;
  uint64_t responses = responses_, timeouts = timeouts_;
  *this = Health();
  responses_ = responses, timeouts_ = timeouts;
  return changed;
}

}  // namespace orchard::dht
