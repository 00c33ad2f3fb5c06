// One suite for every host of the seam: it proves the seven rules of node/base/turn.h with small scripted machines. A host
// joins by a Driver with the members of MemDriver (tests/host/mem_host_test.cc), and
//   INSTANTIATE_TYPED_TEST_SUITE_P(Mem, HostSuite, MemDriver);
//
//   uint32_t Add(std::string name, Machines)     one more node; all are added before Begin
//   void Begin()                                 starts them, in the order added
//   bool RunUntil(done, bound)                   lets the host run until done() holds; false if it never did
//   Endpoint bind_address(n)                     what to bind so that the other nodes reach it; port 0
//   void Call(n, op, name, params, credit)       feeds OpCall, then OpCredit unless credit is 0
//   void Grant(n, op, credit) · Cancel(n, op) · StopNode(n) · bool up(n)
//   std::vector<SuiteEvent> events(n)            what its operations emitted so far
//   void HoldSyncs(n) · ReleaseSyncs(n)          between them no sync of n is done for at least 5 s of the host's time
//   void Restart(n)                              the process dies without goodbye and starts again on the same store
//   uint64_t dead_ids(n)                         outputs dropped because their id was dead
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/base/turn.h"

namespace orchard {

using Machines = std::function<std::unique_ptr<Machine>()>;

struct SuiteEvent {
  OpId op;
  std::string json;
  bool final;
};

// A machine whose mind is in the test. Outlives the lives of its node.
struct Script {
  std::function<void(Turn&, const Input&)> handle;
  Instant deadline = kNever;
  // Filled by the machine, life after life.
  std::vector<std::string> inputs;  // "start", "deadline", "opened 1", "datagram …", "op …", "credit 3", "cancelled", "job …"
  std::vector<std::string> heard;   // Payloads of datagrams.
  Endpoint local;                   // Of the socket that opened last.
  bool saw(const std::string& what) const { return std::find(inputs.begin(), inputs.end(), what) != inputs.end(); }
};

class Scripted final : public Machine {
 public:
  explicit Scripted(Script* script) : s_(script) { s_->deadline = kNever; }
  void Handle(Turn& t, const Input& input) override {
    // Rule 1, at every turn of every test.
    EXPECT_EQ(first_, std::holds_alternative<Start>(input));
    EXPECT_GE(t.now, last_);
    const bool missed = std::holds_alternative<Datagram>(input) && t.now - s_->deadline >= std::chrono::milliseconds(100);  // It was stopped.
    EXPECT_TRUE(s_->deadline > t.now || std::holds_alternative<Deadline>(input) || missed) << "a due deadline was passed over";
    first_ = false, last_ = t.now;
    Note(input);
    if (std::holds_alternative<Deadline>(input)) s_->deadline = kNever;
    if (s_->handle) s_->handle(t, input);
    if (std::holds_alternative<Stop>(input)) t.out.Stopped();
  }
  Instant next_deadline() const override { return s_->deadline; }

 private:
  void Note(const Input& input) {
    auto& log = s_->inputs;
    if (std::holds_alternative<Start>(input)) log.push_back("start");
    else if (std::holds_alternative<Deadline>(input)) log.push_back("deadline");
    else if (auto* o = std::get_if<SocketOpened>(&input)) {
      log.push_back((o->status == absl::StatusCode::kOk ? "opened " : "refused ") + std::to_string(uint32_t(o->socket)));
      if (o->status == absl::StatusCode::kOk) s_->local = o->local;
    } else if (auto* d = std::get_if<Datagram>(&input)) {
      s_->heard.emplace_back(AsText(d->payload));
    } else if (auto* c = std::get_if<OpCall>(&input)) log.push_back("op " + std::string(c->name));
    else if (auto* g = std::get_if<OpCredit>(&input)) log.push_back("credit " + std::to_string(g->events));
    else if (std::holds_alternative<OpCancelled>(input)) log.push_back("cancelled");
    else if (auto* j = std::get_if<JobDone>(&input)) log.push_back((j->status == absl::StatusCode::kOk ? "job ok " : "job failed ") + std::to_string(uint32_t(j->job)));
  }
  Script* s_;
  bool first_ = true;
  Instant last_{};
};

template <class Driver>
class HostSuite : public testing::Test {
 protected:
  static constexpr Duration kBound = std::chrono::seconds(20);  // Generous; nothing waits for it but a failure.

  uint32_t Add(std::string name) {
    scripts_.push_back(std::make_unique<Script>());
    Script* s = scripts_.back().get();
    return driver_.Add(std::move(name), [s] { return std::make_unique<Scripted>(s); });
  }
  Script& script(uint32_t n) { return *scripts_[n]; }
  // A node that does nothing but listen.
  uint32_t AddEar(std::string name) {
    uint32_t n = Add(std::move(name));
    script(n).handle = [this, n](Turn& t, const Input& i) {
      if (std::holds_alternative<Start>(i)) t.out.OpenSocket(SocketId{1}, driver_.bind_address(n));
    };
    return n;
  }
  bool Until(const std::function<bool()>& done) { return driver_.RunUntil(done, kBound); }
  // Has passed when the host has worked off what was there before: a turn that opens a socket and was answered.
  bool Ready(uint32_t n) { return Until([this, n] { return script(n).saw("opened 1"); }); }
  std::vector<std::string> Emitted(uint32_t n) {
    std::vector<std::string> out;
    for (const SuiteEvent& e : driver_.events(n)) out.push_back((e.final ? "final " : "event ") + e.json);
    return out;
  }

  std::vector<std::unique_ptr<Script>> scripts_;  // Outlive the driver's machines.
  Driver driver_;
};
TYPED_TEST_SUITE_P(HostSuite);

TYPED_TEST_P(HostSuite, StartComesFirstAndDeadlinesComeBeforeAllElse) {
  // The talker ticks and sends at each tick; the ear sets a deadline at each datagram, so that many are due when one arrives.
  uint32_t ear = this->AddEar("ear"), talker = this->Add("talker");
  Script &e = this->script(ear), &s = this->script(talker);
  int ticks = 0;
  auto open = e.handle;
  e.handle = [&, open](Turn& t, const Input& i) {
    open(t, i);
    if (std::holds_alternative<Datagram>(i)) e.deadline = t.now + std::chrono::microseconds(50);
  };
  s.handle = [&](Turn& t, const Input& i) {
    if (std::holds_alternative<Start>(i)) t.out.OpenSocket(SocketId{1}, this->driver_.bind_address(talker));
    if (std::holds_alternative<OpCall>(i) || std::holds_alternative<Deadline>(i)) {
      for (int k = 0; k < 5; ++k) t.out.Send(SocketId{1}, e.local, AsBytes("x"));
      if (++ticks < 40) s.deadline = t.now + std::chrono::milliseconds(1);
    }
  };
  this->driver_.Begin();
  ASSERT_TRUE(this->Ready(ear) && this->Ready(talker));
  this->driver_.Call(talker, OpId{1}, "go", "{}", 0);
  EXPECT_TRUE(this->Until([&] { return ticks == 40 && e.heard.size() == 200 && e.deadline == kNever; }));
  EXPECT_EQ(e.inputs.front(), "start");
  EXPECT_TRUE(e.saw("deadline"));
}

TYPED_TEST_P(HostSuite, ADeadlineIsNeverEarly) {
  uint32_t n = this->Add("n");
  Script& s = this->script(n);
  Instant due{};
  bool rang = false;
  s.handle = [&](Turn& t, const Input& i) {
    if (std::holds_alternative<Start>(i)) s.deadline = due = t.now + std::chrono::microseconds(12'345);
    if (!std::holds_alternative<Deadline>(i)) return;
    EXPECT_GE(t.now, due);
    rang = true;
  };
  this->driver_.Begin();
  EXPECT_TRUE(this->Until([&] { return rang; }));
}

TYPED_TEST_P(HostSuite, ATurnReadsItsOwnWritesAndTheyOutliveTheProcess) {
  uint32_t n = this->Add("n");
  Script& s = this->script(n);
  std::vector<std::string> found;
  s.handle = [&](Turn& t, const Input& i) {
    if (std::holds_alternative<Start>(i)) {
      found.clear();
      t.store.Scan(AsBytes(""), AsBytes("z"), [&](Bytes k, Bytes v) { return found.emplace_back(std::string(AsText(k)) + "=" + std::string(AsText(v))), true; });
    }
    if (const auto* call = std::get_if<OpCall>(&i)) {
      t.store.Put(AsBytes("a"), AsBytes("1")), t.store.Put(AsBytes("b"), AsBytes("2")), t.store.Put(AsBytes("c"), AsBytes("3"));
      EXPECT_EQ(AsText(t.store.Get(AsBytes("b")).value_or(Bytes())), "2");
      t.store.Erase(AsBytes("b"));
      EXPECT_FALSE(t.store.Get(AsBytes("b")));
      t.out.Final(call->op, AsBytes("\"done\""));
    }
  };
  this->driver_.Begin();
  ASSERT_TRUE(this->Until([&] { return s.saw("start"); }));
  this->driver_.Call(n, OpId{1}, "write", "{}", 1);
  ASSERT_TRUE(this->Until([&] { return this->Emitted(n).size() == 1; }));  // Output seen: so the batch is committed.
  s.inputs.clear();
  this->driver_.Restart(n);
  ASSERT_TRUE(this->Until([&] { return s.saw("start"); }));
  EXPECT_EQ(found, (std::vector<std::string>{"a=1", "c=3"}));
}

TYPED_TEST_P(HostSuite, GatedOutputsWaitForTheSyncAndStayInOrder) {
  uint32_t ear = this->AddEar("ear"), n = this->AddEar("n");
  Script &e = this->script(ear), &s = this->script(n);
  auto open = s.handle;
  s.handle = [&, open](Turn& t, const Input& i) {
    open(t, i);
    const auto* call = std::get_if<OpCall>(&i);
    if (call == nullptr) return;
    std::string what(AsText(call->params));
    if (call->name == "sync") t.store.Put(AsBytes("k"), call->params), t.store.Sync();
    t.out.Send(SocketId{1}, e.local, AsBytes("gated" + what));
    t.out.Send(SocketId{1}, e.local, AsBytes("free" + what), Gate::kNone);
    t.out.Final(call->op, call->params);
  };
  this->driver_.Begin();
  ASSERT_TRUE(this->Ready(ear) && this->Ready(n));
  this->driver_.HoldSyncs(n);
  this->driver_.Call(n, OpId{1}, "sync", "1", 1);
  this->driver_.Call(n, OpId{2}, "plain", "2", 1);
  this->driver_.Call(n, OpId{3}, "sync", "3", 1);
  ASSERT_TRUE(this->Until([&] { return e.heard.size() >= 3; }));
  EXPECT_EQ(e.heard, (std::vector<std::string>{"free1", "free2", "free3"}));
  EXPECT_TRUE(this->Emitted(n).empty());
  this->driver_.ReleaseSyncs(n);
  ASSERT_TRUE(this->Until([&] { return e.heard.size() >= 6 && this->Emitted(n).size() >= 3; }));
  EXPECT_EQ(e.heard, (std::vector<std::string>{"free1", "free2", "free3", "gated1", "gated2", "gated3"}));
  EXPECT_EQ(this->Emitted(n), (std::vector<std::string>{"final 1", "final 2", "final 3"}));
}

TYPED_TEST_P(HostSuite, OutputsArePerformedInTheOrderWrittenFromCopies) {
  uint32_t ear = this->AddEar("ear"), n = this->Add("n");
  Script& e = this->script(ear);
  this->script(n).handle = [&](Turn& t, const Input& i) {
    if (!std::holds_alternative<OpCall>(i)) return;
    t.out.OpenSocket(SocketId{7}, this->driver_.bind_address(n));
    std::string bytes;
    for (int k = 0; k < 30; ++k) bytes = std::to_string(k), t.out.Send(SocketId{7}, e.local, AsBytes(bytes));
    std::fill(bytes.begin(), bytes.end(), '!');
    t.out.CloseSocket(SocketId{7});
  };
  this->driver_.Begin();
  ASSERT_TRUE(this->Ready(ear));
  this->driver_.Call(n, OpId{1}, "go", "{}", 0);
  ASSERT_TRUE(this->Until([&] { return e.heard.size() >= 30; }));
  std::vector<std::string> expected;
  for (int k = 0; k < 30; ++k) expected.push_back(std::to_string(k));
  EXPECT_EQ(e.heard, expected);
}

TYPED_TEST_P(HostSuite, OutputsToDeadIdsAreDroppedAndCounted) {
  uint32_t ear = this->AddEar("ear"), n = this->AddEar("n");
  Script& e = this->script(ear);
  auto open = this->script(n).handle;
  this->script(n).handle = [&, open](Turn& t, const Input& i) {
    open(t, i);
    if (!std::holds_alternative<OpCall>(i)) return;
    t.out.Final(OpId{1}, AsBytes("\"end\""));
    t.out.Event(OpId{1}, AsBytes("\"after the end\""));     // 1
    t.out.Event(OpId{99}, AsBytes("\"nobody asked\""));     // 2
    t.out.Send(SocketId{50}, e.local, AsBytes("no such"));  // 3
    t.out.CloseSocket(SocketId{50});                        // 4
    t.out.Cancel(JobId{50});                                // 5
    t.out.Send(SocketId{1}, e.local, AsBytes("alive"));
  };
  this->driver_.Begin();
  ASSERT_TRUE(this->Ready(ear) && this->Ready(n));
  uint64_t before = this->driver_.dead_ids(n);
  this->driver_.Call(n, OpId{1}, "go", "{}", 5);
  ASSERT_TRUE(this->Until([&] { return !e.heard.empty() && !this->Emitted(n).empty(); }));
  EXPECT_EQ(e.heard, std::vector<std::string>{"alive"});
  EXPECT_EQ(this->Emitted(n), std::vector<std::string>{"final \"end\""});
  EXPECT_EQ(this->driver_.dead_ids(n) - before, 5u);
}

TYPED_TEST_P(HostSuite, FailuresComeBackAsInputs) {
  uint32_t n = this->AddEar("n");
  Script& s = this->script(n);
  auto open = s.handle;
  s.handle = [&, open](Turn& t, const Input& i) {
    open(t, i);
    if (!std::holds_alternative<OpCall>(i)) return;
    t.out.OpenSocket(SocketId{2}, s.local);  // Taken by socket 1.
    t.out.Run(JobId{1}, JobKind::kResolve, AsBytes("no-such-name.invalid"));
    t.out.Run(JobId{2}, JobKind::kResolve, AsBytes(""));
  };
  this->driver_.Begin();
  ASSERT_TRUE(this->Ready(n));
  this->driver_.Call(n, OpId{1}, "go", "{}", 0);
  EXPECT_TRUE(this->Until([&] { return s.saw("refused 2") && s.saw("job failed 1") && s.saw("job failed 2"); }));
}

TYPED_TEST_P(HostSuite, CreditIsGrantedByTheCallerAlone) {
  uint32_t n = this->Add("n");
  Script& s = this->script(n);
  uint32_t credit = 0, emitted = 0;
  s.handle = [&](Turn& t, const Input& i) {
    if (std::holds_alternative<OpCall>(i)) credit = 1;  // The first is always granted.
    if (const auto* c = std::get_if<OpCredit>(&i)) credit += c->events;
    for (; credit > 0; --credit) t.out.Event(OpId{4}, AsBytes(std::to_string(++emitted)));
  };
  this->driver_.Begin();
  ASSERT_TRUE(this->Until([&] { return s.saw("start"); }));
  this->driver_.Call(n, OpId{4}, "stream", "{}", 0);
  ASSERT_TRUE(this->Until([&] { return this->Emitted(n).size() == 1; }));
  this->driver_.Grant(n, OpId{4}, 3);
  ASSERT_TRUE(this->Until([&] { return this->Emitted(n).size() >= 4; }));
  EXPECT_EQ(this->Emitted(n), (std::vector<std::string>{"event 1", "event 2", "event 3", "event 4"}));
  this->driver_.Cancel(n, OpId{4});
  EXPECT_TRUE(this->Until([&] { return s.saw("cancelled"); }));
}

TYPED_TEST_P(HostSuite, AFloodDropsTheNewestAndHarmsNobody) {
  uint32_t ear = this->AddEar("ear"), n = this->AddEar("n");
  Script &e = this->script(ear), &s = this->script(n);
  const std::string payload(1000, 'x');
  auto open = s.handle;
  s.handle = [&, open](Turn& t, const Input& i) {
    open(t, i);
    const auto* call = std::get_if<OpCall>(&i);
    if (call == nullptr) return;
    if (call->name == "last") return t.out.Send(SocketId{1}, e.local, AsBytes("last"));
    for (int k = 0; k < 50'000; ++k) t.out.Send(SocketId{1}, e.local, AsBytes(std::to_string(100'000 + k) + payload));
  };
  this->driver_.Begin();
  ASSERT_TRUE(this->Ready(ear) && this->Ready(n));
  this->driver_.Call(n, OpId{1}, "flood", "{}", 0);
  ASSERT_TRUE(this->Until([&] { return !e.heard.empty(); }));
  uint32_t op = 2;
  // The queue drains; from then on a packet gets through again.
  ASSERT_TRUE(this->Until([&] {
    if (e.heard.back() == "last") return true;
    if (op < 10'000) this->driver_.Call(n, OpId{op++}, "last", "{}", 0);
    return false;
  }));
  EXPECT_EQ(e.heard.front().substr(0, 6), "100000");
  for (size_t k = 1; k < e.heard.size() && e.heard[k] != "last"; ++k) ASSERT_LT(e.heard[k - 1], e.heard[k]);
}

TYPED_TEST_P(HostSuite, StopEndsOnceTheNodeHasSaidGoodbye) {
  uint32_t ear = this->AddEar("ear"), n = this->AddEar("n");
  Script& e = this->script(ear);
  auto open = this->script(n).handle;
  this->script(n).handle = [&, open](Turn& t, const Input& i) {
    open(t, i);
    if (std::holds_alternative<Stop>(i)) t.out.Send(SocketId{1}, e.local, AsBytes("goodbye"));
  };
  this->driver_.Begin();
  ASSERT_TRUE(this->Ready(ear) && this->Ready(n));
  this->driver_.StopNode(n);
  EXPECT_TRUE(this->Until([&] { return !this->driver_.up(n) && e.heard == std::vector<std::string>{"goodbye"}; }));
  EXPECT_TRUE(this->driver_.up(ear));
}

REGISTER_TYPED_TEST_SUITE_P(HostSuite, StartComesFirstAndDeadlinesComeBeforeAllElse, ADeadlineIsNeverEarly,
                            ATurnReadsItsOwnWritesAndTheyOutliveTheProcess, GatedOutputsWaitForTheSyncAndStayInOrder,
                            OutputsArePerformedInTheOrderWrittenFromCopies, OutputsToDeadIdsAreDroppedAndCounted,
                            FailuresComeBackAsInputs, CreditIsGrantedByTheCallerAlone,
                            AFloodDropsTheNewestAndHarmsNobody, StopEndsOnceTheNodeHasSaidGoodbye);

}  // namespace orchard
