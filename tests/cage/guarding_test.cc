// A site behind its guard: what is served, what is refused, and what is told of it.

#include "node/cage/guarding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/cage/admin_text.h"
#include "tests/cage/served.h"
#include "tests/support/bare_turn.h"

namespace orchard::cage {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

SiteList Shop(std::optional<guard::Mode> mode, uint32_t rate = 100) {
  SiteConfig shop;
  shop.name = "shop", shop.module = "toy", shop.replicas = 2, shop.guard = mode, shop.guard_rate = rate;
  return {shop};
}
size_t Count(std::string_view text, std::string_view part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}
uint64_t Found(World& w, guard::Class c) { return w.server().sites().Named("shop")->guard.counts()[size_t(c)]; }

constexpr std::string_view kAttack = "/search?q=1'+or+'1'%3D'1";

TEST(GuardingTest, ASiteThatBlocksRefusesAttacksAndNoCageHearsOfThem) {
  World w(Shop(guard::Mode::kBlock));
  const std::string said = w.Say(Ask(kAttack));
  EXPECT_THAT(said, StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(said, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(said, EndsWith("{\"error\":\"Request refused\",\"status\":403}\n"));
  EXPECT_THAT(w.Say(Ask("/form", "shop", "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 15\r\n", "POST") + "x=%3Cscript%3Ey="), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(w.Say(Ask("/", "shop", "User-Agent: sqlmap/1.7\r\n")), StartsWith("HTTP/1.1 403"));
  EXPECT_EQ(w.runs, 0u);
  EXPECT_THAT(w.Say(Ask("/search?q=O%27Brien")), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(w.runs, 1u);
  EXPECT_EQ(Found(w, guard::Class::kSqli), 1u);
  EXPECT_EQ(Found(w, guard::Class::kXss), 1u);
  EXPECT_EQ(Found(w, guard::Class::kScan), 1u);
  EXPECT_EQ(w.server().front().exchanges(), 0u);
  EXPECT_EQ(w.server().front().held(), 0u);
}

TEST(GuardingTest, RefusalsKeepTheirPlaceAmongPipelinedRequests) {
  World w(Shop(guard::Mode::kBlock));
  const std::string said = w.Say(Ask("/1") + Ask("/.env") + Ask("/wp-login.php") + Ask("/4"));
  EXPECT_EQ(Count(said, "HTTP/1.1 200"), 2u);
  EXPECT_EQ(Count(said, "HTTP/1.1 403"), 2u);
  EXPECT_LT(said.find("GET /1"), said.find("HTTP/1.1 403"));
  EXPECT_LT(said.rfind("HTTP/1.1 403"), said.find("GET /4"));
}

TEST(GuardingTest, ByDefaultTheyAreServedAndCounted) {
  World w(Shop(std::nullopt));
  EXPECT_THAT(w.Say(Ask(kAttack)), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(Found(w, guard::Class::kSqli), 1u);
  World off(Shop(guard::Mode::kOff));
  EXPECT_THAT(off.Say(Ask(kAttack)), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(Found(off, guard::Class::kSqli), 0u);
  ServerConfig config{.front = {.local = Endpoint::V4(0, 80), .fallback = ""}, .sites = Shop(std::nullopt), .guard = guard::Mode::kBlock};
  World node_wide(std::move(config));
  EXPECT_THAT(node_wide.Say(Ask(kAttack)), StartsWith("HTTP/1.1 403"));
}

TEST(GuardingTest, WhoFloodsIsTold429AndOthersAreServed) {
  World w(Shop(guard::Mode::kBlock, 1));
  std::string many;
  for (int i = 0; i < 50; ++i) many += Ask("/");
  const std::string said = w.Say(many);
  EXPECT_EQ(Count(said, "HTTP/1.1 200"), 2u);
  EXPECT_EQ(Count(said, "HTTP/1.1 429"), 48u);
  EXPECT_EQ(Count(said, "Retry-After: 1\r\n"), 48u);
  EXPECT_THAT(said, HasSubstr("{\"error\":\"Too many requests\",\"status\":429}\n"));
  EXPECT_THAT(w.Say(Ask("/")), StartsWith("HTTP/1.1 200"));  // Another client.
  EXPECT_EQ(w.runs, 3u);
  World flag(Shop(guard::Mode::kFlag, 1));
  EXPECT_EQ(Count(flag.Say(many), "HTTP/1.1 200"), 50u);
  EXPECT_EQ(Found(flag, guard::Class::kFlood), 48u);
}

// What a turn told.
struct Told final : Trace::Sink {
  std::vector<std::string> lines;
  void Record(std::string_view event, absl::Span<const TraceField> fields) override {
    std::string line(event);
    for (const TraceField& f : fields) absl::StrAppend(&line, " ", f.name, "=", f.bytes.data() == nullptr ? absl::StrCat(f.number) : std::string(AsText(f.bytes)));
    lines.push_back(std::move(line));
  }
};

TEST(GuardingTest, EachIsToldAndAFloodOnceASecond) {
  Told told;
  BareTurn bare;
  Trace trace(nullptr, &told);
  Turn turn{Instant{}, {}, bare.rng, bare.store, bare.out, trace};
  Sites::Site site;
  site.config.name = "shop", site.guard = guard::Guard(guard::Mode::kBlock, 1);
  const Endpoint peer = Endpoint::V4(0x0a000001, 4711);
  const Request attack{.method = "GET", .target = "/.env", .authority = "", .scheme = "", .remote = "", .headers = {}, .body = ""};
  EXPECT_TRUE(IsToBeRefused(turn, site, RequestId{7}, peer, attack));
  for (uint64_t i = 0; i < 10; ++i) EXPECT_EQ(IsOneTooMany(turn, site, RequestId{i}, peer), i >= 2);
  const std::vector<std::string> expected = {"cage.guard site=shop class=scan score=1000 matched=.env client=10.0.0.1 request=7 blocked=1",
                                             "cage.guard site=shop class=flood score=1000 matched=requests a second client=10.0.0.1 request=2 blocked=1"};
  EXPECT_EQ(told.lines, expected);
}

TEST(GuardingTest, TheFiguresAreShown) {
  World w(Shop(guard::Mode::kBlock));
  w.Say(Ask("/.env") + Ask("/.git/HEAD") + Ask(kAttack));
  EXPECT_THAT(StatsJson(w.net.now(), Duration{}, w.server().sites(), w.server().front()),
              HasSubstr("\"guard\":{\"mode\":\"block\",\"sqli\":1,\"xss\":0,\"scan\":2,\"flood\":0,\"anomaly\":0}"));
  EXPECT_THAT(MetricsText(w.server().sites(), w.server().front()), HasSubstr("orchard_cage_guard_total{site=\"shop\",class=\"scan\"} 2\n"));
}

}  // namespace
}  // namespace orchard::cage
