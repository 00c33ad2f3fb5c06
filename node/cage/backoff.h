// When a slot whose cage died gets the next one. Source: the seed's supervisor (base 1 s, doubled, at most 60 s, 5 attempts), per
// slot, and over once a cage was healthy for a while; the first respawn after that is at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "node/base/time.h"

namespace orchard::cage {

class Backoff {
 public:
  // The cage is healthy since `at`.
  void OnHealthy(Instant at) { healthy_ = at; }
  // How long to wait for the next; nothing: give up. `steady`: healthy so long ends the row of attempts.
  std::optional<Duration> OnDeath(Instant now, Duration base, Duration most, uint32_t attempts, Duration steady, bool faithful) {
    if (healthy_ != kNever && now - healthy_ >= steady) made_ = 0, waits_ = faithful ? 1 : 0;
    healthy_ = kNever;
    if (made_ >= attempts) return std::nullopt;
    ++made_;
    const uint32_t doublings = waits_++;
    if (doublings == 0) return Duration{0};
    Duration wait = base;
    for (uint32_t i = 1; i < doublings && wait < most; ++i) wait *= 2;
    return std::min(wait, most);
  }
  // Begins anew, by an operator's word.
  void Reset() { made_ = 0, waits_ = 1; }
  uint32_t made() const { return made_; }

 private:
  uint32_t made_ = 0;
  uint32_t waits_ = 1;  // A slot that was never healthy waits from the first time on.
  Instant healthy_ = kNever;
};

}  // namespace orchard::cage
