#include "node/http2/head_reader.h"

#include <gtest/gtest.h>

#include "node/http2/frame_watch.h"
#include "tests/http2/frames.h"
#include "tests/http2/world.h"

namespace orchard::http2 {
namespace {

using namespace std::chrono_literals;
using http::Refusal;

Refusal Read(const Fields& fields, http::RequestHead& head, bool ends = true) {
  HeadReader r;
  for (const auto& [n, v] : fields) r.OnField(n, v);
  return r.Finish(ends, head);
}
Refusal Read(const Fields& fields, bool ends = true) {
  http::RequestHead head;
  return Read(fields, head, ends);
}

TEST(HeadReaderTest, MakesAHeadAsTheLayersAboveKnowIt) {
  http::RequestHead h;
  EXPECT_EQ(Read(With(Get("/a?b"), {{"accept", "*/*"}, {"cookie", "a=1"}, {"x", "y"}, {"cookie", ""}, {"cookie", "b=2"}, {"content-length", "5"}, {"expect", "100-continue"}}), h, false), Refusal::kNone);
  EXPECT_EQ(h.method + " " + h.target, "GET /a?b");
  EXPECT_EQ(h.headers.bytes(), "host: site\r\naccept: */*\r\nx: y\r\ncontent-length: 5\r\nexpect: 100-continue\r\ncookie: a=1; b=2\r\n");
  EXPECT_EQ(h.body, http::BodyKind::kLength);
  EXPECT_EQ(h.length, 5u);
  EXPECT_TRUE(h.expects_continue && h.keep_alive);
  EXPECT_EQ(Read(Get("/"), h, false), Refusal::kNone);
  EXPECT_EQ(h.body, http::BodyKind::kChunked);
  EXPECT_EQ(Read({{":method", "OPTIONS"}, {":scheme", "https"}, {":path", "*"}, {"host", "b:81"}}, h), Refusal::kNone);
  EXPECT_EQ(h.headers.Find("Host"), "b:81");
  EXPECT_EQ(h.body, http::BodyKind::kNone);
}

TEST(HeadReaderTest, OneHostAndNoOther) {
  EXPECT_EQ(Read(With(Get("/"), {{"host", "SITE"}})), Refusal::kNone);
  EXPECT_EQ(Read(With(Get("/"), {{"host", "other"}})), Refusal::kSeveralHosts);
  EXPECT_EQ(Read({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"host", "a"}, {"host", "a"}}), Refusal::kSeveralHosts);
  EXPECT_EQ(Read({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}), Refusal::kNoHost);
  for (const char* bad : {"user@site", "a b", "a/b", "a\"b", "a#b", "\xc3\xa9"}) {
    EXPECT_EQ(Read({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", bad}}), Refusal::kBadTarget) << bad;
  }
}

TEST(HeadReaderTest, RefusesByName) {
  const auto with = [](const char* name, const char* value) { return Read(With(Get("/"), {{name, value}})); };
  for (const char* name : {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}) EXPECT_EQ(with(name, "x"), Refusal::kBadHeader) << name;
  EXPECT_EQ(with("a b", "x"), Refusal::kBadHeader);
  EXPECT_EQ(with("", "x"), Refusal::kBadHeader);
  EXPECT_EQ(with("a", "x\r\nb: c"), Refusal::kBadHeader);
  EXPECT_EQ(with(":other", "x"), Refusal::kBadHeader);
  EXPECT_EQ(with("content-length", "+5"), Refusal::kBadLength);
  EXPECT_EQ(with("content-length", "5"), Refusal::kBadLength);  // And the stream ends.
  EXPECT_EQ(with("content-length", "9999999999999999999"), Refusal::kBadLength);
  EXPECT_EQ(Read(With(Get("/"), {{"content-length", "5"}, {"content-length", "5"}}), false), Refusal::kSeveralLengths);
  EXPECT_EQ(with("expect", "miracles"), Refusal::kUnknownExpectation);
  EXPECT_EQ(Read(Get("nowhere")), Refusal::kBadTarget);
  EXPECT_EQ(Read(Get("/a b")), Refusal::kBadTarget);
  EXPECT_EQ(Read(Get("*")), Refusal::kBadTarget);
  EXPECT_EQ(Read(Get("/" + std::string(8192, 'a'))), Refusal::kStartLineTooLong);
  EXPECT_EQ(Read({{":method", "GET"}, {":scheme", "ftp"}, {":path", "/"}, {":authority", "a"}}), Refusal::kBadTarget);
  EXPECT_EQ(Read({{":method", "G T"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}}), Refusal::kUnknownMethod);
}

// What the session says to these on the wire; nghttp2 sees some of them first.
TEST(HeadReaderTest, WhatIsRefusedIsAnsweredOnItsStream) {
  World w;
  const auto c = w.Say(Hello() + Head(1, With(Get("/5"), {{"host", "other"}})) + Head(3, {{":method", "CONNECT"}, {":authority", "site:443"}}) +
                       Head(5, With(Get("/5"), {{"x", "a\nb"}})) + Head(7, With(Get("/5"), {{"connection", "close"}})) + Head(9, With({{"x", "y"}}, Get("/5"))) +
                       Head(11, With(Get("/5"), {{"", "empty"}})) + Head(13, With(Get("/5"), {{"Upper", "case"}})) + Head(15, With(Get("/5"), {{":path", "/6"}})) +
                       Head(17, With(Get("/5"), {{"te", "gzip"}})) + Head(19, With(Get("/text"), {{"te", "trailers"}})));
  w.net.Run(1s);
  EXPECT_EQ(w.Text(c, 1), "several-hosts\n");
  EXPECT_EQ(w.Text(c, 3), "unknown-method\n");
  EXPECT_EQ(w.Text(c, 5), "bad-header\n");
  for (uint32_t stream : {7, 9, 15, 17}) EXPECT_EQ(w.Rst(c, stream), NGHTTP2_PROTOCOL_ERROR) << stream;
  for (uint32_t stream : {11, 13}) EXPECT_TRUE(w.Rst(c, stream) == NGHTTP2_PROTOCOL_ERROR || w.Text(c, stream) == "bad-header\n") << stream;
  EXPECT_EQ(w.Text(c, 19), "no such thing\n");
  EXPECT_FALSE(w.Goaway(c).has_value());
  EXPECT_EQ(w.server().heads, (std::vector<std::string>{"GET site /text"}));
}

TEST(PrefaceTest, IsToldFromOtherWordsAsSoonAsTheyDiffer) {
  for (size_t n = 0; n < 16; ++n) EXPECT_EQ(SpokenBy(AsBytes(kPreface.substr(0, n))), Spoken::kUnknown) << n;
  for (size_t n = 16; n <= kPreface.size(); ++n) EXPECT_EQ(SpokenBy(AsBytes(kPreface.substr(0, n))), Spoken::kHttp2) << n;
  for (const char* other : {"GET / HTTP/1.1\r\n", "P", "PR"}) {
    EXPECT_EQ(SpokenBy(AsBytes(other)), std::string_view(other).starts_with("G") ? Spoken::kOther : Spoken::kUnknown) << other;
  }
  EXPECT_EQ(SpokenBy(AsBytes("PRI * HTTP/1.1\r\n")), Spoken::kOther);
  EXPECT_EQ(SpokenBy(AsBytes("PUT")), Spoken::kOther);
}

TEST(FrameWatchTest, CountsTheSameInEverySplit) {
  const std::string bytes = Hello() + Head(1, Get("/"), kEnd) + Frame(kMore, kWhole, 1, Literal("a", "b")) + Frame(kPing, 0, 0, "12345678") + Frame(kWindow, 0, 0, Big(1, 4)) +
                            Frame(kRst, 0, 1, Big(8, 4)) + Frame(kData, 0, 1) + Frame(kData, kEnd, 1) + Frame(kData, 0, 1, "x");
  for (size_t piece = 1; piece < bytes.size(); ++piece) {
    FrameWatch f;
    for (size_t at = 0; at < bytes.size(); at += piece) ASSERT_EQ(f.OnBytes(AsBytes(std::string_view(bytes).substr(at, piece))), Trouble::kNone);
    const FramesSeen seen = f.Take();
    EXPECT_EQ(seen.frames, 9u);
    EXPECT_EQ(seen.idle, 3u);  // SETTINGS, PING, one DATA.
    EXPECT_EQ(seen.resets, 1u);
    EXPECT_EQ(seen.window_updates, 1u);
    EXPECT_TRUE(f.greeted());
    EXPECT_FALSE(f.within());
  }
}

TEST(FrameWatchTest, KnowsWhenAHeadIsHalfHere) {
  FrameWatch f;
  EXPECT_TRUE(f.within());
  f.OnBytes(AsBytes(Hello()));
  EXPECT_FALSE(f.within());
  f.OnBytes(AsBytes(Head(1, Get("/"), kEnd)));
  EXPECT_TRUE(f.within());
  f.OnBytes(AsBytes(Frame(kMore, kWhole, 1)));
  EXPECT_FALSE(f.within());
  f.OnBytes(AsBytes(Frame(kData, 0, 1, "12345").substr(0, 11)));
  EXPECT_FALSE(f.within());  // A body's time is its stream's affair.
  f.OnBytes(AsBytes("345" + Frame(kPing, 0, 0, "12345678").substr(0, 3)));
  EXPECT_TRUE(f.within());
}

}  // namespace
}  // namespace orchard::http2
