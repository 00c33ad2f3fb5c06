// TCP relays through members: a pod with its proxy on each host, a client on the same host that asks for a tunnel by name, and an
// origin that is no TLS server but is spoken to as one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/pod/proxy.h"
#include "tests/pod/net.h"

namespace orchard::pod {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Node = MemHost::NodeIndex;

constexpr std::string_view kHello = "\x16\x03\x01hello";
constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection Established\r\n\r\n";

// A client of the proxy of its own host.
struct Client {
  std::string got;
  bool reads = true, open = false, ended = false;
  std::optional<absl::StatusCode> closed;
  uint64_t credit = 0;
};

class Member final : public Machine {
 public:
  explicit Member(const PodConfig& config) : pod(config), proxy(SocketId{7}, ProxyConfig{}) {}
  void Handle(Turn& turn, const Input& input) override {
    PodNews news;
    if (const auto* start = std::get_if<orchard::Start>(&input)) pod.Start(turn, start->interfaces), proxy.Open(turn);
    else if (std::holds_alternative<Deadline>(input)) pod.OnTime(turn, news), proxy.OnTime(turn, pod.ids(), pod, news);
    else if (std::holds_alternative<orchard::Stop>(input)) proxy.Close(turn, pod, news), pod.OnStop(turn), turn.out.Stopped();
    else if (std::holds_alternative<OpCall>(input)) std::exchange(todo, nullptr)(turn, *this, news);
    else if (!OnClient(turn, input) && !proxy.OnInput(turn, pod.ids(), pod, input, news)) pod.OnInput(turn, input, news);
    proxy.OnNews(turn, pod.ids(), pod, news);
    held_max = std::max(held_max, pod.relay_serve().held());
  }
  Instant next_deadline() const override { return std::min(pod.next_deadline(), proxy.next_deadline()); }

  Pod pod;
  Proxy proxy;
  std::map<StreamId, Client> clients;
  std::map<StreamId, std::string> scripts;  // What a client says once it is connected.
  size_t held_max = 0;
  std::function<void(Turn&, Member&, PodNews&)> todo;

 private:
  bool OnClient(Turn& turn, const Input& input) {
    const auto stream = http::StreamOf(input);
    const auto it = stream.has_value() ? clients.find(*stream) : clients.end();
    if (it == clients.end()) return false;
    Client& c = it->second;
    if (std::holds_alternative<StreamOpened>(input)) {
      c.open = true;
      turn.out.Write(*stream, AsBytes(scripts[*stream]));
      turn.out.Accept(*stream, c.reads ? 1u << 30 : 200);
    }
    if (const auto* data = std::get_if<StreamData>(&input)) c.got += AsText(data->bytes);
    if (std::holds_alternative<StreamEnded>(input)) c.ended = true;
    if (const auto* closed = std::get_if<StreamClosed>(&input)) c.closed = closed->status, c.open = false;
    return true;
  }
};

class Origin final : public Machine {
 public:
  explicit Origin(uint64_t pours) : pours_(pours) {}
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) turn.out.Listen(SocketId{1}, Endpoint::V4(0, 4433));
    if (const auto* o = std::get_if<StreamOpened>(&input)) {
      from.push_back(o->peer);
      turn.out.Accept(o->stream, 1u << 30);
      credit_[o->stream] = kStreamWindow;
      Pour(turn, o->stream);
    }
    if (const auto* d = std::get_if<StreamData>(&input)) {
      heard += AsText(d->bytes);
      if (pours_ == 0) turn.out.Write(d->stream, d->bytes), credit_[d->stream] -= d->bytes.size();
    }
    if (const auto* c = std::get_if<StreamCredit>(&input)) credit_[c->stream] += c->bytes, Pour(turn, c->stream);
    if (const auto* e = std::get_if<StreamEnded>(&input)) turn.out.Write(e->stream, AsBytes("bye")), turn.out.End(e->stream);
    if (const auto* c = std::get_if<StreamClosed>(&input)) closed.push_back(c->status);
  }
  Instant next_deadline() const override { return kNever; }
  std::string heard;
  std::vector<Endpoint> from;
  std::vector<absl::StatusCode> closed;
  std::map<StreamId, uint64_t> poured;

 private:
  void Pour(Turn& turn, StreamId s) {
    const std::string piece(size_t(std::min<uint64_t>(credit_[s], pours_ - std::min(pours_, poured[s]))), 'p');
    if (piece.empty()) return;
    turn.out.Write(s, AsBytes(piece));
    poured[s] += piece.size(), credit_[s] -= piece.size();
  }
  uint64_t pours_;
  std::map<StreamId, uint64_t> credit_;
};

struct RelayNet {
  explicit RelayNet(PodConfig config = PodNet::Config(Profile::kHardened), uint64_t pours = 0) : net({.latency = 5ms}) {
    a = Add("a", config), b = Add("b", config);
    origin = net.Add("origin", [pours](uint32_t) { return std::make_unique<Origin>(pours); });
    net.SetName("origin.example", {net.address(origin)});
    CHECK(net.RunUntil([&] { return at(a).pod.peers() == 1 && at(b).pod.peers() == 1; }, 5s));
  }
  Node Add(std::string name, PodConfig config) {
    return net.Add(std::move(name), [config](uint32_t) { return std::make_unique<Member>(config); });
  }
  Member& at(Node n) { return net.machine<Member>(n); }
  Origin& server() { return net.machine<Origin>(origin); }
  std::string Id(Node n) { return ToHex(at(n).pod.identity().device); }
  void Do(Node n, std::function<void(Turn&, Member&, PodNews&)> what) {
    at(n).todo = std::move(what);
    net.Call(n, OpId{next_op++}, "do");
  }
  // A client on host a, whose tunnel is to lead through `uplink`.
  StreamId Tunnel(const std::string& uplink, std::string says = std::string(kHello), std::string to = "origin.example:4433", bool reads = true) {
    StreamId stream{};
    Do(a, [&](Turn& turn, Member& m, PodNews&) {
      stream = m.pod.ids().NextStream();
      m.clients[stream].reads = reads;
      m.scripts[stream] = "CONNECT " + to + " HTTP/1.1\r\nHost: x\r\nOrchard-Uplink: " + uplink + "\r\n\r\n" + says;
      turn.out.Connect(stream, Endpoint::V4(0x7f000001, 3128));
    });
    return stream;
  }
  std::string Refused(const std::string& uplink, std::string says = std::string(kHello), std::string to = "origin.example:4433", Duration time = 5s) {
    const StreamId s = Tunnel(uplink, std::move(says), std::move(to));
    net.Run(time);
    return at(a).clients[s].got;
  }
  MemHost net;
  Node a = 0, b = 0, origin = 0;
  uint32_t next_op = 1;
};

TEST(RelayTest, LeadsThroughTheMemberThatWasNamedBothWaysAndEndsInOrder) {
  RelayNet w;
  const StreamId s = w.Tunnel(w.Id(w.b));
  w.net.Run(1s);
  EXPECT_EQ(w.at(w.a).clients[s].got, std::string(kEstablished) + std::string(kHello));
  ASSERT_EQ(w.server().from.size(), 1u);
  EXPECT_EQ(w.server().from[0].ip, w.net.address(w.b).ip);
  w.Do(w.a, [&](Turn& turn, Member&, PodNews&) { turn.out.End(s); });
  w.net.Run(1s);
  EXPECT_THAT(w.at(w.a).clients[s].got, EndsWith("bye"));
  EXPECT_TRUE(w.at(w.a).clients[s].ended);
  EXPECT_EQ(w.at(w.a).clients[s].closed, absl::StatusCode::kOk);
  EXPECT_EQ(w.server().closed, std::vector{absl::StatusCode::kOk});
  EXPECT_EQ(w.at(w.a).pod.relay_use().open() + w.at(w.b).pod.relay_serve().carried(), 0u);
  EXPECT_EQ(w.at(w.a).proxy.tunnels_and_origins() + w.at(w.a).proxy.clients(), 0u);
  EXPECT_EQ(w.at(w.b).pod.relay_serve().counters().up_bytes, kHello.size());
}

TEST(RelayTest, OwnLineIsAnUplinkToo) {
  RelayNet w;
  const StreamId s = w.Tunnel("own");
  w.net.Run(1s);
  EXPECT_THAT(w.at(w.a).clients[s].got, StartsWith(kEstablished));
  ASSERT_EQ(w.server().from.size(), 1u);
  EXPECT_EQ(w.server().from[0].ip, w.net.address(w.a).ip);
}

TEST(RelayTest, ManyMegabytesComeWholeWithinTheWindows) {
  constexpr uint64_t kPours = 20 << 20;
  RelayNet w(PodNet::Config(Profile::kHardened), kPours);
  const StreamId s = w.Tunnel(w.Id(w.b)), t = w.Tunnel(w.Id(w.b));
  EXPECT_TRUE(w.net.RunUntil([&] {
    return w.at(w.a).clients[s].got.size() == kEstablished.size() + kPours && w.at(w.a).clients[t].got.size() == kEstablished.size() + kPours;
  }, 60s));
  EXPECT_LE(w.at(w.b).held_max, 2 * kRelayWindow);
  EXPECT_EQ(w.at(w.b).pod.relay_serve().counters().down_bytes, 2 * kPours);
  EXPECT_EQ(w.at(w.a).pod.peers(), 1u);
}

TEST(RelayTest, AClientThatDoesNotReadHoldsTheOriginBackAndNobodyElse) {
  constexpr uint64_t kPours = 20 << 20;
  RelayNet w(PodNet::Config(Profile::kHardened), kPours);
  const StreamId slow = w.Tunnel(w.Id(w.b), std::string(kHello), "origin.example:4433", false);
  w.net.Run(2s);
  const StreamId quick = w.Tunnel(w.Id(w.b));
  EXPECT_TRUE(w.net.RunUntil([&] { return w.at(w.a).clients[quick].got.size() == kEstablished.size() + kPours; }, 60s));
  uint64_t least = kPours;
  for (const auto& [stream, bytes] : w.server().poured) least = std::min(least, bytes);
  EXPECT_LE(least, 4 * kRelayWindow);  // A window in each of four places.
  EXPECT_LE(w.at(w.a).clients[slow].got.size(), 200u);
  EXPECT_LE(w.at(w.b).held_max, 2 * kRelayWindow);
}

TEST(RelayTest, WhatCannotBeRelayedHasAName) {
  RelayNet w;
  EXPECT_THAT(w.Refused(w.Id(w.b), "", "nobody.example:4433"), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("error=dns_error")));
  EXPECT_THAT(w.Refused(w.Id(w.b), "", "origin.example:4434"), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("error=connection_refused")));
  EXPECT_THAT(w.Refused(w.Id(w.b), "", "10.88.88.88:4434", 40s), AllOf(StartsWith("HTTP/1.1 504 "), HasSubstr("error=connection_timeout")));
  EXPECT_THAT(w.Refused(w.Id(w.b), "", "origin.example:25"), AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("through a member: bad-port")));
  EXPECT_THAT(w.Refused(w.Id(w.a)), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("error=destination_unavailable")));
  EXPECT_THAT(w.Refused("somebody"), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(w.server().from.size(), 0u);
  EXPECT_EQ(w.at(w.b).pod.relay_serve().counters().refused, 4u);
  EXPECT_EQ(w.at(w.b).pod.relay_serve().carried() + w.at(w.a).pod.relay_use().open(), 0u);
}

TEST(RelayTest, WhatIsNoTlsIsCutOffBeforeItLeaves) {
  RelayNet w;
  const StreamId s = w.Tunnel(w.Id(w.b), "GET / HTTP/1.1\r\n\r\n");
  w.net.Run(2s);
  EXPECT_EQ(w.at(w.a).clients[s].closed, absl::StatusCode::kAborted);
  EXPECT_EQ(w.server().heard, "");
  // Nor in two pieces.
  const StreamId t = w.Tunnel(w.Id(w.b), "\x16");
  w.net.Run(1s);
  w.Do(w.a, [&](Turn& turn, Member&, PodNews&) { turn.out.Write(t, AsBytes("GET /")); });
  w.net.Run(1s);
  EXPECT_EQ(w.at(w.a).clients[t].closed, absl::StatusCode::kAborted);
  EXPECT_THAT(w.server().heard, ::testing::Not(HasSubstr("GET")));
}

TEST(RelayTest, PrivateAddressesAreOutOfReachUnlessAllowed) {
  PodConfig config = PodNet::Config(Profile::kHardened);
  config.allow_private = false;
  RelayNet w(config);
  EXPECT_THAT(w.Refused(w.Id(w.b)), AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("error=destination_ip_prohibited")));
  EXPECT_THAT(w.Refused(w.Id(w.b), "", "127.0.0.1:4433"), StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(w.server().from.size(), 0u);
}

TEST(RelayTest, MembersOfACompatPodAreNeverAsked) {
  RelayNet w(PodNet::Config(Profile::kCompatCode));
  EXPECT_THAT(w.Refused(w.Id(w.b)), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("not hardened")));
  EXPECT_EQ(w.at(w.b).pod.relay_serve().counters().asked, 0u);
  EXPECT_EQ(w.at(w.a).pod.relay_use().counters().begun, 0u);
  EXPECT_EQ(w.at(w.a).pod.peers(), 1u);
}

TEST(RelayTest, AMemberCarriesSoManyAtOnce) {
  RelayNet w;
  std::vector<StreamId> all;
  for (size_t i = 0; i < RelayServe::kPerPeer; ++i) all.push_back(w.Tunnel(w.Id(w.b)));
  w.net.Run(2s);
  EXPECT_EQ(w.at(w.b).pod.relay_serve().carried(), RelayServe::kPerPeer);
  EXPECT_THAT(w.Refused(w.Id(w.b)), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("error=connection_limit_reached")));
  w.Do(w.a, [&](Turn& turn, Member&, PodNews&) { turn.out.Close(all[0]); });
  w.net.Run(1s);
  EXPECT_THAT(w.Refused(w.Id(w.b)), StartsWith(kEstablished));
}

TEST(RelayTest, SharesTheBudgetOfWhatIsFetchedForAMember) {
  constexpr uint64_t kPours = 8 << 20, kRate = 1 << 20;
  PodConfig config = PodNet::Config(Profile::kHardened);
  config.serve_rate = kRate;
  RelayNet w(config, kPours);
  const StreamId s = w.Tunnel(w.Id(w.b));
  w.net.Run(4s);
  const size_t got = w.at(w.a).clients[s].got.size();
  EXPECT_GE(got, 3 * kRate);
  EXPECT_LE(got, 5 * kRate + kRelayPieceMax);  // Four seconds and the burst of one.
}

TEST(RelayTest, AMemberThatDiesOrLeavesCutsItsRelays) {
  for (const bool dies : {true, false}) {
    RelayNet w;
    const StreamId s = w.Tunnel(w.Id(w.b));
    w.net.Run(1s);
    dies ? w.net.Kill(w.b) : w.net.Stop(w.b);
    w.net.Run(20s);
    EXPECT_EQ(w.at(w.a).clients[s].closed, absl::StatusCode::kAborted) << dies;
    EXPECT_EQ(w.at(w.a).pod.relay_use().open(), 0u);
    ASSERT_EQ(w.server().closed.size(), 1u);
  }
}

TEST(RelayTest, WhoseClientGoesLeavesNothingBehind) {
  RelayNet w;
  const StreamId s = w.Tunnel(w.Id(w.b));
  w.net.Run(1s);
  w.Do(w.a, [&](Turn& turn, Member&, PodNews&) { turn.out.Close(s); });
  w.net.Run(1s);
  EXPECT_EQ(w.server().closed, std::vector{absl::StatusCode::kAborted});
  EXPECT_EQ(w.at(w.b).pod.relay_serve().carried() + w.at(w.a).pod.relay_use().open(), 0u);
}

TEST(RelayTest, InWhichNothingIsSaidEnds) {
  RelayNet w;
  w.Tunnel(w.Id(w.b));
  w.net.Run(1min);
  EXPECT_EQ(w.at(w.b).pod.relay_serve().carried(), 1u);
  w.net.Run(2min);
  EXPECT_EQ(w.at(w.b).pod.relay_serve().carried() + w.at(w.a).pod.relay_use().open(), 0u);
  EXPECT_EQ(w.server().closed.size(), 1u);
}

TEST(RelayTest, AnOriginThatResetsIsSeenToHaveReset) {
  RelayNet w;
  const StreamId s = w.Tunnel(w.Id(w.b));
  w.net.Run(1s);
  w.net.Kill(w.origin);
  w.net.Run(1s);
  EXPECT_EQ(w.at(w.a).clients[s].closed, absl::StatusCode::kAborted);
  EXPECT_EQ(w.at(w.b).pod.relay_serve().carried(), 0u);
}

}  // namespace
}  // namespace orchard::pod
