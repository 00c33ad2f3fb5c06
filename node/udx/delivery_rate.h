// How fast the path delivers: each acknowledgement yields a sample, the bytes that arrived since the newest packet that it
// tells of was sent, over the time in which they were sent or acknowledged, whichever is longer.
// Source: draft-cheng-iccrg-delivery-rate-estimation.
#pragma once

#include <algorithm>
#include <cstdint>

#include "node/udx/sent_packets.h"

namespace orchard::udx {

class DeliveryRate {
 public:
  struct Sample {
    uint64_t bytes = 0;            // Delivered in `interval`.
    Duration interval{};           // Zero: no sample.
    uint64_t prior_delivered = 0;  // When the newest packet was sent: a round is over when that passes its beginning.
    uint32_t sent = 0;             // Bytes sent from the packet that then had arrived last to the newest.
    bool app_limited = false;      // The application did not keep the path busy.
    bool any = false;
  };

  // Call before the packet counts as under way.
  void OnSent(Instant now, bool path_was_idle, uint32_t bytes, SentPacket& p) {
    if (path_was_idle) first_sent_at_ = delivered_at_ = now, first_sent_ = sent_;
    p.first_sent_at = first_sent_at_, p.delivered_at = delivered_at_, p.delivered = delivered_;
    p.app_limited = app_limited_until_ != 0;
    p.sent = sent_ += bytes, p.first_sent = first_sent_;
  }
  void OnArrived(Instant now, const SentPacket& p, uint64_t bytes, Sample& sample) {
    delivered_ += bytes, delivered_at_ = now;
    if (sample.any && p.delivered < sample.prior_delivered) return;
    sample.any = true;
    sample.prior_delivered = p.delivered, sample.app_limited = p.app_limited, sample.sent = p.sent - p.first_sent;
    sample.interval = std::max(p.sent_at - p.first_sent_at, now - p.delivered_at);
    first_sent_at_ = p.sent_at, first_sent_ = p.sent;
  }
  // Once per acknowledgement. What took less than the least round trip is an artefact.
  void Finish(Duration min_rtt, Sample& sample) {
    if (app_limited_until_ != 0 && delivered_ > app_limited_until_) app_limited_until_ = 0;
    // A SACK of few blocks hides arrivals until the holes below them are filled; then all seem to come at once.
    sample.bytes = std::min<uint64_t>(delivered_ - sample.prior_delivered, sample.sent);
    if (min_rtt != Duration::max() && sample.interval < min_rtt) sample.interval = Duration::zero();
  }
  // Nothing is left to send though the window allows: samples say less than the path can, until what is under way arrived.
  void OnAppLimited(uint64_t bytes_under_way) { app_limited_until_ = std::max<uint64_t>(delivered_ + bytes_under_way, 1); }
  uint64_t delivered() const { return delivered_; }

 private:
  uint64_t delivered_ = 0, app_limited_until_ = 0;
  Instant delivered_at_{}, first_sent_at_{};
  uint32_t sent_ = 0, first_sent_ = 0;  // Bytes, modulo 2^32: only differences count.
};

}  // namespace orchard::udx
