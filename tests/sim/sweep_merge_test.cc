#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/language/text.h"
#include "sim/run/result_read.h"
#include "sim/sweep/merge.h"
#include "sim/sweep/sweep_text.h"

namespace orchard::sim {
namespace {

using testing::HasSubstr;

Json Parsed(const std::string& text) {
  JsonError error;
  std::optional<Json> j = ParseJson(text, 0, error);
  EXPECT_TRUE(j) << error.found << " in " << text;
  return j ? *j : Json::Object();
}

// A claim on a ratio, as a run leaves it.
std::string Ratio(int hits, int n, int64_t bound_percent, const std::string& more = "") {
  const bool held = hits * 100 >= n * bound_percent;
  const std::string bound = Decimal(bound_percent * 10'000, 6);
  return Cat(R"({"says": "found", "verdict": ")", held ? "held" : "failed", R"(", "expected": "ratio", "n": )", n, R"(, "subject": "dht.lookup.ok", "bounds": [{"stat": "ratio", "is": "at_least", "bound": )",
             bound, R"(, "observed": 0.5, "held": )", held ? "true" : "false", "}", more, R"(], "pool": [{"stat": "ratio", "is": "at_least", "bound": )", bound, R"(, "hits": )", hits, R"(, "n": )", n, "}]}");
}
std::string Plain(const std::string& says, bool held, const std::string& more = "") {
  return Cat(R"({"says": ")", says, R"(", "verdict": ")", held ? "held" : "failed", R"(", "expected": "max ≤ 8s", "n": 5, "bounds": [{"stat": "max", "is": "at_most", "bound": 8, "observed": 1, "held": )",
             held ? "true" : "false", "}]", more, "}");
}

ClaimSum Summed(const std::vector<std::string>& claims) {
  ClaimSum sum(Parsed(claims[0]));
  for (size_t i = 0; i < claims.size(); ++i) sum.Add(i + 1, Parsed(claims[i]));
  return sum;
}

using Verdict = ClaimSum::Verdict;

TEST(ClaimSumTest, ARatioIsJudgedOnTheSamplesOfAllRuns) {
  // Each run alone would fail or hold by luck; together they are 9980 of 10000.
  std::vector<std::string> runs;
  for (int i = 0; i < 100; ++i) runs.push_back(Ratio(i % 5 == 0 ? 90 : 100, 100, 95));
  const ClaimSum sum = Summed(runs);
  EXPECT_EQ(sum.Judge().verdict, Verdict::kHeld);
  EXPECT_EQ(sum.Judge().all[0].share.n, 10'000u);
  EXPECT_EQ(sum.failing().size(), 20u) << "alone they would have failed, and are listed";
  EXPECT_EQ(Summed({Ratio(90, 100, 95), Ratio(88, 100, 95)}).Judge().verdict, Verdict::kFailed);
  EXPECT_EQ(Summed({Ratio(96, 100, 95), Ratio(95, 100, 95)}).Judge().verdict, Verdict::kUndecided);
}

TEST(ClaimSumTest, AnythingElseMustHoldInEveryRun) {
  EXPECT_EQ(Summed({Plain("quick", true), Plain("quick", true)}).Judge().verdict, Verdict::kHeld);
  const ClaimSum one = Summed({Plain("quick", true), Plain("quick", false), Plain("quick", true)});
  EXPECT_EQ(one.Judge().verdict, Verdict::kFailed);
  EXPECT_EQ(one.failing(), std::vector<uint64_t>{2});
}

TEST(ClaimSumTest, HoldsAsksAShareOfTheRuns) {
  std::vector<std::string> runs;
  for (int i = 1; i <= 200; ++i) runs.push_back(Plain("again", i != 17 && i != 142, R"(, "holds": 0.99)"));
  const ClaimSum sum = Summed(runs);
  const ClaimSum::Judged judged = sum.Judge();
  EXPECT_EQ(judged.verdict, Verdict::kUndecided);
  EXPECT_EQ(judged.more_seeds, std::nullopt) << "the share seen is the bound";
  ASSERT_TRUE(judged.more_seeds_at_best);
  const Json j = sum.ToJson();
  EXPECT_EQ(MicroIn(*j.Find("sweep"), "low"), 964'278);
  EXPECT_EQ(j.Find("sweep")->Find("failing")->Dump(), "[17,142]");
  Json result = Parsed(R"({"claims": []})");
  result.Find("claims")->items.push_back(j);
  EXPECT_THAT(SweepTable(result, false), HasSubstr("again              198 of 200 seeds   99.0 %  [96.4, 99.7]   UNDECIDED (needs ≥ 99 %; about "));
  EXPECT_THAT(SweepTable(result, false), HasSubstr("failing: 17, 142"));
  // With "holds", a ratio is a matter of runs, too.
  EXPECT_EQ(Summed({Ratio(90, 100, 95).insert(1, R"("holds": 0.2, )"), Ratio(99, 100, 95).insert(1, R"("holds": 0.2, )"), Ratio(99, 100, 95), Ratio(99, 100, 95)}).Judge().verdict, Verdict::kHeld);
}

TEST(ClaimSumTest, TheOtherBoundsOfARatioMustHoldInEveryRun) {
  const std::string enough = R"(, {"stat": "count", "is": "at_least", "bound": 2, "observed": 9, "held": true})", few = R"(, {"stat": "count", "is": "at_least", "bound": 2, "observed": 1, "held": false})";
  EXPECT_EQ(Summed({Ratio(100, 100, 50, enough), Ratio(100, 100, 50, enough)}).Judge().verdict, Verdict::kHeld);
  EXPECT_EQ(Summed({Ratio(100, 100, 50, enough), Ratio(100, 100, 50, few)}).Judge().verdict, Verdict::kFailed);
}

TEST(ClaimSumTest, EachPartIsPooledByItselfAndTheWorstDecides) {
  auto claim = [](int eu, int au) {
    return Cat(R"({"says": "found", "verdict": "held", "n": 200, "bounds": [], "pool": [{"stat": "ratio", "part": "eu", "is": "at_least", "bound": 0.9, "hits": )", eu,
               R"(, "n": 100}, {"stat": "ratio", "part": "au", "is": "at_least", "bound": 0.9, "hits": )", au, R"(, "n": 100}]})");
  };
  const ClaimSum::Judged judged = Summed({claim(100, 50), claim(100, 55)}).Judge();
  EXPECT_EQ(judged.verdict, Verdict::kFailed);
  EXPECT_EQ(judged.all[0].part, "au");
  EXPECT_EQ(judged.all[0].share.hits_micro, 105'000'000);
  EXPECT_EQ(judged.all[1].verdict, Verdict::kHeld);
}

TEST(ClaimSumTest, WithoutASampleInAnyRunItFails) {
  EXPECT_EQ(Summed({R"({"says": "found", "verdict": "failed", "n": 0, "bounds": [], "pool": [{"stat": "ratio", "is": "at_least", "bound": 0.9, "hits": 0, "n": 0}]})"}).Judge().verdict, Verdict::kFailed);
}

TEST(ClaimSumTest, AnUndecidedOneSaysHowManyMoreSeedsWouldTell) {
  std::vector<std::string> runs(50, Plain("again", true, R"(, "holds": 0.99)"));
  EXPECT_EQ(Summed(runs).Judge().more_seeds, 340u);  // 381 of 381 would hold; in two digits.
}

class SweepMergeTest : public testing::Test {
 protected:
  static SweepPlan Plan(SeedRange seeds, std::vector<std::string> cases = {""}) {
    SweepPlan p{.scenario = "some.json", .name = "some", .says = "Some.", .seeds = seeds};
    for (const std::string& c : cases) p.cases.push_back({c, "", "input"});
    return p;
  }
  static Json Run(uint64_t seed, const std::string& claims, int lookup = 100, bool passed = true, const std::string& notes = "") {
    return Parsed(Cat(R"({"schema": "orchard.result/1", "seed": )", seed, R"(, "passed": )", passed ? "true" : "false", R"(, "claims": [)", claims, R"(], "notes": [)", notes, R"(], "version": "1", "events": 10, "sim_seconds": 1.5, "hosts": 4,
      "fingerprint": "f)", seed, R"(", "metrics": {"dht.lookup_ms": {"count": 2, "unit": "ms", "mean": )", lookup, R"(, "min": )", lookup - 1, R"(, "max": )", lookup + 1, R"(, "total": )", 2 * lookup,
                      R"(, "p50": )", lookup, R"(, "p95": )", lookup, R"(, "p99": )", lookup, "}}}"));
  }
};

TEST_F(SweepMergeTest, MetricsAddUpAndPercentilesSpread) {
  const SweepPlan plan = Plan({1, 3});
  SweepMerge merge(plan);
  for (uint64_t seed = 1; seed <= 3; ++seed) merge.Add(seed, {Run(seed, Plain("quick", true), int(100 * seed))});
  const Json j = merge.Result(false);
  const Json& m = *j.Find("metrics")->Find("dht.lookup_ms");
  EXPECT_EQ(m.Dump(), R"({"count":6,"unit":"ms","mean":200,"min":99,"max":301,"total":1200})");
  EXPECT_EQ(j.Find("sweep")->Find("spread")->Find("dht.lookup_ms")->Find("p95")->Dump(), "[100,200,300]");
  EXPECT_TRUE(TruthIn(j, "passed"));
  EXPECT_EQ(CountIn(j, "events"), 30u);
  EXPECT_EQ(MicroIn(j, "sim_seconds"), 4'500'000);
}

TEST_F(SweepMergeTest, TheOrderOfTheRunsDoesNotShow) {
  const SweepPlan plan = Plan({1, 20});
  auto run = [&](uint64_t seed) { return Run(seed, Cat(Ratio(int(80 + seed), 100, 90), ", ", Plain("quick", seed % 7 != 0)), int(50 + seed * 13 % 20), seed % 7 != 0); };
  SweepMerge forwards(plan), backwards(plan);
  for (uint64_t seed = 1; seed <= 20; ++seed) forwards.Add(seed, {run(seed)}), backwards.Add(21 - seed, {run(21 - seed)});
  EXPECT_EQ(forwards.Result(false).Dump(), backwards.Result(false).Dump());
}

TEST_F(SweepMergeTest, EachFailingRunHasTheCommandThatRepeatsIt) {
  SweepPlan plan = Plan({1, 2}, {"a", "b|c"});
  plan.set = {"world.loss=2%"};
  SweepMerge merge(plan);
  merge.Add(1, {Run(1, Plain("quick", true)), Run(1, Plain("quick", false), 100, false)});
  merge.Add(2, {Run(2, Plain("quick", true)), Run(2, Plain("quick", true))});
  const Json j = merge.Result(false);
  ASSERT_EQ(ListIn(*j.Find("sweep"), "failing").size(), 1u);
  EXPECT_EQ(TextIn(ListIn(*j.Find("sweep"), "failing")[0], "replay"), "orchard sim some.json --seed 1 --case 'b|c' --set world.loss=2%");
  // Each case is judged by itself.
  ASSERT_EQ(ListIn(j, "claims").size(), 2u);
  EXPECT_EQ(TextIn(ListIn(j, "claims")[0], "verdict"), "held");
  EXPECT_EQ(TextIn(ListIn(j, "claims")[1], "verdict"), "failed");
  EXPECT_THAT(FailingTable(j), HasSubstr("orchard sim some.json --seed 1"));
}

TEST_F(SweepMergeTest, ARunThatFailedBesideItsClaimsOrEndedBadlyOrIsMissingFailsTheSweep) {
  const SweepPlan plan = Plan({1, 2});
  SweepMerge note(plan), broken(plan), missing(plan);
  note.Add(1, {Run(1, Plain("quick", true), 100, false, "\"moment \\\"grown\\\" never came\"")}), note.Add(2, {Run(2, Plain("quick", true))});
  broken.Add(1, {Run(1, Plain("quick", true))}), broken.AddBroken(2, 0, "its process ended with status 139");
  missing.Add(1, {Run(1, Plain("quick", true))}), missing.Add(2, {std::nullopt});
  for (auto [merge, words] : {std::pair(&note, "failed beside the claims"), {&broken, "ended without a result"}, {&missing, "1 of 2 runs are not there yet"}}) {
    const Json j = merge->Result(false);
    EXPECT_FALSE(TruthIn(j, "passed"));
    EXPECT_THAT(SweepTable(j, false), HasSubstr(words));
  }
}

TEST_F(SweepMergeTest, UndecidedFailsOnceAsManyRanAsTheFileAsksFor) {
  for (auto [decides, passed] : {std::pair<uint64_t, bool>{3, true}, {2, false}, {1, false}}) {
    SweepPlan plan = Plan({1, 2});
    plan.decides = decides;
    SweepMerge merge(plan);
    for (uint64_t seed : {1, 2}) merge.Add(seed, {Run(seed, Plain("again", true, R"(, "holds": 0.9)"))});
    const Json j = merge.Result(false);
    EXPECT_EQ(TextIn(ListIn(j, "claims")[0], "verdict"), "undecided");
    EXPECT_EQ(TruthIn(j, "passed"), passed) << decides;
  }
}

TEST_F(SweepMergeTest, APlanIsReadAsItWasWritten) {
  SweepPlan plan = Plan({7, 99}, {"a", "b"});
  plan.decides = 200, plan.set = {"world.loss=2%"}, plan.program = "p";
  const std::optional<SweepPlan> read = SweepPlan::FromJson(Parsed(plan.ToJson().Dump()));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ToJson().Dump(), plan.ToJson().Dump());
  EXPECT_FALSE(SweepPlan::FromJson(Parsed(R"({"schema": "orchard.sweep/2"})")));
  EXPECT_FALSE(SweepPlan::FromJson(Parsed("{}")));
}

TEST(PercentTest, WhatIsNotAllOrNothingNeverReadsSo) {
  EXPECT_EQ(PercentText(1'000'000), "100");
  EXPECT_EQ(PercentText(0), "0");
  EXPECT_EQ(PercentText(990'000), "99.0");
  EXPECT_EQ(PercentText(964'277), "96.4");
  EXPECT_EQ(PercentText(999'900), "99.99");
  EXPECT_EQ(PercentText(999'999), "99.9999");
  EXPECT_EQ(PercentText(40), "0.004");
}

}  // namespace
}  // namespace orchard::sim
