// Hosts with one Streams each, joined by pipes with a delay, a rate with a queue, loss, reordering and duplication; all of it
// in virtual time and drawn from one seed. A Half is one end of a stream with an application that writes a pattern and
// checks what comes against it.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "node/store/mem_store.h"
#include "node/udx/packet.h"
#include "node/udx/streams.h"

namespace orchard::udx {

using namespace std::chrono_literals;

struct PipeSpec {
  Duration delay{};
  uint64_t rate = 0;             // Bytes per second, IP headers included; 0: no bottleneck.
  uint64_t queue = 1 << 20;      // Bytes that wait; more are dropped.
  uint32_t loss = 0, reorder = 0, duplicate = 0;  // In 10,000.
  Duration reorder_by = 5ms;     // Up to so much later than in order.
  uint32_t mtu = 1500;           // Longer datagrams vanish.
  uint64_t Bdp() const { return rate * uint64_t((2 * delay).count()) / 1'000'000'000; }  // Of a symmetric path.
};

struct Pipe {
  PipeSpec spec;
  Instant busy_until{};
  uint64_t sent = 0, dropped = 0, lost = 0, bytes = 0, queue_most = 0;
  Duration wait_sum{};
  bool down = false;
};

// Byte `i` of the stream that begins with `salt`.
inline char PatternAt(uint64_t i, uint64_t salt) { return char((i * 2654435761u + (i >> 9) * 40503u + salt * 7919u) >> 16); }

struct Half {
  size_t host = 0;
  StreamId id{};
  uint64_t salt = 0, peer_salt = 0;
  // Sending.
  uint64_t to_write = 0, written = 0;  // It writes up to here, while there is room.
  size_t write_size = 16384;
  bool end_after = false, end_said = false;
  // Receiving.
  uint64_t received = 0, unconsumed = 0;
  bool consume = true, corrupt = false, ended = false, changed = false;
  std::vector<std::string> messages;
  std::optional<CloseReason> closed;
  Instant first_byte = kNever, last_byte{}, flushed = kNever, closed_at = kNever;
};

class Net {
 public:
  explicit Net(uint64_t seed = 1) : rng_(Rng::Named(seed, "net", "wire")), seed_(seed) {}

  size_t AddHost(const StreamsConfig& config = {}) {
    hosts_.push_back(std::make_unique<Host>(config, Rng::Named(seed_, std::to_string(hosts_.size()), "host")));
    return hosts_.size() - 1;
  }
  static Endpoint At(size_t host, uint16_t port = 1) { return Endpoint::V4(uint32_t(0x0a000001 + host), port); }
  Streams& streams(size_t host) { return hosts_[host]->streams; }

  size_t AddPipe(const PipeSpec& spec) {
    pipes_.push_back(std::make_unique<Pipe>());
    pipes_.back()->spec = spec;
    return pipes_.size() - 1;
  }
  Pipe& pipe(size_t i) { return *pipes_[i]; }
  // Datagrams from one host to another go through these pipes, one after the other.
  void Route(size_t from, size_t to, std::vector<size_t> pipes) { routes_[{from, to}] = std::move(pipes); }
  // One pipe each way.
  void Join(size_t a, size_t b, const PipeSpec& spec) { Route(a, b, {AddPipe(spec)}), Route(b, a, {AddPipe(spec)}); }

  // A stream between two hosts, connected at both ends.
  std::pair<Half*, Half*> Connect(size_t a, size_t b, StreamOptions options = {}) {
    Half* x = Create(a, options);
    Half* y = Create(b, {options.any_socket, options.first_ack, options.first_seq});
    x->peer_salt = y->salt, y->peer_salt = x->salt;
    Turn_(a, [&](Turn& t, News&) { streams(a).Connect(t, x->id, SocketId{1}, At(b), uint32_t(y->id)); });
    Turn_(b, [&](Turn& t, News&) { streams(b).Connect(t, y->id, SocketId{1}, At(a), uint32_t(x->id)); });
    return {x, y};
  }
  Half* Create(size_t host, const StreamOptions& options = {}) {
    halves_.push_back(std::make_unique<Half>());
    Half* h = halves_.back().get();
    h->host = host, h->salt = halves_.size();
    Turn_(host, [&](Turn& t, News&) { h->id = streams(host).Create(t, options); });
    hosts_[host]->by_id[h->id] = h;
    return h;
  }
  void Send(Half* h, uint64_t bytes, bool end = false) {
    h->to_write += bytes, h->end_after = end;
    Turn_(h->host, [&](Turn& t, News&) { Pump(t, *h); });
  }
  void Consume(Half* h, uint64_t bytes) {
    h->unconsumed -= bytes;
    Turn_(h->host, [&](Turn& t, News&) { streams(h->host).Consumed(t, h->id, bytes); });
  }
  template <class F>
  void Turn_(size_t host, F f) {
    Host& h = *hosts_[host];
    Trace trace(nullptr, nullptr);
    Turn turn{now, {}, h.rng, h.store, h.out, trace};
    News news;
    f(turn, news);
    Take(turn, h, news);
    h.streams.Flush(turn);
    for (const Output& o : h.out.outputs()) {
      if (o.what == Do::kSend) Carry(host, o, h.out.bytes(o));
    }
    h.out.Clear();
    Schedule(host);
  }

  void RunFor(Duration d) { RunUntil(now + d, [] { return false; }); }
  // True if `done` held before the time was over.
  template <class F>
  bool RunUntil(Instant end, F done) {
    while (!events_.empty() && events_.top().at <= end && !done()) {
      Event e = std::move(const_cast<Event&>(events_.top()));
      events_.pop();
      now = e.at;
      if (e.bytes.empty()) {
        Host& h = *hosts_[e.to];
        if (h.wakes_at != e.at) continue;  // It was moved to an earlier time.
        h.wakes_at = kNever;
        if (h.streams.next_deadline() > now) { Schedule(e.to); continue; }
        Turn_(e.to, [&](Turn& t, News& n) { h.streams.OnTime(t, n); });
        EXPECT_GT(h.streams.next_deadline(), now);
        ++wakes;
      } else {
        Turn_(e.to, [&](Turn& t, News& n) {
          if (!hosts_[e.to]->streams.OnDatagram(t, {e.socket, e.from, AsBytes(e.bytes)}, n)) ++not_ours;
        });
      }
    }
    if (done()) return true;
    now = end;
    return false;
  }

  Instant now{1s};
  uint64_t wakes = 0, not_ours = 0;

 private:
  struct Host {
    Host(const StreamsConfig& config, Rng r) : streams(config), rng(r) {}
    Streams streams;
    Rng rng;
    MemStore store;
    Outbox out;
    std::map<StreamId, Half*> by_id;
    Instant wakes_at = kNever;
  };
  struct Event {
    Instant at;
    uint64_t order;
    size_t to;
    SocketId socket{};
    Endpoint from{};
    std::string bytes;  // Empty: a deadline.
    bool operator<(const Event& o) const { return std::tie(o.at, o.order) < std::tie(at, order); }
  };

  void Schedule(size_t host) {
    Host& h = *hosts_[host];
    const Instant at = h.streams.next_deadline();
    if (at >= h.wakes_at) return;
    h.wakes_at = at;
    events_.push({std::max(at, now), order_++, host, {}, {}, {}});
  }

  // Sockets are told apart by port: socket n of a host is port n.
  void Carry(size_t from, const Output& o, Bytes bytes) {
    const size_t to = o.peer.v4() - 0x0a000001;
    auto route = routes_.find({from, to});
    if (to >= hosts_.size() || route == routes_.end()) return;
    Instant at = now;
    const uint64_t size = bytes.size() + 28;
    bool twice = false;
    for (size_t p : route->second) {
      Pipe& pipe = *pipes_[p];
      const PipeSpec& s = pipe.spec;
      ++pipe.sent;
      if (pipe.down || size > s.mtu || (s.loss > 0 && rng_.Chance(s.loss, 10000))) {
        ++pipe.lost;
        return;
      }
      if (s.rate > 0) {
        pipe.busy_until = std::max(pipe.busy_until, at);
        const Duration wait = pipe.busy_until - at;
        const uint64_t backlog = s.rate * uint64_t(wait.count()) / 1'000'000'000;
        if (backlog + size > s.queue) {
          ++pipe.dropped;
          return;
        }
        pipe.queue_most = std::max(pipe.queue_most, backlog + size), pipe.wait_sum += wait;
        pipe.busy_until += Duration(int64_t(size * 1'000'000'000 / s.rate));
        at = pipe.busy_until;
      }
      pipe.bytes += size;
      at += s.delay;
      if (s.reorder > 0 && rng_.Chance(s.reorder, 10000)) at += Duration(int64_t(rng_.Below(uint64_t(s.reorder_by.count()))));
      twice = twice || (s.duplicate > 0 && rng_.Chance(s.duplicate, 10000));
    }
    for (int i = 0; i < (twice ? 2 : 1); ++i) {
      events_.push({at, order_++, to, SocketId{o.peer.port}, At(from, uint16_t(o.id)), std::string(AsText(bytes))});
    }
  }

  void Pump(Turn& turn, Half& h) {
    Streams& s = streams(h.host);
    while (h.written < h.to_write && s.room(h.id) > 0) {
      std::string bytes(std::min<uint64_t>(h.write_size, h.to_write - h.written), 0);
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = PatternAt(h.written + i, h.salt);
      h.written += bytes.size();
      s.Write(turn, h.id, std::move(bytes));
    }
    if (h.end_after && !h.end_said && h.written == h.to_write) h.end_said = true, s.End(turn, h.id);
  }

  void Take(Turn& turn, Host& host, const News& news) {
    for (const auto& n : news.list) {
      std::visit([&](const auto& e) {
        auto it = host.by_id.find(e.stream);
        if (it != host.by_id.end()) On(turn, *it->second, e);
      }, n);
    }
  }
  void On(Turn&, Half& h, const StreamFlushed&) { h.flushed = now; }
  void On(Turn& turn, Half& h, const StreamData& e) {
    for (uint8_t b : e.bytes) h.corrupt = h.corrupt || char(b) != PatternAt(h.received, h.peer_salt), ++h.received;
    if (h.first_byte == kNever) h.first_byte = now;
    h.last_byte = now;
    if (h.consume) {
      streams(h.host).Consumed(turn, h.id, e.bytes.size());
    } else {
      h.unconsumed += e.bytes.size();
    }
  }
  void On(Turn&, Half& h, const StreamMessage& e) { h.messages.emplace_back(AsText(e.bytes)); }
  void On(Turn&, Half& h, const StreamEnded&) {
    EXPECT_FALSE(h.ended);
    h.ended = true;
  }
  void On(Turn& turn, Half& h, const StreamDrained&) {
    EXPECT_GT(streams(h.host).room(h.id), 0u);
    Pump(turn, h);
  }
  void On(Turn&, Half& h, const RemoteChanged&) { h.changed = true; }
  void On(Turn& turn, Half& h, const RemoteSeen& e) {
    if (on_seen != nullptr) on_seen(*this, turn, h, e);
  }
  void On(Turn&, Half& h, const StreamClosed& e) { h.closed = e.why, h.closed_at = now; }

 public:
  void (*on_seen)(Net&, Turn&, Half&, const RemoteSeen&) = nullptr;

 private:
  Rng rng_;
  uint64_t seed_, order_ = 0;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::unique_ptr<Pipe>> pipes_;
  std::vector<std::unique_ptr<Half>> halves_;
  std::map<std::pair<size_t, size_t>, std::vector<size_t>> routes_;
  std::priority_queue<Event> events_;
};

}  // namespace orchard::udx
