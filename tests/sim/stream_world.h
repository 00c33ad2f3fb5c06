// Small worlds for tests of TCP: hosts that serve and fetch numbered bytes, and everything that they were told of streams.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/sim/sim_world.h"

namespace orchard::sim {

// What a host knows of one stream.
struct StreamView {
  bool open = false, ended = false, closed = false, ours_ended = false;
  absl::StatusCode status = absl::StatusCode::kOk;
  Endpoint local, peer;
  Instant opened_at{}, first{}, last{}, ended_at{}, closed_at{};
  uint64_t got = 0, written = 0, to_write = 0;
  uint32_t credit = 0;
  bool end_after = true;   // End once all is written.
  bool broken = false;     // Bytes came that are not those that were sent.
};

// How a host behaves, and what it saw. Listens on port 80 if told to; each stream that it accepts gets `serve` bytes, then an end.
struct StreamSide {
  bool listen = false;
  uint64_t serve = 0;
  bool end_after = true;
  uint32_t accept = 1u << 30;  // Granted as a stream opens.
  std::map<uint32_t, StreamView> streams;
  absl::StatusCode listening = absl::StatusCode::kUnknown;
  Instant now{};

  StreamView& accepted(uint32_t n = 1) { return streams[kAccepted | n]; }
};

// Orders are operations: "connect ADDRESS:PORT STREAM BYTES", "end STREAM", "close STREAM", "accept STREAM BYTES", "write STREAM BYTES".
class StreamMachine final : public Machine {
 public:
  explicit StreamMachine(StreamSide* side) : side_(side) { side_->streams.clear(); }
  void Handle(Turn& t, const Input& input) override {
    side_->now = t.now;
    if (std::holds_alternative<Start>(input) && side_->listen) t.out.Listen(SocketId{1}, Endpoint::V4(0, 80));
    if (std::holds_alternative<Stop>(input)) t.out.Stopped();
    if (const auto* o = std::get_if<SocketOpened>(&input)) side_->listening = o->status;
    if (const auto* o = std::get_if<StreamOpened>(&input)) {
      StreamView& v = View(o->stream);
      v.open = true, v.local = o->local, v.peer = o->peer, v.credit = kStreamWindow, v.opened_at = t.now;
      if (o->listener) v.to_write = side_->serve, v.end_after = side_->end_after;
      if (side_->accept > 0) t.out.Accept(o->stream, side_->accept);
      Write(t, o->stream);
    } else if (const auto* d = std::get_if<StreamData>(&input)) {
      StreamView& v = View(d->stream);
      if (v.got == 0) v.first = t.now;
      for (uint8_t b : d->bytes) v.broken |= b != Byte(v.got), ++v.got;
      v.last = t.now;
      if (side_->accept > 0) t.out.Accept(d->stream, uint32_t(d->bytes.size()));
    } else if (const auto* c = std::get_if<StreamCredit>(&input)) {
      View(c->stream).credit += c->bytes;
      Write(t, c->stream);
    } else if (const auto* e = std::get_if<StreamEnded>(&input)) {
      StreamView& v = View(e->stream);
      v.ended = true, v.ended_at = t.now;
    } else if (const auto* x = std::get_if<StreamClosed>(&input)) {
      StreamView& v = View(x->stream);
      v.closed = true, v.status = x->status, v.closed_at = t.now;
    } else if (const auto* c = std::get_if<OpCall>(&input)) {
      Order(t, c->name, absl::StrSplit(std::string(AsText(c->params)), ' '));
    }
  }
  Instant next_deadline() const override { return kNever; }

  static uint8_t Byte(uint64_t at) { return uint8_t(at * 7 + (at >> 8) * 13 + (at >> 17)); }

 private:
  StreamView& View(StreamId s) { return side_->streams[uint32_t(s)]; }
  void Order(Turn& t, std::string_view name, std::vector<std::string> p) {
    const StreamId s{uint32_t(std::stoul(p[name == "connect" ? 1 : 0]))};
    if (name == "connect") {
      View(s).to_write = std::stoull(p[2]), View(s).end_after = p.size() < 4;
      t.out.Connect(s, *Endpoint::Parse(p[0]));
    }
    if (name == "end") View(s).ours_ended = true, t.out.End(s);
    if (name == "close") t.out.Close(s);
    if (name == "accept") t.out.Accept(s, uint32_t(std::stoul(p[1])));
    if (name == "write") View(s).to_write += std::stoull(p[1]), Write(t, s);
  }
  void Write(Turn& t, StreamId s) {
    StreamView& v = View(s);
    while (v.credit > 0 && v.written < v.to_write) {
      uint8_t chunk[16 << 10];
      const size_t n = size_t(std::min<uint64_t>({v.credit, v.to_write - v.written, sizeof chunk}));
      for (size_t i = 0; i < n; ++i) chunk[i] = Byte(v.written + i);
      t.out.Write(s, Bytes(chunk, n));
      v.credit -= uint32_t(n), v.written += n;
    }
    if (v.open && v.end_after && v.written == v.to_write && !std::exchange(v.ours_ended, true)) t.out.End(s);
  }
  StreamSide* side_;
};

class StreamWorld : public Observer {
 public:
  // Hosts named server… listen.
  explicit StreamWorld(WorldPlan plan) {
    for (const HostPlan& h : plan.hosts) sides[h.id].listen = h.id.starts_with("server");
    world.emplace(std::move(plan), [this](const HostPlan& h, uint32_t) { return std::make_unique<StreamMachine>(&sides[h.id]); }, this);
  }
  void StartAll() {
    for (HostIndex h = 0; h < world->size(); ++h) world->StartHost(h);
  }
  HostIndex Index(std::string_view id) const { return *world->Find(id); }
  void Run(Duration d) { world->RunUntil(world->now() + d); }
  // True once `done`, looking every millisecond; false if it is not within `bound`.
  template <class F>
  bool Until(F done, Duration bound) {
    for (const Instant end = world->now() + bound; !done(); Run(1ms)) {
      if (world->now() >= end) return false;
    }
    return true;
  }
  // Of a server, as the world sees it.
  Endpoint at(std::string_view server) const { return world->public_address(Index(server)).with_port(80); }
  void Do(std::string_view host, std::string_view what, std::string params) { world->Call(Index(host), OpId{++ops_}, what, params); }
  // Opens stream `s` to `to`, sends `bytes`, then ends its half unless `more`.
  void Connect(std::string_view host, Endpoint to, uint32_t s = 1, uint64_t bytes = 0, bool more = false) {
    Do(host, "connect", absl::StrCat(to.ToString(), " ", s, " ", bytes, more ? " more" : ""));
  }
  StreamView& stream(const std::string& host, uint32_t s = 1) { return sides[host].streams[s]; }

  bool wants_trace(HostIndex) const override { return false; }
  void OnDrop(const Drop& d) override { ++dropped[std::string(d.why)]; }

  std::map<std::string, StreamSide> sides;
  std::map<std::string, uint64_t> dropped;
  std::optional<World> world;

 private:
  uint32_t ops_ = 0;
};

inline constexpr uint64_t kMega = 1'000'000;
// A server and a client with these rates and delays; no latency but the links'.
inline WorldPlan Pair(int64_t bps, Duration one_way, Duration queue = 100ms) {
  WorldPlan plan;
  plan.latency_default = {};
  for (const char* id : {"server", "client"}) {
    HostPlan& h = AddHost(plan, id);
    h.uplinks[0].link.down_bps = h.uplinks[0].link.up_bps = bps;
    h.uplinks[0].link.delay = one_way / 2, h.uplinks[0].link.queue = queue;
  }
  return plan;
}

}  // namespace orchard::sim
