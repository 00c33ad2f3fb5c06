// How streams begin and end in the simulated world, on good links and bad ones: what ns-3's TCP needed mending for.

#include <gtest/gtest.h>
#include <malloc.h>

#include "tests/sim/stream_world.h"

namespace orchard::sim {
namespace {

// As sim/world/tcp_end.h has it: what a reader that reads nothing is sent.
constexpr uint64_t kBufferFirst = 1 << 20;

TEST(TcpEndTest, RefusesWithinARoundTripWhereNobodyListens) {
  // With a stack (the host listens elsewhere), without one, and after the process has stopped.
  for (int kind = 0; kind < 3; ++kind) {
    StreamWorld w(Pair(100'000'000, 10ms));
    w.sides["server"].listen = kind != 1;
    w.StartAll();
    w.Run(1ms);
    if (kind == 2) w.world->Stop(w.Index("server"));
    w.Connect("client", kind == 0 ? w.at("server").with_port(81) : w.at("server"));
    w.Run(21ms);
    EXPECT_TRUE(w.stream("client").closed) << kind;
    EXPECT_EQ(w.stream("client").status, absl::StatusCode::kUnavailable);
  }
}

TEST(TcpEndTest, AHalfThatIsClosedLeavesTheOtherOpen) {
  for (uint32_t loss : {0u, 20'000u}) {
    WorldPlan plan = Pair(10'000'000, 10ms);
    plan.hosts[1].uplinks[0].link.loss_ppm = loss;
    StreamWorld w(std::move(plan));
    w.sides["server"].end_after = false;
    w.StartAll();
    w.Run(1ms);
    for (uint32_t s = 1; s <= 20; ++s) {
      w.Connect("client", w.at("server"), s, 3000);  // Asks, and ends its half.
      ASSERT_TRUE(w.Until([&] { return w.sides["server"].accepted(s).ended; }, 60s));
      EXPECT_EQ(w.sides["server"].accepted(s).got, 3000u);
      EXPECT_FALSE(w.stream("client", s).ended);
      w.Do("server", "write", absl::StrCat(kAccepted | s, " 200000"));
      w.Do("server", "end", absl::StrCat(kAccepted | s));
      ASSERT_TRUE(w.Until([&] { return w.stream("client", s).closed; }, 60s)) << s;
      EXPECT_EQ(w.stream("client", s).got, 200'000u);
      EXPECT_EQ(w.stream("client", s).status, absl::StatusCode::kOk);
      EXPECT_FALSE(w.stream("client", s).broken);
      EXPECT_EQ(w.sides["server"].accepted(s).status, absl::StatusCode::kOk);
    }
  }
}

TEST(TcpEndTest, EveryStreamEndsWholeOnABadLink) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    WorldPlan plan = Pair(10'000'000, 10ms);
    plan.seed = seed;
    StreamWorld w(std::move(plan));
    World::LinkChange bad;
    bad.loss_ppm = 100'000, bad.reorder_ppm = 50'000, bad.duplicate_ppm = 50'000, bad.corrupt_ppm = 10'000;
    w.world->PushLinkChange("client", bad);
    w.StartAll();
    w.Run(1ms);
    const uint64_t sizes[] = {0, 1, 1448, 1449, 5000, 40'000};
    uint32_t s = 0;
    for (uint64_t up : sizes) {
      for (uint64_t down : sizes) {
        w.sides["server"].serve = down;
        w.Connect("client", w.at("server"), ++s, up);
        w.Run(200ms);
      }
    }
    auto all = [](const StreamSide& side, auto p) {
      return std::all_of(side.streams.begin(), side.streams.end(), [&](const auto& v) { return p(v.second); });
    };
    for (const char* id : {"client", "server"}) {
      EXPECT_TRUE(w.Until([&] { return all(w.sides[id], [](const StreamView& v) { return v.closed; }); }, 200s)) << id << seed;
      EXPECT_TRUE(all(w.sides[id], [](const StreamView& v) { return v.status == absl::StatusCode::kOk && v.ended && !v.broken; })) << id << seed;
    }
    for (const auto& [id, c] : w.sides["client"].streams) {
      const auto& theirs = w.sides["server"].streams;
      auto it = std::find_if(theirs.begin(), theirs.end(), [&c = c](const auto& v) { return v.second.peer == c.local; });
      ASSERT_NE(it, theirs.end()) << id;
      EXPECT_EQ(c.got, it->second.written);
      EXPECT_EQ(it->second.got, c.written);
    }
  }
}

TEST(TcpEndTest, AHalfStaysClosedThoughItsAcknowledgmentIsLost) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 10, true);
  w.Run(1s);
  const uint64_t ticket = w.world->PartitionOneWay({0}, {1});
  w.Do("client", "end", "1");
  w.Run(100ms);
  w.world->Heal(ticket);
  w.Run(2000s);
  EXPECT_TRUE(w.sides["server"].accepted().ended);
  w.Do("server", "write", absl::StrCat(kAccepted | 1, " 100"));
  w.Run(1s);
  EXPECT_EQ(w.stream("client").got, 100u);
}

TEST(TcpEndTest, AFinAcknowledgesDataToo) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 10, true);
  w.Run(100ms);
  w.Do("client", "write", "1 10");
  w.Run(11ms);  // It is there, and its ACK is put off.
  w.Do("server", "end", absl::StrCat(kAccepted | 1));
  w.Run(3s);
  EXPECT_TRUE(w.stream("client").ended);
  EXPECT_EQ(w.world->packets_sent(1), 5u);  // SYN, its ACK, two of data, the FIN's ACK; none twice.
}

TEST(TcpEndTest, AReaderThatStopsAndGoesOnABadLinkGetsItAll) {
  WorldPlan plan = Pair(50'000'000, 5ms);
  StreamWorld w(std::move(plan));
  World::LinkChange bad;
  bad.loss_ppm = 30'000;
  w.world->PushLinkChange("client", bad);
  w.sides["client"].accept = 0;
  w.sides["server"].serve = 6 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"));
  for (int i = 0; i < 10; ++i) {
    w.Run(8s);  // Until the window is shut.
    w.Do("client", "accept", "1 600000");
  }
  EXPECT_TRUE(w.Until([&] { return w.stream("client").ended; }, 120s));
  EXPECT_EQ(w.stream("client").got, 6 * kMega);
  EXPECT_FALSE(w.stream("client").broken);
}

TEST(TcpEndTest, AServerMaySpeakFirstThoughHandshakesAreLost) {
  WorldPlan plan = Pair(10'000'000, 10ms);
  plan.hosts[1].uplinks[0].link.loss_ppm = 150'000;
  StreamWorld w(std::move(plan));
  w.sides["server"].serve = 100, w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  for (uint32_t s = 1; s <= 150; ++s) w.Connect("client", w.at("server"), s, 0, true);
  // With 15 % of packets lost, a hundred and fifty of them need some retries, but none of them a dozen.
  EXPECT_TRUE(w.Until([&] {
    const auto& all = w.sides["client"].streams;
    return std::all_of(all.begin(), all.end(), [](const auto& v) { return v.second.got == 100; });
  }, 29s));
}

TEST(TcpEndTest, AGoodbyeToAHostThatIsGoneIsSaidAFewTimes) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 10, true);
  w.Run(1s);
  w.world->Kill(w.Index("server"));
  w.Do("client", "end", "1");
  const uint64_t sent = w.world->packets_sent(1);
  w.Run(2000s);
  EXPECT_EQ(w.stream("client").status, absl::StatusCode::kDeadlineExceeded);
  EXPECT_GT(w.world->packets_sent(1) - sent, 10u);
  EXPECT_LT(w.world->packets_sent(1) - sent, 20u);
}

TEST(TcpEndTest, AKilledHostVanishesAndAStoppedOneSaysSo) {
  for (bool stop : {false, true}) {
    StreamWorld w(Pair(100'000'000, 10ms));
    w.StartAll();
    w.sides["server"].end_after = false;
    w.Run(1ms);
    w.Connect("client", w.at("server"), 1, 10, true);
    w.Run(1s);
    ASSERT_TRUE(w.stream("client").open);
    if (stop) w.world->Stop(w.Index("server"));
    else w.world->Kill(w.Index("server"));
    w.Run(100ms);
    EXPECT_EQ(w.stream("client").closed, stop);
    if (stop) {
      EXPECT_EQ(w.stream("client").status, absl::StatusCode::kAborted);
      continue;
    }
    // It writes into the dark, until another life at that address knows nothing of it.
    w.Do("client", "write", "1 100");
    w.Run(10s);
    EXPECT_FALSE(w.stream("client").closed);
    w.world->StartHost(w.Index("server"));
    EXPECT_TRUE(w.Until([&] { return w.stream("client").closed; }, 30s));
    EXPECT_EQ(w.stream("client").status, absl::StatusCode::kAborted);
  }
}

// ns-3 leaves an event behind each segment that does not keep its socket. It is not compiled with sanitizers, so what is freed is
// filled here: with what was there before, the event would find all as it was.
TEST(TcpEndTest, AStreamMayEndInTheInstantInWhichItSent) {
  mallopt(M_PERTURB, 0x55);
  for (bool dies : {false, true}) {
    StreamWorld w(Pair(100'000'000, 10ms));
    w.StartAll();
    w.sides["server"].end_after = false;
    w.Run(1ms);
    w.Connect("client", w.at("server"), 1, 10, true);
    w.Run(1s);
    ASSERT_TRUE(w.stream("client").open);
    const std::string s = std::to_string(kAccepted | 1);
    w.Do("server", "write", s + " 10000");
    if (dies) w.world->Kill(w.Index("server"));
    else w.Do("server", "close", s);
    w.Run(1s);
    EXPECT_EQ(w.stream("client").closed, !dies);
  }
  mallopt(M_PERTURB, 0);
}

TEST(TcpEndTest, GivesUpAQuarterOfAnHourAfterThePeerHasVanished) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["server"].end_after = false;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"), 1, 10, true);
  w.Run(1s);
  w.world->Kill(w.Index("server"));
  w.Do("client", "write", "1 100");
  w.Run(400s);
  EXPECT_FALSE(w.stream("client").closed);
  w.Run(800s);
  EXPECT_EQ(w.stream("client").status, absl::StatusCode::kDeadlineExceeded);
}

TEST(TcpEndTest, AReaderThatReadsNothingHoldsTheWriterAndThenLetsItGo) {
  StreamWorld w(Pair(100'000'000, 10ms));
  w.sides["client"].accept = 0;
  w.sides["server"].serve = 20 * kMega;
  w.StartAll();
  w.Run(1ms);
  w.Connect("client", w.at("server"));
  w.Run(30s);
  const uint64_t held = w.sides["server"].accepted().written;
  EXPECT_GT(held, kBufferFirst);
  EXPECT_LT(held, 4 * kBufferFirst);
  const uint64_t events = w.world->totals().events;
  w.Run(100s);
  EXPECT_EQ(w.sides["server"].accepted().written, held);
  EXPECT_LT(w.world->totals().events - events, 200u);  // A probe now and then.
  EXPECT_EQ(w.stream("client").got, 0u);
  w.Do("client", "accept", "1 1000");
  w.Run(1s);
  EXPECT_EQ(w.stream("client").got, 1000u);
  w.sides["client"].accept = 1u << 30;
  w.Do("client", "accept", absl::StrCat("1 ", 1u << 30));
  EXPECT_TRUE(w.Until([&] { return w.stream("client").got == 20 * kMega; }, 5s));
  EXPECT_FALSE(w.stream("client").broken);
}

}  // namespace
}  // namespace orchard::sim
