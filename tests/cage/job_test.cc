#include "node/cage/job.h"

#include <gtest/gtest.h>

namespace orchard::cage {
namespace {

RunArgs Asked() {
  RunArgs x;
  x.cage = 7, x.unix_us = 1'700'000'000'000'000, x.seed[31] = 9;
  x.request = {"GET", "/a?b=c", "shop.example", "https", "10.0.0.1:4711", {{"accept", "*/*"}, {"x-empty", ""}}, std::string("\0body", 5)};
  return x;
}

TEST(CageJobTest, WhatIsWrittenIsRead) {
  const RunArgs run = *Decode<RunArgs>(AsBytes(Encode(Asked())));
  EXPECT_EQ(run.cage, 7u);
  EXPECT_EQ(run.unix_us, 1'700'000'000'000'000u);
  EXPECT_EQ(run.seed[31], 9);
  EXPECT_EQ(run.request.target, "/a?b=c");
  EXPECT_EQ(run.request.remote, "10.0.0.1:4711");
  EXPECT_EQ(run.request.headers, Asked().request.headers);
  EXPECT_EQ(run.request.body, Asked().request.body);
  RunResult result{Cause::kMemory, "grew", 5, 65536, "Status: 200\n\n", "log"};
  const RunResult back = *Decode<RunResult>(AsBytes(Encode(result)));
  EXPECT_EQ(back.cause, Cause::kMemory);
  EXPECT_EQ(back.fuel, 5u);
  EXPECT_EQ(back.answer, "Status: 200\n\n");
  const LoadArgs load = *Decode<LoadArgs>(AsBytes(Encode(LoadArgs{"example:hello.wasm", "", {64 << 20, 500}})));
  EXPECT_EQ(load.name, "example:hello.wasm");
  EXPECT_EQ(load.limits.timeout_ms, 500u);
  EXPECT_EQ(Decode<LoadResult>(AsBytes(Encode(LoadResult{Key32{3}, Abi::kExtism, 10, 20})))->abi, Abi::kExtism);
  EXPECT_EQ(Decode<SpawnArgs>(AsBytes(Encode(SpawnArgs{9, Key32{1}, {}})))->limits.memory_bytes, 128u << 20);
  EXPECT_EQ(Decode<Death>(AsBytes(Encode(Death{Cause::kPanic, "unreachable"})))->detail, "unreachable");
  EXPECT_EQ(Decode<WatchArgs>(AsBytes(Encode(WatchArgs{4})))->cage, 4u);
  EXPECT_EQ(Decode<StopArgs>(AsBytes(Encode(StopArgs{4})))->cage, 4u);
}

TEST(CageJobTest, WhatIsCutOrTooLongIsRefused) {
  const std::string whole = Encode(Asked());
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(Decode<RunArgs>(AsBytes(whole).first(n)).ok()) << n;
  EXPECT_FALSE(Decode<RunArgs>(AsBytes(whole + "x")).ok());
}

TEST(CageJobTest, UnknownWordsAndNumbersThatDoNotFitAreRefused) {
  std::string death = Encode(Death{Cause::kEngine, ""});
  death[0] = 5;
  EXPECT_EQ(Decode<Death>(AsBytes(death)).status().code(), absl::StatusCode::kInvalidArgument);
  const uint8_t five_bytes[] = {255, 0, 0, 0, 0, 1, 0, 0, 0};
  EXPECT_FALSE(Decode<WatchArgs>(five_bytes).ok());
}

TEST(CageJobTest, ACountOfPairsIsNotBelievedBeforeTheyCame) {
  // 12 one-byte fields and a count of a million: nothing is reserved for it.
  std::string lie = Encode(RunArgs{});
  lie = lie.substr(0, lie.size() - 2) + std::string("\xfe\xff\xff\x0f\x00", 5);
  EXPECT_FALSE(Decode<RunArgs>(AsBytes(lie)).ok());
}

}  // namespace
}  // namespace orchard::cage
