// What the traces of a pod's members come to: shares of uplinks, what was fetched twice, who finished last.
#include "sim/run/pod_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/toy_stage.h"

namespace orchard::sim {
namespace {

using namespace std::chrono_literals;

// laptop has an uplink of its own, phone two, tablet none but the LAN's router.
constexpr std::string_view kWorld = R"({"says": "x", "duration": "60s",
    "hosts": [{"id": "laptop", "link": "dsl"}, {"id": "phone", "uplinks": {"cell": {"link": "lte"}, "wifi": {"link": "cable"}}}, {"id": "tablet"}],
    "lans": [{"id": "table", "members": ["laptop", "phone", "tablet"], "router": {"link": "cable", "nat": "port-restricted"}}], "claims": [)";

class PodWatchTest : public testing::Test {
 protected:
  void Begin(const std::string& claims = "") { run_.emplace(Cat(kWorld, claims, "]}")), pods_.emplace(run_->plan, *run_->recorder); }
  Tag Trace(std::string_view host, std::string_view event, std::vector<TraceField> fields) { return pods_->OnTrace(now_, run_->host(host), event, fields); }
  void Device(std::string_view host, std::string_view id) { Trace(host, "pod.device", {{"peer", 0, AsBytes(id)}}); }
  void Chunk(std::string_view host, std::string_view peer, uint64_t bytes, std::string_view transfer = "t") {
    Trace(host, "pod.chunk", {{"transfer", 0, AsBytes(transfer)}, {"worker", 1}, {"peer", 0, AsBytes(peer)}, {"bytes", bytes}, {"own", peer.empty() ? uint64_t{1} : 0}});
  }
  void End(std::string_view why, std::string_view transfer = "t") { Trace("laptop", "pod.ended", {{"transfer", 0, AsBytes(transfer)}, {"why", 0, AsBytes(why)}}); }
  void Read() { pods_->Second(now_), run_->recorder->Flush(now_); }
  // By link, the samples of `metric`.
  std::map<std::string, std::vector<int64_t>> Seen(std::string_view metric) {
    std::map<std::string, std::vector<int64_t>> out;
    const Series* s = run_->recorder->Find(metric);
    if (s == nullptr) return out;
    for (const Reading& r : s->samples) out[std::string(run_->recorder->TagValue(r.tag, "link"))].push_back(r.micro);
    return out;
  }
  using Want = std::map<std::string, std::vector<int64_t>>;
  std::optional<ToyRun> run_;
  std::optional<PodWatch> pods_;
  Instant now_ = Second(1);
};

TEST_F(PodWatchTest, EachUplinkHasItsShareUnderTheNameOfWhoFetched) {
  Begin();
  Device("phone", "ph"), Device("tablet", "tb");
  Chunk("laptop", "", 500), Chunk("laptop", "ph", 200), Chunk("laptop", "ph", 200), Chunk("laptop", "tb", 50), Chunk("laptop", "stranger", 50);
  Read();
  EXPECT_EQ(Seen("pod.share_ratio"), (Want{{"laptop/wan", {500'000}}, {"phone/cell", {400'000}}, {"tablet/table", {50'000}}, {"unknown", {50'000}}}));
  EXPECT_EQ(Seen("pod.chunks").at("phone/cell"), std::vector<int64_t>{2 * kMicro});
  EXPECT_EQ(Seen("pod.bytes").at("laptop/wan"), std::vector<int64_t>{500 * kMicro});
  // Others' downloads are theirs.
  Chunk("phone", "", 1000);
  Read();
  EXPECT_EQ(Seen("pod.share_ratio").at("phone/cell"), (std::vector<int64_t>{400'000, 400'000, 1'000'000}));
}

TEST_F(PodWatchTest, AKeyThatBeginsAgainReusesItsNonces) {
  Begin();
  for (std::string_view key : {"k1", "k2", "k1", "k3", "k1"}) Trace(key == "k2" ? "phone" : "laptop", "pod.keyed", {{"key", 0, AsBytes(key)}});
  run_->recorder->Flush(now_);
  EXPECT_EQ(Seen("pod.nonce_reused").at(""), std::vector<int64_t>{2 * kMicro});
}

TEST_F(PodWatchTest, TheTailIsTheTimeForWhichAllWaitedForOne) {
  Begin();
  Device("phone", "ph"), Device("tablet", "tb");
  Chunk("laptop", "", 1), now_ += 1s, Chunk("laptop", "tb", 1), now_ += 1s, Chunk("laptop", "", 1), now_ += 300ms, Chunk("laptop", "ph", 1);
  now_ += 50ms;
  End("done");
  EXPECT_EQ(Seen("pod.tail_ms"), (Want{{"", {350'000'000}}}));
  // A download of one link has none, nor one that failed.
  Chunk("laptop", "", 1, "u"), now_ += 1s, End("done", "u");
  Chunk("laptop", "", 1, "v"), Chunk("laptop", "ph", 1, "v"), End("unavailable", "v");
  End("done", "never seen");
  EXPECT_EQ(Seen("pod.tail_ms").at("").size(), 1u);
}

TEST_F(PodWatchTest, DownloadsDieWithTheirHost) {
  Begin();
  Device("phone", "ph");
  Chunk("laptop", "", 1), Chunk("laptop", "ph", 1);
  pods_->OnHostDown(run_->host("phone"));
  pods_->OnHostDown(run_->host("laptop"));
  End("done");
  EXPECT_EQ(run_->recorder->Find("pod.tail_ms"), nullptr);
}

TEST_F(PodWatchTest, WhatCameTwiceIsCountedAndReasonsAreLabels) {
  Begin();
  Trace("laptop", "pod.refetched", {{"bytes", 70}}), Trace("laptop", "pod.refetched", {{"bytes", 30}});
  Read();
  EXPECT_EQ(Seen("pod.refetched_bytes"), (Want{{"", {100 * kMicro}}}));
  const Tag tag = Trace("laptop", "pod.left", {{"peer", 0, AsBytes("ph")}, {"peers", 0}, {"why", 0, AsBytes("silent")}});
  EXPECT_EQ(run_->recorder->TagValue(tag, "why"), "silent");
}

TEST_F(PodWatchTest, AClaimMeansTheUplinkThatCarriedAndNotTheHostsLink) {
  Begin(R"({"says": "own", "metric": "pod.bytes", "of": "laptop", "where": {"link": "laptop/wan"}, "total_is": 500},
           {"says": "phone's", "metric": "pod.share_ratio", "of": "laptop", "where": {"link": "phone/cell"}, "last_is": 0.5},
           {"says": "each", "metric": "pod.bytes", "of": "laptop", "each": "link", "total_is": 500},
           {"says": "preset", "metric": "pod.bytes", "of": "laptop", "where": {"link": "dsl"}, "total_is": 0},
           {"says": "elsewhere link is the host's", "metric": "link.bytes", "where": {"link": "dsl"}, "total_is": 7})");
  Device("phone", "ph");
  Chunk("laptop", "", 500), Chunk("laptop", "ph", 500);
  run_->recorder->Add("link.bytes", now_, run_->host("laptop"), 7 * kMicro), run_->recorder->Add("link.bytes", now_, run_->host("phone"), 9 * kMicro);
  Read();
  run_->Run(), run_->Finish();
  for (const ClaimResult& c : run_->judge->results()) EXPECT_EQ(c.verdict, Verdict::kHeld) << c.claim->says << ": " << c.observed;
}

}  // namespace
}  // namespace orchard::sim
