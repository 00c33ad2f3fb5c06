#include "node/host/tcp_streams.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <functional>
#include <string>
#include <vector>

#include "node/host/sockaddr.h"

namespace orchard::host {
namespace {

using namespace std::chrono_literals;

constexpr StreamId kOne{1};

Fd Socket() { return Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

int ConnectTo(const Fd& fd, const Endpoint& to) {
  sockaddr_storage address;
  const socklen_t size = ToSockaddr(to, true, address);
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size);
}

Fd Connected(const Endpoint& to) {
  Fd fd = Socket();
  EXPECT_EQ(ConnectTo(fd, to), 0);
  return fd;
}

// Streams with a loop of their own; `now` is the test's.
struct Loop {
  Fd epoll{epoll_create1(EPOLL_CLOEXEC)};
  TcpStreams streams{epoll.get()};
  Instant now{1s};
  std::vector<uint32_t> opened;
  std::vector<absl::StatusCode> closed;
  std::string got;
  bool ended = false;
  int rounds = 0;

  void Round(int wait_ms = 0) {
    epoll_event events[64];
    const int n = epoll_wait(epoll.get(), events, 64, streams.busy() ? 0 : wait_ms);
    for (int i = 0; i < n; ++i) streams.OnEvent(events[i].data.u64, events[i].events);
    streams.Work(now, [&](const Input& i) {
      if (const auto* o = std::get_if<StreamOpened>(&i)) opened.push_back(uint32_t(o->stream));
      if (const auto* c = std::get_if<StreamClosed>(&i)) closed.push_back(c->status);
      if (const auto* d = std::get_if<StreamData>(&i)) got += AsText(d->bytes);
      if (std::holds_alternative<StreamEnded>(i)) ended = true;
    });
    streams.Flush(now);
    ++rounds;
  }
  bool Until(const std::function<bool()>& done) {
    for (int k = 0; k < 2000 && !done(); ++k) Round(5);
    return done();
  }
  Endpoint Listen() { return *streams.Listen(SocketId{1}, Endpoint::V4(0x7f000001, 0)); }
};

TEST(TcpStreamsTest, GivesUpAfterHalfAMinuteWithoutAnAnswer) {
  // A listener whose queue is full answers nothing: tcp(7), tcp_abort_on_overflow.
  Fd listener = Socket();
  sockaddr_storage address;
  socklen_t size = ToSockaddr(Endpoint::V4(0x7f000001, 0), true, address);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  const Endpoint deaf = LocalOf(listener.get());
  Fd first = Connected(deaf);
  Loop l;
  l.streams.Connect(kOne, deaf);
  for (int k = 0; k < 5; ++k) l.Round(5);
  EXPECT_EQ(l.streams.next_deadline(), l.now + kConnectMax);
  l.now += kConnectMax - 1ns;
  l.Round();
  EXPECT_TRUE(l.closed.empty());
  l.now += 1ns;
  ASSERT_TRUE(l.Until([&] { return !l.closed.empty(); }));
  EXPECT_EQ(l.closed[0], absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(l.opened.empty());
  EXPECT_EQ(l.streams.size(), 0u);
}

TEST(TcpStreamsTest, WithoutDescriptorsItPausesAndGoesOnLater) {
  Loop l;
  const Endpoint here = l.Listen();
  std::vector<Fd> clients;
  for (int k = 0; k < 3; ++k) clients.push_back(Connected(here));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{rlim_t(clients.back().get()), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  l.Round(5);
  const bool busy = l.streams.busy();
  const size_t opened = l.opened.size();
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(opened, 0u);
  EXPECT_FALSE(busy) << "it would spin";
  EXPECT_EQ(l.streams.counters().pauses, 1u);
  EXPECT_EQ(l.streams.next_deadline(), l.now + TcpStreams::kAcceptPause);
  l.now += TcpStreams::kAcceptPause;
  EXPECT_TRUE(l.Until([&] { return l.opened.size() == 3; }));
}

TEST(TcpStreamsTest, AFloodOfConnectionsLeavesAQuarterForOurOwn) {
  Loop l;
  l.streams.set_limit_for_test(8);
  const Endpoint here = l.Listen();
  std::vector<Fd> clients;
  for (int k = 0; k < 10; ++k) clients.push_back(Connected(here));
  for (int k = 0; k < 20; ++k) l.Round(1);
  EXPECT_EQ(l.opened.size(), 6u);
  EXPECT_LT(l.streams.counters().pauses, 3u);
  // One goes, one comes.
  EXPECT_TRUE(l.streams.Close(StreamId{l.opened[0]}));
  l.Round();
  l.now += TcpStreams::kAcceptPause;
  EXPECT_TRUE(l.Until([&] { return l.opened.size() == 7; }));
  EXPECT_EQ(l.streams.size(), 6u);
  // Two of our own, and no third.
  Fd listener = Socket();
  ASSERT_EQ(listen(listener.get(), 8), 0);
  const Endpoint other = Endpoint::V4(0x7f000001, LocalOf(listener.get()).port);
  for (uint32_t s = 1; s <= 3; ++s) l.streams.Connect(StreamId{s}, other);
  ASSERT_TRUE(l.Until([&] { return l.opened.size() == 9 && l.closed.size() == 1; }));
  EXPECT_EQ(l.closed[0], absl::StatusCode::kResourceExhausted);
}

TEST(TcpStreamsTest, WhatCameBeforeAResetIsReadFirst) {
  Loop l;
  const Endpoint here = l.Listen();
  Fd client = Connected(here);
  ASSERT_TRUE(l.Until([&] { return l.opened.size() == 1; }));
  ASSERT_EQ(send(client.get(), "last words", 10, 0), 10);
  const linger reset{1, 0};
  setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  client = Fd();
  EXPECT_TRUE(l.streams.Accept(StreamId{l.opened[0]}, 1000));
  ASSERT_TRUE(l.Until([&] { return !l.closed.empty(); }));
  EXPECT_EQ(l.got, "last words");
  EXPECT_EQ(l.closed[0], absl::StatusCode::kAborted);
  EXPECT_FALSE(l.ended);
}

TEST(TcpStreamsTest, AResetIsHeardOfWithoutCredit) {
  Loop l;
  const Endpoint here = l.Listen();
  Fd client = Connected(here);
  ASSERT_TRUE(l.Until([&] { return l.opened.size() == 1; }));
  ASSERT_EQ(send(client.get(), "unread", 6, 0), 6);
  const linger reset{1, 0};
  setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  client = Fd();
  ASSERT_TRUE(l.Until([&] { return !l.closed.empty(); }));
  EXPECT_EQ(l.closed[0], absl::StatusCode::kAborted);
}

TEST(TcpStreamsTest, AnIdleStreamWithUnreadBytesCostsNothing) {
  Loop l;
  const Endpoint here = l.Listen();
  Fd client = Connected(here);
  ASSERT_TRUE(l.Until([&] { return l.opened.size() == 1; }));
  ASSERT_EQ(send(client.get(), "unread", 6, 0), 6);
  shutdown(client.get(), SHUT_WR);
  for (int k = 0; k < 3; ++k) l.Round(5);
  epoll_event event;
  EXPECT_FALSE(l.streams.busy());
  EXPECT_EQ(epoll_wait(l.epoll.get(), &event, 1, 20), 0) << "the loop would spin";
  const uint64_t calls = l.streams.counters().receive_calls;
  EXPECT_LE(calls, 1u);
  EXPECT_TRUE(l.streams.Accept(StreamId{l.opened[0]}, 6));
  EXPECT_TRUE(l.Until([&] { return l.ended; }));
  EXPECT_EQ(l.got, "unread");
}

}  // namespace
}  // namespace orchard::host
