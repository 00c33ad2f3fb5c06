// What a stream does with a packet that came, in libudx's order: content first, then what it acknowledges.

#include <utility>

#include "node/udx/stream.h"

namespace orchard::udx {

void Stream::OnPacket(Turn& turn, Shared& shared, const Header& h, const Datagram& d, News& news) {
  ++packets_received_, heard_at_ = turn.now;
  if ((h.type & kHeartbeat) != 0) {
    ack_owed_ = true;  // Nothing else of it counts.
    return;
  }
  std::optional<Bytes> payload = PayloadOf(h, d.payload);
  if (!payload.has_value()) return shared.Reject(turn, shared.counters.malformed, "malformed");
  if (!TakeContent(turn, shared, h, *payload, news)) return;
  TakeAcknowledgement(turn, shared, h, d, news);
  if (!closed_.has_value()) NoteRoom(&news);
}

bool Stream::TakeContent(Turn& turn, Shared& shared, const Header& h, Bytes payload, News& news) {
  const bool sequenced = (h.type & (kData | kEnd)) != 0;
  if (!Before(h.seq, receive_next_)) {
    const bool near = h.seq - receive_next_ < kSpanMax;
    if (!near && (sequenced || (h.type & kDestroy) != 0)) {
      shared.Reject(turn, shared.counters.far_ahead, "far-ahead");
    } else {
      if (sequenced) TakeInOrderOrHold(turn, shared, h, payload, news);
      // It need not be the next packet: who says this sends nothing more.
      if ((h.type & kDestroy) != 0) {
        closed_ = CloseReason::kReset;
        return false;
      }
    }
  } else if ((h.type & kDestroy) != 0) {
    ++shared.counters.stale_destroys;
  } else if (sequenced) {
    ++shared.counters.duplicates;
  }
  if ((h.type & kMessage) != 0) news.list.push_back(StreamMessage{id_, payload});
  if (end_known_ && !ended_ && receive_next_ == end_seq_ + 1) {
    ended_ = true;
    news.list.push_back(StreamEnded{id_});
  }
  return true;
}

void Stream::TakeInOrderOrHold(Turn& turn, Shared& shared, const Header& h, Bytes payload, News& news) {
  if (ended_ || (end_known_ && Before(end_seq_, h.seq))) {
    ++shared.counters.beyond_end;
    return;
  }
  const bool has_data = (h.type & kData) != 0;
  if (!has_data) payload = {};
  if (h.seq == receive_next_) {
    if (payload.size() > Acceptable(shared)) return shared.Reject(turn, shared.counters.over_window, "over-window");
    ++receive_next_;
    if (has_data) Deliver(payload, news);
  } else {
    const uint64_t held = held_ == nullptr ? 0 : held_->bytes();
    if (held + payload.size() > Acceptable(shared) || shared.held_bytes + payload.size() > kHeldBytesMax) {
      return shared.Reject(turn, shared.counters.held_full, "held-full");
    }
    if (held_ == nullptr) held_ = std::make_unique<Reassembly>();
    if (!held_->Hold(receive_next_, h.seq, payload, has_data)) {
      ++shared.counters.duplicates;
      return;
    }
    shared.held_bytes += payload.size();
    newest_held_ = h.seq;
  }
  if ((h.type & kEnd) != 0) end_known_ = true, end_seq_ = h.seq;
  if (held_ == nullptr) return;
  while (std::optional<Reassembly::Packet> p = held_->Take(receive_next_)) {
    ++receive_next_;
    shared.held_bytes -= p->bytes.size();
    if (!p->has_data) continue;
    news.kept.push_back(std::move(p->bytes));
    Deliver(news.kept.back(), news);
  }
  if (held_->empty()) held_.reset();
}

void Stream::Deliver(Bytes bytes, News& news) {
  bytes_received_ += bytes.size(), unconsumed_ += bytes.size();
  news.list.push_back(StreamData{id_, bytes});
}

uint32_t Stream::ReceiveWindow(const Shared& shared) const {
  const uint64_t all = shared.config.receive_window;
  return uint32_t(all - std::min(all, unconsumed_));
}

// Twice what we say. JavaScript counts packets, and not those that a SACK named, so it may overshoot by what we hold out of
// order; if that were refused, the stream of a slow reader would time out.
uint64_t Stream::Acceptable(const Shared& shared) const {
  const uint64_t all = 2 * uint64_t{shared.config.receive_window};
  return all - std::min(all, unconsumed_);
}

void Stream::TakeAcknowledgement(Turn& turn, Shared& shared, const Header& h, const Datagram& d, News& news) {
  const bool sequenced = (h.type & (kData | kEnd)) != 0;
  // Whoever acknowledges what was never sent gets no acknowledgement either.
  if (Before(sent_.next(), h.ack)) return shared.Reject(turn, shared.counters.bad_acks, "bad-ack");
  if (!Before(h.ack, sent_.first())) TakeWindow(turn, h);

  Arrivals a;
  a.under_way_before = sent_.under_way();
  TakeAcks(turn, shared, h, d, a);
  if (a.advanced && unacknowledged() == 0) news.list.push_back(StreamFlushed{id_});
  if (a.packets > 0 || a.advanced) {
    acked_at_ = turn.now;
    if (recovery_ != Recovery::kOpen && !Before(sent_.first(), recovery_end_)) {
      recovery_ = Recovery::kOpen;
      congestion_.OnRecovered();
    }
    if (tail_probe_out_ && !Before(sent_.first(), tail_probe_end_)) tail_probe_out_ = false;
    if (a.rtt > Duration::zero()) rtt_.Add(turn.now, a.rtt), tail_probe_allowed_ = true;
    ForgetFormer(shared, news);
  }

  if (end_sent_ && sent_.empty()) {  // Our half is over.
    ArmIdle(turn, shared);
    if (ended_) {
      if (sequenced) SendAck(turn, shared);
      closed_ = CloseReason::kEnded;
    } else {
      ack_owed_ = ack_owed_ || sequenced || (deployed_ && a.advanced);
    }
    return;
  }

  if (a.packets > 0) {
    Congestion::Ack ack = AckOf(a);
    if (!sent_.empty()) retransmit_at_ = turn.now + rtt_.rto(), ack.lost = DetectLoss(turn.now);
    ack.under_way = sent_.under_way();
    if (ack.lost > 0) EnterRecovery(ack);
    rate_.Finish(rtt_.min(), ack.rate);
    congestion_.OnAck(turn.now, turn.rng, ack);
  }
  if (a.packets > 0 || a.advanced) ArmAfterAck(turn, shared, a.advanced);
  if (sequenced) ack_owed_ = true;
}

// The newest word on the window counts: by the other side's sequence numbers, then by what it acknowledges. RFC 9293 §3.10.7.4.
void Stream::TakeWindow(Turn& turn, const Header& h) {
  if (!Before(window_seq_, h.seq) && !(window_seq_ == h.seq && !Before(h.ack, window_ack_))) return;
  window_seq_ = h.seq, window_ack_ = h.ack;
  remote_window_ = h.window;
  if (timer_ == Timer::kZeroWindow && remote_window_ > 0) {
    SetTimer(Timer::kNone, kNever);
    SetKeepAlive(turn, keep_alive_);
  }
}

void Stream::TakeAcks(Turn& turn, Shared& shared, const Header& h, const Datagram& d, Arrivals& a) {
  while (Before(sent_.first(), h.ack)) {
    OnArrived(turn.now, sent_.first(), a);
    sent_.Pop();
    a.advanced = true;
  }
  if (a.advanced) {
    queue_.Release(sent_.empty() ? next_offset_ : sent_[sent_.first()].offset);
    if (!sacked_.empty()) sacked_.DropBefore(sent_.first());
  }
  if (partial_ && !Before(sent_.first(), partial_end_)) partial_ = false;
  if ((h.type & kSack) == 0) return;
  const SackBlocks blocks(h, d.payload);
  if (blocks.size() == kSackBlocksMax) {
    // A receiver that does not begin with its lowest block tells of the newest ones, as ours does: nothing stays hidden.
    if (!sacked_.empty() && Before(sacked_.ranges()[0].start, blocks[0].start)) tells_newest_ = true;
    if (!tells_newest_) partial_ = true, partial_end_ = sent_.next();
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    const SeqRange r = blocks[i];
    if (Before(sent_.next(), r.end) || !Before(r.start, r.end) || !Before(r.start, sent_.next()) || Before(r.start, sent_.first())) {
      shared.Reject(turn, shared.counters.bad_sacks, "bad-sack");
      continue;
    }
    sacked_.Add(r, [&](SeqRange fresh) {
      for (uint32_t s = fresh.start; s != fresh.end; ++s) OnArrived(turn.now, s, a);
    });
  }
}

void Stream::OnArrived(Instant now, uint32_t seq, Arrivals& a) {
  SentPacket& p = sent_[seq];
  if (p.where == Whereabouts::kArrived) return;
  const uint32_t wire = WireBytes(p);
  if (p.where == Whereabouts::kUnderWay) under_way_bytes_ -= wire;
  ++a.packets, a.bytes += wire;
  rate_.OnArrived(now, p, wire, a.rate);
  if (!p.again && p.sent_at >= a.newest_sent) a.newest_sent = p.sent_at, a.rtt = std::max(now - p.sent_at, Duration(1));
  // RFC 8985 §6.2 step 2: an answer faster than any round trip was meant for the first sending.
  const bool genuine = !p.again || rtt_.min() == Duration::max() || now - p.sent_at >= rtt_.min();
  if (genuine && (p.sent_at > newest_arrived_sent_ || (p.sent_at == newest_arrived_sent_ && Before(newest_arrived_, seq)))) {
    newest_arrived_sent_ = p.sent_at, newest_arrived_ = seq, newest_arrived_rtt_ = now - p.sent_at;
  }
  if (!Before(seq, highest_arrived_)) {
    highest_arrived_ = seq;
  } else if (!p.again) {
    reordering_seen_ = true;
  }
  mtu_.OnAnyAcked();
  if (p.probe) mtu_.OnProbeAcked();
  sent_.Move(seq, Whereabouts::kArrived);
}

void Stream::ForgetFormer(Shared& shared, News& news) {
  if (former_.empty()) return;
  while (!former_.empty() && !Before(sent_.first(), former_.front().until)) {
    shared.Leave(former_.front().path.socket);
    former_.erase(former_.begin());
  }
  if (!former_.empty()) return;
  former_ = {};
  news.list.push_back(RemoteChanged{id_});
}

void Stream::NoteRoom(News* news) {
  if (room() == 0) {
    room_was_zero_ = true;
  } else if (room_was_zero_ && news != nullptr) {
    room_was_zero_ = false;
    news->list.push_back(StreamDrained{id_});
  }
}

}  // namespace orchard::udx
