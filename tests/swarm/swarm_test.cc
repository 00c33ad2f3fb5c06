// One swarm, turn by turn: its topics, and the swarm as a whole.

#include <gtest/gtest.h>

#include "tests/swarm/one_swarm.h"

namespace orchard::swarm {
namespace {

class SwarmTest : public OneSwarm {};

// ---- Topics ----

TEST_F(SwarmTest, AServerListensBeforeItAnnouncesAndClearsOnlyOnce) {
  Make();
  Join();
  EXPECT_EQ(net_.Take(), Calls{"listen"});
  EXPECT_TRUE(net_.last("listen").flag);  // It asks who may come in.
  Listening();
  EXPECT_EQ(net_.Take(), Calls{"announce"});
  EXPECT_TRUE(net_.last("announce").flag);
  Ended("announce");
  ASSERT_EQ(Of<TopicRefreshed>(news_).size(), 1u);
  EXPECT_EQ(Of<TopicRefreshed>(news_)[0].outcome, Outcome::kOk);
  EXPECT_EQ(Of<TopicRefreshed>(news_)[0].nodes, 20u);
  Run(12min);
  EXPECT_FALSE(net_.last("announce").flag);
  EXPECT_EQ(net_.count("listen"), 1u);
}

TEST_F(SwarmTest, AServerThatCannotBeFoundYetSearchesAfterTenSecondsAllTheSame) {
  Make();
  Join();
  Run(10s);
  EXPECT_EQ(net_.Take(), (Calls{"listen", "announce"}));
  Make({.js_compat = true});
  Join();
  Run(10s);
  EXPECT_EQ(net_.Take(), Calls{"listen"});
}

TEST_F(SwarmTest, SearchesAgainAfterTenToTwelveMinutes) {
  Make({.js_compat = true});
  Search({});
  Run(10min - 1ms);
  EXPECT_EQ(net_.count("lookup"), 1u);
  Run(2min + 1ms);
  EXPECT_EQ(net_.count("lookup"), 2u);
}

TEST_F(SwarmTest, TheRefreshIsConfigurable) {
  Make({.refresh = 10h});
  Search({7});
  Opened(Dialed());
  Run(9h);
  EXPECT_EQ(net_.count("lookup"), 2u);  // The one after the Join.
}

TEST_F(SwarmTest, WhoWakesFromASleepWaitsAMomentFirst) {
  Make({.js_compat = true});
  Search({});
  Wait(3h);
  Turn t = Now();
  swarm_->OnTime(t, net_, news_);
  EXPECT_EQ(net_.count("lookup"), 1u);
  EXPECT_LE(swarm_->next_deadline(), now_ + 2min + 1ns);
  Run(2min + 1ns);
  EXPECT_EQ(net_.count("lookup"), 2u);
}

TEST_F(SwarmTest, ASearchThatFailsIsRepeatedSoonerAndSooner) {
  Make();
  Join({.server = false});
  Ended("lookup", Outcome::kOffline);
  EXPECT_EQ(Of<TopicRefreshed>(news_)[0].outcome, Outcome::kOffline);
  std::vector<Duration> waits;
  for (int i = 0; i < 10; ++i) {
    Instant before = now_;
    size_t n = net_.count("lookup");
    while (net_.count("lookup") == n) Run(1s);
    waits.push_back(now_ - before);
    Ended("lookup", Outcome::kOffline);
  }
  EXPECT_LE(waits[0], 8500ms);
  for (size_t i = 1; i < 6; ++i) EXPECT_GT(waits[i], waits[i - 1]);
  EXPECT_GE(waits[9], 10min);
  EXPECT_LE(waits[9], 12min + 1s);
}

TEST_F(SwarmTest, WhoLosesHisLastPeerSearchesSoon) {
  Make();
  Search({7});
  Opened(Dialed());
  Run(1min);
  Ended("lookup");  // The repetition after a Join.
  Run(1min);
  ASSERT_EQ(net_.count("lookup"), 2u);
  Closed(ConnectionId{swarm_->links().begin()->first});
  Run(45s);
  EXPECT_EQ(net_.count("lookup"), 3u);
}

TEST_F(SwarmTest, AnotherModeCancelsTheSearchThatRuns) {
  Make();
  SessionId client = Join({.server = false});
  EXPECT_EQ(net_.Take(), Calls{"lookup"});
  Join({.server = true, .client = false});
  EXPECT_EQ(net_.Take(), (Calls{"listen", "cancel"}));
  Listening();
  EXPECT_EQ(net_.Take(), Calls{"announce"});
  Join({.server = true, .client = false});  // Nothing new.
  EXPECT_EQ(net_.Take(), Calls{});
  Turn t = Now();
  EXPECT_FALSE(swarm_->Change(t, net_, client, {.server = false, .client = false}));
  EXPECT_FALSE(swarm_->Change(t, net_, SessionId{99}, {}));
  EXPECT_EQ(swarm_->Join(t, net_, kTopic, {.server = false, .client = false}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SwarmTest, WhoIsNoServerAnyMoreTakesTheAnnouncementBackAndGoesOnSearching) {
  Make();
  SessionId server = Join();
  Join({.server = false});
  Listening();
  Ended("announce");
  net_.Take();
  Turn t = Now();
  EXPECT_TRUE(swarm_->End(t, net_, server, news_));
  EXPECT_EQ(net_.Take(), (Calls{"unannounce", "lookup"}));
  Ended("unannounce");
  Ended("lookup");
  Run(13min);
  EXPECT_EQ(net_.count("unannounce"), 1u);
  EXPECT_TRUE(Of<TopicLeft>(news_).empty());
}

TEST_F(SwarmTest, LeavingTakesTheAnnouncementBackOnce) {
  Make();
  Join();
  Join({.client = false});
  Listening();
  Ended("announce");
  net_.Take();
  Turn t = Now();
  EXPECT_TRUE(swarm_->Leave(t, net_, kTopic, news_));
  EXPECT_FALSE(swarm_->Leave(t, net_, kTopic, news_));
  EXPECT_EQ(net_.Take(), Calls{"unannounce"});
  EXPECT_TRUE(Of<TopicLeft>(news_).empty());
  Ended("unannounce", Outcome::kOk, 17);
  ASSERT_EQ(Of<TopicLeft>(news_).size(), 1u);
  EXPECT_EQ(Of<TopicLeft>(news_)[0].nodes, 17u);
  EXPECT_TRUE(swarm_->topics().empty());
  EXPECT_EQ(swarm_->next_deadline(), kNever);
}

TEST_F(SwarmTest, AClientLeavesAtOnce) {
  Make();
  SessionId id = Join({.server = false});
  Turn t = Now();
  EXPECT_TRUE(swarm_->End(t, net_, id, news_));
  EXPECT_EQ(net_.Take(), (Calls{"lookup", "cancel"}));
  EXPECT_EQ(Of<TopicLeft>(news_).size(), 1u);
  EXPECT_FALSE(swarm_->End(t, net_, id, news_));
}

TEST_F(SwarmTest, WhoJoinsAgainWhileLeavingAnnouncesAfterwards) {
  Make();
  Join();
  Listening();
  Ended("announce");
  Turn t = Now();
  swarm_->Leave(t, net_, kTopic, news_);
  net_.Take();
  Join();
  EXPECT_EQ(net_.Take(), Calls{});
  Ended("unannounce");
  EXPECT_EQ(net_.Take(), Calls{"announce"});
  EXPECT_TRUE(net_.last("announce").flag);
  EXPECT_EQ(Of<TopicLeft>(news_).size(), 1u);
  EXPECT_EQ(swarm_->topics().size(), 1u);
}

TEST_F(SwarmTest, ALimitBoundsTheNewPeersOfASearch) {
  auto dialled = [&](bool js_compat) {
    net_.calls.clear(), net_.Take();
    Make({.max_parallel = 10, .js_compat = js_compat});
    Join({.server = false, .limit = 3});
    Found("lookup", {1, 2, 3, 4, 5});
    OpenAll();
    Ended("lookup");
    EXPECT_EQ(net_.count("connect"), 3u);
    while (net_.count("lookup") == 1) Run(1min);
    Found("lookup", {5, 4, 3, 2, 1});
    return net_.count("connect");
  };
  EXPECT_EQ(dialled(false), 3u);
  EXPECT_EQ(dialled(true), 5u);  // The deployed logic forgets whom it dialled.
}

TEST_F(SwarmTest, AServerThatIsNoClientDialsNobody) {
  Make();
  Join({.client = false});
  Listening();
  Found("announce", {1, 2});
  EXPECT_EQ(net_.count("connect"), 0u);
  EXPECT_TRUE(swarm_->peers().empty());
}

TEST_F(SwarmTest, JoinsNoMoreThanItsBounds) {
  Make();
  for (uint32_t i = 0; i < Swarm::kTopicsMax; ++i) Join({.server = false}, Peer(i));
  Turn t = Now();
  EXPECT_EQ(swarm_->Join(t, net_, kTopic, {.server = false}).status().code(), absl::StatusCode::kResourceExhausted);
  while (swarm_->Join(t, net_, Peer(0), {.server = false}).ok()) continue;
  for (uint32_t i = 0; i < Swarm::kTopicsMax; ++i) EXPECT_TRUE(swarm_->Leave(t, net_, Peer(i), news_));
  EXPECT_EQ(swarm_->next_deadline(), kNever);
}

// ---- The whole ----

TEST_F(SwarmTest, AnotherNetworkProvesConnectionsAndSearchesAllTopics) {
  Make();
  Search({7, 8});
  Opened(ConnectionId{net_.calls[1].id});
  Join({.server = false}, Peer(60));
  Ended("lookup");
  net_.Take();
  Turn t = Now();
  swarm_->OnNetworkUpdate(t, net_, true);  // It was online.
  EXPECT_EQ(net_.Take(), Calls{});
  swarm_->OnNetworkUpdate(t, net_, false);
  EXPECT_EQ(net_.Take(), Calls{});
  swarm_->OnNetworkUpdate(t, net_, true);
  EXPECT_EQ(net_.Take(), (Calls{"keepalive", "lookup", "lookup"}));
  swarm_->OnNetworkChanged(t, net_);
  EXPECT_EQ(net_.Take(), Calls{"keepalive"});  // Both searches run already.
}

TEST_F(SwarmTest, FlushWaitsForTheSearchAndForOneTryOfEachWhoWaits) {
  Make({.max_parallel = 2});
  Join({.server = false});
  FlushId first = swarm_->Flush(news_);
  Found("lookup", {1, 2, 3});
  Ended("lookup");
  FlushId second = swarm_->Flush(news_);
  EXPECT_TRUE(Of<Flushed>(news_).empty());
  Opened(ConnectionId{net_.calls[1].id});
  Failed(ConnectionId{net_.calls[2].id});
  EXPECT_TRUE(Of<Flushed>(news_).empty());
  Opened(ConnectionId{net_.calls[3].id});
  std::vector<Flushed> done = Of<Flushed>(news_);
  ASSERT_EQ(done.size(), 2u);
  EXPECT_TRUE(done[0].flush == first && done[0].ok);
  EXPECT_TRUE(done[1].flush == second && done[1].ok);
  swarm_->Flush(news_);  // Nothing waits.
  EXPECT_EQ(Of<Flushed>(news_).size(), 3u);
}

TEST_F(SwarmTest, FlushDoesNotWaitForWhomItWillNotDial) {
  Make({.max_peers = 4});
  Join({.server = false});
  Found("lookup", {1, 2, 3, 4, 5, 6});
  swarm_->Flush(news_);
  Ended("lookup");
  OpenAll();
  ASSERT_EQ(Of<Flushed>(news_).size(), 1u);
  EXPECT_GT(swarm_->queued(), 0u);
}

TEST_F(SwarmTest, FlushesAreBoundedAndEndWithTheSwarm) {
  Make();
  Join({.server = false});
  for (size_t i = 0; i < Swarm::kFlushesMax; ++i) swarm_->Flush(news_);
  EXPECT_TRUE(news_.empty());
  swarm_->Flush(news_);
  ASSERT_EQ(Of<Flushed>(news_).size(), 1u);
  EXPECT_FALSE(Of<Flushed>(news_)[0].ok);
  Turn t = Now();
  swarm_->Suspend(t, net_, news_);
  EXPECT_EQ(Of<Flushed>(news_).size(), Swarm::kFlushesMax + 1);
}

TEST_F(SwarmTest, ASuspendedSwarmIsSilent) {
  Make();
  Join();
  Listening();
  Found("announce", {1, 2, 3, 4, 5});
  Ended("announce");
  Opened(ConnectionId{net_.last("connect").id});
  Accept(1001, Peer(20));
  Turn t = Now();
  swarm_->OnKnock(t, net_, {.connection = ConnectionId{1002}, .server = Peer(0), .remote_key = Peer(21)});
  net_.Take();
  swarm_->Suspend(t, net_, news_);
  EXPECT_EQ(net_.count("unannounce"), 1u);
  EXPECT_EQ(net_.count("unlisten"), 1u);
  EXPECT_EQ(net_.count("destroy"), 4u + 1 + 1);
  EXPECT_EQ(Of<PeerDisconnected>(news_).size(), 2u);
  EXPECT_TRUE(swarm_->links().empty());
  EXPECT_EQ(swarm_->queued(), 0u);
  EXPECT_EQ(swarm_->next_deadline(), kNever);
  net_.Take();
  swarm_->OnNetworkChanged(t, net_);
  Join({.server = false}, Peer(60));
  EXPECT_FALSE(Accept(1003, Peer(22)));
  EXPECT_EQ(net_.Take(), Calls{"refuse"});
  swarm_->Resume(t, net_, news_);
  EXPECT_EQ(net_.Take(), (Calls{"listen", "lookup"}));
  Ended("unannounce");  // It was under way; the topic waited for it.
  Listening();
  EXPECT_EQ(net_.Take(), Calls{"announce"});
  Found("announce", {1, 2});
  EXPECT_EQ(net_.count("connect"), 4u + 2);  // Those who were queued then can be queued again.
  EXPECT_TRUE(Of<TopicLeft>(news_).empty());
}

}  // namespace
}  // namespace orchard::swarm
