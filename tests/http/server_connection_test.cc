// What a parent can do with a connection that the origin does not: bodies that come, tunnels, and ends in the middle.

#include "node/http/server_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http/net.h"

namespace orchard::http {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Node = MemHost::NodeIndex;

// Sends back what comes, chunked, no faster than it is read: it takes a byte when it has written it. "/deaf" is answered at
// once with 403; CONNECT is a tunnel of the same kind.
class Echo final : public Machine {
 public:
  struct Client {
    explicit Client(StreamId s) : server(s, {}, 1 << 20) {}
    ServerConnection server;
    std::string back;
    bool request_done = false, tunnel_ended = false;
  };
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) turn.out.Listen(SocketId{1}, Endpoint::V4(0, 80));
    if (const auto* o = std::get_if<StreamOpened>(&input)) {
      client = std::make_unique<Client>(o->stream);
      client->server.OnOpened(turn);
    }
    if (client == nullptr) return;
    Client& c = *client;
    ServerNews news;
    if (const auto* x = std::get_if<StreamData>(&input)) c.server.OnData(turn, x->bytes, news);
    if (const auto* x = std::get_if<StreamCredit>(&input)) c.server.OnCredit(turn, x->bytes, news);
    if (std::holds_alternative<StreamEnded>(input)) c.server.OnEnded(turn, news);
    if (const auto* x = std::get_if<StreamClosed>(&input)) c.server.OnClosed(turn, x->status, news);
    if (std::holds_alternative<Deadline>(input)) c.server.OnTime(turn, news);
    for (size_t i = 0; i < news.size(); ++i) {
      const auto n = news[i];
      if (std::holds_alternative<RequestStarted>(n)) {
        c.request_done = false;
        if (c.server.request().method == "CONNECT") {
          c.server.OpenTunnel(turn, news);
        } else if (c.server.request().target == "/deaf") {
          c.server.RespondText(turn, 403, "no\n", news);
        } else {
          c.server.Continue(turn);
          c.server.Respond(turn, {}, news);
        }
      }
      if (const auto* b = std::get_if<RequestBody>(&n)) c.back += AsText(b->bytes);
      if (const auto* b = std::get_if<TunnelData>(&n)) c.back += AsText(b->bytes);
      if (std::holds_alternative<RequestDone>(n)) c.request_done = true;
      if (std::holds_alternative<TunnelEnded>(n)) c.tunnel_ended = true;
      if (const auto* x = std::get_if<ServerClosed>(&n)) closed = *x;
      held_max = std::max(held_max, c.back.size());
      if (closed.has_value()) continue;
      Pump(turn, c, news);
    }
  }
  void Pump(Turn& turn, Client& c, ServerNews& news) {
    const bool tunnel = c.server.request().body == BodyKind::kTunnel;
    const size_t n = std::min(c.back.size(), c.server.room());
    if (n > 0 && (tunnel || c.server.answering())) {
      const std::string part = c.back.substr(0, n);
      if (tunnel) c.server.WriteTunnel(turn, AsBytes(part));
      else c.server.WriteBody(turn, AsBytes(part));
      c.server.Took(turn, n);
      c.back.erase(0, n);
    }
    if (!tunnel && c.server.answering() && c.request_done && c.back.empty()) c.request_done = false, c.server.FinishBody(turn, news);
    if (tunnel && c.tunnel_ended && c.back.empty()) c.tunnel_ended = false, c.server.EndTunnel(turn);
  }
  Instant next_deadline() const override { return client == nullptr ? kNever : client->server.next_deadline(); }
  std::unique_ptr<Client> client;
  std::optional<ServerClosed> closed;
  size_t held_max = 0;
};

struct World {
  World() {
    echo = net.Add("echo", [](uint32_t) { return std::make_unique<Echo>(); });
    net.Run(1ms);
  }
  Node Client(RawClient::Options options) {
    const Endpoint to = net.address(echo).with_port(80);
    return net.Add("client-" + std::to_string(net.size()), [=](uint32_t) { return std::make_unique<RawClient>(to, options); });
  }
  std::string Say(std::string script, bool end = true) {
    const Node c = Client({.script = std::move(script), .end = end});
    net.RunUntil([&] { return raw(c).closed.has_value(); }, 100s);
    return raw(c).got;
  }
  RawClient& raw(Node n) { return net.machine<RawClient>(n); }
  Echo& server() { return net.machine<Echo>(echo); }
  MemHost net;
  Node echo = 0;
};

TEST(ServerConnectionTest, BodiesComeWithEitherLengthAndGoBack) {
  World w;
  const std::string two = w.Say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n3\r\nbar\r\n0\r\n\r\n");
  EXPECT_THAT(two, HasSubstr("\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(two, EndsWith("\r\n\r\n3\r\nfoo\r\n3\r\nbar\r\n0\r\n\r\n"));
  ASSERT_TRUE(w.server().closed.has_value());
  EXPECT_EQ(w.server().closed->why, Failure::kNone);
}

TEST(ServerConnectionTest, TakesNoMoreThanItsParentTakes) {
  World w;
  const size_t size = 250'000;
  const Node c = w.Client({.script = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + std::string(size, 'x'), .reads = false});
  w.net.Run(10s);
  EXPECT_GT(w.server().held_max, 0u);
  EXPECT_LE(w.server().held_max, ServerConnection::kReadAhead);
  EXPECT_EQ(w.raw(c).got, "");
}

TEST(ServerConnectionTest, SaysContinueToWhoWaitsForIt) {
  World w;
  const Node c = w.Client({.script = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.raw(c).got.starts_with("HTTP/1.1 100 Continue\r\n\r\n"); }, 1s));
  const std::string deaf = w.Say("POST /deaf HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", false);
  EXPECT_THAT(deaf, StartsWith("HTTP/1.1 403"));  // And no more: whether the body comes is not known.
  EXPECT_THAT(deaf, HasSubstr("Connection: close\r\n"));
}

TEST(ServerConnectionTest, ARefusalArrivesThoughTheBodyIsNotRead) {
  World w;
  const std::string body(200'000, 'x');
  const Node c = w.Client({.script = "POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + body, .piece = 10'000, .beat = 1ms});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.raw(c).closed.has_value(); }, 20s));
  EXPECT_THAT(w.raw(c).got, EndsWith("\r\n\r\nno\n"));
  EXPECT_EQ(w.raw(c).closed, absl::StatusCode::kOk);
}

TEST(ServerConnectionTest, ATunnelPassesBytesBothWaysAndEndsByHalves) {
  World w;
  const Node c = w.Client({.script = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03 GET / HTTP/1.1\r\n\r\n", .end = true});
  ASSERT_TRUE(w.net.RunUntil([&] { return w.raw(c).closed.has_value(); }, 5s));
  EXPECT_EQ(w.raw(c).got, "HTTP/1.1 200 Connection Established\r\n\r\n\x16\x03 GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(w.raw(c).closed, absl::StatusCode::kOk);
  EXPECT_EQ(w.server().closed->why, Failure::kNone);
}

TEST(ServerConnectionTest, ABodyThatStopsIsGivenUp) {
  World w;
  const Node c = w.Client({.script = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell"});
  w.net.Run(25s);
  EXPECT_FALSE(w.server().closed.has_value());
  ASSERT_TRUE(w.net.RunUntil([&] { return w.server().closed.has_value(); }, 10s));
  EXPECT_EQ(w.server().closed->why, Failure::kStalled);
  EXPECT_TRUE(w.net.RunUntil([&] { return w.raw(c).closed.has_value(); }, 1s));
}

TEST(ServerConnectionTest, ABodyCutOffIsNotTakenForWhole) {
  World w;
  w.Say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell");
  ASSERT_TRUE(w.server().closed.has_value());
  EXPECT_EQ(w.server().closed->refusal, Refusal::kTruncated);
}

TEST(ServerConnectionTest, RefusesTooLargeABodyBeforeItComes) {
  World w;
  EXPECT_THAT(w.Say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", false), StartsWith("HTTP/1.1 413"));
}

}  // namespace
}  // namespace orchard::http
