// What is lost, and when to look: RACK (RFC 8985 §6), tail loss probes (§7), the retransmission timer, zero windows and
// keep-alive. One timer at a time, as in libudx.

#include "node/udx/stream.h"
#include "node/udx/trace_events.h"

namespace orchard::udx {

Duration Stream::ReorderingWindow() const {
  if (!reordering_seen_) {
    uint32_t sacked = 0;
    for (const SeqRange& r : sacked_.ranges()) {
      if ((sacked += r.end - r.start) >= 3) break;
    }
    if (recovery_ != Recovery::kOpen || sacked >= 3) return Duration::zero();
  }
  return rtt_.known() ? std::min(rtt_.min() / 4, rtt_.smoothed()) : Duration::zero();
}

uint32_t Stream::DetectLoss(Instant now) {
  reordering_at_ = kNever;
  uint32_t lost = 0;
  if (newest_arrived_sent_ == Instant::min()) return lost;
  const Duration patience = newest_arrived_rtt_ + ReorderingWindow();
  while (sent_.under_way() > 0) {
    const uint32_t seq = sent_.oldest_under_way();
    const SentPacket& p = sent_[seq];
    const bool before = p.sent_at < newest_arrived_sent_ || (p.sent_at == newest_arrived_sent_ && Before(seq, newest_arrived_));
    if (!before) break;
    if (p.sent_at + patience > now) {
      reordering_at_ = p.sent_at + patience;
      break;
    }
    MarkLost(seq, lost);
  }
  return lost;
}

void Stream::MarkLost(uint32_t seq, uint32_t& lost) {
  SentPacket& p = sent_[seq];
  under_way_bytes_ -= WireBytes(p);
  sent_.Move(seq, Whereabouts::kLost);
  if (p.probe) {
    // Too long for the path, most likely: no sign of congestion. It goes again without padding.
    mtu_.OnProbeLost();
    p.probe = false;
  } else {
    ++lost;
  }
  p.padding = 0;
}

Congestion::Ack Stream::AckOf(const Arrivals& a) const {
  return {.rate = a.rate, .delivered = rate_.delivered(), .acked_bytes = a.bytes, .acked = a.packets, .lost = a.lost,
          .under_way = sent_.under_way(), .under_way_before = a.under_way_before, .rtt = a.rtt, .mtu = mtu_.mtu(),
          .partial = partial_};
}

void Stream::EnterRecovery(const Congestion::Ack& ack) {
  if (recovery_ != Recovery::kOpen) return;
  recovery_ = Recovery::kRecovering, recovery_end_ = sent_.next();
  congestion_.OnRecovery(ack);
}

bool Stream::MayProbeTail() const {
  return recovery_ == Recovery::kOpen && sacked_.empty() && sent_.lost() == 0 && rtt_.known() && !tail_probe_out_ &&
         tail_probe_allowed_;
}

// RFC 8985 §7.2: two round trips, and time for a delayed acknowledgement of a single packet, but not after the time-out.
Instant Stream::TailProbeAt(Instant now) const {
  Duration wait = 2 * rtt_.smoothed();
  if (sent_.under_way() == 1) wait += std::chrono::milliseconds(2);
  return std::min(now + std::max(wait, kTailProbeMin), retransmit_at_);
}

void Stream::ArmAfterAck(Turn& turn, Shared& shared, bool advanced) {
  if (sent_.empty()) return ArmIdle(turn, shared);
  if (reordering_at_ != kNever) {
    SetTimer(Timer::kReordering, std::min(reordering_at_, retransmit_at_));
  } else if (advanced && MayProbeTail() && sent_.under_way() > 0) {
    SetTimer(Timer::kTailProbe, TailProbeAt(turn.now));
  } else {
    SetTimer(Timer::kRetransmission, retransmit_at_);
  }
}

void Stream::ArmAfterSend(Instant now) {
  if (timer_ == Timer::kRetransmission || timer_ == Timer::kTailProbe || timer_ == Timer::kReordering) {
    if (timer_ == Timer::kReordering || !MayProbeTail()) return;
  } else {
    retransmit_at_ = now + rtt_.rto();
    if (!MayProbeTail()) return SetTimer(Timer::kRetransmission, retransmit_at_);
  }
  SetTimer(Timer::kTailProbe, TailProbeAt(now));
}

// Nothing is outstanding. A closed window must be asked about, since the word that opens it may be lost.
void Stream::ArmIdle(Turn& turn, Shared& shared) {
  if (connected_ && remote_window_ == 0 && Unsent()) {
    if (timer_ == Timer::kZeroWindow) return;
    SendBare(turn, shared, kHeartbeat);
    SetTimer(Timer::kZeroWindow, turn.now + rtt_.rto());
  } else if (timer_ != Timer::kKeepAlive) {
    SetTimer(Timer::kNone, kNever);
    SetKeepAlive(turn, keep_alive_);
  }
}

void Stream::OnTime(Turn& turn, Shared& shared, News& news) {
  if (pace_at_ <= turn.now) pace_at_ = kNever;  // Flush does the rest.
  if (timer_at_ > turn.now) return;
  switch (timer_) {
    case Timer::kNone:
      break;
    case Timer::kReordering: {
      if (retransmit_at_ <= turn.now) return OnRetransmissionTimer(turn);
      Congestion::Ack ack = AckOf({});
      ack.lost = DetectLoss(turn.now), ack.under_way = sent_.under_way();
      if (ack.lost > 0) EnterRecovery(ack);
      ArmAfterAck(turn, shared, /*advanced=*/false);
      break;
    }
    case Timer::kTailProbe:
      if (retransmit_at_ <= turn.now) return OnRetransmissionTimer(turn);
      OnTailProbeTimer(turn, shared);
      break;
    case Timer::kRetransmission:
      OnRetransmissionTimer(turn);
      break;
    case Timer::kZeroWindow:
      SendBare(turn, shared, kHeartbeat);
      SetTimer(Timer::kZeroWindow, turn.now + 2 * rtt_.rto());
      break;
    case Timer::kKeepAlive:
      if (connected_) SendBare(turn, shared, kHeartbeat);
      SetTimer(Timer::kKeepAlive, turn.now + keep_alive_);
      break;
  }
  if (!closed_.has_value()) NoteRoom(&news);
}

// The last packets may be lost with nobody to report the gap: one more brings the report.
void Stream::OnTailProbeTimer(Turn& turn, Shared& shared) {
  tail_probe_out_ = true, tail_probe_allowed_ = false;
  const uint32_t last = sent_.next() - 1;
  if (Unsent() && sent_.size() < kSpanMax && remote_window_ > 0 && next_offset_ + NextSize() - queue_.begin() <= remote_window_) {
    SendNew(turn, shared, /*may_probe_mtu=*/false);
  } else if (sent_[last].where == Whereabouts::kUnderWay) {
    under_way_bytes_ -= WireBytes(sent_[last]);
    if (sent_[last].probe) mtu_.OnProbeLost();
    sent_[last].probe = false, sent_[last].padding = 0;
    SendAgain(turn, shared, last);
  }
  tail_probe_end_ = sent_.next();
  retransmit_at_ = turn.now + rtt_.rto();
  SetTimer(Timer::kRetransmission, retransmit_at_);
}

// The time-out does not grow with each try: 2·rto each time, and after six (or ten) the stream is given up.
void Stream::OnRetransmissionTimer(Turn& turn) {
  SentPacket& first = sent_[sent_.first()];
  if (first.time_outs >= time_outs_max_) {
    closed_ = CloseReason::kTimedOut;
    return;
  }
  ++time_outs_;
  turn.trace.Add(trace::TimeOut{uint64_t(id_), sent_.first(), uint64_t{first.time_outs} + 1u});
  recovery_ = Recovery::kTimedOut, recovery_end_ = sent_.next();
  const Duration patience = newest_arrived_rtt_ + ReorderingWindow();
  uint32_t lost = 0;
  ++first.time_outs;
  if (first.where == Whereabouts::kUnderWay) MarkLost(sent_.first(), lost);
  while (sent_.under_way() > 0 && sent_[sent_.oldest_under_way()].sent_at + patience <= turn.now) {
    MarkLost(sent_.oldest_under_way(), lost);
  }
  congestion_.OnTimeOut(sent_.under_way());
  tail_probe_out_ = false, reordering_at_ = kNever;
  retransmit_at_ = turn.now + 2 * rtt_.rto();
  SetTimer(Timer::kRetransmission, retransmit_at_);
}

}  // namespace orchard::udx
