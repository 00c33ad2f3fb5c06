// v06b: what npm blind-relay says, byte for byte; and what a relay does with those who do not keep to it.

#include "node/protomux/blind_relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/hyperdht/vectors.h"
#include "tests/protomux/mux_wire.h"
#include "tests/support/bare_turn.h"

namespace orchard::protomux {
namespace {

using namespace std::chrono_literals;
using hyperdht::Array;
using hyperdht::Hex;
using hyperdht::Raw;
using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

const json& Recorded(std::string_view name) {
  static const json* const kVectors = new json(hyperdht::LoadVectors("v06b-protomux-blindrelay.json"));
  for (const json& v : (*kVectors)["blind_relay"]) {
    if (v["name"] == name) return v;
  }
  ADD_FAILURE() << name;
  return *kVectors;
}

TEST(BlindRelayMessageTest, AreTheRecordedBytes) {
  for (const char* name : {"pair initiator", "pair responder"}) {
    const json& v = Recorded(name);
    const RelayPair pair{v["fields"]["isInitiator"], Array(v["fields"]["token"]), v["fields"]["id"]};
    EXPECT_EQ(Hex(pair.Encode()), v["hex"]);
    const auto back = RelayPair::Decode(AsBytes(Raw(v["hex"])));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->initiator, pair.initiator);
    EXPECT_EQ(back->token, pair.token);
    EXPECT_EQ(back->id, pair.id);
  }
  const json& v = Recorded("unpair");
  const auto unpair = RelayUnpair::Decode(AsBytes(Raw(v["hex"])));
  ASSERT_TRUE(unpair.ok());
  EXPECT_EQ(Hex(unpair->Encode()), v["hex"]);
}

TEST(BlindRelayMessageTest, NoPrefixOfOneIsRead) {
  const std::string pair = Raw(Recorded("pair initiator")["hex"]), unpair = Raw(Recorded("unpair")["hex"]);
  for (size_t n = 0; n < pair.size(); ++n) {
    const std::vector<uint8_t> own(pair.begin(), pair.begin() + ptrdiff_t(n));
    EXPECT_FALSE(RelayPair::Decode(own).ok()) << n;
  }
  for (size_t n = 0; n < unpair.size(); ++n) {
    const std::vector<uint8_t> own(unpair.begin(), unpair.begin() + ptrdiff_t(n));
    EXPECT_FALSE(RelayUnpair::Decode(own).ok()) << n;
  }
}

// A relay and its clients, each on a wire of its own: `a` of the wire is the client, `b` the relay.
struct Relay {
  struct Peer {
    MuxWire wire;
    Key32 key;
    std::unique_ptr<BlindRelayClient> client;
    BlindRelayClient::News told;

    void Pair(const Key32& token, bool initiator, uint32_t id) {
      EXPECT_TRUE(client->Pair(wire.a.mux, token, initiator, id, wire.a.out).ok());
    }
    const BlindRelayClient::Paired* paired() const {
      for (const auto& item : told) {
        if (const auto* p = std::get_if<BlindRelayClient::Paired>(&item)) return p;
      }
      return nullptr;
    }
  };
  BareTurn box;
  BlindRelayServer server;
  std::vector<std::unique_ptr<Peer>> peers;
  BlindRelayServer::News told;
  uint32_t next_stream = 100;
  bool answers = true;  // Makes streams for what is linked.

  explicit Relay(std::vector<Key32> keys) {
    for (const Key32& key : keys) {
      Peer& p = *peers.emplace_back(std::make_unique<Peer>());
      p.key = key;
      p.client = std::make_unique<BlindRelayClient>(key, p.wire.a.mux, p.wire.a.news, p.wire.a.out);
      EXPECT_TRUE(server.Accept(session(peers.size() - 1), key, p.wire.b.mux, p.wire.b.news, p.wire.b.out));
    }
  }
  static RelaySession session(size_t i) { return RelaySession(uint32_t(i) + 7); }
  Peer& operator[](size_t i) { return *peers[i]; }

  // Until nobody has anything to say.
  void Run() {
    for (bool again = true; again;) {
      again = false;
      for (size_t i = 0; i < peers.size(); ++i) {
        MuxWire& wire = peers[i]->wire;
        again = again || !wire.a.out.empty() || !wire.b.out.empty();
        wire.Exchange([&](Side& side) {
          News news = std::exchange(side.news, {});
          for (const protomux::Item& item : news.list) {
            if (&side == &wire.a) EXPECT_TRUE(peers[i]->client->OnNews(item, peers[i]->told));
            else EXPECT_TRUE(server.OnNews(box.turn, session(i), item, told));
          }
        });
      }
      again = Answer() || again;
    }
  }
  // As hyperdht does: a stream for either end, then the word to both.
  bool Answer() {
    bool any = false;
    for (const auto& item : std::exchange(told, {})) {
      if (const auto* linked = std::get_if<BlindRelayServer::Linked>(&item); linked != nullptr) {
        links.push_back(*linked);
        for (bool initiator : {false, true}) {
          const size_t i = uint32_t(linked->ends[initiator].session) - 7;
          const uint32_t id = next_stream++;
          if (answers) server.SendPair(session(i), peers[i]->wire.b.mux, linked->token, initiator, id, peers[i]->wire.b.out);
          any = any || answers;
        }
      }
      if (const auto* cut = std::get_if<BlindRelayServer::Unlinked>(&item)) unlinked.push_back(cut->link);
    }
    return any;
  }
  std::vector<BlindRelayServer::Linked> links;
  std::vector<RelayLink> unlinked;
};

const Key32 kToken = {9, 9, 9};

TEST(BlindRelayTest, TheSessionIsTheRecordedOne) {
  const json& v = Recorded("session transcript");
  auto frames = [&](const char* who) {
    std::vector<MuxWire::Frame> out;
    for (const json& f : v[who]) out.push_back({f["dir"], f["hex"]});
    return out;
  };
  // The channel's id stands in the first frame, the token in the third.
  auto key = [&](const char* who) { return Array(json(v[who][0]["hex"].get<std::string>().substr(32))); };
  const Key32 token = Array(json(v["initiator"][2]["hex"].get<std::string>().substr(6, 64)));
  Relay relay({key("initiator"), key("responder")});
  relay.Run();  // JavaScript asks a tick after it has opened.
  relay[0].Pair(token, true, 1111);
  relay[1].Pair(token, false, 2222);
  relay.Run();
  EXPECT_EQ(relay[0].wire.log, frames("initiator"));
  EXPECT_EQ(relay[1].wire.log, frames("responder"));
  // The streams 100 and 101 relay to each other; 100 was made for the one that is not the initiator.
  ASSERT_EQ(relay.links.size(), 1u);
  EXPECT_EQ(relay.links[0].ends[0].remote_id, 2222u);
  EXPECT_EQ(relay.links[0].ends[1].remote_id, 1111u);
  ASSERT_TRUE(relay[0].paired() != nullptr && relay[1].paired() != nullptr);
  EXPECT_EQ(relay[0].paired()->remote_id, 101u);
  EXPECT_EQ(relay[1].paired()->remote_id, 100u);
  for (const json& id : v["idsDelivered"]) EXPECT_EQ(id[1], id[0] == "x" ? 101 : 100);
  EXPECT_EQ(relay[0].client->requests() + relay[1].client->requests(), 0u);
}

TEST(BlindRelayTest, TheSameHalfTwiceIsIgnored) {
  Relay relay({Key32{1}, Key32{2}, Key32{3}});
  relay[0].Pair(kToken, true, 1);
  relay.Run();
  relay[1].Pair(kToken, true, 2);  // Would take another's place.
  relay.Run();
  EXPECT_THAT(relay.links, IsEmpty());
  EXPECT_EQ(relay.server.stats().ignored, 1u);
  relay[2].Pair(kToken, false, 3);
  relay.Run();
  ASSERT_EQ(relay.links.size(), 1u);
  EXPECT_EQ(relay.links[0].ends[1].remote_id, 1u);
  EXPECT_EQ(relay.links[0].ends[0].remote_id, 3u);
}

TEST(BlindRelayTest, NobodyIsPairedWithHimself) {
  Relay relay({Key32{1}});
  Side& client = relay[0].wire.a;
  relay[0].Pair(kToken, true, 1);
  // The client's own table would refuse this one.
  client.mux.Send(ChannelId{uint64_t{1} << 32}, 0, AsBytes(RelayPair{false, kToken, 2}.Encode()), client.out);
  relay.Run();
  EXPECT_THAT(relay.links, IsEmpty());
  EXPECT_EQ(relay.server.waiting(), 1u);
  EXPECT_EQ(relay.server.stats().ignored, 1u);
}

TEST(BlindRelayTest, UnpairTakesARequestBackOrCutsTheLink) {
  Relay relay({Key32{1}, Key32{2}});
  relay[0].Pair(kToken, true, 1);
  relay.Run();
  // Only who asked may take it back.
  relay[1].client->Unpair(relay[1].wire.a.mux, kToken, relay[1].wire.a.out);
  relay.Run();
  EXPECT_EQ(relay.server.waiting(), 1u);
  relay[0].client->Unpair(relay[0].wire.a.mux, kToken, relay[0].wire.a.out);
  relay.Run();
  EXPECT_EQ(relay.server.waiting(), 0u);
  EXPECT_EQ(relay[0].client->requests(), 0u);

  relay[0].Pair(kToken, true, 1), relay[1].Pair(kToken, false, 2);
  relay.Run();
  ASSERT_EQ(relay.links.size(), 1u);
  relay[1].client->Unpair(relay[1].wire.a.mux, kToken, relay[1].wire.a.out);
  relay.Run();
  EXPECT_THAT(relay.unlinked, ElementsAre(relay.links[0].link));
  EXPECT_EQ(relay.server.links(), 0u);
}

TEST(BlindRelayTest, ASessionThatEndsTakesItsRequestsAndLinksAlong) {
  Relay relay({Key32{1}, Key32{2}, Key32{3}});
  relay[0].Pair(kToken, true, 1), relay[1].Pair(kToken, false, 2), relay[0].Pair(Key32{8}, true, 3);
  relay.Run();
  ASSERT_EQ(relay.links.size(), 1u);
  EXPECT_EQ(relay.server.waiting(), 1u);
  relay[0].client->Close(relay[0].wire.a.mux, relay[0].wire.a.out);
  relay.Run();
  EXPECT_THAT(relay.unlinked, ElementsAre(relay.links[0].link));
  EXPECT_EQ(relay.server.waiting() + relay.server.links(), 0u);
  EXPECT_EQ(relay.server.sessions(), 2u);
  // A connection that breaks does the same, and twice is once.
  relay.server.OnClosed(Relay::session(1), relay.told), relay.server.OnClosed(Relay::session(1), relay.told);
  EXPECT_THAT(relay.told, IsEmpty());
  EXPECT_EQ(relay.server.sessions(), 1u);
}

TEST(BlindRelayTest, AStreamThatDiedCutsItsLinkSilently) {
  Relay relay({Key32{1}, Key32{2}});
  relay[0].Pair(kToken, true, 1), relay[1].Pair(kToken, false, 2);
  relay.Run();
  const size_t frames = relay[0].wire.log.size();
  relay.server.Cut(relay.links[0].link), relay.server.Cut(relay.links[0].link);
  relay.Run();
  EXPECT_EQ(relay.server.links(), 0u);
  EXPECT_EQ(relay[0].wire.log.size(), frames);
  // The token may be used again.
  relay[0].Pair(kToken, true, 1), relay[1].Pair(kToken, false, 2);
  relay.Run();
  EXPECT_EQ(relay.links.size(), 2u);
}

TEST(BlindRelayTest, AClientLearnsThatTheRelayIsNone) {
  MuxWire w;
  BlindRelayClient client(Key32{1}, w.a.mux, w.a.news, w.a.out);
  ASSERT_TRUE(client.Pair(w.a.mux, kToken, true, 1, w.a.out).ok());
  BlindRelayClient::News told;
  w.Exchange([&](Side& side) {
    if (&side != &w.a) return;
    for (const Item& item : w.a.news.list) client.OnNews(item, told);
  });
  ASSERT_EQ(told.size(), 1u);
  const auto& ended = std::get<BlindRelayClient::Ended>(told[0]);
  EXPECT_TRUE(ended.refused);
  EXPECT_THAT(ended.lost, ElementsAre(kToken));
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.Pair(w.a.mux, kToken, true, 1, w.a.out).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(BlindRelayTest, AClientTakesOnlyWhatItAskedFor) {
  Relay relay({Key32{1}});
  relay.Run();
  relay[0].Pair(kToken, true, 1);
  EXPECT_EQ(relay[0].client->Pair(relay[0].wire.a.mux, kToken, false, 2, relay[0].wire.a.out).code(), absl::StatusCode::kAlreadyExists);
  relay.Run();
  Side& b = relay[0].wire.b;
  relay.server.SendPair(Relay::session(0), b.mux, kToken, false, 5, b.out);     // The other half.
  relay.server.SendPair(Relay::session(0), b.mux, Key32{7}, true, 5, b.out);    // Another token.
  relay.Run();
  EXPECT_THAT(relay[0].told, IsEmpty());
  relay.server.SendPair(Relay::session(0), b.mux, kToken, true, 5, b.out);
  relay.server.SendPair(Relay::session(0), b.mux, kToken, true, 6, b.out);      // Twice.
  relay.Run();
  ASSERT_EQ(relay[0].told.size(), 1u);
  EXPECT_EQ(relay[0].paired()->remote_id, 5u);
}

TEST(BlindRelayTest, ARequestWaitsForAMinute) {
  Relay relay({Key32{1}, Key32{2}});
  EXPECT_EQ(relay.server.next_deadline(), kNever);
  relay[0].Pair(kToken, true, 1);
  relay.Run();
  EXPECT_EQ(relay.server.next_deadline(), Instant{} + 60s);
  relay.server.OnTime(relay.box.At(60s - 1ns));
  EXPECT_EQ(relay.server.waiting(), 1u);
  relay.server.OnTime(relay.box.At(60s));
  EXPECT_EQ(relay.server.waiting(), 0u);
  EXPECT_EQ(relay.server.stats().expired, 1u);
  EXPECT_EQ(relay.server.next_deadline(), kNever);
}

TEST(BlindRelayTest, OneSessionsRequestsAreBounded) {
  Relay relay({Key32{1}, Key32{2}});
  for (uint8_t i = 0; i < 100; ++i) relay[0].Pair(Key32{i}, true, i);
  relay.Run();
  EXPECT_EQ(relay.server.waiting(), BlindRelayServer::kWaitingOfOneSession);
  EXPECT_EQ(relay.server.stats().ignored, 100 - BlindRelayServer::kWaitingOfOneSession);
  // Others are served all the same.
  relay[1].Pair(Key32{3}, false, 1);
  relay.Run();
  EXPECT_EQ(relay.links.size(), 1u);
}

TEST(BlindRelayTest, OneSessionsLinksAreBounded) {
  Relay relay({Key32{1}, Key32{2}});
  for (uint32_t i = 0; i < 300; ++i) {
    const Key32 token = {uint8_t(i), uint8_t(i >> 8)};
    relay[0].Pair(token, true, i);
    relay[1].Pair(token, false, i);
    relay.Run();
  }
  EXPECT_EQ(relay.server.links(), BlindRelayServer::kLinksOfOneSession);
  EXPECT_EQ(relay.server.waiting(), 300 - BlindRelayServer::kLinksOfOneSession);
}

TEST(BlindRelayTest, OneKeysSessionsAreBounded) {
  BlindRelayServer server;
  std::vector<std::unique_ptr<MuxWire>> wires;
  auto accept = [&](uint32_t session, const Key32& key) {
    MuxWire& w = *wires.emplace_back(std::make_unique<MuxWire>());
    return server.Accept(RelaySession{session}, key, w.b.mux, w.b.news, w.b.out);
  };
  for (uint32_t i = 0; i < BlindRelayServer::kSessionsOfOneKey; ++i) EXPECT_TRUE(accept(i, Key32{1}));
  EXPECT_FALSE(accept(100, Key32{1}));
  EXPECT_TRUE(accept(101, Key32{2}));
  BlindRelayServer::News told;
  server.OnClosed(RelaySession{0}, told);
  EXPECT_TRUE(accept(102, Key32{1}));
}

TEST(BlindRelayTest, AStrangerWithTheTokenOfAPairJoinsNothing) {
  Relay relay({Key32{1}, Key32{2}, Key32{3}});
  relay[0].Pair(kToken, true, 1), relay[1].Pair(kToken, false, 2);
  relay.Run();
  ASSERT_EQ(relay.links.size(), 1u);
  relay[2].Pair(kToken, true, 3);
  relay.Run();
  relay[2].client->Unpair(relay[2].wire.a.mux, kToken, relay[2].wire.a.out);
  relay[2].client->Unpair(relay[2].wire.a.mux, kToken, relay[2].wire.a.out);
  relay.Run();
  EXPECT_EQ(relay.links.size(), 1u);
  EXPECT_EQ(relay.server.links(), 1u);  // It cannot cut it either.
  EXPECT_THAT(relay.unlinked, IsEmpty());
}

TEST(BlindRelayTest, AMalformedRequestIsIgnored) {
  Relay relay({Key32{1}});
  Side& client = relay[0].wire.a;
  const ChannelId channel{uint64_t{1} << 32};
  client.mux.Send(channel, 0, AsBytes("short"), client.out);
  client.mux.Send(channel, 1, AsBytes("short"), client.out);
  client.mux.Send(channel, 2, AsBytes("no such type"), client.out);
  relay.Run();
  EXPECT_EQ(relay.server.stats().ignored, 2u);
  EXPECT_EQ(relay.server.waiting(), 0u);
}

}  // namespace
}  // namespace orchard::protomux
