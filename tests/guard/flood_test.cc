#include "node/guard/flood.h"

#include <gtest/gtest.h>

#include <chrono>

namespace orchard::guard {
namespace {

using namespace std::chrono_literals;

Client At(uint32_t n) { return Client::Of(Endpoint::V4(n, 1)); }

TEST(FloodTest, ABurstPassesThenTheRate) {
  Flood flood(100);
  int passed = 0;
  for (int i = 0; i < 500; ++i) passed += !flood.Ask(Instant{}, At(1)).over;
  EXPECT_EQ(passed, 200);
  passed = 0;
  for (int ms = 1; ms <= 10'000; ++ms) passed += !flood.Ask(Instant{} + ms * 1ms, At(1)).over;
  EXPECT_EQ(passed, 1000);
  EXPECT_FALSE(flood.Ask(Instant{} + 10s, At(2)).over);  // Another is none the worse.
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(flood.Ask(Instant{} + 20s + i * 10ms, At(1)).over);  // At the rate, for ever.
}

TEST(FloodTest, ItIsToldOnceASecond) {
  Flood flood(1);
  flood.Ask(Instant{}, At(1)), flood.Ask(Instant{}, At(1));
  int told = 0;
  for (int ms = 0; ms < 900; ++ms) {
    const Flood::Answer a = flood.Ask(Instant{} + ms * 1ms, At(1));
    EXPECT_TRUE(a.over);
    told += a.tell;
  }
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(flood.Ask(Instant{} + 1s, At(1)).over);  // After a second there is room for one.
  EXPECT_TRUE(flood.Ask(Instant{} + 1s, At(1)).tell);
}

TEST(FloodTest, AddressesAreClientsNotPorts) {
  EXPECT_EQ(Client::Of(Endpoint::V4(7, 1)), Client::Of(Endpoint::V4(7, 2)));
  EXPECT_EQ(Client::Of(*Endpoint::Parse("[2001:db8::1]:1")), Client::Of(*Endpoint::Parse("[2001:db8::ffff:1]:2")));
  EXPECT_FALSE(Client::Of(*Endpoint::Parse("[2001:db8::1]:1")) == Client::Of(*Endpoint::Parse("[2001:db8:0:1::1]:1")));
}

TEST(FloodTest, ManyAddressesAreForgottenTheOldestFirst) {
  Flood flood(1);
  for (int i = 0; i < 3; ++i) flood.Ask(Instant{}, At(1));
  for (uint32_t n = 2; n < 100'000; ++n) {
    flood.Ask(Instant{}, At(n));
    if (n % 1000 == 0) {
      EXPECT_TRUE(flood.Ask(Instant{}, At(1)).over);  // It has asked lately.
    }
  }
  EXPECT_EQ(flood.remembered(), Flood::kClientsMax);
  EXPECT_FALSE(flood.Ask(Instant{}, At(2)).over);
}

TEST(FloodTest, RateZeroIsNone) {
  Flood flood(0);
  for (int i = 0; i < 10'000; ++i) EXPECT_FALSE(flood.Ask(Instant{}, At(1)).over);
  EXPECT_EQ(flood.remembered(), 0u);
}

}  // namespace
}  // namespace orchard::guard
