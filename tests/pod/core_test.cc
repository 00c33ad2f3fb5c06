// What the core promises, on a toy pod in virtual time.

#include "node/pod/core.h"

#include <gtest/gtest.h>

#include "node/pod/plan.h"
#include "tests/pod/toy_world.h"

namespace orchard::pod {
namespace {

constexpr uint64_t kMiB = 1 << 20;

struct Outcome {
  int64_t efficiency;  // Goodput in permille of all links' sum (or the pool's).
  int64_t harm;        // Goodput in permille of the best member's alone.
  Duration took;
};
Outcome Measure(ToyWorld& world, const std::vector<Uplink>& links, uint64_t bytes, uint64_t pool_kbit = 0) {
  EXPECT_TRUE(world.Begin(0, bytes).has_value());
  const Duration took = world.Run();
  EXPECT_FALSE(world.wrong_bytes);
  for (const auto& [id, e] : world.ended) EXPECT_EQ(e.how, Ending::kDone);
  uint64_t sum = 0, best = UINT64_MAX;
  for (const Uplink& u : links) sum += u.rate(), best = std::min(best, u.best(bytes));
  if (pool_kbit > 0) sum = pool_kbit * 125;
  const Outcome out{TimeFor(bytes, sum).count() * 1000 / took.count(), int64_t(best) * 1000 / took.count(), took};
  printf("    efficiency %ld/1000, harm %ld/1000, %ld ms, raced %lu, probes %lu, wasted %lu KiB\n", long(out.efficiency), long(out.harm),
         long(ToMillis(took)), long(world.core.counters().raced), long(world.core.counters().probes), long(world.core.counters().wasted_bytes >> 10));
  return out;
}
Outcome Measure(const std::vector<Uplink>& links, uint64_t bytes, uint64_t pool_kbit = 0) {
  ToyWorld world(links, {.check_permille = 0});
  return Measure(world, links, bytes, pool_kbit);
}

// ---- Bandwidth split: the rows of MPTCP's and bonding's known figures ----

TEST(SplitTest, EqualLinksAreUsedFully) {
  const Outcome o = Measure({{50'000, 30ms}, {50'000, 30ms}}, 64 * kMiB);
  EXPECT_GE(o.efficiency, 950);
  EXPECT_GE(o.harm, 1000);
}
TEST(SplitTest, RoundTripsOfOneToTwo) {
  const Outcome o = Measure({{50'000, 20ms}, {50'000, 40ms}}, 64 * kMiB);
  EXPECT_GE(o.efficiency, 900);
  EXPECT_GE(o.harm, 1000);
}
TEST(SplitTest, RoundTripsOfOneToFour) {
  for (bool own_is_near : {true, false}) {
    const Outcome o = Measure({{50'000, own_is_near ? 20ms : 80ms}, {50'000, own_is_near ? 80ms : 20ms}}, 64 * kMiB);
    EXPECT_GE(o.efficiency, 900);
    EXPECT_GE(o.harm, 1000);
  }
}
TEST(SplitTest, RatesAndRoundTripsOfOneToTen) {
  for (bool own_is_fast : {true, false}) {
    const Uplink fast{100'000, 10ms}, slow{10'000, 100ms};
    ToyWorld world(own_is_fast ? std::vector{fast, slow} : std::vector{slow, fast}, {.check_permille = 0});
    const Outcome o = Measure(world, {fast, slow}, 64 * kMiB);
    EXPECT_GE(o.efficiency, 900);
    EXPECT_GE(o.harm, 1000);
  }
}
TEST(SplitTest, OneBadLinkHarmsNobody) {
  const Uplink a{50'000, 40ms}, b{20'000, 10ms}, bad{2'000, 1000ms};
  for (const auto& links : {std::vector{a, b, bad}, std::vector{bad, a, b}, std::vector{b, bad, a}}) {
    for (uint64_t bytes : {kMiB, 4 * kMiB, 64 * kMiB}) {
      const Outcome o = Measure(links, bytes);
      EXPECT_GE(o.harm, 1000) << bytes;
    }
  }
}
TEST(SplitTest, ALossyLinkBesideALongOne) {
  const Outcome o = Measure({{30'000, 20ms, -1, false, 10}, {30'000, 200ms}}, 64 * kMiB);
  EXPECT_GE(uint64_t(64 * kMiB * 8) * 1'000'000'000 / uint64_t(o.took.count()), 24'800'000u);
  EXPECT_GE(o.harm, 1000);
}
TEST(SplitTest, ALinkThatIsDarkForTenSecondsOfEverySixtyStallsNobody) {
  for (bool own : {true, false}) {
    std::vector<Uplink> links = {{20'000, 40ms}, {20'000, 40ms}};
    links[own ? 0 : 1].dead_from = 5s, links[own ? 0 : 1].dead_for = 10s, links[own ? 0 : 1].dead_every = 60s;
    ToyWorld world(links, {.check_permille = 0});
    const Outcome o = Measure(world, links, 256 * kMiB);
    EXPECT_GE(o.harm, 1000);
    EXPECT_LE(world.longest_stall, 2 * 1s);  // RFC 6298's first and least RTO.
    EXPECT_GE(o.efficiency, 850);            // 10 of 60 s at half.
  }
}
TEST(SplitTest, TwoLinksBehindOnePoolLoseNothing) {
  const std::vector<Uplink> links = {{15'000, 50ms, 0}, {15'000, 50ms, 0}};
  const Outcome o = Measure(links, 32 * kMiB, 15'000);
  EXPECT_GE(o.efficiency, 950);
  EXPECT_GE(o.harm, 1000);
}
TEST(SplitTest, AtTheLimitsThatAVendorOfBondingStates) {
  const Outcome o = Measure({{50'000, 20ms}, {7'500, 170ms}}, 64 * kMiB);
  EXPECT_GE(o.efficiency, 810);
  EXPECT_GE(o.harm, 1000);
}
TEST(SplitTest, ThreeFastLinks) {
  const Outcome o = Measure({{100'000, 5ms}, {100'000, 30ms}, {100'000, 30ms}}, 64 * kMiB);
  EXPECT_GE(o.efficiency, 900);
  EXPECT_GE(o.harm, 1000);
}
TEST(SplitTest, APeerThatAsksItsOriginOneByOneIsUsedAsFastAsItIs) {
  // 256 KiB take 42 ms, then it waits 30 ms: 29.1 Mb/s of its 50.
  const Outcome o = Measure({{50'000, 30ms}, {50'000, 30ms, -1, true}}, 64 * kMiB);
  EXPECT_GE(o.efficiency * 100, 950 * 79);
}
TEST(SplitTest, FiveChunksAreEnoughToGain) {
  const Outcome o = Measure({{10'000, 40ms}, {10'000, 40ms}, {10'000, 40ms}}, 5 * 256 * 1024);
  EXPECT_GE(o.harm, 1700);
}

// ---- Dying and leaving ----

TEST(DeathTest, AWorkerThatDiesMidWayCostsAtMostTwiceItsChunksExpectedTime) {
  for (uint64_t peer_kbit : {5'000u, 20'000u, 50'000u}) {
    for (auto when : {500ms, 1500ms, 2503ms}) {
      for (size_t who : {0u, 1u}) {
        std::vector<Uplink> links = {{20'000, 30ms}, {peer_kbit, 60ms}};
        if (who == 0) std::swap(links[0], links[1]);
        links[who].dead_from = when;
        const uint64_t bytes = 16 * kMiB, together = links[0].rate() + links[1].rate();
        auto in = [&](const Uplink& u) { return u.rate() * uint64_t(ToMillis(Duration(when) - u.rtt)) / 1000; };
        ToyWorld world(links, {.check_permille = 0});
        ASSERT_TRUE(world.Begin(0, bytes).has_value());
        const Duration took = world.Run();
        EXPECT_FALSE(world.wrong_bytes);
        // Ideal: both until then, the other one alone from then on.
        const uint64_t before = std::min(bytes, in(links[0]) + in(links[1]));  // An RTT after the start.
        const Duration ideal = std::min(Duration(when), TimeFor(bytes, together)) + TimeFor(bytes - before, links[1 - who].rate());
        // Two chunks are under way at the least; the first bytes are an RTT late.
        const Duration chunk = links[who].rtt + TimeFor(2 * 256 * 1024, links[who].rate());
        EXPECT_LE(took, ideal + 2 * chunk) << peer_kbit << " " << ToMillis(when) << "ms " << who;
      }
    }
  }
}
TEST(DeathTest, AMemberThatLeavesHasItsChunksReassignedAtOnce) {
  ToyWorld world({{10'000, 30ms}, {10'000, 30ms}}, {.check_permille = 0});
  const auto id = world.Begin(0, 2 * kMiB);
  Actions actions;
  world.core.OnPeerLeft(world.turn(), world.id(1), actions);
  world.core.OnChunkData(world.turn(), world.id(1), {.transfer = *id}, actions);
  size_t own = 0;
  for (const Action& a : actions) own += std::get_if<Fetch>(&a) != nullptr;
  EXPECT_EQ(world.core.peers(), 0u);
  world.Run();
  EXPECT_FALSE(world.wrong_bytes);
  EXPECT_LE(own, 1u);  // Our own pipe is full; the rest follows as it empties.
}
TEST(DeathTest, ASilentPeerIsGoneAfterSixSeconds) {
  ToyWorld world({{1'000, 30ms}, {1'000, 30ms}});
  Actions actions;
  for (int s = 1; s < 6; ++s) {
    world.core.OnTime(world.box.At(std::chrono::seconds(s)), actions);
    EXPECT_EQ(world.core.peers(), 1u);
  }
  world.core.OnTime(world.box.At(6s), actions);
  EXPECT_EQ(world.core.peers(), 0u);
  size_t heartbeats = 0, silent = 0;
  for (const Action& a : actions) heartbeats += std::holds_alternative<SendHeartbeat>(a), silent += std::holds_alternative<PeerSilent>(a);
  EXPECT_EQ(heartbeats, 6u);
  EXPECT_EQ(silent, 1u);
  EXPECT_EQ(world.core.next_deadline(), kNever);
}

// ---- Ranges, many transfers, memory ----

TEST(CoreTest, TheRangesOffsetIsHonoured) {
  ToyWorld world({{10'000, 30ms}, {10'000, 30ms}});
  const auto id = world.Begin(1'000'003, 3'000'001);
  world.Run();
  EXPECT_FALSE(world.wrong_bytes);
  EXPECT_EQ(world.at[*id], 3'000'001u);
}
TEST(CoreTest, WithoutPeersOrRangeTheParentDoesItAlone) {
  ToyWorld alone(std::vector<Uplink>{{10'000, 30ms}});
  EXPECT_FALSE(alone.Begin(0, 100).has_value());
  ToyWorld pod({{10'000, 30ms}, {10'000, 30ms}});
  EXPECT_FALSE(pod.Begin(5, 5).has_value());
  EXPECT_TRUE(pod.Begin(5, 6).has_value());
  pod.Run();
  EXPECT_FALSE(pod.wrong_bytes);
}
TEST(CoreTest, ManyTransfersShareThePodAndAllAreRight) {
  ToyWorld world({{20'000, 30ms}, {20'000, 10ms}, {5'000, 100ms}});
  std::vector<TransferId> ids;
  for (uint64_t i = 0; i < 8; ++i) ids.push_back(*world.Begin(i * 777'777, (i + 3) * 1'111'111));
  world.Run();
  EXPECT_FALSE(world.wrong_bytes);
  for (uint64_t i = 0; i < 8; ++i) EXPECT_EQ(world.at[ids[i]], (i + 3) * 1'111'111);
  EXPECT_EQ(world.core.transfers(), 0u);
}
TEST(CoreTest, AReaderThatTakesNothingStopsTheFetchesAtTheWindow) {
  ToyWorld world({{100'000, 30ms}, {100'000, 30ms}}, {.window_bytes = 2 * kMiB, .check_permille = 0});
  world.reads = false;
  const auto id = world.Begin(0, 64 * kMiB);
  world.RunFor(5s);
  EXPECT_LE(world.fetched[0] + world.fetched[1] - world.core.counters().wasted_bytes, 2 * kMiB + 2 * 256 * 1024);
  EXPECT_EQ(world.at[*id], 2 * kMiB);
  world.reads = true;
  Actions actions;
  world.core.OnRead(world.turn(), *id, kMiB, actions);
  EXPECT_FALSE(actions.empty());
  world.core.Abort(world.turn(), *id, actions);
  EXPECT_EQ(world.core.transfers(), 0u);
}
TEST(CoreTest, MemoryOfATransferStaysBelowItsWindow) {
  ToyWorld world({{100'000, 5ms}, {3'000, 400ms}, {100'000, 30ms}}, {.check_permille = 0});
  world.read_delay = 50ms;
  world.Begin(0, 64 * kMiB);
  world.Run();
  EXPECT_FALSE(world.wrong_bytes);
  EXPECT_LE(world.held_max, 8 * kMiB);
  EXPECT_GT(world.held_max, 256u * 1024);
}

TEST(CoreTest, WhatADeadlineUncoversIsOverdueInTheSameTurn) {
  constexpr uint64_t kKiB = 1024;
  BareTurn bare;
  Turn& turn = bare.turn;
  Actions actions;
  Core core({.chunk_bytes = 16 * kKiB, .check_permille = 0});
  const WorkerId peer = *core.OnPeerJoined(turn, DeviceId{1}, actions);
  core.OnRequest(turn, {.url = "u", .start = 0, .end = kKiB}, actions);
  turn.now += 1s;
  core.OnOwnChunk(turn, std::get<Fetch>(actions.at(0)).fetch, AsBytes(std::string(kKiB, 'x')), actions);
  // A large one, on our own line for what is known of it, and a small one ten seconds later.
  core.OnRequest(turn, {.url = "u", .start = 0, .end = 16 * kKiB}, actions);
  for (int i = 0; i < 2; ++i) turn.now += 5s, core.OnHeard(turn, peer);
  core.OnRequest(turn, {.url = "u", .start = 0, .end = kKiB}, actions);
  core.OnPeerLeft(turn, peer, actions);
  ASSERT_EQ(core.worker(kOwnWan)->pipe().size(), 2u);
  ASSERT_FALSE(core.worker(kOwnWan)->suspect);
  // The large one's last moment: the small one behind it is long overdue.
  bare.At(31s);
  ASSERT_LE(core.next_deadline(), turn.now);
  core.OnTime(turn, actions);
  EXPECT_EQ(core.counters().timeouts, 1u);
  EXPECT_TRUE(core.worker(kOwnWan)->suspect);
  EXPECT_GT(core.next_deadline(), turn.now);
}

// An origin that drips keeps our own line from what it thinks it can hold; with the members isolated nobody else is there.
TEST(CoreTest, ADrippingOriginDoesNotKeepAnotherDownloadWaiting) {
  constexpr uint64_t kKiB = 1024;
  BareTurn bare;
  Turn& turn = bare.turn;
  Actions actions;
  Core core({.chunk_bytes = 64 * kKiB, .failures_max = 1, .check_permille = 0});
  const WorkerId peer = *core.OnPeerJoined(turn, DeviceId{1}, actions);
  core.OnRequest(turn, {.url = "drips", .start = 0, .end = 256 * kKiB}, actions);
  std::vector<Fetch> own;
  for (const Action& a : actions) {
    if (const auto* f = std::get_if<Fetch>(&a); f != nullptr && f->worker == kOwnWan) own.push_back(*f);
  }
  ASSERT_FALSE(own.empty());
  while (core.oldest(peer).has_value()) core.OnFetchFailed(turn, *core.oldest(peer), actions);
  ASSERT_GT(core.worker(peer)->isolated_until, turn.now);
  for (uint64_t i = 1; i <= 20; ++i) turn.now += 300ms, core.OnHeard(turn, peer), core.OnProgress(turn, own[0].fetch, i, actions);
  ASSERT_GE(core.worker(kOwnWan)->pipe_bytes(), core.worker(kOwnWan)->target(64 * kKiB));
  for (const bool suspect : {false, true}) {
    if (suspect) {  // Now it does not even drip.
      while (!core.worker(kOwnWan)->suspect) turn.now = core.next_deadline(), core.OnHeard(turn, peer), core.OnTime(turn, actions);
    }
    actions.clear();
    const auto other = core.OnRequest(turn, {.url = "runs", .start = 0, .end = 640 * kKiB}, actions);
    for (uint64_t at = 0; at < 10; ++at) {
      const Fetch* f = nullptr;
      for (const Action& a : actions) {
        if (const auto* x = std::get_if<Fetch>(&a); x != nullptr && x->transfer == *other && x->start == at * 64 * kKiB) f = x;
      }
      ASSERT_NE(f, nullptr) << at << suspect;
      ASSERT_EQ(f->worker, kOwnWan);
      turn.now += 10ms;
      core.OnOwnChunk(turn, f->fetch, AsBytes(std::string(64 * kKiB, 'x')), actions);
    }
    EXPECT_FALSE(core.url(*other).has_value());  // It is whole.
  }
}

// ---- Integrity ----

TEST(IntegrityTest, AWrongHashIsNackedFetchedElsewhereAndIsolatesTheThirdTime) {
  ToyWorld world({{10'000, 30ms}, {.kbit = 10'000, .rtt = 30ms, .corrupt_permille = 1000}});
  world.Begin(0, 4 * kMiB);
  world.Run();
  EXPECT_FALSE(world.wrong_bytes);
  size_t nacks = 0, isolated = 0;
  for (const Action& a : world.seen) {
    nacks += std::holds_alternative<SendNack>(a);
    const auto* i = std::get_if<Isolated>(&a);
    isolated += i != nullptr && i->why == Fault::kFailures;
  }
  EXPECT_EQ(nacks, 3u);
  EXPECT_EQ(isolated, 1u);
}
TEST(IntegrityTest, APayloadOfAnotherLengthThanItsRangeIsRefused) {
  ToyWorld world({{10'000, 30ms}, {10'000, 30ms}});
  const auto id = world.Begin(0, kMiB);
  const Worker& peer = *world.core.worker(world.id(1));
  ASSERT_FALSE(peer.pipe().empty());
  const Fetching f = *peer.pipe()[0];
  Actions actions;
  const std::string page = "<html>404</html>";  // What pea-linux hashes and sends if its origin says no.
  world.core.OnChunkData(world.turn(), peer.id(), {.transfer = *id, .start = f.start, .end = f.end, .hash = crypto::Sha256(AsBytes(page)), .payload = AsBytes(page)}, actions);
  ASSERT_FALSE(actions.empty());
  EXPECT_TRUE(std::holds_alternative<SendNack>(actions[0]));
  world.core.OnChunkData(world.turn(), peer.id(), {.transfer = *id, .start = 1, .end = 2}, actions);
  EXPECT_EQ(world.core.counters().unasked, 1u);
}
TEST(IntegrityTest, AnExpectedHashFindsTheLiarAndRepairsWhatIsHeldBack) {
  ToyWorld world({{10'000, 30ms}, {.kbit = 10'000, .rtt = 30ms, .lies_permille = 300}, {10'000, 30ms}});
  const uint64_t bytes = 6 * kMiB;
  const auto id = world.Begin(0, bytes, crypto::Sha256(AsBytes(ToyWorld::Range(0, bytes))));
  world.Run();
  EXPECT_FALSE(world.wrong_bytes);
  EXPECT_EQ(world.ended[*id].how, Ending::kDone);
  EXPECT_TRUE(world.ended[*id].verified);
  EXPECT_EQ(world.core.counters().liars, 1u);
  EXPECT_EQ(std::count_if(world.seen.begin(), world.seen.end(), [](const Action& a) { return std::holds_alternative<Isolated>(a); }), 1);  // Of many lies.
  EXPECT_EQ(world.core.peers(), 1u);
  world.Join(1);
  EXPECT_EQ(world.core.peers(), 1u) << "a liar is out for good";
}
TEST(IntegrityTest, AStreamedLieEndsTheTransferAndOutsTheLiar) {
  ToyWorld world({{10'000, 30ms}, {.kbit = 10'000, .rtt = 30ms, .lies_permille = 300}});
  const uint64_t bytes = 12 * kMiB;
  const auto id = world.Begin(0, bytes, crypto::Sha256(AsBytes(ToyWorld::Range(0, bytes))));
  world.Run();
  EXPECT_EQ(world.ended[*id].how, Ending::kHashMismatch);
  EXPECT_EQ(world.core.counters().liars, 1u);
}
TEST(IntegrityTest, AWrongExpectationBlamesNobody) {
  ToyWorld world({{10'000, 30ms}, {10'000, 30ms}});
  const auto id = world.Begin(0, 2 * kMiB, Key32{1});
  world.Run();
  EXPECT_EQ(world.ended[*id].how, Ending::kHashMismatch);
  EXPECT_EQ(world.at[*id], 0u);
  EXPECT_EQ(world.core.counters().liars, 0u);
}
TEST(IntegrityTest, WithoutAHashCrossChecksCatchWhoLiesOften) {
  ToyWorld world({{10'000, 30ms}, {.kbit = 10'000, .rtt = 30ms, .lies_permille = 1000}}, {.check_permille = 1000});
  const auto id = world.Begin(0, 4 * kMiB);
  world.Run();
  EXPECT_FALSE(world.wrong_bytes) << "every chunk was checked before it was delivered";
  EXPECT_EQ(world.ended[*id].how, Ending::kDone);
  EXPECT_EQ(world.core.counters().liars, 1u);
}
TEST(IntegrityTest, ALieThatWasDeliveredBeforeItsSenderWasCaughtIsOwnedUpTo) {
  ToyWorld world({{10'000, 30ms}, {.kbit = 10'000, .rtt = 30ms, .lies_permille = 1000}}, {.check_permille = 100});
  const auto id = world.Begin(0, 64 * kMiB);
  world.Run();
  EXPECT_TRUE(world.wrong_bytes);
  EXPECT_EQ(world.ended[*id].how, Ending::kPoisoned);
}
TEST(IntegrityTest, TheProbabilityOfCatchingALiarIsTheStatedOne) {
  EXPECT_EQ(CatchProbability(0, 50), 0);
  EXPECT_NEAR(CatchProbability(1, 50) >> 12, (kQ32One / 20) >> 12, 1);
  EXPECT_NEAR(CatchProbability(20, 50) * 1000 / kQ32One, 641, 1);   // 1 - 0.95^20.
  EXPECT_EQ(CatchProbability(5, 1000), kQ32One);
  // And the coin is that fair: of liars of ten bad chunks, 1 - 0.8^10 = 892 in 1000 are caught at 20 %.
  int caught = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    ToyWorld world({{10'000, 30ms}, {.kbit = 10'000, .rtt = 30ms, .lies_permille = 1000}}, {.chunk_bytes = 16 << 10, .check_permille = 200});
    world.box.rng = Rng::Named(seed, "liar", "");
    world.Begin(0, 20 * (16 << 10));
    world.Run();
    caught += world.core.counters().liars > 0;
  }
  EXPECT_GE(caught, 160);
  EXPECT_LE(caught, 197);
}

// ---- The original's schedulers ----

std::string Letters(const std::vector<uint32_t>& plan) {
  std::string out;
  for (uint32_t w : plan) out.push_back("SABC"[w]);
  return out;
}
TEST(PlanTest, AssignmentsAreTheRecordedOnes) {
  EXPECT_EQ(Letters(Plan(Scheduler::kRoundRobin, 5, 3, {})), "SABSA");
  EXPECT_EQ(Letters(Plan(Scheduler::kWeighted, 10, 2, {1, 3})), "SSSAAAAAAA");
  EXPECT_EQ(Letters(Plan(Scheduler::kWeighted, 5, 3, {0, 3, 3})), "SAABB");   // Its bug: weight 0 gets one.
  EXPECT_EQ(Letters(Plan(Scheduler::kWeighted, 5, 3, {0, 0, 0})), "SABSA");
  EXPECT_EQ(Letters(Plan(Scheduler::kWeighted, 4, 3, {1, 2})), "SABS");
  EXPECT_EQ(Letters(Plan(Scheduler::kWeighted, 4, 2, {UINT64_MAX, UINT64_MAX})), "SSAA");  // The original overflows.
  EXPECT_EQ(Letters(Plan(Scheduler::kSinglePeer, 3, 3, {})), "AAA");
  EXPECT_EQ(Letters(Plan(Scheduler::kSinglePeer, 3, 1, {})), "SSS");
}
TEST(PlanTest, PlannedTransfersArriveWhole) {
  for (Scheduler s : {Scheduler::kRoundRobin, Scheduler::kWeighted, Scheduler::kSinglePeer}) {
    ToyWorld world({{10'000, 30ms}, {20'000, 30ms}, {.kbit = 10'000, .rtt = 10ms, .corrupt_permille = 100}}, {.scheduler = s});
    world.core.SetWeight(world.id(1), 2);
    world.Begin(77, 20 * kMiB);
    world.Run();
    EXPECT_FALSE(world.wrong_bytes);
  }
}

}  // namespace
}  // namespace orchard::pod
