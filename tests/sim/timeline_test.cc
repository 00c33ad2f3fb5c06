#include <gmock/gmock.h>

#include "sim/language/identity.h"
#include "tests/sim/toy_stage.h"

namespace orchard::sim {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ToyRun World(std::string_view timeline, std::string_view hosts = R"({"id": "a"}, {"id": "b", "count": 4})", uint64_t seed = 1) {
  return ToyRun(Cat(R"({"says": "x", "duration": "60s", "hosts": [)", hosts, R"(], "timeline": [)", timeline,
                    R"(], "claims": [{"says": "c", "never": "dht.ephemeral"}]})"), seed);
}

TEST(TimelineTest, EntriesOfOneInstantActInFileOrderFaultsFirst) {
  ToyRun r = World(R"({"at": "10s", "who": "a", "do": "dht.lookup", "with": {"topic": "x"}}, {"at": "10s", "who": "a", "do": "dht.nodes"},
                      {"at": "10s", "on": "b-1", "do": "kill"})");
  r.Run();
  std::vector<std::string> at_ten;
  for (const std::string& l : r.stage->log) if (l.starts_with("10s")) at_ten.push_back(l);
  EXPECT_THAT(at_ten, ElementsAre("10s kill b-1", R"(10s dht.lookup {"topic":"x"} a)", "10s dht.nodes {} a"));
}

TEST(TimelineTest, EveryGoesFromFromToBeforeUntil) {
  ToyRun r = World(R"({"every": "10s", "from": "20s", "until": "50s", "who": "a", "do": "dht.nodes"})");
  r.Run();
  EXPECT_EQ(r.Logged("dht.nodes"), 3u);
  ToyRun times = World(R"({"every": "1s", "times": 7, "who": "b", "do": "dht.nodes"})");
  times.Run();
  EXPECT_EQ(times.Logged("dht.nodes"), 28u);
}

TEST(TimelineTest, SpreadGivesEachHostItsOwnPointAndTheSameSeedTheSame) {
  const std::string_view timeline = R"({"at": "10s", "who": "b", "do": "dht.nodes", "spread": "10s", "as": "s"})";
  ToyRun one = World(timeline), again = World(timeline), other = World(timeline, R"({"id": "a"}, {"id": "b", "count": 4})", 2);
  one.Run(), again.Run(), other.Run();
  EXPECT_EQ(one.Logged("dht.nodes"), 4u);
  EXPECT_EQ(one.Logged("10s dht.nodes"), 0u);
  EXPECT_EQ(one.stage->log, again.stage->log);
  EXPECT_NE(one.stage->log, other.stage->log);
}

TEST(TimelineTest, AnotherHostChangesNobodysLuck) {
  const std::string_view timeline = R"({"at": "10s", "who": "b", "do": "dht.nodes", "spread": "10s", "as": "s"})";
  ToyRun few = World(timeline), more = World(timeline, R"({"id": "a"}, {"id": "b", "count": 5})");
  few.Run(), more.Run();
  auto of = [](const ToyRun& r, std::string_view who) {
    for (const std::string& l : r.stage->log) if (l.ends_with(Cat("dht.nodes {} ", who))) return l;
    return std::string("none");
  };
  EXPECT_EQ(of(few, "b-2"), of(more, "b-2"));
}

TEST(TimelineTest, PoissonArrivalsKeepTheirMeanAndBurstsComeTogether) {
  ToyRun r = World(R"({"every": "100ms", "arrivals": "poisson", "who": "a", "do": "dht.nodes"})");
  r.Run();
  EXPECT_NEAR(double(r.Logged("dht.nodes")), 600, 100);
  ToyRun bursts = World(R"({"every": "1s", "arrivals": "bursts:20", "who": "a", "do": "dht.nodes"})");
  bursts.Run();
  EXPECT_EQ(bursts.Logged("20s dht.nodes"), 20u);
  EXPECT_EQ(bursts.Logged("dht.nodes"), 60u);
}

TEST(TimelineTest, AClosedLoopWaitsForItsAnswer) {
  ToyRun r = World(R"({"every": "1s", "loop": "closed", "who": "a", "do": "dht.nodes"})");
  r.answer = [](HostIndex, std::string_view, std::string_view) { return ToyRun::Answer{.after = std::chrono::seconds(4)}; };
  r.Run();
  EXPECT_EQ(r.Logged("dht.nodes"), 12u);
}

TEST(TimelineTest, AnOperationWaitsForTheResultItRefersTo) {
  ToyRun r = World(R"({"at": "10s", "who": "b-2", "do": "dht.get", "with": {"key": "$note.key"}, "as": "read"},
                      {"at": "10s", "who": "a", "do": "dht.put", "with": {"value": "v"}, "as": "note"})");
  r.answer = [&](HostIndex, std::string_view name, std::string_view) {
    return name == "dht.put" ? ToyRun::Answer{.json = R"({"tag":"final","data":{"ok":true,"key":"k1"}})", .after = std::chrono::seconds(5)} : ToyRun::Answer{};
  };
  r.Run();
  EXPECT_THAT(r.stage->log, Contains(R"(15s dht.get {"key":"k1"} b-2)"));
  EXPECT_EQ(r.moments->Ended("note"), Second(15));
  EXPECT_THAT(r.timeline->Complaints(), IsEmpty());
}

TEST(TimelineTest, HostsKeysAndAddressesAreKnownByName) {
  ToyRun r = World(R"({"at": "10s", "who": "a", "do": "dht.find-peer", "with": {"key": "@b-1"}},
                      {"at": "10s", "who": "a", "do": "dht.ping", "with": {"address": "@b-1"}},
                      {"at": "10s", "who": "b", "do": "dht.find-peer", "with": {"key": {"any": "b"}}})");
  r.Run();
  EXPECT_EQ(r.Logged(HostKeyHex(1, "b-1").c_str()) >= 1, true);
  EXPECT_THAT(r.stage->log, Contains(R"(10s dht.ping {"address":"1.2.3.1:49737"} a)"));
  for (int i = 1; i <= 4; ++i) {
    const std::string self = Cat("b-", i);
    for (const std::string& l : r.stage->log) {
      if (!l.ends_with(self)) continue;
      EXPECT_EQ(l.find(HostKeyHex(1, self)), std::string::npos) << "never the caller's";
    }
  }
}

TEST(TimelineTest, AStandingOrderIsCarriedOutByWhoWasDownOrComesBack) {
  ToyRun r = World(R"({"at": "5s", "on": "b-1", "do": "kill"}, {"at": "10s", "who": ["b-1", "b-2"], "do": "dht.announce", "with": {"topic": "t"}},
                      {"at": "20s", "on": "b-1", "do": "start"}, {"at": "30s", "on": "b-2", "do": "restart", "with": {"down": "2s"}})");
  r.Run();
  EXPECT_THAT(r.stage->log, Contains(R"(20s dht.announce {"topic":"t"} b-1)"));
  EXPECT_THAT(r.stage->log, Contains(R"(32s dht.announce {"topic":"t"} b-2)"));
  EXPECT_EQ(r.Logged("dht.announce"), 3u);
}

TEST(TimelineTest, OnAHostThatIsDownNothingIsRunAndNothingCounted) {
  ToyRun r = World(R"({"at": "5s", "on": "b-1", "do": "kill"}, {"at": "10s", "who": "b", "do": "dht.lookup", "with": {"topic": "t"}})");
  r.Run();
  EXPECT_EQ(r.recorder->Find("dht.lookup.ok")->samples.size(), 3u);
  EXPECT_THAT(r.timeline->Complaints(), IsEmpty());
}

TEST(TimelineTest, AOneTimeOperationMustSucceedUnlessItMayFail) {
  auto fail = [](HostIndex, std::string_view, std::string_view) { return ToyRun::Answer{.json = R"({"tag":"final","data":{"ok":false,"code":"TIMEOUT"}})"}; };
  ToyRun must = World(R"({"at": "5s", "who": "a", "do": "dht.put", "with": {"value": "v"}, "as": "note"})");
  must.answer = fail, must.Run();
  EXPECT_THAT(must.timeline->Complaints(), ElementsAre(HasSubstr("timeline.note failed at 5.1s: dht.put on a ended in TIMEOUT")));
  ToyRun maybe = World(R"({"at": "5s", "who": "a", "do": "dht.put", "with": {"value": "v"}, "fails": "maybe"})");
  maybe.answer = fail, maybe.Run();
  EXPECT_THAT(maybe.timeline->Complaints(), IsEmpty());
  ToyRun code = World(R"({"at": "5s", "who": "a", "do": "dht.put", "with": {"value": "v"}, "fails": "TIMEOUT"})");
  code.answer = fail, code.Run();
  EXPECT_THAT(code.timeline->Complaints(), IsEmpty());
  ToyRun well = World(R"({"at": "5s", "who": "a", "do": "dht.put", "with": {"value": "v"}, "fails": "TIMEOUT"})");
  well.Run();
  EXPECT_THAT(well.timeline->Complaints(), ElementsAre(HasSubstr("must end in TIMEOUT")));
}

TEST(TimelineTest, AFailureNamesTheStepThatWaitedAndTheClaimsThatNeedIt) {
  ToyRun r(R"({"says": "x", "duration": "60s", "hosts": [{"id": "a", "region": "eu", "link": "fiber"}, {"id": "b", "region": "eu", "link": "fiber"}],
    "timeline": [{"at": "5s", "who": "a", "do": "dht.put", "with": {"value": "v"}, "as": "note"}],
    "claims": [{"says": "one", "metric": "dht.put.ok", "where": {"as": "note"}, "ratio_at_least": 1}, {"says": "two", "never": "host.down", "since": "note"},
               {"says": "three", "never": "host.down"}]})");
  r.answer = [](HostIndex, std::string_view, std::string_view) {
    return ToyRun::Answer{.json = R"({"tag":"final","data":{"ok":false,"code":"TIMEOUT","step":"commit"}})"};
  };
  r.Run();
  EXPECT_THAT(r.timeline->Complaints(), ElementsAre("timeline.note failed at 5.1s: dht.put on a ended in TIMEOUT after waiting in step \"commit\"; 2 claims need it"));
}

TEST(TimelineTest, ALookupThatFindsNobodyIsNotOk) {
  ToyRun r = World(R"({"at": "5s", "who": "a", "do": "dht.lookup", "with": {"topic": "t"}, "fails": "maybe"})");
  r.answer = [](HostIndex, std::string_view, std::string_view) { return ToyRun::Answer{.json = R"({"tag":"final","data":{"ok":false,"peers":[]}})"}; };
  r.Run();
  EXPECT_EQ(r.recorder->Find("dht.lookup.ok")->samples.at(0).micro, 0);
}

TEST(TimelineTest, WhenWaitsForItsCountAndComplainsIfItNeverComes) {
  ToyRun r = World(R"({"when": {"event": "dht.bootstrapped", "of": "b", "count": 2}, "as": "grown"}, {"at": "5s after grown", "who": "a", "do": "dht.nodes"})");
  for (int i = 0; i < 2; ++i) r.stage->At(Second(10 + i), [&r, i] { r.timeline->OnEvent(r.host(Cat("b-", i + 1)), "dht.bootstrapped"); });
  r.Run();
  EXPECT_EQ(r.moments->Began("grown"), Second(11));
  EXPECT_EQ(r.Logged("16s dht.nodes"), 1u);
  ToyRun never = World(R"({"when": {"event": "dht.bootstrapped", "of": "b", "count": "all"}, "as": "grown"})");
  never.stage->At(Second(10), [&] { never.timeline->OnEvent(never.host("b-1"), "dht.bootstrapped"); });
  never.Run();
  EXPECT_THAT(never.timeline->Complaints(), ElementsAre(HasSubstr("moment \"grown\" never came: 1 of 4 hosts saw dht.bootstrapped by 1min (missing: b-2, b-3, b-4; all behind ")));
}

TEST(TimelineTest, FaultsEndWithTheirForAndTheirEndIsAMoment) {
  ToyRun r = World(R"({"at": "10s", "do": "partition", "with": {"groups": ["a", "b"]}, "for": "20s", "as": "cut"},
                      {"at": "12s", "on": "a", "do": "link", "with": {"loss": "5%"}, "for": "3s"},
                      {"at": "2s after cut.end", "who": "a", "do": "dht.nodes"})");
  r.Run();
  EXPECT_THAT(r.stage->log, Contains("10s partition 1 4"));
  EXPECT_THAT(r.stage->log, Contains("30s heal 1"));
  EXPECT_THAT(r.stage->log, Contains("15s pop 2"));
  EXPECT_EQ(r.Logged("32s dht.nodes"), 1u);
}

TEST(TimelineTest, WhoMisbehavesDoesSoForAWhile) {
  ToyRun r = World(R"({"at": "10s", "on": "a", "do": "misbehave", "with": {"how": "spoof-beacon", "rate": "50%"}, "for": "5s"})");
  r.Run();
  EXPECT_THAT(r.stage->log, Contains(testing::HasSubstr("10s misbehave 2 500000")));
  EXPECT_THAT(r.stage->log, Contains(testing::HasSubstr("15s misbehave 0 0")));
}

TEST(TimelineTest, HealEndsACutBeforeItsTime) {
  ToyRun r = World(R"({"at": "10s", "do": "partition", "with": {"groups": ["a", "b"]}, "for": "40s", "as": "cut"}, {"at": "20s", "do": "heal", "with": {"of": "cut"}})");
  r.Run();
  EXPECT_EQ(r.Logged("heal"), 1u);
  EXPECT_EQ(r.moments->Ended("cut"), Second(20));
}

TEST(TimelineTest, ChurnersComeAndGoAndAKillSuspendsThem) {
  const std::string_view hosts = R"({"id": "a"}, {"id": "b", "count": 4, "churn": {"like": "ipfs-server-2022", "up": "10s", "down": "5s"}})";
  ToyRun r = World("", hosts);
  r.Run();
  EXPECT_GE(r.Logged("start b"), 8u);
  ToyRun killed = World(R"({"at": "20s", "on": "b", "do": "kill"})", hosts);
  killed.Run();
  for (const std::string& l : killed.stage->log) {
    if (l.find("start b") == std::string::npos) continue;
    EXPECT_LT(std::stod(l), 20.1) << l;
  }
  ToyRun back = World(R"({"at": "20s", "on": "b", "do": "kill"}, {"at": "30s", "on": "b", "do": "start"})", hosts);
  back.Run();
  EXPECT_EQ(back.Logged("30s start b"), 4u);
  EXPECT_GE(back.Logged("45s start b"), 1u);
}

TEST(TimelineTest, TheRunOwesNothingOnceItsNamedEntriesAreOver) {
  ToyRun r = World(R"({"at": "30s", "who": "a", "do": "dht.nodes", "as": "n"}, {"every": "5s", "who": "a", "do": "dht.nodes"})");
  r.Run(29);
  EXPECT_TRUE(r.timeline->OwesAnything());
  r.Run(31);
  EXPECT_FALSE(r.timeline->OwesAnything());
}

}  // namespace
}  // namespace orchard::sim
