// A circuit breaker: a cage that answers, but nonsense, is spared requests for a while. Source: the seed: open after 3 failures in a
// row; after 5 s one is tried; 2 good ones close it.
#pragma once

#include <chrono>
#include <cstdint>

#include "node/base/time.h"

namespace orchard::cage {

class Breaker {
 public:
  static constexpr uint32_t kFailures = 3, kSuccesses = 2;
  static constexpr Duration kPause = std::chrono::seconds(5);

  // True if a request may pass; while it is tried out, one at a time.
  bool Allows(Instant now) const { return !open_ || (now >= retry_ && !trying_); }
  bool open() const { return open_; }
  void OnSent() { trying_ = open_; }
  void OnGood() {
    trying_ = false, failures_ = 0;
    if (open_ && ++successes_ >= kSuccesses) open_ = false;
  }
  void OnBad(Instant now) {
    trying_ = false, successes_ = 0;
    if (!open_ && ++failures_ < kFailures) return;
    open_ = true, failures_ = 0, retry_ = now + kPause;
  }
  // What was sent did not come to an end.
  void OnLost() { trying_ = false; }

 private:
  bool open_ = false, trying_ = false;
  uint32_t failures_ = 0, successes_ = 0;
  Instant retry_{};
};

}  // namespace orchard::cage
