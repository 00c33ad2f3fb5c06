// The byte streams of MemHost: ordered, without loss, as late as datagrams are. Credit is end to end: what a reader does not
// accept stays with the writer's window, so nothing holds more than kStreamWindow a direction. Filters and NATs are not asked.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "node/base/check.h"
#include "node/base/turn_runner.h"

namespace orchard {

// What streams need of their host.
class MemWire {
 public:
  virtual ~MemWire() = default;
  // Between turns, so much later.
  virtual void Later(Duration in, std::function<void()> call) = 0;
  virtual void Tell(uint32_t node, const Input& input) = 0;
  virtual Instant now() const = 0;
  // Latency of a packet.
  virtual Duration Lag() = 0;
  virtual std::optional<uint32_t> NodeAt(const Endpoint& address) const = 0;
  virtual Endpoint AddressOf(uint32_t node) const = 0;
};

class MemStreams {
 public:
  explicit MemStreams(MemWire* wire) : wire_(wire) {}

  // ---- Outputs; false: the id is dead ----
  // The port it got; nothing if it is taken.
  std::optional<uint16_t> Listen(uint32_t node, uint32_t id, uint16_t port) {
    if (port == 0) port = next_port_++;
    if (!ports_.try_emplace({node, port}, id).second) return std::nullopt;
    listeners_[{node, id}] = port;
    return port;
  }
  bool CloseListener(uint32_t node, uint32_t id) {
    auto it = listeners_.find({node, id});
    if (it == listeners_.end()) return false;
    ports_.erase({node, it->second}), listeners_.erase(it);
    return true;
  }
  void Connect(uint32_t node, uint32_t id, Endpoint to) {
    if (to.is_v4() && to.v4() >> 24 == 127) to = wire_->AddressOf(node).with_port(to.port);
    const uint64_t end = Add(node, id, {.local = wire_->AddressOf(node).with_port(next_port_++), .peer = to});
    wire_->Later(kConnectMax, [this, end] {
      if (const End* e = Find(end); e != nullptr && !e->open) Closed(end, absl::StatusCode::kDeadlineExceeded);
    });
    if (std::optional<uint32_t> at = wire_->NodeAt(to)) Carry(end, [this, end, at = *at] { OnSyn(end, at); });
  }
  bool Write(uint32_t node, uint32_t id, Bytes bytes) {
    End* e = Named(node, id);
    if (e == nullptr) return false;
    CHECK(!e->write_ended);
    CHECK_LE(bytes.size(), e->credit);
    e->credit -= uint32_t(bytes.size());
    ToOther(*e, [text = std::string(AsText(bytes))](End& o) { o.inbox += text; });
    return true;
  }
  bool Accept(uint32_t node, uint32_t id, uint32_t bytes) {
    End* e = Named(node, id);
    if (e == nullptr) return false;
    e->granted += bytes;
    wire_->Later({}, [this, end = e->self] { Deliver(end); });
    return true;
  }
  bool EndWrites(uint32_t node, uint32_t id) {
    End* e = Named(node, id);
    if (e == nullptr) return false;
    CHECK(e->open);
    e->write_ended = true;
    ToOther(*e, [](End& o) { o.fin = true; });
    wire_->Later({}, [this, end = e->self] { Deliver(end); });
    return true;
  }
  bool Close(uint32_t node, uint32_t id) {
    End* e = Named(node, id);
    if (e == nullptr) return false;
    if (!(e->read_ended && e->write_ended)) Reset(*e);
    Erase(e->self);
    return true;
  }
  // Dark: nothing arrives. What was sent meanwhile does so when it ends, as TCP's repetitions would, and before what is under way then.
  void SetDark(bool dark) {
    dark_ = dark;
    std::vector<std::function<void()>> held;
    if (!dark) held.swap(held_);
    for (const auto& arrive : held) arrive();
  }
  // The process of that node is dead.
  void Die(uint32_t node) {
    while (true) {
      auto it = ids_.lower_bound({node, 0});
      if (it == ids_.end() || it->first.first != node) break;
      Close(node, it->first.second);
    }
    std::erase_if(ports_, [&](const auto& p) { return p.first.first == node; });
    std::erase_if(listeners_, [&](const auto& l) { return l.first.first == node; });
    accepted_.erase(node);
  }

 private:
  struct End {
    std::optional<SocketId> listener{};
    Endpoint local, peer;
    uint64_t self = 0, other = 0;  // Ends are numbered across lives. Other: 0 until it answered.
    uint32_t node = 0, id = 0;
    bool open = false, fin = false, read_ended = false, write_ended = false;
    std::string inbox{};
    uint64_t granted = 0;
    uint32_t credit = 0;
    Instant last{};  // What it sends arrives no earlier than what it sent before.
  };

  End* Find(uint64_t end) {
    auto it = ends_.find(end);
    return it == ends_.end() ? nullptr : &it->second;
  }
  End* Named(uint32_t node, uint32_t id) {
    auto it = ids_.find({node, id});
    return it == ids_.end() ? nullptr : Find(it->second);
  }
  uint64_t Add(uint32_t node, uint32_t id, End e) {
    e.self = next_end_++, e.node = node, e.id = id;
    CHECK(ids_.try_emplace({node, id}, e.self).second);
    return ends_.emplace(e.self, std::move(e)).first->first;
  }
  void Erase(uint64_t end) {
    const End* e = Find(end);
    ids_.erase({e->node, e->id}), ends_.erase(end);
  }
  void Carry(uint64_t from, std::function<void()> arrive) {
    End& e = *Find(from);
    e.last = std::max(e.last, wire_->now() + wire_->Lag());
    wire_->Later(e.last - wire_->now(), [this, arrive = std::move(arrive)]() mutable {
      if (dark_) held_.push_back(std::move(arrive));
      else arrive();
    });
  }
  // `change` happens to the other end when it arrives there, if it still lives; else a reset comes back.
  void ToOther(End& e, std::function<void(End&)> change) {
    Carry(e.self, [this, self = e.self, other = e.other, change = std::move(change)] {
      End* o = Find(other);
      if (o == nullptr) return Closed(self, absl::StatusCode::kAborted);
      change(*o);
      Deliver(other);
    });
  }
  void Reset(End& e) {
    if (e.other != 0) Carry(e.self, [this, other = e.other] { Closed(other, absl::StatusCode::kAborted); });
  }
  void Closed(uint64_t end, absl::StatusCode status) {
    const End* e = Find(end);
    if (e == nullptr) return;
    const uint32_t node = e->node, id = e->id;
    Erase(end);
    wire_->Tell(node, StreamClosed{StreamId{id}, status});
  }
  void OnSyn(uint64_t from, uint32_t at) {
    End* c = Find(from);
    if (c == nullptr) return;
    auto port = ports_.find({at, c->peer.port});
    if (port == ports_.end()) {
      wire_->Later(wire_->Lag(), [this, from] { Closed(from, absl::StatusCode::kUnavailable); });
      return;
    }
    uint32_t& next = accepted_.try_emplace(at, kAccepted).first->second;
    End e{.listener = SocketId{port->second}, .local = c->peer, .peer = c->local};
    e.open = true, e.other = from, e.credit = kStreamWindow;
    const StreamOpened opened{StreamId{next}, e.listener, e.local, e.peer};
    const uint64_t there = Add(at, next++, std::move(e));
    Carry(there, [this, from, there] {
      End* o = Find(from);
      if (o == nullptr) return Closed(there, absl::StatusCode::kAborted);
      o->open = true, o->other = there, o->credit = kStreamWindow;
      wire_->Tell(o->node, StreamOpened{StreamId{o->id}, std::nullopt, o->local, o->peer});
    });
    wire_->Tell(at, opened);
  }
  // Tells what has come, as far as it is accepted.
  void Deliver(uint64_t end) {
    End* e = Find(end);
    if (e == nullptr || !e->open) return;
    if (const size_t n = size_t(std::min<uint64_t>(e->granted, e->inbox.size())); n > 0) {
      const std::string now = e->inbox.substr(0, n);
      e->inbox.erase(0, n), e->granted -= n;
      Carry(end, [this, other = e->other, n] {
        End* o = Find(other);
        if (o == nullptr || o->write_ended) return;
        o->credit += uint32_t(n);
        wire_->Tell(o->node, StreamCredit{StreamId{o->id}, uint32_t(n)});
      });
      wire_->Tell(e->node, StreamData{StreamId{e->id}, AsBytes(now)});
      return Deliver(end);
    }
    if (e->inbox.empty() && e->fin && !e->read_ended) {
      e->read_ended = true;
      wire_->Tell(e->node, StreamEnded{StreamId{e->id}});
      return Deliver(end);
    }
    if (e->read_ended && e->write_ended) Closed(end, absl::StatusCode::kOk);
  }

  MemWire* wire_;
  std::map<uint64_t, End> ends_;
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> ids_;        // By node and stream.
  std::map<std::pair<uint32_t, uint16_t>, uint32_t> ports_;      // Listeners by node and port …
  std::map<std::pair<uint32_t, uint32_t>, uint16_t> listeners_;  // … and by node and id.
  std::map<uint32_t, uint32_t> accepted_;                        // The next accepted stream's id, by node.
  uint64_t next_end_ = 1;
  uint16_t next_port_ = 20000;
  bool dark_ = false;
  std::vector<std::function<void()>> held_;
};

}  // namespace orchard
