// Whole connections between two nodes of a small DHT, in memory: the search, the handshake through the nodes that know the
// peer, the first encrypted bytes each way. Of all eight nodes the two ends do nearly all the work.

#include "bench/kernels.h"
#include "node/base/check.h"
#include "tests/support/peer_net.h"

namespace orchard::bench {
namespace {

using namespace std::chrono_literals;
using hyperdht::ConnectionId;
using hyperdht::PeerNet;

class Dials {
 public:
  Dials() : net_({.latency = 1ms}) {
    net_.AddRoots();
    server_ = net_.AddPeer(), client_ = net_.AddPeer();
    net_.host.Run(10s);
    net_.Listen(server_, 1);
    CHECK(net_.host.RunUntil([&] { return !net_[server_].Of<hyperdht::ServerListening>().empty(); }, 20s));
  }
  ConnectionId Open(const crypto::KeyPair& key) {
    ConnectionId id{};
    net_.In(client_, [&](hyperdht::Dht& d, Turn& t, hyperdht::News&) { id = d.peers().Connect(t, PeerNet::Key(1).public_key, {.key = key}); });
    CHECK(net_.host.RunUntil([&] { return net_.Open(client_, id); }, 30s));
    net_[server_].heard.clear(), net_[client_].heard.clear();
    return id;
  }
  // Until both ends have forgotten it.
  void Close(ConnectionId id) {
    net_.In(client_, [&](hyperdht::Dht& d, Turn& t, hyperdht::News&) { d.peers().End(t, id); });
    CHECK(net_.host.RunUntil([&] { return net_.peers(client_).info(id) == nullptr && net_.peers(server_).connections().empty(); }, 5s));
  }

 private:
  PeerNet net_;
  PeerNet::NodeIndex server_{}, client_{};
};

// Opened and closed in order, one after the other.
void Connect(size_t rounds) {
  Dials dials;
  for (size_t i = 0; i < rounds; ++i) dials.Close(dials.Open(PeerNet::Key(2)));
}

// Opened by another key each, and held open: what does one more cost beside so many?
void ConnectHeld(size_t rounds) {
  Dials dials;
  for (size_t i = 0; i < rounds; ++i) {
    Key32 seed{2};
    for (size_t k = 0; k < 4; ++k) seed[k + 1] = uint8_t(i >> (8 * k));
    dials.Open(crypto::KeyPairFromSeed(seed));
  }
}

constexpr Kernel kKernels[] = {
    {"connect", "a connection opened and closed, both ends and the DHT between", Connect},
    {"connect_held", "the same by another key each (which takes one curve operation more), and held", ConnectHeld},
};

}  // namespace

absl::Span<const Kernel> ConnectKernels() { return kKernels; }

}  // namespace orchard::bench
