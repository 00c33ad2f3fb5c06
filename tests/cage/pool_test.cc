#include "node/cage/pool.h"

#include <gmock/gmock.h>

#include "tests/cage/keeper.h"

namespace orchard::cage {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::Pair;

SiteConfig Site() { return {.name = "shop", .module = "example:hello.wasm"}; }
Refused TheRefusal(const Keeper& k) { return std::get<Refused>(k.news.back()); }

TEST(PoolTest, ACageGetsRequestsOnceItWasMadeAndAnswered) {
  Keeper k(Site());
  EXPECT_THAT(k.spawned, ElementsAre(1u, 2u, 3u));
  EXPECT_EQ(k.pool.healthy(), 3u);
  Keeper silent(Site());
  silent.Until(seconds(6));
  silent.checks = false;
  silent.Kill(1, Cause::kPanic);
  EXPECT_THAT(silent.states(), ElementsAre(State::kInit, State::kRun, State::kRun));
  for (uint64_t i = 0; i < 4; ++i) silent.Ask(i);
  EXPECT_THAT(silent.PerCage(), ElementsAre(Pair(2u, 2u), Pair(3u, 2u)));
}

TEST(PoolTest, RequestsGoRound) {
  Keeper k(Site());
  for (uint64_t i = 0; i < 9; ++i) k.Ask(i);
  EXPECT_THAT(k.PerCage(), ElementsAre(Pair(1u, 3u), Pair(2u, 3u), Pair(3u, 3u)));
}

TEST(PoolTest, AnswersReachWhoAsked) {
  Keeper k(Site());
  k.Ask(5), k.Ask(6);
  k.End(1);
  ASSERT_EQ(k.news.size(), 1u);
  EXPECT_EQ(std::get<Answered>(k.news[0]).request, RequestId{6});
  EXPECT_EQ(std::get<Answered>(k.news[0]).result.answer, "Status: 200\n\nok");
  EXPECT_EQ(k.pool.slots()[1].served, 1u);
}

TEST(PoolTest, WhatWasInFlightIsTriedElsewhereIfItMayBe) {
  Keeper k(Site());
  k.Ask(1), k.Ask(2, "POST"), k.Ask(3);  // One in each cage.
  k.Kill(1, Cause::kPanic);
  EXPECT_EQ(k.runs.size(), 3u);
  EXPECT_EQ(k.news.size(), 0u);
  k.Kill(2, Cause::kPanic);
  ASSERT_EQ(k.Count<Refused>(), 1u);  // The POST: it may have been carried out.
  EXPECT_EQ(TheRefusal(k).request, RequestId{2});
  EXPECT_EQ(TheRefusal(k).why, Unserved::kDied);
  while (!k.runs.empty()) k.End(0);
  EXPECT_EQ(k.Count<Answered>(), 2u);
}

TEST(PoolTest, AGetIsTriedOnceMoreAndNoOftener) {
  Keeper k(Site());
  k.Ask(1);
  k.Kill(k.runs[0].args.cage, Cause::kPanic);
  ASSERT_EQ(k.runs.size(), 1u);
  k.Kill(k.runs[0].args.cage, Cause::kPanic);
  EXPECT_TRUE(k.runs.empty());
  EXPECT_EQ(TheRefusal(k).tries, 2u);
  SiteConfig none = Site();
  none.retries = 0;
  Keeper once(none);
  once.Ask(1);
  once.Kill(once.runs[0].args.cage, Cause::kPanic);
  EXPECT_EQ(once.Count<Refused>(), 1u);
}

TEST(PoolTest, WhatNeverBeganIsTriedWhateverItIs) {
  SiteConfig one = Site();
  one.replicas = 1, one.retries = 0;
  Keeper k(one);
  k.Until(seconds(6));
  k.Ask(1, "POST"), k.Ask(2, "POST");
  k.Kill(1, Cause::kPanic);
  EXPECT_EQ(TheRefusal(k).request, RequestId{1});
  ASSERT_EQ(k.runs.size(), 1u);  // In the next cage.
  k.End(0);
  EXPECT_EQ(std::get<Answered>(k.news.back()).request, RequestId{2});
}

TEST(PoolTest, TheFirstRespawnIsAtOnceThenDoubling) {
  Keeper k(Site());
  k.Until(seconds(6));
  std::vector<int64_t> waits;
  for (int i = 0; i < 5; ++i) {
    const Instant died = k.turn.now;
    const uint32_t cage = k.pool.slots()[0].cage;
    k.Kill(cage, Cause::kPanic);
    while (k.pool.slots()[0].cage == cage) k.Until(k.pool.next_deadline() - Instant{});
    waits.push_back((k.turn.now - died) / milliseconds(1));
  }
  EXPECT_THAT(waits, ElementsAre(0, 1000, 2000, 4000, 8000));
  k.Kill(k.pool.slots()[0].cage, Cause::kPanic);
  EXPECT_TRUE(k.pool.slots()[0].gave_up);
  k.Until(seconds(600));
  EXPECT_EQ(k.pool.healthy(), 2u);
  EXPECT_TRUE(k.pool.Revive(k.turn, k.jobs));
  k.Serve();
  EXPECT_EQ(k.pool.healthy(), 3u);
}

TEST(PoolTest, TheOriginalWaitsBeforeTheFirstToo) {
  SiteConfig faithful = Site();
  faithful.faithful = true;
  Keeper k(faithful);
  k.Until(seconds(6));
  k.Kill(1, Cause::kPanic);
  k.Until(seconds(6) + milliseconds(999));
  EXPECT_EQ(k.pool.healthy(), 2u);
  k.Until(seconds(7));
  EXPECT_EQ(k.pool.healthy(), 3u);
}

TEST(PoolTest, FiveHealthySecondsEndTheRow) {
  Keeper k(Site());
  k.Until(seconds(6));
  k.Kill(1, Cause::kPanic);               // At once.
  k.Until(seconds(10));                   // Healthy for 4 s.
  k.Kill(k.pool.slots()[0].cage, Cause::kPanic);
  EXPECT_EQ(k.pool.healthy(), 2u);        // 1 s.
  k.Until(seconds(16));                   // Healthy since 11.
  k.Kill(k.pool.slots()[0].cage, Cause::kPanic);
  EXPECT_EQ(k.pool.healthy(), 3u);
}

TEST(PoolTest, ASlotThatWasNeverHealthyWaitsFromTheFirstTimeOn) {
  SiteConfig one = Site();
  one.replicas = 1;
  Keeper k(one);
  k.checks = false;
  k.Kill(1, Cause::kPanic);  // Healthy, but not for 5 s.
  std::vector<int64_t> made;
  size_t before = k.spawned.size();
  while (!k.pool.slots()[0].gave_up) {
    k.Until(k.pool.next_deadline() - Instant{});
    if (k.spawned.size() == before) continue;
    before = k.spawned.size();
    made.push_back((k.turn.now - Instant{}) / milliseconds(1));
    k.Kill(k.spawned.back(), Cause::kEngine);
  }
  EXPECT_THAT(made, ElementsAre(1000, 3000, 7000, 15000, 31000));
}

TEST(PoolTest, ASupervisorThatLooksNowAndThenHealsThen) {
  SiteConfig slow = Site();
  slow.supervise = seconds(5);
  Keeper k(slow);
  k.Until(seconds(11));
  k.Kill(1, Cause::kPanic);
  EXPECT_EQ(k.pool.healthy(), 2u);
  k.Until(seconds(14) + milliseconds(999));
  EXPECT_EQ(k.pool.healthy(), 2u);
  k.Until(seconds(15));
  EXPECT_EQ(k.pool.healthy(), 3u);
}

TEST(PoolTest, RequestsWaitForTheFirstCageThatCanTakeThem) {
  SiteConfig small = Site();
  small.replicas = 1, small.concurrent = 2, small.waiting = 2;
  Keeper k(small);
  for (uint64_t i = 1; i <= 5; ++i) k.Ask(i);
  EXPECT_EQ(k.runs.size(), 2u);
  EXPECT_EQ(k.pool.waiting(), 2u);
  EXPECT_EQ(TheRefusal(k).request, RequestId{5});
  EXPECT_EQ(TheRefusal(k).why, Unserved::kFull);
  k.End(0);
  EXPECT_EQ(k.runs[1].args.request.target, "/");
  EXPECT_EQ(k.pool.waiting(), 1u);
  k.Until(milliseconds(250));
  EXPECT_EQ(TheRefusal(k).request, RequestId{4});
}

TEST(PoolTest, WithNoHealthyCageRequestsWaitForOneAndThenAreRefused) {
  Keeper k(Site());
  k.Until(seconds(6));
  k.checks = false;
  for (uint32_t cage : {1, 2, 3}) k.Kill(cage, Cause::kMemory);
  k.Ask(1);
  EXPECT_EQ(k.pool.waiting(), 1u);
  k.Until(seconds(6) + milliseconds(250));
  EXPECT_EQ(TheRefusal(k).why, Unserved::kNoCage);
  k.Ask(2);
  k.Done(k.held[0].job, absl::StatusCode::kOk, Encode(RunResult{}));
  k.Serve();
  EXPECT_EQ(k.runs.size(), 1u);
}

TEST(PoolTest, EveryCageIsCheckedNowAndThen) {
  Keeper k(Site());
  k.checks = false;
  k.Until(seconds(5));
  ASSERT_EQ(k.held.size(), 3u);
  k.Done(k.held[0].job, absl::StatusCode::kOk, Encode(RunResult{.cause = Cause::kTimeout}));
  k.Serve();
  EXPECT_EQ(k.pool.slots()[0].last_cause, Cause::kTimeout);
  EXPECT_EQ(k.pool.healthy(), 2u);
}

TEST(PoolTest, ACageThatDrainsIsTracedBeforeItIsStopped) {
  struct Sink final : Trace::Sink {
    void Record(std::string_view event, absl::Span<const TraceField> fields) override {
      if (event == "cage.draining" || event == "cage.stopped") seen.push_back(std::string(event) + " " + std::to_string(fields[1].number) + " " + std::to_string(fields[2].number));
    }
    std::vector<std::string> seen;  // With slot and cage.
  } sink;
  Keeper k(Site());
  k.trace = Trace(nullptr, &sink);
  k.Ask(1), k.Ask(2), k.Ask(3);
  k.pool.Scale(k.turn, k.jobs, 2);
  k.Serve();
  EXPECT_THAT(sink.seen, ElementsAre("cage.draining 2 3"));
  k.End(2);
  EXPECT_THAT(sink.seen, ElementsAre("cage.draining 2 3", "cage.stopped 2 3"));
}

TEST(PoolTest, OfFewerTheLastAreDrainedOfMoreTheNextAreMade) {
  Keeper k(Site());
  for (uint64_t i = 1; i <= 3; ++i) k.Ask(i);
  k.pool.Scale(k.turn, k.jobs, 1);
  k.Serve();
  EXPECT_THAT(k.states(), ElementsAre(State::kRun, State::kTerm, State::kTerm));
  k.End(1);
  EXPECT_THAT(k.stopped, ElementsAre(2u));
  k.Until(seconds(5));  // The other's run is not waited for any longer.
  EXPECT_THAT(k.states(), ElementsAre(State::kRun));
  EXPECT_THAT(k.stopped, ElementsAre(2u, 3u));
  k.pool.Scale(k.turn, k.jobs, 2);
  k.Serve();
  EXPECT_EQ(k.pool.healthy(), 2u);
}

TEST(PoolTest, ACageThatAnswersNonsenseIsSparedForAWhile) {
  Keeper k(Site());
  for (int i = 0; i < 3; ++i) k.pool.Judge(k.turn, 1, false);
  for (uint64_t i = 0; i < 6; ++i) k.Ask(i);
  EXPECT_THAT(k.PerCage(), ElementsAre(Pair(2u, 3u), Pair(3u, 3u)));
  k.Until(seconds(5));
  for (uint64_t i = 6; i < 12; ++i) k.Ask(i);
  EXPECT_EQ(k.PerCage()[1], 1u);  // One is tried.
}

TEST(PoolTest, WhatNobodyWantsAnyMoreIsNotAnsweredAndNotTriedAgain) {
  Keeper k(Site());
  k.Ask(1);
  k.pool.Forget(RequestId{1});
  k.Kill(k.runs[0].args.cage, Cause::kPanic);
  EXPECT_TRUE(k.runs.empty());
  EXPECT_TRUE(k.news.empty());
}

TEST(PoolTest, ASlotGetsAnotherModuleOnceItsRunsAreOver) {
  Keeper k(Site());
  k.Ask(1);
  k.pool.Replace(k.turn, k.jobs, 0, Key32{8});
  k.Serve();
  EXPECT_EQ(k.pool.slots()[0].state, State::kTerm);
  k.Ask(2), k.Ask(3);
  k.End(0);
  EXPECT_EQ(k.Count<Answered>(), 1u);
  EXPECT_EQ(k.pool.slots()[0].state, State::kRun);
  EXPECT_EQ(k.pool.slots()[0].image, Image(Key32{8}));
  EXPECT_EQ(k.pool.slots()[0].cage, 4u);
}

TEST(PoolTest, StoppingRefusesWhatIsUnderWayAndEndsTheCages) {
  Keeper k(Site());
  k.Ask(1);
  k.pool.Stop(k.turn, k.jobs, k.news);
  k.Serve();
  EXPECT_EQ(TheRefusal(k).why, Unserved::kNoCage);
  EXPECT_THAT(k.stopped, ElementsAre(1u, 2u, 3u));
}

}  // namespace
}  // namespace orchard::cage
