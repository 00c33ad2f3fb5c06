// One Streams with a hand on its inputs and an eye on its outputs.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "node/store/mem_store.h"
#include "node/udx/packet.h"
#include "node/udx/streams.h"

namespace orchard::udx {

using namespace std::chrono_literals;

inline std::string Text(Bytes b) { return std::string(AsText(b)); }

struct StreamsBench {
  struct Sent {
    SocketId socket;
    Endpoint to;
    Gate gate;
    std::string bytes;
    Header header() const { return *ReadHeader(AsBytes(bytes)); }
    std::string payload() const { return Text(*PayloadOf(header(), AsBytes(bytes))); }
  };

  explicit StreamsBench(const StreamsConfig& config = {}, const Key32& key = {}) : streams(config), rng(key) {}

  // One turn: `f`, then Flush.
  template <class F>
  void Run(F f) {
    Trace trace(nullptr, nullptr);
    Turn turn{now, {}, rng, store, out, trace};
    News news;
    f(turn, news);
    Note(turn, news);
    streams.Flush(turn);
    for (const Output& o : out.outputs()) {
      if (o.what == Do::kSend) sent.push_back({SocketId{o.id}, o.peer, o.gate, Text(out.bytes(o))});
    }
    out.Clear();
  }
  void Receive(const Endpoint& from, std::string_view datagram, SocketId socket = SocketId{1}) {
    Run([&](Turn& t, News& n) { took = streams.OnDatagram(t, {socket, from, AsBytes(datagram)}, n); });
  }
  // Moves time on, with the deadlines on the way.
  void Wait(Duration d) {
    const Instant until = now + d;
    while (streams.next_deadline() <= until) {
      now = std::max(now, streams.next_deadline());
      const Instant before = now;
      Run([&](Turn& t, News& n) { streams.OnTime(t, n); });
      ASSERT_GT(streams.next_deadline(), before);
    }
    now = until;
  }
  std::vector<Sent> TakeSent() { return std::exchange(sent, {}); }
  std::vector<std::string> TakeEvents() { return std::exchange(events, {}); }

  Streams streams;
  Instant now{1s};
  Rng rng;
  MemStore store;
  Outbox out;
  std::vector<Sent> sent;
  std::vector<std::string> events;  // "data x", "message x", "end", "close ended", "drained", "changed", "seen".
  bool took = false;
  bool consume = true;  // All that is told, at once.

 private:
  void Note(Turn& turn, const News& news) {
    static constexpr const char* kWhy[] = {"ended", "reset", "timed-out", "destroyed"};
    for (const auto& n : news.list) {
      if (auto* e = std::get_if<StreamData>(&n)) {
        events.push_back("data " + Text(e->bytes));
        if (consume) streams.Consumed(turn, e->stream, e->bytes.size());
      }
      if (auto* e = std::get_if<StreamMessage>(&n)) events.push_back("message " + Text(e->bytes));
      if (std::get_if<StreamEnded>(&n)) events.push_back("end");
      if (auto* e = std::get_if<StreamClosed>(&n)) events.push_back(std::string("close ") + kWhy[size_t(e->why)]);
      if (std::get_if<StreamDrained>(&n)) events.push_back("drained");
      if (std::get_if<RemoteChanged>(&n)) events.push_back("changed");
      if (std::get_if<RemoteSeen>(&n)) events.push_back("seen");
    }
  }
};

}  // namespace orchard::udx
