// The node's clock. It has no now(), on purpose: time is an argument (Turn::now), so asking for it does not compile.
#pragma once

#include <chrono>
#include <cstdint>

namespace orchard {

struct NodeClock {  // Real hosts feed CLOCK_BOOTTIME, so that a suspend shows as a jump.
  using rep = int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<NodeClock>;
  static constexpr bool is_steady = true;
};

using Duration = NodeClock::duration;
using Instant = NodeClock::time_point;
inline constexpr Instant kNever = Instant::max();

constexpr int64_t ToMillis(Duration d) { return d.count() / 1'000'000; }
constexpr int64_t ToNanos(Instant t) { return t.time_since_epoch().count(); }

}  // namespace orchard
