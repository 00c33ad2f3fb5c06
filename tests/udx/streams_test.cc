// One Streams against crafted packets: what is refused, what is bounded, and when timers fire.

#include "node/udx/streams.h"

#include <gtest/gtest.h>

#include "tests/udx/bench_machine.h"

namespace orchard::udx {
namespace {

const Endpoint kPeer = Endpoint::V4(0x0a000002, 7);
constexpr SocketId kSocket{1}, kOther{2};
constexpr uint32_t kWindow = 4u << 20;

struct Connected : StreamsBench {
  explicit Connected(const StreamsConfig& config = {}, const StreamOptions& options = {}) : StreamsBench(config) {
    Run([&](Turn& t, News&) {
      id = streams.Create(t, options);
      streams.Connect(t, id, kSocket, kPeer, 11);
    });
  }
  std::string Packet(uint8_t type, uint32_t seq, uint32_t ack, std::string_view payload = "", uint32_t window = kWindow) {
    return std::string(AsText(WriteHeader({type, 0, uint32_t(id), window, seq, ack}))) + std::string(payload);
  }
  std::string Sack(uint32_t ack, std::vector<SeqRange> blocks) {
    std::string bytes;
    for (const SeqRange& r : blocks) {
      for (uint32_t x : {r.start, r.end}) {
        for (int i = 0; i < 4; ++i) bytes.push_back(char(x >> (8 * i)));
      }
    }
    return Packet(kSack, 0, ack, bytes);
  }
  void Get(uint8_t type, uint32_t seq, uint32_t ack, std::string_view payload = "", uint32_t window = kWindow) {
    Receive(kPeer, Packet(type, seq, ack, payload, window));
  }
  void Write(std::string bytes) {
    Run([&](Turn& t, News&) { streams.Write(t, id, std::move(bytes)); });
  }
  std::vector<Duration> SentAt(Duration during) {
    std::vector<Duration> at;
    const Instant from = now, until = now + during;
    TakeSent();
    while (streams.exists(id) && streams.next_deadline() <= until) {
      Wait(streams.next_deadline() - now);
      for (size_t i = TakeSent().size(); i > 0; --i) at.push_back(now - from);
    }
    now = until;
    return at;
  }
  StreamId id{};
};

TEST(StreamsTest, APacketThatIsNeverAnsweredGoesAtTheRecordedTimesAndEndsAfterThirteenSeconds) {
  Connected b;
  b.Write("hi");
  ASSERT_EQ(b.TakeSent().size(), 1u);
  EXPECT_EQ(b.SentAt(12900ms), (std::vector<Duration>{1s, 3s, 5s, 7s, 9s, 11s}));
  EXPECT_TRUE(b.streams.exists(b.id));
  b.Wait(200ms);
  EXPECT_EQ(b.TakeEvents(), (std::vector<std::string>{"close timed-out"}));
  EXPECT_TRUE(b.TakeSent().empty());
  EXPECT_EQ(b.streams.next_deadline(), kNever);
  EXPECT_FALSE(b.streams.uses(kSocket));
}

TEST(StreamsTest, ALostTailIsProbedAfterTwoRoundTrips) {
  Connected b;
  b.Write("a");
  b.Wait(30ms);
  b.Get(0, 0, 1);
  b.Write("b");
  b.TakeSent();
  EXPECT_EQ(b.SentAt(100ms), (std::vector<Duration>{62ms}));  // 2 · 30 ms, and 2 ms since it stands alone.
  EXPECT_EQ(b.streams.stats(b.id).retransmits, 1u);
  EXPECT_EQ(b.streams.stats(b.id).timeouts, 0u);
}

TEST(StreamsTest, AHeartbeatGoesOutWheneverNothingHappensForSoLong) {
  Connected b;
  b.Run([&](Turn& t, News&) { b.streams.SetKeepAlive(t, b.id, 100ms); });
  EXPECT_EQ(b.SentAt(350ms), (std::vector<Duration>{100ms, 200ms, 300ms}));
  b.Write("x");  // Something is outstanding: the time-out watches over it.
  b.TakeSent();
  EXPECT_EQ(b.SentAt(900ms), (std::vector<Duration>{}));
  b.Get(0, 0, 1);
  EXPECT_EQ(b.SentAt(250ms), (std::vector<Duration>{100ms, 200ms}));
  b.Run([&](Turn& t, News&) { b.streams.SetKeepAlive(t, b.id, 0ms); });
  EXPECT_EQ(b.SentAt(500ms), (std::vector<Duration>{}));
}

TEST(StreamsTest, FirstCopiesOfBytesAreDurableAndNothingElseIs) {
  Connected b;
  b.Run([&](Turn& t, News&) { b.streams.SendMessage(t, b.id, AsBytes("m")); });
  EXPECT_EQ(b.TakeSent().at(0).gate, Gate::kNone);
  b.Write("x");
  EXPECT_EQ(b.TakeSent().at(0).gate, Gate::kDurable);
  b.Wait(1s);
  EXPECT_EQ(b.TakeSent().at(0).gate, Gate::kNone);  // Again.
  b.Get(kData, 0, 0, "y");
  EXPECT_EQ(b.TakeSent().at(0).gate, Gate::kNone);
  b.Run([&](Turn& t, News&) { b.streams.Destroy(t, b.id); });
  EXPECT_EQ(b.TakeSent().at(0).gate, Gate::kNone);
}

TEST(StreamsTest, WritesOfOneTurnShareAPacketAndTheEndRidesOnTheLast) {
  Connected b;
  b.Run([&](Turn& t, News&) {
    b.streams.Write(t, b.id, "abc");
    b.streams.Write(t, b.id, "def");
    b.streams.End(t, b.id);
  });
  auto sent = b.TakeSent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].payload(), "abcdef");
  EXPECT_EQ(sent[0].header().type, kData | kEnd);
}

TEST(StreamsTest, FullPacketsOfABatchHaveOneSize) {
  Connected b;
  b.Write(std::string(9000, 'x'));
  auto sent = b.TakeSent();
  ASSERT_EQ(sent.size(), 8u);
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(sent[i].bytes.size(), 1172u);
}

TEST(StreamsTest, BytesBeyondTwiceTheWindowAreNotTaken) {
  Connected b({.receive_window = 10'000});
  b.consume = false;
  const std::string payload(1000, 'x');
  for (uint32_t seq = 0; seq < 25; ++seq) b.Get(kData, seq, 0, payload);
  EXPECT_EQ(b.TakeEvents().size(), 20u);
  EXPECT_EQ(b.streams.counters().over_window, 1u);  // The others came out of order, for which there is no room either.
  EXPECT_EQ(b.streams.counters().held_full, 4u);
  EXPECT_EQ(b.TakeSent().back().header().window, 0u);
  // Once there is room for a quarter of the window, we say so ourselves.
  b.Run([&](Turn& t, News&) { b.streams.Consumed(t, b.id, 12'000); });
  EXPECT_EQ(b.TakeSent().size(), 0u);
  b.Run([&](Turn& t, News&) { b.streams.Consumed(t, b.id, 1000); });
  auto sent = b.TakeSent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].header().window, 3000u);
  b.Get(kData, 20, 0, payload);
  EXPECT_EQ(b.TakeEvents().size(), 1u);
}

TEST(StreamsTest, WhatIsHeldOutOfOrderIsBoundedByTheWindowAndTheSpan) {
  Connected b({.receive_window = 10'000});
  const std::string payload(1000, 'x');
  for (uint32_t seq = 1; seq < 40; ++seq) b.Get(kData, seq, 0, payload);
  EXPECT_EQ(b.streams.counters().held_full, 19u);
  b.Get(kData, kSpanMax, 0, "y");
  EXPECT_EQ(b.streams.counters().far_ahead, 1u);
  EXPECT_EQ(b.TakeEvents().size(), 0u);
  b.Get(kData, 0, 0, payload);
  EXPECT_EQ(b.TakeEvents().size(), 21u);
  EXPECT_EQ(b.TakeSent().back().header().ack, 21u);
}

TEST(StreamsTest, ForgedAcknowledgementsAreCountedAndChangeNothing) {
  Connected b;
  b.Write(std::string(3000, 'x'));
  b.TakeSent();
  b.Get(0, 0, 77);
  EXPECT_EQ(b.streams.counters().bad_acks, 1u);
  b.Receive(kPeer, b.Sack(0, {{1, 9}, {2, 2}, {5, 7}, {0xfffffff0, 1}, {2, 1}}));
  EXPECT_EQ(b.streams.counters().bad_sacks, 5u);
  EXPECT_EQ(b.streams.stats(b.id).inflight, 3u);
  EXPECT_TRUE(b.TakeSent().empty());
  b.Receive(kPeer, b.Sack(0, {{1, 2}}));
  EXPECT_EQ(b.streams.stats(b.id).inflight, 2u);  // 1 arrived, 0 is lost and went again.
  EXPECT_EQ(b.streams.stats(b.id).retransmits, 1u);
}

TEST(StreamsTest, PacketsThroughAnotherSocketAreRefusedUnlessAsked) {
  Connected b;
  b.Receive(kPeer, b.Packet(kDestroy, 0, 0), kOther);
  EXPECT_TRUE(b.took);
  EXPECT_TRUE(b.streams.exists(b.id));
  EXPECT_EQ(b.streams.counters().wrong_socket, 1u);
  Connected any({}, {.any_socket = true});
  any.Receive(kPeer, any.Packet(kData, 0, 0, "x"), kOther);
  EXPECT_EQ(any.TakeEvents(), (std::vector<std::string>{"seen", "data x"}));
}

TEST(StreamsTest, ADestroyThatIsFarAheadIsAGuess) {
  Connected b;
  b.Get(kDestroy, kSpanMax, 0);
  EXPECT_TRUE(b.streams.exists(b.id));
  b.Get(kDestroy, kSpanMax - 1, 0);
  EXPECT_EQ(b.TakeEvents(), (std::vector<std::string>{"close reset"}));
}

TEST(StreamsTest, NobodyTakesAPacketForAnIdThatIsNotOurs) {
  Connected b;
  b.Receive(kPeer, std::string(AsText(WriteHeader({kData, 0, uint32_t(b.id) + 1, 0, 0, 0}))));
  EXPECT_FALSE(b.took);
  b.Receive(kPeer, "no packet at all, but longer than a header");
  EXPECT_FALSE(b.took);
}

TEST(StreamsTest, BeforeConnectAPacketIsTakenOnlyIfAskedAndItsAcknowledgementWaits) {
  StreamsBench b;
  StreamId shy{}, open{};
  b.Run([&](Turn& t, News&) { shy = b.streams.Create(t, {}), open = b.streams.Create(t, {.any_socket = true}); });
  for (StreamId id : {shy, open}) {
    b.Receive(kPeer, std::string(AsText(WriteHeader({kData, 0, uint32_t(id), kWindow, 0, 0}))) + "early");
  }
  EXPECT_EQ(b.TakeEvents(), (std::vector<std::string>{"seen", "data early"}));
  EXPECT_EQ(b.streams.counters().wrong_socket, 1u);
  EXPECT_TRUE(b.TakeSent().empty());
  b.Run([&](Turn& t, News&) { b.streams.Connect(t, open, kSocket, kPeer, 5); });
  auto sent = b.TakeSent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].header().ack, 1u);
  EXPECT_TRUE(b.streams.uses(kSocket));
}

TEST(StreamsTest, AMessageThatDoesNotFitIsNotSent) {
  Connected b;
  EXPECT_EQ(b.streams.max_message(b.id), 1152u);
  b.Run([&](Turn& t, News&) { b.streams.SendMessage(t, b.id, AsBytes(std::string(1153, 'x'))); });
  EXPECT_TRUE(b.TakeSent().empty());
  b.Run([&](Turn& t, News&) { b.streams.SendMessage(t, b.id, AsBytes(std::string(1152, 'x'))); });
  b.Run([&](Turn& t, News&) { b.streams.SendMessage(t, b.id, {}); });
  EXPECT_EQ(b.TakeSent().size(), 2u);
}

TEST(StreamsTest, ARepeatedEndIsAcknowledgedAgainForHalfAMinute) {
  Connected b;
  b.Run([&](Turn& t, News&) { b.streams.End(t, b.id); });
  b.Get(kEnd, 0, 1);
  EXPECT_EQ(b.TakeEvents(), (std::vector<std::string>{"end", "close ended"}));
  b.TakeSent();
  b.Wait(5s);
  b.Receive(Endpoint::V4(1, 1), b.Packet(kEnd, 0, 1));  // The answer goes to the peer, not to whoever says it is.
  auto sent = b.TakeSent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].to, kPeer);
  EXPECT_EQ(sent[0].header().ack, 1u);
  EXPECT_EQ(sent[0].header().id, 11u);
  b.Get(0, 1, 1);
  b.Get(kHeartbeat, 1, 1);
  EXPECT_TRUE(b.TakeSent().empty());
  b.Wait(26s);
  b.Get(kEnd, 0, 1);
  EXPECT_TRUE(b.TakeSent().empty());
  EXPECT_FALSE(b.took);
}

TEST(StreamsTest, ALostDestroyIsRepeatedWhenThePeerGoesOn) {
  Connected b;
  b.Run([&](Turn& t, News&) { b.streams.Destroy(t, b.id); });
  EXPECT_EQ(b.TakeSent().size(), 1u);
  b.Get(kData, 0, 0, "still there?");
  b.Get(kHeartbeat, 1, 0);
  auto sent = b.TakeSent();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].header().type, kDestroy);
  b.Get(0, 0, 0);
  EXPECT_TRUE(b.TakeSent().empty());
  EXPECT_TRUE(b.TakeEvents().empty());
}

TEST(StreamsTest, TheMemoryOfClosedStreamsIsBounded) {
  StreamsBench b;
  StreamId first{};
  for (int i = 0; i < 1100; ++i) {
    b.Run([&](Turn& t, News&) {
      StreamId id = b.streams.Create(t, {});
      if (i == 0) first = id;
      b.streams.Connect(t, id, kSocket, kPeer, 3);
      b.streams.Destroy(t, id);
    });
  }
  EXPECT_EQ(b.streams.size(), 0u);
  b.Receive(kPeer, std::string(AsText(WriteHeader({kHeartbeat, 0, uint32_t(first), 0, 0, 0}))));
  EXPECT_FALSE(b.took);
}

TEST(StreamsTest, TheRemoteOfAnIdleStreamChangesAtOnceAndIsToldWithTheNextVerb) {
  Connected b;
  b.Run([&](Turn& t, News&) { b.streams.ChangeRemote(t, b.id, kOther, kPeer, 12, false); });
  EXPECT_TRUE(b.TakeEvents().empty());
  EXPECT_FALSE(b.streams.uses(kSocket));
  EXPECT_TRUE(b.streams.uses(kOther));
  b.Wait(1ns);
  EXPECT_EQ(b.TakeEvents(), (std::vector<std::string>{"changed"}));
}

TEST(StreamsTest, ASocketIsUsedWhilePacketsMayGoAgainThroughIt) {
  Connected b;
  b.Write("x");
  b.Run([&](Turn& t, News&) { b.streams.ChangeRemote(t, b.id, kOther, kPeer, 12, false); });
  EXPECT_TRUE(b.streams.uses(kSocket));
  b.Get(0, 0, 1);
  EXPECT_FALSE(b.streams.uses(kSocket));
  EXPECT_EQ(b.TakeEvents(), (std::vector<std::string>{"changed"}));
}

TEST(StreamsTest, CallsThatNameADeadStreamDoNothing) {
  Connected b;
  const StreamId id = b.id;
  b.Run([&](Turn& t, News&) {
    b.streams.Destroy(t, id);
    b.streams.Write(t, id, "x"), b.streams.End(t, id), b.streams.Consumed(t, id, 5), b.streams.Destroy(t, id);
    b.streams.Connect(t, id, kSocket, kPeer, 1), b.streams.ChangeRemote(t, id, kSocket, kPeer, 1, true);
    b.streams.SetKeepAlive(t, id, 1s), b.streams.SendMessage(t, id, {}), b.streams.RelayTo(id, id);
  });
  EXPECT_EQ(b.streams.room(id), 0u);
  EXPECT_EQ(b.streams.max_message(id), 0u);
  EXPECT_FALSE(b.streams.connected(id));
  EXPECT_EQ(b.TakeSent().size(), 1u);
}

TEST(StreamsTest, RoomIsZeroAboveTheMarkAndItsReturnIsTold) {
  Connected b;
  EXPECT_EQ(b.streams.room(b.id), kHighWater);
  b.Write(std::string(400'000, 'x'));
  EXPECT_EQ(b.streams.room(b.id), 0u);
  b.TakeEvents();
  uint32_t ack = 0;
  while (b.streams.room(b.id) == 0) {
    b.Wait(10ms);
    ack += uint32_t(b.TakeSent().size());
    b.Get(0, 0, ack);
  }
  ack += uint32_t(b.TakeSent().size());
  b.Get(0, 0, ack);
  EXPECT_EQ(b.TakeEvents(), (std::vector<std::string>{"drained"}));
}

}  // namespace
}  // namespace orchard::udx
