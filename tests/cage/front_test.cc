// Sites as their clients see them: HTTP in, HTTP out, by a runner that is a toy.

#include "node/cage/front.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/cage/served.h"

namespace orchard::cage {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(FrontTest, ASiteAnswersByItsNameAndItsAliases) {
  World w;
  for (std::string_view host : {"shop", "SHOP", "shop.", "shop:80", "www.shop"}) {
    const std::string said = w.Say(Ask("/a?b=c", host));
    EXPECT_THAT(said, StartsWith("HTTP/1.1 200 OK\r\n")) << host;
    EXPECT_THAT(said, EndsWith("\r\n\r\nGET /a?b=c "));
    EXPECT_THAT(said, HasSubstr("Content-Length: 11\r\n"));
    EXPECT_THAT(said, HasSubstr("X-Request-Id: "));
  }
  EXPECT_EQ(w.last.authority, "www.shop");
  EXPECT_EQ(w.server().front().stats().statuses.at(200), 5u);
}

TEST(FrontTest, WhoseHostIsNoSiteIsToldSo) {
  World w;
  EXPECT_THAT(w.Say(Ask("/", "other")), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(w.Say(Ask("/health", "other")), HasSubstr("healthy"));
  EXPECT_EQ(w.runs, 0u);
  World fallback(SiteList{{.name = "shop", .module = "toy"}}, "shop");
  EXPECT_THAT(fallback.Say(Ask("/", "other")), StartsWith("HTTP/1.1 200"));
}

TEST(FrontTest, BodiesReachTheGuestAndTooLargeOnesDoNot) {
  World w;
  EXPECT_THAT(w.Say(Ask("/p", "shop", "Content-Length: 5\r\n", "POST") + "hello"), EndsWith("POST /p hello"));
  EXPECT_THAT(w.Say(Ask("/p", "shop", "Transfer-Encoding: chunked\r\n", "POST") + "3\r\nabc\r\n0\r\n\r\n"), EndsWith("POST /p abc"));
  EXPECT_THAT(w.Say(Ask("/p", "shop", "Content-Length: 5000\r\n", "POST") + std::string(5000, 'x')), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(w.Say(Ask("/p", "shop", "Transfer-Encoding: chunked\r\n", "POST") + "7d0\r\n" + std::string(2000, 'x') + "\r\n0\r\n\r\n"), StartsWith("HTTP/1.1 413"));
  EXPECT_EQ(w.runs, 2u);
  EXPECT_EQ(w.server().front().held(), 0u);
}

TEST(FrontTest, PipelinedRequestsAreAnsweredInOrderAndLargeAnswersWhole) {
  World w;
  const std::string said = w.Say(Ask("/1") + Ask("/large") + Ask("/3"));
  const size_t one = said.find("GET /1"), three = said.find("GET /3");
  ASSERT_NE(three, said.npos);
  EXPECT_LT(one, three);
  EXPECT_GT(said.size(), 3'000'000u);
  EXPECT_EQ(w.server().front().held(), 0u);
}

TEST(FrontTest, WhatTheCageDiesOfOrSaysIsTold) {
  World w;
  EXPECT_THAT(w.Say(Ask("/trap")), StartsWith("HTTP/1.1 502"));
  EXPECT_EQ(w.runs, 2u);  // Tried in another cage too.
  w.net.Run(10s);
  EXPECT_THAT(w.Say(Ask("/late")), StartsWith("HTTP/1.1 504"));
  w.net.Run(10s);
  EXPECT_THAT(w.Say(Ask("/nonsense")), StartsWith("HTTP/1.1 502"));
  EXPECT_EQ(w.server().front().stats().nonsense, 1u);
}

TEST(FrontTest, WithNoCageItIs503AndWhenToComeBack) {
  World w(SiteList{{.name = "shop", .module = "broken"}});
  const std::string said = w.Say(Ask("/"));
  EXPECT_THAT(said, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(said, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_EQ(w.server().sites().Named("shop")->problem, "function 3, offset 17: found else, expected end");
}

TEST(FrontTest, WhatIsNoRequestIsRefusedHere) {
  World w;
  EXPECT_THAT(w.Say("garbage\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(w.Say("PRI * HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(w.Say(Ask("shop:443", "shop", "", "CONNECT")), StartsWith("HTTP/1.1 501"));
  EXPECT_EQ(w.runs, 0u);
}

// ---- What RFC 9110 and 9112 ask of an origin ----

TEST(FrontTest, EveryAnswerSaysWhenItWasMadeAndNoneByWhom) {
  World w;
  for (const std::string& script : {Ask("/"), Ask("/own"), Ask("/", "other"), Ask("/health", "other"), Ask("/trap"), std::string("garbage\r\n\r\n"),
                                    Ask("shop:443", "shop", "", "CONNECT")}) {
    const std::string said = w.Say(script);
    const size_t at = said.find("\r\nDate: Thu, 28 May 2026 20:2");  // The wall clock of MemHost.
    ASSERT_NE(at, said.npos) << said;
    EXPECT_EQ(said.find("Date:", at + 8), said.npos) << said;
    EXPECT_THAT(said, Not(HasSubstr("Server:")));
  }
}

TEST(FrontTest, HeadHasTheLengthThatGetHasAndNoBody) {
  World w;
  const std::string said = w.Say(Ask("/a", "shop", "", "HEAD"));
  EXPECT_THAT(said, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Length: 8\r\n"), EndsWith("\r\n\r\n")));
  EXPECT_THAT(w.Say(Ask("/", "other", "", "HEAD")), AllOf(StartsWith("HTTP/1.1 404"), EndsWith("\r\n\r\n")));
}

TEST(FrontTest, NoLengthIsInventedForABodyThatTheGuestLeftOut) {
  World w;
  for (const std::string& script : {Ask("/empty", "shop", "", "HEAD"), Ask("/same")}) {
    const std::string said = w.Say(script + Ask("/after"));
    EXPECT_THAT(said.substr(0, said.find("\r\n\r\n")), AllOf(Not(HasSubstr("Content-Length")), Not(HasSubstr("Transfer-Encoding")), HasSubstr("\r\nDate: ")));
    EXPECT_THAT(said, EndsWith("GET /after "));  // The connection goes on.
  }
  EXPECT_THAT(w.Say(Ask("/empty")), HasSubstr("Content-Length: 0\r\n"));
}

TEST(FrontTest, WhatAsksTheServerItselfReachesNoSite) {
  World w;
  EXPECT_THAT(w.Say(Ask("*", "shop", "", "OPTIONS")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(w.Say(Ask("*", "shop")), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(w.Say(Ask("/health", "other", "Content-Length: 0\r\n", "POST")), AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: GET, HEAD\r\n")));
  EXPECT_EQ(w.runs, 0u);
}

TEST(FrontTest, AHostThatIsNoneAndHttpsInTheClearAreRefused) {
  World w(SiteList{{.name = "shop", .module = "toy"}}, "shop");  // Else a site would take them.
  for (std::string_view host : {"a b", "shop/x", "user@shop", "shop:http", "[shop]"}) EXPECT_THAT(w.Say(Ask("/", host)), StartsWith("HTTP/1.1 400")) << host;
  EXPECT_THAT(w.Say("GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(w.Say(Ask("https://shop/")), StartsWith("HTTP/1.1 421"));
  EXPECT_EQ(w.runs, 0u);
  EXPECT_THAT(w.Say(Ask("http://shop/", "other")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(w.Say("GET / HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST(FrontTest, WhoRefusesABodySaysThatTheConnectionEnds) {
  World w;
  EXPECT_THAT(w.Say(Ask("/p", "shop", "Content-Length: 70000\r\n", "POST") + std::string(70'000, 'x')), AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("Connection: close\r\n")));
  EXPECT_THAT(w.Say(Ask("/p", "other", "Content-Length: 2\r\n", "POST") + "hi" + Ask("/")), HasSubstr("HTTP/1.1 404"));
}

// The preface, empty SETTINGS, and HEADERS of stream 1: GET / of host shop, by HPACK's static table and literals.
TEST(FrontTest, WhoSpeaksHttp2FromTheFirstByteIsAnsweredInIt) {
  World w;
  const std::string headers = std::string("\x82\x86\x84\x41\x04shop", 9);
  const std::string script = std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + std::string("\0\0\0\4\0\0\0\0\0", 9) + std::string("\0\0\x09\1\5\0\0\0\1", 9) + headers;
  const std::string said = w.Say(script);
  EXPECT_THAT(said, HasSubstr("GET / "));
  EXPECT_EQ(w.server().front().stats().http2, 1u);
  EXPECT_EQ(w.last.authority, "shop");
}

TEST(FrontTest, OtherFilesGoCageByCageTooAndBack) {
  World w(SiteList{{.name = "shop", .module = "toy", .directory = "/www", .replicas = 2}});
  const auto& slots = w.server().sites().Named("shop")->pool->slots();
  const Image before = slots[0].image;
  const auto update = [&] { http::Do<Served>(w.net, w.node, [=](Turn& turn, Served& s) { EXPECT_TRUE(s.server.sites().Update(turn, "shop", "toy").ok()); }); };
  update();
  w.net.Run(1s);
  EXPECT_FALSE(w.server().sites().Named("shop")->rollout.has_value());  // Nothing is new.
  w.files = 2;
  update();
  w.net.Run(5s);
  EXPECT_EQ(slots[0].image, Image(before.module, Key32{2}));
  EXPECT_EQ(slots[1].image, before);
  w.net.Run(20s);
  EXPECT_EQ(slots[1].image, Image(before.module, Key32{2}));
  http::Do<Served>(w.net, w.node, [](Turn& turn, Served& s) { EXPECT_TRUE(s.server.sites().RollBack(turn, "shop").ok()); });
  w.net.Run(30s);
  for (const auto& s : slots) EXPECT_EQ(s.image, before);
}

TEST(FrontTest, AnUpdateGoesCageByCageAndABadOneGoesBack) {
  World w(SiteList{{.name = "shop", .module = "toy", .replicas = 3}});
  const Image before = w.server().sites().Named("shop")->pool->slots()[0].image;
  const auto update = [&](std::string module) {
    http::Do<Served>(w.net, w.node, [=](Turn& turn, Served& s) { EXPECT_TRUE(s.server.sites().Update(turn, "shop", module).ok()); });
  };
  const auto& slots = w.server().sites().Named("shop")->pool->slots();
  const auto& rollout = w.server().sites().Named("shop")->rollout;
  update("better");
  w.net.Run(5s);
  EXPECT_NE(slots[0].image, before);
  EXPECT_EQ(slots[1].image, before);  // The canary is watched.
  w.net.Run(20s);
  const Image better = slots[2].image;
  EXPECT_NE(better, before);
  EXPECT_EQ(rollout->step(), Rollout::Step::kDone);
  update("the worst");
  w.net.Run(2s);
  EXPECT_NE(slots[0].image, better);
  for (int i = 0; i < 2 && rollout->step() == Rollout::Step::kCanary; ++i) w.Say(Ask("/trap"));  // Whoever has it dies.
  w.net.Run(5s);
  EXPECT_EQ(rollout->step(), Rollout::Step::kRolledBack);
  EXPECT_EQ(rollout->why(), "a cage of the new module died");
  for (const auto& s : slots) EXPECT_EQ(s.image, better);
  EXPECT_EQ(w.server().sites().Named("shop")->pool->healthy(), 3u);
  EXPECT_EQ(w.server().sites().Named("shop")->config.module, "better");
  http::Do<Served>(w.net, w.node, [](Turn& turn, Served& s) { EXPECT_TRUE(s.server.sites().RollBack(turn, "shop").ok() == false); });
}

TEST(FrontTest, AnUpdateWhoseCagesAnswerNonsenseGoesBackThoughTheirBreakersSpareThem) {
  World w(SiteList{{.name = "shop", .module = "toy", .replicas = 3}});
  const auto& site = *w.server().sites().Named("shop");
  const Image before = site.pool->slots()[0].image;
  http::Do<Served>(w.net, w.node, [](Turn& turn, Served& s) { EXPECT_TRUE(s.server.sites().Update(turn, "shop", "the worst").ok()); });
  w.net.Run(2s);
  for (int i = 0; i < 9; ++i) w.Say(Ask("/nonsense"));
  w.net.Run(5s);
  EXPECT_EQ(site.rollout->step(), Rollout::Step::kRolledBack);
  EXPECT_EQ(site.rollout->why(), "a cage of the new module answers nonsense");
  for (const auto& s : site.pool->slots()) EXPECT_EQ(s.image, before);
  EXPECT_EQ(site.config.module, "toy");
  EXPECT_EQ(site.module->image(), before);
  EXPECT_THAT(site.log, ::testing::Contains("cage 2 answered nonsense: no header line").Times(1));
  // What comes later is of the old one too.
  http::Do<Served>(w.net, w.node, [](Turn& turn, Served& s) { EXPECT_TRUE(s.server.sites().Scale(turn, "shop", 5)); });
  w.net.Run(5s);
  EXPECT_EQ(site.pool->slots()[4].image, before);
}

TEST(FrontTest, ASiteIsDeployedInItsOwnPlaceOnceThatCanServe) {
  World w;
  const auto deploy = [&](std::string module) {
    http::Do<Served>(w.net, w.node, [=](Turn& turn, Served& s) {
      PoolNews news;
      EXPECT_TRUE(s.server.sites().Add(turn, {.name = "shop", .aliases = {"new.shop"}, .module = module, .replicas = 1}, "", news).ok());
      s.server.OnNews(turn, std::move(news));
    });
  };
  deploy("broken");
  EXPECT_THAT(w.Say(Ask("/")), StartsWith("HTTP/1.1 200"));
  const auto& site = *w.server().sites().Named("shop");
  EXPECT_EQ(site.next_problem, "function 3, offset 17: found else, expected end");
  EXPECT_EQ(site.config.module, "toy");
  EXPECT_EQ(site.pool->healthy(), 2u);
  deploy("better");
  EXPECT_THAT(w.Say(Ask("/")), StartsWith("HTTP/1.1 200"));
  w.net.Run(1s);
  EXPECT_EQ(site.config.module, "better");
  EXPECT_EQ(site.next, nullptr);
  EXPECT_EQ(site.pool->slots().size(), 1u);
  EXPECT_THAT(w.Say(Ask("/", "new.shop")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(w.Say(Ask("/", "www.shop")), StartsWith("HTTP/1.1 404"));
}

TEST(FrontTest, ATargetIsAPathOrAUrl) {
  World w;
  for (const char* wrong : {"ftp://shop/x", "http://a@shop/x", "http:///x", "/a#b", "http://shop/a#b"}) EXPECT_THAT(w.Say(Ask(wrong)), StartsWith("HTTP/1.1 400")) << wrong;
  EXPECT_THAT(w.Say(Ask("http://shop/x?y")), HasSubstr("GET /x?y"));
}

}  // namespace
}  // namespace orchard::cage
