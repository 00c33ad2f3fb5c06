// The operator's door: what it says, and whom.

#include "node/cage/admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "node/cage/admin_text.h"
#include "node/cage/dashboard.h"
#include "tests/cage/served.h"

namespace orchard::cage {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

constexpr std::string_view kToken = "an-admin's-token-of-the-test";
const std::string kAuthorization = "Authorization: Bearer an-admin's-token-of-the-test\r\n";

struct Admined : World {
  explicit Admined(SiteList sites = {{.name = "shop", .aliases = {"www.shop"}, .module = "toy", .replicas = 2}})
      : World(ServerConfig{.front = {.local = Endpoint::V4(0, 80), .fallback = "", .body_max = 1000},
                           .admin = {.local = Endpoint::V4(0x7f000001, 9000), .token = std::string(kToken)}, .sites = std::move(sites)}) {}
  std::string Watch(std::string_view target, std::string_view lines = kAuthorization, std::string_view host = "127.0.0.1:9000", std::string_view method = "GET") {
    return SayTo(9000, Ask(target, host, lines, method));
  }
  Json Stats() { return Json::parse(BodyOf(Watch("/stats"))); }
  static std::string BodyOf(const std::string& said) {
    const size_t at = said.find("\r\n\r\n");
    return at == said.npos ? "" : said.substr(at + 4);
  }
  const Admin::Stats& stats() { return server().admin().stats(); }
};

TEST(AdminTest, StatsTellOfSitesAndTheirSlots) {
  Admined w;
  for (int i = 0; i < 3; ++i) w.Say(Ask("/a", "shop", "Content-Length: 2\r\n", "POST") + "hi");
  w.Say(Ask("/trap")), w.Say(Ask("/", "other"));
  w.net.Run(10s);
  const Json stats = w.Stats(), site = stats["sites"][0];
  EXPECT_EQ(stats["requests"], 5);
  EXPECT_EQ(stats["unknown_site"], 1);
  EXPECT_EQ(site["site"], "shop");
  EXPECT_EQ(site["aliases"], Json({"www.shop"}));
  EXPECT_EQ(site["state"], "healthy");
  EXPECT_EQ(site["healthy"], 2);
  EXPECT_EQ(site["requests"], 4);
  EXPECT_EQ(site["failures"], 1);
  EXPECT_EQ(site["statuses"], (Json{{"2xx", 3}, {"3xx", 0}, {"4xx", 0}, {"5xx", 1}, {"lost", 0}}));
  EXPECT_EQ(site["bytes_in"], 6);
  EXPECT_GT(site["bytes_out"], 20);
  EXPECT_EQ(site["deaths"], 2);  // It was tried in the other cage too.
  EXPECT_EQ(site["restarts"], 2);
  EXPECT_EQ(site["retried"], 1);
  EXPECT_EQ(site["version"].get<std::string>().size(), 64u);
  ASSERT_EQ(site["slots"].size(), 2u);
  EXPECT_EQ(site["slots"][0]["state"], "RUN");
  EXPECT_EQ(site["slots"][0]["died_of"], "panic");
  EXPECT_EQ(site["slots"][0]["breaker"], "closed");
}

TEST(AdminTest, LatenciesAreOfLate) {
  Admined w;
  EXPECT_TRUE(w.Stats()["sites"][0]["p50_us"].is_null());
  w.Say(Ask("/"));
  EXPECT_TRUE(w.Stats()["sites"][0]["p99_us"].is_number());
  w.net.Run(61s);
  EXPECT_TRUE(w.Stats()["sites"][0]["p99_us"].is_null());
  EXPECT_EQ(w.Stats()["sites"][0]["requests"], 1);
}

TEST(AdminTest, HealthIsForAllAndSaysWhenASiteHasNoCage) {
  Admined w;
  EXPECT_THAT(w.Watch("/health", ""), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("{\"status\":\"healthy\",\"sites\":1,\"down\":0}\n")));
  Admined broken({{.name = "good", .module = "toy"}, {.name = "bad", .module = "broken"}});
  EXPECT_THAT(broken.Watch("/health", ""), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("\"down\":1")));
  EXPECT_EQ(broken.Stats()["sites"][0]["why"], "function 3, offset 17: found else, expected end");
}

TEST(AdminTest, WithoutTheTokenNothingElseIsTold) {
  Admined w;
  for (const char* target : {"/stats", "/metrics", "/stats?token=an-admin's-token-of-the-test"}) {
    EXPECT_THAT(w.Watch(target, ""), AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("WWW-Authenticate: Bearer realm=\"orchard\"\r\n"), Not(HasSubstr("shop")))) << target;
  }
  for (const std::string& lines : std::vector<std::string>{"Authorization: Bearer an-admin's-token-of-the-tesT\r\n", "Authorization: Bearer\r\n", "Authorization: Bearer \r\n",
                                                           "Authorization: Basic an-admin's-token-of-the-test\r\n", "Authorization: an-admin's-token-of-the-test\r\n",
                                                           kAuthorization + "Authorization: Bearer x\r\n", "Cookie: token=an-admin's-token-of-the-test\r\n"}) {
    EXPECT_THAT(w.Watch("/stats", lines), StartsWith("HTTP/1.1 401")) << lines;
  }
  EXPECT_EQ(w.stats().denied, 10u);
  EXPECT_THAT(w.Watch("/stats", "authorization: bearer   an-admin's-token-of-the-test\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST(AdminTest, WithoutATokenOfItsOwnItAnswersNobody) {
  World w(ServerConfig{.front = {.local = Endpoint::V4(0, 80)}, .admin = {.local = Endpoint::V4(0x7f000001, 9000)}, .sites = {}});
  EXPECT_THAT(w.SayTo(9000, Ask("/stats", "localhost", "Authorization: Bearer \r\n")), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(w.SayTo(9000, Ask("/health", "localhost")), StartsWith("HTTP/1.1 200"));
}

TEST(AdminTest, ANameThatSomebodyLedHereIsRefused) {
  Admined w;
  for (std::string_view host : {"evil.example:9000", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "shop", "[::2]:9000", "a b", "2130706433"}) {
    EXPECT_THAT(w.Watch("/health", kAuthorization, host), StartsWith("HTTP/1.1 421")) << host;
    EXPECT_THAT(w.Watch("/stats", kAuthorization, host), AllOf(StartsWith("HTTP/1.1 421"), Not(HasSubstr("toy")))) << host;
  }
  EXPECT_THAT(w.Watch("http://evil.example/stats"), StartsWith("HTTP/1.1 421"));  // It counts more than Host.
  EXPECT_EQ(w.stats().strange_hosts, 17u);
  for (std::string_view host : {"localhost", "LOCALHOST:9000", "127.0.0.1", "127.1.2.3:1"}) EXPECT_THAT(w.Watch("/stats", kAuthorization, host), StartsWith("HTTP/1.1 200")) << host;
}

TEST(AdminTest, OnlyReadsAreServedAndNoOtherOriginMayReadThem) {
  Admined w;
  for (std::string_view method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"}) {
    EXPECT_THAT(w.Watch("/stats", kAuthorization, "localhost", method), AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: GET, HEAD\r\n"))) << method;
  }
  EXPECT_THAT(w.Watch("shop:1", kAuthorization, "localhost", "CONNECT"), StartsWith("HTTP/1.1 405"));
  const std::string preflight = w.Watch("/stats", "Origin: http://evil.example\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n", "localhost", "OPTIONS");
  EXPECT_THAT(preflight, Not(HasSubstr("Access-Control")));
  EXPECT_THAT(w.Watch("/stats", kAuthorization + "Origin: http://evil.example\r\n"), AllOf(Not(HasSubstr("Access-Control")), HasSubstr("Cross-Origin-Resource-Policy: same-origin\r\n")));
  EXPECT_THAT(w.Watch("/stats", kAuthorization, "localhost", "HEAD"), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("\r\n\r\n")));
  EXPECT_THAT(w.Watch("/none"), StartsWith("HTTP/1.1 404"));
}

TEST(AdminTest, ThePageMayDoNothingButAskWhereItCameFrom) {
  Admined w;
  const std::string said = w.Watch("/", "");
  EXPECT_THAT(said, StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(Admined::BodyOf(said), DashboardPage());
  EXPECT_THAT(said, AllOf(HasSubstr("default-src 'none'; script-src 'sha256-"), HasSubstr("frame-ancestors 'none'"), Not(HasSubstr("unsafe"))));
  // Self-contained, and no text of others as HTML.
  for (std::string_view word : {"innerHTML", "outerHTML", "insertAdjacent", "document.write", "src=", "@import", "url(", "style=", "eval"}) {
    EXPECT_EQ(DashboardPage().find(word), DashboardPage().npos) << word;
  }
}

// Every line of the format: a comment of two kinds, or a name, labels whose quotes are escaped, and a number; each sample's family is
// announced once, before it.
void ExpectExposition(const std::string& text) {
  std::set<std::string> announced, ended;
  std::string family, line;
  std::istringstream in(text);
  ASSERT_TRUE(text.ends_with('\n'));
  while (std::getline(in, line)) {
    std::smatch m;
    if (std::regex_match(line, m, std::regex(R"(# TYPE ([a-z][a-z0-9_]*) (counter|gauge|histogram))"))) {
      EXPECT_TRUE(announced.insert(m[1]).second) << line;
      family = m[1];
      if (m[2] == "counter") { EXPECT_TRUE(family.ends_with("_total")) << line; }
      continue;
    }
    if (line.starts_with("# HELP ")) continue;
    const bool sample = std::regex_match(line, m, std::regex(R"(([a-z][a-z0-9_]*)(\{([a-z]+="([^"\\]|\\["\\n])*",?)*\})? ([0-9]+(\.[0-9]+)?))"));
    ASSERT_TRUE(sample) << line;
    EXPECT_TRUE(m[1].str().starts_with(family)) << line;
  }
  EXPECT_GT(announced.size(), 20u);
}

TEST(AdminTest, MetricsAreInPrometheussFormatAndAddUp) {
  Admined w({{.name = "shop", .module = "to\"y\\\n", .replicas = 2}, {.name = "two", .module = "toy", .replicas = 1}});
  for (int i = 0; i < 3; ++i) w.Say(Ask("/"));
  w.Say(Ask("/trap"));
  const std::string text = Admined::BodyOf(w.Watch("/metrics"));
  ExpectExposition(text);
  EXPECT_THAT(text, HasSubstr("orchard_cage_site_info{site=\"shop\",module=\"to\\\"y\\\\\\n\",hash=\""));
  EXPECT_THAT(text, HasSubstr("\norchard_cage_requests_total{site=\"shop\",code=\"2xx\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\norchard_cage_requests_total{site=\"shop\",code=\"5xx\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\norchard_cage_requests_total{site=\"two\",code=\"2xx\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\norchard_cage_request_duration_seconds_count{site=\"shop\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("\norchard_cage_request_duration_seconds_bucket{site=\"shop\",le=\"+Inf\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("\norchard_cage_deaths_total{site=\"shop\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("\norchard_cage_slots{site=\"two\",state=\"RUN\"} 1\n"));
  // Hosts that strangers make up are no labels.
  for (int i = 0; i < 50; ++i) w.Say(Ask("/", absl::StrCat("made-up-", i)));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n') , [&] { const std::string again = Admined::BodyOf(w.Watch("/metrics")); return std::count(again.begin(), again.end(), '\n'); }());
  EXPECT_EQ(w.server().front().traffic("made-up-1"), nullptr);
}

TEST(AdminTest, LabelsAreEscaped) {
  EXPECT_EQ(LabelText("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
  EXPECT_EQ(LabelText("\xff"), "(not text) ff");
}

TEST(AdminTest, ManyWatchersAreBoundedAndAnswersAreLetGo) {
  Admined w;
  const Endpoint to = w.net.address(w.node).with_port(9000);
  for (size_t i = 0; i < Admin::kClientsMax + 5; ++i) {
    w.net.Add("watcher-" + std::to_string(i), [=](uint32_t) { return std::make_unique<http::RawClient>(to, http::RawClient::Options{.script = "GET /stats HTTP/1.1\r\nHost: localhost\r\n" + kAuthorization + "\r\n"}); });
  }
  w.net.Run(1s);
  EXPECT_EQ(w.server().admin().clients(), Admin::kClientsMax);
  EXPECT_EQ(w.stats().crowded, 5u);
  EXPECT_EQ(w.server().admin().held(), 0u);
  w.net.Run(65s);  // They ask nothing more.
  EXPECT_EQ(w.server().admin().clients(), 0u);
}

TEST(AdminTest, LargeAnswersComeWholeAndPipelinedOnesInOrder) {
  SiteList sites;
  for (int i = 0; i < 300; ++i) sites.push_back({.name = absl::StrCat("site-", i), .module = "toy", .replicas = 1});
  Admined w(sites);
  const std::string ask = Ask("/metrics", "localhost", kAuthorization);
  const std::string said = w.SayTo(9000, ask + Ask("/health", "localhost") + ask);
  EXPECT_GT(said.size(), 1'000'000u);
  EXPECT_THAT(said, HasSubstr("{\"status\":\"healthy\",\"sites\":300,\"down\":0}\nHTTP/1.1 200 OK"));
  EXPECT_THAT(said, EndsWith("orchard_cage_request_duration_seconds_count{site=\"site-99\"} 0\n"));
}

}  // namespace
}  // namespace orchard::cage
