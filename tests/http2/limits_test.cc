// One test per limit: what a client does that should not, and what one may still do.

#include "node/http2/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/http/limits.h"
#include "tests/http2/world.h"

namespace orchard::http2 {
namespace {

using namespace std::chrono_literals;
using http::Failure;

// What the site made of the script: how it closed, and the GOAWAY that was sent.
struct Outcome {
  Trouble trouble = Trouble::kNone;
  std::optional<uint32_t> goaway;
  size_t heads = 0, memory_max = 0, open = 0;
};
Outcome After(const std::string& script, Duration run = 5s) {
  World w;
  const auto c = w.Say(script);
  w.net.Run(run);
  Site& s = w.server();
  return {s.closed.has_value() ? s.closed->trouble : Trouble::kNone, w.Goaway(c), s.heads.size(), s.memory_max, s.closed.has_value() ? 0 : s.session().open()};
}

void ExpectCalm(const std::string& script, Trouble why) {
  const Outcome o = After(script);
  EXPECT_EQ(NameOf(o.trouble), NameOf(why));
  EXPECT_EQ(o.goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_LE(o.memory_max, kSessionMemoryMax);
}
void ExpectFine(const std::string& script) {
  const Outcome o = After(script);
  EXPECT_EQ(NameOf(o.trouble), "none");
  EXPECT_FALSE(o.goaway.has_value());
}

std::string RapidResets(size_t n) {
  std::string out = Hello();
  for (uint32_t i = 0; i < n; ++i) out += Head(1 + 2 * i, Get("/never")) + Frame(kRst, 0, 1 + 2 * i, Big(8, 4));
  return out;
}

TEST(Http2LimitsTest, RapidResets) {
  ExpectFine(RapidResets(kResetsMax));
  ExpectCalm(RapidResets(kResetsMax + 1), Trouble::kRapidReset);
}

TEST(Http2LimitsTest, RapidResetsInSmallPiecesAndAgainLater) {
  World w;
  const auto c = w.Say(RapidResets(kResetsMax + 1), 60, 1ms);
  w.net.Run(5s);
  EXPECT_EQ(w.server().closed->trouble, Trouble::kRapidReset);
  EXPECT_EQ(w.Goaway(c), NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_LE(w.server().heads.size(), kResetsMax + 1);
  World slow;  // A fifth of the rate, for three windows of time, is bearable: more resets in all than the limit.
  slow.Say(RapidResets(kResetsMax * 2), 60, 100ms);
  slow.net.Run(50s);
  EXPECT_FALSE(slow.server().closed.has_value());
  EXPECT_GT(slow.server().heads.size(), kResetsMax);
}

TEST(Http2LimitsTest, ResetsThatTheClientHasUsMake) {
  // CVE-2025-8671: a body that is not as long as it said is an error of the stream, so it is we who reset.
  const auto provoke = [](size_t n) {
    std::string out = Hello();
    for (uint32_t i = 0; i < n; ++i) out += Head(1 + 2 * i, With(Get("/never"), {{"content-length", "9"}}), kWhole) + Frame(kData, kEnd, 1 + 2 * i, "x");
    return out;
  };
  World fine;
  fine.Say(provoke(kResetsMax), 60, 1ms);
  fine.net.Run(5s);
  EXPECT_FALSE(fine.server().closed.has_value());
  EXPECT_EQ(fine.server().resets.size(), kResetsMax);
  World w;
  const auto c = w.Say(provoke(kResetsMax + 1), 60, 1ms);
  w.net.Run(5s);
  ASSERT_TRUE(w.server().closed.has_value());
  EXPECT_EQ(w.server().closed->trouble, Trouble::kRapidReset);
  EXPECT_EQ(w.Goaway(c), NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_EQ(w.server().resets.size(), w.server().heads.size());
}

TEST(Http2LimitsTest, Pings) {
  const std::string ping = Frame(kPing, 0, 0, "12345678");
  ExpectFine(Hello() + Times(kIdleFramesMax / 2, ping));
  ExpectCalm(Hello() + Times(kIdleFramesMax + 1, ping), Trouble::kIdleFrames);
}

TEST(Http2LimitsTest, Settings) {
  const std::string settings = Frame(kSettings, 0, 0, Setting(4, 70'000));
  ExpectFine(Hello() + Times(kIdleFramesMax / 2, settings));
  ExpectCalm(Hello() + Times(kIdleFramesMax + 1, settings), Trouble::kIdleFrames);
}

TEST(Http2LimitsTest, AnswersToPingsWaitInABoundedQueue) {
  // 500 in each window of time are bearable, but who reads none of the answers has 1,000 of them wait.
  World w;
  http::RawClient::Options o{.script = Hello(), .piece = 850, .beat = 1s, .reads = false};
  for (int i = 0; i < 20; ++i) o.script += Head(1 + 2 * uint32_t(i), Get("/60000"));
  o.script += Frame(kWindow, 0, 0, Big(1 << 30, 4)) + Times(kOutboundAcksMax + 100, Frame(kPing, 0, 0, "12345678"));
  w.net.Add("deaf", [=, door = w.door()](uint32_t) { return std::make_unique<http::RawClient>(door, o); });
  w.net.Run(29s);
  ASSERT_TRUE(w.server().closed.has_value());
  EXPECT_EQ(NameOf(w.server().closed->trouble), "idle-frames");
  EXPECT_LT(w.server().memory_max, 600u << 10);
}

TEST(Http2LimitsTest, Priorities) {
  ExpectCalm(Hello() + Times(kIdleFramesMax + 1, Frame(kPriority, 0, 1, std::string("\0\0\0\0\x10", 5))), Trouble::kIdleFrames);
}

TEST(Http2LimitsTest, UnknownFrames) { ExpectCalm(Hello() + Times(kIdleFramesMax + 1, Frame(0xbe, 0, 0, "x")), Trouble::kIdleFrames); }

TEST(Http2LimitsTest, EmptyData) {
  ExpectFine(Hello() + Head(1, Get("/never"), kWhole) + Times(kIdleFramesMax / 2, Frame(kData, 0, 1)));
  ExpectCalm(Hello() + Head(1, Get("/never"), kWhole) + Times(kIdleFramesMax + 1, Frame(kData, 0, 1)), Trouble::kIdleFrames);
}

TEST(Http2LimitsTest, WindowUpdates) {
  const std::string update = Frame(kWindow, 0, 0, Big(1, 4));
  ExpectFine(Hello() + Times(kWindowUpdatesMax, update));
  ExpectCalm(Hello() + Times(kWindowUpdatesMax + 1, update), Trouble::kWindowUpdates);
}

TEST(Http2LimitsTest, ADownloadGivesAsManyWindowUpdatesAsItNeeds) {
  World w;
  const auto c = w.Ask({.asks = {{.fields = Get("/60000000")}}});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).done() == 1; }, 100s));
  EXPECT_FALSE(w.server().closed.has_value());
}

TEST(Http2LimitsTest, AWindowThatOverflowsIsAnError) {
  const Outcome o = After(Hello() + Frame(kWindow, 0, 0, Big(0x7fffffff, 4)));
  EXPECT_EQ(o.goaway, NGHTTP2_FLOW_CONTROL_ERROR);
  EXPECT_EQ(o.trouble, Trouble::kProtocol);
}

TEST(Http2LimitsTest, Continuations) {
  const auto block = [](size_t n) {
    return Hello() + Head(1, Get("/5"), kEnd) + Times(n - 1, Frame(kMore, 0, 1, Literal("x-a", "b"))) + Frame(kMore, kWhole, 1, Literal("x-a", "b"));
  };
  ExpectFine(block(kContinuationsMax));
  const Outcome o = After(block(kContinuationsMax + 1));
  EXPECT_EQ(o.trouble, Trouble::kContinuations);
  EXPECT_EQ(o.goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_EQ(o.heads, 0u);
}

TEST(Http2LimitsTest, AHeadThatIsLargeOnTheWire) {
  const std::string piece = Literal("x-a", std::string(16'000, 'a'));
  const Outcome o = After(Hello() + Head(1, Get("/5"), kEnd) + Frame(kMore, 0, 1, piece) + Frame(kMore, 0, 1, piece) + Frame(kMore, kWhole, 1, piece));
  EXPECT_EQ(o.trouble, Trouble::kHeadTooLarge);
}

TEST(Http2LimitsTest, AHeadOfTooManyBytesIsAnsweredAndTheConnectionGoesOn) {
  World w;
  const std::string piece = Literal("x-a", std::string(16'000, 'a'));
  const auto c = w.Say(Hello() + Head(1, Get("/5"), kEnd) + Frame(kMore, 0, 1, piece) + Frame(kMore, kWhole, 1, piece + Literal("x-b", std::string(300, 'b')) + Literal("x-c", std::string(600, 'c'))) +
                       Head(3, Get("/text")));
  w.net.Run(1s);
  EXPECT_EQ(w.Text(c, 1), "headers-too-large\n");
  EXPECT_EQ(w.Text(c, 3), "no such thing\n");
}

TEST(Http2LimitsTest, TooManyHeaders) {
  World w;
  Fields most = Get("/text"), more = Get("/text");
  for (size_t i = 0; i < http::kHeadersMax; ++i) most.push_back({"x", "y"}), more.push_back({"x", "y"});
  more.push_back({"x", "y"});
  const auto c = w.Say(Hello() + Head(1, most) + Head(3, more));
  w.net.Run(1s);
  EXPECT_EQ(w.Text(c, 1), "no such thing\n");
  EXPECT_EQ(w.Text(c, 3), "too-many-headers\n");
}

TEST(Http2LimitsTest, ABombOfHpackIsSmallInMemory) {
  // One entry of the table of 4,000 bytes, then named 8,000 times: 32 MB of head in 12 KB.
  World w;
  std::string block = Block(Get("/5"));
  block += std::string(1, '\x40') + HpackText("x-bomb") + HpackText(std::string(4'000, 'a'));
  block += std::string(8'000, '\xbe');  // Index 62: the newest.
  const auto c = w.Say(Hello() + Frame(kHeaders, kEnd | kWhole, 1, block) + Head(3, Get("/text")));
  w.net.Run(1s);
  EXPECT_EQ(w.Text(c, 1), "headers-too-large\n");
  EXPECT_EQ(w.Text(c, 3), "no such thing\n");
  EXPECT_LT(w.server().memory_max, 200'000u);
}

TEST(Http2LimitsTest, StreamsAtOnce) {
  World w({.streams = 10, .patience = {}});
  std::string script = Hello() + Frame(kSettings, kAck, 0);
  for (uint32_t i = 0; i < 10; ++i) script += Head(1 + 2 * i, Get("/never"));
  const auto c = w.Say(script + Head(21, Get("/never")));
  w.net.Run(1s);
  EXPECT_EQ(w.server().heads.size(), 10u);
  EXPECT_TRUE(w.Rst(c, 21) == NGHTTP2_REFUSED_STREAM || w.Goaway(c) == NGHTTP2_PROTOCOL_ERROR);
}

TEST(Http2LimitsTest, WhatIsNoPrefaceIsNotHttp2) {
  const Outcome o = After("GET / HTTP/1.1\r\nHost: site\r\n\r\n");
  EXPECT_EQ(o.trouble, Trouble::kNotHttp2);
  const Outcome p = After(std::string(kPreface) + Frame(kPing, 0, 0, "12345678"));  // SETTINGS must be the first.
  EXPECT_EQ(p.trouble, Trouble::kProtocol);
}

TEST(Http2LimitsTest, AFrameTooLargeIsAnError) {
  const Outcome o = After(Hello() + Head(1, Get("/hold"), kWhole) + Frame(kData, 0, 1, std::string(16'385, 'x')));
  EXPECT_EQ(o.goaway, NGHTTP2_FRAME_SIZE_ERROR);
}

// ---- Time ----

TEST(Http2LimitsTest, AHeadThatDripsIsCutOffAfterTenSeconds) {
  World drip;
  drip.Say(Hello() + Frame(kSettings, kAck, 0) + Head(1, With(Get("/5"), {{"x", std::string(100, 'y')}})), 50, 1s);
  drip.net.Run(20s);
  EXPECT_FALSE(drip.server().closed.has_value());
  EXPECT_EQ(drip.server().heads.size(), 1u);
  World slow;
  const auto e = slow.Say(Hello() + Head(1, With(Get("/5"), {{"x", std::string(100, 'y')}})), 33, 4s);
  slow.net.Run(13s);
  EXPECT_FALSE(slow.Goaway(e).has_value());
  slow.net.Run(3s);
  EXPECT_EQ(slow.Goaway(e), NGHTTP2_ENHANCE_YOUR_CALM);
  slow.net.Run(3s);
  EXPECT_EQ(slow.server().closed->trouble, Trouble::kSlowHead);
  EXPECT_EQ(slow.server().heads.size(), 0u);
}

TEST(Http2LimitsTest, APrefaceThatDoesNotComeIsNotAwaited) {
  World w;
  w.Say(std::string(kPreface.substr(0, 20)));
  w.net.Run(9s);
  EXPECT_FALSE(w.server().closed.has_value());
  w.net.Run(4s);
  ASSERT_TRUE(w.server().closed.has_value());
  EXPECT_EQ(w.server().closed->trouble, Trouble::kSlowHead);
}

TEST(Http2LimitsTest, AnIdleConnectionIsAskedToLeaveAfterAMinute) {
  World w;
  const auto c = w.Ask({.asks = {{.fields = Get("/5")}}});
  w.net.Run(58s);
  EXPECT_FALSE(w.client(c).goaway.has_value());
  w.net.Run(5s);
  EXPECT_EQ(w.client(c).goaway, NGHTTP2_NO_ERROR);
  EXPECT_EQ(w.client(c).closed, absl::StatusCode::kOk);
  EXPECT_EQ(w.server().closed->why, Failure::kNone);
}

TEST(Http2LimitsTest, PingsKeepNobodyHere) {
  World w;
  const auto c = w.Say(Hello() + Times(100, Frame(kPing, 0, 0, "12345678")), 33 + 17, 1s);
  w.net.Run(70s);
  EXPECT_EQ(w.Goaway(c), NGHTTP2_NO_ERROR);
}

TEST(Http2LimitsTest, ABodyThatStopsIsGivenUpAndOthersAreNot) {
  World w;
  const auto c = w.Say(Hello() + Head(1, With(Get("/never"), {{"content-length", "10"}}), kWhole) + Frame(kData, 0, 1, "hell") + Head(3, Get("/never")));
  w.net.Run(28s);
  EXPECT_TRUE(w.server().resets.empty());
  w.net.Run(4s);
  EXPECT_EQ(w.server().resets, (std::map<RequestId, Failure>{{RequestId{1}, Failure::kStalled}}));
  EXPECT_EQ(w.Rst(c, 1), NGHTTP2_CANCEL);
  EXPECT_FALSE(w.Goaway(c).has_value());
}

TEST(Http2LimitsTest, ABodyThatWeDoNotTakeMayWait) {
  World w;
  w.Ask({.asks = {{.fields = Get("/hold"), .body = std::string(70'000, 'x'), .has_body = true}}});
  w.net.Run(100s);
  EXPECT_TRUE(w.server().resets.empty());
  EXPECT_FALSE(w.server().closed.has_value());
}

// ---- Memory ----

TEST(Http2LimitsTest, AnIdleConnectionIsSmallBeforeAndAfterItWorked) {
  World w;
  std::vector<Client::Ask> asks(100, {.fields = With(Get("/2000"), {{"x-long", std::string(2'000, 'z')}})});
  const auto c = w.Ask({.asks = asks});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).done() == 100; }, 10s));
  w.net.Run(1s);
  EXPECT_LE(w.server().memory_idle, 26u << 10);
  EXPECT_LE(w.server().session().memory().used(), 32u << 10);
  EXPECT_LE(w.server().memory_max, 400u << 10);
  EXPECT_LE(sizeof(ServerSession), 1u << 10);
  RecordProperty("idle_bytes", int(w.server().session().memory().used()));
}

}  // namespace
}  // namespace orchard::http2
