// A server as its clients see it: the origin, and through it ServerConnection.

#include "node/http/origin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/crypto/sha256.h"
#include "tests/http/net.h"

namespace orchard::http {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Node = MemHost::NodeIndex;

constexpr uint64_t kFilm = 1'000'003;

struct World {
  explicit World(OriginConfig config = {}, MemHost::Options options = {}) : net(options) {
    if (config.files.empty()) config.files = {{"/film", kFilm}, {"/small", 10}, {"/empty", 0}};
    origin = net.Add("origin", [config](uint32_t) { return std::make_unique<Origin>(config); });
    net.Run(1ms);
  }
  Node Client(RawClient::Options options) {
    const Endpoint to = net.address(origin).with_port(80);
    return net.Add("client-" + std::to_string(net.size()), [=](uint32_t) { return std::make_unique<RawClient>(to, options); });
  }
  // What a client that says all that, and nothing more, hears until the server is silent.
  std::string Say(std::string script, bool end = true) {
    const Node c = Client({.script = std::move(script), .end = end});
    net.RunUntil([&] { return raw(c).closed.has_value(); }, 100s);
    return raw(c).got;
  }
  RawClient& raw(Node n) { return net.machine<RawClient>(n); }
  Origin& site() { return net.machine<Origin>(origin); }
  std::string File(std::string_view path, uint64_t first, uint64_t size) {
    std::vector<uint8_t> bytes(size);
    site().content(path)->Read(first, absl::MakeSpan(bytes));
    return std::string(AsText(Bytes(bytes)));
  }
  MemHost net;
  Node origin = 0;
};

std::string Ask(std::string_view path, std::string_view lines = "", std::string_view method = "GET") {
  return std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: origin\r\n" + std::string(lines) + "\r\n";
}
std::string BodyOf(const std::string& response) { return response.substr(response.find("\r\n\r\n") + 4); }

TEST(ContentTest, AnyPartIsTheSameHoweverItIsRead) {
  const Content film(7, "/film", 1000);
  std::vector<uint8_t> whole(1000);
  film.Read(0, absl::MakeSpan(whole));
  for (size_t at : {0, 1, 63, 64, 65, 127, 500, 999}) {
    for (size_t n : {0, 1, 2, 63, 64, 65, 200}) {
      if (at + n > whole.size()) continue;
      std::vector<uint8_t> part(n, 0x55);
      film.Read(at, absl::MakeSpan(part));
      EXPECT_EQ(Bytes(part), Bytes(whole).subspan(at, n)) << at << " " << n;
    }
  }
  EXPECT_EQ(film.Sha256(), crypto::Sha256(whole));
  EXPECT_EQ(film.Sha256(100, 300), crypto::Sha256(Bytes(whole).subspan(100, 300)));
  EXPECT_NE(film.Sha256(), Content(8, "/film", 1000).Sha256());
  EXPECT_NE(film.Sha256(), Content(7, "/filn", 1000).Sha256());
  EXPECT_NE(film.etag(), Content(7, "/film", 1001).etag());
}

TEST(OriginTest, ServesAFileWhole) {
  World w;
  const std::string said = w.Say(Ask("/film"));
  EXPECT_THAT(said, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(said, HasSubstr("Accept-Ranges: bytes\r\n"));
  EXPECT_THAT(said, HasSubstr("Content-Length: 1000003\r\n"));
  EXPECT_THAT(said, HasSubstr("ETag: " + w.site().content("/film")->etag()));
  EXPECT_EQ(crypto::Sha256(AsBytes(BodyOf(said))), w.site().content("/film")->Sha256());
}

TEST(OriginTest, ServesTheRangesOfRfc9110) {
  World w;
  const struct { std::string range, said; uint64_t first, size; } kCases[] = {
      {"bytes=0-0", "bytes 0-0/1000003", 0, 1}, {"bytes=100-199", "bytes 100-199/1000003", 100, 100}, {"bytes=1000000-", "bytes 1000000-1000002/1000003", 1000000, 3},
      {"bytes=-5", "bytes 999998-1000002/1000003", 999998, 5}, {"bytes=999999-9999999", "bytes 999999-1000002/1000003", 999999, 4}};
  for (const auto& c : kCases) {
    const std::string said = w.Say(Ask("/film", "Range: " + c.range + "\r\n"));
    EXPECT_THAT(said, StartsWith("HTTP/1.1 206 Partial Content\r\n"));
    EXPECT_THAT(said, HasSubstr("Content-Range: " + c.said + "\r\n"));
    EXPECT_EQ(BodyOf(said), w.File("/film", c.first, c.size));
  }
  EXPECT_THAT(w.Say(Ask("/film", "Range: bytes=1000003-\r\n")), HasSubstr("416 Range Not Satisfiable\r\nContent-Range: bytes */1000003\r\n"));
  EXPECT_THAT(w.Say(Ask("/small", "Range: bytes=0-1,4-5\r\n")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(w.Say(Ask("/small", "Range: lines=0-1\r\n")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(w.Say(Ask("/small", "Range: bytes=0-1\r\n", "HEAD")), StartsWith("HTTP/1.1 200"));
  const std::string tag = w.site().content("/small")->etag();
  EXPECT_THAT(w.Say(Ask("/small", "Range: bytes=0-1\r\nIf-Range: " + tag + "\r\n")), StartsWith("HTTP/1.1 206"));
  EXPECT_THAT(w.Say(Ask("/small", "Range: bytes=0-1\r\nIf-Range: W/" + tag + "\r\n")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(w.Say(Ask("/small", "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n")), StartsWith("HTTP/1.1 200"));
}

TEST(OriginTest, WithoutRangesItSendsTheWhole) {
  World w({.ranges = false});
  const std::string said = w.Say(Ask("/small", "Range: bytes=0-1\r\n"));
  EXPECT_THAT(said, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(said, Not(HasSubstr("Accept-Ranges")));
  EXPECT_EQ(BodyOf(said), w.File("/small", 0, 10));
}

TEST(OriginTest, HeadHasTheHeadersOfGetAndNoBody) {
  World w;
  const std::string head = w.Say(Ask("/film", "", "HEAD")), get = w.Say(Ask("/film"));
  EXPECT_EQ(head, get.substr(0, get.find("\r\n\r\n") + 4));
  EXPECT_THAT(w.Say(Ask("/empty")), EndsWith("Content-Length: 0\r\n\r\n"));
  EXPECT_THAT(w.Say(Ask("/none")), StartsWith("HTTP/1.1 404 Not Found"));
  EXPECT_THAT(w.Say(Ask("/film", "", "DELETE")), HasSubstr("405 Method Not Allowed\r\nAllow: GET, HEAD"));
  EXPECT_EQ(BodyOf(w.Say("GET http://origin/small?q HTTP/1.1\r\nHost: origin\r\n\r\n")), w.File("/small", 0, 10));
}

TEST(OriginTest, PipelinedRequestsAreAnsweredInOrder) {
  World w;
  const std::string script = Ask("/small", "Range: bytes=0-3\r\n") + Ask("/none") + Ask("/film") + Ask("/small", "Range: bytes=4-9\r\n");
  for (size_t piece : {SIZE_MAX, size_t{1}, size_t{50}}) {
    const Node c = w.Client({.script = script, .piece = piece, .end = true});
    ASSERT_TRUE(w.net.RunUntil([&] { return w.raw(c).closed.has_value(); }, 60s));
    EXPECT_EQ(w.raw(c).closed, absl::StatusCode::kOk);
    const std::string& said = w.raw(c).got;
    EXPECT_THAT(said, StartsWith("HTTP/1.1 206"));
    EXPECT_THAT(said, EndsWith(w.File("/small", 4, 6)));
    const size_t missing = said.find("HTTP/1.1 404"), film = said.find("HTTP/1.1 200"), last = said.rfind("HTTP/1.1 206");
    EXPECT_LT(missing, film);
    EXPECT_LT(film, last);
    EXPECT_EQ(crypto::Sha256(AsBytes(said.substr(said.find("\r\n\r\n", film) + 4, kFilm))), w.site().content("/film")->Sha256());
  }
}

TEST(OriginTest, ManyPipelinedRequestsWaitForTheirReader) {
  World w;
  std::string script;
  for (int i = 0; i < 3000; ++i) script += Ask("/small");
  const Node c = w.Client({.script = script.substr(0, 200'000), .reads = false});
  w.net.Run(2s);
  EXPECT_GT(w.site().stats().requests, 100u);
  EXPECT_LT(w.site().stats().requests, 2000u);  // A window of answers, and not one more.
  EXPECT_EQ(w.raw(c).got, "");
}

TEST(OriginTest, ClientsOfHttp10AreServedAndLetGo) {
  World w;
  const Node c = w.Client({.script = "GET /small HTTP/1.0\r\n\r\n"});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.raw(c).closed.has_value(); }, 1s));
  EXPECT_EQ(w.raw(c).closed, absl::StatusCode::kOk);
  EXPECT_THAT(w.raw(c).got, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(BodyOf(w.raw(c).got), w.File("/small", 0, 10));
  const std::string kept = w.Say("GET /small HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /small HTTP/1.0\r\n\r\n", false);
  EXPECT_THAT(kept, HasSubstr("Connection: keep-alive\r\n"));
  EXPECT_THAT(kept, HasSubstr("Connection: close\r\n"));

  World chunked({.chunked = true});
  EXPECT_EQ(BodyOf(chunked.Say("GET /small HTTP/1.0\r\n\r\n", false)), chunked.File("/small", 0, 10));
  EXPECT_THAT(chunked.Say(Ask("/small")), EndsWith("a\r\n" + chunked.File("/small", 0, 10) + "\r\n0\r\n\r\n"));
}

TEST(OriginTest, AClientThatDripsItsHeadIsToldAndLetGo) {
  World w;
  const Instant start = w.net.now();
  const Node c = w.Client({.script = Ask("/small", "X: " + std::string(100, 'a') + "\r\n"), .piece = 1, .beat = 1s});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.raw(c).closed.has_value(); }, 60s));
  EXPECT_THAT(w.raw(c).got, StartsWith("HTTP/1.1 408 Request Timeout"));
  EXPECT_NEAR(double(ToMillis(w.raw(c).closed_at - start)), 10'000, 200);
}

TEST(OriginTest, SilentClientsAreLetGo) {
  World w;
  const Node mute = w.Client({});
  const Node idle = w.Client({.script = Ask("/small")});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.raw(mute).closed.has_value(); }, 11s));
  EXPECT_EQ(w.raw(mute).got, "");
  w.net.Run(30s);
  EXPECT_FALSE(w.raw(idle).closed.has_value());
  EXPECT_TRUE(w.net.RunUntil([&] { return w.raw(idle).closed.has_value(); }, 30s));
}

TEST(OriginTest, AClientThatDoesNotReadIsLetGoWithoutFillingMemory) {
  World w;
  const Node c = w.Client({.script = Ask("/film"), .reads = false});
  w.net.Run(20s);
  EXPECT_FALSE(w.raw(c).closed.has_value());
  EXPECT_LE(w.site().stats().body_bytes, kStreamWindow);
  EXPECT_TRUE(w.net.RunUntil([&] { return w.raw(c).closed.has_value(); }, 20s));
  EXPECT_EQ(w.raw(c).closed, absl::StatusCode::kAborted);
}

TEST(OriginTest, WhatIsNoRequestIsRefusedByNameAndCounted) {
  World w;
  const std::string said = w.Say("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" + Ask("/small"), false);
  EXPECT_THAT(said, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(said, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(said, EndsWith("\r\n\r\nlength-and-transfer-encoding\n"));
  w.net.Run(1s);
  EXPECT_EQ(w.site().stats().refused, 1u);
  EXPECT_EQ(w.site().stats().requests, 0u);
  EXPECT_THAT(w.Say("GET /" + std::string(10'000, 'a') + " HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 414"));
}

TEST(OriginTest, MisbehavesAsConfigured) {
  World redirects({.redirect = "http://elsewhere/"});
  EXPECT_THAT(redirects.Say(Ask("/film")), HasSubstr("302 Found\r\nLocation: http://elsewhere/\r\n"));
  World broken({.status = 503});
  EXPECT_THAT(broken.Say(Ask("/film")), StartsWith("HTTP/1.1 503"));
  World liar({.lie = 5});
  const std::string said = liar.Say(Ask("/small"));
  EXPECT_THAT(said, HasSubstr("Content-Length: 15\r\n"));
  EXPECT_EQ(BodyOf(said).size(), 10u);
}

TEST(OriginTest, ARateIsKept) {
  World w({.rate = 100'000});
  const Instant start = w.net.now();
  const Node c = w.Client({.script = Ask("/film", "Range: bytes=0-499999\r\nConnection: close\r\n")});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.raw(c).closed.has_value(); }, 20s));
  EXPECT_EQ(BodyOf(w.raw(c).got), w.File("/film", 0, 500'000));
  EXPECT_NEAR(double(ToMillis(w.raw(c).last - start)), 5000, 200);
}

// RFC 1952; the bytes of `printf hello | gzip -n` hold the same sum and size.
TEST(OriginTest, PacksForThoseWhoTakeIt) {
  World w({.files = {{"/small", 10}, {"/large", 100'000}, {"/empty", 0}}, .gzip = true});
  const std::string said = w.Say(Ask("/small", "Accept-Encoding: br, gzip\r\nRange: bytes=0-1\r\n"));
  EXPECT_THAT(said, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(said, HasSubstr("Content-Encoding: gzip\r\n"));
  EXPECT_THAT(said, HasSubstr("-gzip\"\r\n"));
  EXPECT_EQ(BodyOf(said).size(), StoredGzip::SizeOf(10));
  EXPECT_EQ(BodyOf(said).substr(15, 10), w.File("/small", 0, 10));
  EXPECT_EQ(BodyOf(w.Say(Ask("/small"))), w.File("/small", 0, 10));
  EXPECT_EQ(BodyOf(w.Say(Ask("/large", "Accept-Encoding: gzip\r\n"))).size(), StoredGzip::SizeOf(100'000));
  EXPECT_EQ(BodyOf(w.Say(Ask("/empty", "Accept-Encoding: gzip\r\n"))).size(), StoredGzip::SizeOf(0));
  StoredGzip hello;
  const std::string block = hello.Block(AsBytes("hello"), true);
  EXPECT_EQ(ToHex(AsBytes(StoredGzip::Header() + block + hello.Trailer())),
            "1f8b08000000000000ff010500faff68656c6c6f86a6103605000000");
}

}  // namespace
}  // namespace orchard::http
