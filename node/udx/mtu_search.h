// How large a datagram the path takes (IP and UDP headers included): probes of new data, padded to the next size, raise it
// step by step, one probe per round trip. A probe that is lost goes again without padding, so the search costs no data.
// Source: libudx, specification of udx-native 1.21.3 §5; DPLPMTUD (RFC 8899) in spirit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace orchard::udx {

class MtuSearch {
 public:
  static constexpr uint32_t kBase = 1200, kStep = 32, kTriesMax = 3, kPaddingMax = 255;

  // `max`: of the own interface, at most 1500; at kBase or below nothing is searched.
  explicit MtuSearch(uint32_t max) : max_(uint16_t(std::clamp<uint32_t>(max, kBase, 1500))) {}

  uint32_t mtu() const { return mtu_; }
  // Zero bytes to put into a packet of `size` bytes so that it becomes a probe; negative: it shall not be one.
  int PaddingFor(uint32_t size) const {
    if (step_ != Step::kSearch || probing_ || size > target_ || target_ - size > kPaddingMax) return -1;
    return int(target_ - size);
  }
  void OnProbeSent() { probing_ = true; }
  void OnProbeAcked() {
    if (!std::exchange(probing_, false)) return;
    mtu_ = std::max(mtu_, target_), tries_ = 0;
    if (target_ >= max_) {
      step_ = Step::kDone;
    } else {
      target_ = uint16_t(std::min<uint32_t>(target_ + kStep, max_));
    }
  }
  void OnProbeLost() {
    if (std::exchange(probing_, false) && ++tries_ >= kTriesMax) step_ = Step::kDone;
  }
  // The first acknowledgement: the path carries the base size.
  void OnAnyAcked() {
    if (step_ == Step::kBase) step_ = max_ > kBase ? Step::kSearch : Step::kDone;
  }

 private:
  enum class Step : uint8_t { kBase, kSearch, kDone };
  Step step_ = Step::kBase;
  bool probing_ = false;
  uint8_t tries_ = 0;
  uint16_t mtu_ = kBase, target_ = kBase, max_;
};

}  // namespace orchard::udx
