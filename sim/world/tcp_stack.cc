#include "sim/world/tcp_stack.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "sim/world/host.h"

namespace orchard::sim {
TcpStack::~TcpStack() { Die(false); }

// ---- What a turn wants ----

bool TcpStack::PortTaken(uint16_t port) const {
  auto has = [port](const ns3::Ptr<TcpEnd>& end) { return end != nullptr && end->local().port == port; };
  return std::any_of(listeners_.begin(), listeners_.end(), [&](const auto& l) { return has(l.second); }) ||
         std::any_of(streams_.begin(), streams_.end(), [&](const auto& s) { return has(s.second.end); }) ||
         std::any_of(linger_.begin(), linger_.end(), has);
}

uint16_t TcpStack::FreePort() {
  while (true) {  // At most half of them are taken.
    const auto port = uint16_t(Host::kEphemeralLow + luck_.Below(Host::kEphemeralCount));
    if (!PortTaken(port)) return port;
  }
}

absl::StatusCode TcpStack::Listen(uint32_t id, Ep4* local) {
  for (const auto& [other, end] : listeners_) {
    const Ep4 theirs = end->local();
    const bool clash = theirs.port == local->port && (theirs.ip == 0 || local->ip == 0 || theirs.ip == local->ip);
    if (other == id || (local->port != 0 && clash)) return absl::StatusCode::kAlreadyExists;
  }
  if (listeners_.size() >= kHalfOpenMax) return absl::StatusCode::kResourceExhausted;
  if (local->port == 0) local->port = FreePort();
  auto end = ns3::CreateObject<TcpEnd>();
  end->SetUp(ip_->node(), this, id);
  if (!end->Open(*local)) return absl::StatusCode::kAlreadyExists;
  listeners_[id] = std::move(end);
  return absl::StatusCode::kOk;
}

void TcpStack::CloseListener(uint32_t id) {
  auto it = listeners_.find(id);
  it->second->Vanish();
  listeners_.erase(it);
}

void TcpStack::Connect(uint32_t id, const Endpoint& to) {
  auto [it, fresh] = streams_.try_emplace(id);
  CHECK(fresh);  // Ids are never reused.
  Stream& s = it->second;
  if (streams_.size() > kStreamsMax) {
    s.refusal = absl::StatusCode::kResourceExhausted;
    return Queue(id, s);
  }
  Ep4 there = ToEp4(to);
  if (!to.is_v4() || there.port == 0) return Queue(id, s);
  s.end = ns3::CreateObject<TcpEnd>();
  s.end->SetUp(ip_->node(), this, id);
  if (!s.end->Dial(FreePort(), there)) {
    s.end->Vanish();
    s.end = nullptr;
    return Queue(id, s);
  }
  core_->After(kConnectMax.count(), [end = s.end] {
    if (!end->connected() && !end->over()) end->TimeOut();
  });
}

TcpStack::Stream* TcpStack::Find(uint32_t id) {
  auto it = streams_.find(id);
  return it == streams_.end() || it->second.forgotten ? nullptr : &it->second;
}

bool TcpStack::Write(uint32_t id, Bytes bytes) {
  Stream* s = Find(id);
  if (s == nullptr) return false;
  CHECK(!s->end_wanted && s->opened);
  CHECK_LE(s->unsent() + s->untold + bytes.size(), kStreamWindow);  // The node's credit.
  s->written.append(AsText(bytes));
  Flush(*s);
  Queue(id, *s);
  return true;
}

bool TcpStack::Accept(uint32_t id, uint32_t bytes) {
  Stream* s = Find(id);
  if (s == nullptr) return false;
  s->accept += std::min(bytes, ~s->accept);
  Queue(id, *s);
  return true;
}

bool TcpStack::End(uint32_t id) {
  Stream* s = Find(id);
  if (s == nullptr) return false;
  s->end_wanted = true;
  Flush(*s);
  Queue(id, *s);
  return true;
}

bool TcpStack::Close(uint32_t id) {
  Stream* s = Find(id);
  if (s == nullptr) return false;
  s->forgotten = true;
  if (s->end == nullptr) streams_.erase(id);
  else if (s->end_wanted && s->ended) Queue(id, *s);
  else s->end->Reset(), streams_.erase(id);
  return true;
}

// ---- What the network does ----

void TcpStack::Receive(Port& port, Bytes packet) {
  receiving_ = true;
  ip_->Receive(port, packet);
  receiving_ = false;
}

bool TcpStack::MayFork(const TcpEnd&) {
  std::erase_if(half_open_, [](const auto& end) { return end->gone(); });
  return half_open_.size() < kHalfOpenMax && streams_.size() < kStreamsMax;
}

void TcpStack::Forked(ns3::Ptr<TcpEnd> child) { half_open_.push_back(std::move(child)); }

void TcpStack::Changed(TcpEnd& end) {
  const ns3::Ptr<TcpEnd> self(&end);
  uint32_t id = end.id();
  if (auto half = std::find(half_open_.begin(), half_open_.end(), self); half != half_open_.end()) {
    if (!end.connected() && !end.over()) return;
    half_open_.erase(half);
    if (end.over()) return;
    const SocketId listener{id};
    if (!listeners_.contains(id)) return end.Reset();  // Closed meanwhile.
    id = kAccepted | ++accepted_;
    end.set_id(id);
    Stream& s = streams_[id];
    s.end = self, s.listener = listener;
  }
  auto it = streams_.find(id);
  if (it != streams_.end() && it->second.end == self) Queue(id, it->second);
}

void TcpStack::Queue(uint32_t id, Stream& s) {
  if (!std::exchange(s.queued, true)) ready_.push_back(id);
  // Whoever feeds the node, or hands up a packet, asks for news afterwards.
  if (receiving_ || core_->busy || std::exchange(armed_, true)) return;
  core_->After(0, [this] {
    armed_ = false;
    host_->Settle();
  });
}

void TcpStack::Flush(Stream& s) {
  if (s.end == nullptr) return;
  while (s.unsent() > 0) {
    const size_t n = std::min<size_t>({s.unsent(), s.end->Room(), kChunk});
    if (n == 0) return;
    s.end->Push(AsBytes(s.written).subspan(s.taken, n));
    s.taken += n, s.untold += uint32_t(n);
    // What has gone is cut off by the half, not with every segment.
    if (s.taken >= s.written.size() / 2) s.written.erase(0, std::exchange(s.taken, 0));
  }
  if (s.end_wanted && s.end->connected()) s.end->End();
}

std::optional<Input> TcpStack::Take() {
  while (!ready_.empty()) {
    const uint32_t id = ready_.front();
    auto it = streams_.find(id);
    if (it != streams_.end()) {
      Flush(it->second);
      if (!it->second.forgotten) {
        if (auto input = News(id, it->second)) return input;
      }
      // The end of a forgotten one is told by nobody.
      it = streams_.find(id);
      if (it != streams_.end() && it->second.forgotten && (it->second.unsent() == 0 || it->second.end->over())) {
        Linger(std::move(it->second.end));
        streams_.erase(it);
      } else if (it != streams_.end()) {
        it->second.queued = false;
      }
    }
    ready_.pop_front();
  }
  return std::nullopt;
}

std::optional<Input> TcpStack::News(uint32_t id, Stream& s) {
  auto failed = [&](absl::StatusCode status) {
    streams_.erase(id);
    return StreamClosed{StreamId{id}, status};
  };
  if (s.end == nullptr) return failed(s.refusal);
  if (!s.opened && s.listener && (s.end->gave_up() || s.end->was_reset())) return streams_.erase(id), std::nullopt;  // Never heard of.
  if (s.end->gave_up()) return failed(absl::StatusCode::kDeadlineExceeded);
  if (!s.opened) {
    if (s.end->was_reset() && !s.end->connected()) return failed(absl::StatusCode::kUnavailable);
    if (!s.end->connected()) return std::nullopt;
  }
  if (s.end->was_reset()) return failed(absl::StatusCode::kAborted);
  if (!s.opened) {
    s.opened = true;
    return StreamOpened{StreamId{id}, s.listener, s.end->local().endpoint(), s.end->peer().endpoint()};
  }
  if (const uint32_t n = std::min({s.accept, s.end->readable(), kChunk}); n > 0) {
    s.accept -= n;
    core_->scratch.resize(kChunk);
    CHECK_EQ(s.end->Pull(core_->scratch.data(), n), n);
    return StreamData{StreamId{id}, Bytes(core_->scratch.data(), n)};
  }
  if (!s.ended && s.end->peer_ended() && s.end->readable() == 0) {
    s.ended = true;
    return StreamEnded{StreamId{id}};
  }
  if (s.ended && s.end_wanted && s.unsent() == 0) {
    s.forgotten = true;
    return StreamClosed{StreamId{id}, absl::StatusCode::kOk};
  }
  // By the quarter, or when all is done: not with every acknowledgment.
  if (!s.end_wanted && s.untold > 0 && (s.untold >= kStreamWindow / 4 || (s.unsent() == 0 && s.end->idle()))) {
    return StreamCredit{StreamId{id}, std::exchange(s.untold, 0)};
  }
  return std::nullopt;
}

// ---- Ends ----

void TcpStack::Linger(ns3::Ptr<TcpEnd> end) {
  if (end->over()) return;
  while (!linger_.empty() && (linger_.front()->over() || linger_.size() >= kLingerMax)) {
    linger_.front()->Vanish();
    linger_.pop_front();
  }
  linger_.push_back(std::move(end));
}

void TcpStack::Die(bool computer_lives) {
  for (const auto& [id, end] : listeners_) end->Vanish();
  for (auto& [id, s] : streams_) {
    if (s.end == nullptr) continue;
    if (!computer_lives) s.end->Vanish();
    else if (s.forgotten) Linger(s.end);
    else s.end->Reset();
  }
  for (const auto& end : half_open_) end->Vanish();
  for (const auto& end : linger_) {
    if (!computer_lives) end->Vanish();
  }
  if (!computer_lives) linger_.clear();
  listeners_.clear(), streams_.clear(), half_open_.clear(), ready_.clear();
  accepted_ = 0;
}

}  // namespace orchard::sim
