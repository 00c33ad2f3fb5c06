// The program as its users meet it: exit status, words on the terminal, files left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "sim/language/json_text.h"
#include "sim/language/metrics_table.h"
#include "sim/language/text.h"
#include "sim/orchard_sim_new.h"
#include "sim/run/result_junit.h"
#include "tests/sim/program.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST_F(ProgramTest, ExitsZeroWhenClaimsHoldAndLeavesTheRunDirectory) {
  Ran r = Run({"sim", Write("small.json", Small("10s", kFailsWhen)), "--check", "--prove"});
  EXPECT_EQ(r.status, 0) << r.text;
  EXPECT_THAT(r.text, HasSubstr("1 of 1 claims held"));
  EXPECT_THAT(r.text, HasSubstr("PROVED"));
  for (const char* f : {"result.json", "topology.json", "series.json", "report.html"}) EXPECT_TRUE(fs::exists(dir_ / "runs/small-3" / f)) << f;
  Json result = ReadResult("runs/small-3/result.json");
  EXPECT_TRUE(result.Find("passed")->truth);
  EXPECT_TRUE(result.Find("checked")->truth);
  EXPECT_TRUE(result.Find("fails_when")->items.at(0).Find("proved")->truth);
}

TEST_F(ProgramTest, ExitsOneWhenAClaimFailsAndSaysHowToRepeatIt) {
  Ran r = Run({"sim", Write("small.json", Small("1ms"))});
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.text, HasSubstr("FAILED    they join"));
  EXPECT_THAT(r.text, HasSubstr("replay: orchard sim"));
}

TEST_F(ProgramTest, ExitsOneWhenAChangeDoesNotBreakItsClaim) {
  const std::string idle = R"(, "fails_when": [{"says": "a little jitter", "set": {"world.jitter": "1%"}, "claim": "they join"}])";
  Ran r = Run({"sim", Write("small.json", Small("10s", idle)), "--prove"});
  EXPECT_EQ(r.status, 1);
  // The place in the file, what was seen, and what it means.
  EXPECT_THAT(r.text, HasSubstr("small.json:4:"));
  EXPECT_THAT(r.text, HasSubstr("fails_when[\"a little jitter\"]: the claim \"they join\" still held (max "));
  EXPECT_THAT(r.text, HasSubstr("). The change does not matter, or the claim does not look"));
  // A claim that is broken anyway proves nothing.
  Ran broken = Run({"sim", Write("broken.json", Small("1ms", kFailsWhen)), "--prove"});
  EXPECT_EQ(broken.status, 1);
  EXPECT_THAT(broken.text, HasSubstr("does not hold without the change"));
}

TEST_F(ProgramTest, ExitsTwoOnWrongInputAndNamesTheNearestWord) {
  const std::string file = Write("small.json", Small("10s"));
  for (auto [arguments, words] : std::vector<std::pair<std::vector<std::string>, const char*>>{
           {{"sim", file, "--sead", "3"}, "did you mean \"--seed\"?"}, {{"smi"}, "did you mean \"sim\"?"}, {{"sweep", file}, "which seeds?"},
           {{"sim", file, "--seed", "x"}, "expected a whole number"}, {{"sim", file, "--case", "a"}, "no case is called"},
           {{"sim", file, "--set", "hosts.p.nat=cgnn"}, "did you mean \"cgn\"?"}, {{"sim"}, "which scenario"}, {{"lint", "nowhere.json"}, "cannot be read"},
           {{"metrics", "("}, "no regular expression"}, {{"new", "thing"}, "new scenario NAME"}, {{"report", "nowhere"}, "nowhere"}}) {
    Ran r = Run(arguments);
    EXPECT_EQ(r.status, 2) << r.text;
    EXPECT_THAT(r.text, HasSubstr(words));
  }
  EXPECT_FALSE(fs::exists(dir_ / "runs")) << "nothing has run";
}

TEST_F(ProgramTest, ExitsThreeWhereItCannotWrite) {
  const std::string file = Write("small.json", Small("10s"));
  Write("taken", "a file where a directory belongs");
  EXPECT_EQ(Run({"sim", file, "--out", "taken/run"}).status, 3);
}

TEST_F(ProgramTest, JsonIsOneObjectALineTheLastTaggedFinal) {
  Ran r = Run({"sim", Write("small.json", Small("10s")), "--json"});
  EXPECT_EQ(r.status, 0);
  std::stringstream lines(r.text);
  std::string line, last;
  for (JsonError error; std::getline(lines, line);) {
    std::optional<Json> j = ParseJson(line, 0, error);
    ASSERT_TRUE(j && j->Find("tag") != nullptr && j->Find("data") != nullptr) << line;
    last = j->Find("tag")->text;
  }
  EXPECT_EQ(last, "final");
}

TEST_F(ProgramTest, QuietIsOneLine) {
  Ran r = Run({"sim", Write("small.json", Small("10s")), "--quiet"});
  EXPECT_EQ(std::count(r.text.begin(), r.text.end(), '\n'), 1) << r.text;
}

TEST_F(ProgramTest, CasesRunEachAndTheWorstDecides) {
  const std::string cases = R"(, "cases": [{"name": "good", "set": {}}, {"name": "bad one", "set": {"hosts.p.nat": "udp-blocked"}}])";
  Ran r = Run({"sim", Write("small.json", Small("10s", cases)), "--junit", "out.xml"});
  EXPECT_EQ(r.status, 1);
  EXPECT_TRUE(ReadResult("runs/small-3/cases/good/result.json").Find("passed")->truth);
  EXPECT_FALSE(ReadResult("runs/small-3/cases/bad_one/result.json").Find("passed")->truth);
  EXPECT_FALSE(ReadResult("runs/small-3/result.json").Find("passed")->truth);
  EXPECT_THAT(Read("out.xml"), HasSubstr("failures=\"1\""));
  EXPECT_EQ(Run({"sim", (dir_ / "small.json").string(), "--case", "good"}).status, 0);
}

TEST_F(ProgramTest, AClaimOverOtherCasesIsJudgedWhenAllHaveRun) {
  auto file = [&](const std::string& bound) {
    return Write("cases.json", Cat(R"({"says": "Small.", "seed": 3, "duration": "20s", "world": {"latency": "20ms"},
      "hosts": [{"id": "root", "count": 2, "region": "eu", "link": "datacenter", "node": {"dht": {"bootstrap": true}}},
                {"id": "p", "count": 2, "region": "eu", "link": "cable"}],
      "claims": [{"says": "slower", "metric": "dht.bootstrap_ms", "of": "p", )", bound, R"(, "in": "far"}],
      "cases": [{"name": "near"}, {"name": "nearer", "set": {"world.latency": "10ms"}}, {"name": "far", "set": {"world.latency": "200ms"}}]})"));
  };
  auto seen = [&] { return ReadResult("runs/cases-3/result.json").Find("claims")->items.at(0); };
  // Five times the latency, and the links' own delay.
  EXPECT_EQ(Run({"sim", file(R"("max_at_least": 3, "over": {"case": "near"})")}).status, 0);
  const int64_t over_near = seen().Find("bounds")->items.at(0).Find("observed")->Micro().value_or(0);
  EXPECT_GT(over_near, 3'000'000);
  EXPECT_LT(over_near, 11'000'000);
  EXPECT_EQ(seen().Find("verdict")->text, "held");
  // The best of latencies is the least; the sum is more than each.
  EXPECT_EQ(Run({"sim", file(R"("max_at_most": 100, "over": {"best": ["near", "nearer"]})")}).status, 0);
  const int64_t over_best = seen().Find("bounds")->items.at(0).Find("observed")->Micro().value_or(0);
  EXPECT_GT(over_best, over_near);
  // --case brings the cases that it is compared to; what fails says by what it was divided.
  Ran r = Run({"sim", file(R"("max_at_least": 100, "over": {"sum": ["near", "nearer"]})"), "--case", "far"});
  EXPECT_EQ(r.status, 1) << r.text;
  EXPECT_THAT(r.text, HasSubstr("in the sum of near, nearer"));
  EXPECT_LT(seen().Find("bounds")->items.at(0).Find("observed")->Micro().value_or(0), over_near);
  EXPECT_FALSE(ReadResult("runs/cases-3/cases/far/result.json").Find("passed")->truth);
}

TEST_F(ProgramTest, AMatrixSaysWhatWasExpectedAndSeenInEachCell) {
  const std::string file = Write("matrix.json", R"({"says": "Small.", "seed": 3, "duration": "15s", "world": {"latency": "20ms"},
      "hosts": [{"id": "root", "region": "eu", "link": "datacenter", "node": {"dht": {"bootstrap": true}}}, {"id": "p", "region": "eu", "link": "cable"}],
      "claims": [{"says": "they join", "metric": "dht.bootstrap_ms", "of": "p", "count_at_least": 1}],
      "matrix": {"rows": {"hosts.p.nat": ["open", "udp-blocked"]}, "columns": {"world.latency": ["20ms"]}, "key": {"J": "joins"}, "cells": ["J", "J"]}})");
  Ran r = Run({"sim", file});
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.text, HasSubstr("1 of 2 cells as expected"));
  EXPECT_THAT(r.text, HasSubstr("✗≠J"));
  Json matrix = *ReadResult("runs/matrix-3/result.json").Find("matrix");
  EXPECT_EQ(matrix.Find("rows")->Find("path")->text, "hosts.p.nat");
  EXPECT_EQ(matrix.Find("cells")->items.at(0).items.at(0).Find("expected")->text, "J");
  EXPECT_TRUE(matrix.Find("cells")->items.at(0).items.at(0).Find("passed")->truth);
  EXPECT_FALSE(matrix.Find("cells")->items.at(1).items.at(0).Find("passed")->truth);
}

TEST_F(ProgramTest, ACellThatDiffersIsPrintedAsSeenAndExpected) {
  // Nobody dials, so that every pair is seen as not connected.
  const std::string file = Write("matrix.json", R"({"says": "Small.", "seed": 3, "duration": "15s", "world": {"latency": "20ms"},
      "hosts": [{"id": "a", "region": "eu", "link": "datacenter", "node": {"dht": {"bootstrap": true}}}, {"id": "b", "region": "eu", "link": "cable"}],
      "claims": [{"says": "the path is the expected one", "connected": ["a", "b"], "path": "$cell", "at": "12s"}],
      "matrix": {"rows": {"hosts.a.link": ["fiber", "dsl"]}, "columns": {"hosts.b.nat": ["open", ["port-restricted", "cgn@x"]]}, "key": {"P": "punched", "D": "direct"}, "cells": ["DP", "PP"]},
      "cases": [{"name": "blocked", "set": {"hosts.b.nat": "udp-blocked"}, "cell": "none"}, {"name": "plain", "set": {"hosts.b.link": "dsl"}, "cell": "direct"}]})");
  Ran r = Run({"sim", file});
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.text, HasSubstr("            open port-restricted+cgn@x\n"));
  EXPECT_THAT(r.text, testing::ContainsRegex("\n fiber +N≠D +N≠P\n"));
  EXPECT_THAT(r.text, testing::ContainsRegex("\n dsl +N≠P +N≠P\n"));
  EXPECT_THAT(r.text, HasSubstr(" 0 of 4 cells as expected   D direct, N none, P punched\n"));
  EXPECT_THAT(r.text, testing::ContainsRegex("blocked +held.* none\n"));
  EXPECT_THAT(r.text, testing::ContainsRegex("plain +FAILED.* none≠direct\n"));
  Json root = ReadResult("runs/matrix-3/result.json");
  Json cell = root.Find("matrix")->Find("cells")->items.at(1).items.at(1);
  EXPECT_EQ(cell.Find("case")->text, "dsl|port-restricted+cgn@x");
  EXPECT_EQ(cell.Find("expected")->text, "P");
  EXPECT_EQ(cell.Find("seen")->text, "N");
  EXPECT_EQ(root.Find("cases")->items.at(5).Find("seen")->text, "none");
  EXPECT_EQ(Run({"sim", file, "--case", "*|open"}).status, 1);
  EXPECT_EQ(Run({"sim", file, "--case", "blocked"}).status, 0);
}

TEST_F(ProgramTest, TheTopologySaysHowPairsWereConnectedAndWhoWasDark) {
  const std::string file = Write("pairs.json", R"({"says": "Small.", "seed": 3, "duration": "90s", "world": {"latency": "20ms"},
      "hosts": [{"id": "root", "count": 3, "region": "eu", "link": "datacenter", "node": {"dht": {"bootstrap": true}}},
                {"id": "public", "count": 4, "region": "eu", "link": "fiber", "node": {"dht": {"persistent": true}}},
                {"id": "a", "region": "eu", "link": "cable", "nat": "port-restricted"}, {"id": "b", "region": "eu", "link": "cable", "nat": "port-restricted"}, {"id": "mute", "region": "eu", "nat": "udp-blocked"}],
      "timeline": [{"at": "10s", "who": "b", "do": "listen", "as": "hear"}, {"every": "1s", "from": "20s", "until": "80s", "who": "a", "do": "connect", "with": {"to": "@b", "fresh": true}, "as": "ring"},
                   {"at": "30s", "on": "b", "do": "link", "with": {"is": "down"}, "for": "25s", "as": "gap"}, {"at": "25s", "who": "mute", "do": "connect", "with": {"to": "@b"}, "fails": "maybe"}],
      "claims": [{"says": "before", "metric": "connect.ok", "where": {"as": "ring", "nat": "port-restricted", "remote_nat": "port-restricted"}, "during": ["20s", "30s"], "ratio_is": 1},
                 {"says": "again", "connected": ["a", "b"], "path": "punched", "since": "gap.end", "by": "15s after gap.end"},
                 {"says": "never", "connected": ["mute", "b"], "path": "none", "during": ["0s", "59s"]}]})");
  Ran r = Run({"sim", file});
  ASSERT_EQ(r.status, 0) << r.text;
  Json t = ReadResult("runs/pairs-3/topology.json");
  const Json& rows = *t.Find("reach")->items.at(0).Find("rows");
  ASSERT_EQ(rows.items.size(), 1u);
  const int64_t dark = rows.items[0].Find("dark_ms")->Micro().value_or(0) / kMicro;
  // A dial is patient: those of the gap's last seconds still find b when it is back. The ones before gave up.
  EXPECT_GT(dark, 10'000);
  EXPECT_LT(dark, 20'000);
  std::map<std::string, const Json*> pairs;
  for (const Json& c : t.Find("connections")->items) pairs[Cat(c.Find("a")->text, "-", c.Find("b")->text)] = &c;
  ASSERT_TRUE(pairs.contains("7-8")) << "a and b";
  EXPECT_EQ(pairs["7-8"]->Find("last")->text, "punched");
  EXPECT_EQ(pairs["7-8"]->Find("a_seen")->text, "consistent");
  EXPECT_NE(pairs["7-8"]->Find("step_ms"), nullptr) << "dialled anew each second";
  ASSERT_TRUE(pairs.contains("8-9"));
  EXPECT_EQ(pairs["8-9"]->Find("made")->text, "0");
  EXPECT_FALSE(pairs["8-9"]->Find("waited")->Find("code")->text.empty());
  std::map<std::string, std::string> kinds;
  for (const Json& e : t.Find("edges")->items) kinds.emplace(Cat(e.Find("a")->text, "-", e.Find("b")->text), e.Find("kind")->text);
  EXPECT_EQ(kinds["7-8"], "punched");
  EXPECT_EQ(kinds["8-9"], "failed");
  const Json& nats = t.Find("nat_pairs")->items.at(0);
  EXPECT_EQ(Cat(nats.Find("a")->text, " ", nats.Find("b")->text), "port-restricted port-restricted");
  EXPECT_NE(t.Find("connect_errors"), nullptr);
  bool open = false;
  Json series = ReadResult("runs/pairs-3/series.json");
  for (const Json& s : series.Find("series")->items) open = open || s.Find("name")->text == "connections.open";
  EXPECT_TRUE(open);
}

TEST_F(ProgramTest, TheTopologySaysWhoAnsweredWhomAndWhoCouldNotBeReached) {
  const std::string file = Write("talk.json", R"({"says": "Small.", "seed": 3, "duration": "20s", "world": {"latency": "20ms"},
      "hosts": [{"id": "root", "region": "eu", "link": "datacenter", "node": {"dht": {"bootstrap": true}}},
                {"id": "p", "region": "eu", "link": "cable", "nat": "port-restricted"}, {"id": "mute", "region": "eu", "link": "cable", "nat": "udp-blocked"}]})");
  ASSERT_EQ(Run({"sim", file}).status, 0);
  Json t = ReadResult("runs/talk-3/topology.json");
  std::map<std::string, std::string> kinds;
  for (const Json& e : t.Find("edges")->items) kinds[Cat(e.Find("a")->text, "-", e.Find("b")->text)] = e.Find("kind")->text;
  EXPECT_EQ(kinds["0-1"], "dht");
  EXPECT_EQ(kinds["0-2"], "failed");
  // 20 ms inside the region and the links' 8.2 ms, both ways.
  for (const Json& e : t.Find("edges")->items) {
    if (e.Find("b")->text != "1") continue;
    EXPECT_GT(e.Find("p50_ms")->Micro().value_or(0), 50'000'000);
    EXPECT_LT(e.Find("p50_ms")->Micro().value_or(0), 65'000'000);
  }
  ASSERT_EQ(t.Find("failed")->items.size(), 1u);
  EXPECT_EQ(t.Find("failed")->items[0].Find("from")->text, "mute");
  EXPECT_EQ(t.Find("failed")->items[0].Find("to")->text, "root");
  EXPECT_EQ(t.Find("failed")->items[0].Find("why")->text, "nat-blocked");
  for (const Json& f : t.Find("flows")->items) EXPECT_LE(f.Find("ok")->Integer(), f.Find("count")->Integer());
}

TEST_F(ProgramTest, AClaimMayJudgeTheQueuesOfLinksByTheirWay) {
  auto run = [&](const std::string& claim) {
    return Run({"sim", Write("queue.json", Cat(R"({"says": "Small.", "seed": 3, "duration": "20s", "world": {"latency": "20ms", "links": {"thin": {"like": "dsl", "up": "20kbps"}}},
      "hosts": [{"id": "root", "region": "eu", "link": "datacenter", "node": {"dht": {"bootstrap": true}}}, {"id": "p", "count": 2, "region": "eu", "link": "thin"}],
      "timeline": [{"every": "10ms", "from": "2s", "until": "4s", "who": "p", "do": "dht.ping", "with": {"address": "@root"}}],
      "claims": [{"says": "they wait", "metric": "link.queue_ms", )", claim, "}]}"))}).status;
  };
  // A ping each 10 ms, each of which takes 28 ms of a link of 20 kbit/s.
  EXPECT_EQ(run(R"("where": {"link": "thin", "way": "out"}, "max_at_least": "5ms")"), 0);
  EXPECT_EQ(run(R"("where": {"link": "datacenter", "way": "out"}, "max_at_least": "5ms")"), 1);
  EXPECT_EQ(run(R"("where": {"way": "in"}, "max_at_least": "5ms")"), 1);
}

TEST_F(ProgramTest, PacketsOfAHostAreAFileThatWiresharkReads) {
  ASSERT_EQ(Run({"sim", Write("small.json", Small("10s")), "--pcap"}).status, 0);
  const std::string file = Read("runs/small-3/root-1.pcap");
  auto u32 = [&](size_t at) { return uint32_t(uint8_t(file[at])) | uint32_t(uint8_t(file[at + 1])) << 8 | uint32_t(uint8_t(file[at + 2])) << 16 | uint32_t(uint8_t(file[at + 3])) << 24; };
  ASSERT_GT(file.size(), 24u + 16 + 28);
  // A header of 24 octets: times in nanoseconds or microseconds; the link type is raw IP (101), or IPv4 (228).
  EXPECT_TRUE(u32(0) == 0xa1b2c3d4 || u32(0) == 0xa1b23c4d) << std::hex << u32(0);
  EXPECT_TRUE(u32(20) == 101 || u32(20) == 228) << u32(20);
  // The first packet, whole: IPv4 without options, UDP, and the length that its header says.
  EXPECT_EQ(u32(32), u32(36));
  EXPECT_EQ(uint8_t(file[40]), 0x45);
  EXPECT_EQ(uint8_t(file[49]), 17);
  EXPECT_EQ(uint32_t(uint8_t(file[42])) << 8 | uint8_t(file[43]), u32(32));
}

TEST_F(ProgramTest, AnInterruptedRunFinishesWithAPartialResultThatSaysSo) {
  // A year is never over before the signal.
  Ran r = Run({"sim", Write("long.json", Small("10s", "", "8760h")), "--json"}, "{");
  EXPECT_EQ(r.status, 1) << r.text;
  Json result = ReadResult("runs/long-3/result.json");
  EXPECT_NE(result.Find("interrupted"), nullptr);
  EXPECT_FALSE(result.Find("passed")->truth);
}

TEST_F(ProgramTest, AnotherSeedHasAnotherFingerprintAndTheSameOneTheSame) {
  const std::string file = Write("small.json", Small("10s"));
  auto fingerprint = [&](const std::string& seed) {
    Run({"sim", file, "--seed", seed, "--out", "o"});
    return ReadResult("o/result.json").Find("fingerprint")->text;
  };
  EXPECT_EQ(fingerprint("7"), fingerprint("7"));
  EXPECT_NE(fingerprint("7"), fingerprint("8"));
}

TEST_F(ProgramTest, TheStarterHoldsAndCanFail) {
  EXPECT_EQ(Run({"new", "scenario", "mine"}).status, 0);
  EXPECT_EQ(Run({"new", "scenario", "mine"}).status, 2) << "it replaces nothing";
  Ran r = Run({"sim", "mine.json", "--prove"});
  EXPECT_EQ(r.status, 0) << r.text;
}

TEST(FirstDifferenceTest, NamesTheCheckpointWhereTwoRunsPart) {
  JsonError error;
  auto json = [&](std::string_view text) { return *ParseJson(text, 0, error); };
  Json a = json(R"({"fingerprint": "x", "checkpoints": ["1", "2", "3"]})"), b = json(R"({"fingerprint": "y", "checkpoints": ["1", "9", "8"]})");
  EXPECT_EQ(FirstDifference(a, a), "");
  EXPECT_THAT(FirstDifference(a, b), HasSubstr("between 0:01 and 0:02 (checkpoint 2"));
}

TEST(TextTest, ALineIsCutToItsColumnsNotItsOctets) {
  EXPECT_EQ(Shortened("▕███▏ 1:05", 10), "▕███▏ 1:05");
  EXPECT_EQ(Shortened("▕███▏ 1:05", 7), "▕███▏ …");
  EXPECT_EQ(Shortened("abc", 1), "…");
}

TEST(JunitTest, FailuresAreEscaped) {
  std::string text = JunitText({{"s", {{"a < b & \"c\"", "", "1 > 0", 0}}}});
  EXPECT_THAT(text, HasSubstr("a &lt; b &amp; &quot;c&quot;"));
  EXPECT_THAT(text, HasSubstr("failures=\"1\""));
}

TEST_F(ProgramTest, AMissingGraphvizIsSaidAndTheRestIsThere) {
  const std::string file = Write("small.json", Small("10s")), path = std::getenv("PATH");
  Run({"sim", file});
  EXPECT_TRUE(fs::exists(dir_ / "runs/small-3/topology.svg"));
  setenv("PATH", "/nonexistent", 1);
  Ran r = Run({"sim", file});
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(r.status, 0) << r.text;
  EXPECT_THAT(r.text, HasSubstr("is Graphviz installed?"));
  EXPECT_TRUE(fs::exists(dir_ / "runs/small-3/report.html"));
  EXPECT_FALSE(fs::exists(dir_ / "runs/small-3/topology.svg"));  // The first run's would be taken for this one's.
}

TEST_F(ProgramTest, OutputThatCannotBeWrittenIsAFault) {
  const int full = std::system(Cat(kProgram.string(), " metrics > /dev/full 2> /dev/null").c_str());
  EXPECT_EQ(WEXITSTATUS(full), 3);
}

TEST_F(ProgramTest, APipeIsNoScenarioAndNobodyWaitsForIt) {
  ASSERT_EQ(mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  Ran r = Run({"sim", "pipe"});
  EXPECT_EQ(r.status, 2);
  EXPECT_THAT(r.text, HasSubstr("is a pipe"));
  r = Run({"sim", Write("small.json", Small("10s", R"(, "include": ["pipe"])"))});
  EXPECT_EQ(r.status, 2);
  EXPECT_THAT(r.text, testing::AllOf(HasSubstr("cannot read"), HasSubstr("/pipe")));
}

TEST_F(ProgramTest, WorkersDieWithTheProgramThatWasKilled) {
  const std::string file = Write("long.json", Small("10s", R"(, "timeline": [{"every": "1ms", "who": "p", "do": "info"}])", "2h"));
  const pid_t pid = fork();
  if (pid == 0) {
    if (chdir(dir_.c_str()) != 0 || freopen("/dev/null", "w", stdout) == nullptr) _exit(99);
    execl(kProgram.c_str(), "orchard-sim", "sim", file.c_str(), static_cast<char*>(nullptr));
    _exit(99);
  }
  const std::string children = Cat("/proc/", pid, "/task/", pid, "/children");
  pid_t worker = 0;
  for (int i = 0; i < 500 && worker == 0; ++i) std::ifstream(children) >> worker, usleep(10'000);
  ASSERT_GT(worker, 0);
  kill(pid, SIGKILL), waitpid(pid, nullptr, 0);
  // Whoever adopts it may be slow to bury it: a zombie has no program any more.
  const fs::path program = Cat("/proc/", worker, "/exe");
  std::error_code error;
  for (int i = 0; i < 500 && !fs::read_symlink(program, error).empty(); ++i) usleep(10'000);
  EXPECT_TRUE(fs::read_symlink(program, error).empty());
}

}  // namespace
}  // namespace orchard::sim
