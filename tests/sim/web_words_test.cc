// What a scenario may say of web servers and their clients, and what it is told when it errs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/language/client_operations.h"
#include "sim/language/lint.h"
#include "sim/language/loader.h"
#include "sim/language/metrics_table.h"
#include "sim/language/plan.h"

namespace orchard::sim {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string Say(const std::string& text) {
  std::vector<LoadError> errors;
  Sources sources;
  LoadScenarioFromText(text, "web.json", {}, errors, sources);
  return RenderErrors(errors, sources);
}

// An origin that offers `web`, a client that does an http.get `with`, and `more`.
std::string Web(const std::string& web, const std::string& with, const std::string& more = "") {
  return "{\"says\": \"x\", \"duration\": \"60s\",\n\"hosts\": [{\"id\": \"origin\", \"runs\": \"web\", \"web\": " + web +
         "},\n{\"id\": \"laptop\", \"runs\": \"none\"}, {\"id\": \"phone\", \"count\": 3}],\n\"timeline\": [{\"at\": \"1s\", \"who\": \"laptop\", \"do\": \"http.get\", \"with\": " +
         with + ", \"as\": \"get\"}]" + (more.empty() ? "" : ",\n" + more) + "}";
}
constexpr const char* kFilm = R"({"files": {"/film": "1MiB"}})";
constexpr const char* kGet = R"({"url": "http://origin/film"})";

std::optional<Scenario> Load(const std::string& text) {
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenarioFromText(text, "web.json", {}, errors, sources);
  EXPECT_TRUE(suite) << RenderErrors(errors, sources);
  return suite ? BuildCase(*suite, suite->cases[0], errors) : std::nullopt;
}

TEST(WebWordsTest, AnOriginIsReadWithEveryWord) {
  std::optional<Scenario> s = Load(Web(R"({"files": {"/film": "3MiB", "/empty": "0B"}, "ranges": false, "gzip": true, "etags": false, "chunked": true, "rate": "8Mbps",
      "port": 8080, "status": 503, "redirect": "http://laptop/", "lie": -7, "shift": "1KiB", "last_modified": "Sun, 06 Nov 1994 08:49:37 GMT"})", kGet));
  ASSERT_TRUE(s);
  const Plan plan = Expand(*s, 1);
  const HostPlan& origin = plan.world.hosts[0];
  ASSERT_NE(origin.web, nullptr);
  const WebSpec& w = *origin.web;
  EXPECT_EQ(w.files.at("/film"), 3u << 20);
  EXPECT_EQ(w.files.at("/empty"), 0u);
  EXPECT_FALSE(w.ranges || w.etags);
  EXPECT_TRUE(w.gzip && w.chunked);
  EXPECT_EQ(w.rate_bps, 8'000'000);
  EXPECT_EQ(w.port, 8080);
  EXPECT_EQ(w.status, 503);
  EXPECT_EQ(w.redirect, "http://laptop/");
  EXPECT_EQ(w.lie, -7);
  EXPECT_EQ(w.shift, 1024);
  EXPECT_EQ(w.last_modified, "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_FALSE(origin.runs_node);
}

TEST(WebWordsTest, OnlyHostsThatTheTimelineCallsHaveClients) {
  std::optional<Scenario> s = Load(Web(kFilm, kGet));
  ASSERT_TRUE(s);
  const Plan plan = Expand(*s, 1);
  for (const HostPlan& h : plan.world.hosts) EXPECT_EQ(h.clients, h.id == "laptop") << h.id;
  // A node has some, too.
  s->timeline[0].who->terms[0].text = "phone", s->timeline[0].who->terms[0].kind = SelectorTerm::Kind::kGroup;
  EXPECT_TRUE(Expand(*s, 1).world.hosts[2].clients);
}

TEST(WebWordsTest, AUrlNamesAHostOfTheScenario) {
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "http://orign/film"})")), StartsWith("web.json:4:"));
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "http://orign/film"})")), HasSubstr("timeline.get.with.url: no host is called \"orign\"; did you mean \"origin\"?"));
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "http://phone/film"})")), HasSubstr("\"phone\" is a group"));
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "http://phone-4/film"})")), HasSubstr("no host is called \"phone-4\""));
  EXPECT_EQ(Say(Web(kFilm, R"({"url": "http://phone-3:8080/{n}"})")), "");
  EXPECT_EQ(Say(Web(kFilm, R"({"url": "http://192.0.2.1/"})")), "");
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "origin/film"})")), HasSubstr("a URL such as \"http://origin/film\""));
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "https://origin/film"})")), HasSubstr("has no TLS"));
  EXPECT_THAT(Say(Web(kFilm, R"({"url": {"any": "phone"}})")), HasSubstr("a URL such as"));
  EXPECT_THAT(Say(Web(kFilm, R"({"uri": "http://origin/film"})")), HasSubstr("Did you mean \"url\"?  (docs/SCENARIOS.md)"));
  EXPECT_THAT(Say(Web(kFilm, "{}")), HasSubstr("\"http.get\" needs url"));
}

TEST(WebWordsTest, RangesAndProxiesAreCheckedBeforeAnythingRuns) {
  for (const char* range : {"0-99", "100-", "-50"}) EXPECT_EQ(Say(Web(kFilm, std::string(R"({"url": "http://origin/film", "range": ")") + range + "\"}")), "");
  for (const char* range : {"", "9-1", "0-1,4-5", "bytes=0-9", "x"}) {
    EXPECT_THAT(Say(Web(kFilm, std::string(R"({"url": "http://origin/film", "range": ")") + range + "\"}")), HasSubstr("one range of bytes")) << range;
  }
  for (const char* proxy : {"pod", "127.0.0.1:3128"}) EXPECT_EQ(Say(Web(kFilm, std::string(R"({"url": "http://origin/film", "proxy": ")") + proxy + "\"}")), "");
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "http://origin/film", "proxy": "laptop"})")), HasSubstr("\"pod\", or an address"));
}

TEST(WebWordsTest, WhatAnOriginCannotOfferIsNamed) {
  EXPECT_THAT(Say(Web(R"({"files": {"film": "1MiB"}})", kGet)), HasSubstr("hosts.origin.web.files[\"film\"]: found \"film\"; a path such as \"/film\""));
  EXPECT_THAT(Say(Web(R"({"files": {"/film": 5}})", kGet)), HasSubstr("carries its unit"));
  EXPECT_THAT(Say(Web(R"({"files": {"/film": "9000GiB"}})", kGet)), HasSubstr("at most 4096 GiB"));
  EXPECT_THAT(Say(Web(R"({"file": {"/film": "1MiB"}})", kGet)), HasSubstr("did you mean \"files\"?"));
  EXPECT_THAT(Say(Web(R"({"tls": true})", kGet)), HasSubstr("not in this version"));
  EXPECT_THAT(Say(Web(R"({"status": 42})", kGet)), HasSubstr("hosts.origin.web.status"));
  EXPECT_THAT(Say(Web(R"({"last_modified": "yesterday"})", kGet)), HasSubstr("a date such as"));
  EXPECT_THAT(Say(R"({"says": "x", "duration": "1s", "hosts": [{"id": "a", "web": {}}]})"), HasSubstr("expected \"runs\": \"web\" beside it"));
  EXPECT_THAT(Say(R"({"says": "x", "duration": "1s", "hosts": [{"id": "a", "runs": "web", "node": {}}]})"), HasSubstr("it runs no node"));
}

TEST(WebWordsTest, TheOtherUrlAndLengthsOfTimeOfClientsAreChecked) {
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "http://origin/film", "or": "http://orign/film"})")), HasSubstr("orign"));
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "http://origin/film", "or": "http://phone/film"})")), HasSubstr("is a group"));
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "http://origin/film", "patience": "0s"})")), HasSubstr("a length of time"));
  EXPECT_THAT(Say(Web(kFilm, R"({"url": "http://origin/film", "patience": "5MiB"})")), HasSubstr("a length of time"));
  EXPECT_EQ(Say(Web(kFilm, R"({"url": "http://origin/film", "or": "http://laptop/film", "patience": "500ms"})")), "");
}

TEST(WebWordsTest, AFileIsComparedOnlyWithWhatAnHttpGetBrought) {
  auto claim = [](const std::string& is) { return Web(kFilm, kGet, R"("claims": [{"says": "whole", "same": "bytes", "name": "get", "of": "laptop", "is": ")" + is + "\"}]"); };
  EXPECT_EQ(Say(claim("/film")), "");
  EXPECT_THAT(Say(claim("/fim")), HasSubstr("no web server has a file \"/fim\"; did you mean \"/film\"?"));
  EXPECT_THAT(Say(R"({"says": "x", "duration": "9s", "hosts": [{"id": "a"}, {"id": "o", "runs": "web", "web": {"files": {"/f": "1B"}}}],
      "timeline": [{"at": "1s", "who": "a", "do": "dht.put", "with": {"value": "v"}, "as": "note"}],
      "claims": [{"says": "c", "same": "bytes", "name": "note", "of": "a", "is": "/f"}]})"), HasSubstr("files are compared with what an http.get brought"));
}

TEST(WebWordsTest, TheKernelHostRefusesThemByName) {
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenarioFromText(Web(kFilm, kGet), "web.json", {}, errors, sources);
  ASSERT_TRUE(suite);
  std::string all;
  for (const NetnsLimit& l : NetnsLimits(*suite, suite->cases[0])) all += l.refused ? l.error.found + "\n" : "";
  EXPECT_THAT(all, HasSubstr("the kernel host cannot do a web server"));
  suite = LoadScenarioFromText(R"({"says": "x", "duration": "9s", "hosts": [{"id": "a"}],
      "timeline": [{"at": "1s", "who": "a", "do": "http.get", "with": {"url": "http://a/"}}]})", "web.json", {}, errors, sources);
  ASSERT_TRUE(suite);
  const std::vector<NetnsLimit> limits = NetnsLimits(*suite, suite->cases[0]);
  ASSERT_EQ(limits.size(), 1u);
  EXPECT_THAT(limits[0].error.found, HasSubstr("cannot do http.get"));
}

TEST(WebWordsTest, ClientOperationsAreNoOperationsOfTheNode) {
  for (const sidecar::Operation& o : ClientOperations()) {
    EXPECT_EQ(sidecar::FindOperation(o.name), nullptr) << o.name;
    EXPECT_EQ(FindAction(o.name), &o);
    EXPECT_NE(FindMetric(std::string(o.name) + ".ok"), nullptr);
  }
  EXPECT_EQ(FindClientOperation("dht.get"), nullptr);
  EXPECT_EQ(FindAction("dht.get"), sidecar::FindOperation("dht.get"));
}

}  // namespace
}  // namespace orchard::sim
