// One UDX stream on real sockets: udx_peer LOCAL_PORT PEER BYTES, where PEER is a port of this machine or IP:PORT. Sends so many
// bytes (0: none) to whoever runs the same program, or udx_peer.cjs, there, takes what comes, and prints how fast as one line of
// JSON. The two learn each other's ids by plain datagrams "id:<number>".

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "node/host/os.h"
#include "node/host/real_host.h"
#include "node/udx/streams.h"

namespace orchard {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t kLoopback = 0x7f000001;

struct Result {
  uint64_t received = 0, wrong = 0;
  Instant first = kNever, last{};
  bool closed = false;
  udx::StreamStats stats;
};

// The byte at a place of the stream; udx_peer.cjs has the same.
uint8_t PatternAt(uint64_t i) { return uint8_t(i * 7 + (i >> 10)); }

class Peer final : public Machine {
 public:
  Peer(uint16_t local, const Endpoint& remote, uint64_t bytes, Result* result)
      : local_(Endpoint::V4(remote.v4() == kLoopback ? kLoopback : 0, local)), remote_(remote), bytes_(bytes), result_(*result) {
    for (size_t i = 0; i < block_.size(); ++i) block_[i] = char(PatternAt(i));
  }
  void Handle(Turn& t, const Input& input) override {
    news_.list.clear(), news_.kept.clear();
    if (std::get_if<Start>(&input)) {
      t.out.OpenSocket(kSocket, local_);
      id_ = streams_.Create(t, {});
      hello_at_ = t.now;
    } else if (auto* d = std::get_if<Datagram>(&input)) {
      if (!streams_.OnDatagram(t, *d, news_)) OnHello(t, AsText(d->payload));
    }
    if (t.now >= hello_at_) Hello(t);
    streams_.OnTime(t, news_);
    for (const auto& n : news_.list) {
      if (auto* e = std::get_if<udx::StreamData>(&n)) OnData(t, *e);
      if (std::get_if<udx::StreamEnded>(&n) && bytes_ == 0) streams_.End(t, id_);
      if (std::get_if<udx::StreamClosed>(&n)) result_.closed = true;
    }
    Pump(t);
    streams_.Flush(t);
    if (streams_.exists(id_)) result_.stats = streams_.stats(id_);
  }
  Instant next_deadline() const override { return std::min(hello_at_, streams_.next_deadline()); }

 private:
  static constexpr SocketId kSocket{1};

  void Hello(Turn& t) {
    hello_at_ = streams_.connected(id_) ? kNever : t.now + 50ms;
    t.out.Send(kSocket, remote_, AsBytes("id:" + std::to_string(uint32_t(id_))), Gate::kNone);
  }
  void OnHello(Turn& t, std::string_view text) {
    if (text.substr(0, 3) != "id:" || streams_.connected(id_)) return;
    streams_.Connect(t, id_, kSocket, remote_, uint32_t(std::strtoul(std::string(text.substr(3)).c_str(), nullptr, 10)));
    Hello(t);
  }
  void OnData(Turn& t, const udx::StreamData& e) {
    if (result_.first == kNever) result_.first = t.now;
    result_.last = t.now;
    if (!e.bytes.empty() && e.bytes.back() != PatternAt(result_.received + e.bytes.size() - 1)) ++result_.wrong;
    result_.received += e.bytes.size();
    streams_.Consumed(t, id_, e.bytes.size());
  }
  void Pump(Turn& t) {
    while (streams_.connected(id_) && written_ < bytes_ && streams_.room(id_) > 0) {
      // The pattern repeats after 256 KiB.
      const size_t at = written_ % block_.size(), size = std::min<uint64_t>({65536, bytes_ - written_, block_.size() - at});
      streams_.Write(t, id_, block_.substr(at, size));
      written_ += size;
      if (written_ == bytes_) streams_.End(t, id_);
    }
  }

  const Endpoint local_, remote_;
  const uint64_t bytes_;
  Result& result_;
  std::string block_ = std::string(256 * 1024, 0);
  udx::Streams streams_;
  udx::StreamId id_{};
  udx::News news_;
  uint64_t written_ = 0;
  Instant hello_at_ = kNever;
};

int Run(uint16_t local, const Endpoint& remote, uint64_t bytes) {
  char dir[] = "/tmp/udx-peer-XXXXXX";
  if (mkdtemp(dir) == nullptr) return 1;
  int status = 1;
  {
    auto store = host::RocksStore::Open(dir);
    if (!store.ok()) return std::fprintf(stderr, "%s\n", store.status().ToString().c_str()), 1;
    Result r;
    host::RealHost host(std::make_unique<Peer>(local, remote, bytes, &r), Rng(host::OsEntropy()), std::move(*store), nullptr);
    const Instant began = host::BootNow();
    absl::Status s = host.Begin();
    while (s.ok() && !r.closed && host::BootNow() - began < 60s) s = host.RunOnce(100ms);
    for (int i = 0; i < 20 && s.ok(); ++i) s = host.RunOnce(5ms);  // The last acknowledgement may be asked for again.
    const int64_t nanos = r.first == kNever ? 0 : (r.last - r.first).count();
    std::printf("{\"sent\": %lu, \"received\": %lu, \"wrong\": %lu, \"megabytes_per_second\": %ld, \"ms\": %ld, \"closed\": %s, \"packets\": %lu, "
                "\"again\": %lu, \"timeouts\": %lu, \"mtu\": %u, \"turns\": %lu, \"send_calls\": %lu, \"receive_calls\": %lu}\n",
                r.stats.bytes_sent, r.received, r.wrong, nanos > 0 ? long(r.received * 1000 / uint64_t(nanos)) : 0L, long(nanos / 1'000'000), r.closed ? "true" : "false",
                r.stats.packets_sent, r.stats.retransmits, r.stats.timeouts, r.stats.mtu, host.counters().turns,
                host.counters().udp.send_calls, host.counters().udp.receive_calls);
    status = s.ok() && r.closed && r.wrong == 0 ? 0 : 1;
  }
  std::filesystem::remove_all(dir);
  return status;
}

}  // namespace
}  // namespace orchard

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: udx_peer LOCAL_PORT PEER BYTES, where PEER is PORT or IP:PORT\n"), 2;
  orchard::ForbidHiddenRandomness();
  auto remote = orchard::Endpoint::Parse(argv[2]);
  if (!remote) remote = orchard::Endpoint::V4(orchard::kLoopback, uint16_t(std::atoi(argv[2])));
  return orchard::Run(uint16_t(std::atoi(argv[1])), *remote, std::strtoull(argv[3], nullptr, 10));
}
