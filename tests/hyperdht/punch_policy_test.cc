// Either side may refuse to punch, once it knows both NATs.

#include <gtest/gtest.h>

#include "tests/support/peers_fixture.h"

namespace orchard::hyperdht {
namespace {

class PunchPolicyTest : public RelayPeersTest {
 protected:
  struct Word {
    PunchPolicy client = PunchPolicy::kAny, server = PunchPolicy::kAny;
  };
  // What became of a dial in a fresh pair: its code, kOk if it opened.
  ConnectCode Dial(Nat at_client, Nat at_server, Word word, ConnectOptions options = {}) {
    if (net.host.size() == 0) net.AddRoots();
    ListenOptions listen;
    listen.punches = word.server;
    server = net.AddPeer(at_server);
    net.host.Run(10s);
    net.Listen(server, ++key, listen);
    EXPECT_TRUE(net.host.RunUntil([&] { return !net[server].Of<ServerListening>().empty(); }, 20s));
    client = Client(at_client);
    options.punches = word.client, options.fast_open = false;
    c = net.Connect(client, key, 200, options);
    if (Opens(client, c, 40s)) return ConnectCode::kOk;
    return net.Code(client, c).value_or(ConnectCode::kTimedOut);
  }
  uint8_t key = 0;
};

TEST_F(PunchPolicyTest, ARandomNatIsNotPunchedWithIfEitherSideWouldNot) {
  EXPECT_EQ(Dial(Nat::kConsistent, Nat::kRandom, {}), ConnectCode::kOk);
  EXPECT_EQ(Dial(Nat::kConsistent, Nat::kRandom, {.client = PunchPolicy::kNoRandom}), ConnectCode::kHolepunchAborted);
  net.host.Run(5s);  // It was told.
  EXPECT_EQ(net.peers(server).connections().size(), 0u);
  EXPECT_EQ(Dial(Nat::kConsistent, Nat::kRandom, {.server = PunchPolicy::kNoRandom}), ConnectCode::kRemoteAborted);
  EXPECT_EQ(Dial(Nat::kRandom, Nat::kConsistent, {.server = PunchPolicy::kNoRandom}), ConnectCode::kRemoteAborted);
}

TEST_F(PunchPolicyTest, OthersArePunchedWithAsBefore) {
  EXPECT_EQ(Dial(Nat::kConsistent, Nat::kConsistent, {PunchPolicy::kNoRandom, PunchPolicy::kNoRandom}), ConnectCode::kOk);
  EXPECT_EQ(net.peers(client).info(c)->path, Path::kPunched);
}

TEST_F(PunchPolicyTest, NeverIsNever) {
  EXPECT_EQ(Dial(Nat::kConsistent, Nat::kConsistent, {.client = PunchPolicy::kNever}), ConnectCode::kHolepunchAborted);
  EXPECT_EQ(Dial(Nat::kConsistent, Nat::kConsistent, {.server = PunchPolicy::kNever}), ConnectCode::kRemoteAborted);
  // The sockets of the punch are closed on both sides.
  net.host.Run(20s);
  EXPECT_EQ(net[server].dht.rpc().sockets().extras(), 0u);
  EXPECT_EQ(net[client].dht.rpc().sockets().extras(), 0u);
}

TEST_F(PunchPolicyTest, ARelayJoinsThoseWhoDoNotPunch) {
  net.AddRoots();
  AddRelay();
  EXPECT_EQ(Dial(Nat::kConsistent, Nat::kConsistent, {.server = PunchPolicy::kNever}, Through(RelayPolicy::kFallback)), ConnectCode::kOk);
  EXPECT_EQ(net.peers(client).info(c)->path, Path::kRelayed);
}

TEST_F(PunchPolicyTest, TheNodesOwnWordHoldsForAllItsDials) {
  net.AddRoots();
  Server(Nat::kConsistent);
  PeerNet::PeerOptions strict(Nat::kConsistent);
  strict.peers.punches = PunchPolicy::kNever;
  client = Client(strict);
  ConnectOptions options;
  options.fast_open = false;
  c = net.Connect(client, 1, 200, options);
  EXPECT_FALSE(Opens(client, c, 40s));
  EXPECT_EQ(net.Code(client, c), ConnectCode::kHolepunchAborted);
}

}  // namespace
}  // namespace orchard::hyperdht
