// One swarm, turn by turn: whom it dials and when again, who may come in, which of two connections stays.

#include <gtest/gtest.h>

#include "node/swarm/duplicates.h"
#include "tests/swarm/one_swarm.h"

namespace orchard::swarm {
namespace {

class SwarmPeersTest : public OneSwarm {};

// ---- Peers ----

TEST_F(SwarmPeersTest, DialsThreeAtATimeAndNeverItself) {
  Make();
  Search({0, 1, 2, 3, 4});
  EXPECT_EQ(net_.count("connect"), 3u);
  EXPECT_EQ(net_.last_options.key.public_key, Peer(0));
  EXPECT_EQ(net_.last_options.relay_addresses.size(), 1u);
  Opened(Dialed());
  EXPECT_EQ(net_.count("connect"), 4u);
  ASSERT_EQ(Of<PeerConnected>(news_).size(), 1u);
  EXPECT_EQ(Of<PeerConnected>(news_)[0].topics, std::vector<Key32>{kTopic});
}

TEST_F(SwarmPeersTest, StopsAtThreeQuartersOfItsLimitAndTheDeployedLogicAtTheLimit) {
  auto open = [&](Config config, size_t explicit_peers) {
    Make(config);
    Turn t = Now();
    for (uint32_t i = 0; i < explicit_peers; ++i) EXPECT_TRUE(swarm_->JoinPeer(t, net_, Peer(100 + i), news_));
    Join({.server = false});
    std::vector<uint32_t> peers(80);
    for (uint32_t i = 0; i < 80; ++i) peers[i] = i + 1;
    Found("lookup", peers);
    OpenAll();
    return swarm_->open();
  };
  EXPECT_EQ(open({}, 0), 48u);
  EXPECT_EQ(open({.js_compat = true}, 0), 64u);
  // Each explicit peer is dialled whatever the limit, and the others count for more.
  EXPECT_EQ(open({.js_compat = true}, 1), 32u);
  EXPECT_EQ(open({.js_compat = true}, 2), 22u);
  EXPECT_EQ(open({.js_compat = true}, 4), 16u);
  EXPECT_EQ(open({.max_peers = 4, .js_compat = true}, 4), 4u);
  EXPECT_EQ(open({.max_client_connections = 5}, 0), 5u);
}

TEST_F(SwarmPeersTest, TriesFourTimesWithPatienceAndThenNoMore) {
  Make();
  Search({7});
  Duration least[] = {3'300ms, 9'900ms, 9'900ms}, most[] = {8'650ms, 23'300ms, 23'300ms};
  for (int i = 0; i < 3; ++i) {
    Failed(Dialed());
    Instant before = now_;
    while (net_.count("connect") == size_t(1 + i)) Run(100ms);
    EXPECT_GE(now_ - before, least[i]);
    EXPECT_LE(now_ - before, most[i] + 100ms);
  }
  Failed(Dialed());
  EXPECT_TRUE(swarm_->peers().empty());
  EXPECT_EQ(swarm_->stats().dials, 4u);
}

TEST_F(SwarmPeersTest, AProvenPeerIsDialledAgainInASecond) {
  Make();
  Search({7});
  Opened(Dialed());
  Wait(20s);
  Closed(Dialed());
  ASSERT_EQ(Of<PeerDisconnected>(news_).size(), 1u);
  EXPECT_EQ(Of<PeerDisconnected>(news_)[0].code, ConnectCode::kReset);
  Run(2'700ms);
  EXPECT_EQ(net_.count("connect"), 2u);
}

TEST_F(SwarmPeersTest, NobodyIsDialledAgainOnceTheTopicIsLeft) {
  Make({.max_parallel = 1});
  Search({7, 8, 9});
  Opened(Dialed());
  EXPECT_EQ(net_.count("connect"), 2u);
  Turn t = Now();
  swarm_->Leave(t, net_, kTopic, news_);
  Closed(ConnectionId{net_.calls[1].id});
  Failed(Dialed());
  Run(1h);
  EXPECT_EQ(net_.count("connect"), 2u);
  EXPECT_TRUE(swarm_->peers().empty());
  EXPECT_EQ(swarm_->next_deadline(), kNever);
}

TEST_F(SwarmPeersTest, APeerFoundAgainIsAStrangerAgain) {
  Make({.js_compat = true});
  Search({7});
  for (int i = 0; i < 3; ++i) {
    Failed(Dialed());
    Run(24s);
  }
  ASSERT_EQ(net_.count("connect"), 4u);
  Failed(Dialed());
  Run(12min);
  Found("lookup", {7});
  EXPECT_EQ(net_.count("connect"), 5u);
  EXPECT_EQ(swarm_->peers().begin()->second.attempts, 0u);
}

TEST_F(SwarmPeersTest, AnExplicitPeerIsNeverGivenUp) {
  Make();
  Turn t = Now();
  EXPECT_FALSE(swarm_->JoinPeer(t, net_, Peer(0), news_));  // Ourselves.
  EXPECT_TRUE(swarm_->JoinPeer(t, net_, Peer(7), news_));
  EXPECT_EQ(net_.count("connect"), 1u);
  for (int i = 0; i < 600; ++i) {
    Run(1min);
    if (swarm_->open() < swarm_->links().size()) Failed(Dialed());
  }
  EXPECT_GE(net_.count("connect"), 30u);
  EXPECT_LE(net_.count("connect"), 150u);
  swarm_->LeavePeer(Peer(7));
  size_t n = net_.count("connect");
  Run(1h);
  if (swarm_->open() < swarm_->links().size()) Failed(Dialed());
  Run(1h);
  EXPECT_LE(net_.count("connect"), n + 1);
  EXPECT_TRUE(swarm_->peers().empty());
}

TEST_F(SwarmPeersTest, WhoShallNotReconnectIsDialledOnce) {
  Make();
  Search({7});
  EXPECT_TRUE(swarm_->Reconnect(Peer(7), false));
  EXPECT_FALSE(swarm_->Reconnect(Peer(8), false));
  Failed(Dialed());
  EXPECT_TRUE(swarm_->peers().empty());
}

TEST_F(SwarmPeersTest, WhomTheNodeHoldsOtherwiseIsNotDialled) {
  Make();
  net_.elsewhere.insert(Peer(7));
  Search({7});
  EXPECT_EQ(net_.count("connect"), 0u);
  net_.elsewhere.clear();
  Run(25s);
  EXPECT_EQ(net_.count("connect"), 1u);
}

TEST_F(SwarmPeersTest, AStrangerWhoWaitsMakesRoomForANewOne) {
  Make();
  Join({.server = false});
  std::vector<uint32_t> peers;
  for (uint32_t i = 1; i <= Swarm::kPeersMax + 50; ++i) peers.push_back(i);
  Found("lookup", peers);
  EXPECT_EQ(swarm_->peers().size(), Swarm::kPeersMax);
  EXPECT_EQ(swarm_->stats().forgotten, 50u);
  EXPECT_TRUE(swarm_->peers().contains(Peer(Swarm::kPeersMax + 50)));
  EXPECT_EQ(swarm_->queued() + 3, Swarm::kPeersMax);
  OpenAll();
  Turn t = Now();
  for (auto [id, link] : Swarm::Links(swarm_->links())) swarm_->Disconnect(t, net_, id, news_);
}

// ---- Who may come in ----

TEST_F(SwarmPeersTest, LetsInUntilItIsFullAndTheExplicitEvenThen) {
  Make({.max_peers = 4});
  Join();
  for (uint32_t i = 1; i <= 4; ++i) EXPECT_TRUE(Accept(1000 + i, Peer(i)));
  EXPECT_FALSE(Accept(1005, Peer(5)));
  EXPECT_EQ(swarm_->open(), 4u);
  EXPECT_EQ(swarm_->stats().refused, 1u);
  EXPECT_TRUE(Accept(1006, Peer(4)));  // It has lost the one it had.
  EXPECT_EQ(swarm_->open(), 4u);
  Turn t = Now();
  swarm_->JoinPeer(t, net_, Peer(5), news_);
  Failed(Dialed());
  EXPECT_TRUE(Accept(1007, Peer(5)));
  EXPECT_EQ(swarm_->open(), 5u);
}

TEST_F(SwarmPeersTest, HandshakesThatWereLetInCountBeforeTheyOpen) {
  Make({.max_peers = 2});
  Join();
  Turn t = Now();
  for (uint32_t i = 1; i <= 3; ++i) {
    swarm_->OnKnock(t, net_, {.connection = ConnectionId{1000 + i}, .server = Peer(0), .remote_key = Peer(i)});
  }
  EXPECT_EQ(net_.count("admit"), 2u);
  swarm_->OnFailed(t, net_, {.connection = ConnectionId{1001}, .initiator = false}, news_);
  EXPECT_TRUE(Accept(1004, Peer(4)));
}

TEST_F(SwarmPeersTest, RefusesItselfAndTheBanned) {
  Make();
  Join();
  Turn t = Now();
  EXPECT_FALSE(Accept(1001, Peer(0)));
  EXPECT_TRUE(Accept(1002, Peer(7)));
  EXPECT_TRUE(swarm_->Ban(t, net_, Peer(7), true, news_));
  EXPECT_EQ(net_.last("destroy").id, 1002u);
  EXPECT_EQ(Of<PeerDisconnected>(news_).size(), 1u);
  EXPECT_FALSE(Accept(1003, Peer(7)));
  Listening();
  Found("announce", {7});
  EXPECT_EQ(net_.count("connect"), 0u);
  swarm_->Ban(t, net_, Peer(7), false, news_);
  EXPECT_TRUE(Accept(1004, Peer(7)));
  // One that nobody asked about: the server is another's.
  swarm_->Ban(t, net_, Peer(8), true, news_);
  swarm_->OnOpened(t, net_, {.connection = ConnectionId{1005}, .server = Peer(0), .remote_key = Peer(8)}, news_);
  EXPECT_EQ(net_.last("destroy").id, 1005u);
  for (uint32_t i = 0; swarm_->Ban(t, net_, Peer(1000 + i), true, news_); ++i) ASSERT_LE(i, Swarm::kBansMax);
  EXPECT_EQ(swarm_->stats().banned, Swarm::kBansMax + 1);  // One was forgiven.
}

TEST_F(SwarmPeersTest, ConnectionsOfOthersAreLeftAlone) {
  Make();
  Join();
  Turn t = Now();
  swarm_->OnKnock(t, net_, {.connection = ConnectionId{1001}, .server = Peer(9), .remote_key = Peer(1)});
  swarm_->OnOpened(t, net_, {.connection = ConnectionId{1001}, .server = Peer(9), .remote_key = Peer(1)}, news_);
  swarm_->OnOpened(t, net_, {.connection = ConnectionId{1002}, .initiator = true, .remote_key = Peer(1)}, news_);
  swarm_->OnClosed(t, net_, {.connection = ConnectionId{1002}, .remote_key = Peer(1)}, news_);
  swarm_->Disconnect(t, net_, ConnectionId{1001}, news_);
  EXPECT_EQ(net_.Take(), Calls{"listen"});
  EXPECT_TRUE(news_.empty());
}

TEST_F(SwarmPeersTest, ForgetsWhatOthersOfItsNodeDestroyed) {
  Make({.max_peers = 2});
  Turn t = Now();
  Join();
  swarm_->JoinPeer(t, net_, Peer(7), news_);
  Opened(Dialed());
  swarm_->OnKnock(t, net_, {.connection = ConnectionId{1001}, .server = Peer(0), .remote_key = Peer(1)});
  EXPECT_FALSE(Accept(1002, Peer(2)));
  net_.gone = {Dialed(), ConnectionId{1001}};
  swarm_->OnDestroyed(t, net_, news_);
  ASSERT_EQ(Of<PeerDisconnected>(news_).size(), 1u);
  EXPECT_TRUE(Accept(1002, Peer(2)));
  EXPECT_TRUE(Accept(1003, Peer(3)));
  Run(3s);
  EXPECT_EQ(net_.count("connect"), 2u);  // The explicit one is dialled again.
}

// ---- Duplicates ----

TEST_F(SwarmPeersTest, TheDialOfTheGreaterKeyStays) {
  for (bool greater : {false, true}) {
    for (bool opened : {false, true}) {
      net_.calls.clear(), net_.Take();
      Make();
      Turn t = Now();
      Join();
      swarm_->JoinPeer(t, net_, Other(greater), news_);
      ConnectionId ours = Dialed();
      if (opened) Opened(ours);
      EXPECT_TRUE(Accept(1001, Other(greater)));
      ASSERT_EQ(swarm_->links().size(), 1u);
      EXPECT_EQ(swarm_->links().begin()->first, greater ? ConnectionId{1001} : ours);
      EXPECT_EQ(net_.last("destroy").id, greater ? uint32_t(ours) : 1001u);
      EXPECT_EQ(net_.count("keepalive"), greater ? 0u : 1u);
      EXPECT_EQ(swarm_->stats().duplicates, 1u);
      Run(1min);
      EXPECT_EQ(net_.count("connect"), 1u);  // It is not dialled again beside it.
    }
  }
}

TEST_F(SwarmPeersTest, ALaterConnectionIsTheLinkAndTheEarlierStaysUntilItEnds) {
  for (bool greater : {false, true}) {
    net_.calls.clear(), net_.Take();
    Make();
    Turn t = Now();
    Join();
    swarm_->JoinPeer(t, net_, Other(greater), news_);
    const ConnectionId ours = Dialed();
    Opened(ours);
    Wait(kCrossingMax);
    EXPECT_TRUE(swarm_->IsOnly(ours));
    for (uint32_t id : {1001u, 1002u}) {
      EXPECT_TRUE(Accept(id, Other(greater)));
      EXPECT_EQ(swarm_->links().begin()->first, ConnectionId{id});
      EXPECT_FALSE(swarm_->IsOnly(ConnectionId{id}));
      EXPECT_EQ(swarm_->open(), 1u);
    }
    EXPECT_EQ(net_.count("destroy"), 0u);
    EXPECT_EQ(net_.count("keepalive"), 2u);  // The earlier may be dead.
    // Their ends lead back to the first, whichever way round.
    Closed(ConnectionId{1001}, Other(greater));
    EXPECT_EQ(swarm_->links().begin()->first, ConnectionId{1002});
    Closed(ConnectionId{1002}, Other(greater));
    ASSERT_EQ(swarm_->open(), 1u);
    EXPECT_EQ(swarm_->links().begin()->first, ours);
    EXPECT_TRUE(swarm_->links().begin()->second.initiator && swarm_->IsOnly(ours));
    Closed(ours, Other(greater));
    EXPECT_EQ(swarm_->open(), 0u);
    Run(30s);
    EXPECT_EQ(net_.count("connect"), 2u);  // Only now it is dialled again.
  }
}

TEST_F(SwarmPeersTest, ASecondConnectionThatIsAwaitedStaysBesideAYoungOne) {
  for (bool greater : {false, true}) {
    net_.calls.clear(), net_.Take();
    Make();
    Turn t = Now();
    Join();
    swarm_->JoinPeer(t, net_, Other(greater), news_);
    const ConnectionId ours = Dialed();
    Opened(ours);
    net_.is_awaited = true;
    EXPECT_TRUE(Accept(1001, Other(greater)));
    EXPECT_EQ(net_.count("destroy"), 0u);
    EXPECT_EQ(swarm_->links().begin()->first, greater ? ConnectionId{1001} : ours);
    Closed(greater ? ours : ConnectionId{1001}, Other(greater));
    EXPECT_EQ(swarm_->open(), 1u);
  }
}

TEST_F(SwarmPeersTest, TheDeployedLogicEndsTheEarlierConnection) {
  Make({.js_compat = true});
  Join();
  EXPECT_TRUE(Accept(1001, Peer(3)));
  EXPECT_TRUE(Accept(1002, Peer(3)));
  EXPECT_EQ(net_.last("destroy").id, 1001u);
}

TEST_F(SwarmPeersTest, WhoKnocksAfterOurDialOpenedWantsAnother) {
  for (bool greater : {false, true}) {
    for (Duration after : {500ms, 2000ms}) {  // Crossing; and knowing of it.
      net_.calls.clear(), net_.Take();
      Make();
      Join();
      const Key32 peer = Other(greater);
      Turn t = Now();
      swarm_->JoinPeer(t, net_, peer, news_);
      Opened(Dialed());
      Run(after);
      ASSERT_TRUE(Accept(1001, peer));
      EXPECT_EQ(net_.count("destroy"), after == 500ms ? 1u : 0u) << greater;
      EXPECT_EQ(swarm_->open(), 1u);
    }
  }
}

TEST_F(SwarmPeersTest, WhatAPipeWaitsForComesInWhileOurOwnDialIsUnderWay) {
  for (bool greater : {false, true}) {
    net_.calls.clear(), net_.Take();
    Make();
    Join();
    const Key32 peer = Other(greater);
    Turn t = Now();
    swarm_->JoinPeer(t, net_, peer, news_);
    const ConnectionId dial = Dialed();
    net_.is_awaited = true;
    ASSERT_TRUE(Accept(1001, peer));
    EXPECT_TRUE(net_.exists(ConnectionId{1001}));
    if (net_.exists(dial)) Failed(dial);  // The other takes its place.
    EXPECT_EQ(swarm_->open(), 1u);
    net_.is_awaited = false;
  }
}

TEST_F(SwarmPeersTest, SecondConnectionsAreBoundedAndGoWithTheirPeer) {
  for (const char* how : {"ban", "suspend"}) {
    net_.calls.clear(), net_.Take();
    Make();
    Join();
    for (uint32_t i = 0; i <= Swarm::kGuestsMax; ++i) ASSERT_TRUE(Accept(1000 + i, Peer(3)));
    EXPECT_EQ(net_.count("destroy"), 0u);  // Each may carry somebody's pipe.
    ASSERT_TRUE(Accept(2000, Peer(3)));
    EXPECT_EQ(net_.last("destroy").id, 2000u);  // One too many.
    Turn t = Now();
    if (how == std::string("ban")) swarm_->Ban(t, net_, Peer(3), true, news_);
    else swarm_->Suspend(t, net_, news_);
    EXPECT_EQ(net_.count("destroy"), Swarm::kGuestsMax + 2);
    EXPECT_EQ(swarm_->open(), 0u);
  }
}

TEST_F(SwarmPeersTest, WhatOthersDestroyedDoesNotTakeTheLinksPlace) {
  Make();
  Join();
  for (uint32_t id : {1001u, 1002u, 1003u}) EXPECT_TRUE(Accept(id, Peer(3)));
  net_.gone = {ConnectionId{1002}, ConnectionId{1003}};
  Turn t = Now();
  swarm_->OnDestroyed(t, net_, news_);
  ASSERT_EQ(swarm_->open(), 1u);
  EXPECT_TRUE(swarm_->IsOnly(ConnectionId{1001}));
}

// ---- Relays ----

TEST_F(SwarmPeersTest, RelaysAtOnceWhereItKnowsThatPunchingFails) {
  Make({.relay_through = Peer(50)});
  Search({7});
  EXPECT_EQ(net_.last_options.relay_through, Peer(50));
  EXPECT_EQ(net_.last_options.relay_policy, RelayPolicy::kFallback);
  Failed(Dialed(), ConnectCode::kTimedOut);
  Run(9s);
  EXPECT_EQ(net_.last_options.relay_policy, RelayPolicy::kFallback);
  Failed(Dialed(), ConnectCode::kCannotHolepunch);
  EXPECT_EQ(swarm_->peers().begin()->second.attempts, 1u);
  Run(9s);
  ASSERT_EQ(net_.count("connect"), 3u);
  EXPECT_EQ(net_.last_options.relay_policy, RelayPolicy::kAlways);
}

TEST_F(SwarmPeersTest, TheDeployedLogicRelaysIfForcedOrBehindARandomNat) {
  Make({.relay_through = Peer(50), .js_compat = true});
  Search({7});
  EXPECT_FALSE(net_.last_options.relay_through.has_value());
  Failed(Dialed(), ConnectCode::kHolepunchAborted);
  Run(9s);
  EXPECT_EQ(net_.last_options.relay_policy, RelayPolicy::kAlways);
  net_.is_randomized = true;
  Found("lookup", {});
  Join({.server = false}, Peer(60));
  Found("lookup", {8});
  EXPECT_TRUE(net_.last("connect").flag);
}

}  // namespace
}  // namespace orchard::swarm
