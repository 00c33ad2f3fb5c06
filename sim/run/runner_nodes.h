// The nodes of a simulated world: each host's machine from its configuration.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "node/node.h"
#include "node/sidecar/config.h"
#include "sim/language/plan.h"
#include "sim/run/liar.h"
#include "sim/world/world.h"

namespace orchard::sim {

// Makes the machines, and reads what only the nodes know: never while one of them takes its turn.
class NodePool {
 public:
  explicit NodePool(const Plan& plan);
  // `world` is set before the first host starts: hosts with dht.bootstrap are everyone's roots, by their public addresses.
  World::MachineFactory Factory(const std::unique_ptr<World>& world);
  // From now on, and in later lives: until it is told kNone.
  // The cages of that site of a node that get requests, by slot; of its only one, if `site` is empty.
  std::vector<uint32_t> HealthyCages(HostIndex h, const std::string& site) const;
  void Misbehave(HostIndex h, Misdeed how, uint32_t rate_ppm) { lies_[h] = {how, rate_ppm}; }
  // The host's life is over: its node is not looked at any more.
  void Forget(HostIndex h) { nodes_[h] = nullptr; }

  struct Table {
    uint64_t nodes = 0, dead = 0;  // dead: no host that is up answers under that address.
  };
  // Nothing if the host runs no node, or is down.
  std::optional<Table> TableOf(HostIndex h, const absl::flat_hash_set<uint32_t>& living) const;
  struct Held {
    uint64_t announced = 0, mutables = 0, immutables = 0;
  };
  // Records of others that all nodes together hold.
  Held Records() const;

 private:
  std::unique_ptr<Machine> Make(const HostPlan& host, const std::unique_ptr<World>& world);

  const uint64_t seed_;
  std::vector<sidecar::Config> configs_;
  std::map<std::string, HostIndex, std::less<>> index_;
  std::optional<std::vector<sidecar::BootstrapNode>> roots_;  // Made when the first host starts.
  std::vector<Lies> lies_;                                    // By host; empty if nobody ever lies.
  std::vector<const Node*> nodes_;                            // Owned by the world.
};

}  // namespace orchard::sim
