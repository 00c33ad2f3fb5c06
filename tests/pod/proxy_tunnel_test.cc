#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pod/proxy_net.h"

namespace orchard::pod {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection Established\r\n\r\n";

// Says what it hears, and ends when its client does; or pours bytes out, or listens to none.
class Echo final : public Machine {
 public:
  struct Options {
    bool ends_first = false;  // Its half, at once, behind a greeting.
    bool deaf = false;        // Accepts nothing.
    uint64_t pours = 0;       // Bytes that it says by itself.
  };
  explicit Echo(Options o) : o_(o) {}
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) turn.out.Listen(SocketId{1}, Endpoint::V4(0, 4000));
    if (const auto* o = std::get_if<StreamOpened>(&input)) {
      ++open;
      if (!o_.deaf) turn.out.Accept(o->stream, 1u << 30);
      if (o_.ends_first) turn.out.Write(o->stream, AsBytes("hello")), turn.out.End(o->stream);
      credit_ = kStreamWindow;
      Pour(turn, o->stream);
    }
    if (const auto* d = std::get_if<StreamData>(&input)) {
      heard += AsText(d->bytes);
      if (!o_.ends_first && o_.pours == 0) turn.out.Write(d->stream, d->bytes);
    }
    if (const auto* c = std::get_if<StreamCredit>(&input)) credit_ += c->bytes, Pour(turn, c->stream);
    if (const auto* e = std::get_if<StreamEnded>(&input)) {
      client_ended = true;
      if (!o_.ends_first) turn.out.Write(e->stream, AsBytes("bye")), turn.out.End(e->stream);
    }
    if (const auto* c = std::get_if<StreamClosed>(&input)) --open, closed = c->status;
  }
  Instant next_deadline() const override { return kNever; }
  std::string heard;
  uint64_t poured = 0;
  int open = 0;
  bool client_ended = false;
  std::optional<absl::StatusCode> closed;

 private:
  void Pour(Turn& turn, StreamId s) {
    const std::string piece(size_t(std::min<uint64_t>(credit_, o_.pours - poured)), 'p');
    if (piece.empty()) return;
    turn.out.Write(s, AsBytes(piece));
    poured += piece.size(), credit_ -= piece.size();
  }
  Options o_;
  uint64_t credit_ = 0;
};

MemHost::NodeIndex AddEcho(ProxyNet& p, Echo::Options o = {}, std::optional<Endpoint> at = std::nullopt) {
  return p.net.Add("echo", [o](uint32_t) { return std::make_unique<Echo>(o); }, at);
}
std::string Connect(std::string where) { return "CONNECT " + where + " HTTP/1.1\r\nHost: " + where + "\r\n\r\n"; }

TEST(ProxyTunnelTest, BytesGoBothWaysThoseBehindTheHeadToo) {
  ProxyNet p;
  const auto echo = AddEcho(p);
  RawClient& c = p.Raw({.script = Connect(p.net.address(echo).host() + ":4000") + "early", .end = true});
  p.net.Run(2s);
  EXPECT_EQ(c.got, std::string(kEstablished) + "earlybye");
  EXPECT_TRUE(c.server_ended);
  EXPECT_EQ(c.closed, absl::StatusCode::kOk);
  EXPECT_EQ(p.net.machine<Echo>(echo).closed, absl::StatusCode::kOk);
  EXPECT_EQ(p.machine().proxy.clients(), 0u);
  EXPECT_EQ(p.machine().proxy.tunnels_and_origins(), 0u);
}

TEST(ProxyTunnelTest, TheOriginMayEndFirstAndListenOn) {
  ProxyNet p;
  const auto echo = AddEcho(p, {.ends_first = true});
  // RawClient ends when it sees the end; what it wrote before must arrive.
  RawClient& c = p.Raw({.script = Connect(p.net.address(echo).host() + ":4000") + std::string(30'000, 'x'), .piece = 6000, .beat = 1ms});
  p.net.Run(2s);
  EXPECT_THAT(c.got, EndsWith("hello"));
  EXPECT_TRUE(c.server_ended);
  EXPECT_TRUE(p.net.machine<Echo>(echo).client_ended);
  EXPECT_THAT(p.net.machine<Echo>(echo).heard, StartsWith("xxxx"));
  EXPECT_EQ(p.machine().proxy.clients(), 0u);
}

TEST(ProxyTunnelTest, NamesAndIpv6LiteralsLeadThere) {
  ProxyNet p;
  Endpoint six = *Endpoint::Parse("[fd00::7]:1");
  const auto echo = AddEcho(p, {}, six);
  EXPECT_EQ(p.Exchange(Connect("[fd00::7]:4000") + "six"), std::string(kEstablished) + "six");
  const auto other = p.net.Add("echo4", [](uint32_t) { return std::make_unique<Echo>(Echo::Options{}); });
  p.net.SetName("echo.example", {p.net.address(p.getter), p.net.address(other)});  // The first address is dead.
  EXPECT_EQ(p.Exchange(Connect("Echo.Example:4000") + "name"), std::string(kEstablished) + "name");
  EXPECT_EQ(p.net.machine<Echo>(echo).heard, "six");
}

TEST(ProxyTunnelTest, WhatCannotBeReachedHasANameAndAStatus) {
  ProxyNet p;
  EXPECT_THAT(p.Exchange(Connect("nobody.example:443")), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("error=dns_error"), EndsWith("nobody.example:443: no-name\n")));
  EXPECT_THAT(p.Exchange(Connect(p.net.address(p.getter).host() + ":1")), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("error=connection_refused")));
  EXPECT_THAT(p.Exchange(Connect("10.88.88.88:443"), 20s), AllOf(StartsWith("HTTP/1.1 504 "), HasSubstr("error=connection_timeout")));
  EXPECT_THAT(p.Exchange(Connect("x.example:0")), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(p.Exchange("CONNECT x.example HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  // What comes behind a tunnel that was not dug is no request.
  const std::string base = p.Script([](auto, auto) { return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}; });
  p.Exchange(Connect("nobody.example:443") + "GET " + base + "/ HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(p.server().requests.size(), 0u);
  EXPECT_EQ(p.machine().proxy.tunnels_and_origins(), 0u);
}

TEST(ProxyTunnelTest, ASlowClientOrOriginHoldsTheOtherBack) {
  ProxyNet p;
  const auto pourer = AddEcho(p, {.pours = 20'000'000});
  p.Raw({.script = Connect(p.net.address(pourer).host() + ":4000"), .reads = false});
  p.net.Run(20s);
  EXPECT_GT(p.machine().held_max, 0u);
  EXPECT_LE(p.machine().held_max, 256u << 10);
  EXPECT_LE(p.net.machine<Echo>(pourer).poured, 1u << 20);

  ProxyNet q;
  const auto deaf = AddEcho(q, {.deaf = true});
  q.Raw({.script = Connect(q.net.address(deaf).host() + ":4000") + std::string(250'000, 'x'), .piece = 50'000, .beat = 10ms});
  q.net.Run(20s);
  EXPECT_LE(q.machine().held_max, 64u << 10);
}

TEST(ProxyTunnelTest, ATunnelInWhichNothingIsSaidEnds) {
  ProxyNet p;
  const auto echo = AddEcho(p);
  RawClient& c = p.Raw({.script = Connect(p.net.address(echo).host() + ":4000") + "once"});
  p.net.Run(9min);
  EXPECT_FALSE(c.closed.has_value());
  p.net.Run(2min);
  EXPECT_EQ(c.closed, absl::StatusCode::kAborted);
  EXPECT_EQ(p.net.machine<Echo>(echo).open, 0);
}

TEST(ProxyTunnelTest, AResetOfEitherSideIsTheOthers) {
  ProxyNet p;
  const auto echo = AddEcho(p);
  RawClient& c = p.Raw({.script = Connect(p.net.address(echo).host() + ":4000")});
  p.net.Run(1s);
  p.net.Kill(echo);
  p.net.Run(1s);
  EXPECT_EQ(c.closed, absl::StatusCode::kAborted);

  ProxyNet q;
  const auto other = AddEcho(q);
  RawClient& d = q.Raw({.script = Connect(q.net.address(other).host() + ":4000")});
  q.net.Run(1s);
  d.todo = [](Turn& turn, RawClient&) { turn.out.Close(StreamId{1}); };
  q.net.machine<RawClient>(MemHost::NodeIndex(q.net.size() - 1)).todo = d.todo;
  q.net.Call(MemHost::NodeIndex(q.net.size() - 1), OpId{1}, "do");
  q.net.Run(1s);
  EXPECT_EQ(q.net.machine<Echo>(other).open, 0);
  EXPECT_EQ(q.machine().proxy.clients(), 0u);
}

}  // namespace
}  // namespace orchard::pod
