// Two and more hosts over a virtual wire: that what is written arrives, how fast, and how fairly.

#include <gtest/gtest.h>

#include "tests/udx/virtual_wire.h"

namespace orchard::udx {
namespace {

constexpr uint64_t kMbit = 125'000;  // Bytes per second.

// Of an IP packet of 1500 bytes, what is payload.
constexpr uint64_t Goodput(uint64_t rate) { return rate * 1452 / 1500; }

// A bottleneck there and a free way back.
struct Line {
  explicit Line(const PipeSpec& spec, uint64_t seed = 1, const StreamsConfig& receiver = {}) : net(seed) {
    a = net.AddHost(), b = net.AddHost(receiver);
    there = net.AddPipe(spec), back = net.AddPipe({.delay = spec.delay});
    net.Route(a, b, {there}), net.Route(b, a, {back});
  }
  // Bytes per second that arrived between two times after the start; 0 of no time at all.
  uint64_t Rate(Half* receiver, Duration from, Duration to) {
    net.RunFor(from);
    if (to == from) return 0;
    const uint64_t before = receiver->received;
    net.RunFor(to - from);
    return (receiver->received - before) * 1'000'000'000 / uint64_t((to - from).count());
  }
  Net net;
  size_t a, b, there, back;
};

struct Trouble {
  const char* name;
  uint32_t loss, reorder, duplicate;
};

class TroubleTest : public testing::TestWithParam<Trouble> {};

TEST_P(TroubleTest, BothDirectionsArriveWholeAndCloseInOrder) {
  const Trouble t = GetParam();
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    Net net(seed);
    const size_t a = net.AddHost(), b = net.AddHost({.deployed = seed % 2 == 0});
    net.Join(a, b, {.delay = 15ms, .rate = 40 * kMbit, .queue = 200'000, .loss = t.loss, .reorder = t.reorder, .duplicate = t.duplicate});
    auto [x, y] = net.Connect(a, b);
    y->write_size = 700;  // Packets that are not full.
    net.Send(x, 1'500'000, /*end=*/true), net.Send(y, 300'000, /*end=*/true);
    EXPECT_TRUE(net.RunUntil(net.now + 120s, [x = x, y = y] { return x->closed && y->closed; })) << "seed " << seed;
    EXPECT_EQ(y->received, 1'500'000u);
    EXPECT_EQ(x->received, 300'000u);
    EXPECT_FALSE(x->corrupt || y->corrupt);
    EXPECT_TRUE(x->ended && y->ended);
    EXPECT_EQ(y->closed, CloseReason::kEnded);
    // The deployed code does not repeat its last acknowledgement: if that is lost, the other side times out.
    EXPECT_TRUE(x->closed == CloseReason::kEnded || (seed % 2 == 0 && t.loss > 0 && x->closed == CloseReason::kTimedOut));
    EXPECT_EQ(net.streams(a).size() + net.streams(b).size(), 0u);
    net.RunFor(30s);
    EXPECT_EQ(net.streams(a).next_deadline(), kNever);
  }
}

INSTANTIATE_TEST_SUITE_P(Wires, TroubleTest, testing::Values(Trouble{"Clean", 0, 0, 0}, Trouble{"OnePercentLost", 100, 0, 0},
    Trouble{"TwentyPercentLost", 2000, 0, 0}, Trouble{"Reordered", 0, 2000, 0}, Trouble{"Doubled", 0, 0, 1000},
    Trouble{"AllOfIt", 300, 500, 300}), [](const auto& info) { return info.param.name; });

TEST(TransferTest, ACleanLinkIsFull) {
  for (uint64_t mbit : {1, 20, 100, 600}) {
    const uint64_t rate = mbit * kMbit;
    Line line({.delay = 15ms, .rate = rate, .queue = std::max<uint64_t>(rate * 30 / 1000, 20'000)});
    auto [x, y] = line.net.Connect(line.a, line.b);
    line.net.Send(x, uint64_t{1} << 40);
    const uint64_t got = line.Rate(y, 2s, 7s);
    EXPECT_GE(got, Goodput(rate) * 98 / 100) << mbit << " Mbit/s";
    EXPECT_LE(got, rate);
  }
}

TEST(TransferTest, OnePercentLossAtAHundredMillisecondsCostsLittle) {
  const uint64_t rate = 50 * kMbit;
  for (bool deployed_receiver : {false, true}) {
    Line line({.delay = 50ms, .rate = rate, .queue = rate / 10, .loss = 100}, 1, {.deployed = deployed_receiver});
    auto [x, y] = line.net.Connect(line.a, line.b);
    line.net.Send(x, uint64_t{1} << 40);
    line.net.RunFor(3s);
    const uint64_t again = line.net.streams(line.a).stats(x->id).retransmits, sent = line.net.pipe(line.there).sent;
    EXPECT_GE(line.Rate(y, 0s, 12s), rate * 88 / 100);
    EXPECT_FALSE(y->corrupt);
    EXPECT_LE((line.net.streams(line.a).stats(x->id).retransmits - again) * 1000, (line.net.pipe(line.there).sent - sent) * 12)
        << "one in a hundred is lost, and little else goes again";
  }
}

// Jain's index in thousandths: 1000 if all have the same.
// Jain's index in thousandths.
uint64_t Fairness(const std::vector<uint64_t>& got) {
  uint64_t sum = 0, squares = 0;
  for (uint64_t g : got) sum += g / 1000, squares += (g / 1000) * (g / 1000);
  return sum * sum * 1000 / (got.size() * squares);
}

TEST(TransferTest, FlowsThatJoinLaterGetTheirShare) {
  // Four flows on the narrow link have windows of a few packets.
  struct Case { uint64_t mbit, queue_tenths; size_t flows; };
  for (Case c : {Case{50, 3, 2}, Case{50, 10, 2}, Case{50, 30, 2}, Case{10, 10, 4}}) {
    const uint64_t rate = c.mbit * kMbit, bdp = rate * 40 / 1000;
    Line line({.delay = 20ms, .rate = rate, .queue = bdp * c.queue_tenths / 10});
    std::vector<Half*> receivers;
    for (size_t i = 0; i < c.flows; ++i) {
      auto [x, y] = line.net.Connect(line.a, line.b);
      line.net.Send(x, uint64_t{1} << 40);
      receivers.push_back(y);
      line.net.RunFor(2s);
    }
    line.net.RunFor(10s);
    std::vector<uint64_t> before, got;
    for (Half* y : receivers) before.push_back(y->received);
    line.net.RunFor(20s);
    uint64_t all = 0;
    for (size_t i = 0; i < receivers.size(); ++i) got.push_back(receivers[i]->received - before[i]), all += got.back();
    EXPECT_GE(Fairness(got), 900) << c.mbit << " Mbit/s, a queue of " << c.queue_tenths << "/10 BDP";
    EXPECT_GE(all, Goodput(rate) * 20 * 94 / 100);
  }
}

TEST(TransferTest, ASmallQueueIsEnough) {
  const uint64_t rate = 50 * kMbit;
  Line line({.delay = 20ms, .rate = rate, .queue = rate * 40 / 1000 / 5});
  auto [x, y] = line.net.Connect(line.a, line.b);
  line.net.Send(x, uint64_t{1} << 40);
  EXPECT_GE(line.Rate(y, 2s, 12s), Goodput(rate) * 95 / 100);
  EXPECT_LE(line.net.pipe(line.there).dropped * 100, line.net.pipe(line.there).sent * 3);
}

TEST(TransferTest, ALargeQueueStaysNearlyEmpty) {
  const uint64_t rate = 20 * kMbit;
  Line line({.delay = 20ms, .rate = rate, .queue = rate * 4});  // Four seconds of it.
  auto [x, y] = line.net.Connect(line.a, line.b);
  line.net.Send(x, uint64_t{1} << 40);
  line.Rate(y, 5s, 5s);
  Pipe& pipe = line.net.pipe(line.there);
  pipe.wait_sum = {}, pipe.sent = 0;
  EXPECT_GE(line.Rate(y, 0s, 20s), Goodput(rate) * 98 / 100);
  EXPECT_LE(pipe.wait_sum / int64_t(pipe.sent), 10ms);
  EXPECT_EQ(pipe.dropped, 0u);
}

TEST(TransferTest, ALongerPathIsLearned) {
  const uint64_t rate = 20 * kMbit;
  Line line({.delay = 10ms, .rate = rate, .queue = rate / 10});
  auto [x, y] = line.net.Connect(line.a, line.b);
  line.net.Send(x, uint64_t{1} << 40);
  EXPECT_GE(line.Rate(y, 1s, 3s), Goodput(rate) * 97 / 100);
  line.net.pipe(line.there).spec.delay = line.net.pipe(line.back).spec.delay = 60ms;
  EXPECT_GE(line.Rate(y, 15s, 25s), Goodput(rate) * 95 / 100);
  EXPECT_FALSE(y->corrupt);
}

TEST(TransferTest, AMinuteOfChatterDoesNotSlowWhatFollows) {
  const uint64_t rate = 50 * kMbit;
  Line line({.delay = 20ms, .rate = rate, .queue = rate / 20});
  auto [x, y] = line.net.Connect(line.a, line.b);
  line.net.Send(x, 10'000'000), line.net.RunFor(5s);
  for (int i = 0; i < 300; ++i) line.net.Send(x, 100), line.net.RunFor(200ms);
  EXPECT_EQ(y->received, 10'030'000u);
  const Instant from = line.net.now;
  line.net.Send(x, 5'000'000), line.net.RunFor(5s);
  EXPECT_EQ(y->received, 15'030'000u);
  EXPECT_LE(y->last_byte - from, 1100ms);  // 0.83 s at the full rate.
}

TEST(TransferTest, AnOutageOfTenSecondsIsSurvivedAndOneOfTwentyIsNot) {
  for (Duration outage : {10s, 20s}) {
    Line line({.delay = 10ms, .rate = 20 * kMbit, .queue = 100'000});
    auto [x, y] = line.net.Connect(line.a, line.b);
    line.net.Send(x, 20'000'000);
    line.net.RunFor(1s);
    line.net.pipe(line.there).down = line.net.pipe(line.back).down = true;
    line.net.RunFor(outage);
    line.net.pipe(line.there).down = line.net.pipe(line.back).down = false;
    line.net.RunFor(20s);
    if (outage == 10s) {
      EXPECT_FALSE(x->closed);
      EXPECT_EQ(y->received, 20'000'000u);
    } else {
      EXPECT_EQ(x->closed, CloseReason::kTimedOut);
    }
  }
}

TEST(TransferTest, ASlowReaderStopsTheWriterAndLosesNothing) {
  Line line({.delay = 10ms, .rate = 100 * kMbit, .queue = 1 << 20});
  auto [x, y] = line.net.Connect(line.a, line.b);
  y->consume = false;
  line.net.Send(x, 20'000'000);
  line.net.RunFor(10s);
  EXPECT_GE(y->received, (4u << 20) - 1500);
  EXPECT_LE(y->received, (4u << 20) + 1500);
  EXPECT_LE(line.net.streams(line.b).counters().over_window, 2u);
  const uint64_t asked = line.net.streams(line.a).stats(x->id).packets_sent;
  line.net.RunFor(20s);  // Only the questions about the window.
  EXPECT_LE(line.net.streams(line.a).stats(x->id).packets_sent, asked + 12);
  // It reads on, a piece each tenth of a second.
  const Instant resumed = line.net.now;
  while (y->received < 20'000'000 && line.net.now < resumed + 10s) {
    line.net.RunFor(100ms);
    if (y->unconsumed > 0) line.net.Consume(y, std::min<uint64_t>(y->unconsumed, 500'000));
  }
  EXPECT_EQ(y->received, 20'000'000u);
  EXPECT_LE(line.net.now - resumed, 4s);  // 16 MB at 5 MB/s, and little more.
  EXPECT_FALSE(y->corrupt);
}

TEST(TransferTest, AHalfCloseLeavesTheOtherDirectionOpen) {
  Line line({.delay = 10ms, .rate = 20 * kMbit});
  auto [x, y] = line.net.Connect(line.a, line.b);
  line.net.Send(x, 1000, /*end=*/true);
  line.net.RunFor(1s);
  EXPECT_TRUE(y->ended);
  EXPECT_FALSE(x->closed || y->closed);
  line.net.Send(y, 500'000);
  line.net.RunFor(2s);
  EXPECT_EQ(x->received, 500'000u);
  line.net.Send(y, 0, /*end=*/true);
  line.net.RunFor(1s);
  EXPECT_EQ(x->closed, CloseReason::kEnded);
  EXPECT_EQ(y->closed, CloseReason::kEnded);
}

TEST(TransferTest, ALostLastAcknowledgementDelaysTheCloseByOneTimeOutOnly) {
  for (bool deployed : {false, true}) {
    Net net;
    const size_t a = net.AddHost({.deployed = deployed}), b = net.AddHost({.deployed = deployed});
    net.Join(a, b, {.delay = 10ms});
    auto [x, y] = net.Connect(a, b);
    net.Send(x, 10, /*end=*/true);
    net.RunFor(100ms);
    net.Send(y, 10, /*end=*/true);  // x answers and is gone; the answer is lost.
    net.RunFor(5ms);
    net.pipe(0).down = true;
    net.RunFor(100ms);
    net.pipe(0).down = false;
    EXPECT_EQ(x->closed, CloseReason::kEnded);
    EXPECT_FALSE(y->closed);
    const Instant from = net.now;
    net.RunFor(20s);
    ASSERT_TRUE(y->closed);
    if (deployed) {
      EXPECT_EQ(y->closed, CloseReason::kTimedOut);
    } else {
      EXPECT_EQ(y->closed, CloseReason::kEnded);
      EXPECT_LE(y->closed_at - from, 1s);
    }
  }
}

TEST(TransferTest, SequenceNumbersWrapUnderLoss) {
  Line line({.delay = 10ms, .rate = 40 * kMbit, .queue = 100'000, .loss = 200, .reorder = 300});
  auto [x, y] = line.net.Connect(line.a, line.b, {.first_seq = 0xffffff00, .first_ack = 0xfffffff0});
  line.net.Send(x, 3'000'000, /*end=*/true), line.net.Send(y, 100'000, /*end=*/true);
  EXPECT_TRUE(line.net.RunUntil(line.net.now + 60s, [x = x, y = y] { return x->closed && y->closed; }));
  EXPECT_EQ(y->received, 3'000'000u);
  EXPECT_EQ(x->received, 100'000u);
  EXPECT_FALSE(x->corrupt || y->corrupt);
}

TEST(TransferTest, TheSameSeedGivesTheSameRun) {
  auto run = [](uint64_t seed) {
    Line line({.delay = 10ms, .rate = 40 * kMbit, .queue = 50'000, .loss = 200}, seed);
    auto [x, y] = line.net.Connect(line.a, line.b);
    line.net.Send(x, 5'000'000, /*end=*/true);
    line.net.RunFor(5s);
    return std::tuple(y->received, y->last_byte, line.net.wakes, line.net.pipe(line.there).sent);
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(TransferTest, PacingTakesAboutOneTimerAMillisecond) {
  Line line({.delay = 10ms, .rate = 1000 * kMbit, .queue = 4 << 20});
  auto [x, y] = line.net.Connect(line.a, line.b);
  line.net.Send(x, uint64_t{1} << 40);
  line.Rate(y, 1s, 1s);
  line.net.wakes = 0;
  line.Rate(y, 0s, 2s);
  EXPECT_LE(line.net.wakes, 2400u);
  EXPECT_GE(line.net.wakes, 1000u) << "batches of more than two milliseconds";
}

}  // namespace
}  // namespace orchard::udx
