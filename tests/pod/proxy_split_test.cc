#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "tests/pod/proxy_net.h"

namespace orchard::pod {
namespace {

using namespace std::chrono_literals;
using http::Failure;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uint64_t kFilm = 1'000'003;

TEST(ProxySplitTest, AFileIsTheSameByteForByteAndComesOverThePod) {
  ProxyNet p;
  const std::string url = p.Serve({.files = {{"/film", kFilm}}}) + "/film";
  const auto r = p.Get(url);
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.bytes, kFilm);
  EXPECT_EQ(r.sha256, p.origin().content("/film")->Sha256());
  EXPECT_EQ(p.stats().split, 1u);
  EXPECT_EQ(p.stats().pod_bytes, kFilm - (16 << 10));
  EXPECT_EQ(p.machine().proxy.transfers(), 0u);
  // Only what is left of it was asked of the pod, of that very state.
  ASSERT_EQ(p.machine().pod.requests.size(), 1u);
  EXPECT_EQ(p.machine().pod.requests[0].first, 16u << 10);
  EXPECT_EQ(p.machine().pod.requests[0].last, kFilm - 1);
  EXPECT_EQ(p.machine().pod.requests[0].validator.etag, p.origin().content("/film")->etag());
}

TEST(ProxySplitTest, RangesAreCutToTheByte) {
  ProxyNet p;
  const std::string url = p.Serve({.files = {{"/film", kFilm}}}) + "/film";
  struct Case { std::string range; uint64_t first, last; size_t splits; };
  for (const Case& c : {Case{"1000-400999", 1000, 400'999, 1}, Case{"600000-", 600'000, kFilm - 1, 1}, Case{"5-9999999", 5, kFilm - 1, 1},
                        Case{"7-7", 7, 7, 0}, Case{"1000000-", 1'000'000, kFilm - 1, 0}, Case{"-500000", kFilm - 500'000, kFilm - 1, 0}}) {
    const uint64_t before = p.stats().split;
    const auto r = p.Get(url, c.range);
    EXPECT_EQ(r.status, 206) << c.range;
    ASSERT_TRUE(r.content_range.has_value()) << c.range;
    EXPECT_EQ(r.content_range->range, (http::ByteRange{c.first, c.last})) << c.range;
    EXPECT_EQ(r.content_range->size, kFilm) << c.range;
    EXPECT_EQ(r.bytes, c.last - c.first + 1) << c.range;
    EXPECT_EQ(r.sha256, p.origin().content("/film")->Sha256(c.first, c.last - c.first + 1)) << c.range;
    EXPECT_EQ(p.stats().split - before, c.splits) << c.range;
  }
  EXPECT_EQ(p.Get(url, "2000000-").status, 416);
  EXPECT_EQ(p.Get(url, "0-1,500000-900000").status, 200);  // This origin gives the whole for several; as it is.
}

TEST(ProxySplitTest, TheHeadIsTheOriginsMadeWhole) {
  ProxyNet p;
  const std::string base = p.Script([](std::string_view request, size_t) {
    EXPECT_THAT(std::string(request), HasSubstr("Range: bytes=0-16383\r\n"));
    return RawServer::Reply{"HTTP/1.1 206 Partial Content\r\nServer: x\r\nETag: \"1\"\r\nContent-Range: bytes 0-3/4\r\nContent-Length: 4\r\n"
                            "Content-MD5: x\r\nContent-Digest: y\r\nX-Last: 1\r\n\r\nfour"};
  });
  EXPECT_EQ(p.Exchange("GET " + base + "/ HTTP/1.1\r\nHost: x\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nServer: x\r\nETag: \"1\"\r\nContent-Length: 4\r\nX-Last: 1\r\n\r\nfour");
  EXPECT_EQ(p.stats().split, 0u);  // It was whole already.
}

TEST(ProxySplitTest, EightDownloadsAtOnceAreEachRight) {
  ProxyNet p;
  http::OriginConfig config;
  for (int i = 0; i < 8; ++i) config.files["/f" + std::to_string(i)] = 300'000 + uint64_t(i) * 1111;
  const std::string base = p.Serve(config);
  std::vector<http::GetId> gets;
  for (int i = 0; i < 8; ++i) gets.push_back(p.Start(base + "/f" + std::to_string(i)));
  for (int i = 0; i < 8; ++i) {
    const auto& r = p.Wait(gets[size_t(i)]);
    EXPECT_EQ(r.sha256, p.origin().content("/f" + std::to_string(i))->Sha256()) << i;
  }
  EXPECT_EQ(p.stats().split, 8u);
}

TEST(ProxySplitTest, OriginsThatGiveNoPartsPassAsTheyAre) {
  using Origin = http::OriginConfig;
  struct Case { const char* what; Origin config; int status; uint64_t bytes; };
  const Case cases[] = {{"no ranges", Origin{.ranges = false}, 200, kFilm},        {"chunked", Origin{.ranges = false, .chunked = true}, 200, kFilm},
                        {"404", Origin{.status = 404}, 404, 0},                    {"redirect", Origin{.redirect = "http://x.example/"}, 302, 0},
                        {"no validator", Origin{.etags = false}, 200, kFilm}};
  for (const Case& c : cases) {
    ProxyNet p;
    Origin config = c.config;
    config.files = {{"/film", kFilm}, {"/empty", 0}, {"/small", 20'000}};
    const std::string base = p.Serve(config);
    const auto r = p.Get(base + "/film");
    EXPECT_EQ(r.why, Failure::kNone) << c.what;
    EXPECT_EQ(r.status, c.status) << c.what;
    if (c.bytes > 0) {
      EXPECT_EQ(r.sha256, p.origin().content("/film")->Sha256()) << c.what;
      EXPECT_EQ(p.Get(base + "/small").sha256, p.origin().content("/small")->Sha256()) << c.what;
    }
    EXPECT_EQ(p.stats().split, 0u) << c.what;
    EXPECT_EQ(p.stats().probed > 0, true) << c.what;
  }
}

TEST(ProxySplitTest, EmptyAndSmallFilesAreNotSplit) {
  ProxyNet p;
  const std::string base = p.Serve({.files = {{"/empty", 0}, {"/one", 1}, {"/chunk", 16 << 10}, {"/more", 20'000}, {"/almost", (32 << 10) - 1}, {"/two", 32 << 10}}});
  for (const char* path : {"/empty", "/one", "/chunk", "/more", "/almost", "/two"}) {
    const auto r = p.Get(base + path);
    EXPECT_EQ(r.status, 200) << path;
    EXPECT_EQ(r.sha256, p.origin().content(path)->Sha256()) << path;
    EXPECT_EQ(p.stats().split, std::string(path) == "/two" ? 1u : 0u) << path;
  }
  EXPECT_EQ(p.stats().alone, 2u);  // One request more, of us.
}

TEST(ProxySplitTest, WhatIsOneClientsAlonePassesAsItIs) {
  for (const char* header : {"Cookie: a=b", "Authorization: Basic eA==", "X-Api-Key: 1", "Cache-Control: no-store", "Range: bytes=0-1,100000-900000",
                             "Range: lines=1-2", "Range: bytes=-900000"}) {
    ProxyNet p;
    const std::string base = p.Script([](auto, auto) { return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"}; });
    p.Exchange("GET " + base + "/ HTTP/1.1\r\nHost: " + base.substr(7) + "\r\n" + header + "\r\n\r\n");
    ASSERT_EQ(p.server().requests.size(), 1u) << header;
    EXPECT_EQ(p.server().requests[0], "GET / HTTP/1.1\r\nHost: " + base.substr(7) + "\r\n" + header + "\r\n\r\n");
    EXPECT_EQ(p.stats().probed, 0u) << header;
  }
}

// A file of 100,000 letters that is served in ranges, with headers of the test's choice.
RawServer::Reply Part(std::string_view request, std::string headers) {
  const size_t at = request.find("Range: bytes=");
  std::string body(100'000, 'x');
  for (size_t i = 0; i < body.size(); ++i) body[i] = char('a' + i * 7 % 23);
  if (at == request.npos) return {"HTTP/1.1 200 OK\r\n" + headers + "Content-Length: 100000\r\n\r\n" + body};
  const auto range = http::RangeRequest::Parse(request.substr(at + 7, request.find('\r', at) - at - 7)).Resolve(body.size());
  return {"HTTP/1.1 206 Partial Content\r\n" + headers + "Content-Range: bytes " + std::to_string(range->first) + "-" + std::to_string(range->last) +
          "/100000\r\nContent-Length: " + std::to_string(range->size()) + "\r\n\r\n" + body.substr(range->first, range->size())};
}
Key32 PartsSum() {
  const std::string whole = Part("", "").bytes;
  return crypto::Sha256(AsBytes(whole.substr(whole.size() - 100'000)));
}

TEST(ProxySplitTest, AnswersForOneClientOrWithoutAStateAreAskedForWhole) {
  for (const char* headers : {"", "ETag: W/\"1\"\r\n", "ETag: \"1\"\r\nSet-Cookie: a=b\r\n", "ETag: \"1\"\r\nCache-Control: max-age=1, private\r\n",
                              "ETag: \"1\"\r\nContent-Encoding: gzip\r\n", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nVary: Accept-Language\r\n"}) {
    ProxyNet p;
    const std::string base = p.Script([headers](std::string_view r, size_t) { return Part(r, headers); });
    const auto r = p.Get(base + "/");
    EXPECT_EQ(r.status, 200) << headers;
    EXPECT_EQ(r.sha256, PartsSum()) << headers;
    EXPECT_EQ(p.stats().asked_again, 1u) << headers;
    EXPECT_EQ(p.stats().split, 0u) << headers;
    EXPECT_THAT(p.server().requests.back(), Not(HasSubstr("Range"))) << headers;
  }
}

TEST(ProxySplitTest, ADateIsAStateAndPartsAreHeldToIt) {
  ProxyNet p;
  const std::string changed = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
  const std::string base = p.Script([&](std::string_view r, size_t) { return Part(r, changed + "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"); });
  EXPECT_EQ(p.Get(base + "/").sha256, PartsSum());
  EXPECT_EQ(p.stats().split, 1u);
  ProxyNet q;  // Within that second it may change again.
  const std::string fresh = q.Script([&](std::string_view r, size_t) { return Part(r, changed + "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"); });
  EXPECT_EQ(q.Get(fresh + "/").sha256, PartsSum());
  EXPECT_EQ(q.stats().split, 0u);
  for (size_t i = 1; i < p.server().requests.size(); ++i) EXPECT_THAT(p.server().requests[i], HasSubstr("If-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
}

TEST(ProxySplitTest, ADigestOfTheOriginGoesToThePodWithTheWhole) {
  for (bool lies : {false, true}) {
    for (std::string field : {"Repr-Digest: sha-512=:YQ==:, sha-256=:", "Digest: SHA-256="}) {
      ProxyNet p;
      Key32 sum = PartsSum();
      if (lies) sum[0] ^= 1;
      std::string base64 = absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(sum.data()), 32));
      if (field[0] == 'R') base64 += ":";
      const std::string headers = "ETag: \"1\"\r\n" + field + base64 + "\r\n";
      const std::string base = p.Script([headers](std::string_view r, size_t) { return Part(r, headers); });
      const auto r = p.Get(base + "/");
      ASSERT_EQ(p.machine().pod.requests.size(), 1u);
      EXPECT_EQ(p.machine().pod.requests[0].sha256, sum);
      EXPECT_EQ(p.machine().pod.requests[0].first, 0u);
      EXPECT_EQ(r.ok(), !lies) << field;
      EXPECT_EQ(r.sha256 == PartsSum(), !lies);
    }
  }
}

TEST(ProxySplitTest, AnOriginThatChangesCutsTheAnswer) {
  for (bool alone : {false, true}) {
    ProxyNet p;
    p.machine().pod.declines = alone;
    const std::string base = p.Script([](std::string_view r, size_t nth) { return Part(r, nth == 0 ? "ETag: \"1\"\r\n" : "ETag: \"2\"\r\n"); });
    const auto r = p.Get(base + "/");
    EXPECT_FALSE(r.ok());
    EXPECT_EQ(r.bytes, 16u << 10);  // Nothing of the other state.
    EXPECT_EQ(p.stats().cut, 1u);
    EXPECT_EQ(p.machine().proxy.transfers(), 0u);
  }
}

TEST(ProxySplitTest, WithoutThePodTheRestIsAskedForAlone) {
  ProxyNet p;
  p.machine().pod.declines = true;
  const std::string url = p.Serve({.files = {{"/film", kFilm}}}) + "/film";
  EXPECT_EQ(p.Get(url).sha256, p.origin().content("/film")->Sha256());
  EXPECT_EQ(p.origin().stats().connections, 1u);  // The kept one.
  EXPECT_EQ(p.origin().stats().requests, 2u);
}

TEST(ProxySplitTest, AloneThereIsNoPodAndNothingIsProbed) {
  ProxyNet p;
  p.machine().pod.members = 0;
  const std::string url = p.Serve({.files = {{"/film", kFilm}}}) + "/film";
  EXPECT_EQ(p.Get(url).sha256, p.origin().content("/film")->Sha256());
  EXPECT_EQ(p.stats().probed, 0u);
  EXPECT_EQ(p.origin().stats().requests, 1u);
}

TEST(ProxySplitTest, WhenThePodFailsHalfwayTheRestComesAllTheSame) {
  for (uint64_t after : {uint64_t{1}, uint64_t{300'000}, kFilm - (16 << 10)}) {
    ProxyNet p;
    p.machine().pod.fails_after = after;
    const std::string url = p.Serve({.files = {{"/film", kFilm}}}) + "/film";
    const auto r = p.Get(url);
    EXPECT_EQ(r.sha256, p.origin().content("/film")->Sha256()) << after;
    EXPECT_EQ(r.bytes, kFilm);
  }
}

TEST(ProxySplitTest, ALieThatIsFoundOutLateIsCutBeforeTheLastByte) {
  for (Ending how : {Ending::kHashMismatch, Ending::kPoisoned}) {
    ProxyNet p;
    p.machine().pod.fails_after = kFilm - (16 << 10);  // All was delivered.
    p.machine().pod.fails_how = how;
    const std::string url = p.Serve({.files = {{"/film", kFilm}}}) + "/film";
    const auto r = p.Get(url);
    EXPECT_FALSE(r.ok());
    EXPECT_LT(r.bytes, kFilm);
  }
}

TEST(ProxySplitTest, TheOriginsConnectionsMayBreakAndTheAnswerDoesNot) {
  ProxyNet p;
  p.machine().pod.declines = true;
  const std::string base = p.Script([](std::string_view r, size_t nth) {
    RawServer::Reply reply = Part(r, "ETag: \"1\"\r\n");
    if (nth == 1 || nth == 2) reply.bytes.resize(reply.bytes.size() / 2), reply.end = true;
    return reply;
  });
  EXPECT_EQ(p.Get(base + "/").sha256, PartsSum());
  EXPECT_EQ(p.server().requests.size(), 4u);
  // Not forever.
  ProxyNet q;
  q.machine().pod.declines = true;
  const std::string broken = q.Script([](std::string_view r, size_t nth) {
    RawServer::Reply reply = Part(r, "ETag: \"1\"\r\n");
    if (nth > 0) reply.bytes.resize(200), reply.end = true;
    return reply;
  });
  EXPECT_EQ(q.Get(broken + "/").why, Failure::kClosedEarly);  // Short, and not reset: what came is the client's.
  EXPECT_EQ(q.server().requests.size(), 2u + ProxyClient::kResumesMax);
}

TEST(ProxySplitTest, AClientThatHangsUpAbortsItsDownload) {
  ProxyNet p;
  const std::string base = p.Serve({.files = {{"/film", 20'000'000}}, .rate = 200'000});
  RawClient& c = p.Raw({.script = "GET " + base + "/film HTTP/1.1\r\nHost: x\r\n\r\n"});
  p.net.Run(2s);
  ASSERT_EQ(p.machine().proxy.transfers(), 1u);
  c.todo = [](Turn& turn, RawClient&) { turn.out.Close(StreamId{1}); };
  p.net.Run(5s);
  EXPECT_EQ(p.machine().proxy.transfers(), 0u);
  EXPECT_EQ(p.machine().pod.aborted, 1u);
  EXPECT_EQ(p.machine().proxy.tunnels_and_origins(), 0u);
}

TEST(ProxySplitTest, ASlowClientHoldsThePodBackAndNothingGrows) {
  ProxyNet p;
  const std::string base = p.Serve({.files = {{"/film", 50'000'000}}});
  p.Raw({.script = "GET " + base + "/film HTTP/1.1\r\nHost: x\r\n\r\n", .reads = false});
  p.net.Run(60s);
  EXPECT_GT(p.machine().held_max, 0u);
  EXPECT_LE(p.machine().held_max, p.machine().pod.window + (p.machine().pod.chunk) + (16 << 10));
  EXPECT_LE(p.origin().stats().body_bytes, 1u << 20);
}

TEST(ProxySplitTest, NoMoreThanSoManyAreSplitAtOnce) {
  ProxyNet p;
  const std::string base = p.Serve({.files = {{"/film", 1'000'000}}});
  for (size_t i = 0; i < ProxyClient::kTransfersMax + 3; ++i) p.Raw({.script = "GET " + base + "/film HTTP/1.1\r\nHost: x\r\n\r\n", .reads = false}), p.net.Run(1s);
  EXPECT_EQ(p.machine().proxy.transfers(), ProxyClient::kTransfersMax);
  EXPECT_EQ(p.stats().split, ProxyClient::kTransfersMax);
  EXPECT_EQ(p.stats().requests, ProxyClient::kTransfersMax + 3);
}

TEST(ProxySplitTest, IfRangeOfTheClientIsTheOriginsToJudge) {
  ProxyNet p;
  const std::string base = p.Serve({.files = {{"/film", kFilm}}});
  const std::string tag = p.origin().content("/film")->etag();
  auto ask = [&](std::string if_range) {
    return p.Exchange("GET " + base + "/film HTTP/1.1\r\nHost: x\r\nRange: bytes=900000-\r\nIf-Range: " + if_range + "\r\n\r\n", 20s);
  };
  EXPECT_THAT(ask(tag), AllOf(StartsWith("HTTP/1.1 206 "), HasSubstr("Content-Range: bytes 900000-1000002/1000003\r\n")));
  EXPECT_EQ(p.stats().split, 1u);
  EXPECT_THAT(ask("\"other\""), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Length: 1000003\r\n")));
  EXPECT_EQ(p.stats().split, 1u);
}

TEST(ProxySplitTest, OneConnectionGetsFileAfterFile) {
  ProxyNet p;
  const std::string base = p.Serve({.files = {{"/film", kFilm}, {"/small", 3}}});
  const std::string head = " HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string got = p.Exchange("GET " + base + "/film" + head + "GET " + base + "/small" + head + "GET " + base + "/film" + head, 20s);
  std::string film(kFilm, ' ');
  p.origin().content("/film")->Read(0, absl::MakeSpan(reinterpret_cast<uint8_t*>(film.data()), film.size()));
  EXPECT_THAT(got, EndsWith(film));
  EXPECT_EQ(p.stats().split, 2u);
  EXPECT_EQ(p.stats().clients, 1u);
}

}  // namespace
}  // namespace orchard::pod
