#include "node/http2/server_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http2/world.h"

namespace orchard::http2 {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Field;
using http::Failure;
using Ask = Client::Ask;

Ask Post(std::string_view path, std::string body, const Fields& more = {}) {
  Fields f = With(Get(path), more);
  f[0].second = "POST";
  return {.fields = f, .body = std::move(body), .has_body = true};
}

TEST(ServerSessionTest, AnswersAHundredRequestsAtOnce) {
  World w;
  std::vector<Ask> asks;
  for (int i = 0; i < 100; ++i) asks.push_back({.fields = Get("/" + std::to_string(i * 100))});
  const auto c = w.Ask({.asks = asks});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).done() == 100; }, 10s));
  for (const auto& [id, a] : w.client(c).answers) {
    EXPECT_EQ(a.status, 200);
    EXPECT_EQ(a.body.size(), size_t(id / 2 * 100));
    EXPECT_EQ(a.Header("content-length"), std::to_string(a.body.size()));
  }
  EXPECT_EQ(w.server().heads.front(), "GET site /0");
  EXPECT_EQ(w.server().session().open(), 0u);
  EXPECT_TRUE(w.server().resets.empty());
}

TEST(ServerSessionTest, NamesAreLowAndWhatIsOfOneConnectionIsLeftOut) {
  World w;
  const auto c = w.Ask({.asks = {{.fields = Get("/5")}}});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).done() == 1; }, 1s));
  EXPECT_EQ(w.client(c).answers[1].headers, (Fields{{"x-site", "Yes"}, {"date", "Thu, 28 May 2026 20:26:41 GMT"}, {"content-length", "5"}}));
}

TEST(ServerSessionTest, BodiesGoBothWaysNoFasterThanTheyAreTaken) {
  World w;
  std::string text;
  for (int i = 0; text.size() < 1'000'000; ++i) text += std::to_string(i);
  const auto c = w.Ask({.asks = {Post("/echo", text)}});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).done() == 1; }, 60s));
  EXPECT_EQ(w.client(c).answers[1].body, text);
  EXPECT_LE(w.server().held_max, kStreamWindowBytes);
}

TEST(ServerSessionTest, WhatTheParentDoesNotTakeIsNotSent) {
  World w;
  std::vector<Ask> asks(10, Post("/hold", std::string(100'000, 'x')));
  const auto c = w.Ask({.asks = {asks[0]}});
  w.net.Run(5s);
  EXPECT_EQ(w.server().held_max, kStreamWindowBytes);
  const auto d = w.Ask({.asks = asks});
  w.net.Run(5s);
  EXPECT_EQ(w.server().held_max - kStreamWindowBytes, kSessionWindowBytes);
  EXPECT_TRUE(w.server().resets.empty());
  EXPECT_EQ(w.client(c).done() + w.client(d).done(), 0u);
}

TEST(ServerSessionTest, WritesNoMoreThanTheClientTakes) {
  World w;
  const auto c = w.Ask({.asks = {{.fields = Get("/stream/1000000")}}, .reads = false});
  w.net.Run(20s);
  EXPECT_EQ(w.client(c).answers[1].body.size(), 65'535u);
  EXPECT_TRUE(w.server().resets.empty());
  // It takes the rest now.
  http::Do<Client>(w.net, c, [](Turn&, Client& k) {
    nghttp2_submit_window_update(k.raw(), 0, 1, 1 << 20);
    nghttp2_submit_window_update(k.raw(), 0, 0, 1 << 20);
  });
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).done() == 1; }, 10s));
  EXPECT_EQ(w.client(c).answers[1].body.size(), 1'000'000u);
}

TEST(ServerSessionTest, WhoTakesNothingOfABodyIsGivenUp) {
  World w;
  const auto c = w.Ask({.asks = {{.fields = Get("/1000000")}}, .reads = false});
  w.net.Run(29s);
  EXPECT_TRUE(w.server().resets.empty());
  w.net.Run(2s);
  EXPECT_EQ(w.server().resets, (std::map<RequestId, Failure>{{RequestId{1}, Failure::kStalled}}));
  (void)c;
}

TEST(ServerSessionTest, WhoReadsNothingAtAllIsCutOff) {
  World w;
  std::vector<Ask> asks(8, Ask{.fields = Get("/60000")});
  const auto c = w.Ask({.asks = asks, .accepts = false});
  w.net.Run(29s);
  EXPECT_FALSE(w.server().closed.has_value());
  w.net.Run(2s);
  ASSERT_TRUE(w.server().closed.has_value());
  EXPECT_EQ(w.server().closed->trouble, Trouble::kNotReading);
  EXPECT_EQ(w.client(c).closed, absl::StatusCode::kAborted);
}

TEST(ServerSessionTest, ASmallAnswerPassesALargeOne) {
  World w;
  const auto c = w.Ask({.asks = {{.fields = Get("/20000000")}, {.fields = Get("/10")}, {.fields = Get("/300000")}}});
  nghttp2_session_set_local_window_size(w.client(c).raw(), 0, 0, 1 << 30);
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).answers[3].done && w.client(c).answers[5].done; }, 60s));
  EXPECT_LT(w.client(c).answers[1].body.size(), 2'000'000u);
}

TEST(ServerSessionTest, HeadAndNoContentHaveNoBody) {
  World w;
  Fields head = Get("/77");
  head[0].second = "HEAD";
  const auto c = w.Ask({.asks = {{.fields = head}, {.fields = Get("/none")}, {.fields = Get("/0")}, {.fields = Get("/text")}}});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).done() == 4; }, 1s));
  EXPECT_EQ(w.client(c).answers[1].Header("content-length"), "77");
  EXPECT_EQ(w.client(c).answers[3].status, 204);
  EXPECT_EQ(w.client(c).answers[5].Header("content-length"), "0");
  EXPECT_EQ(w.client(c).answers[7].status, 404);
  for (int32_t id : {1, 3, 5}) EXPECT_EQ(w.client(c).answers[id].body, "");
  EXPECT_EQ(w.client(c).answers[7].body, "no such thing\n");
}

TEST(ServerSessionTest, SaysContinueToWhoWaitsForIt) {
  World w;
  const auto c = w.Ask({.asks = {Post("/echo", "hello", {{"expect", "100-continue"}})}});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).done() == 1; }, 1s));
  EXPECT_EQ(w.client(c).answers[1].interim, 100);
  EXPECT_EQ(w.client(c).answers[1].body, "hello");
}

TEST(ServerSessionTest, ABodyTooShortIsCutOff) {
  World w;
  const auto c = w.Ask({.asks = {{.fields = Get("/short")}}});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).answers[1].reset.has_value(); }, 1s));
  EXPECT_FALSE(w.client(c).answers[1].done);
  EXPECT_EQ(w.server().resets[RequestId{1}], Failure::kClosedEarly);
}

TEST(ServerSessionTest, TheParentHearsOfARequestThatIsGivenUp) {
  World w;
  const auto c = w.Ask({.asks = {{.fields = Get("/never")}}});
  w.net.Run(1s);
  http::Do<Client>(w.net, c, [](Turn&, Client& k) { nghttp2_submit_rst_stream(k.raw(), 0, 1, NGHTTP2_CANCEL); });
  w.net.Run(1s);
  EXPECT_EQ(w.server().resets, (std::map<RequestId, Failure>{{RequestId{1}, Failure::kReset}}));
  EXPECT_FALSE(w.server().closed.has_value());
}

TEST(ServerSessionTest, AskedAndGivenUpInOneBreathIsBoth) {
  World w;
  w.Say(Hello() + Head(1, Get("/5000000")) + Frame(kRst, 0, 1, Big(8, 4)) + Head(3, Get("/10")));
  w.net.Run(1s);
  EXPECT_EQ(w.server().heads.size(), 2u);
  EXPECT_EQ(w.server().resets, (std::map<RequestId, Failure>{{RequestId{1}, Failure::kReset}}));
}

TEST(ServerSessionTest, TooLargeABodyIsRefusedBeforeAndAsItComes) {
  World w({.body_max = 1000, .patience = {}});
  const auto c = w.Ask({.asks = {Post("/echo", std::string(1001, 'x'), {{"content-length", "1001"}}), Post("/never", std::string(300'000, 'x')), Post("/echo", std::string(1000, 'x'))}});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).answers[5].done && w.client(c).answers[3].status != 0; }, 5s));
  EXPECT_EQ(w.client(c).answers[1].status, 413);
  EXPECT_EQ(w.client(c).answers[3].status, 413);
  EXPECT_EQ(w.client(c).answers[3].body, "body-too-large\n");
  EXPECT_EQ(w.server().heads.size(), 2u);
  EXPECT_EQ(w.server().resets, (std::map<RequestId, Failure>{{RequestId{3}, Failure::kBadMessage}}));
  EXPECT_LT(w.server().taken, 1001u);
}

TEST(ServerSessionTest, ALyingLengthIsTheRequestsEnd) {
  World w;
  const auto c = w.Ask({.asks = {Post("/never", "12345", {{"content-length", "9"}}), {.fields = Get("/5")}}});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).answers[3].done && w.client(c).answers[1].reset.has_value(); }, 5s));
  EXPECT_EQ(w.client(c).answers[1].reset, NGHTTP2_PROTOCOL_ERROR);
  EXPECT_EQ(w.server().resets[RequestId{1}], Failure::kBadMessage);
}

TEST(ServerSessionTest, FinishLetsWhatIsOpenEndAndNoMore) {
  World w;
  const auto c = w.Ask({.asks = {{.fields = Get("/3000000")}}});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).answers[1].body.size() > 100'000; }, 5s));
  http::Do<Site>(w.net, w.site, [](Turn& turn, Site& s) { s.session().Finish(turn); });
  http::Do<Client>(w.net, c, [](Turn&, Client& k) {
    Ask late{.fields = Get("/10")};
    k.Submit(late);
  });
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).closed.has_value(); }, 30s));
  w.net.Run(100ms);
  EXPECT_EQ(w.client(c).goaway, NGHTTP2_NO_ERROR);
  EXPECT_EQ(w.client(c).answers[1].body.size(), 3'000'000u);
  EXPECT_EQ(w.server().heads.size(), 1u);
  EXPECT_EQ(w.server().closed->why, Failure::kNone);
  EXPECT_EQ(w.client(c).closed, absl::StatusCode::kOk);
}

TEST(ServerSessionTest, FinishOfAnIdleOneEndsItAtOnce) {
  World w;
  const auto c = w.Ask({.asks = {{.fields = Get("/3")}}});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).done() == 1; }, 5s));
  http::Do<Site>(w.net, w.site, [](Turn& turn, Site& s) { s.session().Finish(turn); });
  ASSERT_TRUE(w.net.RunUntil([&] { return w.client(c).closed.has_value() && w.server().closed.has_value(); }, 1s));
  EXPECT_EQ(w.server().closed->why, Failure::kNone);
}

TEST(ServerSessionTest, AClientThatLeavesTakesItsRequestsWithIt) {
  World w;
  const auto c = w.Say(Hello() + Head(1, Get("/never")) + Head(3, Get("/hold"), kWhole));
  w.net.Run(1s);
  http::Do<http::RawClient>(w.net, c, [](Turn& turn, http::RawClient&) { turn.out.End(StreamId{1}); });
  w.net.Run(1s);
  // The whole one is still answered; of the other no more can come.
  EXPECT_EQ(w.server().resets, (std::map<RequestId, Failure>{{RequestId{3}, Failure::kClosedEarly}}));
  http::Do<http::RawClient>(w.net, c, [](Turn& turn, http::RawClient&) { turn.out.Close(StreamId{1}); });
  w.net.Run(1s);
  EXPECT_EQ(w.server().resets[RequestId{1}], Failure::kReset);
  EXPECT_EQ(w.server().closed->why, Failure::kReset);
}

TEST(ServerSessionTest, AnySplitOfTheSameBytesIsAnsweredWithTheSame) {
  const std::string script = Hello(Setting(4, 20'000)) + Head(1, Get("/30000")) + Frame(kPing, 0, 0, "12345678") + Head(3, With(Get("/text"), {{"cookie", "a=1"}})) +
                             Frame(kWindow, 0, 1, Big(100'000, 4)) + Head(5, Get("/echo"), kWhole) + Frame(kData, 0, 5, "hello ") + Frame(kData, kEnd, 5, "world");
  std::string whole;
  for (size_t piece : {script.size(), size_t{1}, size_t{7}, size_t{100}}) {
    World w;
    const auto c = w.Say(script, piece, 10us);
    w.net.Run(2s);
    std::map<uint32_t, std::string> bodies;
    for (const Parsed& f : w.frames(c)) {
      if (f.type == kData) bodies[f.stream] += f.payload;
    }
    EXPECT_EQ(bodies[1].size(), 30'000u);
    EXPECT_EQ(bodies[3], "no such thing\n");
    EXPECT_EQ(bodies[5], "hello world");
    EXPECT_FALSE(w.Goaway(c).has_value());
  }
}

TEST(ServerSessionTest, TheSameInputsGiveTheSameBytesThoughTheSystemsClockMoves) {
  // Nothing in the session, nor in nghttp2 as it is set up, draws luck or looks at a clock: two runs are equal to the byte.
  std::string first;
  for (int run = 0; run < 2; ++run) {
    World w;
    std::string script = Hello();
    for (uint32_t i = 0; i < 60; ++i) script += Head(1 + 2 * i, Get("/" + std::to_string(i * 37)));
    const auto c = w.Say(script, 50, 1ms);
    w.net.Run(3s);
    if (run == 0) first = w.raw(c).got;
    EXPECT_EQ(w.raw(c).got, first);
    EXPECT_GT(first.size(), 60'000u);
  }
}

}  // namespace
}  // namespace orchard::http2
