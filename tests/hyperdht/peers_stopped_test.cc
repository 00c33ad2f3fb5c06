// A process that is stopped for a while (SIGSTOP, a suspended machine, one that starves) keeps its connections if the silence was
// shorter than PeersConfig::silence_max, whichever side it is and whatever was under way.
#include <gtest/gtest.h>

#include "tests/support/peers_fixture.h"

namespace orchard::hyperdht {
namespace {

class StoppedTest : public PunchPeersTest {
 protected:
  static constexpr size_t kMessages = 200, kBytes = 20'000;
  void Build(Nat at_client, Nat at_server) {
    net.AddRoots();
    server = Server(at_server), client = Client(at_client);
    c = net.Connect(client, 1);
    ASSERT_TRUE(Opens(client, c, 10s));
    net.host.Run(21s);  // Both have heard keep-alives.
  }
  // Bytes are on their way while `who` is stopped for so long, and more are written meanwhile.
  void Stop(PeerNet::NodeIndex who, Duration how_long, bool deaf_first = false) {
    for (size_t i = 0; i < kMessages / 2; ++i) net.Send(client, c, std::string(kBytes, char('a' + i % 26)));
    net.host.Run(100ms);
    ASSERT_LT(net[server].messages[ConnectionId{1}].size(), kMessages / 2);
    net.host.Freeze(who);
    net.host.Run(how_long);
    net.host.Thaw(who, deaf_first);
  }
  // The client says a word and is stopped before the answer comes, 4.8 s after the last keep-alive: when it goes on,
  // silence_max is over for it, and for the server not.
  void ListenToTheEnd(bool deaf_first) {
    net.host.Run(3800ms);
    net.Send(client, c, "x");
    net.host.Freeze(client);
    net.host.Run(16s);
    ASSERT_TRUE(net[server].Of<ConnectionClosed>().empty());
    net.host.Thaw(client, deaf_first);
    net.host.Run(60s);
  }
  void ExpectNothingLost() {
    for (size_t i = 0; i < kMessages / 2; ++i) net.Send(client, c, std::string(kBytes, char('A' + i % 26)));
    EXPECT_TRUE(net.host.RunUntil([&] { return net[server].messages[ConnectionId{1}].size() == kMessages; }, 60s));
    net.host.Run(60s);
    EXPECT_TRUE(net.Open(client, c));
    EXPECT_EQ(net[server].Of<ConnectionOpened>().size(), 1u);
    EXPECT_TRUE(net[server].Of<ConnectionClosed>().empty());
    EXPECT_TRUE(net[client].Of<ConnectionClosed>().empty());
  }
};

TEST_F(StoppedTest, AReceiverThatWasStoppedForTwelveSecondsGoesOn) {
  Build(Nat::kConsistent, Nat::kConsistent);
  Stop(server, 12s);
  ExpectNothingLost();
}

TEST_F(StoppedTest, AReceiverThatWasStoppedForNearlyTheLongestSilenceGoesOn) {
  Build(Nat::kConsistent, Nat::kConsistent);
  Stop(server, 19s);
  ExpectNothingLost();
}

TEST_F(StoppedTest, ASenderThatWasStoppedForTwelveSecondsGoesOn) {
  Build(Nat::kConsistent, Nat::kConsistent);
  Stop(client, 12s);
  ExpectNothingLost();
}

TEST_F(StoppedTest, ASenderThatWasStoppedForNearlyTheLongestSilenceGoesOn) {
  Build(Nat::kConsistent, Nat::kConsistent);
  Stop(client, 19s);
  ExpectNothingLost();
}

TEST_F(StoppedTest, OpenPeersGoOnToo) {
  Build(Nat::kNone, Nat::kNone);
  Stop(server, 19s);
  ExpectNothingLost();
}

// What the other side said meanwhile is heard before any timer speaks: else it would be gone for good although it is there.
TEST_F(StoppedTest, NobodyIsGivenUpWhoseWordsLieUnread) {
  Build(Nat::kConsistent, Nat::kConsistent);
  ListenToTheEnd(/*deaf_first=*/false);
  EXPECT_TRUE(net.Open(client, c));
  EXPECT_TRUE(net[client].Of<ConnectionClosed>().empty());
}

// That is what the order is for: this is what happened with timers first.
TEST_F(StoppedTest, WhoeverBelievesItsTimersFirstGivesUpAPeerThatIsThere) {
  Build(Nat::kConsistent, Nat::kConsistent);
  ListenToTheEnd(/*deaf_first=*/true);
  EXPECT_EQ(net.Code(client, c), ConnectCode::kTimedOut);
}

// A peer that is gone is noticed nevertheless.
TEST_F(StoppedTest, WhoeverStaysStoppedIsGivenUp) {
  Build(Nat::kConsistent, Nat::kConsistent);
  for (size_t i = 0; i < 10; ++i) net.Send(client, c, std::string(kBytes, 'x'));
  net.host.Freeze(server);
  net.host.Run(18s);
  EXPECT_TRUE(net.Open(client, c));
  net.host.Run(4s);
  EXPECT_EQ(net.Code(client, c), ConnectCode::kTimedOut);
}

// Whoever has said its last word has nothing more to send that would go unanswered, and the other side, as long as it is busy,
// sends no keep-alive: so it must ask.
class EndedTest : public StoppedTest {
 protected:
  void Begin(PeerNet::PeerOptions at_client, Nat at_server) {
    net.AddRoots();
    server = Server(at_server), client = Client(at_client);
    c = net.Connect(client, 1);
    ASSERT_TRUE(Opens(client, c, 10s));
    net.Send(client, c, "x");
    ASSERT_TRUE(net.host.RunUntil([&] { return !net[server].messages[ConnectionId{1}].empty(); }, 5s));
    net[client].end_back = false;
    net.In(server, [](Dht& d, Turn& t, News&) { d.peers().End(t, ConnectionId{1}); });
  }
  // A word each second, until `who` is stopped for so long.
  void Talk(PeerNet::NodeIndex who, int seconds, Duration how_long) {
    for (int i = 0; i < seconds; ++i) net.Send(client, c, std::string(kBytes, 'y')), net.host.Run(1s);
    net.host.Freeze(who);
    net.host.Run(how_long);
  }
  void ExpectNoticed(int seconds) {
    Begin(Nat::kConsistent, Nat::kConsistent);
    Talk(client, seconds, 18s);
    EXPECT_TRUE(net.Open(server, ConnectionId{1}));
    net.host.Run(3s);
    EXPECT_EQ(net.Code(server, ConnectionId{1}), ConnectCode::kTimedOut);
  }
};

TEST_F(EndedTest, AReaderNoticesThatItsWriterIsGone) { ExpectNoticed(0); }
TEST_F(EndedTest, AReaderNoticesThatItsBusyWriterIsGone) { ExpectNoticed(30); }
TEST_F(EndedTest, AReaderThatTakesNothingNoticesItToo) {
  net.AddRoots();
  server = Server(Nat::kNone), client = Client(Nat::kNone);
  net[server].consume = false;
  c = net.Connect(client, 1);
  ASSERT_TRUE(Opens(client, c, 10s));
  net.In(server, [](Dht& d, Turn& t, News&) { d.peers().End(t, ConnectionId{1}); });
  for (int i = 0; i < 1000; ++i) net.Send(client, c, std::string(kBytes, 'z'));  // More than its window.
  net.host.Run(3s);
  net.host.Freeze(client);
  net.host.Run(26s);
  EXPECT_EQ(net.Code(server, ConnectionId{1}), ConnectCode::kTimedOut);
}

// As a node without keep-alives would be. What asks it below is answered.
TEST_F(EndedTest, AWriterThatIsOnlySilentIsKept) {
  PeerNet::PeerOptions silent = Nat::kConsistent;
  silent.peers.keep_alive = {}, silent.peers.silence_max = {};
  Begin(silent, Nat::kConsistent);
  net.host.Run(120s);
  EXPECT_TRUE(net.Open(server, ConnectionId{1}));
  EXPECT_TRUE(net.Open(client, c));
}

TEST_F(EndedTest, AReaderThatWasStoppedForTwelveSecondsGoesOn) {
  Begin(Nat::kNone, Nat::kNone);
  Talk(server, 1, 12s);
  net.host.Thaw(server);
  Talk(client, 30, 1s);
  EXPECT_TRUE(net.Open(server, ConnectionId{1}));
  EXPECT_TRUE(net.Open(client, c));
  EXPECT_EQ(net[server].messages[ConnectionId{1}].size(), 32u);
}

}  // namespace
}  // namespace orchard::hyperdht
