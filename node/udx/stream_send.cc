// What leaves: acknowledgements, packets again, new packets, as windows and pacing allow.

#include <algorithm>

#include "node/udx/stream.h"

namespace orchard::udx {
namespace {

constexpr std::array<uint8_t, MtuSearch::kPaddingMax> kZeros{};

}  // namespace

void Stream::Flush(Turn& turn, Shared& shared) {
  if (!connected_ || relay_to.has_value()) return;
  if (ack_owed_) SendAck(turn, shared);
  SendFlight(turn, shared);
  if (sent_.empty() && remote_window_ == 0 && Unsent()) ArmIdle(turn, shared);
}

void Stream::SendFlight(Turn& turn, Shared& shared) {
  pace_at_ = kNever;
  auto again = [&] { return sent_.lost() > 0 && sent_.under_way() < congestion_.window(); };
  auto fresh = [&] { return sent_.lost() == 0 && NewAllowed(); };
  if (again() || fresh()) {
    if (sent_.empty()) congestion_.OnRestart(mtu_.mtu());
    const uint64_t rate = congestion_.pacing(mtu_.mtu());
    if (pacer_.Begin(turn.now, rate, rtt_.min(), mtu_.mtu())) {
      while (pacer_.open()) {
        if (again()) {
          SendAgain(turn, shared, sent_.first_lost());
        } else if (fresh()) {
          SendNew(turn, shared, /*may_probe_mtu=*/true);
        } else {
          break;
        }
      }
    }
    if (again() || fresh()) pace_at_ = std::max(pacer_.free_at(), turn.now + Duration(1));
  }
  // Nothing more to say, though one might: what is measured now says nothing about the path.
  if (queue_.end() - next_offset_ < PayloadMax() && sent_.lost() == 0 && sent_.under_way() < congestion_.window()) {
    rate_.OnAppLimited(under_way_bytes_);
  }
}

bool Stream::NewAllowed() const {
  if (!Unsent() || sent_.under_way() >= congestion_.window() || sent_.size() >= kSpanMax || remote_window_ == 0) return false;
  // With nothing outstanding one packet may go, however small the window: its answer tells of a larger one.
  return sent_.empty() || next_offset_ + NextSize() - queue_.begin() <= remote_window_;
}

uint32_t Stream::PayloadMax() const {
  uint32_t ip = IpBytes();
  if (deployed_ && next_offset_ == 0) ip = kV6Bytes;  // libudx cuts the first packet before it knows the family.
  return mtu_.mtu() - ip - uint32_t(kHeaderBytes);
}

uint32_t Stream::NextSize() const { return uint32_t(std::min<uint64_t>(PayloadMax(), queue_.end() - next_offset_)); }

const Stream::Path& Stream::PathOf(const SentPacket& p) const {
  for (const Former& f : former_) {
    if (f.number == p.path) return f.path;
  }
  return path_;
}

void Stream::SendNew(Turn& turn, Shared& shared, bool may_probe_mtu) {
  const uint32_t size = NextSize(), seq = sent_.next();
  SentPacket& p = sent_.Push();
  p.offset = next_offset_, p.size = uint16_t(size), p.path = path_number_;
  next_offset_ += size;
  end_sent_ = end_queued_ && next_offset_ == queue_.end();
  p.type = uint8_t((size > 0 ? kData : 0) | (end_sent_ ? kEnd : 0));
  if (may_probe_mtu && size > 0 && former_.empty()) {
    const int padding = mtu_.PaddingFor(size + uint32_t(kHeaderBytes) + IpBytes());
    if (padding >= 0) p.padding = uint8_t(padding), p.probe = true, mtu_.OnProbeSent();
  }
  bytes_sent_ += size;
  Transmit(turn, shared, seq, Gate::kDurable);
  ArmAfterSend(turn.now);
}

void Stream::SendAgain(Turn& turn, Shared& shared, uint32_t seq) {
  sent_[seq].again = true;
  ++retransmits_;
  Transmit(turn, shared, seq, Gate::kNone);
}

void Stream::Transmit(Turn& turn, Shared& shared, uint32_t seq, Gate gate) {
  SentPacket& p = sent_[seq];
  const uint32_t wire = WireBytes(p);
  rate_.OnSent(turn.now, sent_.under_way() == 0, wire, p);
  p.sent_at = turn.now;
  sent_.Move(seq, Whereabouts::kUnderWay);
  under_way_bytes_ += wire;
  const Path& path = PathOf(p);
  advertised_ = ReceiveWindow(shared);
  turn.out.Send(path.socket, path.to, WriteHeader({p.type, p.padding, path.remote_id, advertised_, seq, receive_next_}), gate);
  if (p.padding > 0) turn.out.Append(Bytes(kZeros).first(p.padding));
  queue_.Read(p.offset, p.size, [&](Bytes piece) { turn.out.Append(piece); });
  pacer_.Spend(wire, congestion_.pacing(mtu_.mtu()));
  ++packets_sent_;
}

void Stream::SendBare(Turn& turn, Shared& shared, uint8_t type) {
  advertised_ = ReceiveWindow(shared);
  const Header h{type, 0, path_.remote_id, advertised_, sent_.next(), receive_next_};
  turn.out.Send(path_.socket, path_.to, WriteHeader(h), Gate::kNone);
  ++packets_sent_;
}

void Stream::SendAck(Turn& turn, Shared& shared) {
  ack_owed_ = false;
  if (!connected_) return;
  if (held_ == nullptr) return SendBare(turn, shared, 0);
  SendBare(turn, shared, kSack);
  for (const SeqRange& r : BlocksToTell()) {
    uint8_t block[8];
    for (int i = 0; i < 4; ++i) block[i] = uint8_t(r.start >> (8 * i)), block[4 + i] = uint8_t(r.end >> (8 * i));
    turn.out.Append(block);
  }
}

// JavaScript tells of the lowest 50 blocks. In a flight with more holes than that, the sender then hears nothing of what comes
// above them until they are filled, and takes for lost what has arrived. What was told once counts for ever, so we tell of the
// 50 around the packet that came last.
absl::Span<const SeqRange> Stream::BlocksToTell() const {
  absl::Span<const SeqRange> all = held_->ranges();
  if (all.size() <= kSackBlocksMax) return all;
  if (deployed_) return all.first(kSackBlocksMax);
  auto newest = std::partition_point(all.begin(), all.end(), [&](const SeqRange& r) { return !Before(newest_held_, r.end); });
  const size_t i = size_t(newest - all.begin()), half = kSackBlocksMax / 2;
  const size_t first = std::min(i > half ? i - half : 0, all.size() - kSackBlocksMax);
  return all.subspan(first, kSackBlocksMax);
}

void Stream::SendMessage(Turn& turn, Bytes bytes) {
  if (!connected_ || bytes.size() > max_message()) return;
  const Header h{kMessage, 0, path_.remote_id, advertised_, sent_.next(), receive_next_};
  turn.out.Send(path_.socket, path_.to, WriteHeader(h), Gate::kNone);
  turn.out.Append(bytes);
  ++packets_sent_;
}

void Stream::SendDestroy(Turn& turn) {
  if (!connected_ || relay_to.has_value()) return;
  const Header h{kDestroy, 0, path_.remote_id, advertised_, sent_.next(), receive_next_};
  turn.out.Send(path_.socket, path_.to, WriteHeader(h), Gate::kNone);
}

}  // namespace orchard::udx
