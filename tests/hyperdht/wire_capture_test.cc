// v09: datagrams of real JavaScript nodes. Every request and response is read and written again to the same bytes, down to the
// values inside; signatures verify, and so does what relays made of a handshake.

#include <gtest/gtest.h>

#include <map>

#include "node/dht/message.h"
#include "node/dht/rpc.h"
#include "node/hyperdht/router.h"
#include "node/hyperdht/signatures.h"
#include "tests/hyperdht/vectors.h"

namespace orchard::hyperdht {
namespace {

using nlohmann::json;

struct Packet {
  const json* row;
  std::string raw;
  Ipv4Address peer;
  bool tx() const { return (*row)["dir"] == "tx"; }
  bool request() const { return (*row)["kind"] == "request"; }
};

std::vector<Packet> Packets(const std::string& phase = "") {
  static const json* const kCapture = new json(LoadVectors("v09-wire-capture.json"));
  std::vector<Packet> out;
  for (const auto& [name, rows] : (*kCapture)["phases"].items()) {
    if (!phase.empty() && name != phase) continue;
    for (const json& row : rows) {
      if (row["kind"] != "request" && row["kind"] != "response") continue;
      out.push_back({&row, Raw(row["hex"]), Ipv4Address::Of(*Endpoint::Parse(row["peer"].get<std::string>()))});
    }
  }
  return out;
}

template <class T>
const T* Ptr(const std::optional<T>& o) {
  return o.has_value() ? &*o : nullptr;
}

TEST(V09Test, EveryDatagramReadsAndWritesBack) {
  size_t requests = 0, responses = 0;
  for (const Packet& p : Packets()) {
    SCOPED_TRACE((*p.row)["hex"].get<std::string>());
    wire::Writer w;
    if (p.request()) {
      auto r = dht::DecodeRequest(AsBytes(p.raw), p.peer);
      ASSERT_TRUE(r.ok());
      EXPECT_EQ(r->command, (*p.row)["command"].get<uint64_t>());
      EXPECT_EQ(r->internal, (*p.row)["internal"].get<bool>());
      EXPECT_EQ(r->to.ToString(), (*p.row)["to"]);
      dht::Encode(dht::RequestOut{.tid = r->tid, .to = r->to, .id = Ptr(r->from_id), .token = r->has_token ? &r->token : nullptr,
                                  .internal = r->internal, .command = r->command, .target = Ptr(r->target), .value = r->value}, w);
      ++requests;
    } else {
      auto r = dht::DecodeResponse(AsBytes(p.raw), p.peer);
      ASSERT_TRUE(r.ok());
      std::vector<Ipv4Address> closer;
      for (size_t i = 0; i < r->closer.size(); ++i) closer.push_back(r->closer[i]);
      EXPECT_EQ(closer.size(), (*p.row).value("closerNodes", size_t{0}));
      if (r->from_id.has_value() && !p.tx()) {
        EXPECT_EQ(*r->from_id, dht::IdOf(p.peer));
      }
      dht::Encode(dht::ResponseOut{.tid = r->tid, .to = r->to, .id = Ptr(r->from_id), .token = Ptr(r->token), .closer = closer,
                                   .error = r->error, .value = r->value}, w);
      ++responses;
    }
    EXPECT_EQ(ToHex(w.bytes()), (*p.row)["hex"]);
  }
  EXPECT_EQ(requests, 58u);
  EXPECT_EQ(responses, 54u);
}

// What each storing node answered before, by address: its token and id are what was signed.
TEST(V09Test, AnnouncementsVerifyAsTheStoringNodeWould) {
  std::map<Ipv4Address, Key32> ids;
  size_t announced = 0, unannounced = 0;
  for (const char* phase : {"server listen (find_peer + announce)", "server close (unannounce)"}) {
    for (const Packet& p : Packets(phase)) {
      if (!p.request()) {
        auto r = dht::DecodeResponse(AsBytes(p.raw), p.peer);
        if (r->from_id.has_value()) ids[p.peer] = *r->from_id;
        continue;
      }
      auto r = dht::DecodeRequest(AsBytes(p.raw), p.peer);
      if (r->internal || (r->command != kAnnounce && r->command != kUnannounce)) continue;
      auto m = AnnounceMessage::Decode(*r->value);
      ASSERT_TRUE(m.ok());
      EXPECT_EQ(m->Encode(), AsText(*r->value));
      ASSERT_TRUE(m->peer.has_value() && m->signature.has_value() && r->has_token && ids.contains(p.peer));
      EXPECT_EQ(Hash(m->peer->public_key), *r->target);
      Command command = Command(r->command);
      EXPECT_TRUE(Verify(*m->signature, AnnounceSignable(command, *r->target, r->token, ids[p.peer], *m), m->peer->public_key));
      ++(command == kAnnounce ? announced : unannounced);
    }
  }
  EXPECT_EQ(announced, 3u);
  EXPECT_EQ(unannounced, 3u);
}

TEST(V09Test, MutablePutsVerify) {
  size_t puts = 0, gets = 0;
  for (const Packet& p : Packets("mutable put")) {
    if (!p.request()) continue;
    auto r = dht::DecodeRequest(AsBytes(p.raw), p.peer);
    if (r->command == kMutableGet) {
      EXPECT_EQ(*DecodeMinimumSeq(*r->value), 0u);
      ++gets;
    } else if (r->command == kMutablePut) {
      auto m = MutablePut::Decode(*r->value);
      ASSERT_TRUE(m.ok());
      EXPECT_EQ(m->Encode(), AsText(*r->value));
      EXPECT_EQ(m->seq, 4u);
      EXPECT_EQ(m->value, "value");
      EXPECT_EQ(Hash(m->public_key), *r->target);
      EXPECT_TRUE(Verify(m->signature, MutableSignable(m->seq, AsBytes(m->value)), m->public_key));
      ++puts;
    }
  }
  EXPECT_EQ(gets, 6u);
  EXPECT_EQ(puts, 5u);
}

// The client sends FROM_CLIENT to a relay; the server hears FROM_RELAY of the same transaction. Our router makes the one of
// the other, byte for byte.
TEST(V09Test, TheRouterRelaysAsTheJavaScriptRelayDid) {
  std::map<uint16_t, std::pair<Packet, dht::Request>> sent;
  size_t relayed = 0, replies = 0;
  std::vector<Packet> packets = Packets("client connect");
  for (const Packet& p : packets) {
    if (!p.request()) continue;
    auto r = dht::DecodeRequest(AsBytes(p.raw), p.peer);
    ASSERT_TRUE(r.ok());
    if (r->internal || r->command != kPeerHandshake) continue;
    auto m = HandshakeEnvelope::Decode(*r->value);
    ASSERT_TRUE(m.ok());
    EXPECT_EQ(m->Encode(), AsText(*r->value));
    if (m->mode == uint64_t(Mode::kFromClient)) {
      sent.emplace(r->tid, std::pair(p, *r));
    } else if (m->mode == uint64_t(Mode::kFromRelay) && sent.contains(r->tid)) {
      const auto& [packet, request] = sent.at(r->tid);
      Endpoint client = Endpoint::V4(0x7f000001, (*packet.row)["local"].get<uint16_t>());
      Endpoint server = Endpoint::V4(0x7f000001, (*p.row)["local"].get<uint16_t>());
      Router relay;
      relay.Set(Instant{}, *request.target, {.relay = server, .record = ""});
      Action a = relay.OnPeerHandshake(Instant{}, {.from = client, .command = request.command, .target = request.target, .value = request.value});
      ASSERT_EQ(a.kind, Action::Kind::kRelay);
      EXPECT_EQ(a.to, server);
      EXPECT_EQ(Hex(*a.value), ToHex(*r->value));
      ++relayed;
    } else if (m->mode == uint64_t(Mode::kFromServer)) {
      // And the way back: a request of the server becomes the client's response.
      Endpoint server = Endpoint::V4(0x7f000001, (*p.row)["local"].get<uint16_t>());
      Router relay;
      Action a = relay.OnPeerHandshake(Instant{}, {.from = server, .command = r->command, .target = r->target, .value = r->value});
      ASSERT_EQ(a.kind, Action::Kind::kReply);
      for (const Packet& q : packets) {
        if (q.request()) continue;
        auto response = dht::DecodeResponse(AsBytes(q.raw), q.peer);
        if (response->tid != r->tid || q.peer != p.peer || !response->value.has_value()) continue;
        if (Ipv4Address::Of(*a.to).port != (*q.row)["local"].get<uint16_t>()) continue;
        EXPECT_EQ(Hex(*a.value), ToHex(*response->value));
        ++replies;
      }
    }
  }
  EXPECT_EQ(relayed, 2u);
  EXPECT_EQ(replies, 2u);
}

}  // namespace
}  // namespace orchard::hyperdht
