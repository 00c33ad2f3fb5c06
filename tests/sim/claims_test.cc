#include <gmock/gmock.h>

#include "tests/sim/toy_stage.h"

namespace orchard::sim {
namespace {

using testing::Contains;
using testing::HasSubstr;

// Ten hosts and one claim; samples are written by the test.
ToyRun World(std::string_view claim, std::string_view timeline = "") {
  return ToyRun(Cat(R"({"says": "x", "duration": "100s", "hosts": [{"id": "a", "count": 6, "region": "eu", "link": "fiber", "nat": "open"},
    {"id": "b", "count": 4, "region": "au", "link": "dsl", "nat": "cgn"}], "timeline": [)", timeline, R"(], "claims": [)", claim, "]}"));
}
void Latency(ToyRun& r, int64_t second, std::string_view host, int64_t ms) {
  r.recorder->Add("dht.lookup_ms", Second(second), r.host(host), ms * kMicro);
}
void Ok(ToyRun& r, int64_t second, std::string_view host, bool ok) {
  r.recorder->Add("dht.lookup.ok", Second(second), r.host(host), ok ? kMicro : 0, 0, ok ? Tag{0} : r.recorder->Intern("error", "TIMEOUT"));
}

struct StatCase {
  const char* bound;
  bool held;
  friend void PrintTo(const StatCase& c, std::ostream* out) { *out << c.bound; }
};
class EachStatistic : public testing::TestWithParam<StatCase> {};

// Samples 10, 20, … 100 ms.
TEST_P(EachStatistic, HoldsAtItsValueAndFailsBesideIt) {
  ToyRun r = World(Cat(R"({"says": "c", "metric": "dht.lookup_ms", )", GetParam().bound, "}"));
  for (int i = 1; i <= 10; ++i) Latency(r, i, "a-1", 10 * i);
  r.Run();
  EXPECT_EQ(r.Finish().verdict, GetParam().held ? Verdict::kHeld : Verdict::kFailed) << r.claim().observed;
}
INSTANTIATE_TEST_SUITE_P(All, EachStatistic, testing::Values(
    StatCase{R"("count_at_least": 10)", true}, StatCase{R"("count_at_least": 11)", false}, StatCase{R"("count_is": 10)", true}, StatCase{R"("count_is": 9)", false},
    StatCase{R"("total_at_most": "550ms")", true}, StatCase{R"("total_at_most": "549ms")", false},
    StatCase{R"("mean_at_most": "55ms")", true}, StatCase{R"("mean_at_most": "54ms")", false},
    StatCase{R"("min_at_least": "10ms")", true}, StatCase{R"("min_at_least": "11ms")", false},
    StatCase{R"("max_at_most": "100ms")", true}, StatCase{R"("max_at_most": "99ms")", false},
    StatCase{R"("p50_at_most": "50ms")", true}, StatCase{R"("p50_at_most": "49ms")", false},
    StatCase{R"("p95_at_most": "100ms")", true}, StatCase{R"("p95_at_most": "99ms")", false},
    StatCase{R"("p10_at_least": "10ms")", true}, StatCase{R"("p10_at_least": "20ms")", false},
    StatCase{R"("share_at_least": 0.5, "within": ["10ms", "50ms"])", true}, StatCase{R"("share_at_least": 0.51, "within": ["10ms", "50ms"])", false},
    StatCase{R"("p50_at_most": "60ms", "count_at_least": 11)", false}));

TEST(ClaimsTest, ARatioCountsWhatWasOkAndNamesWhoMissed) {
  ToyRun r = World(R"({"says": "c", "metric": "dht.lookup.ok", "ratio_at_least": 0.9})");
  for (int i = 1; i <= 9; ++i) Ok(r, i, "a-1", true);
  Ok(r, 10, "a-2", false);
  r.Run();
  EXPECT_EQ(r.Finish().verdict, Verdict::kHeld);

  ToyRun bad = World(R"({"says": "c", "metric": "dht.lookup.ok", "ratio_at_least": 0.9})");
  for (int i = 1; i <= 8; ++i) Ok(bad, i, "a-1", true);
  Ok(bad, 10, "a-2", false);
  bad.Run();
  EXPECT_EQ(bad.Finish().verdict, Verdict::kFailed);
  EXPECT_THAT(bad.claim().why, Contains(HasSubstr("a-2 (TIMEOUT)")));
}

TEST(ClaimsTest, WithoutASampleAClaimFailsAndSaysWhatWasSeenInstead) {
  ToyRun none = World(R"({"says": "c", "metric": "dht.lookup_ms", "p95_at_most": "1s"})");
  none.Run();
  EXPECT_EQ(none.Finish().verdict, Verdict::kFailed);
  EXPECT_THAT(none.claim().why, Contains(HasSubstr("never recorded")));

  ToyRun other = World(R"({"says": "c", "metric": "dht.lookup_ms", "where": {"nat": "symmetric"}, "p95_at_most": "1s"})");
  Latency(other, 1, "a-1", 5);
  other.Run();
  EXPECT_EQ(other.Finish().verdict, Verdict::kFailed);
  EXPECT_THAT(other.claim().why, Contains(HasSubstr("labels seen: cgn, open")));

  ToyRun count = World(R"({"says": "c", "metric": "dht.lookup_ms", "count_at_most": 0})");
  count.Run();
  EXPECT_EQ(count.Finish().verdict, Verdict::kHeld) << "a count of nothing is zero";
}

TEST(ClaimsTest, AWindowTakesWhatLiesInIt) {
  for (auto [low, high, held] : {std::tuple(20, 40, true), std::tuple(20, 60, false)}) {
    ToyRun r = World(Cat(R"({"says": "c", "metric": "dht.lookup_ms", "during": [")", low, R"(s", ")", high, R"(s"], "max_at_most": "10ms"})"));
    Latency(r, 10, "a-1", 99), Latency(r, 30, "a-1", 5), Latency(r, 50, "a-1", 99);
    r.Run();
    EXPECT_EQ(r.Finish().verdict, held ? Verdict::kHeld : Verdict::kFailed);
  }
}

TEST(ClaimsTest, DuringIsDecidedAtItsCloseAndTheWholeRunAtItsEnd) {
  ToyRun r = World(R"({"says": "c", "metric": "dht.lookup_ms", "during": ["20s", "40s"], "max_at_most": "10ms"},
                      {"says": "d", "metric": "dht.lookup_ms", "max_at_most": "10ms"})");
  Latency(r, 30, "a-1", 5);
  r.Run(39);
  EXPECT_EQ(r.claim(0).verdict, Verdict::kOpen);
  r.Run(40);
  EXPECT_EQ(r.claim(0).verdict, Verdict::kHeld);
  EXPECT_EQ(r.claim(0).at, Second(40));
  r.Run(99);
  EXPECT_EQ(r.claim(1).verdict, Verdict::kOpen);
  r.Run();
  r.Finish();
  EXPECT_EQ(r.claim(1).verdict, Verdict::kHeld);
}

TEST(ClaimsTest, ByIsDecidedWhenTrueOrPast) {
  ToyRun early = World(R"({"says": "c", "event": "dht.bootstrapped", "of": "a", "count_at_least": 2, "by": "50s"})");
  early.stage->At(Second(10), [&] { early.recorder->Event("dht.bootstrapped", Second(10), early.host("a-1")); });
  early.stage->At(Second(20), [&] { early.recorder->Event("dht.bootstrapped", Second(20), early.host("a-2")); });
  early.Run(19);
  EXPECT_EQ(early.claim().verdict, Verdict::kOpen);
  EXPECT_TRUE(early.Run(21));
  EXPECT_EQ(early.claim().verdict, Verdict::kHeld);

  ToyRun late = World(R"({"says": "c", "event": "dht.bootstrapped", "by": "50s"})");
  late.stage->At(Second(60), [&] { late.recorder->Event("dht.bootstrapped", Second(60), 0); });
  late.Run(50);
  EXPECT_EQ(late.claim().verdict, Verdict::kFailed);
}

TEST(ClaimsTest, EachAsksEveryPartAndAPartWithoutASampleFails) {
  ToyRun r = World(R"({"says": "c", "metric": "dht.lookup.ok", "each": "region", "ratio_at_least": 0.5})");
  Ok(r, 1, "a-1", true), Ok(r, 2, "a-2", true), Ok(r, 3, "b-1", true), Ok(r, 4, "b-2", false);
  r.Run();
  EXPECT_EQ(r.Finish().verdict, Verdict::kHeld);

  ToyRun half = World(R"({"says": "c", "metric": "dht.lookup.ok", "each": "region", "ratio_at_least": 0.6})");
  for (int i = 1; i < 20; ++i) Ok(half, i, "a-1", true);
  Ok(half, 20, "b-1", true), Ok(half, 21, "b-2", false);
  half.Run();
  EXPECT_EQ(half.Finish().verdict, Verdict::kFailed);
  EXPECT_THAT(half.claim().observed, HasSubstr("in au"));

  ToyRun missing = World(R"({"says": "c", "metric": "dht.lookup.ok", "each": "region", "ratio_at_least": 0.1})");
  Ok(missing, 1, "a-1", true);
  missing.Run();
  EXPECT_EQ(missing.Finish().verdict, Verdict::kFailed);
}

TEST(ClaimsTest, OfWhereAndUpNarrowTheSamples) {
  for (auto [words, held] : {std::pair(R"("of": "a")", true), std::pair(R"("of": "b")", false), std::pair(R"("where": {"nat": "!cgn"})", true),
                             std::pair(R"("where": {"region": "au"})", false), std::pair(R"("where": {"up": "30s"})", true)}) {
    ToyRun r = World(Cat(R"({"says": "c", "metric": "dht.lookup_ms", "max_at_most": "10ms", )", words, "}"));
    r.Run(40);
    Latency(r, 40, "a-1", 5);
    r.stage->Kill(r.host("b-1")), r.stage->StartHost(r.host("b-1"), World::Keep::kKept);
    r.Run(50);
    Latency(r, 50, "b-1", 99);
    r.Run();
    EXPECT_EQ(r.Finish().verdict, held ? Verdict::kHeld : Verdict::kFailed) << words;
  }
}

TEST(ClaimsTest, GaugesJudgeEveryHostsLastReadingAndCountersTheirTotal) {
  for (auto [bound, held] : {std::pair(R"("metric": "dht.table.nodes", "at_least": 20)", true), std::pair(R"("metric": "dht.table.nodes", "at_least": 21)", false),
                             std::pair(R"("metric": "link.drops", "at_most": 3)", true), std::pair(R"("metric": "link.drops", "at_most": 2)", false)}) {
    ToyRun r = World(Cat(R"({"says": "c", )", bound, "}"));
    r.recorder->Add("dht.table.nodes", Second(1), 0, 5 * kMicro), r.recorder->Add("dht.table.nodes", Second(2), 0, 30 * kMicro);
    r.recorder->Add("dht.table.nodes", Second(2), 1, 20 * kMicro);
    r.recorder->Count("link.drops", 0, kMicro), r.recorder->Count("link.drops", 1, 2 * kMicro), r.recorder->Flush(Second(3));
    r.Run();
    EXPECT_EQ(r.Finish().verdict, held ? Verdict::kHeld : Verdict::kFailed) << bound;
  }
}

TEST(ClaimsTest, NeverIsBrokenByOneTimeAndLeadsToByOneThatWasNotFollowed) {
  ToyRun never = World(R"({"says": "c", "never": "dht.ephemeral"})");
  never.stage->At(Second(10), [&] { never.recorder->Event("dht.ephemeral", Second(10), 3); });
  never.Run(11);
  EXPECT_EQ(never.claim().verdict, Verdict::kFailed) << "at once";
  ToyRun clean = World(R"({"says": "c", "never": "dht.ephemeral"})");
  clean.Run();
  EXPECT_EQ(clean.Finish().verdict, Verdict::kHeld);

  for (auto [host, at, held] : {std::tuple(0u, 14, true), std::tuple(0u, 16, false), std::tuple(1u, 14, false)}) {
    ToyRun r = World(R"({"says": "c", "event": "dht.bootstrapped", "leads_to": "dht.persistent", "within": "5s"})");
    r.recorder->Event("dht.bootstrapped", Second(10), 0), r.recorder->Event("dht.persistent", Second(at), host);
    r.Run();
    EXPECT_EQ(r.Finish().verdict, held ? Verdict::kHeld : Verdict::kFailed);
  }
}

TEST(ClaimsTest, SameWantsEveryHostAndTheStatedValue) {
  const std::string_view timeline = R"({"at": "5s", "who": "a-1", "do": "dht.put", "with": {"value": "v"}, "as": "note"},
      {"at": "10s", "who": "b", "do": "dht.get", "with": {"key": "$note.key"}, "as": "read", "fails": "maybe"})";
  const std::string_view claim = R"({"says": "c", "same": "bytes", "name": "read", "of": "b", "is": "$note.sha256", "by": "50s"})";
  ToyRun good = World(claim, timeline);
  good.Run();
  EXPECT_EQ(good.Finish().verdict, Verdict::kHeld);
  EXPECT_EQ(good.claim().at, Second(11)) << "when true, not when past";

  ToyRun bad = World(claim, timeline);
  bad.answer = [&](HostIndex h, std::string_view, std::string_view) {
    ToyRun::Answer a;
    if (h == bad.host("b-3")) a.json = R"({"tag":"final","data":{"ok":true,"sha256":"bb"}})";
    return a;
  };
  bad.Run();
  EXPECT_EQ(bad.Finish().verdict, Verdict::kFailed);
  EXPECT_THAT(bad.claim().why, Contains(HasSubstr("b-3 has bb")));

  ToyRun mute = World(claim, timeline);
  mute.answer = [&](HostIndex h, std::string_view, std::string_view) { return h == mute.host("b-2") ? ToyRun::Answer{.json = ""} : ToyRun::Answer{}; };
  mute.Run();
  EXPECT_EQ(mute.Finish().verdict, Verdict::kFailed);
  EXPECT_THAT(mute.claim().why, Contains(HasSubstr("no answer to read on b-2")));
}

TEST(ClaimsTest, CostBoundsWhatWasSpent) {
  for (auto [bound, held] : {std::pair(R"({"cost": "bytes_per_host", "at_most": "1KiB"})", true), std::pair(R"({"cost": "bytes_per_host", "at_most": 1023})", false),
                             std::pair(R"({"cost": "events", "is": 77})", true), std::pair(R"({"cost": "events", "is": 78})", false)}) {
    ToyRun r = World(bound);
    r.cost = {.events = 77, .bytes = 10240, .hosts = 10};
    r.Run();
    EXPECT_EQ(r.Finish().verdict, held ? Verdict::kHeld : Verdict::kFailed) << bound;
  }
}

TEST(ClaimsTest, OverDividesByAQuantityOrAnotherMetric) {
  for (auto [over, held] : {std::pair(R"("over": "100ms")", true), std::pair(R"("over": "40ms")", false),
                            std::pair(R"("over": {"metric": "dht.lookup_ms", "of": "b"})", true), std::pair(R"("over": {"metric": "dht.get_ms"})", false)}) {
    ToyRun r = World(Cat(R"({"says": "c", "metric": "dht.lookup_ms", "of": "a", "p50_at_most": 0.5, )", over, "}"));
    Latency(r, 1, "a-1", 50), Latency(r, 2, "b-1", 100);
    r.Run();
    EXPECT_EQ(r.Finish().verdict, held ? Verdict::kHeld : Verdict::kFailed) << over << " " << r.claim().observed;
  }
}

TEST(ClaimsTest, AWindowThatNeverOpensFails) {
  ToyRun r = World(R"({"says": "c", "metric": "dht.lookup_ms", "during": ["30s after cut.end", "end"], "max_at_most": "10ms"})",
                   R"({"at": "50s", "do": "partition", "with": {"groups": ["a", "b"]}, "for": "90s", "as": "cut"})");
  Latency(r, 95, "a-1", 1);
  r.Run();
  EXPECT_EQ(r.Finish().verdict, Verdict::kFailed);
}

TEST(ClaimsTest, InterruptedClaimsAreUndecidedNotHeld) {
  ToyRun r = World(R"({"says": "c", "never": "dht.ephemeral"})");
  r.Run(10);
  r.judge->Finish(r.stage->now(), {}, false, true);
  EXPECT_EQ(r.claim().verdict, Verdict::kUndecided);
}

}  // namespace
}  // namespace orchard::sim
