#include "node/udx/stream.h"

#include <utility>

namespace orchard::udx {

Stream::Stream(StreamId id, const StreamOptions& options, const StreamsConfig& config)
    : id_(id), any_socket_(options.any_socket), deployed_(config.deployed), receive_next_(options.first_ack),
      advertised_(config.receive_window), remote_window_(config.receive_window), window_seq_(options.first_ack),
      window_ack_(options.first_seq), highest_arrived_(options.first_seq - 1), mtu_(config.mtu_max) {
  sent_.StartAt(options.first_seq);
}

void Stream::Connect(Shared& shared, const Path& path) {
  CHECK(!connected_);
  connected_ = true, path_ = path;
  shared.Use(path.socket);
}

void Stream::Write(std::string&& bytes) {
  if (end_queued_) return;
  queue_.Push(std::move(bytes));
  NoteRoom(nullptr);
}

void Stream::Consumed(const Shared& shared, size_t bytes) {
  unconsumed_ -= std::min<uint64_t>(bytes, unconsumed_);
  // A sender that we stopped would only ask again after a while: tell it once there is something to tell.
  const uint32_t all = shared.config.receive_window, now = ReceiveWindow(shared);
  if (advertised_ < all / 2 && now - std::min(now, advertised_) >= all / 4) ack_owed_ = true;
}

bool Stream::ChangeRemote(Turn& turn, Shared& shared, const Path& path, bool abandon_old) {
  shared.Use(path.socket);
  const bool outstanding = !sent_.empty();
  if (abandon_old || !outstanding) {
    shared.Leave(path_.socket);
    for (const Former& f : former_) shared.Leave(f.path.socket);
    former_ = {};
  } else {
    former_.push_back({path_, path_number_, sent_.next()});
    if (former_.size() > kFormerMax) shared.Leave(former_.front().path.socket), former_.erase(former_.begin());
  }
  path_ = path, ++path_number_;
  mtu_ = MtuSearch(shared.config.mtu_max);
  if (abandon_old) {
    // The new path's round trip and bandwidth are unknown; what is on its way on the old one is as good as lost.
    rtt_ = Rtt(), congestion_ = Congestion(), recovery_ = Recovery::kOpen;
    tail_probe_out_ = tail_probe_allowed_ = reordering_seen_ = false;
    newest_arrived_sent_ = Instant::min(), newest_arrived_rtt_ = Duration::zero(), reordering_at_ = kNever;
    uint32_t lost = 0;
    while (sent_.under_way() > 0) MarkLost(sent_.oldest_under_way(), lost);
    for (uint32_t s = sent_.first(); s != sent_.next(); ++s) {
      sent_[s].path = path_number_, sent_[s].time_outs = 0;
    }
    if (outstanding) retransmit_at_ = turn.now + rtt_.rto(), SetTimer(Timer::kRetransmission, retransmit_at_);
    NoteRoom(nullptr);
  }
  return former_.empty();
}

void Stream::SetKeepAlive(Turn& turn, Duration interval) {
  keep_alive_ = interval;
  if (timer_ != Timer::kNone && timer_ != Timer::kKeepAlive) return;
  if (interval > Duration::zero()) {
    SetTimer(Timer::kKeepAlive, turn.now + interval);
  } else {
    SetTimer(Timer::kNone, kNever);
  }
}

void Stream::Leave(Shared& shared) {
  if (connected_) shared.Leave(path_.socket);
  for (const Former& f : former_) shared.Leave(f.path.socket);
  if (held_ != nullptr) shared.held_bytes -= held_->bytes();
}

bool Stream::OwnSocket(SocketId socket) const {
  if (!connected_) return false;
  if (path_.socket == socket) return true;
  for (const Former& f : former_) {
    if (f.path.socket == socket) return true;
  }
  return false;
}

// Counts what was never sent, not what awaits an acknowledgement: behind one hole a whole window waits that has arrived, and
// the writer must go on meanwhile. The windows bound the rest.
size_t Stream::room() const {
  const uint64_t unsent = queue_.end() - next_offset_;
  return unsent < kHighWater ? size_t(kHighWater - unsent) : 0;
}

StreamStats Stream::stats() const {
  return {.packets_sent = packets_sent_, .packets_received = packets_received_, .retransmits = retransmits_,
          .timeouts = time_outs_, .bytes_sent = bytes_sent_, .bytes_received = bytes_received_, .rtt = rtt_.smoothed(),
          .mtu = mtu_.mtu(), .congestion_window = congestion_.window(), .inflight = sent_.under_way(),
          .pacing_bytes_per_second = congestion_.pacing(mtu_.mtu())};
}

}  // namespace orchard::udx
