// Fixtures of the tests of Peers: servers and clients on a PeerNet, their NATs, a blind relay, and what an attacker sends.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "node/dht/message.h"
#include "node/hyperdht/handshake.h"
#include "tests/support/bare_turn.h"
#include "tests/support/peer_net.h"

namespace orchard::hyperdht {

using namespace std::chrono_literals;

class PeersTest : public ::testing::Test {
 protected:
  using Nat = PeerNet::Nat;  // Not the classifier of that name.
  // A server that listens, and is announced.
  PeerNet::NodeIndex Server(PeerNet::PeerOptions o = {}, ListenOptions listen = {}) {
    PeerNet::NodeIndex n = net.AddPeer(o);
    net.host.Run(10s);
    net.Listen(n, 1, listen);
    EXPECT_TRUE(net.host.RunUntil([&] { return !net[n].Of<ServerListening>().empty(); }, 20s));
    return n;
  }
  PeerNet::NodeIndex Client(PeerNet::PeerOptions o = {}) {
    PeerNet::NodeIndex n = net.AddPeer(o);
    net.host.Run(10s);
    return n;
  }
  bool Opens(PeerNet::NodeIndex n, ConnectionId c, Duration within) {
    return net.host.RunUntil([&] { return net.Open(n, c) || net.Code(n, c).has_value(); }, within) && net.Open(n, c);
  }
  // ORCHARD_TEST_TRACE=1 prints what happened, in order, for whoever looks for the reason of a failure.
  PeersTest() {
    net.host.set_on_trace([this](PeerNet::NodeIndex n, std::string_view event, absl::Span<const TraceField> fields) {
      if (event == "connect.refused") ++refused[std::string(AsText(fields[0].bytes))];
      if (std::getenv("ORCHARD_TEST_TRACE") == nullptr || event.starts_with("dht.")) return;
      std::string line = std::to_string(ToMillis(net.host.now().time_since_epoch())) + " n" + std::to_string(n) + " " + std::string(event);
      for (const TraceField& f : fields) {
        line += std::string(" ") + f.name + "=";
        if (f.bytes.empty()) line += std::to_string(f.number);
        else line += IsPrintableUtf8(f.bytes) ? std::string(AsText(f.bytes)) : ToHex(f.bytes.subspan(0, std::min<size_t>(4, f.bytes.size())));
      }
      std::puts(line.c_str());
    });
  }
  std::map<std::string, int> refused;  // By reason.
  PeerNet net;
};

class PunchPeersTest : public PeersTest {
 protected:
  // The path that a client behind one takes to a server behind another.
  Path Meet(Nat at_client, Nat at_server, Duration within = 10s) {
    net.AddRoots();
    server = Server(at_server), client = Client(at_client);
    c = net.Connect(client, 1);
    if (!Opens(client, c, within)) return Path::kNone;
    net[server].echo = true;
    net.Send(client, c, "through");
    EXPECT_TRUE(net.host.RunUntil([&] { return net[client].messages[c].size() == 1; }, 5s));
    return net.peers(client).info(c)->path;
  }
  PeerNet::NodeIndex server{}, client{};
  ConnectionId c{};
};

class RelayPeersTest : public PunchPeersTest {
 protected:
  void AddRelay() {
    relay = net.AddPeer();
    net.host.Run(10s);
    net.Listen(relay, 50, {.blind_relay = true});
    ASSERT_TRUE(net.host.RunUntil([&] { return !net[relay].Of<ServerListening>().empty(); }, 20s));
  }
  static ConnectOptions Through(RelayPolicy policy) {
    return {.relay_through = PeerNet::Key(50).public_key, .relay_policy = policy};
  }
  PeerNet::NodeIndex relay{};
};

// Floods, forgeries, replays.
class AbusedPeersTest : public PeersTest {
 protected:
  // A PEER_HANDSHAKE as a relay would send it on.
  void Knock(PeerNet::NodeIndex server, std::string noise, uint16_t tid, uint64_t mode = uint64_t(Mode::kFromRelay), uint32_t host = 0x01020304) {
    HandshakeEnvelope e{.mode = mode, .noise = std::move(noise), .peer_address = Endpoint::V4(host, 1000)};
    Feed(server, kPeerHandshake, e.Encode(), tid);
  }
  void Feed(PeerNet::NodeIndex server, uint64_t command, const std::string& value, uint16_t tid) {
    const Key32 target = Hash(PeerNet::Key(1).public_key);
    wire::Writer w;
    dht::Encode(dht::RequestOut{.tid = tid, .to = {1, 1}, .command = command, .target = &target, .value = AsBytes(value)}, w);
    net.host.Feed(server, Datagram{net[server].dht.rpc().sockets().socket(udx::SocketRole::kServer),
                                   net.host.address(0).with_port(49737), w.bytes()});
  }
  std::string Noise(uint8_t key, uint32_t stream) {
    NoisePayload p;
    p.udx = NoisePayload::Udx{.id = stream};
    p.secret_stream = 1;
    return ClientHandshake(bare.turn, PeerNet::Key(key), PeerNet::Key(1).public_key, p).message();
  }
  BareTurn bare;
};

}  // namespace orchard::hyperdht
