// Two muxes on a wire that keeps all frames, and texts for what they told.
#pragma once

#include <deque>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "node/base/check.h"
#include "node/protomux/mux.h"

namespace orchard::protomux {

// "open foo/id+handshake", "opened 1+handshake", "closed 1", "rejected 1", "1:type=bytes"; channels are counted as told by `names`.
inline std::vector<std::string> Told(const News& news, const std::vector<ChannelId>& names) {
  auto name = [&](ChannelId c) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i] == c) return std::to_string(i + 1);
    }
    return std::string("?");
  };
  auto plus = [](Bytes b) { return b.empty() ? "" : "+" + std::string(AsText(b)); };
  std::vector<std::string> out;
  for (const Item& item : news.list) {
    if (const auto* o = std::get_if<RemoteOpened>(&item)) out.push_back("open " + std::string(o->protocol) + "/" + ToHex(o->id) + plus(o->handshake));
    if (const auto* o = std::get_if<ChannelOpened>(&item)) out.push_back("opened " + name(o->channel) + plus(o->handshake));
    if (const auto* c = std::get_if<ChannelClosed>(&item)) out.push_back((c->rejected ? "rejected " : "closed ") + name(c->channel));
    if (const auto* m = std::get_if<ChannelMessage>(&item)) {
      out.push_back(name(m->channel) + ":" + std::to_string(m->type) + "=" + std::string(AsText(m->bytes)));
    }
  }
  return out;
}

// One side: its mux, what it wants to send, and what it was told since the last look.
struct Side {
  Mux mux;
  Out out;
  News news;
  std::vector<ChannelId> channels;  // In the order they were opened here.

  ChannelId Open(OpenRequest request) {
    const auto id = mux.Open(request, news, out);
    CHECK(id.has_value());
    return channels.emplace_back(*id);
  }
  void Send(ChannelId channel, uint32_t type, std::string_view body) { mux.Send(channel, type, AsBytes(body), out); }
  std::vector<std::string> Told() {
    auto told = protomux::Told(news, channels);
    news.list.clear();
    return told;
  }
};

struct MuxWire {
  struct Frame {
    std::string dir, hex;
    friend bool operator==(const Frame&, const Frame&) = default;
    friend void PrintTo(const Frame& f, std::ostream* os) { *os << f.dir << " " << f.hex; }
  };
  Side a, b;
  std::vector<Frame> log;
  std::deque<Out> kept;  // Spans in news point into it.

  // Logs what both want to send; then each reads the other's frames, in a turn each. Until nobody wants to say anything.
  // `between(side)` runs before a side's turn ends.
  template <class F>
  void Exchange(F between) {
    while (!a.out.empty() || !b.out.empty()) {
      const Out& from_a = kept.emplace_back(std::exchange(a.out, {}));
      const Out& from_b = kept.emplace_back(std::exchange(b.out, {}));
      for (const std::string& m : from_a) log.push_back({"a->b", ToHex(AsBytes(m))});
      for (const std::string& m : from_b) log.push_back({"b->a", ToHex(AsBytes(m))});
      Deliver(from_a, b, between);
      Deliver(from_b, a, between);
    }
  }
  void Exchange() {
    Exchange([](Side&) {});
  }

 private:
  template <class F>
  void Deliver(const Out& messages, Side& to, F between) {
    for (const std::string& m : messages) {
      const absl::Status status = to.mux.OnMessage(AsBytes(m), to.news, to.out);
      CHECK(status.ok());
    }
    between(to);
    to.mux.EndTurn(to.out);
  }
};

}  // namespace orchard::protomux
