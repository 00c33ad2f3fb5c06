// The containers beneath a stream, against simple models.

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "node/base/rng.h"
#include "node/udx/mtu_search.h"
#include "node/udx/pacer.h"
#include "node/udx/reassembly.h"
#include "node/udx/rtt.h"
#include "node/udx/send_queue.h"
#include "node/udx/sent_packets.h"
#include "node/udx/seq_ranges.h"

namespace orchard::udx {
namespace {

using namespace std::chrono_literals;

TEST(SeqRangesTest, IsTheSetOfItsNumbersAcrossTheWrap) {
  Rng rng = Rng::Named(1, "ranges", "test");
  const uint32_t base = 0xffffff80;
  SeqRanges ranges;
  std::set<uint32_t> model;  // Relative to `base`.
  uint32_t low = 0;
  for (int step = 0; step < 4000; ++step) {
    if (rng.Chance(1, 50)) {
      low += uint32_t(rng.Below(20));
      ranges.DropBefore(base + low);
      model.erase(model.begin(), model.lower_bound(low));
    } else {
      const uint32_t start = low + uint32_t(rng.Below(300)), end = start + uint32_t(rng.Below(6));
      std::set<uint32_t> fresh, expected;
      for (uint32_t s = start; s < end; ++s) {
        if (model.insert(s).second) expected.insert(s);
      }
      ranges.Add({base + start, base + end}, [&](SeqRange r) {
        for (uint32_t s = r.start; s != r.end; ++s) EXPECT_TRUE(fresh.insert(s - base).second);
      });
      ASSERT_EQ(fresh, expected);
    }
    std::set<uint32_t> seen;
    uint32_t last = 0;
    bool first = true;
    for (const SeqRange& r : ranges.ranges()) {
      ASSERT_TRUE(Before(r.start, r.end));
      ASSERT_TRUE(first || Before(last, r.start)) << "ranges that touch are one";
      first = false, last = r.end;
      for (uint32_t s = r.start; s != r.end; ++s) seen.insert(s - base);
    }
    ASSERT_EQ(seen, model);
    const uint32_t probe = low + uint32_t(rng.Below(310));
    ASSERT_EQ(ranges.Contains(base + probe), model.count(probe) == 1);
  }
  EXPECT_GT(low, 128u) << "the wrap was passed";
}

TEST(SendQueueTest, ReadsWhatWasWrittenUntilItIsReleased) {
  Rng rng = Rng::Named(2, "queue", "test");
  SendQueue queue;
  std::string model;  // From queue.begin() on.
  for (int step = 0; step < 3000; ++step) {
    std::string more(rng.Below(10) == 0 ? 4000 + rng.Below(5000) : rng.Below(300), 0);
    for (char& c : more) c = char(rng.Below(256));
    model += more;
    queue.Push(std::move(more));
    ASSERT_EQ(queue.end() - queue.begin(), model.size());
    const size_t from = rng.Below(model.size() + 1), size = rng.Below(std::min<size_t>(model.size() - from, 1500) + 1);
    std::string read;
    queue.Read(queue.begin() + from, size, [&](Bytes piece) { read += AsText(piece); });
    ASSERT_EQ(read, model.substr(from, size));
    const size_t gone = rng.Below(std::min<size_t>(model.size(), 800) + 1);
    queue.Release(queue.begin() + gone);
    model.erase(0, gone);
  }
  queue.Release(queue.end());
  EXPECT_EQ(queue.chunks(), 0u);
}

TEST(SendQueueTest, SmallWritesShareAChunk) {
  SendQueue queue;
  for (int i = 0; i < 100; ++i) queue.Push(std::string(10, 'x'));
  EXPECT_EQ(queue.chunks(), 1u);
  queue.Push(std::string(SendQueue::kSmall + 1, 'y'));
  EXPECT_EQ(queue.chunks(), 2u);
}

TEST(ReassemblyTest, GivesPacketsBackInOrderWhateverOrderTheyCameIn) {
  Rng rng = Rng::Named(3, "reassembly", "test");
  Reassembly held;
  uint32_t next = 0xfffffff0;
  std::map<uint32_t, std::string> model;  // By distance from the start.
  const uint32_t start = next;
  size_t taken = 0;
  for (int step = 0; step < 3000; ++step) {
    const uint32_t seq = next + 1 + uint32_t(rng.Below(200));
    std::string bytes(rng.Below(20), char('a' + rng.Below(26)));
    ASSERT_EQ(held.Hold(next, seq, AsBytes(bytes), true), model.emplace(seq - start, bytes).second);
    if (rng.Chance(1, 4)) {
      ++next;  // The missing one came.
      while (std::optional<Reassembly::Packet> p = held.Take(next)) {
        ASSERT_EQ(std::string(AsText(p->bytes)), model.at(next - start));
        model.erase(next - start);
        ++next, ++taken;
      }
    }
    size_t bytes_held = 0;
    for (const auto& [s, b] : model) bytes_held += b.size();
    ASSERT_EQ(held.bytes(), bytes_held);
    ASSERT_EQ(held.empty(), model.empty());
  }
  EXPECT_GT(taken, 300u);
}

TEST(SentPacketsTest, ListsKeepTheOrderOfSending) {
  SentPackets sent;
  sent.StartAt(0xfffffffc);
  for (int i = 0; i < 40; ++i) {
    const uint32_t seq = sent.next();
    sent.Push().size = uint16_t(i);
    sent.Move(seq, Whereabouts::kUnderWay);
  }
  EXPECT_EQ(sent.under_way(), 40u);
  EXPECT_EQ(sent.oldest_under_way(), 0xfffffffcu);
  sent.Move(0xfffffffd, Whereabouts::kLost);
  sent.Move(2, Whereabouts::kLost);
  EXPECT_EQ(sent.first_lost(), 0xfffffffdu);
  sent.Move(0xfffffffd, Whereabouts::kUnderWay);  // Sent again: the newest.
  EXPECT_EQ(sent.newest_under_way(), 0xfffffffdu);
  EXPECT_EQ(sent.lost(), 1u);
  EXPECT_EQ(sent[2].size, 6);
  while (!sent.empty()) sent.Move(sent.first(), Whereabouts::kArrived), sent.Pop();
  EXPECT_EQ(sent.under_way() + sent.lost(), 0u);
}

TEST(RttTest, SmoothsAsRfc6298AndStaysWithinItsBounds) {
  Rtt rtt;
  EXPECT_EQ(rtt.rto(), 1s);
  rtt.Add(Instant(1s), 400ms);
  EXPECT_EQ(rtt.smoothed(), 400ms);
  EXPECT_EQ(rtt.rto(), 1200ms);
  rtt.Add(Instant(2s), 800ms);
  EXPECT_EQ(rtt.smoothed(), 450ms);
  EXPECT_EQ(rtt.rto(), 450ms + 4 * 250ms);
  rtt.Add(Instant(3s), 100s);  // A sleep, not a round trip.
  EXPECT_LT(rtt.smoothed(), 1s);
  EXPECT_EQ(rtt.min(), 400ms);
  rtt.Add(Instant(400s), 900ms);
  rtt.Add(Instant(800s), 900ms);
  EXPECT_EQ(rtt.min(), 900ms);  // The old one is out of the window.
}

TEST(PacerTest, KeepsTheRateWhateverTheTimerDoes) {
  Pacer pacer;
  Rng rng = Rng::Named(4, "pacer", "test");
  const uint64_t rate = 12'500'000;
  Instant now{1s};
  uint64_t sent = 0;
  size_t wakes = 0;
  while (now < Instant(3s)) {
    if (pacer.Begin(now, rate, 20ms, 1500)) {
      while (pacer.open()) pacer.Spend(1500, rate), sent += 1500;
    }
    ++wakes;
    now = std::max(pacer.free_at(), now) + Duration(int64_t(rng.Below(1'000'000)));  // Up to a millisecond late.
  }
  EXPECT_NEAR(double(sent), double(2 * rate), 0.005 * double(2 * rate));
  EXPECT_LT(wakes, 2200u);
}

TEST(MtuSearchTest, ClimbsToTheEndOfTheLinkAndGivesUpAfterThreeLosses) {
  MtuSearch m(1500);
  EXPECT_EQ(m.PaddingFor(1172 + 28), -1) << "nothing is acknowledged yet";
  m.OnAnyAcked();
  int probes = 0;
  for (; m.PaddingFor(m.mtu()) >= 0; ++probes) m.OnProbeSent(), m.OnProbeAcked();
  EXPECT_EQ(m.mtu(), 1500u);
  EXPECT_EQ(probes, 11);  // 1200, 1232 … 1488, 1500.
  MtuSearch n(1500);
  n.OnAnyAcked();
  for (int i = 0; i < 3; ++i) {
    EXPECT_GE(n.PaddingFor(1200), 0);
    n.OnProbeSent(), n.OnProbeLost();
  }
  EXPECT_EQ(n.PaddingFor(1200), -1);
  EXPECT_EQ(n.mtu(), 1200u);
  MtuSearch small(1200);
  small.OnAnyAcked();
  EXPECT_EQ(small.PaddingFor(1200), -1);
}

}  // namespace
}  // namespace orchard::udx
