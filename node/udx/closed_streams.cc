#include "node/udx/closed_streams.h"

namespace orchard::udx {

void ClosedStreams::Add(Instant now, const Stream& stream, uint32_t window, bool destroyed) {
  if (order_.size() < kMax) {
    order_.push_back(stream.id());
  } else {
    by_id_.erase(order_[oldest_]);
    order_[oldest_] = stream.id();
    oldest_ = (oldest_ + 1) % kMax;
  }
  by_id_[stream.id()] = {stream.path(), now + kKept, stream.send_next(), stream.receive_next(), window, destroyed};
}

bool ClosedStreams::OnPacket(Turn& turn, const Header& h, StreamCounters& counters) {
  auto it = by_id_.find(StreamId{h.id});
  if (it == by_id_.end() || it->second.until < turn.now) return false;
  const Closed& c = it->second;
  // A pure ACK or a message asks nothing; a HEARTBEAT asks whether we live.
  const bool sequenced = (h.type & (kData | kEnd)) != 0;
  if (c.destroyed ? sequenced || (h.type & kHeartbeat) != 0 : sequenced) {
    ++counters.answered_closed;
    // To where the stream's packets went, not to whoever sent this one.
    turn.out.Send(c.path.socket, c.path.to,
                  WriteHeader({uint8_t(c.destroyed ? kDestroy : 0), 0, c.path.remote_id, c.window, c.seq, c.ack}), Gate::kNone);
  }
  return true;
}

}  // namespace orchard::udx
