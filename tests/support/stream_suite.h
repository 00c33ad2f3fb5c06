// The rows of the conformance suite for byte streams: they run wherever host_suite.h runs, with the same Driver, and
//   INSTANTIATE_TYPED_TEST_SUITE_P(Mem, StreamSuite, MemDriver);
// A host that can be silent, and whose time costs nothing, also runs SilenceSuite. Its Driver has
//   Endpoint silent_address()    an address that is no host's: nobody answers, not even with a refusal
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/host_suite.h"

namespace orchard {

// What one node knows of one stream; the rules of each are checked at every input.
struct StreamLog {
  std::string got;
  bool opened = false, ended = false, closed = false;
  absl::StatusCode status = absl::StatusCode::kOk;
  std::optional<SocketId> listener;
  Endpoint local, peer;
  uint64_t accepted = 0;  // Granted by us in all.
  uint64_t credit = 0;    // Granted by the host, and not written yet.
  uint64_t written = 0;
};

template <class Driver>
class StreamSuite : public HostSuite<Driver> {
 protected:
  static constexpr uint32_t kPlenty = 1 << 30;
  using Act = std::function<void(Turn&)>;
  struct Mind {
    std::map<uint32_t, StreamLog> streams;
    std::vector<uint32_t> opened;  // In order.
    Act next;                      // What the next OpCall does.
    uint32_t accept = kPlenty;     // Granted to each stream as it opens.
    std::function<void(Turn&, const Input&)> then;
  };

  uint32_t AddMind(std::string name) {
    uint32_t n = this->Add(std::move(name));
    minds_.resize(n + 1);
    minds_[n] = std::make_unique<Mind>();
    this->script(n).handle = [this, n](Turn& t, const Input& i) { Handle(n, t, i); };
    return n;
  }
  // One that listens at once, as socket 1.
  uint32_t AddListener(std::string name) {
    uint32_t n = AddMind(std::move(name));
    mind(n).then = [this, n](Turn& t, const Input& i) {
      if (std::holds_alternative<Start>(i)) t.out.Listen(SocketId{1}, this->driver_.bind_address(n));
    };
    return n;
  }
  Mind& mind(uint32_t n) { return *minds_[n]; }
  StreamLog& log(uint32_t n, uint32_t s) { return mind(n).streams[s]; }
  // A turn of that node; what it does is seen later.
  void In(uint32_t n, Act act) {
    mind(n).next = std::move(act);
    this->driver_.Call(n, OpId{++op_}, "act", "{}", 0);
    ASSERT_TRUE(this->Until([&] { return mind(n).next == nullptr; }));
  }
  // 50 ms of that node's time: what would come at once has come.
  void Pause(uint32_t n) {
    size_t seen = Deadlines(n);
    In(n, [&](Turn& t) { this->script(n).deadline = t.now + std::chrono::milliseconds(50); });
    ASSERT_TRUE(this->Until([&] { return Deadlines(n) > seen; }));
  }
  // Begins, and connects stream `s` of `from` to the listener; returns the stream's id there, 0 if it did not come about.
  uint32_t Connect(uint32_t from, uint32_t s, uint32_t to) {
    size_t before = mind(to).opened.size();
    In(from, [&](Turn& t) { t.out.Connect(StreamId{s}, this->script(to).local); });
    bool both = this->Until([&] { return log(from, s).opened && mind(to).opened.size() > before; });
    EXPECT_TRUE(both);
    return both ? mind(to).opened.back() : 0;
  }
  void Begin(uint32_t listener) {
    this->driver_.Begin();
    ASSERT_TRUE(this->Ready(listener));
  }
  void Write(uint32_t n, Turn& t, uint32_t s, std::string_view bytes) {
    StreamLog& l = log(n, s);
    ASSERT_LE(bytes.size(), l.credit);
    l.credit -= bytes.size(), l.written += bytes.size();
    t.out.Write(StreamId{s}, AsBytes(bytes));
  }
  void Accept(uint32_t n, Turn& t, uint32_t s, uint32_t bytes) {
    log(n, s).accepted += bytes;
    t.out.Accept(StreamId{s}, bytes);
  }
  // Bytes [from, from + size) of an endless text that does not repeat soon.
  static std::string Text(uint64_t from, size_t size) {
    std::string out(size, 0);
    for (size_t i = 0; i < size; ++i) out[i] = char('a' + (from + i) * (from + i + 7) / 11 % 26);
    return out;
  }

 private:
  size_t Deadlines(uint32_t n) {
    auto& in = this->script(n).inputs;
    return size_t(std::count(in.begin(), in.end(), "deadline"));
  }
  void Handle(uint32_t n, Turn& t, const Input& i) {
    Mind& m = mind(n);
    // The stream an input is about: nothing comes before it opened (but the end of a connect) nor after it closed.
    auto about = [&](StreamId id, bool may_be_new) -> StreamLog& {
      StreamLog& l = m.streams[uint32_t(id)];
      EXPECT_FALSE(l.closed) << "news of a closed stream";
      EXPECT_TRUE(l.opened || may_be_new) << "news before it opened";
      return l;
    };
    if (const auto* o = std::get_if<StreamOpened>(&i)) {
      StreamLog& l = about(o->stream, true);
      EXPECT_FALSE(l.opened);
      EXPECT_EQ((uint32_t(o->stream) & kAccepted) != 0, o->listener.has_value());
      l.opened = true, l.listener = o->listener, l.local = o->local, l.peer = o->peer, l.credit = kStreamWindow;
      m.opened.push_back(uint32_t(o->stream));
      if (m.accept > 0) Accept(n, t, uint32_t(o->stream), m.accept);
    } else if (const auto* d = std::get_if<StreamData>(&i)) {
      StreamLog& l = about(d->stream, false);
      EXPECT_FALSE(l.ended) << "data after the end";
      EXPECT_FALSE(d->bytes.empty());
      l.got.append(AsText(d->bytes));
      EXPECT_LE(l.got.size(), l.accepted) << "more than was accepted";
    } else if (const auto* c = std::get_if<StreamCredit>(&i)) {
      StreamLog& l = about(c->stream, false);
      EXPECT_GT(c->bytes, 0u);
      l.credit += c->bytes;
      EXPECT_LE(l.credit, kStreamWindow);
    } else if (const auto* e = std::get_if<StreamEnded>(&i)) {
      StreamLog& l = about(e->stream, false);
      EXPECT_FALSE(l.ended);
      l.ended = true;
    } else if (const auto* x = std::get_if<StreamClosed>(&i)) {
      StreamLog& l = about(x->stream, true);
      l.closed = true, l.status = x->status;
    }
    if (std::holds_alternative<OpCall>(i) && m.next) std::exchange(m.next, nullptr)(t);
    if (m.then) m.then(t, i);
  }
  std::vector<std::unique_ptr<Mind>> minds_;
  uint32_t op_ = 0;
};
TYPED_TEST_SUITE_P(StreamSuite);

TYPED_TEST_P(StreamSuite, CarriesBytesBothWaysInOrder) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  uint32_t there = this->Connect(client, 5, server);
  StreamLog &c = this->log(client, 5), &s = this->log(server, there);
  EXPECT_FALSE(c.listener.has_value());
  EXPECT_EQ(s.listener, SocketId{1});
  EXPECT_EQ(c.peer, this->script(server).local);
  EXPECT_EQ(c.peer, s.local);
  EXPECT_EQ(c.local, s.peer);
  for (int round = 0; round < 3; ++round) {
    this->In(client, [&](Turn& t) {
      for (int k = 0; k < 20; ++k) this->Write(client, t, 5, this->Text(c.written, 1 + 173 * size_t(k)));
    });
    this->In(server, [&](Turn& t) { this->Write(server, t, there, this->Text(s.written + 1000, 30'000)); });
  }
  ASSERT_TRUE(this->Until([&] { return s.got.size() >= c.written && c.got.size() >= s.written; }));
  EXPECT_EQ(s.got, this->Text(0, c.written));
  EXPECT_EQ(c.got, this->Text(1000, 90'000));
}

TYPED_TEST_P(StreamSuite, IdsOfAcceptedStreamsCountUp) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  this->In(client, [&](Turn& t) {
    for (uint32_t s = 1; s <= 30; ++s) t.out.Connect(StreamId{s}, this->script(server).local);
  });
  auto& opened = this->mind(server).opened;
  ASSERT_TRUE(this->Until([&] { return opened.size() >= 30 && this->mind(client).opened.size() >= 30; }));
  for (size_t k = 0; k < opened.size(); ++k) EXPECT_EQ(opened[k], opened[0] + k);
  EXPECT_NE(opened[0] & kAccepted, 0u);
}

TYPED_TEST_P(StreamSuite, WhatWasAcceptedComesAndNoMore) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->mind(server).accept = 0;
  this->Begin(server);
  uint32_t there = this->Connect(client, 1, server);
  StreamLog& s = this->log(server, there);
  this->In(client, [&](Turn& t) { this->Write(client, t, 1, this->Text(0, 5000)), t.out.End(StreamId{1}); });
  this->Pause(server);
  EXPECT_EQ(s.got.size(), 0u);
  EXPECT_FALSE(s.ended);  // It comes behind what it ends.
  for (uint32_t more : {1u, 99u, 4000u, 900u}) {
    this->In(server, [&](Turn& t) { this->Accept(server, t, there, more); });
    ASSERT_TRUE(this->Until([&] { return s.got.size() >= s.accepted; }));
    this->Pause(server);
    EXPECT_EQ(s.got.size(), s.accepted);
  }
  EXPECT_TRUE(this->Until([&] { return s.ended; }));  // It needs no credit of its own.
  EXPECT_EQ(s.got, this->Text(0, 5000));
}

TYPED_TEST_P(StreamSuite, AnEndComesWithoutCreditAndCreditMayComeBeforeTheStream) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->mind(server).accept = this->mind(client).accept = 0;
  this->mind(server).then = [&, listen = this->mind(server).then](Turn& t, const Input& i) {
    listen(t, i);
    if (const auto* o = std::get_if<StreamOpened>(&i)) this->Write(server, t, uint32_t(o->stream), "hello");
  };
  this->Begin(server);
  this->In(client, [&](Turn& t) {
    t.out.Connect(StreamId{1}, this->script(server).local);
    this->Accept(client, t, 1, 5);
  });
  ASSERT_TRUE(this->Until([&] { return this->log(client, 1).got == "hello"; }));
  this->In(client, [&](Turn& t) { t.out.End(StreamId{1}); });
  EXPECT_TRUE(this->Until([&] { return this->log(server, this->mind(server).opened.at(0)).ended; }));
}

TYPED_TEST_P(StreamSuite, AWriterIsHeldToItsCreditUntilTheReaderReads) {
  // Far more than any system holds on the way: the rest has to wait in the node.
  constexpr uint64_t kAll = 24 << 20, kHeldMax = 16 << 20;
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->mind(server).accept = 0;
  StreamLog& c = this->log(client, 1);
  this->mind(client).then = [&](Turn& t, const Input&) {
    while (c.opened && c.credit > 0 && c.written < kAll) {
      this->Write(client, t, 1, this->Text(c.written % 4096, size_t(std::min({c.credit, 4096 - c.written % 4096, kAll - c.written}))));
    }
  };
  this->Begin(server);
  uint32_t there = this->Connect(client, 1, server);
  StreamLog& s = this->log(server, there);
  uint64_t before;
  do {
    before = c.written;
    for (int k = 0; k < 4; ++k) this->Pause(client);
  } while (c.written > before);
  EXPECT_GE(c.written, kStreamWindow);
  EXPECT_LE(c.written, kHeldMax);
  EXPECT_EQ(c.credit, 0u);
  this->In(server, [&](Turn& t) { this->Accept(server, t, there, kAll); });
  ASSERT_TRUE(this->Until([&] { return s.got.size() == kAll; }));
  const std::string page = this->Text(0, 4096);
  for (uint64_t at = 0; at < kAll; at += 4096) ASSERT_EQ(s.got.compare(at, 4096, page), 0) << "at " << at;
}

TYPED_TEST_P(StreamSuite, CreditComesBackAsRoomDoes) {
  // A writer never waits for more than three quarters of the window (node/base/outbox.h).
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  this->Connect(client, 1, server);
  StreamLog& c = this->log(client, 1);
  for (int round = 0; round < 6; ++round) {
    this->In(client, [&](Turn& t) { this->Write(client, t, 1, this->Text(0, kStreamWindow * 3 / 4)); });
    ASSERT_TRUE(this->Until([&] { return c.credit >= kStreamWindow * 3 / 4; }));
  }
}

TYPED_TEST_P(StreamSuite, EachHalfEndsByItself) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  uint32_t there = this->Connect(client, 1, server);
  StreamLog &c = this->log(client, 1), &s = this->log(server, there);
  this->In(client, [&](Turn& t) { this->Write(client, t, 1, "question"), t.out.End(StreamId{1}); });
  ASSERT_TRUE(this->Until([&] { return s.ended; }));
  EXPECT_EQ(s.got, "question");
  this->Pause(server);
  EXPECT_FALSE(c.ended || c.closed || s.closed);
  this->In(server, [&](Turn& t) { this->Write(server, t, there, this->Text(0, 200'000)); });
  ASSERT_TRUE(this->Until([&] { return c.got.size() == 200'000; }));
  this->In(server, [&](Turn& t) { this->Write(server, t, there, "."), t.out.End(StreamId{there}); });
  ASSERT_TRUE(this->Until([&] { return c.closed && s.closed; }));
  EXPECT_EQ(c.got, this->Text(0, 200'000) + ".");
  EXPECT_TRUE(c.ended);
  EXPECT_EQ(c.status, absl::StatusCode::kOk);
  EXPECT_EQ(s.status, absl::StatusCode::kOk);
}

TYPED_TEST_P(StreamSuite, CloseResetsTheOtherEndAndIsTheLastOfIt) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  for (uint32_t stream : {1u, 2u}) {
    uint32_t there = this->Connect(client, stream, server);
    if (stream == 2) {  // One half has ended: still a reset.
      this->In(client, [&](Turn& t) { t.out.End(StreamId{stream}); });
      ASSERT_TRUE(this->Until([&] { return this->log(server, there).ended; }));
    }
    this->In(client, [&](Turn& t) { t.out.Close(StreamId{stream}); });
    ASSERT_TRUE(this->Until([&] { return this->log(server, there).closed; }));
    EXPECT_EQ(this->log(server, there).status, absl::StatusCode::kAborted);
    this->Pause(client);
    EXPECT_FALSE(this->log(client, stream).closed);
  }
}

TYPED_TEST_P(StreamSuite, ARefusedConnectIsUnavailable) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  Endpoint gone = this->script(server).local;
  this->In(server, [&](Turn& t) { t.out.CloseSocket(SocketId{1}); });
  this->Pause(server);
  this->In(client, [&](Turn& t) { t.out.Connect(StreamId{1}, gone); });
  ASSERT_TRUE(this->Until([&] { return this->log(client, 1).closed; }));
  EXPECT_FALSE(this->log(client, 1).opened);
  EXPECT_EQ(this->log(client, 1).status, absl::StatusCode::kUnavailable);
}

TYPED_TEST_P(StreamSuite, AConnectThatIsClosedIsNeverHeardOf) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  this->In(client, [&](Turn& t) { t.out.Connect(StreamId{1}, this->script(server).local), t.out.Close(StreamId{1}); });
  this->Connect(client, 2, server);
  this->Pause(client);
  EXPECT_FALSE(this->log(client, 1).opened || this->log(client, 1).closed);
}

TYPED_TEST_P(StreamSuite, APortInUseIsRefused) {
  uint32_t server = this->AddListener("server");
  absl::StatusCode status = absl::StatusCode::kOk;
  auto listen = this->mind(server).then;
  this->mind(server).then = [&](Turn& t, const Input& i) {
    listen(t, i);
    if (const auto* o = std::get_if<SocketOpened>(&i); o != nullptr && o->socket == SocketId{2}) status = o->status;
  };
  this->Begin(server);
  this->In(server, [&](Turn& t) { t.out.Listen(SocketId{2}, this->script(server).local); });
  ASSERT_TRUE(this->Until([&] { return this->script(server).saw("refused 2"); }));
  EXPECT_EQ(status, absl::StatusCode::kAlreadyExists);
  // A UDP socket of that number is another matter, and the port is free again once its listener is gone.
  this->In(server, [&](Turn& t) {
    t.out.OpenSocket(SocketId{3}, this->script(server).local);
    t.out.CloseSocket(SocketId{1});
  });
  Endpoint local = this->script(server).local;
  this->Pause(server);
  this->In(server, [&](Turn& t) { t.out.Listen(SocketId{4}, local); });
  EXPECT_TRUE(this->Until([&] { return this->script(server).saw("opened 3") && this->script(server).saw("opened 4"); }));
}

TYPED_TEST_P(StreamSuite, AClosedListenerLeavesItsStreamsAlone) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  uint32_t there = this->Connect(client, 1, server);
  this->In(server, [&](Turn& t) { t.out.CloseSocket(SocketId{1}); });
  this->Pause(server);
  this->In(client, [&](Turn& t) { this->Write(client, t, 1, "still here?"); });
  ASSERT_TRUE(this->Until([&] { return this->log(server, there).got == "still here?"; }));
  this->In(server, [&](Turn& t) { this->Write(server, t, there, "yes"); });
  EXPECT_TRUE(this->Until([&] { return this->log(client, 1).got == "yes"; }));
}

TYPED_TEST_P(StreamSuite, OutputsToDeadStreamsAreDroppedAndCounted) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  uint32_t there = this->Connect(client, 1, server);
  this->In(client, [&](Turn& t) { t.out.Close(StreamId{1}); });
  ASSERT_TRUE(this->Until([&] { return this->log(server, there).closed; }));
  for (uint32_t n : {client, server}) {
    const StreamId dead{n == client ? 1 : there};
    uint64_t before = this->driver_.dead_ids(n);
    this->In(n, [&](Turn& t) {
      t.out.Write(dead, AsBytes("x")), t.out.Accept(dead, 1), t.out.End(dead), t.out.Close(dead);
      t.out.Write(StreamId{77}, AsBytes("nobody's")), t.out.Send(SocketId{1}, this->script(server).local, AsBytes("a listener sends nothing"));
    });
    this->Pause(n);
    EXPECT_EQ(this->driver_.dead_ids(n) - before, 6u);
  }
}

TYPED_TEST_P(StreamSuite, WritesAndConnectsWaitForTheSyncInOrder) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  uint32_t there = this->Connect(client, 1, server);
  this->driver_.HoldSyncs(client);
  this->In(client, [&](Turn& t) {
    t.store.Put(AsBytes("k"), AsBytes("v")), t.store.Sync();
    this->Write(client, t, 1, "one ");
    t.out.Connect(StreamId{2}, this->script(server).local);
  });
  this->In(client, [&](Turn& t) { this->Write(client, t, 1, "two"), t.out.End(StreamId{1}); });
  this->Pause(server);
  StreamLog& s = this->log(server, there);
  EXPECT_EQ(s.got, "");
  EXPECT_FALSE(s.ended);
  EXPECT_EQ(this->mind(server).opened.size(), 1u);
  this->driver_.ReleaseSyncs(client);
  ASSERT_TRUE(this->Until([&] { return s.ended && this->log(client, 2).opened && this->mind(server).opened.size() == 2; }));
  EXPECT_EQ(s.got, "one two");
}

TYPED_TEST_P(StreamSuite, ADeadProcessEndsTheStreamsOfOthers) {
  uint32_t server = this->AddListener("server"), client = this->AddMind("client");
  this->Begin(server);
  uint32_t there = this->Connect(client, 1, server);
  StreamLog& s = this->log(server, there);
  this->driver_.Restart(client);
  // A system that outlives its process ends its streams or resets them.
  ASSERT_TRUE(this->Until([&] { return s.ended || s.closed; }));
  if (!s.closed) this->In(server, [&](Turn& t) { t.out.End(StreamId{there}); });
  EXPECT_TRUE(this->Until([&] { return s.closed; }));
  this->mind(client).streams.clear();
  this->Connect(client, 1, server);  // A new life counts anew.
}

REGISTER_TYPED_TEST_SUITE_P(StreamSuite, CarriesBytesBothWaysInOrder, IdsOfAcceptedStreamsCountUp, WhatWasAcceptedComesAndNoMore,
                            AnEndComesWithoutCreditAndCreditMayComeBeforeTheStream, AWriterIsHeldToItsCreditUntilTheReaderReads,
                            CreditComesBackAsRoomDoes, EachHalfEndsByItself, CloseResetsTheOtherEndAndIsTheLastOfIt,
                            ARefusedConnectIsUnavailable, AConnectThatIsClosedIsNeverHeardOf, APortInUseIsRefused,
                            AClosedListenerLeavesItsStreamsAlone, OutputsToDeadStreamsAreDroppedAndCounted,
                            WritesAndConnectsWaitForTheSyncInOrder, ADeadProcessEndsTheStreamsOfOthers);

template <class Driver>
class SilenceSuite : public StreamSuite<Driver> {};
TYPED_TEST_SUITE_P(SilenceSuite);

TYPED_TEST_P(SilenceSuite, NobodyAnswersWithinHalfAMinute) {
  uint32_t client = this->AddMind("client");
  this->driver_.Begin();
  Instant asked{}, told{};
  this->mind(client).then = [&](Turn& t, const Input& i) {
    if (std::holds_alternative<StreamClosed>(i)) told = t.now;
  };
  this->In(client, [&](Turn& t) { asked = t.now, t.out.Connect(StreamId{1}, this->driver_.silent_address()); });
  ASSERT_TRUE(this->driver_.RunUntil([&] { return this->log(client, 1).closed; }, std::chrono::seconds(60)));
  EXPECT_EQ(this->log(client, 1).status, absl::StatusCode::kDeadlineExceeded);
  EXPECT_GE(told - asked, kConnectMax);
  EXPECT_LE(told - asked, kConnectMax + std::chrono::seconds(1));
}

REGISTER_TYPED_TEST_SUITE_P(SilenceSuite, NobodyAnswersWithinHalfAMinute);

}  // namespace orchard
