#include "node/udx/congestion.h"

#include <algorithm>
#include <utility>

#include "node/udx/pacer.h"

namespace orchard::udx {
namespace {

// Gains are in 256ths. 2.885 = 2/ln 2 doubles the rate of delivery each round.
constexpr uint32_t kOne = 256, kHigh = 739, kDrain = 88, kWindowGain = 512;
constexpr std::array<uint32_t, 8> kCycle = {320, 192, 256, 256, 256, 256, 256, 256};
constexpr uint64_t kNanos = 1'000'000'000;
// No path is faster; a simulated one without delay would seem to be.
constexpr uint64_t kBandwidthMax = 100 * kNanos;
// Full: three rounds in a row without a quarter more.
constexpr uint8_t kFullRounds = 3;
// More than one packet in fifty lost in a round, and not just a few, while packets wait: an overflow. Source: BBR version 2, BBRLossThresh.
constexpr uint32_t kLossyPackets = 6;
// 400 holes, told fifty at a time, and each told again once.
constexpr uint8_t kFrozenRoundsMax = 16;
constexpr uint32_t kExtraRounds = 5;
constexpr Duration kExtraMax = std::chrono::milliseconds(100);

__extension__ using Wide = unsigned __int128;

uint64_t BytesIn(uint64_t bytes_per_second, Duration t) { return uint64_t(Wide(bytes_per_second) * uint64_t(t.count()) / kNanos); }

}  // namespace

Congestion::Congestion() = default;

void Congestion::OnAck(Instant now, Rng& rng, const Ack& ack) {
  UpdateRound(ack);
  UpdateBandwidth(ack);
  UpdateAggregation(now, ack);
  UpdateCycle(now, rng, ack);
  CheckFullPipe(ack);
  UpdateMinRtt(now, rng, ack);
  UpdatePacing(ack.mtu);
  UpdateWindow(ack);
}

// A round is over when a packet arrives that was sent after the round began.
void Congestion::UpdateRound(const Ack& ack) {
  round_start_ = ack.rate.any && ack.rate.prior_delivered >= next_round_delivered_;
  if (!round_start_) return;
  next_round_delivered_ = ack.delivered;
  conserving_ = false;
  // A round that hides arrivals does not age what was seen, while the overflow that ends the start is repaired. Later it must,
  // since others may have come.
  if (ack.partial && frozen_rounds_ < kFrozenRoundsMax) {
    if (full_) ++frozen_rounds_;
    return;
  }
  new_round_ = true;
}

void Congestion::UpdateBandwidth(const Ack& ack) {
  if (ack.rate.interval <= Duration::zero()) return;
  const Wide measured = Wide(ack.rate.bytes) * kNanos / uint64_t(ack.rate.interval.count());
  const uint64_t rate = uint64_t(std::min<Wide>(measured, kBandwidthMax));
  // While the application says little, what was seen before does not age: those rounds measure nothing.
  if (ack.rate.app_limited && rate < bandwidth_) return;
  if (std::exchange(new_round_, false)) {
    newest_ = uint8_t((newest_ + 1) % best_.size());
    best_[newest_] = 0;
    bandwidth_ = *std::max_element(best_.begin(), best_.end());
  }
  best_[newest_] = std::max(best_[newest_], rate), bandwidth_ = std::max(bandwidth_, rate);
}

void Congestion::UpdateAggregation(Instant now, const Ack& ack) {
  if (ack.acked == 0) return;
  if (round_start_ && ++extra_round_ >= kExtraRounds) extra_round_ = 0, extra_ = {0, extra_[0]};
  uint64_t expected = BytesIn(bandwidth_, now - epoch_at_);
  // A new epoch when they do not run ahead, or when the count would leave its range.
  if (epoch_bytes_ <= expected || epoch_bytes_ > (uint64_t{1} << 40)) epoch_at_ = now, epoch_bytes_ = 0, expected = 0;
  epoch_bytes_ += ack.acked_bytes;
  const uint64_t ahead = std::min(epoch_bytes_ - std::min(epoch_bytes_, expected), BytesIn(bandwidth_, kExtraMax));
  const uint32_t packets = std::min(uint32_t(ahead / std::max(ack.mtu, 1u)), window_);
  extra_[0] = std::max(extra_[0], packets);
}

void Congestion::EnterProbeBandwidth(Instant now, Rng& rng) {
  mode_ = Mode::kProbeBandwidth, cycle_at_ = now;
  // Any phase but the slow one: flows that began together do not probe together.
  cycle_ = uint8_t((2 + rng.Below(7)) % kCycle.size());
}

void Congestion::UpdateCycle(Instant now, Rng& rng, const Ack& ack) {
  if (mode_ == Mode::kDrain && ack.under_way <= Product(kOne, ack.mtu)) EnterProbeBandwidth(now, rng);
  if (mode_ != Mode::kProbeBandwidth || min_rtt_ == Duration::max()) return;
  const bool long_enough = now - cycle_at_ > min_rtt_;
  const uint32_t gain = kCycle[cycle_];
  bool over = long_enough;
  if (gain > kOne) over = long_enough && (ack.lost > 0 || ack.under_way_before >= Product(gain, ack.mtu));
  if (gain < kOne) over = long_enough || ack.under_way_before <= Product(kOne, ack.mtu);
  if (over) cycle_ = uint8_t((cycle_ + 1) % kCycle.size()), cycle_at_ = now;
}

void Congestion::CheckFullPipe(const Ack& ack) {
  if (ack.rtt > Duration::zero() && ack.rtt - min_rtt_ > min_rtt_ / 8) round_queued_ = true;
  const bool lossy = round_queued_ && round_lost_ >= kLossyPackets && round_lost_ * 50 > round_acked_;
  if (round_start_) round_acked_ = round_lost_ = 0, round_queued_ = false;
  round_acked_ += ack.acked, round_lost_ += ack.lost;
  if (full_ || !round_start_ || ack.rate.app_limited) return;
  if (bandwidth_ >= full_bandwidth_ + full_bandwidth_ / 4) {
    full_bandwidth_ = bandwidth_, full_rounds_ = 0;
    return;
  }
  // A queue that overflows need not be seen three times.
  full_rounds_ = uint8_t(full_rounds_ + (lossy ? kFullRounds : 1));
  if (full_rounds_ < kFullRounds) return;
  full_ = true;
  if (mode_ == Mode::kStartup) mode_ = Mode::kDrain;
}

void Congestion::UpdateMinRtt(Instant now, Rng& rng, const Ack& ack) {
  const bool stale = min_rtt_ != Duration::max() && now - min_rtt_at_ > kMinRttWindow;
  if (stale && mode_ != Mode::kProbeRtt) former_min_rtt_ = min_rtt_;
  if (ack.rtt > Duration::zero() && (ack.rtt <= min_rtt_ || stale)) min_rtt_ = ack.rtt, min_rtt_at_ = now;
  if (stale && !restarted_ && mode_ != Mode::kProbeRtt) {
    mode_ = Mode::kProbeRtt, probe_rtt_until_ = kNever;
    prior_window_ = in_recovery_ ? std::max(prior_window_, window_) : window_;
  }
  if (mode_ == Mode::kProbeRtt) {
    if (probe_rtt_until_ == kNever && ack.under_way <= ProbeWindow(ack.mtu)) {
      probe_rtt_until_ = now + kProbeRtt, probe_rtt_round_done_ = false;
      next_round_delivered_ = ack.delivered;
    } else if (probe_rtt_until_ != kNever) {
      if (round_start_) probe_rtt_round_done_ = true;
      if (probe_rtt_round_done_ && now >= probe_rtt_until_) LeaveProbeRtt(now, rng);
    }
  }
  if (ack.acked > 0) restarted_ = false;
  lost_since_probe_ += ack.lost;
}

void Congestion::LeaveProbeRtt(Instant now, Rng& rng) {
  min_rtt_at_ = now;
  window_ = std::max(window_, prior_window_);
  // A path twice as long: the window that suited the old one has held us back, and the bandwidth is anybody's guess. Unless
  // packets were lost: then it may be a queue that others keep full.
  if (min_rtt_ / 2 > former_min_rtt_ && lost_since_probe_ == 0) full_ = false, full_bandwidth_ = 0, full_rounds_ = 0;
  lost_since_probe_ = 0;
  if (full_) {
    EnterProbeBandwidth(now, rng);
  } else {
    mode_ = Mode::kStartup;
  }
}

uint32_t Congestion::pacing_gain() const {
  switch (mode_) {
    case Mode::kStartup: return kHigh;
    case Mode::kDrain: return kDrain;
    case Mode::kProbeBandwidth: return kCycle[cycle_];
    case Mode::kProbeRtt: return kOne;
  }
  return kOne;
}

uint32_t Congestion::window_gain() const {
  switch (mode_) {
    case Mode::kStartup:
    case Mode::kDrain: return kHigh;
    case Mode::kProbeBandwidth: return kWindowGain;
    case Mode::kProbeRtt: return kOne;
  }
  return kOne;
}

uint64_t Congestion::pacing(uint32_t mtu) const {
  // Ten packets a millisecond, times the gain.
  return pacing_ != 0 ? pacing_ : uint64_t{kInitialWindow} * mtu * 1000 * kHigh / kOne;
}

void Congestion::UpdatePacing(uint32_t mtu) {
  if (bandwidth_ == 0) return;
  // One percent less than we believe: a queue that we made drains.
  const uint64_t rate = std::max<uint64_t>(bandwidth_ * pacing_gain() / kOne * 99 / 100, mtu);
  if (pacing_ == 0 && min_rtt_ != Duration::max()) {
    // The first: what the initial window and the first round trip say, as long as the pipe is not full.
    pacing_ = uint64_t(Wide(uint64_t{kInitialWindow} * mtu * kHigh / kOne) * kNanos / uint64_t(std::max<Duration>(min_rtt_, std::chrono::milliseconds(1)).count()));
  }
  if (full_ || rate > pacing_) pacing_ = rate;
}

uint32_t Congestion::Product(uint32_t gain, uint32_t mtu) const {
  if (min_rtt_ == Duration::max() || bandwidth_ == 0) return kInitialWindow;
  const uint64_t bytes = BytesIn(bandwidth_, min_rtt_);
  return uint32_t(std::min<uint64_t>((bytes * gain / kOne + mtu - 1) / std::max(mtu, 1u), kMaxWindow));
}

// Half of what the path holds shows its round trip as well as four packets do, and costs half as much. Source: BBR version 3.
uint32_t Congestion::ProbeWindow(uint32_t mtu) const { return std::max(Product(kOne / 2, mtu), kMinWindow); }

// With room for a batch that waits here, one under way and one at the other end; where packets leave by twos, for two batches:
// slow flows that share a queue would fill it with their allowances.
uint32_t Congestion::Budget(uint32_t gain, uint32_t mtu) const {
  const uint32_t batch = uint32_t(Pacer::BatchBytes(pacing_, min_rtt_, mtu) / std::max(mtu, 1u));
  const uint32_t more = mode_ == Mode::kProbeBandwidth && kCycle[cycle_] > kOne ? 2 : 0;
  return Product(gain, mtu) + (batch > 2 ? 3 * batch : 4) + more;
}

void Congestion::UpdateWindow(const Ack& ack) {
  if (ack.acked > 0) {
    if (ack.lost > 0) window_ -= std::min(ack.lost, window_ - 1);
    if (conserving_) {
      window_ = std::max(window_, ack.under_way + ack.acked);
    } else {
      const uint32_t target = Budget(window_gain(), ack.mtu) + (full_ ? std::max(extra_[0], extra_[1]) : 0);
      if (full_) {
        window_ = std::min(window_ + ack.acked, target);
      } else if (window_ < target || ack.delivered < uint64_t{kInitialWindow} * ack.mtu) {
        window_ += ack.acked;
      }
    }
    window_ = std::max(window_, kMinWindow);
  }
  if (mode_ == Mode::kProbeRtt) window_ = std::min(window_, ProbeWindow(ack.mtu));
  window_ = std::min(window_, kMaxWindow);
}

void Congestion::OnRestart(uint32_t mtu) {
  restarted_ = true;
  if (mode_ == Mode::kProbeBandwidth && bandwidth_ != 0) pacing_ = std::max<uint64_t>(bandwidth_ * 99 / 100, mtu);
}

void Congestion::OnRecovery(const Ack& ack) {
  prior_window_ = mode_ == Mode::kProbeRtt ? std::max(prior_window_, window_) : window_;
  in_recovery_ = conserving_ = true;
  next_round_delivered_ = ack.delivered;
  window_ = std::max(ack.under_way + std::max(ack.acked, 1u), kMinWindow);
}

void Congestion::OnTimeOut(uint32_t under_way) {
  prior_window_ = std::max(in_recovery_ ? prior_window_ : 0, window_);
  in_recovery_ = true, conserving_ = false;
  full_bandwidth_ = 0, full_rounds_ = 0;
  window_ = under_way + 1;
}

void Congestion::OnRecovered() {
  in_recovery_ = conserving_ = false;
  if (mode_ != Mode::kProbeRtt) window_ = std::max(window_, prior_window_);
}

}  // namespace orchard::udx
