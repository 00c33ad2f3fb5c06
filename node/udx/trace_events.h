// The events that this layer writes (base/trace.h). Names are part of the contract with reports and claims.
#pragma once

#include <cstdint>
#include <string_view>

namespace orchard::udx::trace {

// A stream is gone. `why` is a CloseReason; totals of its life.
struct Closed {
  static constexpr std::string_view kName = "udx.closed";
  uint64_t stream, why, sent, received, retransmits, timeouts;
  template <class V>
  void Fields(V&& v) const {
    v("stream", stream), v("why", why), v("sent", sent), v("received", received);
    v("retransmits", retransmits), v("timeouts", timeouts);
  }
};

// The retransmission timer fired.
struct TimeOut {
  static constexpr std::string_view kName = "udx.timeout";
  uint64_t stream, seq, times;
  template <class V>
  void Fields(V&& v) const { v("stream", stream), v("seq", seq), v("times", times); }
};

// Something was refused. Written at the 1st, 2nd, 4th, 8th … of its kind, since anybody can cause it.
struct Rejected {
  static constexpr std::string_view kName = "udx.rejected";
  std::string_view why;
  uint64_t count;
  template <class V>
  void Fields(V&& v) const { v("why", why), v("count", count); }
};

}  // namespace orchard::udx::trace
