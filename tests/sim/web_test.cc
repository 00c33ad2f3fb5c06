// Origins and their clients in runs: what is fetched, measured, compared, and what ends badly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "node/http/content.h"
#include "node/http/origin.h"
#include "sim/run/runner_client.h"
#include "sim/run/web_files.h"
#include "tests/sim/program.h"
#include "tests/sim/toy_stage.h"
#include "tests/support/mem_host.h"

namespace orchard::sim {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;

constexpr uint64_t kFilm = 3'000'000;

// ---- One machine around another ----

// Keeps what it is told of operations, streams and jobs, and wakes once a second.
class Inner final : public Machine {
 public:
  struct Saw {
    std::set<std::string> operations;
    uint64_t streams = 0, jobs = 0, cancelled = 0, beats = 0, stops = 0;
  };
  explicit Inner(Saw* saw) : saw_(saw) {}
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) next_ = turn.now + 1s;
    if (const auto* c = std::get_if<OpCall>(&input)) saw_->operations.insert(std::string(c->name));
    saw_->cancelled += std::holds_alternative<OpCancelled>(input);
    saw_->jobs += std::holds_alternative<JobDone>(input);
    saw_->streams += std::holds_alternative<StreamData>(input) || std::holds_alternative<StreamOpened>(input) || std::holds_alternative<StreamClosed>(input);
    if (std::holds_alternative<Deadline>(input)) {
      EXPECT_LE(next_, turn.now) << "woken for another's deadline";
      ++saw_->beats, next_ = turn.now + 1s;
    }
    if (std::holds_alternative<Stop>(input)) ++saw_->stops, turn.out.Stopped();
  }
  Instant next_deadline() const override { return next_; }

 private:
  Saw* saw_;
  Instant next_ = kNever;
};

class WithClientsTest : public testing::Test {
 protected:
  void SetUp() override { Begin({}); }
  void Begin(WebSpec web) {
    web.files = {{"/film", kFilm}};
    origin_ = net_.Add("origin", [web](uint32_t) { return MakeOrigin(web, 1); });
    client_ = net_.Add("client", [this](uint32_t) { return std::make_unique<WithClients>(std::make_unique<Inner>(&saw_)); });
    net_.SetName("origin", {net_.address(origin_)});
    net_.Run(1ms);
  }
  Json Get(const std::string& with) { return Call("http.get", with); }
  Json Call(std::string_view operation, const std::string& with) {
    const OpId op{++ops_};
    net_.Call(client_, op, operation, with);
    EXPECT_TRUE(net_.RunUntil([&] { return net_.Final(client_, op) != nullptr; }, 100s));
    JsonError broken;
    std::optional<Json> final = ParseJson(net_.Final(client_, op)->json, 0, broken);
    EXPECT_TRUE(final && final->Find("tag")->text == "final");
    return final ? *final->Find("data") : Json::Object();
  }
  MemHost net_;
  MemHost::NodeIndex origin_ = 0, client_ = 0;
  Inner::Saw saw_;
  uint32_t ops_ = 0;
};

TEST_F(WithClientsTest, AGetBringsTheFileAndItsFigures) {
  const Json r = Get(R"({"url": "http://origin/film"})");
  EXPECT_TRUE(r.Find("ok")->truth);
  EXPECT_EQ(r.Find("status")->Integer(), 200);
  EXPECT_EQ(r.Find("bytes")->Integer(), int64_t(kFilm));
  EXPECT_EQ(r.Find("sha256")->text, ToHex(http::Content(1, "/film", kFilm).Sha256()));
  EXPECT_EQ(r.Find("url")->text, "http://origin/film");
  // 5 ms for the name, four ways of 20 ms until the first byte.
  EXPECT_EQ(r.Find("first_byte_ms")->Micro(), 85'000'000);
  const int64_t ns = r.Find("ms")->Micro().value_or(0), bps = r.Find("mbps")->Micro().value_or(0);
  EXPECT_GT(ns, 85'000'000);
  EXPECT_EQ(bps, int64_t(static_cast<__int128>(kFilm) * 8'000'000'000 / ns));
}

TEST_F(WithClientsTest, TheInnerMachineSeesNothingOfItAndKeepsItsBeat) {
  Get(R"({"url": "http://origin/film"})");
  net_.Call(client_, OpId{100}, "dht.lookup", "{}");
  net_.Run(10s);
  EXPECT_EQ(saw_.operations, std::set<std::string>{"dht.lookup"});
  EXPECT_EQ(saw_.streams, 0u);
  EXPECT_EQ(saw_.jobs, 0u);
  EXPECT_GE(saw_.beats, 9u);
  net_.Stop(client_);
  EXPECT_EQ(saw_.stops, 1u);
  EXPECT_FALSE(net_.up(client_));
}

TEST_F(WithClientsTest, WhatEndsBadlyHasACode) {
  auto code = [&](const std::string& with) { return Get(with).Find("code")->text; };
  EXPECT_EQ(code(R"({"url": "http://origin/none"})"), "ERR_STATUS_404");
  EXPECT_EQ(code(R"({"url": "http://origin:81/film"})"), "ERR_REFUSED");
  EXPECT_EQ(code(R"({"url": "http://nobody/film"})"), "ERR_NO_NAME");
  EXPECT_EQ(code(R"({"url": "http://origin/film", "range": "9000000-"})"), "ERR_STATUS_416");
  EXPECT_EQ(code(R"({"url": "http://origin/film", "proxy": "pod"})"), "ERR_REFUSED") << "nobody listens there";
  EXPECT_EQ(code(R"({"url": "http://origin/film", "proxy": "somewhere"})"), "ERR_PARAMS");
  EXPECT_EQ(code(R"({"address": "http://origin/film"})"), "ERR_PARAMS");
  const Json failed = Get(R"({"url": "http://origin/none"})");
  EXPECT_FALSE(failed.Find("ok")->truth);
  EXPECT_EQ(failed.Find("mbps"), nullptr) << "a rate is of what succeeded";
}

TEST_F(WithClientsTest, ACancelledGetSaysNothingMore) {
  net_.Call(client_, OpId{7}, "http.get", R"({"url": "http://origin/film"})");
  net_.Run(100ms);
  net_.Cancel(client_, OpId{7});
  net_.Run(100s);
  EXPECT_EQ(net_.Final(client_, OpId{7}), nullptr);
  EXPECT_EQ(saw_.cancelled, 0u);
  net_.Cancel(client_, OpId{8});
  EXPECT_EQ(saw_.cancelled, 1u) << "another's is the inner machine's matter";
}

TEST_F(WithClientsTest, WhoGetsNoAnswerAsksAnotherOnceAndSaysWhoAnsweredAndWhatItTook) {
  const Json r = Get(R"({"url": "http://origin:81/film", "or": "http://origin/film"})");
  EXPECT_TRUE(r.Find("ok")->truth);
  EXPECT_EQ(r.Find("url")->text, "http://origin/film");
  EXPECT_GT(r.Find("first_byte_ms")->Micro(), 125'000'000) << "from the first try on: a refusal takes two ways, and a name";
  EXPECT_GT(r.Find("ms")->Micro(), r.Find("first_byte_ms")->Micro());
  EXPECT_EQ(Get(R"({"url": "http://origin/none", "or": "http://origin/film"})").Find("code")->text, "ERR_STATUS_404") << "that was an answer";
  EXPECT_EQ(Get(R"({"url": "http://origin:81/film", "or": "http://nobody/film"})").Find("code")->text, "ERR_NO_NAME") << "and there is no third";
}

TEST_F(WithClientsTest, PatienceIsForTheConnectionAndForTheAnswer) {
  const Json r = Get(R"({"url": "http://origin/film", "patience": "10ms"})");
  EXPECT_EQ(r.Find("code")->text, "ERR_UNREACHABLE");
  EXPECT_EQ(r.Find("ms")->Micro(), 15'000'000) << "5 ms for the name";
  EXPECT_EQ(Get(R"({"url": "http://origin/film", "patience": "soon"})").Find("code")->text, "ERR_PARAMS");
  EXPECT_TRUE(Get(R"({"url": "http://origin/film", "patience": "50ms"})").Find("ok")->truth) << "it begins anew with each step";
}

TEST_F(WithClientsTest, AServerEndsWhatDripsWhenItsPatienceWithAHeadIsOver) {
  const Json r = Call("http.drip", R"({"url": "http://origin/film", "every": "500ms"})");
  EXPECT_TRUE(r.Find("ok")->truth);
  EXPECT_EQ(r.Find("status")->Integer(), 408);
  EXPECT_GE(r.Find("ms")->Micro(), 10'000'000'000);
  EXPECT_LE(r.Find("ms")->Micro(), 10'300'000'000);
  EXPECT_GE(r.Find("bytes")->Integer(), 20);
  EXPECT_LE(r.Find("bytes")->Integer(), 22);
}

TEST_F(WithClientsTest, ADripLetsGoAfterItsTimeAndSaysWhyItDidNotComeToIt) {
  const Json held = Call("http.drip", R"({"url": "http://origin/film", "most": "3s"})");
  EXPECT_EQ(held.Find("code")->text, "ERR_HELD");
  EXPECT_EQ(held.Find("ms")->Micro(), 3'000'000'000);
  EXPECT_EQ(held.Find("status"), nullptr);
  EXPECT_EQ(Call("http.drip", R"({"url": "http://origin:81/film"})").Find("code")->text, "ERR_UNREACHABLE");
  EXPECT_EQ(Call("http.drip", R"({"url": "http://nobody/film"})").Find("code")->text, "ERR_NO_NAME");
  EXPECT_EQ(Call("http.drip", R"({"url": "https://origin/film"})").Find("code")->text, "ERR_PARAMS");
  EXPECT_EQ(Call("http.drip", R"({"url": "http://origin/film", "every": "0s"})").Find("code")->text, "ERR_PARAMS");
}

TEST_F(WithClientsTest, ACancelledDripSaysNothingMore) {
  net_.Call(client_, OpId{7}, "http.drip", R"({"url": "http://origin/film"})");
  net_.Run(2s);
  net_.Cancel(client_, OpId{7});
  net_.Run(100s);
  EXPECT_EQ(net_.Final(client_, OpId{7}), nullptr);
  EXPECT_EQ(saw_.cancelled, 0u);
}

TEST(WebFilesTest, AreMirrorsWhereverTheyAreAndOfTheSizeThatTheUrlsHostHas) {
  WorldPlan world{.seed = 5};
  auto add = [&](const std::string& id, std::map<std::string, uint64_t> files) {
    auto web = std::make_shared<WebSpec>();
    web->files = std::move(files);
    world.hosts.push_back({.id = id, .web = std::move(web)});
  };
  add("near", {{"/film", 1000}}), add("far", {{"/film", 2000}, {"/song", 10}});
  auto with = [](const std::string& text) {
    JsonError broken;
    return *ParseJson(text, 0, broken);
  };
  WebFiles files(world);
  const auto whole = [](uint64_t size) { return ToHex(http::Content(5, "/film", size).Sha256()); };
  EXPECT_EQ(files.Sha256("/film", with(R"({"url": "http://near/film"})")), whole(1000));
  EXPECT_EQ(files.Sha256("/film", with(R"({"url": "http://far:80/film"})")), whole(2000));
  EXPECT_EQ(files.Sha256("/film", with(R"({"url": "http://192.0.2.1/film"})")), whole(1000)) << "the first that has it";
  EXPECT_EQ(files.Sha256("/film", with(R"({"url": "http://near/film", "range": "10-19"})")), ToHex(http::Content(5, "/film", 1000).Sha256(10, 10)));
  EXPECT_EQ(files.Sha256("/film", with(R"({"url": "http://near/film", "range": "-10"})")), ToHex(http::Content(5, "/film", 1000).Sha256(990, 10)));
  EXPECT_EQ(files.Sha256("/film", with(R"({"url": "http://near/film", "range": "1000-"})")), std::nullopt);
  EXPECT_EQ(files.Sha256("/talk", with(R"({"url": "http://near/film"})")), std::nullopt);
}

// ---- Claims and the time line, without packets ----

std::string Toy(const std::string& with, const std::string& claim, const std::string& more = "") {
  return Cat(R"({"says": "x", "duration": "60s", "hosts": [{"id": "origin", "runs": "web", "web": {"files": {"/film": "1MB"}}}, {"id": "laptop", "runs": "none"}],
      "timeline": [{"at": "1s", "who": "laptop", "do": "http.get", "with": )", with, R"(, "as": "get", "fails": "maybe"})", more, R"(], "claims": [)", claim, "]}");
}
ToyRun::Answer Final(const std::string& data) { return {.json = Cat(R"({"tag":"final","data":{)", data, "}}")}; }

TEST(WebClaimsTest, TheBytesThatCameAreThoseOfTheFileOrOfItsPart) {
  const std::string claim = R"({"says": "c", "same": "bytes", "name": "get", "of": "laptop", "is": "/film"})";
  const http::Content film(1, "/film", 1'000'000);
  for (auto [with, came, held] : {std::tuple(R"({"url": "http://origin/film"})", film.Sha256(), true),
                                  std::tuple(R"({"url": "http://origin/film"})", film.Sha256(0, 999'999), false),
                                  std::tuple(R"({"url": "http://origin/film", "range": "100-199"})", film.Sha256(100, 100), true),
                                  std::tuple(R"({"url": "http://origin/film", "range": "100-199"})", film.Sha256(), false)}) {
    ToyRun r(Toy(with, claim));
    r.answer = [sum = ToHex(came)](HostIndex, std::string_view, std::string_view) { return Final(Cat(R"("ok":true,"sha256":")", sum, "\"")); };
    r.Run();
    EXPECT_EQ(r.Finish().verdict, held ? Verdict::kHeld : Verdict::kFailed) << with;
  }
  ToyRun beyond(Toy(R"({"url": "http://origin/film", "range": "1000000-"})", claim));
  beyond.answer = [&](HostIndex, std::string_view, std::string_view) { return Final(R"("ok":true,"sha256":"aa")"); };
  beyond.Run();
  EXPECT_EQ(beyond.Finish().verdict, Verdict::kFailed);
  EXPECT_THAT(beyond.claim().why, Contains(HasSubstr("no web server has the part of /film that was asked for")));
}

TEST(WebClaimsTest, FiguresOfAGetAreSamplesToTheNanosecond) {
  ToyRun r(Toy(R"({"url": "http://origin/film"})", R"({"metric": "http.get_mbps", "where": {"as": "get", "status": "200"}, "mean_is": 12.345678},
      {"metric": "http.get.gap_ms", "max_is": 1.5}, {"metric": "http.get.first_byte_ms", "of": "laptop", "max_is": 0.000001}, {"metric": "http.get.ok", "ratio_is": 1},
      {"metric": "http.get_mbps", "where": {"status": "404"}, "count_is": 0})"));
  r.answer = [&](HostIndex, std::string_view, std::string_view) { return Final(R"("ok":true,"status":200,"mbps":12.345678,"gap_ms":1.5,"first_byte_ms":0.000001)"); };
  r.Run(), r.Finish();
  for (const ClaimResult& c : r.judge->results()) EXPECT_EQ(c.verdict, Verdict::kHeld) << c.claim->says << ": " << c.observed;
}

// ---- In the world ----

class WebProgramTest : public ProgramTest {
 protected:
  // A client `laptop` on a line of 8 Mbps behind a NAT, and an origin far away.
  std::string File(const std::string& timeline, const std::string& claims, const std::string& web = R"("files": {"/film": "3MiB"})") {
    return Write("web.json", Cat(R"({"says": "Web.", "seed": 3, "duration": "60s", "world": {"latency": "20ms", "links": {"line": {"rate": "8Mbps", "delay": "10ms"}}},
      "hosts": [{"id": "origin", "link": "datacenter", "runs": "web", "web": {)", web, R"(}}, {"id": "root", "link": "datacenter", "node": {"dht": {"bootstrap": true}}},
                {"id": "laptop", "link": "line", "nat": "port-restricted", "runs": "none"}, {"id": "phone", "link": "line", "nat": "cgn"}],
      "timeline": [)", timeline, R"(], "claims": [)", claims, "]}"));
  }
};

TEST_F(WebProgramTest, AnyHostFetchesAtTheRateOfItsLine) {
  const Ran r = Run({"sim", File(R"({"at": "5s", "who": ["laptop", "phone"], "do": "http.get", "with": {"url": "http://origin/film"}, "as": "get"},
      {"at": "20s", "who": "phone", "do": "http.get", "with": {"url": "http://origin/film", "range": "100-199"}, "as": "part"},
      {"at": "25s", "who": "laptop", "do": "http.get", "with": {"url": "http://origin/none"}, "fails": "ERR_STATUS_404"})",
      R"({"says": "whole", "same": "bytes", "name": "get", "of": ["laptop", "phone"], "is": "/film"}, {"says": "its part", "same": "bytes", "name": "part", "of": "phone", "is": "/film"},
      {"says": "fast", "metric": "http.get_mbps", "of": ["laptop", "phone"], "where": {"as": "get"}, "each": "host", "mean_at_least": 6, "mean_at_most": 8},
      {"says": "all", "metric": "http.get.bytes", "of": "phone", "total_is": 3145828}, {"says": "by entry", "metric": "http.get.bytes", "where": {"as": "part"}, "total_is": 100},
      {"says": "answered", "event": "http.answered", "of": "origin", "count_is": 3}, {"says": "nothing else failed", "never": "http.failed"})"), "--check"});
  EXPECT_EQ(r.status, 0) << r.text;
  const Json topology = ReadResult("runs/web-3/topology.json");
  std::map<std::string, std::string> runs;
  for (const Json& h : topology.Find("hosts")->items) runs[h.Find("id")->text] = h.Find("runs") == nullptr ? "node" : h.Find("runs")->text;
  EXPECT_EQ(runs, (std::map<std::string, std::string>{{"origin", "web"}, {"root", "node"}, {"laptop", "none"}, {"phone", "node"}}));
}

TEST_F(WebProgramTest, ADownloadUnderWayCanBeWaitedForAndItsServerDies) {
  const Ran r = Run({"sim", File(R"({"at": "5s", "who": "laptop", "do": "http.get", "with": {"url": "http://origin/film"}, "as": "get", "fails": "maybe"},
      {"when": {"metric": "http.get.bytes", "of": "laptop", "at_least": "1MiB"}, "on": "origin", "do": "stop", "as": "death"})",
      R"({"says": "a part came", "metric": "http.get.bytes", "of": "laptop", "total_at_least": 1048576, "total_at_most": 3000000},
      {"says": "it noticed", "event": "http.failed", "of": "laptop", "where": {"why": "reset"}, "since": "death", "by": "1s after death"})")});
  EXPECT_EQ(r.status, 0) << r.text;
}

TEST_F(WebProgramTest, AnOriginThatLiesOrDawdlesIsSeenToDoSo) {
  const std::string get = R"({"at": "5s", "who": "laptop", "do": "http.get", "with": {"url": "http://origin/film", "range": "0-999999"}, "as": "get", "fails": "maybe"})";
  const std::string whole = R"({"says": "whole", "same": "bytes", "name": "get", "of": "laptop", "is": "/film"})";
  EXPECT_EQ(Run({"sim", File(get, whole)}).status, 0);
  EXPECT_EQ(Run({"sim", File(get, whole, R"("files": {"/film": "3MiB"}, "shift": 1)")}).status, 1);
  EXPECT_EQ(Run({"sim", File(get, whole, R"("files": {"/film": "3MiB"}, "lie": 5)")}).status, 1);
  EXPECT_EQ(Run({"sim", File(get, whole, R"("files": {"/film": "3MiB"}, "ranges": false)")}).status, 1);
  const Ran slow = Run({"sim", File(get, R"({"says": "a trickle", "metric": "http.get_mbps", "mean_at_least": 0.9, "mean_at_most": 1.0})", R"("files": {"/film": "3MiB"}, "rate": "1Mbps")")});
  EXPECT_EQ(slow.status, 0) << slow.text;
}

}  // namespace
}  // namespace orchard::sim
