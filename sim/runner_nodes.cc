#include "sim/runner_nodes.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "node/base/check.h"
#include "node/node.h"
#include "node/sidecar/config.h"
#include "sim/timeline_values.h"

namespace orchard::sim {
namespace {

// A host whose runs is "none": clients act from outside of it; it answers nothing.
class Idle final : public Machine {
 public:
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Stop>(input)) turn.out.Stopped();
  }
  Instant next_deadline() const override { return kNever; }
};

sidecar::Config ConfigOf(const HostPlan& host) {
  sidecar::Config config;
  std::vector<sidecar::ConfigError> errors;
  sidecar::MergeConfig(host.config_json, config, errors);
  CHECK(errors.empty());  // The loader has refused it otherwise.
  return config;
}

}  // namespace

World::MachineFactory NodeFactory(const Plan& plan, const std::unique_ptr<World>& world) {
  struct Shared {
    std::vector<sidecar::Config> configs;
    std::optional<std::vector<sidecar::BootstrapNode>> roots;  // Made when the first host starts.
    std::map<std::string, size_t> index;
  };
  auto shared = std::make_shared<Shared>();
  for (const HostPlan& h : plan.world.hosts) {
    shared->index[h.id] = shared->configs.size();
    sidecar::Config c = ConfigOf(h);
    if (c.seed_hex.empty()) c.seed_hex = HostSeedHex(plan.world.seed, h.id);
    shared->configs.push_back(std::move(c));
  }
  return [shared, &world](const HostPlan& host, uint32_t) -> std::unique_ptr<Machine> {
    if (!host.runs_node) return std::make_unique<Idle>();
    if (!shared->roots) {
      shared->roots.emplace();
      for (HostIndex h = 0; h < shared->configs.size(); ++h) {
        const sidecar::Config& c = shared->configs[h];
        if (!c.dht.bootstrap) continue;
        shared->roots->push_back({.address = world->public_address(h).with_port(c.dht.port), .port = c.dht.port});
      }
    }
    sidecar::Config config = shared->configs[shared->index.at(host.id)];
    if (!config.dht.nodes) config.dht.nodes = *shared->roots;
    return std::make_unique<Node>(std::move(config));
  };
}

}  // namespace orchard::sim
