// The simulated world: hosts that run a Machine each, on ns-3 packets, channels and devices, in virtual time. It has no
// special powers over the node: it is merely another host of the seam. One world per process at a time (ns-3 is global).
//
// Whoever drives it calls in between runs or from an act (At); never from an Observer, which is told in the middle of a turn
// and may only take notes, or ask for an act with At(now(), …).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "node/base/turn.h"
#include "sim/language/spec.h"
#include "sim/world/checkpoints.h"

namespace orchard::sim {

using HostIndex = uint32_t;
inline constexpr HostIndex kNoHost = ~HostIndex{0};

// A packet that does not arrive.
struct Drop {
  HostIndex from = kNoHost;  // Who sent it first.
  // "queue" "loss" "corrupt" "ttl" "mtu" "partition" "down" "no-route" "no-socket" "firewall"
  // "nat-filter" "nat-unmapped" "nat-full" "nat-blocked" "nat-hairpin"
  std::string_view why;
  // The link ("peer-1", "peer-1/cell", "flat", a bottleneck), box ("peer-1", "cgn@telco"), or receiving host where it
  // happened; "wan" for the core.
  std::string_view where;
  Bytes packet;              // From the IPv4 header on, as it was there.
};

// Receives what happens; called in virtual-time order. Default: ignores.
class Observer {
 public:
  virtual ~Observer() = default;
  // Asked once per host when it starts: without it the node's events are hashed only, and nothing is called.
  virtual bool wants_trace(HostIndex) const { return true; }
  virtual void OnTrace(HostIndex, std::string_view /*event*/, absl::Span<const TraceField>) {}
  virtual void OnOpEvent(HostIndex, OpId, std::string_view /*json*/, bool /*final*/) {}
  virtual void OnHostUp(HostIndex) {}
  virtual void OnHostDown(HostIndex, bool /*graceful: it said goodbye*/) {}
  virtual void OnDrop(const Drop&) {}
  // For ladder diagrams: asked once, when the world is built.
  virtual bool wants_packets() const { return false; }
  virtual void OnSend(HostIndex /*from*/, Bytes /*packet*/) {}
  virtual void OnArrive(HostIndex /*from*/, HostIndex /*to*/, Bytes /*packet*/) {}
};

// Who does the jobs of hosts that are no name resolution. Told in the middle of a turn: it may only take notes, or ask for an act.
class JobRunner {
 public:
  virtual ~JobRunner() = default;
  // World::FinishJob ends it, sometime or never.
  virtual void Run(HostIndex h, uint32_t incarnation, JobId job, JobKind kind, Bytes args) = 0;
};

struct Totals {
  uint64_t events = 0;              // Of ns-3.
  uint64_t packets = 0, bytes = 0;  // Sent by hosts, with IP and UDP headers.
  uint64_t delivered = 0, drops = 0;
};

class World {
 public:
  using MachineFactory = std::function<std::unique_ptr<Machine>(const HostPlan&, uint32_t incarnation)>;
  World(WorldPlan plan, MachineFactory factory, Observer* observer);  // `observer` may be null.
  World(std::shared_ptr<const WorldPlan> plan, MachineFactory factory, Observer* observer);  // Without a copy of ten thousand hosts.
  ~World();
  World(const World&) = delete;

  size_t size() const;
  const HostPlan& plan(HostIndex h) const;
  const WorldPlan& plan() const;
  std::optional<HostIndex> Find(std::string_view id) const;
  bool up(HostIndex h) const;
  uint32_t incarnation(HostIndex h) const;  // 0 before the first start, then 1, 2, …
  Instant now() const;                      // Virtual; the world begins at 0.

  // Runs `act` at `when` (not before now), ahead of packets and deadlines of that instant; acts of one instant in the
  // order they were given.
  void At(Instant when, std::function<void()> act);
  // Afterwards now() == end, unless an act asked to stop. Splitting a run changes nothing that happens in it.
  void RunUntil(Instant end);
  void RequestStop();  // From within an act: RunUntil returns after it.

  // ---- Lives of hosts. Every host is down until it is started. ----
  enum class Keep : uint8_t {
    kKept,  // As the death of the process leaves it.
    kLost,  // A new disk.
    kTorn,  // Power loss: a random suffix of whole un-synced turns is gone.
  };
  void StartHost(HostIndex h, Keep store = Keep::kKept);  // No effect on a host that is up.
  void Kill(HostIndex h);                                 // Without goodbye: the computer is gone from one moment to the next.
  void Crash(HostIndex h);                                // Only the process: its system still resets its TCP streams.
  void Stop(HostIndex h);                                 // Feeds Stop; down when the node says so, or after 5 s.
  // False, and nothing is run, if the host is down. `credit` events are granted beyond the first.
  static constexpr uint32_t kUnlimited = 1u << 30;
  bool Call(HostIndex h, OpId op, std::string_view name, std::string_view params_json, uint32_t credit = kUnlimited);
  bool Grant(HostIndex h, OpId op, uint32_t events);
  bool Cancel(HostIndex h, OpId op);

  // Without one such jobs end as kFailedPrecondition.
  void SetJobRunner(JobRunner* runner);
  // From an act. Nothing happens if the job was cancelled, or that life of the host is over.
  void FinishJob(HostIndex h, uint32_t incarnation, JobId job, absl::StatusCode status, Bytes result);

  // ---- Addresses; port 0. ----
  // The host's own address on its default uplink or LAN, and the public one it has when seen from the world (unset ip if
  // it has no way out).
  Endpoint local_address(HostIndex h) const;
  Endpoint public_address(HostIndex h) const;
  // As its node is told: uplinks in order, then the LAN; those that are up.
  std::vector<Interface> interfaces(HostIndex h) const;
  // Hosts that have an Internet stack of ns-3's: `full` ones, and those that use TCP.
  size_t stacks() const;

  // ---- Links are named "host" (its first uplink, or its place on the LAN), "host/uplink", a LAN's id, "LAN/router" (the
  // router's way out), or a bottleneck's name. False or 0: nothing has that name. ----
  struct LinkChange {
    std::optional<int64_t> down_bps, up_bps;
    std::optional<Duration> delay, jitter, queue;
    std::optional<uint32_t> loss_ppm, mtu, reorder_ppm, duplicate_ppm, corrupt_ppm;
    std::optional<uint32_t> burst_mean;    // Mean length of a burst of losses, in packets (Gilbert).
    bool inbound = true, outbound = true;  // `way`, as the host sees it; applies to every word of the change.
    std::optional<uint8_t> cuts;           // An IP protocol whose packets it drops: 6 is TCP, 17 UDP; 0: none.
    std::optional<bool> up;                // The node is told, as by an OS.
  };
  bool ChangeLink(std::string_view link, const LinkChange& change);
  // A change that ends: undone by its ticket; changes may overlap, later ones win while they last.
  uint64_t PushLinkChange(std::string_view link, const LinkChange& change);
  void PopLinkChange(uint64_t ticket);
  // The interface gets another address; the node is told, as by an OS (or finds it at its next start).
  bool Renumber(std::string_view link);

  // ---- Cuts. Hosts of different groups do not reach each other; a host in no group belongs to the first. Cuts overlap.
  uint64_t Partition(const std::vector<std::vector<HostIndex>>& groups);
  uint64_t PartitionOneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to);
  void Heal(uint64_t ticket);

  // ---- Boxes are named "host" (the nearest of its chain, or of its LAN's router), "host/uplink", a LAN's id (its router's
  // nearest), "host[1]" or "host/uplink[1]" (the second of a chain), or "preset@name" for a shared one. ----
  bool NatRemap(std::string_view box, uint32_t share_ppm, bool new_address);
  bool NatReboot(std::string_view box, Duration down, bool new_address);

  // `offset` steps the wall clock (Turn::unix_epoch); `drift_ppm` makes all of the host's time run fast or slow from now on.
  bool Clock(HostIndex h, Duration offset, int64_t drift_ppm);
  enum class Disk : uint8_t {
    kFine,
    kFull,     // No room beyond the reserve.
    kSlow,     // A sync takes `delay`.
    kFailing,  // The next commit fails: the process dies.
  };
  bool ChangeDisk(HostIndex h, Disk state, Duration delay);

  // ---- Figures ----
  Totals totals() const;
  uint64_t bytes_sent(HostIndex h) const;
  uint64_t packets_sent(HostIndex h) const;
  uint64_t dead_ids(HostIndex h) const;  // Outputs that named a dead socket, operation or job.
  // Of everything that every host's node did, folded by host id: equal for equal runs, whatever the stack or scheduler.
  std::string fingerprint() const;
  // What the fingerprint was at the beginning of each virtual second from 1 on.
  const std::vector<std::string>& checkpoints() const;
  // The same host by host, in 32 bits, thinned where there are many.
  const HostCheckpoints& host_checkpoints() const;
  std::string fingerprint(HostIndex h) const;

  // ---- For drawings and link metrics ----
  struct BoxInfo {
    std::string name;                  // As above; "host/wan" is written "host".
    std::string outside;               // The box it stands behind, or "wan".
    std::vector<std::string> members;  // Hosts and boxes right behind it.
    NatSpec spec;
    std::vector<Endpoint> addresses;   // Outer ones.
    uint64_t mappings = 0, mappings_made = 0, filtered = 0, refused = 0;
  };
  std::vector<BoxInfo> boxes() const;
  struct WayInfo {
    uint64_t packets = 0, bytes = 0, drops = 0;
    Duration busy{}, queue_total{}, queue_max{};  // Time in service; waiting, summed over packets.
  };
  struct LinkInfo {
    std::string name, preset;
    HostIndex host = kNoHost;  // Whose it is, if of one host.
    bool up = true;
    WayInfo outbound, inbound;
  };
  std::vector<LinkInfo> links() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace orchard::sim
