#include <gmock/gmock.h>

#include "tests/sim/toy_connections.h"

namespace orchard::sim {
namespace {

using testing::Contains;
using testing::HasSubstr;

struct Net : ToyRun {
  explicit Net(std::string_view claim, std::string_view timeline = "")
      : ToyRun(Cat(R"({"says": "x", "duration": "100s", "hosts": [{"id": "a", "nat": "symmetric"}, {"id": "b", "count": 2, "nat": ["port-restricted", "cgn@x"]}],
          "timeline": [)", timeline, R"(], "claims": [{"says": "c", "connected": )", claim, "}]}")), told(*this) {}
  void At(int64_t second, std::function<void()> act) { stage->At(Second(second), std::move(act)); }
  // A connection that is open between the two instants, on a path.
  void Span(std::string_view a, std::string_view b, int64_t from, int64_t to, std::string_view path) {
    auto c = std::make_shared<ToyConnections::Two>();
    At(from, [=, this] { told.Open(*c = told.Dial(a, b), path); });
    if (to < 100) At(to, [=, this] { told.Close(*c, "ETIMEDOUT"); });
  }
  Verdict Judged() {
    Run();
    return Finish().verdict;
  }
  ToyConnections told;
};

struct WindowCase {
  const char* words;
  int64_t from, to;
  bool held;
};
class EachWindow : public testing::TestWithParam<WindowCase> {};

TEST_P(EachWindow, HoldsIfThePairIsUpOnceThenOrAllTheTime) {
  Net n(Cat(R"(["a", "b-1"], )", GetParam().words), R"({"at": "30s", "as": "remap"})");
  n.Span("b-1", "a", GetParam().from, GetParam().to, "punched");  // Whoever dialled.
  EXPECT_EQ(n.Judged(), GetParam().held ? Verdict::kHeld : Verdict::kFailed) << n.claim().observed;
}
INSTANTIATE_TEST_SUITE_P(All, EachWindow, testing::Values(
    WindowCase{R"("by": "50s")", 10, 20, true}, WindowCase{R"("by": "50s")", 51, 99, false},
    WindowCase{R"("at": "50s")", 10, 99, true}, WindowCase{R"("at": "50s")", 10, 49, false}, WindowCase{R"("at": "50s")", 50, 99, true}, WindowCase{R"("at": "50s")", 10, 50, false},
    WindowCase{R"("during": ["20s", "50s"])", 10, 60, true}, WindowCase{R"("during": ["20s", "50s"])", 21, 60, false}, WindowCase{R"("during": ["20s", "50s"])", 10, 45, false},
    // Only connections that were made later count.
    WindowCase{R"("since": "remap", "by": "50s")", 10, 99, false}, WindowCase{R"("since": "remap", "by": "50s")", 31, 33, true},
    WindowCase{R"("since": "remap", "at": "50s")", 10, 99, false}, WindowCase{R"("since": "remap", "at": "50s")", 40, 99, true},
    WindowCase{R"("since": "remap", "by": "15s after remap")", 46, 99, false},
    WindowCase{R"("path": "punched", "at": "50s")", 10, 99, true}, WindowCase{R"("path": "relayed", "at": "50s")", 10, 99, false},
    WindowCase{R"("path": ["relayed", "punched"], "at": "50s")", 10, 99, true},
    WindowCase{R"("path": "none", "at": "50s")", 10, 99, false}, WindowCase{R"("path": "none", "at": "50s")", 60, 99, true},
    WindowCase{R"("path": "none", "during": ["20s", "50s"])", 10, 20, true}, WindowCase{R"("path": ["none", "direct"], "during": ["20s", "50s"])", 30, 40, false}));

TEST(ClaimsConnectedTest, EveryHostOfTheFirstWithEveryHostOfTheSecond) {
  Net n(R"(["a", "b"], "at": "50s")");
  n.Span("a", "b-1", 10, 100, "punched");
  EXPECT_EQ(n.Judged(), Verdict::kFailed);
  EXPECT_EQ(n.claim().observed, "1 of 2 pairs");
  EXPECT_EQ(n.claim().n, 2u);
  ASSERT_EQ(n.claim().pairs.size(), 1u);
  EXPECT_EQ(n.claim().pairs[0].second, n.host("b-2"));
  EXPECT_THAT(n.claim().why, Contains(HasSubstr("a – b-2: none")));
  EXPECT_THAT(n.claim().why, Contains("neither dialled the other"));

  Net whole(R"(["all", "all"], "by": "50s")");
  whole.Span("a", "b-1", 10, 12, "punched"), whole.Span("a", "b-2", 13, 15, "relayed"), whole.Span("b-1", "b-2", 16, 18, "lan");
  EXPECT_EQ(whole.Judged(), Verdict::kHeld) << "each once, none twice, none with itself: " << whole.claim().observed;
}

TEST(ClaimsConnectedTest, ByIsDecidedWhenTrue) {
  Net n(R"(["a", "b"], "by": "50s")");
  n.Span("a", "b-1", 10, 12, "punched"), n.Span("b-2", "a", 20, 100, "relayed");
  n.Run(19);
  EXPECT_EQ(n.claim().verdict, Verdict::kOpen);
  EXPECT_TRUE(n.Run(21)) << "they need not be up at one time";
  EXPECT_EQ(n.claim().verdict, Verdict::kHeld);
  EXPECT_EQ(n.claim().at, Second(20));
}

TEST(ClaimsConnectedTest, ADialThatOpenedAndIsNoMoreSaysWhyItClosed) {
  Net n(R"(["a", "b-1"], "at": "50s")");
  n.Span("a", "b-1", 10, 40, "relayed");
  EXPECT_EQ(n.Judged(), Verdict::kFailed);
  EXPECT_THAT(n.claim().why, Contains(HasSubstr("a's dial of 10s opened at 10s and was closed (ETIMEDOUT)")));
}

TEST(ClaimsConnectedTest, AnEndAloneIsNoConnection) {
  Net n(R"(["a", "b-1"], "at": "50s")");
  n.At(10, [&] {
    auto c = n.told.Dial("a", "b-1");
    n.Trace("a", hyperdht::ConnectOpened{c.at_a, n.told.KeyOf("b-1"), 1, "punched", 1, 1, 1, "consistent", "consistent"});
  });
  EXPECT_EQ(n.Judged(), Verdict::kFailed);
  EXPECT_EQ(n.claim().observed, "none");
  EXPECT_THAT(n.claim().why, Contains("a's dial of 10s opened at 10s, but not at b-1"));
}

TEST(ClaimsConnectedTest, APairIsRelayedUntilBothEndsHaveLeftTheRelay) {
  Net n(R"(["a", "b-1"], "path": "punched", "at": "50s")");
  n.At(10, [&] {
    auto c = n.told.Dial("a", "b-1");
    n.told.Open(c, "relayed");
    n.Trace("a", hyperdht::ConnectPathChanged{c.at_a, n.told.KeyOf("b-1"), "relayed", "punched"});
  });
  EXPECT_EQ(n.Judged(), Verdict::kFailed);
  EXPECT_EQ(n.claim().observed, "relayed");
}

TEST(ClaimsConnectedTest, AFailureNamesTheStepThatWaitedAndBothNatsAsSeenAndAsTheyAre) {
  Net n(R"(["a", "b-1"], "at": "85s")");
  n.At(25, [&] {
    auto c = n.told.Dial("a", "b-1");
    n.told.Step(c, "probe");
    n.stage->At(Second(45), [&n, c] { n.told.Fail(c, "HOLEPUNCH_ABORTED", "probe"); });
  });
  EXPECT_EQ(n.Judged(), Verdict::kFailed);
  EXPECT_THAT(n.claim().why, testing::ElementsAre(
      "a – b-1: none", "a's dial of 25s failed at 45s in step \"probe\" (HOLEPUNCH_ABORTED), 312 probes",
      "a is behind symmetric (AP/AP, random ports), seen as random; b-1 behind port-restricted (EI/AP, preserved ports) + cgn@x (EI/AP, blocks of ports), seen as consistent"));

  Net waits(R"(["b-1", "a"], "at": "85s")");
  waits.At(25, [&] { waits.told.Dial("b-1", "a"); });
  waits.At(31, [&] { waits.Trace("b-1", hyperdht::ConnectStepped{1, "punch"}); });
  EXPECT_EQ(waits.Judged(), Verdict::kFailed);
  EXPECT_THAT(waits.claim().why, Contains("b-1's dial of 25s waits in step \"punch\" since 31s"));
}

TEST(ClaimsConnectedTest, WhatCameTooLateIsToldByHowMuch) {
  Net n(R"(["a", "b"], "since": "remap", "by": "15s after remap")", R"({"at": "30s", "as": "remap"})");
  n.Span("b-1", "a", 20, 40, "punched"), n.Span("b-1", "a", 80, 100, "punched"), n.Span("b-2", "a", 40, 100, "punched");
  n.Run();
  n.Finish();
  EXPECT_EQ(n.claim().verdict, Verdict::kFailed);
  EXPECT_EQ(n.claim().observed, "1 of 2 pairs; all at 1min 20s (35s late)");
  EXPECT_EQ(n.claim().expected, "connected since remap, by 15s after remap");
}

TEST(ClaimsConnectedTest, OfFreshConnectionsEachCounts) {
  Net n(R"(["a", "b-1"], "since": "remap", "by": "15s after remap")", R"({"at": "30s", "as": "remap"})");
  std::vector<ToyConnections::Two> dark;
  // One a second that nobody answers while the server is dark; then one that is, and a late handshake of an old one.
  for (int s = 31; s < 44; ++s) n.At(s, [&] { dark.push_back(n.told.Dial("a", "b-1")); });
  n.Span("a", "b-1", 44, 46, "punched");
  n.At(60, [&] { for (const auto& c : dark) n.told.Fail(c, "PEER_CONNECTION_FAILED", "handshake"); });
  EXPECT_EQ(n.Judged(), Verdict::kHeld);
  const Connections::Pair* p = n.connections->FindPair(n.host("a"), n.host("b-1"));
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(p->dials, 14u);
  EXPECT_EQ(p->failed, 13u);
  EXPECT_EQ(p->made.size(), 1u);
}

}  // namespace
}  // namespace orchard::sim
