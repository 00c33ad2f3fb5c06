// Whether the network seems to be there, from the answers and time-outs of the last ticks. It only informs.
// Source: dht-rpc 6.27 lib/health.js.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace orchard::dht {

class Health {
 public:
  static constexpr size_t kWindowTicks = 4;
  static constexpr uint32_t kIdleEvents = 4;       // Fewer in a tick say nothing.
  static constexpr uint8_t kOfflineTicks = 2;

  // With the totals of this life. True if online() or degraded() changed.
  bool OnTick(uint64_t responses, uint64_t timeouts);
  // After a sleep. True if something changed.
  bool Reset();
  bool online() const { return online_; }
  bool degraded() const { return degraded_; }

 private:
  enum class Verdict : uint8_t { kNone, kOffline, kDegraded, kHealthy };
  std::array<Verdict, kWindowTicks> window_{};
  uint64_t responses_ = 0, timeouts_ = 0;  // At the last tick.
  uint8_t head_ = kWindowTicks - 1, filled_ = 0, offline_ticks_ = 0, degraded_ticks_ = 0, healthy_ticks_ = 0;
  bool online_ = true, degraded_ = false;
  // The window's own view; the flags above follow it.
  bool window_online_ = true, window_degraded_ = false;
};

}  // namespace orchard::dht
