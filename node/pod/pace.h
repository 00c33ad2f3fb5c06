// When the next fetch for a member begins, so that our line stays busy although each answer begins a round trip after its request:
// while as much is still to come as the line carries in that time, and a little more. Later leaves it idle; with more at once all end late
// and together, and a router's short queue overflows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "node/base/time.h"
#include "node/pod/worker.h"

namespace orchard::pod {

class Pace {
 public:
  static constexpr size_t kMax = 8;
  static constexpr size_t kFirst = 2;              // While TCP still opens its windows and the rate says little.
  static constexpr uint64_t kOpening = 4 << 20;    // Bytes.
  static constexpr Duration kMargin = std::chrono::milliseconds(10);
  static constexpr Duration kSample = std::chrono::milliseconds(200);
  static constexpr Duration kFirstBytesMemory = std::chrono::seconds(10);  // A line that became longer is believed after this.

  // The first bytes of a fetch came, so long after it was begun.
  void OnFirstBytes(Duration took, Instant now) {
    if (took > wait_ && now < wait_until_) return;
    wait_ = took, wait_until_ = now + kFirstBytesMemory;
  }
  void OnBytes(uint64_t bytes, Instant now) {
    seen_ += bytes;
    if (since_ == kNever) since_ = now, bytes_ = 0;
    else bytes_ += bytes;
    if (now - since_ < kSample) return;
    const auto rate = uint64_t(static_cast<unsigned __int128>(bytes_) * 1'000'000'000u / uint64_t((now - since_).count()));
    rate_ = std::max(rate, rate_ - rate_ / 4);  // It falls slowly: there are lulls.
    since_ = now, bytes_ = 0;
  }
  void OnIdle() { since_ = kNever; }

  // May another be begun beside `fetches` that have `left` bytes to come?
  bool may(size_t fetches, uint64_t left) const {
    if (seen_ < kOpening && fetches < kFirst) return true;
    return fetches == 0 || (fetches < kMax && left < InTime(wait_ + wait_ / 4 + kMargin, rate_));
  }

 private:
  Duration wait_{};                   // From a request to its answer's first bytes, the least of late.
  Instant wait_until_{}, since_ = kNever;
  uint64_t bytes_ = 0, seen_ = 0, rate_ = 0;  // In this sample; in all; per second.
};

}  // namespace orchard::pod
