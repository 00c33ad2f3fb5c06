#include "bench/udx_kernels.h"

#include <type_traits>
#include <array>
#include <cstring>
#include <vector>

#include "node/base/check.h"
#include "node/store/mem_store.h"
#include "node/udx/streams.h"

namespace orchard::bench {
namespace {

using namespace std::chrono_literals;

// Two nodes with a link of 2.4 Gbit/s and 200 µs between them. Packets in flight lie in rings of fixed slots, so that the
// harness costs a copy each and little else.
class Loop {
 public:
  Loop() {
    for (size_t i = 0; i < 2; ++i) nodes_[i].id = Do(i, [&](Turn& t) { return nodes_[i].streams.Create(t, {}); });
    for (size_t i = 0; i < 2; ++i) {
      Do(i, [&](Turn& t) {
        nodes_[i].streams.Connect(t, nodes_[i].id, SocketId{1}, Endpoint::V4(1, uint16_t(1 + (1 - i))), uint32_t(nodes_[1 - i].id));
        return 0;
      });
    }
  }
  void Write(size_t node, size_t bytes) {
    Do(node, [&](Turn& t) { return nodes_[node].streams.Write(t, nodes_[node].id, std::string(bytes, 'x')), 0; });
  }
  // The next packet or timer.
  void Step() {
    const size_t to = nodes_[0].arrives() <= nodes_[1].arrives() ? 0 : 1;
    const size_t wakes = nodes_[0].streams.next_deadline() <= nodes_[1].streams.next_deadline() ? 0 : 1;
    const Instant deadline = nodes_[wakes].streams.next_deadline();
    if (deadline <= nodes_[to].arrives()) {
      CHECK(deadline != kNever);
      now_ = std::max(now_, deadline);
      Do(wakes, [&](Turn& t) { return nodes_[wakes].streams.OnTime(t, news_), 0; });
      return;
    }
    Node& n = nodes_[to];
    now_ = n.arrives();
    Slot& slot = n.ring[n.first++ % kSlots];
    Do(to, [&](Turn& t) {
      return n.streams.OnDatagram(t, {SocketId{1}, Endpoint::V4(1, uint16_t(2 - to)), Bytes(slot.bytes.data(), slot.size)}, news_);
    });
  }
  uint64_t received(size_t node) const { return nodes_[node].received; }
  size_t room(size_t node) const { return nodes_[node].streams.room(nodes_[node].id); }
  udx::StreamStats stats(size_t node) const { return nodes_[node].streams.stats(nodes_[node].id); }

 private:
  static constexpr size_t kSlots = 8192;
  struct Slot {
    Instant at;
    uint32_t size;
    std::array<uint8_t, 1500> bytes;
  };
  struct Node {
    Instant arrives() const { return first == next ? kNever : ring[first % kSlots].at; }
    udx::Streams streams;
    udx::StreamId id{};
    std::vector<Slot> ring = std::vector<Slot>(kSlots);  // What is on its way to this node.
    size_t first = 0, next = 0;
    Instant link_free{};
    uint64_t received = 0;
  };

  template <class F>
  std::invoke_result_t<F, Turn&> Do(size_t i, F f) {
    Trace trace(nullptr, nullptr);
    Turn turn{now_, {}, rng_, store_, out_, trace};
    Node& node = nodes_[i];
    Node& peer = nodes_[1 - i];
    auto result = f(turn);
    for (const auto& n : news_.list) {
      if (const auto* d = std::get_if<udx::StreamData>(&n)) {
        node.received += d->bytes.size();
        node.streams.Consumed(turn, d->stream, d->bytes.size());
      }
    }
    news_.list.clear(), news_.kept.clear();
    node.streams.Flush(turn);
    for (const Output& o : out_.outputs()) {
      const Bytes bytes = out_.bytes(o);
      CHECK_LT(peer.next - peer.first, kSlots);
      node.link_free = std::max(node.link_free, now_) + Duration(int64_t((bytes.size() + 28) * 10 / 3));
      Slot& slot = peer.ring[peer.next++ % kSlots];
      slot.at = node.link_free + 100us, slot.size = uint32_t(bytes.size());
      std::memcpy(slot.bytes.data(), bytes.data(), bytes.size());
    }
    out_.Clear();
    return result;
  }

  Instant now_{1s};
  Rng rng_{Key32{}};
  MemStore store_;
  Outbox out_;
  udx::News news_;
  std::array<Node, 2> nodes_;
};

}  // namespace

void UdxBulk(size_t rounds) {
  Loop loop;
  const uint64_t goal = uint64_t{rounds} * 1452;
  while (loop.received(1) < goal) {
    while (loop.room(0) > 0) loop.Write(0, 65536);
    loop.Step();
  }
  CHECK_EQ(loop.stats(0).timeouts, 0u);
}

void UdxEcho(size_t rounds) {
  Loop loop;
  for (size_t i = 1; i <= rounds; ++i) {
    loop.Write(0, 64);
    while (loop.received(1) < 64 * i) loop.Step();
    loop.Write(1, 64);
    while (loop.received(0) < 64 * i) loop.Step();
  }
}

}  // namespace orchard::bench
