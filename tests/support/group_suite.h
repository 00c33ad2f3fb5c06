// The rows of the conformance suite for multicast groups: they run wherever host_suite.h runs, with the same Driver. The nodes
// of a driver hear each other on the interfaces of their bind_address; whether they are one machine or several is the host's.
#pragma once

#include <string>
#include <vector>

#include "tests/support/host_suite.h"

namespace orchard {

template <class Driver>
class GroupSuite : public HostSuite<Driver> {
 protected:
  static inline const Endpoint kGroup = Endpoint::V4(0xefff4a17, 0);  // 239.255.74.23, RFC 2365 §6.1.
  struct Heard {
    SocketId socket;
    Endpoint from;
    std::string text;
  };
  // Remembers what it hears, and does what it is told.
  uint32_t AddMember(std::string name) {
    uint32_t n = this->Add(std::move(name));
    heard_.resize(n + 1), joined_.resize(n + 1), next_.resize(n + 1);
    this->script(n).handle = [this, n](Turn& t, const Input& i) {
      if (const auto* d = std::get_if<Datagram>(&i)) heard_[n].push_back({d->socket, d->from, std::string(AsText(d->payload))});
      if (const auto* j = std::get_if<GroupJoined>(&i)) joined_[n].push_back(*j);
      if (std::holds_alternative<OpCall>(i) && next_[n]) std::exchange(next_[n], nullptr)(t);
    };
    return n;
  }
  void In(uint32_t n, std::function<void(Turn&)> act) {
    next_[n] = std::move(act);
    this->driver_.Call(n, OpId{++op_}, "act", "{}", 0);
    ASSERT_TRUE(this->Until([&] { return next_[n] == nullptr; }));
  }
  Endpoint interface(uint32_t n) { return this->driver_.bind_address(n).with_port(0); }
  // Socket 1, on a port that the first one chooses and all share.
  void Open(uint32_t n, bool join) {
    In(n, [&](Turn& t) {
      t.out.OpenSharedSocket(SocketId{1}, Endpoint::V4(0, port_));
      if (join) t.out.JoinGroup(SocketId{1}, kGroup, interface(n));
    });
    ASSERT_TRUE(this->Ready(n));
    port_ = this->script(n).local.port;
    if (!join) return;
    ASSERT_TRUE(this->Until([&] { return !joined_[n].empty(); }));
    ASSERT_EQ(joined_[n][0].status, absl::StatusCode::kOk);
    EXPECT_EQ(joined_[n][0].socket, SocketId{1});
    EXPECT_EQ(joined_[n][0].group, kGroup);
    EXPECT_EQ(joined_[n][0].interface, interface(n));
  }
  void Tell(uint32_t n, std::string text) {
    In(n, [&](Turn& t) { t.out.Send(SocketId{1}, kGroup.with_port(port_), AsBytes(text), Gate::kDurable, 1); });
  }
  std::vector<std::string> Texts(uint32_t n) {
    std::vector<std::string> out;
    for (const Heard& h : heard_[n]) out.push_back(h.text);
    std::sort(out.begin(), out.end());
    return out;
  }

  uint16_t port_ = 0;
  std::vector<std::vector<Heard>> heard_;
  std::vector<std::vector<GroupJoined>> joined_;
  std::vector<std::function<void(Turn&)>> next_;
  uint32_t op_ = 0;
};
TYPED_TEST_SUITE_P(GroupSuite);

TYPED_TEST_P(GroupSuite, MembersHearEachOtherAndThemselvesAndNobodyElseDoes) {
  uint32_t a = this->AddMember("a"), b = this->AddMember("b"), other = this->AddMember("other");
  this->driver_.Begin();
  this->Open(a, true), this->Open(b, true), this->Open(other, false);
  this->Tell(a, "from a"), this->Tell(b, "from b");
  const std::vector<std::string> both = {"from a", "from b"};
  ASSERT_TRUE(this->Until([&] { return this->heard_[a].size() >= 2 && this->heard_[b].size() >= 2; }));
  EXPECT_EQ(this->Texts(a), both);
  EXPECT_EQ(this->Texts(b), both);
  EXPECT_TRUE(this->heard_[other].empty());
  for (const auto& h : this->heard_[b]) {
    if (h.text == "from a") { EXPECT_EQ(h.from, this->interface(a).with_port(this->port_)); }
  }
}

TYPED_TEST_P(GroupSuite, ADatagramLeavesOnlyWhereItsSocketJoined) {
  uint32_t a = this->AddMember("a"), other = this->AddMember("other");
  this->driver_.Begin();
  this->Open(a, true), this->Open(other, false);
  this->Tell(other, "nowhere"), this->Tell(a, "here");
  ASSERT_TRUE(this->Until([&] { return !this->heard_[a].empty(); }));
  EXPECT_EQ(this->Texts(a), std::vector<std::string>{"here"});
}

TYPED_TEST_P(GroupSuite, AnAnswerGoesToWhoeverAsked) {
  uint32_t a = this->AddMember("a"), b = this->AddMember("b");
  this->driver_.Begin();
  this->Open(b, true);
  // Asks from a socket of its own: a datagram to a port that sockets share goes to one of them.
  this->In(a, [&](Turn& t) {
    t.out.OpenSocket(SocketId{2}, this->driver_.bind_address(a));
    t.out.JoinGroup(SocketId{2}, this->kGroup, this->interface(a));
    t.out.Send(SocketId{2}, this->kGroup.with_port(this->port_), AsBytes("who?"), Gate::kDurable, 1);
  });
  ASSERT_TRUE(this->Until([&] { return !this->heard_[b].empty(); }));
  EXPECT_EQ(this->heard_[b][0].from, this->script(a).local);
  this->In(b, [&](Turn& t) { t.out.Send(SocketId{1}, this->heard_[b][0].from, AsBytes("me")); });
  ASSERT_TRUE(this->Until([&] { return !this->heard_[a].empty() && this->heard_[a].back().text == "me"; }));
  EXPECT_EQ(this->heard_[a].back().socket, SocketId{2});
}

TYPED_TEST_P(GroupSuite, SocketsOfOneMachineShareAPortIfAllAgree) {
  uint32_t a = this->AddMember("a");
  this->driver_.Begin();
  this->Open(a, true);
  this->In(a, [&](Turn& t) {
    t.out.OpenSharedSocket(SocketId{2}, Endpoint::V4(0, this->port_));
    t.out.JoinGroup(SocketId{2}, this->kGroup, this->interface(a));
    t.out.OpenSocket(SocketId{3}, Endpoint::V4(0, this->port_));
  });
  ASSERT_TRUE(this->Until([&] { return this->script(a).saw("opened 2") && this->script(a).saw("refused 3"); }));
  this->Tell(a, "both");
  ASSERT_TRUE(this->Until([&] { return this->heard_[a].size() >= 2; }));
  EXPECT_NE(this->heard_[a][0].socket, this->heard_[a][1].socket);
  this->In(a, [&](Turn& t) { t.out.CloseSocket(SocketId{2}); });
  this->Tell(a, "one");
  ASSERT_TRUE(this->Until([&] { return this->heard_[a].size() >= 3; }));
  EXPECT_EQ(this->heard_[a][2].socket, SocketId{1});
}

TYPED_TEST_P(GroupSuite, JoiningAgainChangesNothing) {
  uint32_t a = this->AddMember("a");
  this->driver_.Begin();
  this->Open(a, true);
  this->In(a, [&](Turn& t) { t.out.JoinGroup(SocketId{1}, this->kGroup, this->interface(a)); });
  ASSERT_TRUE(this->Until([&] { return this->joined_[a].size() == 2; }));
  EXPECT_EQ(this->joined_[a][1].status, absl::StatusCode::kOk);
  this->Tell(a, "once"), this->Tell(a, "twice");
  ASSERT_TRUE(this->Until([&] { return this->heard_[a].size() >= 2; }));
  EXPECT_EQ(this->Texts(a), (std::vector<std::string>{"once", "twice"}));
}

TYPED_TEST_P(GroupSuite, WhatCannotBeJoinedSaysSo) {
  uint32_t a = this->AddMember("a");
  this->driver_.Begin();
  this->Open(a, true);
  uint64_t dead = this->driver_.dead_ids(a);
  this->In(a, [&](Turn& t) {
    t.out.JoinGroup(SocketId{1}, this->kGroup, Endpoint::V4(0xc0000201, 0));  // 192.0.2.1 is nobody's: RFC 5737.
    t.out.JoinGroup(SocketId{1}, Endpoint::V4(0x0a000001, 0), this->interface(a));
    t.out.JoinGroup(SocketId{50}, this->kGroup, this->interface(a));
  });
  ASSERT_TRUE(this->Until([&] { return this->joined_[a].size() == 3; }));
  EXPECT_EQ(this->joined_[a][1].status, absl::StatusCode::kNotFound);
  EXPECT_EQ(this->joined_[a][1].interface, Endpoint::V4(0xc0000201, 0));
  EXPECT_EQ(this->joined_[a][2].status, absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(this->driver_.dead_ids(a) - dead, 1u);
}

REGISTER_TYPED_TEST_SUITE_P(GroupSuite, MembersHearEachOtherAndThemselvesAndNobodyElseDoes, ADatagramLeavesOnlyWhereItsSocketJoined,
                            AnAnswerGoesToWhoeverAsked, SocketsOfOneMachineShareAPortIfAllAgree, JoiningAgainChangesNothing,
                            WhatCannotBeJoinedSaysSo);

}  // namespace orchard
