// A wiring in the kernel: namespaces, cables, addresses, routes, rates, NAT rules; and what can be done to them while a run
// goes on. Commands are those of iproute2, nftables and conntrack, one batch a namespace, so that a person can read them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/netns/nat_rules.h"
#include "sim/netns/spaces.h"
#include "sim/netns/wiring.h"

namespace orchard::sim {

class Relay;

class KernelNet {
 public:
  // `plan` outlives it and has no refusals. Delays are left out if this machine has no TUN devices: see delays().
  static absl::StatusOr<std::unique_ptr<KernelNet>> Build(const WorldPlan& plan);
  ~KernelNet();
  KernelNet(const KernelNet&) = delete;

  const Space& space(HostIndex h) const { return spaces_[wiring_.host_site[h]]; }
  const Wiring& wiring() const { return wiring_; }
  bool delays() const { return relay_ != nullptr; }
  uint32_t local_address(HostIndex h) const { return wiring_.ports[wiring_.host_port[h]].address; }
  // Nothing if it has no way out.
  std::optional<uint32_t> public_address(HostIndex h) const;

  // As sim/world/world.h. False or 0: nothing has that name.
  bool ChangeLink(std::string_view link, const World::LinkChange& change);
  uint64_t PushLinkChange(std::string_view link, const World::LinkChange& change);
  void PopLinkChange(uint64_t ticket);
  bool Renumber(std::string_view link);
  bool NatRemap(std::string_view box, bool new_address);
  // The box passes nothing until PowerOn.
  bool PowerOff(std::string_view box, bool new_address);
  void PowerOn(std::string_view box);
  uint64_t Partition(const std::vector<std::vector<HostIndex>>& groups);
  uint64_t PartitionOneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to);
  void Heal(uint64_t ticket);

  struct Sent {
    uint64_t packets = 0, bytes = 0;  // Since the start, with IP headers.
  };
  Sent sent(HostIndex h) const;
  std::vector<World::BoxInfo> boxes() const;
  std::vector<World::LinkInfo> links() const;
  // Commands that failed while the run went on; a run with one is not to be trusted.
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  explicit KernelNet(const WorldPlan& plan);
  Sent ReadSent(HostIndex h) const;
  struct LinkState;

  absl::Status Set();
  absl::Status SetCables();
  absl::Status SetSite(size_t site);
  std::string PortCommands(const PortWire& port) const;
  std::string LossRules(std::string_view face, uint32_t ppm) const;
  void Apply(size_t link);
  void PutStation(size_t port);
  void MoveTo(size_t port);
  NatFacts FactsOf(size_t box) const;
  void Reload(size_t box);
  std::optional<size_t> FindBox(std::string_view name) const;
  std::optional<size_t> FindLink(std::string_view name) const;
  size_t Outermost(HostIndex h) const;
  void Run(size_t site, const std::vector<std::string>& command, const std::string& input);
  // Interfaces come up when the kernel finds the time, up to a second later: waits until every port hears its gateway, for
  // one on the Internet around the whole ring.
  absl::Status Settle();
  void Cut(uint64_t ticket, const std::string& rules);
  std::string AddressSet(const std::string& name, const std::vector<uint32_t>& addresses) const;

  const WorldPlan& plan_;
  Wiring wiring_;
  std::vector<Space> spaces_;               // By site.
  std::vector<LinkState> link_state_;
  std::vector<uint32_t> remaps_;            // By box.
  std::vector<host::Fd> counters_;          // By host: its /proc/net/dev.
  std::vector<Sent> sent_before_;           // The run.
  std::map<uint64_t, size_t> tickets_;      // Links.
  uint64_t next_ticket_ = 1;
  std::vector<std::string> failures_;
  std::unique_ptr<Relay> relay_;            // Last: its thread ends first.
};

}  // namespace orchard::sim
