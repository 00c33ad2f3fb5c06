// The twelve bad files whose messages the project promises, word for word, and what else a person gets wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/language/loader.h"

namespace orchard::sim {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// What the tool says about `text`; empty if nothing is wrong.
std::string Say(const std::string& text, const std::string& name = "nat.json", LoadOptions options = {}) {
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenarioFromText(text, name, options, errors, sources);
  EXPECT_EQ(suite.has_value(), errors.empty());
  return RenderErrors(errors, sources);
}

// A scenario that is right, with `more` added as further members.
std::string With(const std::string& more, const std::string& hosts = R"([{"id": "bob"}, {"id": "peer", "count": 500}])") {
  return "{\"says\": \"x\", \"duration\": \"60s\",\n\"hosts\": " + hosts + (more.empty() ? "" : ",\n" + more) + "\n}";
}

TEST(LoaderErrorsTest, ARightFileSaysNothing) { EXPECT_EQ(Say(With("")), ""); }

TEST(LoaderErrorsTest, UnknownKey) {
  EXPECT_EQ(Say("{\n  \"says\": \"x\",\n  \"duration\": \"60s\",\n  \"hosts\": [{\"id\": \"bob\", \"nats\": \"cgn\"}]\n}"),
            "nat.json:4:27: hosts.bob.nats: unknown key \"nats\"; a host has id, count, region, link, nat, mix, …\n"
            "  4 |   \"hosts\": [{\"id\": \"bob\", \"nats\": \"cgn\"}]\n"
            "    |                           ^^^^^^ did you mean \"nat\"?\n");
}

TEST(LoaderErrorsTest, BareNumber) {
  EXPECT_THAT(Say("{\"says\": \"x\",\n  \n  \"duration\": 60,\n\"hosts\": [{\"id\": \"a\"}]}"),
              StartsWith("nat.json:3:15: duration: found the number 60; a duration carries its unit: \"60ms\", \"60s\", \"60min\"\n"));
}

TEST(LoaderErrorsTest, WrongKindOfUnit) {
  EXPECT_THAT(Say(With(R"("world": {"links": {"village": {"like": "dsl", "delay": "20Mbps"}}})")),
              HasSubstr("world.links.village.delay: \"20Mbps\" is a rate; expected a duration such as \"20ms\". "
                        "Rates go to \"down\", \"up\" or \"rate\"\n"));
}

TEST(LoaderErrorsTest, UnknownPreset) {
  std::string said = Say(With(R"("world": {"nats": {"odd": {"like": "symmetric"}}})", R"([{"id": "alice", "nat": "portrestricted"}])"));
  EXPECT_THAT(said, HasSubstr("hosts.alice.nat: no NAT is called \"portrestricted\"; did you mean \"port-restricted\"? (presets: open, full-cone, "));
  EXPECT_THAT(said, HasSubstr("; defined in this file: odd)\n"));
}

TEST(LoaderErrorsTest, NoSuchHost) {
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s", "who": "bob", "do": "dht.find-peer", "with": {"key": "@bobb"}, "as": "call"}])")),
              HasSubstr("timeline.call.with.key: no host, group or LAN is called \"bobb\"; did you mean \"bob\"?\n"));
}

TEST(LoaderErrorsTest, MemberOutOfRange) {
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s", "who": "peer-501", "do": "info"}])")),
              HasSubstr("timeline[0].who: \"peer\" has 500 members, peer-1 to peer-500; found \"peer-501\"\n"));
}

TEST(LoaderErrorsTest, MomentThatIsNot) {
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s", "as": "ring"}, {"at": "2s", "on": "bob", "do": "kill", "as": "remap"}, {"at": "3s", "as": "reboot"}],
"claims": [{"says": "reachable again", "event": "dht.bootstrapped", "by": "15s after remapp"}])")),
              HasSubstr("claims[\"reachable again\"].by: no entry is called \"remapp\" (\"as\"); did you mean \"remap\"? Moments here: ring, remap, reboot\n"));
}

TEST(LoaderErrorsTest, FaultWithWhoAndOperationWithOn) {
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "20s", "who": "bob", "do": "nat-remap"}])")),
              HasSubstr("timeline[0]: \"nat-remap\" is a fault, it happens to somebody: write \"on\": \"bob\" instead of \"who\": \"bob\"\n"));
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "20s", "on": "bob", "do": "info"}])")),
              HasSubstr("timeline[0]: \"info\" is an operation, somebody carries it out: write \"who\": \"bob\" instead of \"on\": \"bob\"\n"));
}

TEST(LoaderErrorsTest, OperationParameter) {
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s", "who": "bob", "do": "dht.lookup", "with": {"topic": "a", "topik": "b"}}])")),
              HasSubstr("timeline[0].with.topik: \"dht.lookup\" takes topic; found \"topik\". Did you mean \"topic\"?  (orchard dht lookup --help)\n"));
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s", "who": "bob", "do": "dht.lookup"}])")), HasSubstr("\"dht.lookup\" needs topic"));
}

TEST(LoaderErrorsTest, OperationsOfACommandLineAreNoSimulatedHosts) {
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s", "who": "bob", "do": "pod.get", "with": {"url": "http://h/f"}}])")), HasSubstr("http.get downloads in a scenario"));
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s", "who": "bob", "do": "pipe"}])")), HasSubstr("send carries bytes"));
}

TEST(LoaderErrorsTest, StatisticThatTheMetricLacks) {
  EXPECT_THAT(Say(With(R"("claims": [{"says": "lookups are quick", "metric": "dht.lookup_ms", "at_most": 900}])")),
              HasSubstr("claims[\"lookups are quick\"].at_most: dht.lookup_ms is a sample; say which figure: p50_at_most, p95_at_most, max_at_most, mean_at_most, …\n"));
}

TEST(LoaderErrorsTest, AScenarioThatShipsAndCannotFail) {
  EXPECT_EQ(Say(With(""), "nat.json", {.set = {}, .ships = true}),
            "nat.json: fails_when: missing; a scenario that ships says which change to its world breaks which claim\n");
}

TEST(LoaderErrorsTest, AtMostTwentyAreShownInFileOrder) {
  std::string hosts = "[";
  for (int i = 0; i < 27; ++i) hosts += std::string(i ? ",\n" : "") + "{\"id\": \"h" + std::to_string(i) + "\", \"bad\": 1}";
  std::string said = Say(With("", hosts + "]"));
  EXPECT_THAT(said, HasSubstr("hosts.h0.bad"));
  EXPECT_THAT(said, HasSubstr("hosts.h19.bad"));
  EXPECT_THAT(said, Not(HasSubstr("hosts.h20.bad")));
  EXPECT_THAT(said, HasSubstr("… and 7 more\n"));
}

TEST(LoaderErrorsTest, TheJsonFormHasTheSameParts) {
  std::vector<LoadError> errors;
  Sources sources;
  LoadScenarioFromText("{\"says\": \"x\", \"duration\": 60, \"hosts\": [{\"id\": \"a\"}]}", "f.json", {}, errors, sources);
  EXPECT_EQ(RenderErrorsJson(errors, sources),
            "{\"tag\":\"error\",\"data\":{\"code\":\"ERR_SCENARIO\",\"file\":\"f.json\",\"line\":1,\"column\":27,\"path\":\"duration\","
            "\"found\":\"found the number 60\",\"expected\":\"a duration carries its unit: \\\"60ms\\\", \\\"60s\\\", \\\"60min\\\"\",\"hint\":\"\"}}\n");
}

TEST(LoaderErrorsTest, WordsOfLaterVersionsAreRefusedByName) {
  for (const char* more : {R"("timeline": [{"at": "1s", "who": "bob", "do": "drive.get"}])", R"("timeline": [{"at": "1s", "who": "bob", "do": "http.put"}])",
                           R"("claims": [{"says": "c", "metric": "core.length", "at_least": 1}])"}) {
    EXPECT_THAT(Say(With(more)), HasSubstr("not in this version")) << more;
  }
  EXPECT_THAT(Say(With("", R"([{"id": "a", "runs": "orchard@v1.2"}])")), HasSubstr("not in this version"));
  EXPECT_THAT(Say(With("", R"([{"id": "a", "ip": ["v4", "v6"]}])")), HasSubstr("not in this version"));
}

TEST(LoaderErrorsTest, HowManyCagesDieOfWhatIsChecked) {
  const auto crash = [](std::string with) { return Say(With(R"("timeline": [{"at": "1s", "on": "bob", "do": "cage-crash", "with": )" + with + "}]")); };
  EXPECT_THAT(crash(R"({"cages": "some"})"), HasSubstr("cages"));
  EXPECT_THAT(crash(R"({"cages": 0})"), HasSubstr("1 to 64"));
  EXPECT_THAT(crash(R"({"cause": "panik"})"), HasSubstr("did you mean \"panic\""));
  EXPECT_THAT(Say(With("", R"([{"id": "bob", "node": {"cage": {"sites": {"shop": {"modul": "example:hello.wasm"}}}}}])")), HasSubstr("did you mean \"module\""));
}

TEST(LoaderErrorsTest, WhichProcessOfCagesDiesIsChecked) {
  const auto kill = [](std::string with) { return Say(With(R"("timeline": [{"at": "1s", "on": "bob", "do": "cage-worker-kill", "with": )" + with + "}]")); };
  EXPECT_THAT(kill(R"({"process": 3})"), HasSubstr("1, 2 or \"all\""));
  EXPECT_THAT(kill(R"({"process": "both"})"), HasSubstr("1, 2 or \"all\""));
  EXPECT_THAT(kill(R"({"worker": 1})"), HasSubstr("process"));
}

TEST(LoaderErrorsTest, HowSlowCagesGetIsChecked) {
  const auto slow = [](std::string with) { return Say(With(R"("timeline": [{"at": "1s", "on": "bob", "do": "cage-slow")" + with + "}]")); };
  EXPECT_THAT(slow(""), HasSubstr("cage-slow without \"by\""));
  EXPECT_THAT(slow(R"(, "with": {"by": "soon"})"), HasSubstr("by"));
  EXPECT_THAT(slow(R"(, "with": {"by": "1s", "cause": "panic"})"), HasSubstr("cause"));
}

TEST(LoaderErrorsTest, WhoMisbehavesSaysHow) {
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s", "on": "bob", "do": "misbehave"}])")), HasSubstr("misbehave without \"how\""));
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s", "on": "bob", "do": "misbehave", "with": {"how": "flip-bits"}}])")), HasSubstr("flip-bytes"));
}

TEST(LoaderErrorsTest, TheNodesConfigurationIsCheckedAtItsPlace) {
  std::string said = Say(With("", "[{\"id\": \"bob\",\n  \"node\": {\"dht\": {\"bootstrop\": true}}}]"));
  EXPECT_THAT(said, StartsWith("nat.json:3:20: hosts.bob.node.dht.bootstrop: "));
  EXPECT_THAT(said, HasSubstr("bootstrap"));
}

TEST(LoaderErrorsTest, WhatIsWrongOnlyInACaseSaysSo) {
  std::string said = Say(With(R"("cases": [{"name": "ok", "set": {}}, {"name": "js", "set": {"hosts.bob.nat": "cgnn"}}])"));
  EXPECT_THAT(said, HasSubstr("hosts.bob.nat: no NAT is called \"cgnn\"; did you mean \"cgn\"?"));
  EXPECT_THAT(Say(With(R"("cases": [{"name": "js", "set": {"hosts.bo.nat": "cgn"}}])")),
              HasSubstr("cases[\"js\"].set: nothing in hosts is called \"bo\"; did you mean \"bob\"?"));
  EXPECT_THAT(Say(With(""), "nat.json", {.set = {"hosts.bob.nat=cgnn"}}), StartsWith("--set:1:15: hosts.bob.nat: no NAT is called \"cgnn\""));
}

TEST(LoaderErrorsTest, BrokenTextIsAnErrorWithAPlace) {
  EXPECT_THAT(Say("{\"says\": \"x\""), HasSubstr("nat.json:1:13: found the end of the file"));
  EXPECT_THAT(Say("{\n\"a\": 1,\n\"a\": 2}"), HasSubstr("nat.json:3:1: found the key \"a\" stands twice"));
  EXPECT_THAT(Say("{\"a\": 60s}"), HasSubstr("quantities with a unit stand in double quotes"));
  EXPECT_THAT(Say("{\"a\": [1,]}"), HasSubstr("a comma before \"]\""));
  EXPECT_THAT(Say(std::string("{\"a\": \"\0\"}", 10)), HasSubstr("a NUL byte"));
  EXPECT_THAT(Say("{\"a\": \"\xff\"}"), HasSubstr("bytes that are not UTF-8"));
  EXPECT_THAT(Say("{\"a\": \"\xed\xa0\x80\"}"), HasSubstr("bytes that are not UTF-8"));
  EXPECT_THAT(Say(std::string(100'000, '[')), HasSubstr("levels of nesting"));
  EXPECT_THAT(Say(std::string(20'000'000, ' ')), HasSubstr("a file of more than 16 MiB"));
  EXPECT_THAT(Say(""), HasSubstr("found the end of the file"));
  EXPECT_THAT(Say("[1]"), HasSubstr("expected an object"));
}

TEST(LoaderErrorsTest, ColumnsCountCharactersAndLongLinesAreCut) {
  EXPECT_THAT(Say("{\"says\": \"äöü\", \"duration\": 60, \"hosts\": [{\"id\": \"a\"}]}"), StartsWith("nat.json:1:29: "));
  std::string said = Say("{\"says\": \"" + std::string(5000, 'x') + "\", \"duration\": 60, \"hosts\": [{\"id\": \"a\"}]}");
  EXPECT_LT(said.size(), 700u);
  EXPECT_THAT(said, HasSubstr("^^"));
}

TEST(LoaderErrorsTest, NothingWaitsForItself) {
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s after b", "as": "a"}, {"at": "1s after a", "as": "b"}])")), HasSubstr("the entry waits for itself"));
  EXPECT_THAT(Say(With(R"("timeline": [{"at": "1s", "who": {"from": "p", "pick": 1, "as": "p"}, "do": "info"}])")), HasSubstr("is picked further down"));
}

TEST(LoaderErrorsTest, EveryWordOfAClaimIsChecked) {
  auto claim = [](const std::string& words) { return Say(With("\"claims\": [{\"says\": \"c\", " + words + "}]")); };
  EXPECT_EQ(claim(R"("metric": "dht.lookup_ms", "p99.9_at_most": "5s", "count_at_least": 3)"), "");
  EXPECT_THAT(claim(R"("metric": "dht.lookup_mss", "p95_at_most": 1)"), HasSubstr("did you mean \"dht.lookup_ms\"?"));
  EXPECT_THAT(claim(R"("metric": "dht.lookup_ms", "p95_at_mots": 1)"), HasSubstr("did you mean \"p95_at_most\"?"));
  EXPECT_THAT(claim(R"("metric": "dht.lookup_ms", "p95_at_most": "5Mbps")"), HasSubstr("\"5Mbps\" is a rate; expected a duration"));
  EXPECT_THAT(claim(R"("metric": "dht.lookup_ms", "ratio_at_most": 1)"), HasSubstr("dht.lookup_ms is not 1 or 0"));
  EXPECT_THAT(claim(R"("metric": "dht.lookup_ms")"), HasSubstr("no bound"));
  EXPECT_THAT(claim(R"("metric": "dht.lookup_ms", "share_at_least": 0.5)"), HasSubstr("a share without \"within\""));
  EXPECT_THAT(claim(R"("metric": "dht.lookup_ms", "p95_at_most": 1, "by": "1s", "at": "2s")"), HasSubstr("a second window"));
  EXPECT_THAT(claim(R"("metric": "dht.lookup_ms", "p95_at_most": 1, "during": ["2s", "1s"])"), HasSubstr("ends before it opens"));
  EXPECT_THAT(claim(R"("metric": "dht.lookup_ms", "p95_at_most": 1, "where": {"natt": "x"})"), HasSubstr("there is no label \"natt\" here"));
  EXPECT_THAT(claim(R"("metric": "dht.lookup_ms", "p95_at_most": 1, "where": {"region": "mars"})"), HasSubstr("no region is called \"mars\""));
  EXPECT_THAT(claim(R"("event": "dht.bootstrapped", "leads_to": "dht.persistent")"), HasSubstr("\"leads_to\" without \"within\""));
  EXPECT_THAT(claim(R"("same": "bytes", "name": "nothing")"), HasSubstr("no entry is called \"nothing\""));
  EXPECT_THAT(claim(R"("cost": "packets", "at_most": "2MiB")"), HasSubstr("expected a number"));
  EXPECT_THAT(claim(R"("in": "case")"), HasSubstr("this file has no cases"));
  EXPECT_THAT(claim(R"("by": "1s")"), HasSubstr("no subject"));
}

TEST(LoaderErrorsTest, AProofNamesAClaimAndACase) {
  EXPECT_THAT(Say(With(R"("claims": [{"says": "quick", "metric": "dht.lookup_ms", "p95_at_most": 1}], "fails_when": [{"says": "w", "set": {}, "claim": "quik"}])")),
              HasSubstr("no claim says \"quik\"; did you mean \"quick\"?"));
  EXPECT_THAT(Say(With(R"("claims": [{"says": "quick", "metric": "dht.lookup_ms", "p95_at_most": 1}], "fails_when": [{"says": "w", "set": {"world.latncy": "1ms"}, "claim": "quick"}])")),
              HasSubstr("world.latncy: unknown key \"latncy\""));
}

// Each of these once ran for minutes before anybody saw why.
TEST(LoaderErrorsTest, WhatWouldSeemToHangIsRefusedByANamedLimit) {
  auto every = [](const std::string& draw, const std::string& more = "") {
    return Say(With(R"("timeline": [{"every": )" + draw + more + R"(, "who": "bob", "do": "info"}])"));
  };
  EXPECT_THAT(every(R"("1ns")"), HasSubstr("timeline[0].every: found \"1ns\", which is 60000000000 times a host in this run; at most 10000000"));
  EXPECT_THAT(every(R"({"exp": "0s"})"), HasSubstr("at most 10000000"));
  EXPECT_THAT(every(R"({"one_of": ["1us", "2us"]})"), HasSubstr("at most 10000000"));
  EXPECT_EQ(every(R"("1ms")"), "");
  EXPECT_EQ(every(R"("1ns")", R"(, "times": 5)"), "");
  EXPECT_THAT(Say(With(R"("world": {"nats": {"odd": {"like": "cgn", "remap_every": "1ns"}}})")), HasSubstr("remap_every: found \"1ns\"; expected at least 10ms"));
}

TEST(LoaderErrorsTest, AQuantityThatIsTooLargeIsNotCalledMalformed) {
  EXPECT_THAT(Say(R"({"says": "x", "duration": "2628000h", "hosts": [{"id": "bob"}]})"), HasSubstr("found \"2628000h\"; expected a smaller duration such as"));
  EXPECT_THAT(Say(R"({"says": "x", "duration": "1e3s", "hosts": [{"id": "bob"}]})"), Not(HasSubstr("smaller")));
}

TEST(LoaderErrorsTest, AConnectedClaimSaysBetweenWhomAndWhen) {
  auto claim = [](const std::string& words) { return Say(With("\"claims\": [{\"says\": \"c\", " + words + "}]")); };
  EXPECT_EQ(claim(R"("connected": ["bob", "peer"], "by": "5s")"), "");
  EXPECT_EQ(claim(R"("connected": [["bob", "peer-7"], {"from": "peer", "where": {"nat": "open"}}], "path": ["direct", "punched"], "during": ["5s", "9s"])"), "");
  EXPECT_THAT(claim(R"("connected": ["bob", "peer"])"), HasSubstr("\"connected\" without a time; expected \"by\" (up once), \"at\" (up then) or \"during\" (never down)"));
  EXPECT_THAT(claim(R"("connected": "bob", "by": "5s")"), HasSubstr("expected two selectors"));
  EXPECT_THAT(claim(R"("connected": ["bob", "peerr"], "by": "5s")"), HasSubstr("did you mean \"peer\"?"));
  EXPECT_THAT(claim(R"("connected": ["bob", "peer"], "by": "5s", "path": "punch")"), HasSubstr("expected lan, direct, punched, relayed, none"));
  EXPECT_THAT(claim(R"("connected": ["bob", "peer"], "by": "5s", "path": "punch")"), HasSubstr("did you mean \"punched\"?"));
  EXPECT_THAT(claim(R"("connected": ["bob", "peer"], "by": "5s", "path": "$cell")"), HasSubstr("\"$cell\" in a case without a cell"));
  EXPECT_THAT(claim(R"("connected": ["bob", "peer"], "by": "5s", "of": "bob")"), HasSubstr("\"of\" beside \"connected\""));
  EXPECT_THAT(claim(R"("connected": ["bob", "peer"], "by": "5s", "at_least": 3)"), HasSubstr("\"at_least\" on a claim without a metric"));
  EXPECT_THAT(claim(R"("metric": "connect.ok", "ratio_at_least": 1, "path": "punched")"), HasSubstr("of a metric or event it is a label"));
  EXPECT_THAT(claim(R"("metric": "connect.ok", "connected": ["bob", "peer"], "by": "5s", "ratio_at_least": 1)"), HasSubstr("more than one subject"));
  EXPECT_EQ(claim(R"("metric": "connect.ok", "where": {"path": "punched", "remote_nat": "!open", "nat": "!open"}, "ratio_at_least": 1)"), "");
  EXPECT_THAT(claim(R"("metric": "connect.ok", "where": {"remote": "x"}, "ratio_at_least": 1)"), HasSubstr("labels: error, path, remote_nat, "));
}

TEST(LoaderErrorsTest, AConfigurationMayNameHostsByTheirKeys) {
  const std::string hosts = R"([{"id": "bob", "node": {"seed": "@peer-1"}}, {"id": "peer", "count": 3}])";
  EXPECT_EQ(Say(With("", hosts)), "") << "a key is 64 hex digits, as a seed is";
  EXPECT_THAT(Say(With("", R"([{"id": "bob", "node": {"seed": "@peerr"}}, {"id": "peer"}])")), HasSubstr("hosts.bob.node.seed: no host, group or LAN is called \"peerr\"; did you mean \"peer\"?"));
  EXPECT_THAT(Say(With("", R"([{"id": "bob", "node": {"seed": "@peer.ip"}}, {"id": "peer"}])")), HasSubstr("addresses are not known yet"));
  EXPECT_THAT(Say(With("", R"([{"id": "bob", "node": {"seed": "@peer"}}, {"id": "peer", "count": 2}])")), HasSubstr("hosts.bob.node.seed: "));  // A list of two.
}

}  // namespace
}  // namespace orchard::sim
