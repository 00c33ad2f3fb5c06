#include "node/host/inbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace orchard::host {
namespace {

// Some senders and one receiver on loopback.
struct Many {
  explicit Many(size_t n) {
    for (size_t i = 0; i < n; ++i) senders.push_back(*UdpSocket::Open(Endpoint::V4(0x7f000001, 0)));
  }
  void Send(size_t from, const std::string& text) {
    senders[from]->Queue(to->local(), AsBytes(text), 64, sent);
    EXPECT_TRUE(senders[from]->Flush(sent));
  }
  // A message that the kernel keeps as one.
  void SendRun(size_t from, size_t datagrams, char letter) {
    for (size_t i = 0; i < datagrams; ++i) senders[from]->Queue(to->local(), AsBytes(std::string(1000, letter)), 64, sent);
    EXPECT_TRUE(senders[from]->Flush(sent));
  }
  // The first letters of the next message's datagrams, the number of datagrams once.
  std::string Next() {
    std::string out;
    size_t told = 0;
    const size_t n = inbox.Next(received, [&](SocketId, const Endpoint&, Bytes b) { ++told, out = std::string(AsText(b).substr(0, 1)); });
    EXPECT_EQ(told, n);
    return n == 0 ? "" : out + (n > 1 ? std::to_string(n) : "");
  }
  std::string Take(int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += (i == 0 ? "" : " ") + Next();
    return out;
  }

  std::unique_ptr<UdpSocket> to = *UdpSocket::Open(Endpoint::V4(0x7f000001, 0));
  std::vector<std::unique_ptr<UdpSocket>> senders;
  Inbox inbox;
  UdpSocket::Counters sent, received;
};

TEST(InboxTest, APingThatCameBehindAWindowOfBulkIsNext) {
  Many m(2);
  for (int i = 0; i < 20; ++i) m.SendRun(0, 40, 'x');
  m.Send(1, "ping");
  EXPECT_EQ(m.inbox.Fill(SocketId{1}, *m.to, m.received), 21u);
  EXPECT_EQ(m.Take(2), "p x40");
}

TEST(InboxTest, WhatComesWhileBulkWaitsOvertakesIt) {
  Many m(2);
  for (int i = 0; i < 20; ++i) m.SendRun(0, 40, 'x');
  m.inbox.Fill(SocketId{1}, *m.to, m.received);
  EXPECT_EQ(m.Take(2), "x40 x40");
  m.Send(1, "ping");
  m.inbox.Fill(SocketId{1}, *m.to, m.received);
  EXPECT_EQ(m.Take(3), "p x40 x40");
}

TEST(InboxTest, ABulkStreamHasEverySecondTurnWhateverOthersSend) {
  Many m(9);
  for (int i = 0; i < 4; ++i) m.SendRun(0, 40, 'x');
  for (size_t s = 1; s <= 8; ++s) m.Send(s, std::to_string(s));
  EXPECT_EQ(m.inbox.Fill(SocketId{1}, *m.to, m.received), 12u);
  EXPECT_EQ(m.Take(8), "1 x40 2 x40 3 x40 4 x40");
}

TEST(InboxTest, OneSendersDatagramsStayInOrder) {
  Many m(3);
  for (int i = 0; i < 10; ++i) {
    for (size_t s = 0; s < 3; ++s) m.Send(s, std::string(1 + s * 10, char('a' + i)));
  }
  std::vector<std::string> from(3);
  while (m.inbox.Fill(SocketId{1}, *m.to, m.received) > 0) {
    while (!m.inbox.empty()) {
      m.inbox.Next(m.received, [&](SocketId, const Endpoint& e, Bytes b) {
        for (size_t s = 0; s < 3; ++s) {
          if (e == m.senders[s]->local()) from[s] += char(b[0]);
        }
      });
    }
  }
  EXPECT_EQ(from, std::vector<std::string>(3, "abcdefghij"));
}

TEST(InboxTest, AFloodOfOneSocketLeavesSlotsForTheOthers) {
  Many m(2);
  auto other = *UdpSocket::Open(Endpoint::V4(0x7f000001, 0));
  for (int i = 0; i < 200; ++i) m.Send(0, "flood");
  m.senders[1]->Queue(other->local(), AsBytes("ping"), 64, m.sent);
  EXPECT_TRUE(m.senders[1]->Flush(m.sent));
  size_t taken = 0;
  for (int round = 0; round < 5; ++round) taken += m.inbox.Fill(SocketId{1}, *m.to, m.received);
  EXPECT_EQ(taken, 62u);
  EXPECT_EQ(m.inbox.Fill(SocketId{2}, *other, m.received), 1u);
  EXPECT_EQ(m.Take(2), "p f");
}

}  // namespace
}  // namespace orchard::host
