#include "node/http/range_fetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "node/http/origin.h"
#include "tests/http/net.h"

namespace orchard::http {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Node = MemHost::NodeIndex;

constexpr uint64_t kFilm = 4 << 20, kChunk = 256 << 10;

struct World {
  explicit World(OriginConfig config = {}) {
    config.files = {{"/film", kFilm}};
    origin = net.Add("origin", [config](uint32_t) { return std::make_unique<Origin>(config); });
    Begin();
  }
  explicit World(RawServer::Script script) {
    origin = net.Add("origin", [script](uint32_t) { return std::make_unique<RawServer>(script); });
    Begin();
  }
  void Begin() {
    client = net.Add("client", [](uint32_t) { return std::make_unique<FetchMachine>(); });
    net.SetName("origin", {net.address(origin)});
    net.Run(1ms);
  }
  FetchMachine& m() { return net.machine<FetchMachine>(client); }
  void Fetch(uint32_t id, ByteRange range, Validator validator = {}, std::string_view url = "http://origin/film") {
    Do<FetchMachine>(net, client, [=, u = std::string(url)](Turn& turn, FetchMachine& f) { f.Fetch(turn, FetchId{id}, u, range, validator); });
  }
  FetchMachine::Fetched Get(uint32_t id, ByteRange range, Validator validator = {}, std::string_view url = "http://origin/film") {
    Fetch(id, range, validator, url);
    EXPECT_TRUE(net.RunUntil([&] { return m().got[FetchId{id}].over(); }, 200s));
    return m().got[FetchId{id}];
  }
  std::string File(uint64_t first, uint64_t size) {
    std::vector<uint8_t> bytes(size);
    net.machine<Origin>(origin).content("/film")->Read(first, absl::MakeSpan(bytes));
    return std::string(AsText(Bytes(bytes)));
  }
  RawServer& raw() { return net.machine<RawServer>(origin); }
  MemHost net;
  Node origin = 0, client = 0;
};

std::string Partial(std::string_view range, std::string_view body, std::string_view more = "") {
  return absl::StrCat("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes ", std::string(range), "\r\nContent-Length: ", body.size(), "\r\n",
                      std::string(more), "\r\n", std::string(body));
}
RawServer::Script Always(std::string bytes) {
  return [=](std::string_view, size_t) { return RawServer::Reply{.bytes = bytes}; };
}

// Half of the answer, then silence; what is asked for again, and how.
RawServer::Script StallsOnce(std::string tag, std::vector<std::string>& asked) {
  return [tag, &asked](std::string_view request, size_t) {
    asked.emplace_back(request);
    const std::string more = tag.empty() ? "" : absl::StrCat("ETag: ", tag, "\r\n");
    if (asked.size() > 1) return RawServer::Reply{.bytes = Partial("5-9/100", "56789", more)};
    std::string half = Partial("0-9/100", "0123456789", more);
    return RawServer::Reply{.bytes = half.substr(0, half.size() - 5)};
  };
}

TEST(RangeFetcherTest, WhatStallsIsResumedOverAnotherConnection) {
  std::vector<std::string> asked;
  World w(StallsOnce("\"v1\"", asked));
  const auto got = w.Get(1, {0, 9});
  EXPECT_TRUE(got.done);
  EXPECT_EQ(got.bytes, "0123456789");
  EXPECT_EQ(w.m().fetcher.stats().resumed, 1u);
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_THAT(asked[1], HasSubstr("Range: bytes=5-9"));
  EXPECT_THAT(asked[1], HasSubstr("If-Range: \"v1\""));
}

TEST(RangeFetcherTest, ButNotIfItsStateHasNoName) {
  std::vector<std::string> asked;
  World w(StallsOnce("", asked));
  EXPECT_EQ(w.Get(1, {0, 9}).why, Failure::kStalled);
  EXPECT_EQ(asked.size(), 1u);
}

TEST(RangeFetcherTest, NorForEver) {
  World w([](std::string_view, size_t) { return RawServer::Reply{}; });
  EXPECT_NE(w.Get(1, {0, 9}).why, Failure::kNone);
  EXPECT_EQ(w.m().fetcher.stats().resumed, RangeFetcher::kResumesMax);
}

TEST(RangeFetcherTest, AFileInChunksComesOverAFewKeptConnections) {
  World w;
  for (uint32_t i = 0; i < kFilm / kChunk; ++i) w.Fetch(i, {i * kChunk, (i + 1) * kChunk - 1});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.m().fetcher.stats().done == kFilm / kChunk; }, 20s));
  for (uint32_t i = 0; i < kFilm / kChunk; ++i) EXPECT_TRUE(w.m().got[FetchId{i}].bytes == w.File(i * kChunk, kChunk)) << i;
  EXPECT_EQ(w.m().connections_max, RangeFetcher::kConnectionsPerOrigin);
  EXPECT_EQ(w.net.machine<Origin>(w.origin).stats().connections, RangeFetcher::kConnectionsPerOrigin);
  EXPECT_EQ(w.m().fetcher.stats().reused, kFilm / kChunk - RangeFetcher::kConnectionsPerOrigin);
  EXPECT_EQ(w.m().fetcher.fetches(), 0u);
  w.net.Run(20s);  // Idle ones are closed.
  EXPECT_EQ(w.m().fetcher.connections(), 0u);
  EXPECT_EQ(w.m().fetcher.next_deadline(), kNever);
}

TEST(RangeFetcherTest, TheHeadSaysTheSizeAndTheState) {
  World w(OriginConfig{.last_modified = "Sun, 06 Nov 1994 08:49:37 GMT"});
  const auto got = w.Get(1, {0, 0});
  EXPECT_EQ(got.size, kFilm);
  EXPECT_EQ(got.validator.etag, w.net.machine<Origin>(w.origin).content("/film")->etag());
  EXPECT_EQ(got.validator.last_modified, "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_TRUE(w.Get(2, {5, 6}, got.validator).done);
}

TEST(RangeFetcherTest, AnythingButTheRangeIsAFailureThatSaysWhat) {
  const struct { std::string answer; Failure why; int status; } kCases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", Failure::kWholeAnswer, 200},
      {"HTTP/1.1 416 No\r\nContent-Range: bytes */3\r\nContent-Length: 0\r\n\r\n", Failure::kUnsatisfiable, 416},
      {"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", Failure::kStatus, 404},
      {"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", Failure::kStatus, 302},
      {Partial("4-6/10", "456"), Failure::kWrongRange, 206},
      {Partial("3-6/10", "3456"), Failure::kWrongRange, 206},
      {Partial("3-4/10", "34"), Failure::kWrongRange, 206},
      {Partial("3-5/10", "34"), Failure::kWrongRange, 206},
      {Partial("3-5/10", "3456"), Failure::kWrongRange, 206},
      {Partial("3-5/10", "345", "Content-Range: bytes 0-2/10\r\n"), Failure::kWrongRange, 206},
      {"HTTP/1.1 206 OK\r\nContent-Length: 3\r\n\r\n345", Failure::kWrongRange, 206},
      {"HTTP/1.1 206 OK\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: 3\r\n\r\n345", Failure::kWrongRange, 206},
      {"HTTP/1.1 206 OK\r\nContent-Range: bytes 3-5/10\r\nETag: \"old\"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n34\r\n0\r\n\r\n", Failure::kWrongRange, 206},
      {"HTTP/1.1 206 OK\r\nContent-Range: bytes 3-5/10\r\nETag: \"old\"\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n3456\r\n0\r\n\r\n", Failure::kWrongRange, 206},
      {Partial("3-5/10", "345", "Content-Encoding: gzip\r\n"), Failure::kEncoded, 206},
      {Partial("3-5/10", "345", "ETag: \"new\"\r\n"), Failure::kChanged, 206},
      {Partial("3-5/10", "345"), Failure::kChanged, 206},
      {Partial("3-5/10", "345", "ETag: W/\"old\"\r\n"), Failure::kChanged, 206},
      {Partial("3-5/10", "345", "ETag: \"old\"\r\n"), Failure::kNone, 206},
      {"SSH-2.0-OpenSSH\r\n", Failure::kBadMessage, 0},
  };
  for (const auto& c : kCases) {
    World w(Always(c.answer));
    const auto got = w.Get(1, {3, 5}, {.etag = "\"old\"", .last_modified = ""});
    EXPECT_EQ(got.why, c.why) << c.answer << NameOf(got.why);
    EXPECT_EQ(got.done, c.why == Failure::kNone) << c.answer;
    if (!got.done) { EXPECT_EQ(got.status, c.status) << c.answer; }
    EXPECT_THAT(w.raw().requests.at(0), HasSubstr("Range: bytes=3-5\r\nIf-Range: \"old\"\r\n"));
    EXPECT_THAT(w.raw().requests.at(0), HasSubstr("Accept-Encoding: identity\r\n"));
    w.net.Run(20s);
    EXPECT_EQ(w.m().fetcher.connections(), 0u);
  }
}

TEST(RangeFetcherTest, ABodyCutOffKeepsWhatCame) {
  World w([](std::string_view, size_t) { return RawServer::Reply{.bytes = "HTTP/1.1 206 OK\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10\r\n\r\n01234", .end = true}; });
  const auto got = w.Get(1, {0, 9});
  EXPECT_EQ(got.why, Failure::kClosedEarly);
  EXPECT_EQ(got.bytes, "01234");
}

TEST(RangeFetcherTest, AKeptConnectionThatClosesAsWeAskIsNoAnswer) {
  World w([](std::string_view, size_t nth) {
    return nth == 1 ? RawServer::Reply{.bytes = "", .end = true} : RawServer::Reply{.bytes = Partial("0-2/10", "012")};
  });
  EXPECT_TRUE(w.Get(1, {0, 2}).done);
  EXPECT_TRUE(w.Get(2, {0, 2}).done);
  EXPECT_EQ(w.m().fetcher.stats().retried, 1u);
  EXPECT_EQ(w.raw().connections, 2u);
}

TEST(RangeFetcherTest, AFreshConnectionThatClosesIsAFailure) {
  World w([](std::string_view, size_t) { return RawServer::Reply{.bytes = "", .reset = true}; });
  EXPECT_EQ(w.Get(1, {0, 2}).why, Failure::kReset);
  EXPECT_EQ(w.raw().connections, 1u);
}

TEST(RangeFetcherTest, BytesThatNobodyAskedForEndTheConnection) {
  World w(Always(Partial("0-2/10", "012") + Partial("0-2/10", "evil")));
  EXPECT_EQ(w.Get(1, {0, 2}).bytes, "012");
  EXPECT_EQ(w.m().fetcher.connections(), 0u);
}

TEST(RangeFetcherTest, ACancelledFetchIsSilentAndMakesRoom) {
  World w(OriginConfig{.rate = 100'000});
  for (uint32_t i = 0; i < 10; ++i) w.Fetch(i, {i * kChunk, i * kChunk + 99'999});
  w.net.Run(300ms);
  Do<FetchMachine>(w.net, w.client, [](Turn& turn, FetchMachine& f) {
    FetchNews news;
    EXPECT_TRUE(f.fetcher.Cancel(turn, f.ids, FetchId{0}, news));  // Under way.
    EXPECT_TRUE(f.fetcher.Cancel(turn, f.ids, FetchId{9}, news));  // Waiting.
    EXPECT_FALSE(f.fetcher.Cancel(turn, f.ids, FetchId{0}, news));
    f.Take(news);
  });
  const size_t before = w.m().got[FetchId{0}].bytes.size();
  w.net.Run(8s);
  EXPECT_EQ(w.m().got[FetchId{0}].bytes.size(), before);
  EXPECT_FALSE(w.m().got[FetchId{9}].started);
  for (uint32_t i = 1; i < 9; ++i) EXPECT_TRUE(w.m().got[FetchId{i}].done) << i;
}

TEST(RangeFetcherTest, SaysWhyAnOriginCannotBeReached) {
  World w;
  EXPECT_EQ(w.Get(1, {0, 1}, {}, "http://nobody/film").why, Failure::kNoName);
  EXPECT_EQ(w.Get(2, {0, 1}, {}, "http://origin:81/film").why, Failure::kRefused);
  EXPECT_EQ(w.Get(3, {0, 1}, {}, "https://origin/film").why, Failure::kBadUrl);
  EXPECT_EQ(w.Get(4, {0, 1}, {}, "http://10.9.9.9/film").why, Failure::kUnreachable);
  w.net.SetName("two", {*Endpoint::Parse("10.9.9.9:1"), w.net.address(w.origin)});
  for (uint32_t i = 10; i < 14; ++i) w.Fetch(i, {i, i + 100}, {}, "http://two/film");
  ASSERT_TRUE(w.net.RunUntil([&] { return w.m().fetcher.fetches() == 0; }, 30s));
  for (uint32_t i = 10; i < 14; ++i) EXPECT_TRUE(w.m().got[FetchId{i}].done) << i;
}

TEST(RangeFetcherTest, MoreThanItsTablesHoldFailsAtOnce) {
  World w(OriginConfig{.rate = 1000});
  Do<FetchMachine>(w.net, w.client, [](Turn& turn, FetchMachine& f) {
    for (uint32_t i = 0; i <= RangeFetcher::kFetchesMax; ++i) f.Fetch(turn, FetchId{i}, "http://origin/film", {0, 10});
  });
  EXPECT_EQ(w.m().got[FetchId{uint32_t(RangeFetcher::kFetchesMax)}].why, Failure::kTooMany);
  EXPECT_EQ(w.m().fetcher.fetches(), RangeFetcher::kFetchesMax);
  Do<FetchMachine>(w.net, w.client, [](Turn& turn, FetchMachine& f) { f.fetcher.Clear(turn); });
  EXPECT_EQ(w.m().fetcher.next_deadline(), kNever);
}

TEST(RangeFetcherTest, TheSameSeedGivesTheSameRun) {
  std::string first;
  for (int run = 0; run < 2; ++run) {
    World w;
    for (uint32_t i = 0; i < 8; ++i) w.Fetch(i, {i * kChunk, (i + 1) * kChunk - 1});
    w.net.Run(5s);
    EXPECT_EQ(w.m().fetcher.stats().done, 8u);
    if (run == 0) first = w.net.fingerprint();
    else EXPECT_EQ(w.net.fingerprint(), first);
  }
}

// The name is judged by where it leads, so it cannot lead elsewhere when it is connected to.
TEST(RangeFetcherTest, ReachesOnlyWhatItsRulesAllow) {
  World w;
  w.m().fetcher.SetRules({.public_only = true, .own = {}});
  EXPECT_EQ(w.Get(1, {0, 9}).why, Failure::kForbidden);                                // 10.0.0.1, by name.
  EXPECT_EQ(w.Get(2, {0, 9}, {}, "http://10.0.0.1/film").why, Failure::kForbidden);
  EXPECT_EQ(w.Get(3, {0, 9}, {}, "http://nobody/film").why, Failure::kNoName);
  EXPECT_EQ(w.m().fetcher.connections(), 0u);
  w.m().fetcher.SetRules({});
  EXPECT_TRUE(w.Get(4, {0, 9}).done);
}

}  // namespace
}  // namespace orchard::http
