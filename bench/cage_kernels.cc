#include "bench/cage_kernels.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "node/base/check.h"
#include "node/base/turn_runner.h"
#include "node/cage/job.h"
#include "node/cage/server.h"
#include "node/http2/preface.h"
#include "node/store/mem_store.h"

namespace orchard::bench {
namespace {

constexpr StreamId kClient{0x80000001};

class Site final : public Machine {
 public:
  Site() : server_({.front = {.local = Endpoint::V4(0x7f000001, 80), .secure = {}, .fallback = "shop"}, .sites = {Config()}}) {}
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) server_.Start(turn);
    else server_.OnInput(turn, input);
  }
  Instant next_deadline() const override { return server_.next_deadline(); }
  const cage::Server& server() const { return server_; }

 private:
  static cage::SiteConfig Config() {
    cage::SiteConfig config{.name = "shop"};
    config.module = "example:hello.wasm", config.replicas = 2;
    return config;
  }
  cage::Server server_;
};

// The host of a site: its cages answer at once, and its client reads all.
class Lab final : public TurnRunner::Host {
 public:
  Lab() : runner_(std::make_unique<Site>(), Rng::Named(1, "bench", "site"), &store_, nullptr, nullptr) {
    Feed(Start{});
    Feed(SocketOpened{SocketId{cage::Server::kCageSocket}, Endpoint::V4(0x7f000001, 80), absl::StatusCode::kOk});
    Feed(StreamOpened{kClient, SocketId{cage::Server::kCageSocket}, Endpoint::V4(0x7f000001, 80), Endpoint::V4(0x7f000001, 4711)});
    CHECK_EQ(server().sites().all().at("shop").pool->healthy(), 2u);
  }
  void Send(std::string_view bytes) { Feed(StreamData{kClient, AsBytes(bytes)}); }
  const cage::Server& server() const { return static_cast<const Site&>(runner_.machine()).server(); }

  void Perform(const Output& o, Bytes bytes) override {
    if (o.what == Do::kWrite) owed_ += uint32_t(bytes.size());
    if (o.what != Do::kRunJob) return;
    const JobId job{o.id};
    if (o.kind == JobKind::kCageLoad) done_.emplace_back(job, loaded_);
    if (o.kind == JobKind::kCageSpawn) done_.emplace_back(job, "");
    if (o.kind == JobKind::kCageRun) done_.emplace_back(job, answered_);
  }
  void StartSync() override {}

 private:
  void Feed(const Input& input) {
    FeedOne(input);
    for (; !done_.empty(); done_.pop_front()) FeedOne(JobDone{done_.front().first, absl::StatusCode::kOk, AsBytes(done_.front().second)});
    if (owed_ > 0) FeedOne(StreamCredit{kClient, std::exchange(owed_, 0)});
  }
  void FeedOne(const Input& input) {
    now_ += std::chrono::microseconds(1);
    runner_.Feed(now_, Duration{}, input, *this, outbox_);
  }

  const std::string loaded_ = cage::Encode(cage::LoadResult{.module = Key32{7}, .abi = cage::Abi::kReactor, .bytes = 1000, .metered_bytes = 2000});
  const std::string answered_ = cage::Encode(cage::RunResult{.fuel = 1000, .memory_bytes = 1 << 20, .answer = "Content-Type: text/plain\n\nok\n"});
  MemStore store_;
  Outbox outbox_;
  std::deque<std::pair<JobId, std::string_view>> done_;
  uint32_t owed_ = 0;
  Instant now_{};
  TurnRunner runner_;
};

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string out = {0, 0, char(payload.size()), char(type), char(flags)};
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(char(stream >> shift));
  return out.append(payload);
}

}  // namespace

void SiteH2(size_t rounds) {
  CHECK_LT(rounds, size_t{1} << 30);  // Each has a stream of its own.
  Lab lab;
  // All that it may send at once, from the start: the windows are not what is measured.
  lab.Send(std::string(http2::kPreface) + Frame(4, 0, 0, "") + Frame(8, 0, 0, std::string("\x7f\x00\x00\x00", 4)));
  // GET, http, /health, shop.localhost and accept: */*, as RFC 7541 has them.
  const std::string_view head = "\x82\x86\x04\x07/health\x01\x0eshop.localhost\x0f\x04\x03*/*\x0f\x2b\x0corchard/1.00";
  for (size_t i = 0; i < rounds;) {
    std::string frames;
    for (size_t k = 0; k < 8 && i < rounds; ++k, ++i) frames += Frame(1, 5, uint32_t(2 * i + 1), head);
    lab.Send(frames);
  }
  CHECK_EQ(lab.server().front().stats().statuses.at(200), rounds);
}

void SiteH1(size_t rounds) {
  Lab lab;
  for (size_t i = 0; i < rounds; ++i) lab.Send("GET /health HTTP/1.1\r\nHost: shop.localhost\r\nAccept: */*\r\nUser-Agent: orchard/1.00\r\n\r\n");
  CHECK_EQ(lab.server().front().stats().statuses.at(200), rounds);
}

}  // namespace orchard::bench
