// A storing and relaying node as seen from the wire: raw datagrams in, raw datagrams out.

#include "node/hyperdht/dht.h"

#include <gtest/gtest.h>

#include "node/dht/message.h"
#include "node/wire/writer.h"
#include "tests/sidecar/node_net.h"

namespace orchard::hyperdht {
namespace {

using namespace std::chrono_literals;

// A socket with a person behind it.
class Wire final : public Machine {
 public:
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) turn.out.OpenSocket(SocketId{1}, Endpoint::V4(0, 5000));
    if (const auto* d = std::get_if<Datagram>(&input)) heard.emplace_back(d->from, AsText(d->payload));
    if (const auto* call = std::get_if<OpCall>(&input)) turn.out.Send(SocketId{1}, to, call->params, Gate::kNone);
  }
  Instant next_deadline() const override { return kNever; }
  Endpoint to;
  std::vector<std::pair<Endpoint, std::string>> heard;
};

class DhtTest : public ::testing::Test {
 protected:
  void SetUp() override {
    net_.Grow(3, 20s);
    for (const char* name : {"client", "server"}) net_.host.Add(name, [](uint32_t) { return std::make_unique<Wire>(); });
  }
  static constexpr uint32_t kNode = 1, kClient = 4, kServer = 5;

  Wire& wire(uint32_t n) { return net_.host.machine<Wire>(n); }
  Endpoint At(uint32_t n) { return net_.host.address(n).with_port(n < kClient ? 49737 : 5000); }
  Key32 IdOfNode() { return dht::IdOf(Ipv4Address::Of(At(kNode))); }
  void Send(uint32_t from, Bytes payload, uint32_t to = kNode) {
    wire(from).to = At(to);
    net_.host.Feed(from, OpCall{OpId{1}, "send", payload});
    net_.host.Run(100ms);
  }
  void Ask(uint32_t from, uint64_t command, const std::optional<Key32>& target, std::optional<std::string> value,
           const std::optional<Key32>& token = std::nullopt, uint32_t to = kNode) {
    wire::Writer w;
    std::optional<Bytes> bytes;
    if (value.has_value()) bytes = AsBytes(*value);
    dht::Encode(dht::RequestOut{.tid = tid_, .to = Ipv4Address::Of(At(to)), .token = token.has_value() ? &*token : nullptr,
                                .command = command, .target = target.has_value() ? &*target : nullptr, .value = bytes}, w);
    wire(from).heard.clear();
    Send(from, w.bytes(), to);
  }
  // The one response heard; its spans live as long as nothing else is heard.
  std::optional<dht::Response> Answer(uint32_t n = kClient) {
    if (wire(n).heard.size() != 1) return std::nullopt;
    const auto& [from, payload] = wire(n).heard[0];
    if (uint8_t(payload[0]) != dht::kResponseByte) return std::nullopt;
    auto r = dht::DecodeResponse(AsBytes(payload), Ipv4Address::Of(from));
    EXPECT_TRUE(r.ok());
    EXPECT_EQ(r->tid, tid_);
    return *r;
  }
  Key32 Token(const Key32& target, uint32_t from = kClient) {
    Ask(from, kLookup, target, std::nullopt);
    auto r = Answer(from);
    EXPECT_TRUE(r.has_value() && r->token.has_value() && r->from_id == IdOfNode());
    return r.has_value() ? r->token.value_or(Key32{}) : Key32{};
  }
  std::string Announcement(const Key32& target, const Key32& token) {
    return SignedAnnounce(kAnnounce, target, alice_, {}, IdOfNode(), token);
  }
  uint64_t rejected(std::string_view why) { return net_.counts["dht.rejected:" + std::string(why)]; }

  NodeNet net_;
  uint16_t tid_ = 777;
  KeyPair alice_ = crypto::KeyPairFromSeed(Key32{1});
  Key32 topic_{9};
};

TEST_F(DhtTest, AnAnnouncementOverTheWire) {
  Key32 token = Token(topic_);
  Ask(kClient, kAnnounce, topic_, Announcement(topic_, token), token);
  auto done = Answer();
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->error, 0u);
  EXPECT_FALSE(done->token.has_value() || done->value.has_value());
  EXPECT_EQ(done->closer.size(), 0u);
  EXPECT_EQ(net_.counts["dht.record.stored:peer"], 1u);
  Ask(kClient, kLookup, topic_, std::nullopt);
  auto found = Answer();
  ASSERT_TRUE(found.has_value() && found->value.has_value());
  EXPECT_EQ(LookupReply::Decode(*found->value)->peers[0].public_key, alice_.public_key);
  EXPECT_GT(found->closer.size(), 0u);
}

TEST_F(DhtTest, AWrongTokenIsToldAndAForgedSignatureMeetsSilence) {
  Key32 token = Token(topic_);
  Key32 wrong = token;
  wrong[0] ^= 1;
  Ask(kClient, kAnnounce, topic_, Announcement(topic_, wrong), wrong);
  auto told = Answer();
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->error, dht::kInvalidToken);
  EXPECT_EQ(told->token, token);  // A fresh one to try again with.
  Ask(kClient, kAnnounce, topic_, Announcement(Key32{1}, token), token);
  EXPECT_TRUE(wire(kClient).heard.empty());
  EXPECT_EQ(rejected("bad-signature"), 1u);
  Ask(kClient, kAnnounce, topic_, Announcement(topic_, token));  // Without the token.
  EXPECT_TRUE(wire(kClient).heard.empty());
  EXPECT_EQ(rejected("no-token"), 1u);
  EXPECT_EQ(net_.node(kNode).dht()->stats().rejected, 2u);
  EXPECT_EQ(net_.node(kNode).dht()->persistent().records(), 0u);
}

TEST_F(DhtTest, AStaleSeqIsToldAndAnOversizeValueMeetsSilence) {
  Key32 target = Hash(alice_.public_key), token = Token(target);
  auto put = [&](uint64_t seq, std::string value) {
    MutablePut p{.public_key = alice_.public_key, .seq = seq, .value = std::move(value)};
    p.signature = Sign(MutableSignable(seq, AsBytes(p.value)), alice_);
    Ask(kClient, kMutablePut, target, p.Encode(), token);
    return Answer();
  };
  EXPECT_EQ(put(5, "five")->error, 0u);
  EXPECT_EQ(put(5, "other")->error, uint64_t(Error::kSeqReused));
  EXPECT_EQ(put(4, "four")->error, uint64_t(Error::kSeqTooLow));
  EXPECT_FALSE(put(6, std::string(1200, 'x')).has_value());
  EXPECT_EQ(rejected("seq-reused"), 1u);
  EXPECT_EQ(rejected("seq-too-low"), 1u);
  EXPECT_EQ(rejected("oversize"), 1u);
  EXPECT_EQ(net_.counts["dht.record.stored:mutable"], 1u);
}

TEST_F(DhtTest, AnUnknownCommandIsToldSo) {
  Ask(kClient, 99, std::nullopt, std::nullopt);
  EXPECT_EQ(Answer()->error, dht::kUnknownCommand);
}

TEST_F(DhtTest, AHandshakeIsRelayedThereAndBackUnderOneTransaction) {
  Key32 target = Hash(alice_.public_key);
  Key32 token = Token(target, kServer);
  Ask(kServer, kAnnounce, target, Announcement(target, token), token);
  ASSERT_TRUE(Answer(kServer).has_value());
  wire(kServer).heard.clear();

  HandshakeEnvelope hello{.mode = uint64_t(Mode::kFromClient), .noise = "noise 1"};
  Ask(kClient, kPeerHandshake, target, hello.Encode());
  EXPECT_TRUE(wire(kClient).heard.empty());
  ASSERT_EQ(wire(kServer).heard.size(), 1u);
  auto relayed = dht::DecodeRequest(AsBytes(wire(kServer).heard[0].second), Ipv4Address::Of(At(kNode)));
  ASSERT_TRUE(relayed.ok());
  EXPECT_EQ(relayed->tid, tid_);
  EXPECT_EQ(relayed->command, uint64_t{kPeerHandshake});
  EXPECT_EQ(relayed->target, target);
  EXPECT_EQ(relayed->from_id, IdOfNode());
  EXPECT_FALSE(relayed->has_token);
  EXPECT_EQ(relayed->to, Ipv4Address::Of(At(kServer)));
  auto heard = HandshakeEnvelope::Decode(*relayed->value);
  EXPECT_EQ(heard->mode, uint64_t(Mode::kFromRelay));
  EXPECT_EQ(heard->peer_address, At(kClient));

  HandshakeEnvelope back{.mode = uint64_t(Mode::kFromServer), .noise = "noise 2", .peer_address = At(kClient)};
  Ask(kServer, kPeerHandshake, target, back.Encode());
  auto reply = Answer();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->to, Ipv4Address::Of(At(kClient)));
  EXPECT_FALSE(reply->token.has_value());
  EXPECT_EQ(reply->closer.size(), 0u);
  auto envelope = HandshakeEnvelope::Decode(*reply->value);
  EXPECT_EQ(envelope->mode, uint64_t(Mode::kReply));
  EXPECT_EQ(envelope->noise, "noise 2");
  EXPECT_EQ(envelope->peer_address, At(kServer));
  EXPECT_EQ(net_.counts["dht.relayed"], 2u);
}

TEST_F(DhtTest, AnEphemeralNodeStoresNothingButRelays) {
  sidecar::Config c = net_.Member();
  c.dht.persistent = false, c.dht.ephemeral = true;
  uint32_t n = net_.Add("ephemeral", c);
  net_.host.Run(20s);
  auto address = [&] { return net_.host.address(n).with_port(49737); };
  wire(kClient).to = address();
  auto ask = [&](uint64_t command, const std::string& value) {
    wire::Writer w;
    dht::Encode(dht::RequestOut{.tid = tid_, .to = Ipv4Address::Of(address()), .command = command, .target = &topic_, .value = AsBytes(value)}, w);
    wire(kClient).heard.clear(), wire(kServer).heard.clear();
    net_.host.Feed(kClient, OpCall{OpId{1}, "send", w.bytes()});
    net_.host.Run(100ms);
  };
  ask(kLookup, "");
  auto r = Answer();
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(r->error, dht::kUnknownCommand);
  EXPECT_FALSE(r->from_id.has_value());
  ask(kPeerHandshake, HandshakeEnvelope{.mode = 0, .noise = "n", .relay_address = At(kServer)}.Encode());
  EXPECT_EQ(wire(kServer).heard.size(), 1u);
}

TEST_F(DhtTest, NobodyIsRelayedToAPortThatDoesNotExist) {
  Ask(kClient, kPeerHandshake, topic_, HandshakeEnvelope{.mode = 0, .noise = "n", .relay_address = Endpoint::V4(1, 0)}.Encode());
  EXPECT_TRUE(wire(kClient).heard.empty());
  EXPECT_EQ(rejected("bad-address"), 1u);
}

TEST_F(DhtTest, GarbageIsDroppedAndTheNodeServesOn) {
  Rng rng = Rng::Named(1, "garbage", "test");
  Key32 token = Token(topic_);
  wire(kClient).to = At(kNode);
  std::vector<std::string> seeds;
  for (uint64_t command = 0; command <= 11; ++command) {
    wire::Writer w;
    std::string value = command == kAnnounce ? Announcement(topic_, token) : HandshakeEnvelope{.noise = "n"}.Encode();
    dht::Encode(dht::RequestOut{.tid = 1, .token = &token, .command = command, .target = &topic_, .value = AsBytes(value)}, w);
    seeds.push_back(w.str());
  }
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = seeds[rng.Below(seeds.size())];
    for (uint64_t flips = rng.Below(4); flips > 0; --flips) bytes[rng.Below(bytes.size())] ^= char(1 << rng.Below(8));
    if (rng.Chance(1, 3)) bytes.resize(rng.Below(bytes.size() + 1));
    net_.host.Feed(kClient, OpCall{OpId{1}, "send", AsBytes(bytes)});
    if (i % 100 == 0) net_.host.Run(50ms);
  }
  net_.host.Run(1s);
  token = Token(topic_);
  Ask(kClient, kAnnounce, topic_, Announcement(topic_, token), token);
  EXPECT_TRUE(Answer().has_value());
}

}  // namespace
}  // namespace orchard::hyperdht
