#include "node/host/udp_socket.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "node/host/inbox.h"

namespace orchard::host {
namespace {

// Two sockets on loopback; everything that `a` sends is read at `b`.
struct Pair {
  std::unique_ptr<UdpSocket> a = *UdpSocket::Open(Endpoint::V4(0x7f000001, 0)), b = *UdpSocket::Open(Endpoint::V4(0x7f000001, 0));
  Inbox inbox;
  UdpSocket::Counters sent, received;

  void Queue(const std::string& text, uint8_t ttl = 64) { a->Queue(b->local(), AsBytes(text), ttl, sent); }
  std::vector<std::string> Deliver() {
    EXPECT_TRUE(a->Flush(sent));
    std::vector<std::string> out;
    while (inbox.Fill(SocketId{1}, *b, received) > 0) {
      while (!inbox.empty()) {
        inbox.Next(received, [&](SocketId, const Endpoint& from, Bytes bytes) {
          EXPECT_EQ(from, a->local());
          out.emplace_back(AsText(bytes));
        });
      }
    }
    return out;
  }
};

TEST(UdpSocketTest, ARunOfEqualDatagramsIsOneMessageEachWay) {
  Pair p;
  std::vector<std::string> all;
  for (int i = 0; i < 44; ++i) all.push_back(std::string(1400, char('a' + i % 26)) + std::to_string(100 + i));
  for (const std::string& s : all) p.Queue(s);
  EXPECT_EQ(p.Deliver(), all);
  EXPECT_EQ(p.sent.send_calls, 1u);
  EXPECT_EQ(p.sent.sent, 44u);
  EXPECT_EQ(p.received.received, 44u);
}

TEST(UdpSocketTest, BoundariesAndOrderSurviveWhateverTheSizesAre) {
  Pair p;
  std::vector<std::string> all;
  for (int i = 0; i < 150; ++i) all.push_back(std::string(size_t(i * 37 % 1400) + 1, char('a' + i % 26)));
  for (int i = 0; i < 100; ++i) all.push_back(std::string(i % 10 == 9 ? 30 : 1200, char('a' + i % 26)));  // Short last ones.
  all.emplace_back();
  for (const std::string& s : all) p.Queue(s);
  EXPECT_EQ(p.Deliver(), all);
}

TEST(UdpSocketTest, DatagramsOfOtherTtlsAreNotMerged) {
  Pair p;
  std::vector<std::string> all;
  for (int i = 0; i < 20; ++i) {
    all.emplace_back(1, char('a' + i));
    p.Queue(all.back(), i % 2 == 0 ? 5 : 64);
  }
  EXPECT_EQ(p.Deliver(), all);
}

TEST(UdpSocketTest, OneDatagramThatIsTooLongDoesNotTakeTheOthersAlong) {
  Pair p;
  // Longer than loopback's 65,536 bytes with headers allows, behind and before good ones.
  p.a->Queue(p.b->local(), AsBytes(std::string(100, 'x')), 64, p.sent);
  p.a->Queue(p.b->local(), AsBytes(std::string(65535, 'y')), 64, p.sent);
  p.a->Queue(p.b->local(), AsBytes(std::string(100, 'z')), 64, p.sent);
  EXPECT_EQ(p.Deliver(), (std::vector<std::string>{std::string(100, 'x'), std::string(100, 'z')}));
  EXPECT_EQ(p.sent.send_errors, 1u);
}

TEST(UdpSocketTest, WhatIsLongerThanAnyPacketOfOursIsCountedAndDropped) {
  Pair p;
  p.Queue(std::string(4000, 'x'));
  p.Queue("short");
  EXPECT_EQ(p.Deliver(), std::vector<std::string>{"short"});
  EXPECT_EQ(p.received.oversize, 1u);
}

}  // namespace
}  // namespace orchard::host
