// v06b: the frames of npm protomux, byte for byte; and the rules around them.

#include "node/protomux/mux.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/hyperdht/vectors.h"
#include "tests/protomux/mux_wire.h"

namespace orchard::protomux {
namespace {

using hyperdht::Raw;
using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<MuxWire::Frame> Recorded(std::string_view name) {
  static const json* const kVectors = new json(hyperdht::LoadVectors("v06b-protomux-blindrelay.json"));
  std::vector<MuxWire::Frame> out;
  for (const json& s : (*kVectors)["scenarios"]) {
    if (s["name"] != name) continue;
    for (const json& f : s["frames"]) out.push_back({f["dir"], f["hex"]});
  }
  EXPECT_FALSE(out.empty()) << name;
  return out;
}

std::string String(std::string_view s) { return char(s.size()) + std::string(s); }  // As compact-encoding writes it.

TEST(MuxVectorTest, OpenBothSidesSendAndClose) {
  MuxWire w;
  const ChannelId foo = w.a.Open({.protocol = "foo"});
  w.b.Open({.protocol = "foo"});
  w.Exchange();
  EXPECT_THAT(w.a.Told(), ElementsAre("opened 1"));
  EXPECT_THAT(w.b.Told(), ElementsAre("opened 1"));
  w.a.Send(foo, 0, String("hello"));
  w.a.Send(foo, 1, "\x02\xab\xcd");
  w.Exchange();
  EXPECT_THAT(w.b.Told(), ElementsAre("1:0=" + String("hello"), "1:1=\x02\xab\xcd"));
  w.a.mux.Close(foo, w.a.out);
  w.Exchange();
  EXPECT_THAT(w.b.Told(), ElementsAre("closed 1"));
  EXPECT_EQ(w.log, Recorded("open both sides, message type 0 and 1, close"));
  EXPECT_EQ(w.a.mux.channels() + w.b.mux.channels(), 0u);
}

TEST(MuxVectorTest, OpenWithIdAndHandshake) {
  const auto recorded = Recorded("open with id and handshake");
  const std::string id = Raw(json(recorded[0].hex)).substr(8, 32);
  MuxWire w;
  w.a.Open({.protocol = "foo", .id = AsBytes(id), .handshake = AsBytes(String("hi from a"))});
  w.b.Open({.protocol = "foo", .id = AsBytes(id), .handshake = AsBytes(String("hi from b"))});
  w.Exchange();
  EXPECT_EQ(w.log, recorded);
  EXPECT_THAT(w.a.Told(), ElementsAre("opened 1+" + String("hi from b")));
  EXPECT_THAT(w.b.Told(), ElementsAre("opened 1+" + String("hi from a")));
}

TEST(MuxVectorTest, WhatNobodyKnowsIsRejected) {
  MuxWire w;
  const ChannelId nope = w.a.Open({.protocol = "nope"});
  w.Exchange();
  EXPECT_EQ(w.log, Recorded("rejected: remote has no such protocol"));
  EXPECT_THAT(w.b.Told(), ElementsAre("open nope/"));
  EXPECT_THAT(w.a.Told(), ElementsAre("rejected 1"));
  EXPECT_FALSE(w.a.mux.exists(nope));
}

TEST(MuxVectorTest, RemoteOpensLazilyAndReadsWhatWaited) {
  MuxWire w;
  const ChannelId lazy = w.a.Open({.protocol = "lazy"});
  w.a.Send(lazy, 0, "\x2a");
  w.Exchange([&](Side& side) {
    if (&side == &w.b && w.b.channels.empty()) w.b.Open({.protocol = "lazy"});
  });
  EXPECT_EQ(w.log, Recorded("pair() notify: remote opens lazily"));
  EXPECT_THAT(w.b.Told(), ElementsAre("open lazy/", "opened 1", "1:0=\x2a"));
  EXPECT_TRUE(w.a.mux.opened(lazy));
}

TEST(MuxVectorTest, ACorkGathersOneBatch) {
  MuxWire w;
  const ChannelId foo = w.a.Open({.protocol = "foo"});
  w.b.Open({.protocol = "foo"});
  w.Exchange();
  w.b.Told();
  w.a.mux.Cork();
  for (const char* text : {"one", "two", "three"}) w.a.Send(foo, 0, String(text));
  EXPECT_THAT(w.a.out, IsEmpty());
  w.a.mux.Uncork(w.a.out);
  w.Exchange();
  EXPECT_EQ(w.log, Recorded("corked batch over one channel"));
  EXPECT_THAT(w.b.Told(), ElementsAre("1:0=" + String("one"), "1:0=" + String("two"), "1:0=" + String("three")));
}

TEST(MuxVectorTest, ABatchOfTwoChannelsIsAnsweredByABatch) {
  MuxWire w;
  w.a.mux.Cork();
  const ChannelId p1 = w.a.Open({.protocol = "p1"}), p2 = w.a.Open({.protocol = "p2"});
  w.a.Send(p1, 0, String("x")), w.a.Send(p2, 0, String("y")), w.a.Send(p1, 0, String("z"));
  w.a.mux.Uncork(w.a.out);
  w.Exchange();
  EXPECT_THAT(w.b.Told(), ElementsAre("open p1/", "open p2/"));
  EXPECT_THAT(w.a.Told(), ElementsAre("rejected 1", "rejected 2"));
  // Too late for those.
  w.b.Open({.protocol = "p1"}), w.b.Open({.protocol = "p2"});
  w.Exchange();
  EXPECT_EQ(w.log, Recorded("corked batch over two channels + open inside cork"));
}

TEST(MuxVectorTest, AClosedNumberIsUsedAgain) {
  MuxWire w;
  const ChannelId first = w.a.Open({.protocol = "r"});
  w.b.Open({.protocol = "r"});
  w.Exchange();
  w.a.mux.Close(first, w.a.out);
  w.Exchange();
  const ChannelId second = w.a.Open({.protocol = "r"});
  w.b.Open({.protocol = "r"});
  w.Exchange();
  EXPECT_EQ(w.log, Recorded("non-first id reuse after close"));
  EXPECT_NE(first, second);  // The number, not the id.
  EXPECT_FALSE(w.a.mux.exists(first));
  EXPECT_TRUE(w.a.mux.opened(second));
  EXPECT_THAT(w.b.Told(), ElementsAre("opened 1", "closed 1", "opened 2"));
}

TEST(MuxVectorTest, AliasesMeetIfBothSidesListTheOther) {
  MuxWire w;
  constexpr std::string_view kOld[] = {"old-name"}, kNew[] = {"new-name"};
  const ChannelId a = w.a.Open({.protocol = "new-name", .aliases = kOld}), b = w.b.Open({.protocol = "old-name", .aliases = kNew});
  w.Exchange();
  EXPECT_EQ(w.log, Recorded("alias: both sides list the other name"));
  EXPECT_TRUE(w.a.mux.opened(a) && w.b.mux.opened(b));
}

TEST(MuxVectorTest, AnEmptyMessageIsIgnored) {
  ASSERT_EQ(Recorded("keepalive empty frame ignored by mux")[0].hex, "");
  Side b;
  EXPECT_TRUE(b.mux.OnMessage({}, b.news, b.out).ok());
  b.mux.EndTurn(b.out);
  EXPECT_THAT(b.Told(), IsEmpty());
  EXPECT_THAT(b.out, IsEmpty());
}

// ---- Beyond the recordings ----

absl::Status Feed(Side& side, std::string_view hex) {
  const std::string raw = *FromHex(hex);
  // In its own allocation, so that a sanitizer sees a read past it. What was told is not looked at.
  const std::vector<uint8_t> own(raw.begin(), raw.end());
  const absl::Status status = side.mux.OnMessage(own, side.news, side.out);
  side.mux.EndTurn(side.out);
  return status;
}

TEST(MuxTest, WhatBreaksTheProtocolIsAnError) {
  struct Bad { const char* hex; const char* why; };
  for (const Bad& bad : {
           Bad{"00", "no type"},
           {"0001", "an open of nothing"},
           {"0001010566", "a protocol's name cut off"},
           {"0001000361626300", "the control channel opened"},
           {"0001020361626300", "a number beyond the next"},
           {"0001fdffff0361626300", "far beyond"},
           {"000201", "a reject of what was not asked"},
           {"000200", "a reject of nothing"},
           {"0002", "a reject cut off"},
           {"0003", "a close cut off"},
           {"00000009010131", "a batch cut off"},
           {"000000040000000100", "a batch in a batch"},
           {"ff00000000000020", "an eight-byte number cut off"},
       }) {
    Side s;
    EXPECT_EQ(Feed(s, bad.hex).code(), absl::StatusCode::kInvalidArgument) << bad.why;
  }
  Side s;
  s.Open({.protocol = "abc"});
  EXPECT_TRUE(Feed(s, "0001010361626300").ok());
  EXPECT_EQ(Feed(s, "0001010364656600").code(), absl::StatusCode::kInvalidArgument) << "a number that is open";
  EXPECT_EQ(Feed(s, "000201").code(), absl::StatusCode::kInvalidArgument) << "a reject of an open channel";
}

TEST(MuxTest, WhatMayBeUnderWayIsIgnored) {
  Side s;
  for (const char* hex : {"0500", "000300", "000305", "0009", "0000000109", "0107"}) EXPECT_TRUE(Feed(s, hex).ok()) << hex;
  EXPECT_THAT(s.Told(), IsEmpty());
  EXPECT_THAT(s.out, IsEmpty());
}

TEST(MuxTest, NoPrefixOfAFrameIsReadBeyondItsEnd) {
  for (const char* hex : {"0001010361626320" "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20" "aabb",
                          "000000060101027031000601020270320000010300017800020300017900010300017a"}) {
    const std::string raw = *FromHex(hex);
    for (size_t n = 0; n < raw.size(); ++n) {
      Side s;
      (void)Feed(s, ToHex(AsBytes(raw.substr(0, n))));
    }
  }
}

TEST(MuxTest, ASecondChannelOfOneNameNeedsLeave) {
  MuxWire w;
  w.a.Open({.protocol = "x"});
  EXPECT_FALSE(w.a.mux.Open({.protocol = "x"}, w.a.news, w.a.out).has_value());
  EXPECT_EQ(w.a.out.size(), 1u);
  w.a.Open({.protocol = "x", .unique = false});
  w.a.Open({.protocol = "x", .id = AsBytes("id")});
  EXPECT_EQ(w.a.mux.channels(), 3u);
}

TEST(MuxTest, ChannelsOfOneNameAreMatchedFirstComeFirstServed) {
  MuxWire w;
  for (const char* who : {"a1", "a2", "a3"}) w.a.Open({.protocol = "x", .handshake = AsBytes(who), .unique = false});
  for (const char* who : {"b1", "b2", "b3"}) w.b.Open({.protocol = "x", .handshake = AsBytes(who), .unique = false});
  w.Exchange();
  EXPECT_THAT(w.a.Told(), ElementsAre("opened 1+b1", "opened 2+b2", "opened 3+b3"));
  EXPECT_THAT(w.b.Told(), ElementsAre("opened 1+a1", "opened 2+a2", "opened 3+a3"));
}

TEST(MuxTest, ANumberClosedBeforeTheAnswerIsHeldUntilTheAnswer) {
  MuxWire w;
  const ChannelId first = w.a.Open({.protocol = "x"});
  w.a.mux.Close(first, w.a.out);
  EXPECT_EQ(w.a.mux.channels(), 0u);
  w.a.Open({.protocol = "y"});
  EXPECT_EQ(ToHex(AsBytes(w.a.out.back())), "000102017900");  // Not number 1.
  w.b.Open({.protocol = "x"});                                // Crosses on the way.
  w.Exchange();
  EXPECT_THAT(w.b.Told(), ElementsAre("opened 1", "closed 1", "open y/"));
  EXPECT_THAT(w.a.Told(), ElementsAre("rejected 2"));
  w.a.Open({.protocol = "z"});
  w.a.Open({.protocol = "zz"});
  // Both are free; the last one to become so is first.
  EXPECT_EQ(ToHex(AsBytes(w.a.out[0])), "000102017a00");
  EXPECT_EQ(ToHex(AsBytes(w.a.out[1])), "000101027a7a00");
}

TEST(MuxTest, ARemoteChannelClosedBeforeWeAnsweredIsRejected) {
  Side t;
  // Open "x" and close it, in one batch; then the parent would open it.
  const std::string raw = *FromHex("00000005010101780002" "0301");
  ASSERT_TRUE(t.mux.OnMessage(AsBytes(raw), t.news, t.out).ok());
  EXPECT_THAT(t.Told(), ElementsAre("open x/"));
  t.Open({.protocol = "x"});
  t.mux.EndTurn(t.out);
  ASSERT_EQ(t.out.size(), 1u);
  EXPECT_EQ(ToHex(AsBytes(t.out[0])), "00000002" "0201" "05" "0101017800");
  EXPECT_FALSE(t.mux.opened(t.channels[0]));
  EXPECT_EQ(t.mux.waiting(), 0u);
}

TEST(MuxTest, MessagesOfAClosedChannelAreDropped) {
  MuxWire w;
  const ChannelId a = w.a.Open({.protocol = "x"}), b = w.b.Open({.protocol = "x"});
  w.Exchange();
  w.a.Told(), w.b.Told();
  w.a.Send(a, 0, "under way");
  w.b.mux.Close(b, w.b.out);
  w.b.Send(b, 0, "never sent");
  w.Exchange();
  EXPECT_THAT(w.b.Told(), IsEmpty());
  EXPECT_THAT(w.a.Told(), ElementsAre("closed 1"));
}

TEST(MuxTest, BothMayCloseAtOnce) {
  MuxWire w;
  const ChannelId a = w.a.Open({.protocol = "x"}), b = w.b.Open({.protocol = "x"});
  w.Exchange();
  w.a.mux.Close(a, w.a.out), w.b.mux.Close(b, w.b.out);
  w.Exchange();
  w.a.Told(), w.b.Told();
  w.a.Open({.protocol = "y"}), w.b.Open({.protocol = "y"});
  w.Exchange();
  EXPECT_THAT(w.a.Told(), ElementsAre("opened 2"));
  EXPECT_THAT(w.b.Told(), ElementsAre("opened 2"));
}

TEST(MuxTest, WhatWaitsUnderAnAliasIsOpenedByItsOtherName) {
  MuxWire w;
  constexpr std::string_view kOld[] = {"old"}, kNew[] = {"new"};
  w.a.Open({.protocol = "old", .aliases = kNew});
  w.Exchange([&](Side& side) {
    if (&side == &w.b && w.b.channels.empty()) w.b.Open({.protocol = "new", .aliases = kOld});
  });
  EXPECT_THAT(w.b.Told(), ElementsAre("open old/", "opened 1"));
  EXPECT_THAT(w.a.Told(), ElementsAre("opened 1"));
}

// ---- Waiting beyond the turn ----

TEST(MuxKeepTest, WhatIsKeptIsOpenedInALaterTurn) {
  Side b;
  {
    MuxWire w;
    const ChannelId x = w.a.Open({.protocol = "x", .handshake = AsBytes("hand")});
    w.a.Send(x, 3, "early");
    for (const std::string& m : w.a.out) ASSERT_TRUE(b.mux.OnMessage(AsBytes(m), b.news, b.out).ok());
    b.mux.Keep("x", {});
    b.mux.EndTurn(b.out);
    b.Told();
  }  // Those bytes are gone.
  EXPECT_THAT(b.out, IsEmpty());
  EXPECT_EQ(b.mux.waiting(), 1u);
  b.Open({.protocol = "x"});
  EXPECT_THAT(b.Told(), ElementsAre("opened 1+hand", "1:3=early"));
  EXPECT_EQ(b.mux.waiting(), 0u);
}

TEST(MuxKeepTest, WhatIsKeptMayBeRefused) {
  Side b;
  ASSERT_TRUE(b.mux.OnMessage(AsBytes(*FromHex("000101017800")), b.news, b.out).ok());
  b.mux.Keep("x", {});
  b.mux.EndTurn(b.out);
  b.mux.Refuse("x", {}, b.out);
  ASSERT_EQ(b.out.size(), 1u);
  EXPECT_EQ(ToHex(AsBytes(b.out[0])), "000201");
  EXPECT_EQ(b.mux.waiting(), 0u);
}

TEST(MuxKeepTest, PausesAbove32KiBOfWhatWaits) {
  Side b;
  const std::string open = *FromHex("000101017800");
  ASSERT_TRUE(b.mux.OnMessage(AsBytes(open), b.news, b.out).ok());
  b.mux.Keep("x", {});
  b.mux.EndTurn(b.out);
  const std::string message = std::string("\x01\x00", 2) + std::string(512, 'x');
  for (int i = 0; i < 32; ++i) {
    ASSERT_TRUE(b.mux.OnMessage(AsBytes(message), b.news, b.out).ok());
    EXPECT_FALSE(b.mux.paused()) << i;
  }
  const std::string empty("\x01\x00", 2);
  ASSERT_TRUE(b.mux.OnMessage(AsBytes(empty), b.news, b.out).ok());
  EXPECT_TRUE(b.mux.paused());
  b.mux.EndTurn(b.out);
  b.Told();
  b.Open({.protocol = "x"});
  EXPECT_FALSE(b.mux.paused());
  EXPECT_EQ(b.Told().size(), 34u);
}

TEST(MuxKeepTest, AParentThatDoesNotPauseIsStillBounded) {
  Side b;
  ASSERT_TRUE(b.mux.OnMessage(AsBytes(*FromHex("000101017800")), b.news, b.out).ok());
  b.mux.Keep("x", {});
  b.mux.EndTurn(b.out);
  const std::string message = std::string("\x01\x00", 2) + std::string(1 << 20, 'x');
  size_t taken = 0;
  while (taken < 100 && b.mux.OnMessage(AsBytes(message), b.news, b.out).ok()) b.mux.EndTurn(b.out), ++taken;
  EXPECT_EQ(taken, 16u);
}

// ---- Limits ----

// Open frames of so many channels in one batch.
std::string Opens(uint32_t count, bool same_name) {
  Mux mux;
  News news;
  Out out;
  mux.Cork();
  for (uint32_t i = 1; i <= count; ++i) mux.Open({.protocol = same_name ? "same" : "p" + std::to_string(i), .unique = false}, news, out);
  mux.Uncork(out);
  CHECK_EQ(out.size(), 1u);
  return out[0];
}

TEST(MuxLimitTest, WaitingChannelsAreBoundedAndTheRestIsRejected) {
  Side b;
  const std::string raw = Opens(5000, false);
  ASSERT_TRUE(b.mux.OnMessage(AsBytes(raw), b.news, b.out).ok());
  EXPECT_EQ(b.mux.waiting(), Mux::kWaitingMax);
  EXPECT_EQ(b.news.list.size(), Mux::kWaitingMax);
  b.mux.EndTurn(b.out);
  EXPECT_EQ(b.mux.waiting(), 0u);
  ASSERT_EQ(b.out.size(), 1u);  // 5,000 rejects in one batch, smaller than what asked for them.
  EXPECT_LT(b.out[0].size(), raw.size());
}

TEST(MuxLimitTest, OfOneNameSixtyFourWait) {
  Side b;
  const std::string raw = Opens(100, true);
  ASSERT_TRUE(b.mux.OnMessage(AsBytes(raw), b.news, b.out).ok());
  EXPECT_EQ(b.mux.waiting(), Mux::kWaitingOfOneName);
}

TEST(MuxLimitTest, NumbersBeyondTheTableAreRejectedAndChangeNothing) {
  Side b;
  const std::string raw = Opens(Mux::kChannelsMax, false);
  ASSERT_TRUE(b.mux.OnMessage(AsBytes(raw), b.news, b.out).ok());
  b.mux.EndTurn(b.out);
  b.out.clear(), b.Told();
  ASSERT_TRUE(Feed(b, "0001fd0140017800").ok());  // Number 16,385.
  ASSERT_EQ(b.out.size(), 1u);
  EXPECT_EQ(ToHex(AsBytes(b.out[0])), "0002fd0140");
  EXPECT_THAT(b.Told(), IsEmpty());
  EXPECT_EQ(Feed(b, "0001fd0240017800").code(), absl::StatusCode::kInvalidArgument);
}

TEST(MuxLimitTest, OurChannelsAreBounded) {
  Side a;
  for (size_t i = 0; i < Mux::kChannelsMax; ++i) a.Open({.protocol = "x", .unique = false});
  EXPECT_FALSE(a.mux.Open({.protocol = "x", .unique = false}, a.news, a.out).has_value());
}

TEST(MuxLimitTest, NamesNobodyUsesAreRejectedUnstored) {
  Side b;
  Mux mux;
  Out out;
  ASSERT_TRUE(mux.Open({.protocol = std::string(Mux::kProtocolMax + 1, 'x')}, b.news, out).has_value());
  ASSERT_TRUE(mux.Open({.protocol = "x", .id = AsBytes(std::string(Mux::kIdMax + 1, 'x'))}, b.news, out).has_value());
  for (const std::string& m : out) ASSERT_TRUE(b.mux.OnMessage(AsBytes(m), b.news, b.out).ok());
  EXPECT_EQ(b.mux.waiting(), 0u);
  EXPECT_EQ(b.out.size(), 2u);
}

TEST(MuxLimitTest, ABatchOfTooManyMessagesIsAnError) {
  std::string raw = std::string("\x00\x00\x07", 3);
  for (size_t i = 0; i <= Mux::kBatchItemsMax; ++i) raw += std::string("\x01\x00", 2);
  Side b;
  EXPECT_EQ(b.mux.OnMessage(AsBytes(raw), b.news, b.out).code(), absl::StatusCode::kInvalidArgument);
  raw.resize(raw.size() - 2);
  Side c;
  EXPECT_TRUE(c.mux.OnMessage(AsBytes(raw), c.news, c.out).ok());
}

TEST(MuxLimitTest, AWriterStartsANewBatchAtEightMiB) {
  MuxWire w;
  const ChannelId x = w.a.Open({.protocol = "x"});
  w.b.Open({.protocol = "x"});
  w.Exchange();
  w.b.Told();
  const std::string mebibyte(1 << 20, 'm');
  w.a.mux.Cork();
  for (int i = 0; i < 20; ++i) w.a.Send(x, 0, mebibyte);
  w.a.mux.Uncork(w.a.out);
  ASSERT_EQ(w.a.out.size(), 3u);
  for (const std::string& m : w.a.out) EXPECT_LE(m.size(), Mux::kBatchMax + mebibyte.size() + 16);
  for (const std::string& m : w.a.out) ASSERT_TRUE(w.b.mux.OnMessage(AsBytes(m), w.b.news, w.b.out).ok());
  EXPECT_EQ(w.b.news.list.size(), 20u);
}

TEST(MuxLimitTest, NoBatchIsLargerThanAStreamMessage) {
  MuxWire w;
  const ChannelId x = w.a.Open({.protocol = "x"});
  w.b.Open({.protocol = "x"});
  w.Exchange();
  w.b.Told();
  w.a.mux.Cork();
  w.a.Send(x, 0, std::string(Mux::kBatchMax - 100, 's'));
  w.a.Send(x, 0, std::string(Mux::kBodyMax, 'l'));
  w.a.mux.Uncork(w.a.out);
  ASSERT_EQ(w.a.out.size(), 2u);
  for (const std::string& m : w.a.out) EXPECT_LE(m.size(), Mux::kStreamMessageMax);
  for (const std::string& m : w.a.out) ASSERT_TRUE(w.b.mux.OnMessage(AsBytes(m), w.b.news, w.b.out).ok());
  EXPECT_EQ(w.b.news.list.size(), 2u);
}

TEST(MuxTest, CorksNestAndAnEmptyOneSaysNothing) {
  Side a;
  a.mux.Cork(), a.mux.Cork();
  a.mux.Uncork(a.out);
  a.Open({.protocol = "x"});
  EXPECT_THAT(a.out, IsEmpty());
  a.mux.Uncork(a.out);
  ASSERT_EQ(a.out.size(), 1u);
  EXPECT_EQ(ToHex(AsBytes(a.out[0])), "00000005" "0101017800");  // A batch, even of one.
  a.out.clear();
  a.mux.Cork(), a.mux.Uncork(a.out);
  EXPECT_THAT(a.out, IsEmpty());
}

}  // namespace
}  // namespace orchard::protomux
