// The storing node, rule by rule, fed with requests as dht-rpc would hand them over.

#include "node/hyperdht/persistent.h"

#include <gtest/gtest.h>

#include "node/hyperdht/signatures.h"

namespace orchard::hyperdht {
namespace {

using namespace std::chrono_literals;
using Kind = Action::Kind;

class PersistentTest : public ::testing::Test {
 protected:
  static constexpr int64_t kWallMs = 1'700'000'000'000;

  Persistent::Outcome Ask(uint64_t command, std::optional<Key32> target, std::optional<std::string> value, bool token = true,
                          Endpoint from = Endpoint::V4(0x0a000001, 1000)) {
    UserRequest r{.from = from, .command = command, .target = target};
    if (token) r.token = token_;
    if (value.has_value()) r.value = AsBytes(*value);
    return node_.OnRequest({.now = now_, .unix_epoch = std::chrono::milliseconds(kWallMs) - now_.time_since_epoch(),
                            .rng = rng_, .router = router_, .id = id_}, r);
  }
  std::string Announcement(Command command, const Key32& target, const KeyPair& key, AnnounceMessage m = {}) {
    if (!m.peer.has_value()) m.peer = Peer{.public_key = key.public_key};
    m.signature = Sign(AnnounceSignable(command, target, token_, id_, m), key);
    return m.Encode();
  }
  std::vector<Peer> Peers(const Key32& topic, uint64_t* bump = nullptr) {
    Action a = Ask(kLookup, topic, std::nullopt, false).action;
    EXPECT_EQ(a.kind, Kind::kReply);
    EXPECT_TRUE(a.token && a.closer_nodes);
    if (!a.value.has_value()) return {};
    auto m = LookupReply::Decode(AsBytes(*a.value));
    EXPECT_TRUE(m.ok());
    if (bump != nullptr) *bump = m->bump;
    return m->peers;
  }
  std::string Put(const KeyPair& key, uint64_t seq, std::string value) {
    MutablePut p{.public_key = key.public_key, .seq = seq, .value = std::move(value)};
    p.signature = Sign(MutableSignable(p.seq, AsBytes(p.value)), key);
    return p.Encode();
  }
  static KeyPair Pair(uint8_t n) { return crypto::KeyPairFromSeed(Key32{n}); }
  static void ExpectSilence(const Persistent::Outcome& o, std::string_view why) {
    EXPECT_EQ(o.action.kind, Kind::kSilence);
    EXPECT_EQ(o.action.rejected, why);
    EXPECT_TRUE(o.stored.empty());
  }
  static void ExpectDone(const Persistent::Outcome& o) {
    EXPECT_EQ(o.action.kind, Kind::kReply);
    EXPECT_FALSE(o.action.token || o.action.closer_nodes || o.action.value.has_value() || o.action.error != 0);
  }

  Instant now_{1h};
  Rng rng_ = Rng::Named(1, "persistent", "test");
  Router router_;
  Persistent node_;
  Key32 id_{7}, token_{8}, topic_{9};
  KeyPair alice_ = Pair(1), bob_ = Pair(2);
};

TEST_F(PersistentTest, AnAnnouncedPeerIsFoundUntilItUnannounces) {
  EXPECT_TRUE(Peers(topic_).empty());
  auto o = Ask(kAnnounce, topic_, Announcement(kAnnounce, topic_, alice_));
  ExpectDone(o);
  EXPECT_EQ(o.stored, "peer");
  ASSERT_EQ(Peers(topic_).size(), 1u);
  EXPECT_EQ(Peers(topic_)[0].public_key, alice_.public_key);
  ExpectDone(Ask(kUnannounce, topic_, Announcement(kUnannounce, topic_, alice_)));
  EXPECT_TRUE(Peers(topic_).empty());
  EXPECT_FALSE(node_.owns_memory());
}

TEST_F(PersistentTest, AnnouncingNeedsAValidTokenAndSignature) {
  std::string good = Announcement(kAnnounce, topic_, alice_);
  ExpectSilence(Ask(kAnnounce, topic_, good, false), "no-token");
  ExpectSilence(Ask(kAnnounce, topic_, std::nullopt), "no-value");
  ExpectSilence(Ask(kAnnounce, std::nullopt, good), "no-target");
  ExpectSilence(Ask(kAnnounce, topic_, "\x05short"), "malformed");
  ExpectSilence(Ask(kAnnounce, Key32{10}, good), "bad-signature");  // Signed for another topic.
  std::string forged = good;
  forged[1] ^= 1;  // Somebody else's key.
  ExpectSilence(Ask(kAnnounce, topic_, forged), "bad-signature");
  AnnounceMessage unsigned_one{.peer = Peer{.public_key = alice_.public_key}};
  ExpectSilence(Ask(kAnnounce, topic_, unsigned_one.Encode()), "bad-signature");
  token_[0] ^= 1;
  ExpectSilence(Ask(kAnnounce, topic_, good), "bad-signature");  // Replayed with another token.
  token_[0] ^= 1;
  id_[0] ^= 1;
  ExpectSilence(Ask(kAnnounce, topic_, good), "bad-signature");  // Replayed at another node.
  id_[0] ^= 1;
  ExpectSilence(Ask(kAnnounce, topic_, Announcement(kUnannounce, topic_, alice_)), "bad-signature");  // Wrong namespace.
  EXPECT_TRUE(Peers(topic_).empty());
  ExpectDone(Ask(kAnnounce, topic_, good));
}

TEST_F(PersistentTest, NobodyUnannouncesSomebodyElse) {
  ExpectDone(Ask(kAnnounce, topic_, Announcement(kAnnounce, topic_, alice_)));
  AnnounceMessage m{.peer = Peer{.public_key = alice_.public_key}};
  m.signature = Sign(AnnounceSignable(kUnannounce, topic_, token_, id_, m), bob_);
  ExpectSilence(Ask(kUnannounce, topic_, m.Encode()), "bad-signature");
  ExpectSilence(Ask(kUnannounce, topic_, Announcement(kUnannounce, topic_, alice_), false), "no-token");
  EXPECT_EQ(Peers(topic_).size(), 1u);
}

TEST_F(PersistentTest, KeepsThreeRelayAddresses) {
  AnnounceMessage m{.peer = Peer{.public_key = alice_.public_key}};
  for (uint16_t i = 1; i <= 5; ++i) m.peer->relay_addresses.push_back(Endpoint::V4(0x01020304, i));
  ExpectDone(Ask(kAnnounce, topic_, Announcement(kAnnounce, topic_, alice_, m)));
  ASSERT_EQ(Peers(topic_).size(), 1u);
  EXPECT_EQ(Peers(topic_)[0].relay_addresses.size(), 3u);
}

TEST_F(PersistentTest, ASelfAnnouncementIsARouteAndIsFound) {
  Key32 self = Hash(alice_.public_key);
  EXPECT_FALSE(Ask(kFindPeer, self, std::nullopt, false).action.value.has_value());
  Endpoint from = Endpoint::V4(0x0a0000fe, 77);
  auto o = Ask(kAnnounce, self, Announcement(kAnnounce, self, alice_), true, from);
  ExpectDone(o);
  EXPECT_EQ(o.stored, "self");
  ASSERT_NE(router_.Get(now_, self), nullptr);
  EXPECT_EQ(router_.Get(now_, self)->relay, from);
  Action found = Ask(kFindPeer, self, std::nullopt, false).action;
  EXPECT_TRUE(found.token && found.closer_nodes);
  EXPECT_EQ(Peer::Decode(AsBytes(*found.value))->public_key, alice_.public_key);
  ASSERT_EQ(Peers(self).size(), 1u);  // A lookup finds it too.
  ExpectDone(Ask(kUnannounce, self, Announcement(kUnannounce, self, alice_)));
  EXPECT_EQ(router_.Get(now_, self), nullptr);
}

TEST_F(PersistentTest, ALookupTellsAtMostTwenty) {
  for (uint8_t i = 1; i <= 30; ++i) ExpectDone(Ask(kAnnounce, topic_, Announcement(kAnnounce, topic_, Pair(i))));
  EXPECT_EQ(node_.records(), 30u);
  EXPECT_EQ(Peers(topic_).size(), 20u);
}

TEST_F(PersistentTest, ARecordAgesAndARefreshChainKeepsIt) {
  // Each refresh shows the preimage of the one before.
  Key32 third{33}, second = Hash(third), first = Hash(second);
  AnnounceMessage m{.peer = Peer{.public_key = alice_.public_key}, .refresh = first};
  ExpectDone(Ask(kAnnounce, topic_, Announcement(kAnnounce, topic_, alice_, m)));
  ExpectDone(Ask(kAnnounce, topic_, Announcement(kAnnounce, topic_, bob_)));
  AnnounceMessage again{.refresh = second};
  now_ += 12min;
  ExpectDone(Ask(kAnnounce, topic_, again.Encode()));
  ExpectSilence(Ask(kAnnounce, topic_, again.Encode()), "unknown-refresh");  // Shown once.
  AnnounceMessage last{.refresh = third};
  now_ += 12min;
  auto o = Ask(kAnnounce, topic_, last.Encode());
  ExpectDone(o);
  EXPECT_EQ(o.stored, "peer");
  now_ += 4min;  // 28 minutes: bob is gone for sure.
  ASSERT_EQ(Peers(topic_).size(), 1u);
  EXPECT_EQ(Peers(topic_)[0].public_key, alice_.public_key);
  now_ += 28min;
  EXPECT_TRUE(Peers(topic_).empty());
  ExpectSilence(Ask(kAnnounce, topic_, AnnounceMessage{}.Encode()), "no-peer");
}

TEST_F(PersistentTest, ABumpGrowsButNotIntoTheFuture) {
  auto announce = [&](int64_t bump) {
    AnnounceMessage m{.peer = Peer{.public_key = alice_.public_key}, .bump = uint64_t(bump)};
    ExpectDone(Ask(kAnnounce, topic_, Announcement(kAnnounce, topic_, alice_, m)));
    uint64_t now = 99;
    Peers(topic_, &now);
    return int64_t(now);
  };
  EXPECT_EQ(announce(0), 0);
  EXPECT_EQ(announce(kWallMs), kWallMs);
  EXPECT_EQ(announce(kWallMs - 5), kWallMs);
  EXPECT_EQ(announce(kWallMs + 60'000), kWallMs + 60'000);
  EXPECT_EQ(announce(kWallMs + 60'001), kWallMs + 60'000);
}

TEST_F(PersistentTest, AMutableRecordOnlyGrows) {
  Key32 target = Hash(alice_.public_key);
  auto get = [&](uint64_t least) { return Ask(kMutableGet, target, EncodeMinimumSeq(least), false).action.value; };
  EXPECT_EQ(get(0), std::nullopt);
  auto o = Ask(kMutablePut, target, Put(alice_, 3, "three"));
  EXPECT_EQ(o.stored, "mutable");
  EXPECT_TRUE(o.action.token && o.action.closer_nodes && o.action.error == 0);
  EXPECT_EQ(MutableRecord::Decode(AsBytes(*get(0)))->value, "three");
  EXPECT_TRUE(get(3).has_value());
  EXPECT_EQ(get(4), std::nullopt);
  EXPECT_EQ(Ask(kMutablePut, target, Put(alice_, 3, "tree")).action.error, 16);
  EXPECT_EQ(Ask(kMutablePut, target, Put(alice_, 2, "two")).action.error, 17);
  EXPECT_EQ(Ask(kMutablePut, target, Put(alice_, 3, "three")).action.error, 0);  // The same again.
  EXPECT_EQ(Ask(kMutablePut, target, Put(alice_, 4, "")).action.error, 0);       // Empty is a value.
  EXPECT_EQ(MutableRecord::Decode(AsBytes(*get(0)))->seq, 4u);
}

TEST_F(PersistentTest, AForgedMutableRecordMeetsSilence) {
  Key32 target = Hash(alice_.public_key);
  std::string put = Put(alice_, 3, "three");
  ExpectSilence(Ask(kMutablePut, target, put, false), "no-token");
  ExpectSilence(Ask(kMutablePut, Hash(bob_.public_key), put), "bad-target");
  put[36] ^= 1;
  ExpectSilence(Ask(kMutablePut, target, put), "bad-signature");
  ExpectSilence(Ask(kMutablePut, target, put.substr(0, 60)), "malformed");
  ExpectSilence(Ask(kMutableGet, target, std::nullopt), "no-value");
  ExpectSilence(Ask(kMutableGet, target, "\xfd"), "malformed");
  EXPECT_FALSE(node_.owns_memory());
}

TEST_F(PersistentTest, AnImmutableValueIsItsHash) {
  Key32 target = Hash(AsBytes("hello"));
  EXPECT_FALSE(Ask(kImmutableGet, target, std::nullopt, false).action.value.has_value());
  ExpectSilence(Ask(kImmutablePut, target, "hullo"), "bad-target");
  ExpectSilence(Ask(kImmutablePut, target, "hello", false), "no-token");
  EXPECT_EQ(Ask(kImmutablePut, target, "hello").stored, "immutable");
  EXPECT_EQ(Ask(kImmutableGet, target, std::nullopt, false).action.value, "hello");
  now_ += 65h;  // More than 4/3 of 48 hours.
  EXPECT_FALSE(Ask(kImmutableGet, target, std::nullopt, false).action.value.has_value());
}

TEST_F(PersistentTest, AnOversizeValueIsRefused) {
  std::string big(kStoredValueMax + 1, 'x');
  ExpectSilence(Ask(kImmutablePut, Hash(AsBytes(big)), big), "oversize");
  big.pop_back();
  EXPECT_EQ(Ask(kImmutablePut, Hash(AsBytes(big)), big).stored, "immutable");
}

TEST_F(PersistentTest, APluginMeetsSilenceAndAnUnknownCommandAnError) {
  ExpectSilence(Ask(kPlugin, std::nullopt, "x"), "no-plugin");
  EXPECT_EQ(Ask(11, std::nullopt, std::nullopt).action.kind, Kind::kUnknownCommand);
}

}  // namespace
}  // namespace orchard::hyperdht
