#include "sim/world/world.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "ns3/boolean.h"
#include "ns3/global-value.h"
#include "sim/world/host.h"
#include "sim/world/pcap.h"

namespace orchard::sim {

class World::Impl final : public Trace::Sink {
 public:
  Impl(std::shared_ptr<const WorldPlan> plan, MachineFactory factory, Observer* observer)
      : owned_(std::move(plan)), plan_(*owned_), core_(plan_.seed, observer, plan_.scheduler) {
    ns3::GlobalValue::Bind("ChecksumEnabled", ns3::BooleanValue(true));
    env_.core = &core_, env_.plan = &plan_, env_.factory = std::move(factory);
    env_.resolve = [this](std::string_view name) { return PublicAddress(name); };
    const size_t n = plan_.hosts.size();
    env_.history.resize(n);
    by_name_.reserve(n);
    for (HostIndex h = 0; h < n; ++h) {
      CHECK(by_name_.emplace(plan_.hosts[h].id, h).second);
      // The hash of a host begins with its name, so that equal lives of different hosts differ.
      env_.history[h] = XXH3_128bits(plan_.hosts[h].id.data(), plan_.hosts[h].id.size());
      const bool watched = observer != nullptr && observer->wants_trace(h);
      hosts_.emplace_back(&env_, h, watched ? this : nullptr);
      if (plan_.pcap) {
        hosts_[h].set_pcap(std::make_unique<Pcap>(absl::StrCat(plan_.pcap_dir, "/", plan_.hosts[h].id, ".pcap"),
                                                  Host::kEpoch.count() / 1'000'000'000));
      }
    }
    order_.resize(n);
    std::iota(order_.begin(), order_.end(), 0);
    std::sort(order_.begin(), order_.end(), [&](HostIndex a, HostIndex b) { return plan_.hosts[a].id < plan_.hosts[b].id; });
    network_.emplace(&core_, &plan_, [this](HostIndex h) -> Station* { return &hosts_[h]; });
    network_->set_on_change([this](HostIndex h) { hosts_[h].InterfacesChange(); });
    for (HostIndex h = 0; h < n; ++h) hosts_[h].set_ports(network_->ports(h));
    core_.set_on_second([this](int64_t second) {
      checkpoints_.push_back(Fingerprint());
      host_checkpoints_.Second(second, env_.history.size(), [this](size_t h) { return uint32_t(env_.history[h].low64); });
    });
  }

  void Record(std::string_view event, absl::Span<const TraceField> fields) override {
    core_.observer->OnTrace(env_.current, event, fields);
  }

  std::optional<uint32_t> PublicAddress(std::string_view name) const {
    auto it = by_name_.find(name);
    if (it == by_name_.end()) return std::nullopt;
    Port* port = hosts_[it->second].default_port();
    return port == nullptr ? std::nullopt : network_->PublicAddress(*port);
  }

  std::string Fingerprint() const {
    Digest d;
    for (HostIndex h : order_) d.Add(env_.history[h].low64), d.Add(env_.history[h].high64);
    return d.hex();
  }

  std::shared_ptr<const WorldPlan> owned_;
  const WorldPlan& plan_;
  Core core_;
  HostEnv env_;
  std::deque<Host> hosts_;
  std::optional<Network> network_;
  absl::flat_hash_map<std::string_view, HostIndex> by_name_;  // Keys lie in plan_.
  std::vector<HostIndex> order_;  // By id.
  std::vector<std::string> checkpoints_;
  HostCheckpoints host_checkpoints_{plan_.hosts.size()};
};

World::World(WorldPlan plan, MachineFactory factory, Observer* observer)
    : World(std::make_shared<const WorldPlan>(std::move(plan)), std::move(factory), observer) {}
World::World(std::shared_ptr<const WorldPlan> plan, MachineFactory factory, Observer* observer)
    : impl_(std::make_unique<Impl>(std::move(plan), std::move(factory), observer)) {}
World::~World() = default;

size_t World::size() const { return impl_->hosts_.size(); }
const HostPlan& World::plan(HostIndex h) const { return impl_->plan_.hosts.at(h); }
const WorldPlan& World::plan() const { return impl_->plan_; }
std::optional<HostIndex> World::Find(std::string_view id) const {
  auto it = impl_->by_name_.find(id);
  return it == impl_->by_name_.end() ? std::nullopt : std::optional(it->second);
}
bool World::up(HostIndex h) const { return impl_->hosts_[h].up(); }
uint32_t World::incarnation(HostIndex h) const { return impl_->hosts_[h].incarnation(); }
Instant World::now() const { return Instant(Duration(impl_->core_.now())); }

void World::At(Instant when, std::function<void()> act) { impl_->core_.At(ToNanos(when), std::move(act)); }
void World::RunUntil(Instant end) { impl_->core_.RunUntil(ToNanos(end)); }
void World::RequestStop() { impl_->core_.RequestStop(); }

void World::StartHost(HostIndex h, Keep store) { impl_->hosts_[h].Start(store); }
void World::Kill(HostIndex h) { impl_->hosts_[h].Kill(); }
void World::Crash(HostIndex h) { impl_->hosts_[h].Crash(); }
void World::Stop(HostIndex h) { impl_->hosts_[h].Stop(); }
bool World::Call(HostIndex h, OpId op, std::string_view name, std::string_view params, uint32_t credit) {
  return impl_->hosts_[h].Call(op, name, params, credit);
}
bool World::Grant(HostIndex h, OpId op, uint32_t events) { return impl_->hosts_[h].Grant(op, events); }
void World::SetJobRunner(JobRunner* runner) { impl_->env_.jobs = runner; }
void World::FinishJob(HostIndex h, uint32_t life, JobId job, absl::StatusCode status, Bytes result) {
  impl_->hosts_[h].FinishJob(life, job, status, result);
}
bool World::Cancel(HostIndex h, OpId op) { return impl_->hosts_[h].Cancel(op); }

Endpoint World::local_address(HostIndex h) const {
  Port* port = impl_->hosts_[h].default_port();
  auto ports = impl_->network_->ports(h);
  if (port == nullptr && !ports.empty()) port = ports[0];  // Offline, or an island.
  return port == nullptr ? Endpoint{} : Endpoint::V4(port->address, 0);
}
Endpoint World::public_address(HostIndex h) const {
  auto address = impl_->PublicAddress(plan(h).id);
  return address ? Endpoint::V4(*address, 0) : Endpoint{};
}

std::vector<Interface> World::interfaces(HostIndex h) const { return impl_->hosts_[h].Interfaces(); }
size_t World::stacks() const {
  return size_t(std::count_if(impl_->hosts_.begin(), impl_->hosts_.end(), [](const Host& h) { return h.has_stack(); }));
}

bool World::ChangeLink(std::string_view link, const LinkChange& c) { return impl_->network_->ChangeLink(link, c); }
uint64_t World::PushLinkChange(std::string_view link, const LinkChange& c) { return impl_->network_->PushLinkChange(link, c); }
void World::PopLinkChange(uint64_t ticket) { impl_->network_->PopLinkChange(ticket); }
bool World::Renumber(std::string_view link) { return impl_->network_->Renumber(link); }

uint64_t World::Partition(const std::vector<std::vector<HostIndex>>& groups) {
  return impl_->core_.cuts.Partition(groups, size());
}
uint64_t World::PartitionOneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to) {
  return impl_->core_.cuts.OneWay(from, to, size());
}
void World::Heal(uint64_t ticket) { impl_->core_.cuts.Heal(ticket); }

bool World::NatRemap(std::string_view box, uint32_t share_ppm, bool new_address) {
  return impl_->network_->NatRemap(box, share_ppm, new_address);
}
bool World::NatReboot(std::string_view box, Duration down, bool new_address) {
  return impl_->network_->NatReboot(box, down.count(), new_address);
}
bool World::Clock(HostIndex h, Duration offset, int64_t drift_ppm) {
  if (drift_ppm <= -1'000'000) return false;  // Time that stands still or runs back.
  impl_->hosts_[h].SetClock(offset, drift_ppm);
  return true;
}
bool World::ChangeDisk(HostIndex h, Disk state, Duration delay) {
  impl_->hosts_[h].SetDisk(state, delay);
  return true;
}

Totals World::totals() const {
  Totals t = impl_->core_.totals;
  t.events = ns3::Simulator::GetEventCount();
  return t;
}
uint64_t World::bytes_sent(HostIndex h) const { return impl_->hosts_[h].bytes_sent(); }
uint64_t World::packets_sent(HostIndex h) const { return impl_->hosts_[h].packets_sent(); }
uint64_t World::dead_ids(HostIndex h) const { return impl_->hosts_[h].dead_ids(); }
std::string World::fingerprint() const { return impl_->Fingerprint(); }
std::string World::fingerprint(HostIndex h) const {
  Digest d;
  d.Add(impl_->env_.history[h].low64), d.Add(impl_->env_.history[h].high64);
  return d.hex();
}
const std::vector<std::string>& World::checkpoints() const { return impl_->checkpoints_; }
const HostCheckpoints& World::host_checkpoints() const { return impl_->host_checkpoints_; }
std::vector<World::BoxInfo> World::boxes() const { return impl_->network_->boxes(); }
std::vector<World::LinkInfo> World::links() const { return impl_->network_->links(); }

}  // namespace orchard::sim
