#include "node/dht/requests.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"

namespace orchard::dht {

RequestId Requests::Send(Turn& turn, udx::SocketMux& mux, Pending p) {
  p.id = NewId(), p.created = turn.now;
  tids_.push_back(p.tid), ids_.push_back(uint32_t(p.id));
  all_.push_back(std::move(p));
  Transmit(turn, mux, all_.back());
  return all_.back().id;
}

void Requests::OnOpen(Turn& turn, udx::SocketMux& mux, SocketId default_socket) {
  open_since_ = turn.now, drains_ = 0;
  for (Pending& p : all_) {
    if (!mux.IsExtra(p.socket)) p.socket = default_socket;
    Transmit(turn, mux, p);
  }
}

void Requests::Transmit(Turn& turn, udx::SocketMux& mux, Pending& p) {
  if (open_since_ == kNever) return;
  if (window_.full()) {
    p.queued = true;
    queue_.push_back(p.id);
    return;
  }
  TransmitNow(turn, mux, p);
}

void Requests::TransmitNow(Turn& turn, udx::SocketMux& mux, Pending& p) {
  ++p.sent;
  window_.OnSend();
  mux.Send(turn, p.socket, p.to, AsBytes(p.packet));
  deadlines_.Move(p.id, std::exchange(p.deadline, turn.now + p.timeout), turn.now + p.timeout);
}

uint64_t Requests::CatchUp(Turn& turn, udx::SocketMux& mux) {
  if (open_since_ == kNever) return 0;
  uint64_t now = uint64_t((turn.now - open_since_) / kDrainInterval), passed = now - drains_;
  if (passed == 0) return 0;
  drains_ = now;
  window_.OnDrains(passed);
  while (queue_head_ < queue_.size() && !window_.full()) {
    size_t i = IndexOf(queue_[queue_head_++]);
    if (i == all_.size() || !all_[i].queued) continue;
    all_[i].queued = false;
    TransmitNow(turn, mux, all_[i]);
  }
  if (queue_head_ == queue_.size()) queue_.clear(), queue_head_ = 0;
  return passed;
}

Instant Requests::next_deadline() const {
  Instant next = deadlines_.next();
  if (!queue_.empty()) next = std::min(next, open_since_ + int64_t(drains_ + 1) * kDrainInterval);
  return next;
}

size_t Requests::IndexOf(RequestId id) const {
  return size_t(std::find(ids_.begin(), ids_.end(), uint32_t(id)) - ids_.begin());
}

Pending Requests::TakeAt(size_t i) {
  Pending p = std::move(all_[i]);
  deadlines_.Move(p.id, p.deadline, kNever);
  window_.OnEnd();
  // The last one takes the place, as in the source: with equal tids the first in this order is answered.
  if (i + 1 < all_.size()) all_[i] = std::move(all_.back()), tids_[i] = tids_.back(), ids_[i] = ids_.back();
  all_.pop_back(), tids_.pop_back(), ids_.pop_back();
  // A burst's room is not kept for life: there may be thousands of us.
  if (all_.empty() && all_.capacity() > kIdleCapacity) {
    std::vector<Pending>().swap(all_), std::vector<uint16_t>().swap(tids_), std::vector<uint32_t>().swap(ids_);
  }
  return p;
}

std::optional<Pending> Requests::TakeByTid(uint16_t tid) {
  auto found = std::find(tids_.begin(), tids_.end(), tid);
  if (found == tids_.end()) return std::nullopt;
  return TakeAt(size_t(found - tids_.begin()));
}

std::optional<Pending> Requests::Take(RequestId id) {
  size_t i = IndexOf(id);
  if (i == all_.size()) return std::nullopt;
  return TakeAt(i);
}

std::optional<Pending> Requests::TakeOf(Purpose purpose, uint32_t a) {
  for (size_t i = 0; i < all_.size(); ++i) {
    if (all_[i].purpose == purpose && all_[i].a == a) return TakeAt(i);
  }
  return std::nullopt;
}

std::optional<RequestId> Requests::due(Instant now) const { return deadlines_.due(now); }

const Pending* Requests::Find(RequestId id) const {
  size_t i = IndexOf(id);
  return i == all_.size() ? nullptr : &all_[i];
}

std::optional<Pending> Requests::Expire(Turn& turn, udx::SocketMux& mux, RequestId id) {
  size_t i = IndexOf(id);
  CHECK_LT(i, all_.size());
  Pending& p = all_[i];
  deadlines_.Move(id, std::exchange(p.deadline, kNever), kNever);
  if (p.sent > p.retries) return TakeAt(i);
  ++retransmissions_;
  p.timeout = std::min(2 * p.timeout, kRetryAfter);
  Transmit(turn, mux, p);
  return std::nullopt;
}

}  // namespace orchard::dht
