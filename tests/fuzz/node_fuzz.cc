// A whole node under a stream of hostile datagrams, calls and time: it never crashes, and holds its limits.
#include <memory>

#include "node/base/check.h"
#include "node/base/turn_runner.h"
#include "node/node.h"
#include "node/store/mem_store.h"

namespace {

using namespace orchard;

struct Host final : TurnRunner::Host {
  void Perform(const Output& o, Bytes) override {
    if (o.what == Do::kOpenSocket) opened.push_back(SocketId{o.id});
    bytes += o.size;
  }
  void StartSync() override { ++syncs; }
  std::vector<SocketId> opened;
  size_t bytes = 0;
  int syncs = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sidecar::Config config;
  std::vector<sidecar::ConfigError> errors;
  sidecar::MergeConfig(R"({"dht":{"bootstrap":true,"host":"127.0.0.1","nodes":[]}})", config, errors);
  CHECK(errors.empty());
  MemStore store;
  Host host;
  Outbox outbox;
  TurnRunner runner(std::make_unique<Node>(config), Rng::Named(1, "fuzz", "0"), &store, nullptr, nullptr);
  Instant now(std::chrono::seconds(1));
  auto feed = [&](const Input& input) {
    runner.Feed(now, Duration{}, input, host, outbox);
    while (!host.opened.empty()) {
      SocketId s = host.opened.back();
      host.opened.pop_back();
      runner.Feed(now, Duration{}, SocketOpened{s, Endpoint::V4(0x7f000001, 49737), absl::StatusCode::kOk}, host, outbox);
    }
    for (; host.syncs > 0; --host.syncs) runner.Synced(host);
  };
  feed(Start{});
  uint32_t op = 0;
  while (size > 2) {
    // A step: what, how long, then so many bytes.
    const uint8_t what = data[0] % 5;
    size_t n = std::min<size_t>(size - 2, data[1]);
    Bytes payload(data + 2, n);
    switch (what) {
      case 0:
      case 1: feed(Datagram{SocketId{1u + what}, Endpoint::V4(0x7f000002 + data[0], uint16_t(1 + data[1])), payload}); break;
      case 2: now += std::chrono::milliseconds(data[1] * 20); runner.FeedDeadline(now, Duration{}, host, outbox); break;
      case 3: feed(OpCall{OpId{++op}, "dht.lookup", payload}); break;
      case 4: feed(OpCancelled{OpId{op}}); break;
    }
    data += 2 + n, size -= 2 + n;
  }
  CHECK_LT(host.bytes, size_t{8} << 20);
  return 0;
}
