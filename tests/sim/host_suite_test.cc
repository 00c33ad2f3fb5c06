// The rules of the seam, on the simulator's host: with either stack.

#include "tests/support/group_suite.h"
#include "tests/support/stream_suite.h"

#include <map>

#include "sim/world/world.h"
#include "tests/sim/sim_world.h"

namespace orchard {
namespace {

// On a LAN of their own, or each with a way to the world.
template <sim::Stack kStack, bool kLan = false>
class SimDriver final : public sim::Observer {
 public:
  uint32_t Add(std::string name, Machines make) {
    plan_.latency_default = std::chrono::milliseconds(1);
    plan_.stack = kStack;
    sim::HostPlan& host = sim::AddHost(plan_, name);
    if (kLan) host.uplinks.clear(), host.lan = "lan";
    if (kLan && plan_.lans.empty()) plan_.lans.emplace_back().id = "lan";
    makers_.emplace(name, std::move(make));
    return uint32_t(plan_.hosts.size() - 1);
  }
  void Begin() {
    world_.emplace(plan_, [this](const sim::HostPlan& p, uint32_t) { return makers_.at(p.id)(); }, this);
    for (uint32_t n = 0; n < world_->size(); ++n) world_->StartHost(n);
  }
  bool RunUntil(const std::function<bool()>& done, Duration bound) {
    for (Instant end = world_->now() + bound; !done(); world_->RunUntil(world_->now() + std::chrono::microseconds(100))) {
      if (world_->now() >= end) return false;
    }
    return true;
  }
  Endpoint bind_address(uint32_t n) { return world_->local_address(n); }
  Endpoint silent_address() { return Endpoint::V4(0x08080808, 80); }
  void Call(uint32_t n, OpId op, std::string_view name, std::string_view params, uint32_t credit) {
    world_->Call(n, op, name, params, credit);
  }
  void Grant(uint32_t n, OpId op, uint32_t credit) { world_->Grant(n, op, credit); }
  void Cancel(uint32_t n, OpId op) { world_->Cancel(n, op); }
  void StopNode(uint32_t n) { world_->Stop(n); }
  bool up(uint32_t n) { return world_->up(n); }
  std::vector<SuiteEvent> events(uint32_t n) { return events_[n]; }
  void HoldSyncs(uint32_t n) { world_->ChangeDisk(n, sim::World::Disk::kSlow, std::chrono::seconds(6)); }
  void ReleaseSyncs(uint32_t n) { world_->ChangeDisk(n, sim::World::Disk::kFine, {}); }
  void Restart(uint32_t n) { world_->Crash(n), world_->StartHost(n); }
  uint64_t dead_ids(uint32_t n) { return world_->dead_ids(n); }

  bool wants_trace(sim::HostIndex) const override { return false; }
  void OnOpEvent(sim::HostIndex n, OpId op, std::string_view json, bool final) override {
    events_[n].push_back({op, std::string(json), final});
  }

 private:
  sim::WorldPlan plan_;
  std::map<std::string, Machines> makers_;
  std::map<uint32_t, std::vector<SuiteEvent>> events_;
  std::optional<sim::World> world_;
};

using Fast = SimDriver<sim::Stack::kFast>;
using Full = SimDriver<sim::Stack::kFull>;
using FastLan = SimDriver<sim::Stack::kFast, true>;
using FullLan = SimDriver<sim::Stack::kFull, true>;
INSTANTIATE_TYPED_TEST_SUITE_P(Ns3Fast, HostSuite, Fast);
INSTANTIATE_TYPED_TEST_SUITE_P(Ns3Full, HostSuite, Full);
INSTANTIATE_TYPED_TEST_SUITE_P(Ns3Fast, StreamSuite, Fast);
INSTANTIATE_TYPED_TEST_SUITE_P(Ns3Full, StreamSuite, Full);
INSTANTIATE_TYPED_TEST_SUITE_P(Ns3Fast, SilenceSuite, Fast);
INSTANTIATE_TYPED_TEST_SUITE_P(Ns3Lan, StreamSuite, FastLan);
INSTANTIATE_TYPED_TEST_SUITE_P(Ns3Fast, GroupSuite, FastLan);
INSTANTIATE_TYPED_TEST_SUITE_P(Ns3Full, GroupSuite, FullLan);

}  // namespace
}  // namespace orchard
