// The simulated world: hosts that run a Machine each, on ns-3 packets, channels and devices, in virtual time. It has no
// special powers over the node: it is merely another host of the seam. One world per process at a time (ns-3 is global).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "node/base/turn.h"
#include "sim/spec.h"

namespace orchard::sim {

using HostIndex = uint32_t;

// Receives what happens; called in virtual-time order. Default: ignores.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void OnTrace(HostIndex host, std::string_view event, absl::Span<const TraceField> fields) {}
  virtual void OnOpEvent(HostIndex host, OpId op, std::string_view json, bool final) {}
  virtual void OnHostUp(HostIndex host) {}
  // `graceful`: it said goodbye.
  virtual void OnHostDown(HostIndex host, bool graceful) {}
  // `why`: "queue", "loss", "ttl", "nat-filter", "nat-full", "nat-blocked", "partition", "down", "no-route", "firewall", "mtu".
  virtual void OnDrop(HostIndex from, std::string_view why, Bytes packet) {}
};

struct Totals {
  uint64_t events = 0, packets = 0, bytes = 0, drops = 0;
};

class World {
 public:
  using MachineFactory = std::function<std::unique_ptr<Machine>(const HostPlan&, uint32_t incarnation)>;
  World(WorldPlan plan, MachineFactory factory, Observer* observer);
  ~World();

  size_t size() const;
  const HostPlan& plan(HostIndex h) const;
  std::optional<HostIndex> Find(std::string_view id) const;
  bool up(HostIndex h) const;
  Instant now() const;  // Virtual; the run starts at 0.

  // Runs `act` at `when` (not before now), ahead of packets and deadlines of that instant; acts of one instant in the
  // order they were given.
  void At(Instant when, std::function<void()> act);
  void RunUntil(Instant end);
  void RequestStop();  // From within an act: RunUntil returns after it.

  // ---- Lives of hosts ----
  enum class Keep : uint8_t { kKept, kLost, kTorn };
  void StartHost(HostIndex h, Keep store = Keep::kKept);
  void Kill(HostIndex h);                  // Without goodbye.
  void Stop(HostIndex h);                  // Feeds Stop; down when the node says so, or after 5 s.
  void Call(HostIndex h, OpId op, std::string_view name, std::string_view params_json);
  void Cancel(HostIndex h, OpId op);

  // ---- Addresses ----
  // The host's own address on its default uplink or LAN, and the public one it has when seen from the world.
  Endpoint local_address(HostIndex h) const;
  Endpoint public_address(HostIndex h) const;

  // ---- Faults. Links are named "host", "host/uplink", a LAN's id, or a bottleneck's name. False: nothing has that name. ----
  struct LinkChange {
    std::optional<int64_t> down_bps, up_bps;
    std::optional<Duration> delay, jitter, queue;
    std::optional<uint32_t> loss_ppm, mtu, reorder_ppm, duplicate_ppm, corrupt_ppm, burst_mean;
    bool inbound = true, outbound = true;  // `way`
    std::optional<bool> up;
  };
  bool ChangeLink(std::string_view link, const LinkChange& change);
  // Undoes the change of that ticket; changes may overlap, later ones win while they last.
  uint64_t PushLinkChange(std::string_view link, const LinkChange& change);  // 0: nothing has that name.
  void PopLinkChange(uint64_t ticket);

  // Groups of hosts that reach each other only inside; a host in no group belongs to the first. Several cuts may overlap.
  uint64_t Partition(const std::vector<std::vector<HostIndex>>& groups);
  uint64_t PartitionOneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to);
  void Heal(uint64_t ticket);

  // Boxes are named "host" (the nearest of its chain), "host/uplink", or "nat@name" for a shared one, or a LAN's router by the LAN's id.
  bool NatRemap(std::string_view box, uint32_t share_ppm, bool new_address);
  bool NatReboot(std::string_view box, Duration down, bool new_address);
  bool Renumber(std::string_view link);
  bool Clock(HostIndex h, Duration offset, int64_t drift_ppm);
  enum class Disk : uint8_t { kFine, kFull, kSlow, kFailing };
  bool ChangeDisk(HostIndex h, Disk state, Duration delay);

  // ---- Figures ----
  Totals totals() const;
  uint64_t bytes_sent(HostIndex h) const;
  // Folded by host id; checkpoints of each virtual second.
  std::string fingerprint() const;
  const std::vector<std::string>& checkpoints() const;

  // For drawings: one line per network element.
  struct BoxInfo { std::string name; std::string inside; std::vector<std::string> members; NatSpec spec; std::vector<Endpoint> addresses; uint64_t mappings, filtered, refused; };
  std::vector<BoxInfo> boxes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace orchard::sim
