// What is told of cages, from the events of their hosts: states of slots, deaths and what followed, and what is left out.
#include "sim/run/cage_film.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/run/result_cages.h"

namespace orchard::sim {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using End = CageFilm::End;

class CageFilmTest : public testing::Test {
 protected:
  void Trace(Duration at, std::string_view event, std::vector<TraceField> fields, HostIndex host = 0) {
    fields.push_back({"site", 0, AsBytes(std::string_view("shop"))});
    film_.OnTrace(Instant{} + at, host, event, fields);
  }
  void Spawned(Duration at, uint64_t cage, uint64_t slot = 0, HostIndex host = 0) { Trace(at, "cage.spawned", {{"slot", slot}, {"cage", cage}, {"spawn_us", 800}}, host); }
  void Served(Duration at, uint64_t cage, std::string_view cause, uint64_t detect_us = 0, uint64_t backoff_us = 0, uint64_t slot = 0) {
    Trace(at, "cage.served", {{"slot", slot}, {"cage", cage}, {"cause", 0, AsBytes(cause)}, {"detect_us", detect_us}, {"backoff_us", backoff_us}, {"spawn_us", 800}, {"answer_us", 200}});
  }
  void Crashed(Duration at, uint64_t cage, std::string_view cause = "panic", uint64_t slot = 0) { Trace(at, "cage.crashed", {{"slot", slot}, {"cage", cage}, {"cause", 0, AsBytes(cause)}}); }
  void Request(Duration at, uint64_t cage, uint64_t status) { Trace(at, "cage.request", {{"cage", cage}, {"status", status}}); }
  void Begin(uint64_t slot = 0, uint64_t cage = 1) { Spawned(1800us, cage, slot), Served(2ms, cage, "none", 0, 0, slot); }
  // A slot's states, with their instants in microseconds.
  std::vector<std::pair<int64_t, std::string>> States(uint64_t slot = 0, HostIndex host = 0) const {
    std::vector<std::pair<int64_t, std::string>> out;
    for (const auto& [at, show] : film_.lanes().at({host, "shop", slot}).changes) out.emplace_back(at.time_since_epoch() / 1us, CageShowName(show));
    return out;
  }
  std::string Written(Duration end) const { return CagesJson(film_, {"web", "other"}, Instant{} + end).Dump(); }
  using Want = std::vector<std::pair<int64_t, std::string>>;

  CageFilm film_;
};

TEST_F(CageFilmTest, ASlotIsMadeRunsDiesAndIsMadeAgain) {
  Begin();
  Crashed(10ms, 1), Spawned(10ms + 800us, 2), Served(11ms, 2, "panic");
  EXPECT_EQ(States(), (Want{{1000, "INIT"}, {2000, "RUN"}, {10'000, "CRASH"}, {10'000, "INIT"}, {11'000, "RUN"}}));
  ASSERT_EQ(film_.deaths().size(), 1u);
  const CageFilm::Death& d = film_.deaths()[0];
  EXPECT_EQ(std::tuple(d.end, d.detect, d.backoff, d.spawn, d.answer, d.cause), std::tuple(End::kHealed, 0ns, 0ns, 800us, 200us, "panic"));
}

TEST_F(CageFilmTest, AHangBeganBeforeItsCrashAsIsKnownAfterwards) {
  Begin();
  Crashed(1002ms, 1, "timeout"), Spawned(1002ms + 800us, 2), Served(1003ms, 2, "timeout", 1'000'000);
  EXPECT_EQ(States(), (Want{{1000, "INIT"}, {2000, "RUN"}, {2000, "HUNG"}, {1'002'000, "CRASH"}, {1'002'000, "INIT"}, {1'003'000, "RUN"}}));
  EXPECT_EQ(film_.deaths()[0].wrong, Instant{} + 2ms);
}

TEST_F(CageFilmTest, OneThatDiesAgainAndAgainIsGivenUp) {
  Begin();
  Crashed(10ms, 1), Spawned(1011ms, 2), Crashed(1012ms, 2), Trace(1012ms, "cage.gave_up", {{"slot", 0}, {"attempts", 1}});
  ASSERT_EQ(film_.deaths().size(), 2u);
  EXPECT_EQ(film_.deaths()[0].end, End::kAgain);
  EXPECT_EQ(film_.deaths()[0].ended, Instant{} + 1012ms);
  EXPECT_EQ(film_.deaths()[0].backoff, 1000ms + 200us);
  EXPECT_LT(film_.deaths()[0].detect, 0ms) << "nobody said when it was noticed";
  EXPECT_EQ(film_.deaths()[1].end, End::kGaveUp);
  EXPECT_EQ(States().back(), (std::pair<int64_t, std::string>{1'012'000, "GAVE_UP"}));
  // It is dark to the end, the worst of the two.
  EXPECT_THAT(Written(5s), HasSubstr(R"("deaths":[{"host":"web","site":"shop","slot":0,"cage":2,"cause":"panic","at_ms":1012,"wrong_ms":1012,"end":"gave_up","ended_ms":1012,"dark_ms":3988)"));
}

TEST_F(CageFilmTest, ADrainedCageWhoseSlotIsFilledAgainIsNoDeath) {
  Begin();
  Trace(5ms, "cage.draining", {{"slot", 0}, {"cage", 1}}), Trace(7ms, "cage.stopped", {{"slot", 0}, {"cage", 1}});
  Spawned(8ms, 2), Served(8ms + 200us, 2, "none");
  EXPECT_EQ(States(), (Want{{1000, "INIT"}, {2000, "RUN"}, {5000, "TERM"}, {7000, "STOP"}, {7200, "INIT"}, {8200, "RUN"}}));
  EXPECT_THAT(film_.deaths(), IsEmpty());
}

TEST_F(CageFilmTest, ADeathTakesItsRequestsWithItAndNoOthers) {
  Begin(), Begin(1, 2);
  Request(3ms, 1, 200), Request(3ms, 2, 404), Request(4ms, 0, 503);
  Crashed(10ms, 1);
  Trace(10ms, "cage.retried", {{"request", 7}, {"cage", 1}}), Trace(10ms, "cage.retried", {{"request", 8}, {"cage", 1}});
  Request(10ms, 1, 502), Request(11ms, 2, 500);
  EXPECT_EQ(film_.deaths()[0].retried, 2u);
  EXPECT_EQ(film_.deaths()[0].failed, 1u);
  const auto &one = film_.lanes().at({0, "shop", 0}), &two = film_.lanes().at({0, "shop", 1});
  EXPECT_EQ(std::tuple(one.answered, one.failed, two.answered, two.failed), std::tuple(1u, 1u, 1u, 1u));
  EXPECT_EQ(film_.sites().at({0, "shop"}).failed, 3u) << "that no cage had one is the site's failure too";
}

TEST_F(CageFilmTest, ASparedCageIsShownAsSuch) {
  Begin();
  Trace(5ms, "cage.breaker", {{"slot", 0}, {"cage", 1}, {"open", 1}}), Trace(9ms, "cage.breaker", {{"slot", 0}, {"cage", 1}, {"open", 0}});
  EXPECT_EQ(States(), (Want{{1000, "INIT"}, {2000, "RUN"}, {5000, "SPARED"}, {9000, "RUN"}}));
}

TEST_F(CageFilmTest, AHostThatGoesDownTakesItsCagesAndTheirNumbers) {
  Begin();
  Spawned(2ms, 1, 0, 1);
  Crashed(3ms, 1);
  film_.OnHostDown(Instant{} + 4ms, 0);
  EXPECT_EQ(film_.deaths()[0].end, End::kHost);
  EXPECT_EQ(States().back().second, "DOWN");
  EXPECT_EQ(States(0, 1).back().second, "INIT") << "another host's go on";
  Request(5ms, 1, 502);  // The first cage of the next life has the number of the one that died.
  EXPECT_EQ(film_.deaths()[0].failed, 0u);
}

TEST_F(CageFilmTest, ASlotThatChangesTooOftenIsToldInStepsAndNoDeathIsLostInThem) {
  Begin();
  for (int i = 0; i < 200; ++i) {
    const Duration at = 10ms + i * 50ms;
    Crashed(at, uint64_t(i) + 1), Spawned(at + 800us, uint64_t(i) + 2), Served(at + 1ms, uint64_t(i) + 2, "panic");
  }
  Begin(1, 999);
  const Json j = CagesJson(film_, {"web"}, Instant{} + 20s);
  const Json &often = j.Find("lanes")->items[0], &seldom = j.Find("lanes")->items[1];
  ASSERT_NE(often.Find("step_ms"), nullptr);
  EXPECT_EQ(often.Find("step_ms")->text, "50");
  EXPECT_LE(often.Find("changes")->items.size(), kLaneSteps);
  // Each step of the first ten seconds has a death; after them there are none.
  const auto& changes = often.Find("changes")->items;
  EXPECT_EQ(changes[0].items[1].text, "CRASH");
  EXPECT_EQ(changes[1].items[0].text, "10000");
  EXPECT_EQ(changes[1].items[1].text, "RUN");
  EXPECT_EQ(changes.size(), 2u);
  EXPECT_EQ(seldom.Find("step_ms"), nullptr);
  EXPECT_EQ(seldom.Find("changes")->items.size(), 2u);
}

TEST_F(CageFilmTest, WhatIsWrittenIsBoundedAndSaysOfHowMany) {
  for (uint64_t slot = 0; slot < 300; ++slot) Begin(slot, slot + 1);
  for (uint64_t i = 0; i < 1200; ++i) {
    const Duration at = 1s + int64_t(i) * 1ms;
    Crashed(at, 1000 + i, "memory"), Spawned(at + 500us, 1001 + i), Served(at + 700us, 1001 + i, "memory", 0, i == 700 ? 5000 : 0);
  }
  const Json j = CagesJson(film_, {"web"}, Instant{} + 20s);
  EXPECT_EQ(j.Find("deaths")->items.size(), kCageDeathsWritten);
  EXPECT_EQ(j.Find("deaths_all")->text, "1200");
  EXPECT_EQ(j.Find("deaths")->items[0].Find("backoff_ms")->text, "5") << "the longest first";
  EXPECT_THAT(j.Find("lanes")->items, IsEmpty()) << "half a site would mislead";
  EXPECT_EQ(j.Find("lanes_all")->text, "300");
  EXPECT_EQ(j.Find("sites")->items[0].Find("slots")->text, "300");
  const Json& cause = j.Find("causes")->items[0];
  EXPECT_EQ(cause.Find("healed")->text, "1200");
  EXPECT_EQ(cause.Find("heal_p50_ms")->text, "1");
  EXPECT_EQ(cause.Find("heal_max_ms")->text, "6");
  EXPECT_LT(j.Dump().size(), 400'000u);
}

TEST_F(CageFilmTest, WithoutCagesThereIsNothing) {
  Request(1ms, 0, 404);
  EXPECT_EQ(Written(1s), "null");
}

}  // namespace
}  // namespace orchard::sim
