#include "node/udx/socket_mux.h"

#include <gtest/gtest.h>

#include "node/store/mem_store.h"

namespace orchard::udx {
namespace {

// Answers each bind as the test says.
struct MuxBench {
  explicit MuxBench(SocketMux::Config c) : mux(c) { Run([&](Turn& t) { mux.Open(t); }); }
  template <class F>
  void Run(F f) {
    Trace trace(nullptr, nullptr);
    Turn turn{Instant{}, {}, rng, store, out, trace};
    f(turn);
    for (const Output& o : out.outputs()) {
      if (o.what == Do::kOpenSocket) tried.push_back(o.peer.port), last = o.id;
      if (o.what == Do::kCloseSocket) ++closed;
    }
    out.Clear();
  }
  void Answer(absl::StatusCode status, uint16_t port = 0) {
    Run([&](Turn& t) { ours = mux.OnSocketOpened(t, {SocketId{last}, Endpoint::V4(0, port), status}); });
  }
  SocketMux mux;
  MemStore store;
  Rng rng{Key32{}};
  Outbox out;
  std::vector<uint16_t> tried;
  uint32_t last = 0, closed = 0;
  bool ours = false;
};

TEST(SocketMuxTest, TriesThePortThenFourMoreThenAny) {
  MuxBench b({.host = Endpoint::V4(0, 0), .port = 49737});
  for (int i = 0; i < 5; ++i) b.Answer(absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(b.tried, (std::vector<uint16_t>{49737, 49738, 49739, 49740, 49741, 0}));
  b.Answer(absl::StatusCode::kOk, 5555);
  b.Answer(absl::StatusCode::kOk, 6666);
  EXPECT_EQ(b.mux.binding(), SocketMux::Binding::kOpen);
  EXPECT_EQ(b.mux.local(SocketRole::kServer).port, 5555);
  EXPECT_EQ(b.mux.local(SocketRole::kClient).port, 6666);
  EXPECT_EQ(b.tried.back(), 0);
  EXPECT_EQ(b.mux.role(b.mux.socket(SocketRole::kClient)), SocketRole::kClient);
}

TEST(SocketMuxTest, FailsWhenNoPortIsLeftAndSaysWhy) {
  MuxBench b({.host = Endpoint::V4(0, 0), .port = 49737});
  for (int i = 0; i < 6; ++i) b.Answer(absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(b.mux.binding(), SocketMux::Binding::kFailed);
  EXPECT_EQ(b.mux.failure(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(b.tried.size(), 6u);
}

TEST(SocketMuxTest, WithoutAnyPortTheFirstFailureIsFinal) {
  MuxBench b({.host = Endpoint::V4(0, 0), .port = 49737, .any_port = false});
  b.Answer(absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(b.mux.binding(), SocketMux::Binding::kFailed);
  EXPECT_EQ(b.tried.size(), 1u);
}

TEST(SocketMuxTest, AClientSocketThatFailsClosesTheServerSocket) {
  MuxBench b({.host = Endpoint::V4(0, 0), .port = 49737});
  b.Answer(absl::StatusCode::kOk, 49737);
  b.Answer(absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(b.mux.binding(), SocketMux::Binding::kFailed);
  EXPECT_EQ(b.closed, 1u);
}

TEST(SocketMuxTest, TheLastPortsDoNotWrapAround) {
  MuxBench b({.host = Endpoint::V4(0, 0), .port = 65534});
  for (int i = 0; i < 2; ++i) b.Answer(absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(b.tried, (std::vector<uint16_t>{65534, 65535, 0}));
}

TEST(SocketMuxTest, StrangersSocketsAreNotOurs) {
  MuxBench b({.host = Endpoint::V4(0, 0)});
  b.last = 77;
  b.Answer(absl::StatusCode::kOk, 1);
  EXPECT_FALSE(b.ours);
  EXPECT_EQ(b.mux.role(SocketId{0}), std::nullopt);
}

TEST(SocketMuxTest, ExtraSocketsHaveFreshIdsAndTellWhereTheyAreBound) {
  MuxBench b({.host = Endpoint::V4(0x0a000001, 0)});
  b.Answer(absl::StatusCode::kOk, 1);
  b.Answer(absl::StatusCode::kOk, 2);
  SocketId one{}, two{};
  b.Run([&](Turn& t) { one = b.mux.OpenExtra(t, SocketMark{5}), two = b.mux.OpenExtra(t); });
  EXPECT_EQ(b.mux.mark(one), SocketMark{5});
  EXPECT_EQ(b.mux.mark(two), SocketMark{});
  EXPECT_EQ(b.mux.mark(SocketId{99}), std::nullopt);
  EXPECT_EQ(b.tried, (std::vector<uint16_t>{0, 0, 0, 0}));
  EXPECT_EQ((std::vector<uint32_t>{uint32_t(one), uint32_t(two)}), (std::vector<uint32_t>{3, 4}));
  EXPECT_EQ(b.mux.role(one), std::nullopt);
  EXPECT_EQ(b.mux.extra_local(one), nullptr);
  b.last = uint32_t(one), b.Answer(absl::StatusCode::kOk, 777);
  EXPECT_TRUE(b.ours);
  ASSERT_NE(b.mux.extra_local(one), nullptr);
  EXPECT_EQ(b.mux.extra_local(one)->port, 777);
  b.Run([&](Turn& t) { b.mux.CloseExtra(t, one); });
  EXPECT_FALSE(b.mux.IsExtra(one));
  EXPECT_TRUE(b.mux.IsExtra(two));
  EXPECT_EQ(b.closed, 1u);
  b.Run([&](Turn& t) { b.mux.Close(t); });  // The two, and the extra that is left.
  EXPECT_EQ(b.closed, 4u);
}

TEST(SocketMuxTest, AnExtraSocketThatTheHostDidNotMakeIsForgotten) {
  MuxBench b({.host = Endpoint::V4(0, 0)});
  b.Answer(absl::StatusCode::kOk, 1);
  b.Answer(absl::StatusCode::kOk, 2);
  SocketId extra{};
  b.Run([&](Turn& t) { extra = b.mux.OpenExtra(t); });
  b.Answer(absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(b.ours);
  EXPECT_FALSE(b.mux.IsExtra(extra));
  EXPECT_EQ(b.mux.binding(), SocketMux::Binding::kOpen);
  EXPECT_EQ(b.closed, 0u);
}

TEST(SocketMuxTest, ExtraSocketsAreBounded) {
  MuxBench b({.host = Endpoint::V4(0, 0)});
  b.Run([&](Turn& t) {
    for (size_t i = 0; i < SocketMux::kExtraMax; ++i) EXPECT_NE(b.mux.OpenExtra(t), SocketId{0});
    EXPECT_EQ(b.mux.OpenExtra(t), SocketId{0});
  });
  EXPECT_EQ(b.mux.extras(), SocketMux::kExtraMax);
}

TEST(SocketMuxTest, FirstBytesTellTheKinds) {
  auto kind = [](std::initializer_list<uint8_t> head, size_t size) {
    std::vector<uint8_t> bytes(head);
    bytes.resize(size);
    return Classify(bytes);
  };
  EXPECT_EQ(kind({0xff, 0x01}, 20), DatagramKind::kUdx);
  EXPECT_EQ(kind({0xff, 0x01}, 19), DatagramKind::kForeign);
  EXPECT_EQ(kind({0xff, 0x02}, 20), DatagramKind::kForeign);
  EXPECT_EQ(kind({0x03}, 1), DatagramKind::kProbe);
  EXPECT_EQ(kind({0x03}, 2), DatagramKind::kRequest);
  EXPECT_EQ(kind({0x13}, 2), DatagramKind::kResponse);
  EXPECT_EQ(kind({0x23}, 2), DatagramKind::kForeign);
  EXPECT_EQ(kind({}, 0), DatagramKind::kForeign);
}

}  // namespace
}  // namespace orchard::udx
