// A network of Rpc machines on MemHost: open or firewalled, cut in two or not.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/mem_host.h"
#include "tests/support/rpc_machine.h"

namespace orchard::dht {

class DhtNet {
 public:
  using NodeIndex = MemHost::NodeIndex;

  explicit DhtNet(MemHost::Options options = {}) : host(options) {
    host.set_filter([this](NodeIndex from, NodeIndex to, Bytes) {
      return !cut_ || (side_b_.contains(from) == side_b_.contains(to));
    });
  }
  NodeIndex AddRoot(RpcConfig c = {}) {
    c.bootstrap = true;
    NodeIndex n = Add(c);
    roots.push_back({.address = Ipv4Address::Of(host.address(n).with_port(c.port))});
    return n;
  }
  NodeIndex AddPersistent(RpcConfig c = {}) {
    c.persistent = true, c.roots = roots;
    return Add(c);
  }
  NodeIndex Add(RpcConfig c) {
    return host.Add("n" + std::to_string(host.size()), [c](uint32_t) { return std::make_unique<RpcMachine>(c); });
  }
  RpcMachine& operator[](NodeIndex n) { return host.machine<RpcMachine>(n); }
  Rpc& rpc(NodeIndex n) { return (*this)[n].rpc; }

  // Runs `f(rpc, turn)` in a turn of node n.
  template <class F>
  void In(NodeIndex n, F f) {
    struct Run final : RpcMachine::Asker {
      explicit Run(F& g) : f(g) {}
      void Do(Rpc& rpc, Turn& turn) override { f(rpc, turn); }
      F& f;
    } run(f);
    (*this)[n].ask = &run;
    host.Feed(n, OpCall{OpId{++op_}, "ask", {}});
  }
  void Cut(std::set<NodeIndex> side_b) { side_b_ = std::move(side_b), cut_ = true; }
  void Heal() { cut_ = false; }

  MemHost host;
  std::vector<Root> roots;

 private:
  std::set<NodeIndex> side_b_;
  bool cut_ = false;
  uint32_t op_ = 0;
};

}  // namespace orchard::dht
