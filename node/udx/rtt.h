// Round trip times of one path: smoothed, their deviation, the least of the last minutes, and the retransmission time-out
// made of them. Source: RFC 6298 as libudx applies it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "node/base/time.h"

namespace orchard::udx {

// The least value of the last `window`, or of somewhat less, half a window at least: two halves, of which the older
// is dropped when the younger is full.
class WindowedMin {
 public:
  void Add(Instant now, Duration window, Duration value) {
    if (now - began_ > window / 2) {
      older_ = now - began_ > window ? Duration::max() : younger_;
      younger_ = Duration::max(), began_ = now;
    }
    younger_ = std::min(younger_, value);
  }
  // Duration::max() if there is none.
  Duration value() const { return std::min(older_, younger_); }

 private:
  Duration older_ = Duration::max(), younger_ = Duration::max();
  Instant began_{};
};

class Rtt {
 public:
  static constexpr Duration kRtoMin = std::chrono::seconds(1), kRtoMax = std::chrono::seconds(30);
  static constexpr Duration kMinWindow = std::chrono::seconds(300);

  // Of a packet that was sent once.
  void Add(Instant now, Duration sample) {
    sample = std::max(sample, Duration(1));
    if (!known()) {
      smoothed_ = sample, deviation_ = sample / 2;
    } else {
      // One absurd sample (a machine that slept) must not stop the stream for minutes.
      const Duration bound = smoothed_ + 5 * deviation_;
      if (sample > std::chrono::seconds(5) && sample > bound) sample = std::min<Duration>(bound, kRtoMax);
      const Duration off = smoothed_ > sample ? smoothed_ - sample : sample - smoothed_;
      deviation_ = (3 * deviation_ + off) / 4;
      smoothed_ = (7 * smoothed_ + sample) / 8;
    }
    min_.Add(now, kMinWindow, sample);
  }
  bool known() const { return smoothed_ > Duration::zero(); }
  Duration smoothed() const { return smoothed_; }
  // Duration::max() before the first sample.
  Duration min() const { return min_.value(); }
  Duration rto() const {
    return known() ? std::clamp<Duration>(smoothed_ + 4 * deviation_, kRtoMin, kRtoMax) : kRtoMin;
  }

 private:
  Duration smoothed_{}, deviation_{};
  WindowedMin min_;
};

}  // namespace orchard::udx
