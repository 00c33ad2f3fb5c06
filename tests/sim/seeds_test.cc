#include "sim/sweep/seeds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace orchard::sim {
namespace {

TEST(SeedsTest, ARangeHasItsFirstAndLast) {
  EXPECT_EQ(ParseSeeds("1..200"), (SeedRange{1, 200}));
  EXPECT_EQ(ParseSeeds("17"), (SeedRange{17, 17}));
  EXPECT_EQ(ParseSeeds("0..0"), (SeedRange{0, 0}));
  EXPECT_EQ((SeedRange{5, 9}.count()), 5u);
  EXPECT_EQ((SeedRange{5, 9}.text()), "5..9");
  EXPECT_EQ((SeedRange{5, 5}.text()), "5");
  EXPECT_EQ(ParseSeeds("1..1000000")->count(), kSeedsMax);
}

TEST(SeedsTest, WhatIsNoRangeIsRefused) {
  for (const char* text : {"", "..", "1..", "..5", "5..1", "-1..5", "1..x", "1...5", "1.5", " 1..2", "1..1000001", "1..99999999999999999999", "9007199254740993"}) {
    EXPECT_EQ(ParseSeeds(text), std::nullopt) << text;
  }
}

TEST(SeedsTest, AShareIsARankOfSoMany) {
  const std::optional<Rank> second = ParseShare("1/3");
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->takes(0));
  EXPECT_TRUE(second->takes(1));
  EXPECT_TRUE(second->takes(4));
  for (const char* text : {"", "1", "3/3", "a/3", "1/0", "1/"}) EXPECT_FALSE(ParseShare(text)) << text;
}

class RankTest : public testing::Test {
 protected:
  std::optional<Rank> In(std::map<std::string, std::string> variables) {
    error_.clear();
    return RankOf([&](const char* name) { auto it = variables.find(name); return it == variables.end() ? nullptr : it->second.c_str(); }, error_);
  }
  static std::pair<uint64_t, uint64_t> Of(const std::optional<Rank>& r) { return r ? std::pair(r->rank, r->size) : std::pair<uint64_t, uint64_t>(99, 0); }
  std::string error_;
};

TEST_F(RankTest, ComesFromWhoeverLaunched) {
  EXPECT_EQ(Of(In({})), std::pair(0ul, 1ul));
  EXPECT_EQ(Of(In({{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "8"}})), std::pair(3ul, 8ul));
  EXPECT_EQ(Of(In({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}})), std::pair(0ul, 2ul));
  EXPECT_EQ(Of(In({{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}})), std::pair(1ul, 4ul));
  // Under mpirun in a Slurm job, srun's variables are of mpirun's own daemons.
  EXPECT_EQ(Of(In({{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "8"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}})), std::pair(3ul, 8ul));
}

TEST_F(RankTest, ATaskOfASlurmArrayHasItsOwnRanks) {
  EXPECT_EQ(Of(In({{"SLURM_ARRAY_TASK_ID", "5"}, {"SLURM_ARRAY_TASK_MIN", "1"}, {"SLURM_ARRAY_TASK_COUNT", "10"}})), std::pair(4ul, 10ul));
  EXPECT_EQ(Of(In({{"SLURM_ARRAY_TASK_ID", "7"}, {"SLURM_ARRAY_TASK_MIN", "1"}, {"SLURM_ARRAY_TASK_STEP", "2"}, {"SLURM_ARRAY_TASK_COUNT", "4"}})), std::pair(3ul, 4ul));
  const std::optional<Rank> both = In({{"SLURM_ARRAY_TASK_ID", "2"}, {"SLURM_ARRAY_TASK_MIN", "0"}, {"SLURM_ARRAY_TASK_COUNT", "3"}, {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}});
  EXPECT_EQ(Of(both), std::pair(9ul, 12ul));
}

TEST_F(RankTest, NonsenseIsRefusedByItsName) {
  EXPECT_FALSE(In({{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}}));
  EXPECT_THAT(error_, testing::HasSubstr("PMI_RANK"));
  EXPECT_FALSE(In({{"OMPI_COMM_WORLD_RANK", "x"}, {"OMPI_COMM_WORLD_SIZE", "2"}}));
  EXPECT_THAT(error_, testing::HasSubstr("OMPI_COMM_WORLD_RANK"));
  EXPECT_FALSE(In({{"SLURM_ARRAY_TASK_ID", "17"}, {"SLURM_ARRAY_TASK_MIN", "1"}, {"SLURM_ARRAY_TASK_COUNT", "3"}}));
  EXPECT_THAT(error_, testing::HasSubstr("SLURM_ARRAY_TASK"));
}

// Every run is of exactly one rank, however many there are.
TEST_F(RankTest, RanksShareOutEveryRunOnce) {
  for (uint64_t size : {1, 2, 3, 7}) {
    for (size_t run = 0; run < 50; ++run) {
      int takers = 0;
      for (uint64_t rank = 0; rank < size; ++rank) takers += Rank{rank, size, ""}.takes(run);
      EXPECT_EQ(takers, 1);
    }
  }
}

}  // namespace
}  // namespace orchard::sim
