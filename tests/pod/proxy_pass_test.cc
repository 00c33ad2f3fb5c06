#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pod/proxy_net.h"

namespace orchard::pod {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string HostOf(const std::string& base) { return base.substr(7); }

TEST(ProxyPassTest, TheOriginReadsTheRequestAsItWasWrittenWithoutTheHeadersOfThisHop) {
  ProxyNet p;
  p.machine().pod.members = 0;
  const std::string base = p.Script([](auto, auto) { return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"}; });
  p.Exchange("GET " + base + "/a%20b?q=1 HTTP/1.1\r\nhost:   " + HostOf(base) + "\r\nX-Odd:  two  words \r\nProxy-Connection: keep-alive\r\n" +
             "Connection: close, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\nCookie: a=b\r\nProxy-Authorization: Basic eA==\r\naccept: */*\r\n\r\n");
  ASSERT_EQ(p.server().requests.size(), 1u);
  EXPECT_EQ(p.server().requests[0], "GET /a%20b?q=1 HTTP/1.1\r\nhost:   " + HostOf(base) + "\r\nX-Odd:  two  words \r\nCookie: a=b\r\naccept: */*\r\n\r\n");
}

TEST(ProxyPassTest, TheClientReadsTheAnswerAsItWasWritten) {
  ProxyNet p;
  const std::string base = p.Script([](auto, auto) {
    return RawServer::Reply{"HTTP/1.1 203 Quite Fine\r\nx-B:  2\r\nKeep-Alive: timeout=5\r\nContent-length: 2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-A: 1\r\nVia: 1.1 other\r\n\r\nhi"};
  });
  EXPECT_EQ(p.Exchange("GET " + base + "/ HTTP/1.1\r\nHost: x\r\n\r\n"),
            "HTTP/1.1 203 Quite Fine\r\nx-B:  2\r\nContent-length: 2\r\nX-A: 1\r\nVia: 1.1 other\r\n\r\nhi");
}

TEST(ProxyPassTest, HostIsWhatTheUrlSays) {
  ProxyNet p;
  const std::string base = p.Script([](auto, auto) { return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}; });
  p.Exchange("GET " + base + "/ HTTP/1.1\r\nA: 1\r\nHost: elsewhere.example\r\nB: 2\r\n\r\nGET " + base + "/2 HTTP/1.0\r\nC: 3\r\n\r\n");
  ASSERT_EQ(p.server().requests.size(), 2u);
  EXPECT_EQ(p.server().requests[0], "GET / HTTP/1.1\r\nA: 1\r\nHost: " + HostOf(base) + "\r\nB: 2\r\n\r\n");
  EXPECT_EQ(p.server().requests[1], "GET /2 HTTP/1.1\r\nC: 3\r\nHost: " + HostOf(base) + "\r\n\r\n");
}

TEST(ProxyPassTest, AnswersWithoutABodyEndWhereTheirHeadsEnd) {
  ProxyNet p;
  const std::string base = p.Script([](std::string_view request, size_t) {
    if (request.starts_with("HEAD")) return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nA: 1\r\n\r\n"};
    if (request.find("/204") != request.npos) return RawServer::Reply{"HTTP/1.1 204 No Content\r\nA: 2\r\n\r\n"};
    if (request.find("/304") != request.npos) return RawServer::Reply{"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 9\r\n\r\n"};
    return RawServer::Reply{"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"};
  });
  auto ask = [&](std::string method, std::string path) { return method + " " + base + path + " HTTP/1.1\r\nHost: x\r\n\r\n"; };
  EXPECT_EQ(p.Exchange(ask("HEAD", "/") + ask("GET", "/204") + ask("GET", "/304") + ask("GET", "/404")),
            "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nA: 1\r\n\r\nHTTP/1.1 204 No Content\r\nA: 2\r\n\r\n"
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 9\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
  EXPECT_EQ(p.server().connections, 1u);  // Kept for the next.
}

TEST(ProxyPassTest, InterimAnswersGoBeforeTheFinalOneAndNotToOldClients) {
  ProxyNet p;
  const std::string base = p.Script([](auto, auto) {
    return RawServer::Reply{"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"};
  });
  EXPECT_EQ(p.Exchange("GET " + base + "/ HTTP/1.1\r\nHost: x\r\nCookie: a\r\n\r\n"),
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_THAT(p.Exchange("GET " + base + "/ HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

// Reads whole bodies and says how long they were.
class Sink final : public Machine {
 public:
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) turn.out.Listen(SocketId{1}, Endpoint::V4(0, 80));
    if (const auto* o = std::get_if<StreamOpened>(&input)) servers.emplace(o->stream, o->stream).first->second.OnOpened(turn);
    http::ServerNews news;
    auto at = [&](StreamId s) -> http::ServerConnection* { auto it = servers.find(s); return it == servers.end() ? nullptr : &it->second; };
    http::ServerConnection* s = nullptr;
    if (const auto* x = std::get_if<StreamData>(&input); x != nullptr && (s = at(x->stream)) != nullptr) s->OnData(turn, x->bytes, news);
    if (const auto* x = std::get_if<StreamCredit>(&input); x != nullptr && (s = at(x->stream)) != nullptr) s->OnCredit(turn, x->bytes, news);
    for (size_t i = 0; i < news.size(); ++i) {
      if (std::holds_alternative<http::RequestStarted>(news[i])) {
        heads.emplace_back(s->request().headers.bytes());
        if (s->request().expects_continue) ++expected, s->Continue(turn);
      }
      if (const auto* b = std::get_if<http::RequestBody>(&news[i])) body += AsText(b->bytes), s->Took(turn, b->bytes.size());
      if (std::holds_alternative<http::RequestDone>(news[i])) s->RespondText(turn, 201, "thanks", news);
    }
  }
  Instant next_deadline() const override { return kNever; }
  std::map<StreamId, http::ServerConnection> servers;
  std::vector<std::string> heads;
  std::string body;
  int expected = 0;
};

TEST(ProxyPassTest, BodiesGoUpWithALengthAndInChunks) {
  for (bool chunked : {false, true}) {
    ProxyNet p;
    const auto sink = p.net.Add("sink", [](uint32_t) { return std::make_unique<Sink>(); });
    std::string body;
    for (int i = 0; body.size() < 200'000; ++i) body += std::to_string(i) + ",";
    std::string script = "POST " + p.Base(sink) + "/ HTTP/1.1\r\nHost: x\r\n";
    if (chunked) {
      script += "Transfer-Encoding: chunked\r\n\r\n";
      for (size_t at = 0; at < body.size(); at += 7000) {
        const std::string piece = body.substr(at, 7000);
        script += http::ChunkHead(piece.size()) + piece + "\r\n";
      }
      script += "0\r\n\r\n";
    } else {
      script += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    RawClient& c = p.Raw({.script = script, .piece = 9000, .beat = 1ms});
    p.net.Run(5s);
    EXPECT_THAT(c.got, StartsWith("HTTP/1.1 201 Created\r\n"));
    EXPECT_THAT(c.got, EndsWith("thanks"));
    EXPECT_EQ(p.net.machine<Sink>(sink).body, body);
    EXPECT_LE(p.machine().held_max, 64u << 10);
  }
}

TEST(ProxyPassTest, AClientThatWaitsFor100HearsItFromTheOrigin) {
  ProxyNet p;
  const auto sink = p.net.Add("sink", [](uint32_t) { return std::make_unique<Sink>(); });
  RawClient& c = p.Raw({.script = "PUT " + p.Base(sink) + "/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"});
  p.net.Run(1s);
  EXPECT_EQ(c.got, "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(p.net.machine<Sink>(sink).expected, 1);
}

TEST(ProxyPassTest, AKeptConnectionThatWasClosedMeanwhileIsReplaced) {
  ProxyNet p;
  const std::string base = p.Script([](auto, size_t nth) {
    if (nth == 1) return RawServer::Reply{.bytes = "", .reset = true};
    return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::to_string(nth)};
  });
  const std::string ask = "GET " + base + "/ HTTP/1.1\r\nHost: x\r\nCookie: 1\r\n\r\n";
  EXPECT_THAT(p.Exchange(ask + ask), EndsWith("\r\n\r\n2"));
  EXPECT_EQ(p.server().connections, 2u);
}

TEST(ProxyPassTest, ChunkedAnswersStayChunkedAndEndingOnesAreCutWhenTheyBreak) {
  ProxyNet p;
  const std::string base = p.Script([](std::string_view request, size_t) {
    if (request.find("/chunked") != request.npos) return RawServer::Reply{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"};
    if (request.find("/until-end") != request.npos) return RawServer::Reply{.bytes = "HTTP/1.0 200 OK\r\n\r\nabc", .end = true};
    return RawServer::Reply{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", .end = true};
  });
  const std::string tail = " HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_EQ(p.Exchange("GET " + base + "/chunked" + tail), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(p.Exchange("GET " + base + "/until-end" + tail), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  RawClient& c = p.Raw({.script = "GET " + base + "/short" + tail});
  p.net.Run(5s);
  EXPECT_THAT(c.got, EndsWith("\r\n\r\nabc"));
  EXPECT_TRUE(c.server_ended);  // Its framing says that it is short.
  EXPECT_EQ(p.stats().cut, 1u);
}

TEST(ProxyPassTest, WhatTheOriginFailsInHasANameAndAStatus) {
  ProxyConfig config = OpenConfig();
  config.origin.first_byte = 2s, config.origin.connect = 1s;
  ProxyNet p(config);
  const std::string silent = p.Script([](auto, auto) { return RawServer::Reply{}; });
  const std::string odd = p.Script([](auto, auto) { return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}; });
  auto ask = [&](std::string url) { return p.Exchange("GET " + url + " HTTP/1.1\r\nHost: x\r\n\r\n", 8s); };
  EXPECT_THAT(ask("http://nobody.example/"), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("Proxy-Status: orchard; error=dns_error\r\n"), EndsWith("nobody.example: no-name\n")));
  EXPECT_THAT(ask(silent + ":81/"), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("error=connection_refused")));
  EXPECT_THAT(ask("http://10.99.99.99/"), AllOf(StartsWith("HTTP/1.1 504 "), HasSubstr("error=connection_timeout")));
  EXPECT_THAT(ask(silent + "/"), AllOf(StartsWith("HTTP/1.1 504 "), HasSubstr("error=http_response_timeout")));
  EXPECT_THAT(ask(odd + "/"), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("error=http_protocol_error"), HasSubstr("several-content-lengths")));
  EXPECT_EQ(p.stats().failed, 5u);
}

TEST(ProxyPassTest, ANameLeadsToTheNextAddressIfOneIsDead) {
  ProxyNet p;
  const std::string base = p.Script([](auto, auto) { return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"}; });
  p.net.SetName("two.example", {p.net.address(p.getter), p.net.address(p.origin_node)});
  EXPECT_THAT(p.Exchange("GET http://two.example/ HTTP/1.1\r\nHost: two.example\r\n\r\n"), EndsWith("hi"));
}

TEST(ProxyPassTest, WhatTwoMightReadDifferentlyReachesNoOrigin) {
  ProxyNet p;
  const std::string base = p.Script([](auto, auto) { return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}; });
  const std::string post = "POST " + base + "/ HTTP/1.1\r\nHost: x\r\n";
  for (const std::string& bad : std::vector<std::string>{
           post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
           post + "Content-Length: +5\r\n\r\nhello",
           post + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
           post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
           post + "A: 1\r\n folded\r\n\r\n",
           post + "A: 1\n\r\n",
           post + "Host: y\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET //" + HostOf(base) + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET ftp://" + HostOf(base) + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET https://" + HostOf(base) + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET http://user@" + HostOf(base) + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
           "CONNECT " + HostOf(base) + ":80 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"}) {
    EXPECT_THAT(p.Exchange(bad), AnyOf(StartsWith("HTTP/1.1 4"), StartsWith("HTTP/1.1 501 "))) << bad;
  }
  // Smuggled behind a length that the client names in Connection.
  p.Exchange("POST " + base + "/ HTTP/1.1\r\nHost: x\r\nConnection: Content-Length\r\nContent-Length: 4\r\n\r\nGET ");
  EXPECT_THAT(p.Exchange("TRACE " + base + "/ HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 405"));
  ASSERT_EQ(p.server().requests.size(), 1u);
  EXPECT_THAT(p.server().requests[0], HasSubstr("Content-Length: 4\r\n"));
}

TEST(ProxyPassTest, OptionsOfAServerAsksForTheServer) {
  ProxyNet p;
  const std::string base = p.Script([](auto, auto) { return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}; });
  p.Exchange("OPTIONS " + base + " HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_EQ(p.server().requests.size(), 1u);
  EXPECT_THAT(p.server().requests[0], StartsWith("OPTIONS * HTTP/1.1\r\n"));
}

TEST(ProxyPassTest, AskedForItselfItSaysSo) {
  ProxyNet p;
  const std::string own = p.at().ToString();
  EXPECT_THAT(p.Exchange("GET http://" + own + "/ HTTP/1.1\r\nHost: x\r\n\r\n"), AllOf(StartsWith("HTTP/1.1 502"), HasSubstr("proxy_loop_detected")));
  EXPECT_THAT(p.Exchange("CONNECT 127.1.2.3:3128 HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("proxy_loop_detected"));
  EXPECT_THAT(p.Exchange("CONNECT [::1]:3128 HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("proxy_loop_detected"));
}

TEST(ProxyPassTest, ServesNobodyElseUnlessToldSo) {
  ProxyConfig config = OpenConfig();
  config.anyone = false;
  ProxyNet p(config);
  p.net.Run(1s);
  EXPECT_EQ(p.machine().proxy.bind_failure(), absl::StatusCode::kPermissionDenied);
  EXPECT_FALSE(p.machine().proxy.listening().has_value());
  EXPECT_EQ(ProxyConfig().local, Endpoint::V4(0x7f000001, 3128));
}

TEST(ProxyPassTest, OneMachineOfManyTakesNoMoreThanItsShare) {
  ProxyNet p;
  // A node is an address here: so many connections of one.
  class Many final : public Machine {
   public:
    explicit Many(Endpoint to) : to_(to) {}
    void Handle(Turn& turn, const Input& input) override {
      if (std::holds_alternative<Start>(input)) for (uint32_t i = 1; i <= Proxy::kClientsPerAddress + 3; ++i) turn.out.Connect(StreamId{i}, to_);
      if (std::holds_alternative<StreamClosed>(input)) ++closed;
    }
    Instant next_deadline() const override { return kNever; }
    size_t closed = 0;
   private:
    Endpoint to_;
  };
  const Endpoint to = p.at();
  const auto many = p.net.Add("many", [to](uint32_t) { return std::make_unique<Many>(to); });
  p.net.Run(1s);
  EXPECT_EQ(p.net.machine<Many>(many).closed, 3u);
  EXPECT_EQ(p.machine().proxy.clients(), Proxy::kClientsPerAddress);
  EXPECT_EQ(p.stats().crowded, 3u);
}

TEST(ProxyPassTest, ASlowClientIsWaitedForAndNothingGrows) {
  ProxyNet p;
  p.machine().pod.members = 0;
  const std::string base = p.Serve({.files = {{"/film", 20'000'000}}});
  RawClient& c = p.Raw({.script = "GET " + base + "/film HTTP/1.1\r\nHost: x\r\n\r\n", .reads = false});
  p.net.Run(20s);  // This origin waits for thirty.
  EXPECT_GT(p.machine().held_max, 0u);
  EXPECT_LE(p.machine().held_max, 256u << 10);
  EXPECT_LE(p.origin().stats().body_bytes, 1u << 20);
  EXPECT_FALSE(c.closed.has_value());
  p.net.Run(10min);  // In the end it is no client any more.
  EXPECT_TRUE(c.closed.has_value());
  EXPECT_EQ(p.machine().proxy.clients(), 0u);
  EXPECT_EQ(p.machine().proxy.tunnels_and_origins(), 0u);
}

TEST(ProxyPassTest, AClientThatHangsUpTakesItsOriginsConnectionWithIt) {
  ProxyNet p;
  const std::string base = p.Serve({.files = {{"/film", 20'000'000}}, .rate = 100'000});
  RawClient& c = p.Raw({.script = "GET " + base + "/film HTTP/1.1\r\nHost: x\r\nCookie: 1\r\n\r\n"});
  p.net.Run(2s);
  ASSERT_EQ(p.machine().proxy.tunnels_and_origins(), 1u);
  c.todo = [](Turn& turn, RawClient&) { turn.out.Close(StreamId{1}); };
  p.net.Run(5s);
  EXPECT_EQ(p.machine().proxy.tunnels_and_origins(), 0u);
  EXPECT_EQ(p.machine().proxy.clients(), 0u);
}

// As without a proxy: all that came, and then the end.
TEST(ProxyPassTest, AnOriginThatStopsShortLeavesTheClientAllThatItSent) {
  ProxyNet p;
  p.machine().pod.members = 0;
  const std::string url = p.Serve({.files = {{"/film", 3'000'000}}, .ranges = false, .lie = 2'000'000}) + "/film";
  const auto r = p.Get(url);
  EXPECT_EQ(r.bytes, 3'000'000u);
  EXPECT_EQ(r.why, http::Failure::kClosedEarly);
  EXPECT_EQ(r.sha256, p.origin().content("/film")->Sha256());
  EXPECT_EQ(p.stats().cut, 1u);
  EXPECT_EQ(p.machine().proxy.tunnels_and_origins(), 0u);
}

TEST(ProxyPassTest, WhereTheEndIsTheEndOfTheBodyAShortOneIsReset) {
  for (int minor : {0, 1}) {
    ProxyNet p;
    const std::string base = p.Script([](std::string_view, size_t) {
      return RawServer::Reply{.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", .end = true};
    });
    RawClient& c = p.Raw({.script = "GET " + base + "/ HTTP/1." + std::to_string(minor) + "\r\nHost: x\r\n\r\n"});
    p.net.Run(20s);
    EXPECT_EQ(c.server_ended, minor == 1);
    if (minor == 1) {
      EXPECT_THAT(c.got, EndsWith("\r\n\r\n3\r\nabc\r\n"));
    } else {
      EXPECT_EQ(c.closed, absl::StatusCode::kAborted);
    }
  }
}

TEST(ProxyPassTest, ADigestThatIsNoneIsRefused) {
  for (const char* digest : {"zz", "", "abcd", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}) {
    ProxyNet p;
    const std::string url = p.Serve({.files = {{"/film", 100}}}) + "/film";
    EXPECT_THAT(p.Exchange("GET " + url + " HTTP/1.1\r\nHost: x\r\nOrchard-SHA256: " + digest + "\r\n\r\n"),
                AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("64 hex digits"))) << digest;
    EXPECT_EQ(p.origin().stats().requests, 0u);
  }
}

// Also where nobody helps: not ranged, chunked, shorter than a part, by a connection's end.
TEST(ProxyPassTest, WhatHasAnotherDigestIsNeverWhole) {
  const auto hex = [](std::string_view s) { return ToHex(crypto::Sha256(AsBytes(s))); };
  for (const std::string answer : {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
                                   "HTTP/1.1 200 OK\r\n\r\nabcdef", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}) {
    for (size_t members : {0, 2}) {
      const std::string body = answer.ends_with("0\r\n\r\n") && !answer.ends_with("def\r\n0\r\n\r\n") ? "" : "abcdef";
      for (const std::string& digest : {hex(body), hex("abcdeg")}) {
        ProxyNet p;
        p.machine().pod.members = members;
        const std::string base = p.Script([&](std::string_view, size_t) { return RawServer::Reply{.bytes = answer, .end = true}; });
        RawClient& c = p.Raw({.script = "GET " + base + "/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrchard-SHA256: " + digest + "\r\n\r\n"});
        p.net.Run(20s);
        const bool right = digest == hex(body);
        if (right) {
          EXPECT_THAT(c.got, StartsWith("HTTP/1.1 200 ")) << answer;
          EXPECT_TRUE(c.server_ended) << answer;
        } else if (body.empty()) {
          EXPECT_THAT(c.got, StartsWith("HTTP/1.1 502 ")) << answer;
        } else {
          EXPECT_THAT(c.got.substr(c.got.find("\r\n\r\n")), Not(HasSubstr("f"))) << answer;  // The last byte never comes,
          EXPECT_NE(c.closed, absl::StatusCode::kOk) << answer;  // and neither does an end.
          EXPECT_EQ(p.stats().cut, 1u);
        }
      }
    }
  }
}

TEST(ProxyPassTest, ADigestOfTheWholeBesideAPartIsRefused) {
  ProxyNet p;
  const std::string url = p.Serve({.files = {{"/film", 100}}}) + "/film";
  EXPECT_THAT(p.Exchange("GET " + url + " HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\nOrchard-SHA256: " + std::string(64, 'a') + "\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST(ProxyPassTest, WhatIsSaidToTheProxyIsNotPassedOn) {
  ProxyNet p;
  std::string asked;
  const std::string base = p.Script([&](std::string_view request, size_t) {
    asked = std::string(request);
    return RawServer::Reply{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .end = true};
  });
  p.Exchange("POST " + base + "/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nOrchard-Uplink: own\r\nOrchard-SHA256: " + std::string(64, 'a') + "\r\n\r\n");
  EXPECT_THAT(asked, StartsWith("POST "));
  EXPECT_THAT(asked, Not(HasSubstr("Orchard-")));
}

}  // namespace
}  // namespace orchard::pod
