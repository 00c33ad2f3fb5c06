// Queries over a network: what the parent is told, commits, limits, cancellation.
#include <gtest/gtest.h>

#include "tests/support/dht_net.h"

namespace orchard::dht {
namespace {

using namespace std::chrono_literals;

struct QueryNet : DhtNet {
  explicit QueryNet(uint32_t nodes = 40, MemHost::Options options = {}, bool quick = true) : DhtNet(options), asker(nodes) {
    AddRoot();
    for (uint32_t i = 1; i < nodes; ++i) AddPersistent();
    host.Run(20s);
    Add({.ephemeral = true, .roots = roots, .quick_walks = quick});
    host.Run(5s);
    target.fill(0x42);
  }
  // The query's end.
  QueryFinished Finish(QuerySpec spec) {
    spec.target = target;
    QueryId id{};
    In(asker, [&](Rpc& rpc, Turn& turn) { id = rpc.StartQuery(turn, spec); });
    const QueryFinished* done = nullptr;
    EXPECT_TRUE(host.RunUntil(
        [&] {
          for (const RpcNews& n : (*this)[asker].news) {
            const auto* f = std::get_if<QueryFinished>(&n);
            if (f != nullptr && f->query == id) done = f;
          }
          return done != nullptr;
        },
        60s));
    return done == nullptr ? QueryFinished{} : *done;
  }
  NodeIndex asker;
  Key32 target;
};

uint8_t XorAt(const Key32& a, const Key32& b, size_t i) { return uint8_t(a[i] ^ b[i]); }
bool Nearer(const Key32& target, const Key32& a, const Key32& b) {
  for (size_t i = 0; i < 32; ++i) {
    if (XorAt(target, a, i) != XorAt(target, b, i)) return XorAt(target, a, i) < XorAt(target, b, i);
  }
  return false;
}

TEST(QueryNetTest, FindsTheTwentyNearestOfAllNodes) {
  QueryNet net(120);
  QueryFinished f = net.Finish({.command = 2, .internal = true});
  EXPECT_EQ(f.outcome, QueryOutcome::kDone);
  std::vector<Key32> all;
  for (uint32_t n = 0; n < 120; ++n) all.push_back(*net.rpc(n).id());
  std::sort(all.begin(), all.end(), [&](const Key32& a, const Key32& b) { return Nearer(net.target, a, b); });
  ASSERT_EQ(f.closest.size(), 20u);
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(f.closest[i].id, all[i]) << i;
  EXPECT_GE(f.hops, 1u);
  EXPECT_EQ(f.requests, f.replies + f.timeouts);
}

TEST(QueryNetTest, RepliesComeAsNewsOnlyIfWanted) {
  QueryNet net;
  QueryFinished f = net.Finish({.command = 2, .internal = true});
  size_t told = net[net.asker].Of<QueryReply>().size();
  EXPECT_EQ(told, f.replies - f.errors);
  net.Finish({.command = 2, .internal = true, .replies = false});
  EXPECT_EQ(net[net.asker].Of<QueryReply>().size(), told);
}

TEST(QueryNetTest, TheDefaultCommitRepeatsTheValueWithEachOnesToken) {
  QueryNet net;
  QueryFinished f = net.Finish({.command = kEcho, .value = AsBytes("stored"), .commit = Commit::kSame});
  EXPECT_EQ(f.outcome, QueryOutcome::kDone);
  EXPECT_EQ(f.commits_ok, 20u);
  EXPECT_EQ(net[net.asker].Of<CommitReply>().size(), 20u);
  size_t with_token = 0;
  for (uint32_t n = 0; n < 40; ++n) {
    for (const auto& r : net[n].Of<RequestReceived>()) with_token += r.request.has_token;
  }
  EXPECT_EQ(with_token, 20u);
}

TEST(QueryNetTest, TheParentMayCommitADifferentValueToEach) {
  QueryNet net;
  struct ByIndex final : RpcMachine::Committer {
    void Commit(Rpc& rpc, Turn& turn, const CommitDue& due) override {
      for (size_t i = 0; i < 3; ++i) rpc.CommitTo(turn, due.query, i, kEcho, AsBytes("value " + std::to_string(i)));
      rpc.EndCommits(turn, due.query);
    }
  } by_index;
  net[net.asker].commit = &by_index;
  QueryFinished f = net.Finish({.command = kEcho, .commit = Commit::kByParent});
  EXPECT_EQ(f.outcome, QueryOutcome::kDone);
  EXPECT_EQ(f.commits_ok, 3u);
  for (size_t i = 0; i < 3; ++i) {
    for (uint32_t n = 0; n < 40; ++n) {
      if (net.rpc(n).id() == f.closest[i].id) {
        EXPECT_EQ(net[n].last_value, "value " + std::to_string(i));
      }
    }
  }
}

TEST(QueryNetTest, ACommitWithNobodyToCommitToIsTooFew) {
  DhtNet net;
  auto lone = net.Add({});
  net.host.Run(1s);
  net.In(lone, [](Rpc& rpc, Turn& turn) { rpc.StartQuery(turn, {.command = kEcho, .commit = Commit::kSame}); });
  net.host.Run(1s);
  auto done = net[lone].Of<QueryFinished>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].outcome, QueryOutcome::kTooFew);
}

TEST(QueryNetTest, ACommitThatNobodyAnswersFails) {
  QueryNet net(10);
  net.host.set_filter([&](auto from, auto, Bytes b) { return from != net.asker || (b[1] & 2) == 0; });  // No tokens pass.
  QueryFinished f = net.Finish({.command = kEcho, .value = AsBytes("x"), .commit = Commit::kSame});
  EXPECT_EQ(f.outcome, QueryOutcome::kCommitFailed);
  EXPECT_EQ(f.commits_failed, f.closest.size());
}

TEST(QueryNetTest, TheDeployedLogicWaitsForDeadNodesIfFewAnswered) {
  QueryNet net(16, {}, /*quick=*/false);
  for (uint32_t n = 3; n < 16; n += 3) net.host.Kill(n);
  QueryFinished f = net.Finish({.command = 2, .internal = true});
  EXPECT_EQ(f.outcome, QueryOutcome::kDone);
  EXPECT_EQ(f.closest.size(), 11u);
  EXPECT_EQ(f.timeouts, 5u);
  EXPECT_GE(f.took, 6s);  // Six sends each: fewer than k answered, so all were waited for.
  EXPECT_GT(net.rpc(net.asker).stats().down_hint_sent, 0u);
}

TEST(QueryNetTest, DeadNodesCostHintsNotAnswersAndTheirPlaceInTheTable) {
  QueryNet net(16);
  for (uint32_t n = 3; n < 16; n += 3) net.host.Kill(n);
  const size_t before = net.rpc(net.asker).nodes();
  QueryFinished f = net.Finish({.command = 2, .internal = true});
  EXPECT_EQ(f.outcome, QueryOutcome::kDone);
  EXPECT_EQ(f.closest.size(), 11u);
  EXPECT_LT(f.took, 1s);  // Answers take milliseconds here: two copies in 600 ms are enough.
  EXPECT_GT(net.rpc(net.asker).stats().down_hint_sent, 0u);
  // The search did not wait for the time-outs; whoever was silent is checked behind it.
  net.host.Run(5s);
  EXPECT_EQ(net.rpc(net.asker).nodes(), before - 5);
}

TEST(QueryNetTest, ErrorsAreAnswersAndTimeoutsAreNot) {
  QueryNet net(16, {}, /*quick=*/false);
  for (uint32_t n = 3; n < 16; n += 3) net.host.Kill(n);
  QueryFinished f = net.Finish({.command = 99});  // Nobody knows it.
  EXPECT_EQ(f.replies, 11u);
  EXPECT_EQ(f.errors, 11u);
  EXPECT_EQ(f.timeouts, 5u);
  EXPECT_TRUE(f.closest.empty());
}

TEST(QueryNetTest, AQueryThatNobodyAnswersWaitsForAllItsCopies) {
  QueryNet net(16);
  net.host.set_filter([&](auto from, auto, Bytes) { return from == net.asker; });
  QueryFinished f = net.Finish({.command = 2, .internal = true});
  EXPECT_EQ(f.replies, 0u);
  EXPECT_GE(f.took, 4s);
  EXPECT_GE(f.timeouts, 10u);
}

TEST(QueryNetTest, DeadNodesDoNotDelayAQueryThatFoundEnough) {
  QueryNet net(60);
  for (uint32_t n = 5; n < 60; n += 5) net.host.Kill(n);
  QueryFinished f = net.Finish({.command = 2, .internal = true});
  EXPECT_EQ(f.closest.size(), 20u);
  EXPECT_LT(f.took, 4s);
  for (const ClosestReply& c : f.closest) EXPECT_TRUE(net.host.up(c.from.host - 0x0a000001));
}

TEST(QueryNetTest, ACancelledQueryLeavesNothingUnderWay) {
  QueryNet net;
  QueryId id{};
  net.In(net.asker, [&](Rpc& rpc, Turn& turn) { id = rpc.StartQuery(turn, {.target = net.target, .command = 2, .internal = true}); });
  EXPECT_GT(net.rpc(net.asker).requests_in_flight(), 0u);
  net.In(net.asker, [&](Rpc& rpc, Turn& turn) { rpc.Cancel(turn, id); });
  EXPECT_EQ(net.rpc(net.asker).requests_in_flight(), 0u);
  net.host.Run(1s);
  auto done = net[net.asker].Of<QueryFinished>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].outcome, QueryOutcome::kCancelled);
  EXPECT_EQ(net.rpc(net.asker).queries_running(), 0u);
}

TEST(QueryNetTest, QueriesBeyondTheLimitAreRefusedByNews) {
  DhtNet net;
  auto n = net.Add({.roots = {{.name = "slow.example", .port = 1}}});
  net.In(n, [](Rpc& rpc, Turn& turn) {
    // The bootstrap query waits for the name as well.
    for (size_t i = 0; i < kQueriesMax + 2; ++i) rpc.StartQuery(turn, {.command = 2, .internal = true});
  });
  net.host.Run(1ms);
  auto done = net[n].Of<QueryFinished>();
  ASSERT_EQ(done.size(), 3u);
  EXPECT_EQ(done[0].outcome, QueryOutcome::kOverload);
}

TEST(QueryNetTest, SeedsAreAskedFirstAndOnlyThemIfSaidSo) {
  QueryNet net;
  std::vector<Contact> seeds;
  for (uint32_t n = 1; n < 6; ++n) {
    Ipv4Address a = Ipv4Address::Of(net.host.address(n).with_port(49737));
    seeds.push_back({a, IdOf(a)});
  }
  QueryFinished f = net.Finish({.command = 2, .internal = true, .seeds = seeds, .only_closest = true});
  EXPECT_EQ(f.requests, 5u);
  EXPECT_EQ(f.closest.size(), 5u);
}

TEST(QueryNetTest, LossAndJitterDoNotKeepAQueryFromEnding) {
  QueryNet net(40, {.jitter = 80ms, .loss_permille = 200});
  QueryFinished f = net.Finish({.command = 2, .internal = true});
  EXPECT_EQ(f.outcome, QueryOutcome::kDone);
  EXPECT_GE(f.closest.size(), 15u);
}

}  // namespace
}  // namespace orchard::dht
