// Where packets go: other remotes, relays, larger datagrams.

#include <gtest/gtest.h>

#include <malloc.h>

#include "tests/udx/virtual_wire.h"

namespace orchard::udx {
namespace {

constexpr uint64_t kMbit = 125'000;

TEST(PathTest, TheRemoteChangesInFullFlightUnderLoss) {
  for (bool abandon : {false, true}) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      Net net(seed);
      const size_t a = net.AddHost(), b = net.AddHost();
      net.Join(a, b, {.delay = 20ms, .rate = 20 * kMbit, .queue = 100'000, .loss = 200});
      // Both ends have a second socket: port 2.
      auto [x, y] = net.Connect(a, b, {.any_socket = true});
      net.Send(x, 4'000'000, /*end=*/true), net.Send(y, 1'000'000, /*end=*/true);
      net.RunFor(400ms);
      net.Turn_(a, [&, x = x, y = y](Turn& t, News&) { net.streams(a).ChangeRemote(t, x->id, SocketId{2}, Net::At(b, 2), uint32_t(y->id), abandon); });
      net.Turn_(b, [&, x = x, y = y](Turn& t, News&) { net.streams(b).ChangeRemote(t, y->id, SocketId{2}, Net::At(a, 2), uint32_t(x->id), abandon); });
      EXPECT_TRUE(net.streams(a).uses(SocketId{2}));
      EXPECT_EQ(net.streams(a).uses(SocketId{1}), !abandon);
      EXPECT_TRUE(net.RunUntil(net.now + 60s, [x = x, y = y] { return x->closed && y->closed; }));
      EXPECT_TRUE(x->changed && y->changed);
      EXPECT_EQ(y->received, 4'000'000u);
      EXPECT_EQ(x->received, 1'000'000u);
      EXPECT_FALSE(x->corrupt || y->corrupt);
      EXPECT_FALSE(net.streams(a).uses(SocketId{1}) || net.streams(a).uses(SocketId{2}));
    }
  }
}

// Two paths between two hosts: the first goes through a relay and dies.
TEST(PathTest, AnAbandonedPathCostsNoMoreThanARoundTrip) {
  for (bool abandon : {false, true}) {
    Net net;
    const size_t a = net.AddHost(), b = net.AddHost(), other = net.AddHost();
    net.Join(a, b, {.delay = 20ms, .rate = 20 * kMbit, .queue = 100'000});
    auto [x, y] = net.Connect(a, b, {.any_socket = true});
    // The former remote of x is a host that swallows everything.
    net.Route(a, other, {net.AddPipe({.delay = 5ms})});
    net.Turn_(a, [&, x = x, y = y](Turn& t, News&) { net.streams(a).ChangeRemote(t, x->id, SocketId{1}, Net::At(other), uint32_t(y->id), false); });
    net.Send(x, 300'000, /*end=*/true);
    net.RunFor(200ms);
    EXPECT_EQ(y->received, 0u);
    const Instant from = net.now;
    net.Turn_(a, [&, x = x, y = y](Turn& t, News&) { net.streams(a).ChangeRemote(t, x->id, SocketId{1}, Net::At(b), uint32_t(y->id), abandon); });
    net.RunFor(30s);
    if (abandon) {
      EXPECT_EQ(y->received, 300'000u);
      EXPECT_LE(y->last_byte - from, 500ms);
    } else {
      EXPECT_EQ(x->closed, CloseReason::kTimedOut);  // What JavaScript does.
    }
  }
}

TEST(PathTest, ManyChangesLeaveNoSocketBehind) {
  Net net;
  const size_t a = net.AddHost(), b = net.AddHost();
  net.Join(a, b, {.delay = 50ms});
  auto [x, y] = net.Connect(a, b, {.any_socket = true});
  for (uint32_t i = 2; i < 600; ++i) {
    net.Send(x, 2000);
    net.Turn_(a, [&, x = x, y = y](Turn& t, News&) { net.streams(a).ChangeRemote(t, x->id, SocketId{i}, Net::At(b), uint32_t(y->id), false); });
    if (i % 40 == 0) net.RunFor(200ms);
  }
  net.RunFor(10s);
  EXPECT_EQ(y->received, 598u * 2000);
  EXPECT_FALSE(y->corrupt);
  for (uint32_t i = 1; i < 600; ++i) EXPECT_EQ(net.streams(a).uses(SocketId{i}), i == 599);
}

// a — r1 — r2 — b: each relay has two streams that face each other.
struct Chain {
  explicit Chain(uint32_t loss) : net(3) {
    a = net.AddHost(), r1 = net.AddHost(), r2 = net.AddHost(), b = net.AddHost();
    const PipeSpec spec{.delay = 10ms, .rate = 20 * kMbit, .queue = 100'000, .loss = loss};
    net.Join(a, r1, spec), net.Join(r1, r2, spec), net.Join(r2, b, spec);
    x = net.Create(a), y = net.Create(b);
    Half* la = net.Create(r1);
    Half* ra = net.Create(r1);
    Half* lb = net.Create(r2);
    Half* rb = net.Create(r2);
    left = {la, ra}, right = {lb, rb};
    x->peer_salt = y->salt, y->peer_salt = x->salt;
    Connect(x, r1, la), Connect(la, a, x), Connect(ra, r2, lb), Connect(lb, r1, ra), Connect(rb, b, y), Connect(y, r2, rb);
    for (auto [from, to] : {left, right}) {
      net.streams(from->host).RelayTo(from->id, to->id);
      net.streams(from->host).RelayTo(to->id, from->id);
    }
  }
  void Connect(Half* h, size_t to, Half* there) {
    net.Turn_(h->host, [&](Turn& t, News&) { net.streams(h->host).Connect(t, h->id, SocketId{1}, Net::At(to), uint32_t(there->id)); });
  }
  Net net;
  size_t a, r1, r2, b;
  Half *x, *y;
  std::pair<Half*, Half*> left, right;
};

TEST(PathTest, ARelayOfARelayCarriesAStream) {
  Chain c(100);
  c.net.Send(c.x, 1'000'000, /*end=*/true), c.net.Send(c.y, 1'000'000, /*end=*/true);
  c.net.Turn_(c.a, [&](Turn& t, News&) { c.net.streams(c.a).SendMessage(t, c.x->id, AsBytes("hello")); });
  EXPECT_TRUE(c.net.RunUntil(c.net.now + 30s, [&] { return c.x->closed && c.y->closed; }));
  EXPECT_EQ(c.y->received + c.x->received, 2'000'000u);
  EXPECT_FALSE(c.x->corrupt || c.y->corrupt);
  EXPECT_EQ(c.y->messages, (std::vector<std::string>{"hello"}));
  EXPECT_GT(c.net.streams(c.r1).counters().relayed, 1500u);
  EXPECT_EQ(c.net.streams(c.r1).size(), 2u);  // A relay keeps nothing and does not know that they ended.
}

TEST(PathTest, ADestroyGoesThroughRelaysAndTakesTheirStreamsAlong) {
  Chain c(0);
  c.net.Send(c.x, 1000);
  c.net.RunFor(1s);
  c.net.Turn_(c.a, [&](Turn& t, News&) { c.net.streams(c.a).Destroy(t, c.x->id); });
  c.net.RunFor(1s);
  EXPECT_EQ(c.y->closed, CloseReason::kReset);
  for (auto [from, to] : {c.left, c.right}) {
    EXPECT_EQ(from->closed, CloseReason::kReset);
    EXPECT_EQ(to->closed, CloseReason::kDestroyed);
  }
  EXPECT_EQ(c.net.streams(c.r1).size() + c.net.streams(c.r2).size(), 0u);
  EXPECT_FALSE(c.net.streams(c.r1).uses(SocketId{1}));
}

TEST(PathTest, DestroyingOneHalfOfARelayTellsOfTheOther) {
  Chain c(0);
  c.net.RunFor(1s);
  c.net.Turn_(c.r1, [&](Turn& t, News&) { c.net.streams(c.r1).Destroy(t, c.left.first->id); });
  EXPECT_FALSE(c.left.second->closed);  // With the next verb.
  c.net.RunFor(1ms);
  EXPECT_EQ(c.left.second->closed, CloseReason::kDestroyed);
  EXPECT_FALSE(c.x->closed);  // As in JavaScript: silently.
}

// ---- The largest datagram ----

uint32_t MtuAfter(uint32_t pipe_mtu, size_t write, size_t writes, Net& net) {
  const size_t a = net.AddHost(), b = net.AddHost();
  net.Join(a, b, {.delay = 10ms, .rate = 50 * kMbit, .mtu = pipe_mtu});
  auto [x, y] = net.Connect(a, b);
  for (size_t i = 0; i < writes; ++i) net.Send(x, write), net.RunFor(60ms);
  net.RunFor(5s);
  EXPECT_EQ(y->received, write * writes);
  EXPECT_FALSE(y->corrupt);
  return net.streams(a).stats(x->id).mtu;
}

TEST(MtuTest, IsFoundByProbesWhateverThePathTakes) {
  for (auto [path, found] : {std::pair(1500u, 1500u), {1472u, 1456u}, {1400u, 1392u}, {1280u, 1264u}, {1200u, 1200u}, {9000u, 1500u}}) {
    Net net;
    EXPECT_EQ(MtuAfter(path, 16384, 20, net), found) << path;
  }
}

// As in the recording (v05b): 1100 bytes are padded up to 244 zeros, so 1392 is the end; 800 bytes would need too many.
TEST(MtuTest, OnlyPacketsThatNeedFewZerosProbe) {
  for (auto [write, found] : {std::pair(1100u, 1392u), {800u, 1200u}, {100u, 1200u}}) {
    Net net;
    EXPECT_EQ(MtuAfter(1500, write, 12, net), found) << write;
  }
}

TEST(MtuTest, StartsAnewWithAnotherRemote) {
  Net net;
  EXPECT_EQ(MtuAfter(1500, 16384, 20, net), 1500u);
  const size_t a = net.AddHost(), b = net.AddHost();
  net.Join(a, b, {.delay = 10ms});
  auto [x, y] = net.Connect(a, b);
  net.Send(x, 20'000'000), net.RunFor(3s);
  EXPECT_EQ(net.streams(a).stats(x->id).mtu, 1500u);
  net.Turn_(a, [&, x = x, y = y](Turn& t, News&) { net.streams(a).ChangeRemote(t, x->id, SocketId{1}, Net::At(b), uint32_t(y->id), false); });
  EXPECT_EQ(net.streams(a).stats(x->id).mtu, 1200u);
}

// ---- Memory ----

TEST(MemoryTest, TenThousandIdleStreamsAreSmallAlsoAfterWork) {
  Net net;
  const size_t a = net.AddHost(), b = net.AddHost();
  net.Join(a, b, {.delay = 5ms});
  constexpr size_t kStreams = 10'000;
  std::vector<std::pair<StreamId, StreamId>> ids(kStreams);
  const size_t before = mallinfo2().uordblks;
  if (before == 0) GTEST_SKIP() << "a sanitizer's allocator counts nothing";
  for (auto& [x, y] : ids) {
    net.Turn_(a, [&, &x = x](Turn& t, News&) { x = net.streams(a).Create(t, {}); });
    net.Turn_(b, [&, &y = y](Turn& t, News&) { y = net.streams(b).Create(t, {}); });
    net.Turn_(a, [&, x = x, y = y](Turn& t, News&) { net.streams(a).Connect(t, x, SocketId{1}, Net::At(b), uint32_t(y)); });
    net.Turn_(b, [&, x = x, y = y](Turn& t, News&) { net.streams(b).Connect(t, y, SocketId{1}, Net::At(a), uint32_t(x)); });
  }
  const size_t idle = (mallinfo2().uordblks - before) / (2 * kStreams);
  for (auto& [x, y] : ids) {
    net.Turn_(a, [&, x = x](Turn& t, News&) { net.streams(a).Write(t, x, std::string(20'000, 'x')); });
    net.RunFor(1us);
  }
  net.RunFor(30s);
  const size_t after = (mallinfo2().uordblks - before) / (2 * kStreams);
  RecordProperty("idle_bytes", int(idle));
  RecordProperty("idle_bytes_after_work", int(after));
  EXPECT_LE(idle, 1536u);
  EXPECT_LE(after, 1536u);
  EXPECT_GE(idle, 300u) << "not measured";
}

}  // namespace
}  // namespace orchard::udx
