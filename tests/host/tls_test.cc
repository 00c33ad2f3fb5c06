#include "node/host/tls.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "node/host/certificate.h"
#include "node/host/tcp_streams.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tls_client.h"

namespace orchard::host {
namespace {

using namespace std::chrono_literals;

// A listener behind TLS with a loop of its own; `now` is the test's.
struct World {
  World() : files(*DevelopmentCertificate(dir / "tls", {})), context(*TlsContext::Open(files)) {
    door = *streams.Listen(SocketId{1}, Endpoint::V4(0x7f000001, 0), context.get());
  }
  void Round() {
    epoll_event events[64];
    const int n = epoll_wait(epoll.get(), events, 64, streams.busy() ? 0 : 1);
    for (int i = 0; i < n; ++i) streams.OnEvent(events[i].data.u64, events[i].events);
    streams.Work(now, [&](const Input& i) {
      if (const auto* o = std::get_if<StreamOpened>(&i)) {
        opened.push_back(o->stream), credit = kStreamWindow;
        EXPECT_EQ(o->listener, SocketId{1});
        if (accepts > 0) streams.Accept(o->stream, accepts), granted += accepts;
      }
      if (const auto* d = std::get_if<StreamData>(&i)) {
        got += AsText(d->bytes), told += d->bytes.size();
        EXPECT_LE(told, granted);
        if (echo) back += AsText(d->bytes);
      }
      if (const auto* c = std::get_if<StreamCredit>(&i)) credit += c->bytes;
      if (std::holds_alternative<StreamEnded>(i)) ended = true;
      if (const auto* c = std::get_if<StreamClosed>(&i)) closed = c->status;
      if (const size_t n = std::min<size_t>(credit, back.size()); n > 0 && !opened.empty() && !closed) {
        streams.Write(opened.back(), AsBytes(std::string_view(back).substr(0, n)));
        back.erase(0, n), credit -= uint32_t(n);
        if (echo) streams.Accept(opened.back(), uint32_t(n)), granted += n;
      }
    });
    streams.Flush(now);
  }
  bool Until(TlsClient& c, const std::function<bool()>& done, int rounds = 4000) {
    for (int k = 0; k < rounds && !done(); ++k) Round(), c.Step();
    return done();
  }
  bool Await(const std::function<bool()>& done) {
    for (int k = 0; k < 4000 && !done(); ++k) Round();
    return done();
  }
  // Rounds in which what would come has come, on a machine that is not too busy; for claims that nothing does.
  void Some(TlsClient* c, int rounds = 20) {
    for (int k = 0; k < rounds; ++k) {
      Round();
      if (c != nullptr) c->Step();
    }
  }
  TempDir dir;
  TlsFiles files;
  std::unique_ptr<TlsContext> context;
  Fd epoll{epoll_create1(EPOLL_CLOEXEC)};
  TcpStreams streams{epoll.get()};
  Endpoint door;
  Instant now{1s};
  std::vector<StreamId> opened;
  std::string got, back;
  uint64_t told = 0, granted = 0;
  uint32_t accepts = 1 << 30, credit = 0;
  bool echo = false, ended = false;
  std::optional<absl::StatusCode> closed;
};

TEST(TlsTest, TheNodeSeesPlainBytesOnceHandsAreShaken) {
  World w;
  TlsClient c(w.door, {.name = "localhost", .trusts = w.files.certificate});
  w.Round(), w.Round();
  EXPECT_TRUE(w.opened.empty());
  c.to_write = "hello";
  ASSERT_TRUE(w.Until(c, [&] { return w.got == "hello"; }));
  EXPECT_EQ(w.opened.size(), 1u);
  EXPECT_EQ(c.protocol(), "h2");
  EXPECT_EQ(std::string(SSL_get_version(c.ssl())), "TLSv1.3");
  w.streams.Write(w.opened[0], AsBytes("welcome"));
  w.Some(nullptr, 2);
  ASSERT_TRUE(w.Until(c, [&] { return c.got == "welcome"; }));
  EXPECT_EQ(w.streams.counters().handshakes, 1u);
}

TEST(TlsTest, ChoosesAmongWhatTheClientSpeaks) {
  World w;
  for (const auto& [offer, chosen] : {std::pair<std::string, std::string>{"\x08http/1.1", "http/1.1"}, {"\x08http/1.1\x02h2", "h2"}, {"", ""}, {"\x04http\x08http/1.1", "http/1.1"}}) {
    TlsClient c(w.door, {.alpn = offer, .name = "whatever.example"});
    ASSERT_TRUE(w.Until(c, [&] { return c.shaken; })) << offer;
    EXPECT_EQ(c.protocol(), chosen);
    w.Some(&c, 3);
  }
  EXPECT_EQ(w.opened.size(), 4u);
  TlsClient c(w.door, {.alpn = "\x02h9"});
  ASSERT_TRUE(w.Until(c, [&] { return c.failed; }));
  EXPECT_EQ(w.opened.size(), 4u);
  EXPECT_EQ(w.streams.counters().handshakes_failed, 1u);
}

TEST(TlsTest, OldVersionsAreRefusedAndTheOldestThatIsNotIsSpoken) {
  World w;
  TlsClient old(w.door, {.version_max = TLS1_1_VERSION});
  ASSERT_TRUE(w.Until(old, [&] { return old.failed; }));
  TlsClient c(w.door, {.version_max = TLS1_2_VERSION});
  c.to_write = "x";
  ASSERT_TRUE(w.Until(c, [&] { return w.got == "x"; }));
  EXPECT_EQ(std::string(SSL_get_version(c.ssl())), "TLSv1.2");
}

TEST(TlsTest, GarbageIsNoStream) {
  World w;
  TlsClient c(w.door);
  ASSERT_EQ(send(c.fd(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, 0), 27);
  ASSERT_TRUE(w.Await([&] { return w.streams.counters().handshakes_failed == 1; }));
  EXPECT_TRUE(w.opened.empty() && !w.closed.has_value());
  EXPECT_EQ(w.streams.size(), 0u);
  TlsClient gone(w.door);
  gone.Step();
  gone.Hang();
  ASSERT_TRUE(w.Await([&] { return w.streams.counters().handshakes_failed == 2; }));
  EXPECT_EQ(w.streams.size(), 0u);
}

TEST(TlsTest, GarbageAfterTheHandshakeEndsTheStream) {
  World w;
  TlsClient c(w.door);
  c.to_write = "fine";
  ASSERT_TRUE(w.Until(c, [&] { return w.got == "fine"; }));
  ASSERT_EQ(send(c.fd(), "\x17\x03\x03\x00\x20this was never encrypted at all.", 37, 0), 37);
  ASSERT_TRUE(w.Await([&] { return w.closed.has_value(); }));
  EXPECT_EQ(w.closed, absl::StatusCode::kAborted);
  EXPECT_EQ(w.got, "fine");
  EXPECT_FALSE(w.ended);
}

TEST(TlsTest, ASlowHandshakeIsCutOffAfterTenSeconds) {
  World w;
  TlsClient c(w.door);
  ASSERT_EQ(send(c.fd(), "\x16\x03\x01", 3, 0), 3);
  ASSERT_TRUE(w.Await([&] { return w.streams.counters().accepted == 1; }));
  w.Some(nullptr, 5);
  EXPECT_EQ(w.streams.next_deadline(), w.now + TcpStreams::kHandshakeMax);
  w.now += TcpStreams::kHandshakeMax - 1ns;
  w.Round();
  EXPECT_EQ(w.streams.size(), 1u);
  w.now += 1ns;
  w.Round();
  EXPECT_EQ(w.streams.size(), 0u);
  EXPECT_EQ(w.streams.counters().handshakes_failed, 1u);
  EXPECT_TRUE(w.opened.empty());
}

TEST(TlsTest, AHalfThatIsClosedLeavesTheOther) {
  World w;
  TlsClient c(w.door);
  c.to_write = "all I have";
  ASSERT_TRUE(w.Until(c, [&] { return w.got.size() == 10; }));
  c.End();
  ASSERT_TRUE(w.Until(c, [&] { return w.ended; }));
  EXPECT_FALSE(w.closed.has_value());
  w.streams.Write(w.opened[0], AsBytes(std::string(100'000, 'r')));
  w.streams.End(w.opened[0]);
  ASSERT_TRUE(w.Until(c, [&] { return c.ended && w.closed.has_value(); }));
  EXPECT_EQ(c.got.size(), 100'000u);
  EXPECT_EQ(w.closed, absl::StatusCode::kOk);
  EXPECT_FALSE(c.failed);
}

TEST(TlsTest, WhatIsCutOffIsNotTakenForWhole) {
  World w;
  TlsClient c(w.door);
  c.to_write = "half a senten";
  ASSERT_TRUE(w.Until(c, [&] { return w.got.size() == 13; }));
  c.Hang();
  ASSERT_TRUE(w.Await([&] { return w.closed.has_value(); }));
  EXPECT_FALSE(w.ended);
  EXPECT_EQ(w.closed, absl::StatusCode::kAborted);
}

TEST(TlsTest, AClientThatHangsUpAfterOurEndHasEnded) {
  World w;
  TlsClient c(w.door);
  c.to_write = "bye";
  ASSERT_TRUE(w.Until(c, [&] { return w.got == "bye"; }));
  w.streams.End(w.opened[0]);
  ASSERT_TRUE(w.Until(c, [&] { return c.ended; }));
  c.Hang();
  ASSERT_TRUE(w.Await([&] { return w.closed.has_value(); }));
  EXPECT_TRUE(w.ended);
  EXPECT_EQ(w.closed, absl::StatusCode::kOk);
}

TEST(TlsTest, TenMegabytesGoBothWaysWithinTheCredit) {
  World w;
  w.echo = true, w.accepts = 64 << 10;
  TlsClient c(w.door);
  std::string text;
  for (uint32_t i = 0; text.size() < 10'000'000; i += 7) text += std::to_string(i);
  c.to_write = text;
  ASSERT_TRUE(w.Until(c, [&] { return c.got.size() == text.size(); }, 200'000));
  EXPECT_TRUE(c.got == text);
}

TEST(TlsTest, WithoutCreditNothingIsToldAndTheLoopRests) {
  World w;
  w.accepts = 10;
  TlsClient c(w.door);
  c.to_write = std::string(50'000, 'x');
  ASSERT_TRUE(w.Until(c, [&] { return w.got.size() == 10 && c.to_write.empty(); }));
  w.Some(&c);
  EXPECT_EQ(w.got.size(), 10u);
  EXPECT_FALSE(w.streams.busy());
  const uint64_t calls = w.streams.counters().receive_calls;
  w.Some(nullptr, 10);
  EXPECT_EQ(w.streams.counters().receive_calls, calls) << "the loop would spin";
  // What OpenSSL holds, decrypted, is no event of the socket: credit alone brings it.
  w.streams.Accept(w.opened[0], 100), w.granted += 100;
  ASSERT_TRUE(w.Await([&] { return w.got.size() >= 110; }));
  EXPECT_EQ(w.got.size(), 110u);
}

TEST(TlsTest, NobodyShakesHandsTwice) {
  World w;
  TlsClient c(w.door, {.version_max = TLS1_2_VERSION});
  c.to_write = "x";
  ASSERT_TRUE(w.Until(c, [&] { return w.got == "x"; }));
  SSL_clear_options(c.ssl(), SSL_OP_NO_RENEGOTIATION);
  ASSERT_EQ(SSL_renegotiate(c.ssl()), 1);
  SSL_do_handshake(c.ssl());
  ASSERT_TRUE(w.Until(c, [&] { return c.failed || w.closed.has_value(); }));  // no_renegotiation.
  EXPECT_EQ(w.streams.counters().handshakes, 1u);
}

TEST(TlsTest, WhoWasHereBeforeComesBackWithLessWork) {
  World w;
  TlsClient first(w.door);
  first.to_write = "1";
  ASSERT_TRUE(w.Until(first, [&] { return w.got == "1"; }));
  // The ticket comes behind the handshake.
  ASSERT_TRUE(w.Until(first, [&] { return SSL_SESSION_is_resumable(SSL_get0_session(first.ssl())) == 1; }));
  std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(SSL_get1_session(first.ssl()), SSL_SESSION_free);
  EXPECT_EQ(w.streams.counters().resumed, 0u);
  TlsClient again(w.door, {.session = session.get()});
  again.to_write = "2";
  ASSERT_TRUE(w.Until(again, [&] { return w.got == "12"; }));
  EXPECT_EQ(SSL_session_reused(again.ssl()), 1);
  EXPECT_EQ(w.streams.counters().resumed, 1u);
}

std::string Read(const std::string& path) {
  std::ifstream in(path);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

TEST(CertificateTest, IsMadeOnceAndIsPrivate) {
  TempDir dir;
  const auto first = DevelopmentCertificate(dir / "a/tls", {});
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string key = Read(first->key);
  struct stat s;
  for (const std::string& f : {first->key, first->certificate}) {
    ASSERT_EQ(stat(f.c_str(), &s), 0);
    EXPECT_EQ(s.st_mode & 0777, 0600u);
  }
  ASSERT_TRUE(DevelopmentCertificate(dir / "a/tls", {}).ok());
  EXPECT_EQ(Read(first->key), key);
  // Other names, another certificate; then that one stays.
  const std::vector<std::string> names = {"site.example", "10.1.2.3"};
  ASSERT_TRUE(DevelopmentCertificate(dir / "a/tls", names).ok());
  const std::string other = Read(first->key);
  EXPECT_NE(other, key);
  ASSERT_TRUE(DevelopmentCertificate(dir / "a/tls", names).ok());
  EXPECT_EQ(Read(first->key), other);
  std::ofstream(first->certificate) << "rubbish";
  ASSERT_TRUE(DevelopmentCertificate(dir / "a/tls", names).ok());
  EXPECT_NE(Read(first->key), other);
}

TEST(CertificateTest, IsForItsNames) {
  TempDir dir;
  const TlsFiles files = *DevelopmentCertificate(dir / "tls", std::vector<std::string>{"site.example"});
  const auto context = *TlsContext::Open(files);
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  TcpStreams streams(epoll.get());
  const Endpoint door = *streams.Listen(SocketId{1}, Endpoint::V4(0x7f000001, 0), context.get());
  for (const auto& [name, fits] : {std::pair<std::string, bool>{"site.example", true}, {"localhost", true}, {"other.example", false}}) {
    TlsClient c(door, {.name = name, .trusts = files.certificate});
    for (int k = 0; k < 1000 && !c.shaken && !c.failed; ++k) {
      epoll_event e[8];
      const int n = epoll_wait(epoll.get(), e, 8, 1);
      for (int i = 0; i < n; ++i) streams.OnEvent(e[i].data.u64, e[i].events);
      streams.Work(Instant(1s), [](const Input&) {});
      streams.Flush(Instant(1s));
      c.Step();
    }
    EXPECT_EQ(c.shaken, fits) << name;
  }
}

TEST(CertificateTest, RefusesWhatIsNone) {
  TempDir dir;
  for (const char* bad : {"", "a b", "a,DNS:b", "a/b", "a:80", "*", "\xc3\xa9"}) {
    EXPECT_FALSE(DevelopmentCertificate(dir / "tls", std::vector<std::string>{bad}).ok()) << bad;
  }
  const TlsFiles one = *DevelopmentCertificate(dir / "one", {}), two = *DevelopmentCertificate(dir / "two", {});
  EXPECT_EQ(TlsContext::Open({one.certificate, two.key}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(TlsContext::Open({dir / "none", two.key}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(TlsContext::Open({one.key, one.key}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace orchard::host
