// Spreads packets over time: a virtual clock says when the path is free again. What may leave leaves in batches of up to a
// millisecond's worth, so that a timer fires about once a millisecond at any rate and a host can send a batch with one GSO
// call; a batch is paid for before the next one. In a local network a batch is half a round trip's worth: more would
// overflow small queues, and the acknowledgements wake us as often anyway.
#pragma once

#include <algorithm>
#include <cstdint>

#include "node/base/time.h"

namespace orchard::udx {

class Pacer {
 public:
  static constexpr Duration kBatchMax = std::chrono::milliseconds(1), kBatchMin = std::chrono::microseconds(250);
  // A timer that comes late, or a short pause of the application, costs no rate up to here.
  static constexpr Duration kCatchUp = std::chrono::milliseconds(2);
  // Two packets at once at any rate, as Linux paces; more than this many bytes at none: a socket's buffer holds 208 KiB.
  static constexpr uint64_t kBatchBytesMax = 128 * 1024;

  // `rtt`: the least round trip; Duration::max() if unknown.
  static uint64_t BatchBytes(uint64_t bytes_per_second, Duration rtt, uint32_t mtu) {
    const uint64_t micros = uint64_t(std::clamp<Duration>(rtt / 2, kBatchMin, kBatchMax).count()) / 1000;
    return std::max<uint64_t>(2 * uint64_t{mtu}, std::min(bytes_per_second * micros / 1'000'000, kBatchBytesMax));
  }

  // Begins a batch at `now`: false if the path is not free yet; then at free_at().
  bool Begin(Instant now, uint64_t bytes_per_second, Duration rtt, uint32_t mtu) {
    if (free_at_ > now) return false;
    free_at_ = std::max(free_at_, now - kCatchUp);
    until_ = now + Cost(BatchBytes(bytes_per_second, rtt, mtu), bytes_per_second);
    return true;
  }
  // Within a batch: may one more packet leave?
  bool open() const { return free_at_ < until_; }
  void Spend(uint64_t bytes, uint64_t bytes_per_second) { free_at_ += Cost(bytes, bytes_per_second); }
  Instant free_at() const { return free_at_; }

 private:
  static Duration Cost(uint64_t bytes, uint64_t bytes_per_second) {
    return Duration(int64_t(bytes * 1'000'000'000 / std::max<uint64_t>(bytes_per_second, 1)));
  }
  Instant free_at_{}, until_{};
};

}  // namespace orchard::udx
