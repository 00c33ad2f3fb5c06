// The machine under scripted turns: what it sends when, and what it makes of what comes.
#include <gtest/gtest.h>

#include "node/crypto/hash.h"
#include "node/dht/message.h"
#include "node/wire/reader.h"
#include "tests/support/dht_net.h"

namespace orchard::dht {
namespace {

using namespace std::chrono_literals;

// One machine, with a wire that only the test reads and writes.
struct Bench {
  explicit Bench(RpcConfig config = {.bootstrap = true, .host = Endpoint::V4(0x0a000001, 0)}) : machine(config) {
    Feed(Start{});
    while (opening > 0) {
      uint32_t id = opening;
      opening = 0;
      Feed(SocketOpened{SocketId{id}, Endpoint::V4(0, uint16_t(49736 + id)), absl::StatusCode::kOk});
    }
    sent.clear();
  }
  void Feed(const Input& input) {
    Trace trace(nullptr, nullptr);
    Turn turn{now, {}, rng, store, out, trace};
    machine.Handle(turn, input);
    store.Commit(nullptr);
    for (const Output& o : out.outputs()) {
      if (o.what == Do::kOpenSocket) opening = o.id;
      if (o.what == Do::kSend) sent.push_back({o.id, Ipv4Address::Of(o.peer), std::string(AsText(out.bytes(o))), now});
    }
    out.Clear();
  }
  void RunUntil(Instant end) {
    while (machine.next_deadline() <= end) {
      now = machine.next_deadline();
      Feed(Deadline{});
      ASSERT_GT(machine.next_deadline(), now);
    }
    now = end;
  }
  void Run(Duration d) { RunUntil(now + d); }
  template <class F>
  void In(F f) {
    struct Run final : RpcMachine::Asker {
      explicit Run(F& g) : f(g) {}
      void Do(Rpc& rpc, Turn& turn) override { f(rpc, turn); }
      F& f;
    } run(f);
    machine.ask = &run;
    Feed(OpCall{OpId{1}, "ask", {}});
  }
  // A request from `from`; returns the answer.
  std::optional<Response> Ask(Ipv4Address from, RequestOut r, bool with_id = false) {
    Key32 id = IdOf(from);
    if (with_id) r.id = &id;
    r.to = self;
    wire::Writer w;
    Encode(r, w);
    size_t before = sent.size();
    Feed(Datagram{SocketId{1}, from.endpoint(), w.bytes()});
    for (size_t i = before; i < sent.size(); ++i) {
      if (sent[i].bytes[0] == kResponseByte) return Own(sent[i]);
    }
    return std::nullopt;
  }
  struct Sent {
    uint32_t socket;
    Ipv4Address to;
    std::string bytes;
    Instant at;
  };
  std::optional<Response> Own(const Sent& s) {
    kept.push_back(s.bytes);
    last_answer_to = s.to;
    return *DecodeResponse(AsBytes(kept.back()), {});
  }
  void Answer(const Sent& request, std::optional<Key32> id, uint64_t error = 0) {
    auto r = DecodeRequest(AsBytes(request.bytes), {});
    wire::Writer w;
    Encode(ResponseOut{.tid = r->tid, .to = self, .id = id ? &*id : nullptr, .error = error}, w);
    Feed(Datagram{SocketId{request.socket}, request.to.endpoint(), w.bytes()});
  }

  Ipv4Address self{0x0a000001, 49737}, last_answer_to;
  RpcMachine machine;
  MemStore store;
  Rng rng = Rng::Named(1, "bench", "");
  Outbox out;
  Instant now{1s};
  uint32_t opening = 0;
  std::vector<Sent> sent;
  std::deque<std::string> kept;
};

TEST(RpcTest, GivesUpAfterFourSendsOneSecondApart) {
  Bench b;
  b.In([](Rpc& rpc, Turn& turn) { rpc.Ping(turn, {0x01020304, 5}); });
  b.Run(10s);
  std::vector<Bench::Sent> pings;
  for (const auto& s : b.sent) {
    if (s.to == Ipv4Address{0x01020304, 5}) pings.push_back(s);
  }
  ASSERT_EQ(pings.size(), 4u);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(pings[i].at - pings[i - 1].at, 1s);
    EXPECT_EQ(pings[i].bytes, pings[0].bytes);
  }
  auto failed = b.machine.Of<RequestFailed>();
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].why, Failure::kTimeout);
  EXPECT_EQ(b.machine.rpc.stats().timeouts, 1u);
  EXPECT_EQ(b.machine.rpc.stats().retries, 3u);
}

TEST(RpcTest, TidsCountUpAndAnAnswerCountsOnce) {
  Bench b;
  b.In([](Rpc& rpc, Turn& turn) { rpc.Ping(turn, {1, 5}), rpc.Ping(turn, {2, 5}); });
  ASSERT_EQ(b.sent.size(), 2u);
  auto first = b.sent[0], second = b.sent[1];
  EXPECT_EQ(uint16_t(DecodeRequest(AsBytes(first.bytes), {})->tid + 1), DecodeRequest(AsBytes(second.bytes), {})->tid);
  b.Answer(second, std::nullopt);
  b.Answer(second, std::nullopt);
  EXPECT_EQ(b.machine.Of<ReplyReceived>().size(), 1u);
  EXPECT_EQ(b.machine.rpc.stats().unmatched, 1u);
}

TEST(RpcTest, WhatWasAskedComesBackWithTheMarkOfWhoAsked) {
  Bench b;
  b.In([](Rpc& rpc, Turn& turn) {
    rpc.Ask(turn, {1, 5}, 77, std::nullopt, std::nullopt, {.asker = Asker{7}}), rpc.Ping(turn, {2, 5}, /*retries=*/0, Asker{8});
    rpc.StartQuery(turn, {.command = 77, .asker = Asker{9}});
  });
  b.Answer(b.sent[0], std::nullopt);
  b.Run(5s);
  ASSERT_EQ(b.machine.Of<ReplyReceived>().size(), 1u);
  EXPECT_EQ(b.machine.Of<ReplyReceived>()[0].asker, Asker{7});
  ASSERT_EQ(b.machine.Of<RequestFailed>().size(), 1u);
  EXPECT_EQ(b.machine.Of<RequestFailed>()[0].asker, Asker{8});
  ASSERT_EQ(b.machine.Of<QueryFinished>().size(), 1u);
  EXPECT_EQ(b.machine.Of<QueryFinished>()[0].asker, Asker{9});
}

TEST(RpcTest, WindowHoldsBackTheEightyFirstRequest) {
  Bench b;
  b.In([](Rpc& rpc, Turn& turn) {
    for (uint32_t i = 0; i < 100; ++i) rpc.Ping(turn, {i + 1, 5}, 0);
  });
  EXPECT_EQ(b.sent.size(), 80u);
  b.Run(750ms);
  EXPECT_EQ(b.sent.size(), 100u);
  b.Run(3s);
  EXPECT_EQ(b.machine.Of<RequestFailed>().size(), 100u);
  // The timer of a request that was held back starts when it is sent.
  EXPECT_EQ(b.machine.rpc.requests_in_flight(), 0u);
}

TEST(RpcTest, MoreRequestsThanTheLimitAreRefusedByNews) {
  Bench b;
  b.In([](Rpc& rpc, Turn& turn) {
    for (uint32_t i = 0; i < kRequestsMax + 5; ++i) rpc.Ping(turn, {i + 1, 5}, 0);
  });
  EXPECT_TRUE(b.machine.Of<RequestFailed>().empty());
  b.Run(1ms);
  auto failed = b.machine.Of<RequestFailed>();
  ASSERT_EQ(failed.size(), 5u);
  EXPECT_EQ(failed[0].why, Failure::kOverload);
  EXPECT_EQ(b.machine.rpc.stats().overload, 5u);
}

TEST(RpcTest, TheAnswerToPingNatGoesToTheOtherPort) {
  Bench b;
  const uint8_t port[] = {0x4a, 0xc2}, zero[] = {0, 0}, brief[] = {1};
  auto r = b.Ask({7, 1000}, {.tid = 3, .internal = true, .command = 1, .value = Bytes(port)});
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(b.last_answer_to, (Ipv4Address{7, 0xc24a}));
  EXPECT_EQ(r->to, (Ipv4Address{7, 0xc24a}));
  EXPECT_FALSE(b.Ask({7, 1000}, {.tid = 3, .internal = true, .command = 1, .value = Bytes(zero)}).has_value());
  EXPECT_FALSE(b.Ask({7, 1000}, {.tid = 3, .internal = true, .command = 1, .value = Bytes(brief)}).has_value());
  EXPECT_FALSE(b.Ask({7, 1000}, {.tid = 3, .internal = true, .command = 1}).has_value());
}

TEST(RpcTest, PingTakesAnyPaddingAndFindNodeNeedsATarget) {
  Bench b;
  const std::string padding(900, 'x');
  auto r = b.Ask({7, 1000}, {.tid = 4, .internal = true, .command = 0, .value = AsBytes(padding)});
  ASSERT_TRUE(r.has_value());
  EXPECT_FALSE(r->value.has_value() || r->token.has_value());
  EXPECT_FALSE(b.Ask({7, 1000}, {.tid = 4, .internal = true, .command = 2}).has_value());
  b.Ask({8, 1}, {.tid = 4, .internal = true, .command = 0}, true);
  Key32 target{9};
  r = b.Ask({7, 1000}, {.tid = 4, .internal = true, .command = 2, .target = &target});
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(r->closer.size(), 1u);
  EXPECT_FALSE(r->token.has_value());
}

TEST(RpcTest, UnknownCommandsAreErrorOneWithCloserNodes) {
  Bench b;
  b.Ask({8, 1}, {.tid = 4, .internal = true, .command = 0}, true);
  Key32 target{9};
  for (bool internal : {true, false}) {
    auto r = b.Ask({7, 1000}, {.tid = 4, .internal = internal, .command = 99, .target = &target});
    ASSERT_TRUE(r.has_value());
    EXPECT_EQ(r->error, kUnknownCommand);
    EXPECT_EQ(r->closer.size(), 1u);
  }
}

TEST(RpcTest, ADelayedPingIsAnsweredOnTimeUpToTenSeconds) {
  Bench b;
  wire::Writer ok, late;
  ok.U32(10'000), late.U32(10'001);
  EXPECT_FALSE(b.Ask({7, 1}, {.tid = 4, .internal = true, .command = 4, .value = ok.bytes()}).has_value());
  EXPECT_FALSE(b.Ask({8, 1}, {.tid = 4, .internal = true, .command = 4, .value = late.bytes()}).has_value());
  b.sent.clear();
  b.Run(9999ms);
  for (const auto& s : b.sent) EXPECT_NE(s.to.port, 1);
  b.Run(1ms);
  ASSERT_EQ(b.sent.back().to, (Ipv4Address{7, 1}));
  b.Run(10s);
  for (const auto& s : b.sent) EXPECT_NE(s.to, (Ipv4Address{8, 1}));
}

TEST(RpcTest, HeldPingsAreBounded) {
  Bench b;
  wire::Writer delay;
  delay.U32(5000);
  for (uint32_t i = 0; i < kDelayedPingsMax + 10; ++i) b.Ask({i + 1, 1}, {.internal = true, .command = 4, .value = delay.bytes()});
  EXPECT_EQ(b.machine.rpc.stats().overload, 10u);
}

TEST(RpcTest, AWrongTokenIsAnsweredWithAFreshOneAndNotDelivered) {
  Bench b;
  Key32 wrong{1}, target{2};
  auto r = b.Ask({7, 1000}, {.tid = 4, .token = &wrong, .command = kEcho, .target = &target, .value = AsBytes("x")});
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(r->error, kInvalidToken);
  ASSERT_TRUE(r->token.has_value());
  EXPECT_TRUE(b.machine.Of<RequestReceived>().empty());
  Key32 fresh = *r->token;
  // Another port of the same host may use it.
  r = b.Ask({7, 1001}, {.tid = 5, .token = &fresh, .command = kEcho, .target = &target, .value = AsBytes("x")});
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(r->error, 0u);
  EXPECT_EQ(AsText(*r->value), "x");
  r = b.Ask({8, 1000}, {.tid = 5, .token = &fresh, .command = kEcho, .value = AsBytes("x")});
  EXPECT_EQ(r->error, kInvalidToken);
  b.Run(16s);
  r = b.Ask({7, 1000}, {.tid = 6, .token = &fresh, .command = kEcho, .value = AsBytes("x")});
  EXPECT_EQ(r->error, kInvalidToken);
}

TEST(RpcTest, AForgedIdIsTreatedAsAbsent) {
  Bench b;
  Key32 forged = IdOf({9, 9});
  auto r = b.Ask({7, 1000}, {.tid = 4, .id = &forged, .internal = true, .command = 0});
  EXPECT_TRUE(r.has_value());
  EXPECT_EQ(b.machine.rpc.nodes(), 0u);
  EXPECT_EQ(b.machine.rpc.stats().wrong_id, 1u);
}

TEST(RpcTest, RelayKeepsTheTidAndDropsTheToken) {
  Bench b;
  struct RelayAll final : RpcMachine::Asker {
    void Do(Rpc& rpc, Turn& turn) override { rpc.Relay(turn, request, AsBytes("new"), {99, 99}); }
    Request request;
  } relay;
  Key32 target{2};
  b.Ask({7, 1000}, {.tid = 77, .command = 0, .target = &target, .value = AsBytes("old")});
  relay.request = b.machine.Of<RequestReceived>().at(0).request;
  b.machine.ask = &relay;
  b.Feed(OpCall{OpId{1}, "ask", {}});
  auto r = DecodeRequest(AsBytes(b.sent.back().bytes), {});
  EXPECT_EQ(b.sent.back().to, (Ipv4Address{99, 99}));
  EXPECT_EQ(r->tid, 77);
  EXPECT_EQ(r->to, (Ipv4Address{99, 99}));
  EXPECT_EQ(*r->target, target);
  EXPECT_EQ(AsText(*r->value), "new");
  EXPECT_FALSE(r->has_token);
  EXPECT_EQ(*r->from_id, IdOf(b.self));  // We are persistent and it leaves through the server socket.
}

TEST(RpcTest, ADownHintMakesUsCheckTheNodeAndDropItIfSilent) {
  Bench b;
  b.Ask({8, 1}, {.tid = 4, .internal = true, .command = 0}, true);
  ASSERT_EQ(b.machine.rpc.nodes(), 1u);
  wire::Writer down;
  down.Ipv4({8, 1});
  auto r = b.Ask({7, 1}, {.tid = 4, .internal = true, .command = 3, .value = down.bytes()});
  EXPECT_TRUE(r.has_value());
  size_t pings = 0;
  b.Run(3900ms);
  EXPECT_EQ(b.machine.rpc.nodes(), 1u);
  b.Run(200ms);
  for (const auto& s : b.sent) pings += s.to == Ipv4Address{8, 1} && s.bytes[0] == kRequestByte;
  EXPECT_EQ(pings, 4u);
  EXPECT_EQ(b.machine.rpc.nodes(), 0u);
}

TEST(RpcTest, ADoubtedNodeThatAnswersStays) {
  Bench b;
  b.Ask({8, 1}, {.tid = 4, .internal = true, .command = 0}, true);
  wire::Writer down;
  down.Ipv4({8, 1});
  b.Ask({7, 1}, {.tid = 4, .internal = true, .command = 3, .value = down.bytes()});
  auto ping = std::find_if(b.sent.begin(), b.sent.end(), [](const auto& s) { return s.to == Ipv4Address{8, 1} && s.bytes[0] == kRequestByte; });
  ASSERT_NE(ping, b.sent.end());
  b.Answer(Bench::Sent(*ping), IdOf({8, 1}));
  b.Run(5s);
  EXPECT_EQ(b.machine.rpc.nodes(), 1u);
}

TEST(RpcTest, GarbageIsCountedAndDropped) {
  Bench b;
  Rng noise = Rng::Named(9, "noise", "");
  size_t before = b.sent.size();
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(noise.Below(80) + 1, 0);
    noise.Fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
    if (i % 2 == 0) bytes[0] = i % 4 == 0 ? 0x13 : 0x03, bytes.resize(noise.Below(9) + 1);
    b.Feed(Datagram{SocketId{1}, Endpoint::V4(uint32_t(i), 5), AsBytes(bytes)});
  }
  const RpcStats& s = b.machine.rpc.stats();
  EXPECT_GT(s.malformed, 1000u);
  EXPECT_GT(s.foreign, 1000u);
  EXPECT_EQ(b.machine.rpc.nodes(), 0u);
  EXPECT_LT(b.sent.size() - before, 20000u);
}

// A row that is full of nodes heard seconds ago, and one newcomer: how many are doubted for it?
size_t DoubtedFor(bool calm) {
  Bench b({.bootstrap = true, .host = Endpoint::V4(0x0a000001, 0), .calm_swaps = calm});
  auto first_row = [&](uint32_t host) { return ((IdOf({host, 1})[0] ^ IdOf(b.self)[0]) & 0x80) != 0; };
  uint32_t host = 100;
  for (size_t in = 0; in < 20; ++host) {
    if (first_row(host)) b.Ask({host, 1}, {.internal = true, .command = 0}, true), ++in;
  }
  EXPECT_EQ(b.machine.rpc.nodes(), 20u);
  b.Run(6s);
  b.sent.clear();
  while (!first_row(host)) ++host;
  b.Ask({host, 1}, {.internal = true, .command = 0}, true);
  size_t pings = 0;
  for (const auto& s : b.sent) pings += s.bytes[0] == kRequestByte;
  b.Run(5s);  // Whoever is doubted is silent, and makes room.
  bool in = false;
  for (const Contact& c : b.machine.rpc.Nodes(100)) in |= c.address == Ipv4Address{host, 1};
  EXPECT_EQ(in, !calm);
  return pings;
}

TEST(RpcTest, ANewcomerAtAFullRowMakesTheDeployedCodeDoubtTheOldest) { EXPECT_EQ(DoubtedFor(false), 1u); }
TEST(RpcTest, ACalmNodeTrustsWhomItHeardWithinTheMinute) { EXPECT_EQ(DoubtedFor(true), 0u); }

TEST(RpcTest, AJumpOfTheClockIsASleep) {
  Bench b;
  b.Run(10s);
  b.Run(14s);
  EXPECT_TRUE(b.machine.Of<WokeUp>().empty());
  b.now += 60s;
  b.Feed(Deadline{});
  EXPECT_EQ(b.machine.Of<WokeUp>().size(), 1u);
  EXPECT_FALSE(b.machine.rpc.ephemeral());  // A root stays what it is.
}

// A bench whose RPC has one more socket.
struct ExtraBench : Bench {
  ExtraBench() : Bench({.ephemeral = true, .firewalled = true, .cache = false}) {
    In([&](Rpc& rpc, Turn& turn) { extra = rpc.sockets().OpenExtra(turn); });
    sent.clear();
  }
  SocketId extra{};
};

TEST(ExtraSocketTest, AsksThroughItAndTakesTheAnswerThroughAny) {
  for (bool same_socket : {true, false}) {
    ExtraBench b;
    b.In([&](Rpc& rpc, Turn& turn) {
      rpc.Ask(turn, {7, 7}, uint64_t(Internal::kPing), std::nullopt, std::nullopt, {.retries = 0, .internal = true, .socket = b.extra});
    });
    ASSERT_EQ(b.sent.size(), 1u);
    EXPECT_EQ(b.sent[0].socket, uint32_t(b.extra));
    Bench::Sent request = b.sent[0];
    if (!same_socket) request.socket = uint32_t(b.machine.rpc.sockets().socket(udx::SocketRole::kClient));
    b.Answer(request, std::nullopt);  // By tid alone, as deployed.
    EXPECT_EQ(b.machine.Of<ReplyReceived>().size(), 1u);
  }
}

TEST(ExtraSocketTest, ARequestThroughItIsAnsweredThroughItAndSaysNothingAboutOurAddress) {
  ExtraBench b;
  wire::Writer w;
  const Ipv4Address from{7, 7};
  const Key32 id = IdOf(from);
  Encode(RequestOut{.tid = 1, .to = {0x2c010101, 5}, .id = &id, .command = kEcho, .value = AsBytes("hi")}, w);
  b.Feed(Datagram{b.extra, from.endpoint(), w.bytes()});
  auto requests = b.machine.Of<RequestReceived>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_TRUE(requests[0].request.external);
  EXPECT_EQ(requests[0].request.socket, b.extra);
  ASSERT_FALSE(b.sent.empty());
  EXPECT_EQ(b.sent[0].socket, uint32_t(b.extra));
  EXPECT_FALSE(b.Own(b.sent[0])->from_id.has_value());
  EXPECT_FALSE(b.machine.rpc.public_host().has_value());
}

TEST(ExtraSocketTest, ItsOpeningProbesAndUdxPacketsAreForWhoeverOpenedIt) {
  ExtraBench b;
  b.In([&](Rpc& rpc, Turn& turn) {
    News news;
    const uint8_t probe[] = {0}, udx[20] = {0xff, 0x01}, foreign[] = {9, 9, 9};
    const Endpoint from = Endpoint::V4(7, 7);
    EXPECT_FALSE(rpc.OnSocketOpened(turn, {b.extra, Endpoint::V4(0, 5555), absl::StatusCode::kOk}, news));
    EXPECT_EQ(rpc.sockets().extra_local(b.extra)->port, 5555);
    EXPECT_FALSE(rpc.OnDatagram(turn, {b.extra, from, probe}, news));
    EXPECT_FALSE(rpc.OnDatagram(turn, {b.extra, from, udx}, news));
    EXPECT_TRUE(rpc.OnDatagram(turn, {b.extra, from, foreign}, news));
    EXPECT_TRUE(news.empty());
    EXPECT_EQ(rpc.stats().foreign, 1u);
    EXPECT_FALSE(rpc.OnSocketOpened(turn, {b.extra, {}, absl::StatusCode::kResourceExhausted}, news));
    EXPECT_FALSE(rpc.OnDatagram(turn, {b.extra, from, foreign}, news));
  });
}

TEST(ExtraSocketTest, ARequestFromBeforeTheDhtsSocketsAreOpenKeepsItsSocket) {
  RpcMachine machine({.ephemeral = true, .firewalled = true, .cache = false});
  Bench b;
  Rpc& rpc = machine.rpc;
  Trace trace(nullptr, nullptr);
  Turn turn{b.now, {}, b.rng, b.store, b.out, trace};
  News news;
  rpc.OnStart(turn, news);
  const SocketId extra = rpc.sockets().OpenExtra(turn);
  rpc.Ask(turn, {7, 7}, uint64_t(Internal::kPing), std::nullopt, std::nullopt, {.internal = true, .socket = extra});
  rpc.Ping(turn, {8, 8});
  const SocketId server = rpc.sockets().socket(udx::SocketRole::kServer);
  rpc.OnSocketOpened(turn, {server, Endpoint::V4(0, 1), absl::StatusCode::kOk}, news);
  const SocketId client = rpc.sockets().socket(udx::SocketRole::kClient);
  rpc.OnSocketOpened(turn, {client, Endpoint::V4(0, 2), absl::StatusCode::kOk}, news);
  std::map<uint32_t, uint32_t> through;  // Host → socket.
  for (const Output& o : b.out.outputs()) {
    if (o.what == Do::kSend) through[Ipv4Address::Of(o.peer).host] = o.id;
  }
  EXPECT_EQ(through[7], uint32_t(extra));
  EXPECT_EQ(through[8], uint32_t(client));
}

}  // namespace
}  // namespace orchard::dht
