// How many requests may be on their way: four slots of 750 ms; an answer frees a place in the current one, the rest is
// forgotten as the slots turn. Source: dht-rpc 6.27 lib/io.js (CongestionWindow).
#pragma once

#include <array>
#include <cstdint>

namespace orchard::dht {

class CongestionWindow {
 public:
  static constexpr uint16_t kWindowMax = 80;

  bool full() const { return total_ >= 2 * kWindowMax || slots_[current_] >= kWindowMax; }
  void OnSend() { ++total_, ++slots_[current_]; }
  void OnEnd() {
    if (slots_[current_] > 0) --slots_[current_], --total_;
  }
  void OnDrains(uint64_t count) {
    for (; count > 0 && total_ > 0; --count) {
      current_ = (current_ + 1) & 3;
      total_ = uint16_t(total_ - slots_[current_]), slots_[current_] = 0;
    }
    current_ = (current_ + count) & 3;  // All slots are empty: only the position turns on.
  }

 private:
  std::array<uint16_t, 4> slots_{};
  uint16_t total_ = 0;
  uint8_t current_ = 0;
};

}  // namespace orchard::dht
