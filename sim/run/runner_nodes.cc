#include "sim/run/runner_nodes.h"

#include <utility>
#include <vector>

#include "node/base/check.h"
#include "node/cage/server.h"
#include "node/hyperdht/dht.h"
#include "node/node.h"
#include "node/sidecar/config.h"
#include "sim/language/identity.h"
#include "sim/run/runner_client.h"
#include "sim/run/web_files.h"

namespace orchard::sim {
namespace {

constexpr size_t kTableMax = 5120;  // 256 buckets of 20: more than a routing table holds.

// A host whose runs is "none": it has clients at most, and answers nothing.
class Idle final : public Machine {
 public:
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Stop>(input)) turn.out.Stopped();
  }
  Instant next_deadline() const override { return kNever; }
};

sidecar::Config ConfigOf(const HostPlan& host) {
  sidecar::Config config;
  config.cage.http_port = 80;  // Nobody else is on this machine.
  config.cage.guard = guard::Mode::kOff;  // One client stands for many visitors here.
  std::vector<sidecar::ConfigError> errors;
  sidecar::MergeConfig(host.config_json, config, errors);
  CHECK(errors.empty());  // The loader has refused it otherwise.
  return config;
}

}  // namespace

NodePool::NodePool(const Plan& plan) : seed_(plan.world.seed), lies_(plan.lies ? plan.world.hosts.size() : 0), nodes_(plan.world.hosts.size()) {
  for (const HostPlan& h : plan.world.hosts) {
    index_[h.id] = HostIndex(configs_.size());
    sidecar::Config c = ConfigOf(h);
    if (c.seed_hex.empty()) c.seed_hex = HostSeedHex(plan.world.seed, h);
    configs_.push_back(std::move(c));
  }
}

World::MachineFactory NodePool::Factory(const std::unique_ptr<World>& world) {
  return [this, &world](const HostPlan& host, uint32_t) -> std::unique_ptr<Machine> {
    std::unique_ptr<Machine> machine = Make(host, world);
    if (!lies_.empty()) {
      const HostIndex h = index_.at(host.id);
      machine = std::make_unique<Liar>(std::move(machine), &lies_[h], configs_[h].pod.discovery_port, Rng::Named(seed_, host.id, "lies"));
    }
    return host.clients ? std::make_unique<WithClients>(std::move(machine)) : std::move(machine);
  };
}

std::unique_ptr<Machine> NodePool::Make(const HostPlan& host, const std::unique_ptr<World>& world) {
  if (host.web != nullptr) return MakeOrigin(*host.web, seed_);
  if (!host.runs_node) return std::make_unique<Idle>();
  if (!roots_) {
    roots_.emplace();
    for (HostIndex h = 0; h < configs_.size(); ++h) {
      const sidecar::Config& c = configs_[h];
      if (c.dht.bootstrap) roots_->push_back({.address = world->public_address(h).with_port(c.dht.port), .port = c.dht.port});
    }
  }
  const HostIndex h = index_.at(host.id);
  sidecar::Config config = configs_[h];
  if (!config.dht.nodes) config.dht.nodes = *roots_;
  auto node = std::make_unique<Node>(std::move(config));
  nodes_[h] = node.get();
  return node;
}

std::vector<uint32_t> NodePool::HealthyCages(HostIndex h, const std::string& site) const {
  std::vector<uint32_t> out;
  if (nodes_[h] == nullptr || nodes_[h]->cages() == nullptr) return out;
  const auto& sites = nodes_[h]->cages()->sites().all();
  const auto it = site.empty() && sites.size() == 1 ? sites.begin() : sites.find(site);
  if (it == sites.end() || it->second.pool == nullptr) return out;
  for (const cage::Pool::Slot& s : it->second.pool->slots()) {
    if (s.state == cage::State::kRun) out.push_back(s.cage);
  }
  return out;
}

NodePool::Held NodePool::Records() const {
  Held out;
  for (const Node* n : nodes_) {
    if (n == nullptr || n->dht() == nullptr) continue;
    const hyperdht::Persistent& p = n->dht()->persistent();
    out.announced += p.records(), out.mutables += p.mutables(), out.immutables += p.immutables();
  }
  return out;
}

std::optional<NodePool::Table> NodePool::TableOf(HostIndex h, const absl::flat_hash_set<uint32_t>& living) const {
  if (nodes_[h] == nullptr || nodes_[h]->dht() == nullptr) return std::nullopt;
  Table out;
  for (const dht::Contact& c : nodes_[h]->dht()->rpc().Nodes(kTableMax)) {
    ++out.nodes, out.dead += !living.contains(c.address.host);
  }
  return out;
}

}  // namespace orchard::sim
