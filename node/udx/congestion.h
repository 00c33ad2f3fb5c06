// How much may be under way, and how fast it leaves: BBR, as libudx deploys it (version 1), in integers. It models the path
// by its bandwidth (the most delivered in ten rounds) and its round trip (the least of ten seconds), and keeps a little more
// than their product under way.
// Source: libudx, specification of udx-native 1.21.3 §10; draft-cardwell-iccrg-bbr-congestion-control-00.
#pragma once

#include <array>
#include <cstdint>

#include "node/base/rng.h"
#include "node/base/time.h"
#include "node/udx/delivery_rate.h"

namespace orchard::udx {

class Congestion {
 public:
  static constexpr uint32_t kInitialWindow = 10, kMinWindow = 4, kMaxWindow = 16384;  // Packets.
  static constexpr Duration kMinRttWindow = std::chrono::seconds(10), kProbeRtt = std::chrono::milliseconds(200);

  struct Ack {
    DeliveryRate::Sample rate;
    uint64_t delivered = 0;      // Bytes in all, these included.
    uint64_t acked_bytes = 0;    // By this acknowledgement.
    uint32_t acked = 0;          // Packets.
    uint32_t lost = 0;           // Found to be lost by it.
    uint32_t under_way = 0;      // After it.
    uint32_t under_way_before = 0;
    Duration rtt{};              // Zero: no sample.
    uint32_t mtu = 0;
    // There were more holes than a SACK can tell of: what seems to be under way or lost may have arrived. Such rounds say
    // nothing against what was seen before.
    bool partial = false;
  };

  Congestion();

  void OnAck(Instant now, Rng& rng, const Ack& ack);
  // A packet is sent while nothing was under way, after a pause of the application.
  void OnRestart(uint32_t mtu);
  // Packets were found lost for the first time in this flight.
  void OnRecovery(const Ack& ack);
  // The retransmission time-out; `under_way` is what is not lost.
  void OnTimeOut(uint32_t under_way);
  // All of the flight that suffered has arrived.
  void OnRecovered();

  uint32_t window() const { return window_; }
  // Until the first round trip is known, as if it were a millisecond.
  uint64_t pacing(uint32_t mtu) const;
  uint64_t bandwidth() const { return bandwidth_; }

 private:
  enum class Mode : uint8_t { kStartup, kDrain, kProbeBandwidth, kProbeRtt };

  void UpdateRound(const Ack& ack);
  void UpdateBandwidth(const Ack& ack);
  void UpdateAggregation(Instant now, const Ack& ack);
  void UpdateCycle(Instant now, Rng& rng, const Ack& ack);
  void CheckFullPipe(const Ack& ack);
  void UpdateMinRtt(Instant now, Rng& rng, const Ack& ack);
  void EnterProbeBandwidth(Instant now, Rng& rng);
  void LeaveProbeRtt(Instant now, Rng& rng);
  void UpdatePacing(uint32_t mtu);
  void UpdateWindow(const Ack& ack);
  uint32_t pacing_gain() const;
  uint32_t window_gain() const;
  // Packets of bandwidth × round trip × gain / 256.
  uint32_t Product(uint32_t gain, uint32_t mtu) const;
  uint32_t ProbeWindow(uint32_t mtu) const;
  uint32_t Budget(uint32_t gain, uint32_t mtu) const;

  Mode mode_ = Mode::kStartup;
  bool round_start_ = false, new_round_ = false, full_ = false, conserving_ = false, restarted_ = false, in_recovery_ = false;
  bool probe_rtt_round_done_ = false, round_queued_ = false;
  uint8_t cycle_ = 0, full_rounds_ = 0, frozen_rounds_ = 0, newest_ = 0;
  uint32_t round_acked_ = 0, round_lost_ = 0, lost_since_probe_ = 0;  // Packets.
  uint32_t window_ = kInitialWindow, prior_window_ = 0;
  uint64_t next_round_delivered_ = 0;
  uint64_t bandwidth_ = 0;                    // Bytes per second: the most of `best_`.
  std::array<uint64_t, 10> best_{};           // Of the last rounds that measured something, a ring.
  uint64_t pacing_ = 0, full_bandwidth_ = 0;
  Duration min_rtt_ = Duration::max(), former_min_rtt_ = Duration::max();
  Instant min_rtt_at_{}, cycle_at_{}, probe_rtt_until_ = kNever;
  // Acknowledgements that come in bunches: how far they run ahead of the bandwidth, the most of five to ten rounds.
  Instant epoch_at_{};
  uint64_t epoch_bytes_ = 0;
  std::array<uint32_t, 2> extra_{};
  uint32_t extra_round_ = 0;
};

}  // namespace orchard::udx
