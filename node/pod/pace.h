// How many fetches of one member are under way at once, so that our line is busy although each answer begins a round trip after its
// request: as many chunks as the line carries in that time, and one more. Too few leave it idle; with too many all of them end
// late and together.
#pragma once

#include <algorithm>
#include <cstdint>

#include "node/base/time.h"
#include "node/pod/worker.h"

namespace orchard::pod {

class Pace {
 public:
  static constexpr size_t kMin = 2, kMax = 8;
  static constexpr Duration kSample = std::chrono::milliseconds(200);
  static constexpr Duration kFirstBytesMemory = std::chrono::seconds(10);  // A line that became longer is believed after this.

  // The first bytes of a fetch came, so long after it was begun.
  void OnFirstBytes(Duration took, Instant now) {
    if (took > wait_ && now < wait_until_) return;
    wait_ = took, wait_until_ = now + kFirstBytesMemory;
  }
  void OnBytes(uint64_t bytes, Instant now) {
    if (since_ == kNever) since_ = now, bytes_ = 0;
    else bytes_ += bytes;
    if (now - since_ < kSample) return;
    const auto rate = uint64_t(static_cast<unsigned __int128>(bytes_) * 1'000'000'000u / uint64_t((now - since_).count()));
    rate_ = std::max(rate, rate_ - rate_ / 4);  // It falls slowly: there are lulls.
    since_ = now, bytes_ = 0;
  }
  void OnIdle() { since_ = kNever; }

  size_t fetches(uint64_t chunk_bytes) const {
    const auto product = static_cast<unsigned __int128>(rate_) * uint64_t(wait_.count()) / 1'000'000'000u;
    return size_t(std::clamp<unsigned __int128>(1 + (product + chunk_bytes - 1) / chunk_bytes, kMin, kMax));
  }

 private:
  Duration wait_{};                   // From a request to its answer's first bytes, the least of late.
  Instant wait_until_{}, since_ = kNever;
  uint64_t bytes_ = 0, rate_ = 0;     // Per second.
};

}  // namespace orchard::pod
