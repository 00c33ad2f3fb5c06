// Cages in virtual time, by a runner that is a toy: what is told when.

#include "sim/run/cage_lab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace orchard::sim {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class CageLabTest : public testing::Test {
 protected:
  // Before each test both processes for cages are there.
  CageLabTest() {
    now_ -= 200ms;
    Spawn(80), Spawn(81);
    Until(0ms);
    Ask(1000, JobKind::kCageStop, cage::Encode(cage::StopArgs{80})), Ask(1001, JobKind::kCageStop, cage::Encode(cage::StopArgs{81}));
    Until(0ms);
    acts_.clear(), told_.clear();
  }
  // A millisecond of computing each.
  struct Toy final : cage::Runner {
    absl::StatusOr<cage::LoadResult> Load(const cage::LoadArgs& a) override {
      if (a.name == "none") return absl::NotFoundError("no such module");
      return cage::LoadResult{};
    }
    absl::Status Spawn(const cage::SpawnArgs&) override { return absl::OkStatus(); }
    cage::RunResult Run(const cage::RunArgs& a) override {
      if (a.request.target == "/trap") return {.cause = cage::Cause::kPanic, .detail = "unreachable", .fuel = cage::kFuelPerMs};
      return {.fuel = cage::kFuelPerMs, .answer = a.request.target};
    }
    void Stop(uint32_t) override {}
  };
  struct Told {
    Duration at;
    uint32_t life;
    JobId job;
    absl::StatusCode status;
    std::string bytes;
  };
  void Until(Duration end) {
    while (!acts_.empty() && acts_.begin()->first <= Instant{} + end) {
      auto [at, act] = *acts_.begin();
      acts_.erase(acts_.begin());
      now_ = at;
      act();
    }
    now_ = Instant{} + end;
  }
  void Ask(uint32_t job, JobKind kind, const std::string& args, uint32_t life = 1) { lab_.Run(0, life, JobId{job}, kind, AsBytes(args)); }
  void Spawn(uint32_t cage, uint32_t life = 1) { Ask(900 + cage, JobKind::kCageSpawn, cage::Encode(cage::SpawnArgs{cage, {}, {.timeout_ms = 50}}), life); }
  void Run(uint32_t job, uint32_t cage, std::string target = "/", uint32_t life = 1) {
    cage::RunArgs args{.cage = cage};
    args.request.target = std::move(target);
    Ask(job, JobKind::kCageRun, cage::Encode(args), life);
  }
  const Told* Of(uint32_t job) const {
    for (const Told& t : told_) {
      if (t.job == JobId{job}) return &t;
    }
    return nullptr;
  }
  cage::RunResult Result(uint32_t job) const { return *cage::Decode<cage::RunResult>(AsBytes(Of(job)->bytes)); }
  std::vector<uint32_t> Order() const {
    std::vector<uint32_t> out;
    for (const Told& t : told_) out.push_back(uint32_t(t.job));
    return out;
  }

  Instant now_{};
  std::multimap<Instant, std::function<void()>> acts_;
  std::vector<Told> told_;
  CageLab lab_{[] { return std::make_unique<Toy>(); }, [this] { return now_; }, [this](Instant at, std::function<void()> act) { acts_.emplace(at, std::move(act)); },
               [this](HostIndex, uint32_t life, JobId job, absl::StatusCode status, Bytes bytes) { told_.push_back({now_ - Instant{}, life, job, status, std::string(AsText(bytes))}); }};
};

TEST_F(CageLabTest, ARunTakesAsLongAsItsFuelAndTheNextOneWaits) {
  Spawn(1);
  Until(1ms);
  Run(1, 1, "/a"), Run(2, 1, "/b");
  Until(10ms);
  EXPECT_EQ(Of(1)->at, 2ms + CageLab::kHop);
  EXPECT_EQ(Of(2)->at, 3ms + 2 * CageLab::kHop);
  EXPECT_EQ(Result(2).answer, "/b");
}

TEST_F(CageLabTest, CagesComputeBesideEachOther) {
  Spawn(1), Spawn(2);
  Until(1ms);
  Run(1, 1), Run(2, 2);
  Until(10ms);
  EXPECT_EQ(Of(1)->at, Of(2)->at);
}

TEST_F(CageLabTest, TheRunThatKilledComesFirstThenWhatNeverBeganThenTheWatch) {
  Spawn(1);
  Until(1ms);
  Ask(3, JobKind::kCageWatch, cage::Encode(cage::WatchArgs{1}));
  Run(1, 1, "/trap"), Run(2, 1);
  Until(10ms);
  EXPECT_THAT(Order(), ElementsAre(901, 1, 2, 3));
  EXPECT_EQ(Result(1).cause, cage::Cause::kPanic);
  EXPECT_EQ(Of(2)->status, absl::StatusCode::kAborted);
  EXPECT_EQ(cage::Decode<cage::Death>(AsBytes(Of(3)->bytes))->cause, cage::Cause::kPanic);
  Run(4, 1);
  Until(20ms);
  EXPECT_EQ(Of(4)->status, absl::StatusCode::kNotFound);
}

TEST_F(CageLabTest, ACrashCutsWhatIsUnderWayAndIsKnownAMomentLater) {
  Spawn(1);
  Until(1ms);
  Ask(3, JobKind::kCageWatch, cage::Encode(cage::WatchArgs{1}));
  Run(1, 1);
  Until(1500us);
  EXPECT_TRUE(lab_.Crash(0, 1, cage::Cause::kMemory));
  EXPECT_FALSE(lab_.Crash(0, 1, cage::Cause::kMemory));
  Until(10ms);
  EXPECT_EQ(Of(1)->at, 1500us + CageLab::kNotice);
  EXPECT_EQ(Result(1).cause, cage::Cause::kMemory);
  EXPECT_EQ(Of(3)->at, Of(1)->at);
}

TEST_F(CageLabTest, AHangIsCutATimeOutAfterItsRunBegan) {
  Spawn(1), Spawn(2);
  Until(1ms);
  Run(1, 1);
  EXPECT_TRUE(lab_.Hang(0, 1));
  EXPECT_TRUE(lab_.Hang(0, 2));
  Until(20ms);
  Run(2, 2);
  Until(100ms);
  EXPECT_EQ(Of(1)->at, 51ms + CageLab::kHop);
  EXPECT_EQ(Of(2)->at, 70ms + CageLab::kHop);
  EXPECT_EQ(Result(2).cause, cage::Cause::kTimeout);
}

TEST_F(CageLabTest, ASlowRunIsLongerAndCutByItsTimeOut) {
  Spawn(1), Spawn(2);
  Until(1ms);
  EXPECT_TRUE(lab_.Slow(0, 1, 20ms));
  EXPECT_TRUE(lab_.Slow(0, 2, 60ms));
  EXPECT_FALSE(lab_.Slow(0, 3, 1ms));
  Run(1, 1), Run(2, 2);
  Until(200ms);
  EXPECT_GE(Of(1)->at, 21ms + CageLab::kHop);
  EXPECT_LT(Of(1)->at, 25ms);
  EXPECT_EQ(Result(1).cause, cage::Cause::kNone);
  EXPECT_EQ(Of(2)->at, 51ms + CageLab::kHop);
  EXPECT_EQ(Result(2).cause, cage::Cause::kTimeout);
  EXPECT_TRUE(lab_.Slow(0, 1, 0ms));
  Run(3, 1);
  Until(202ms);
  EXPECT_LT(Of(3)->at, 202ms);
}

TEST_F(CageLabTest, AnotherLifeHasOtherProcesses) {
  Spawn(1);
  Until(1ms);
  Run(1, 1);
  Spawn(5, 2);
  Until(2ms);
  Run(2, 1, "/", 2), Run(3, 1, "/", 1);
  Until(10ms);
  EXPECT_EQ(Of(1), nullptr);
  EXPECT_EQ(Of(2)->status, absl::StatusCode::kNotFound);
  EXPECT_EQ(Of(3), nullptr);
}

TEST_F(CageLabTest, WhatIsWrongWithAModuleIsTold) {
  Ask(1, JobKind::kCageLoad, cage::Encode(cage::LoadArgs{.name = "none"}));
  Ask(2, JobKind::kCageSpawn, "nonsense");
  Until(100ms);
  EXPECT_EQ(Of(1)->bytes, "no such module");
  EXPECT_EQ(Of(2)->status, absl::StatusCode::kInvalidArgument);
}

TEST_F(CageLabTest, AProcessDiesWithAllItsCagesAndTheNextOneWaitsForAnother) {
  Spawn(1), Spawn(2), Spawn(3);  // By turns: the first and the third live together.
  Until(2ms);
  told_.clear();
  for (uint32_t cage : {1, 2, 3}) Ask(10 + cage, JobKind::kCageWatch, cage::Encode(cage::WatchArgs{cage}));
  Run(1, 1), Run(4, 1), Run(2, 2), Run(3, 3);
  Until(2500us);
  EXPECT_TRUE(lab_.KillProcess(0, 0));
  EXPECT_FALSE(lab_.KillProcess(0, 0)) << "it is dead";
  EXPECT_FALSE(lab_.KillProcess(0, 2));
  Spawn(5), Spawn(6), Spawn(7);  // Two where it is less crowded, which wait together, and one beside the second.
  Until(10ms);
  EXPECT_EQ(Result(1).cause, cage::Cause::kEngine);
  EXPECT_EQ(Result(3).cause, cage::Cause::kEngine);
  EXPECT_EQ(Of(4)->status, absl::StatusCode::kAborted) << "it had not begun";
  EXPECT_EQ(Result(2).cause, cage::Cause::kNone);
  EXPECT_EQ(cage::Decode<cage::Death>(AsBytes(Of(13)->bytes))->cause, cage::Cause::kEngine);
  EXPECT_EQ(Of(12), nullptr);
  Until(100ms);
  EXPECT_EQ(Of(905)->at, 2500us + CageLab::kProcess + CageLab::kSpawn);
  EXPECT_EQ(Of(906)->at, Of(905)->at);
  EXPECT_EQ(Of(907)->at, 2500us + CageLab::kSpawn);
}

TEST_F(CageLabTest, AnotherLifeStartsItsProcesses) {
  Spawn(1), Spawn(2, 2);
  Until(100ms);
  EXPECT_EQ(Of(901)->at, CageLab::kSpawn);
  EXPECT_EQ(Of(902)->at, CageLab::kProcess + CageLab::kSpawn);
}

}  // namespace
}  // namespace orchard::sim
