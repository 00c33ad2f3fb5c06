// UDX: the packet codec on any bytes, then a stream that is fed packets, writes, time and changes as the input says.
#include <algorithm>
#include <string>

#include "node/base/check.h"
#include "node/store/mem_store.h"
#include "node/udx/packet.h"
#include "node/udx/streams.h"

namespace orchard::udx {
namespace {

void TryCodec(Bytes d) {
  std::optional<Header> h = ReadHeader(d);
  if (!h.has_value()) return;
  auto written = WriteHeader(*h);
  CHECK(std::equal(written.begin(), written.end(), d.begin()));
  if (std::optional<Bytes> payload = PayloadOf(*h, d)) CHECK_EQ(payload->size() + h->data_offset + kHeaderBytes, d.size());
  SackBlocks blocks(*h, d);
  CHECK_LE(blocks.size(), kSackBlocksMax);
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i];
}

struct Script {
  const uint8_t* at;
  const uint8_t* end;
  uint8_t Next() { return at == end ? 0 : *at++; }
  Bytes Take(size_t n) {
    n = std::min(n, size_t(end - at));
    return Bytes(std::exchange(at, at + n), n);
  }
};

class Play {
 public:
  explicit Play(Script in) : in_(in), streams_({.deployed = (in_.Next() & 1) != 0, .receive_window = 20'000}) {}

  void Run() {
    const uint8_t how = in_.Next();
    Do([&](Turn& t, News&) {
      id_ = streams_.Create(t, {.any_socket = (how & 1) != 0, .first_seq = how & 2 ? 0xfffffff0 : 0, .first_ack = how & 4 ? 0xfffffff8 : 0});
      if ((how & 8) == 0) streams_.Connect(t, id_, SocketId{1}, Endpoint::V4(1, 1), 7);
    });
    seq_ = how & 4 ? 0xfffffff8 : 0, ack_ = how & 2 ? 0xfffffff0 : 0;
    while (in_.at != in_.end) Step();
    for (int i = 0; i < 100 && streams_.next_deadline() != kNever; ++i) Time(streams_.next_deadline() - now_);
  }

 private:
  template <class F>
  void Do(F f) {
    Trace trace(nullptr, nullptr);
    Turn turn{now_, {}, rng_, store_, out_, trace};
    News news;
    f(turn, news);
    for (const auto& n : news.list) {
      if (auto* d = std::get_if<StreamData>(&n)) {
        for (uint8_t b : d->bytes) sum_ += b;  // The span must be readable.
        if (sum_ % 3 != 0) streams_.Consumed(turn, d->stream, d->bytes.size());
      }
    }
    streams_.Flush(turn);
    for (const Output& o : out_.outputs()) {
      const Bytes bytes = out_.bytes(o);
      CHECK(ReadHeader(bytes).has_value());
      CHECK_LE(bytes.size(), 1500u - kV4Bytes);
    }
    out_.Clear();
  }
  void Time(Duration d) {
    now_ += std::max(d, Duration(1));
    if (streams_.next_deadline() > now_) return;
    Do([&](Turn& t, News& n) { streams_.OnTime(t, n); });
    CHECK(streams_.next_deadline() > now_);
  }
  void Receive(std::string datagram, uint32_t socket) {
    Do([&](Turn& t, News& n) { streams_.OnDatagram(t, {SocketId{socket}, Endpoint::V4(1, 1), AsBytes(datagram)}, n); });
  }
  void Step() {
    const uint8_t op = in_.Next();
    switch (op % 8) {
      case 0: {  // Any bytes, with our id where an id stands.
        std::string d(AsText(in_.Take(in_.Next())));
        for (size_t i = 0; i < 4 && d.size() >= 8; ++i) d[4 + i] = char(uint32_t(id_) >> (8 * i));
        TryCodec(AsBytes(d));
        Receive(d, 1 + (op >> 7));
        break;
      }
      case 1:
      case 2: {  // A likely packet.
        Header h{in_.Next(), uint8_t(op & 8 ? in_.Next() : 0), uint32_t(id_), uint32_t(in_.Next()) * 97, seq_ + in_.Next() % 32, ack_ + in_.Next() % 64};
        std::string d(AsText(WriteHeader(h)));
        if (h.type & kSack) {
          for (int i = in_.Next() % 5; i > 0; --i) {
            const uint32_t start = h.ack + in_.Next() % 40, end = start + in_.Next() % 8;
            for (uint32_t x : {start, end}) {
              for (int k = 0; k < 4; ++k) d.push_back(char(x >> (8 * k)));
            }
          }
        }
        d += AsText(in_.Take(in_.Next() % 64));
        if (op & 16) seq_ = h.seq + 1;
        if (op & 32) ack_ = h.ack;
        Receive(d, 1);
        break;
      }
      case 3: {
        std::string bytes(size_t(in_.Next()) * (op & 8 ? 50 : 1), 'w');
        Do([&](Turn& t, News&) { streams_.Write(t, id_, std::move(bytes)); });
        break;
      }
      case 4: return Time(std::chrono::milliseconds(in_.Next() * (op & 8 ? 50 : 1)));
      case 5: return Do([&](Turn& t, News&) { streams_.ChangeRemote(t, id_, SocketId{uint32_t(1 + (op >> 6))}, Endpoint::V4(2, 2), 8, (op & 8) != 0); });
      case 6: return Do([&](Turn& t, News&) { streams_.Consumed(t, id_, in_.Next() * 16); });
      case 7: {
        if (op == 255) return Do([&](Turn& t, News&) { streams_.Destroy(t, id_); });
        if (op > 240) return Do([&](Turn& t, News&) { streams_.End(t, id_); });
        Do([&](Turn& t, News&) { streams_.SetKeepAlive(t, id_, std::chrono::milliseconds(in_.Next())); });
      }
    }
  }

  Script in_;
  Streams streams_;
  StreamId id_{};
  Instant now_{std::chrono::seconds(1)};
  Rng rng_{Key32{}};
  MemStore store_;
  Outbox out_;
  uint32_t seq_ = 0, ack_ = 0;
  uint64_t sum_ = 0;
};

}  // namespace
}  // namespace orchard::udx

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard::udx;
  TryCodec(orchard::Bytes(data, size));
  if (size > 2) Play(Script{data, data + size}).Run();
  return 0;
}
