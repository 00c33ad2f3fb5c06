#include "bench/kernels.h"

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "bench/cage_kernels.h"
#include "bench/udx_kernels.h"
#include "node/base/check.h"
#include "node/base/turn_runner.h"
#include "node/dht/message.h"
#include "node/dht/query.h"
#include "node/dht/routing_table.h"
#include "node/dht/rpc.h"
#include "node/store/mem_store.h"
#include "node/wire/writer.h"

namespace orchard::bench {
namespace {

using namespace std::chrono_literals;

Ipv4Address Address(uint64_t i) { return {uint32_t(0x32000000 + i * 7919), uint16_t(3000 + i % 60000)}; }

// 200 nodes, as a persistent node of a large network knows them.
dht::RoutingTable FullTable() {
  dht::RoutingTable table(dht::IdOf(Address(0)));
  dht::RoutingTable::Slot slot;
  for (uint64_t i = 1; i < 3000; ++i) table.Add({Address(i), dht::IdOf(Address(i))}, 1, &slot);
  return table;
}

void Codec(size_t rounds) {
  const Key32 id = dht::IdOf(Address(1)), target = dht::IdOf(Address(2));
  std::vector<Ipv4Address> closer;
  for (uint64_t i = 0; i < 20; ++i) closer.push_back(Address(i));
  for (size_t i = 0; i < rounds; ++i) {
    wire::Writer request, response;
    dht::Encode({.tid = uint16_t(i), .to = Address(i), .id = &id, .internal = true, .command = 2, .target = &target}, request);
    dht::Encode({.tid = uint16_t(i), .to = Address(i), .id = &id, .closer = closer}, response);
    auto q = dht::DecodeRequest(request.bytes(), Address(i));
    auto r = dht::DecodeResponse(response.bytes(), Address(i));
    CHECK(q.ok() && r.ok() && r->closer.size() == 20);
  }
}

void TableClosest(size_t rounds) {
  static const dht::RoutingTable table = FullTable();
  uint64_t sum = 0;
  for (size_t i = 0; i < rounds; ++i) {
    table.Closest(dht::IdOf(Address(i % 64)), 20, [&](Ipv4Address a, dht::RoutingTable::Slot) { sum += a.port; });
  }
  CHECK_GT(sum, 0u);
}

void TableTurnover(size_t rounds) {
  static dht::RoutingTable table = FullTable();
  dht::RoutingTable::Slot slot;
  for (size_t i = 0; i < rounds; ++i) {
    const Ipv4Address a = Address(5000 + i % 512);
    if (table.Add({a, dht::IdOf(a)}, uint32_t(i), &slot) == dht::RoutingTable::Added::kYes) table.Remove(slot);
  }
}

// A network of a thousand nodes, each of which knows four hundred others; answers come in the order asked.
class Network {
 public:
  Network() {
    Rng rng = Rng::Named(1, "bench", "network");
    for (uint64_t i = 0; i < kNodes; ++i) {
      tables_.emplace_back(dht::IdOf(Address(i)));
      dht::RoutingTable::Slot slot;
      for (int k = 0; k < 400; ++k) {
        const Ipv4Address a = Address(rng.Below(kNodes));
        tables_[i].Add({a, dht::IdOf(a)}, 1, &slot);
      }
      index_[Address(i).packed()] = i;
    }
  }
  // Walks to `target` from node 0; returns how many were asked.
  size_t Walk(const Key32& target) {
    dht::Query query(target, 10, {}, false);
    const dht::Query::World world{tables_[0], {}};
    dht::Query::Work work;
    CHECK(!query.WantsRoots(world));
    query.Begin(world, {}, work);
    std::vector<uint8_t> closer;
    for (size_t asked = 0;; ++asked) {
      if (asked == work.visits.size()) return CHECK(work.finished), asked;
      const auto [node, to] = work.visits[asked];
      wire::Writer list;
      tables_[index_.at(to.packed())].Closest(target, 20, [&](Ipv4Address a, dht::RoutingTable::Slot) { list.Ipv4(a); });
      query.OnReply(world, node, {.from = to, .from_id = dht::IdOf(to), .closer = dht::AddressList(list.bytes())}, work);
    }
  }

 private:
  static constexpr uint64_t kNodes = 1000;
  std::vector<dht::RoutingTable> tables_;
  std::map<uint64_t, uint64_t> index_;
};

void Query(size_t rounds) {
  static Network network;
  size_t asked = 0;
  for (size_t i = 0; i < rounds; ++i) asked += network.Walk(dht::IdOf(Address(100000 + i % 64)));
  CHECK_GT(asked, rounds);
}

// Answers every datagram with 64 bytes and one event.
class Echo final : public Machine {
 public:
  struct Served {
    static constexpr std::string_view kName = "echo.served";
    uint64_t n;
    template <class V>
    void Fields(V&& v) const { v("n", n); }
  };
  void Handle(Turn& t, const Input& input) override {
    if (const auto* d = std::get_if<Datagram>(&input)) {
      t.trace.Add(Served{.n = ++n_});
      t.out.Send(d->socket, d->from, d->payload, Gate::kNone);
    }
  }
  Instant next_deadline() const override { return kNever; }

 private:
  uint64_t n_ = 0;
};

struct Nowhere final : TurnRunner::Host {
  void Perform(const Output&, Bytes bytes) override { sent += bytes.size(); }
  void StartSync() override {}
  size_t sent = 0;
};

void RunTurns(size_t rounds, Digest* digest) {
  MemStore store;
  TurnRunner runner(std::make_unique<Echo>(), Rng::Named(1, "bench", "turn"), &store, digest, nullptr);
  Nowhere host;
  Outbox outbox;
  const std::vector<uint8_t> payload(64, 'x');
  for (size_t i = 0; i < rounds; ++i) {
    runner.Feed(Instant(Duration(i + 1)), 0s, Datagram{SocketId{1}, Endpoint::V4(0x7f000001, 1), payload}, host, outbox);
  }
  CHECK_EQ(host.sent, rounds * 64);
}

void TurnFingerprinted(size_t rounds) {
  Digest digest;
  RunTurns(rounds, &digest);
}
void TurnUnwatched(size_t rounds) { RunTurns(rounds, nullptr); }

constexpr Kernel kKernels[] = {
    {"codec", "a FIND_NODE request and its answer with 20 nodes, written and read", Codec},
    {"table_closest", "the 20 closest of a full routing table", TableClosest},
    {"table_turnover", "a node met, added and removed", TableTurnover},
    {"query", "a walk to a point among 1,000 nodes, answers included", Query},
    {"turn", "a datagram in, 64 bytes and one event out, nobody watching", TurnUnwatched},
    {"turn_fingerprinted", "the same with the fingerprint", TurnFingerprinted},
    {"udx_bulk", "a full packet of a bulk stream, sent, received and acknowledged", UdxBulk},
    {"udx_echo", "64 bytes each way on a stream, four packets", UdxEcho},
    {"site_h2", "a request over HTTP/2 from door to cage and back, without the cage", SiteH2},
    {"site_h1", "the same over HTTP/1.1", SiteH1},
};

}  // namespace

absl::Span<const Kernel> Kernels() { return kKernels; }

}  // namespace orchard::bench
