// How long to wait for an answer before someone else gets its place: what answers took lately, over all nodes, as a sender's
// retransmission timer has it (RFC 6298, section 2), but never longer than the deployed code's second.
#pragma once

#include <algorithm>

#include "node/base/time.h"

namespace orchard::dht {

class Patience {
 public:
  static constexpr Duration kMin = std::chrono::milliseconds(200), kMax = std::chrono::milliseconds(1000);
  static constexpr Duration kFirst = std::chrono::milliseconds(500);  // Until anyone answered.

  // `took` since the first copy. An answer to one of several copies says too little (Karn's rule), unless it shows that
  // we were too impatient: a far node would else be asked twice for ever.
  void OnAnswer(Duration took, bool one_copy) {
    if (!one_copy && took <= value()) return;
    if (mean_ == Duration(0)) {
      mean_ = took, deviation_ = took / 2;
    } else {
      const Duration error = took - mean_;
      deviation_ += (std::max(error, -error) - deviation_) / 4;
      mean_ += error / 8;
    }
  }
  Duration value() const { return mean_ == Duration(0) ? kFirst : std::clamp(mean_ + 4 * deviation_, kMin, kMax); }

 private:
  Duration mean_{0}, deviation_{0};
};

}  // namespace orchard::dht
