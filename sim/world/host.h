// A simulated computer: runs one Machine through its lives, with sockets on its ports, a disk, a clock of its own, and
// perhaps a firewall. What a turn wants is done here; UDP goes through `fast`, a stack of our own right on the port, or `full`,
// ns-3's Internet stack, which must not be tellable apart. TCP is always ns-3's, on hosts that use it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "node/base/turn_runner.h"
#include "node/store/mem_store.h"
#include "sim/world/network.h"

namespace orchard::sim {

class FullStack;
class IpStack;
class Pcap;
class TcpStack;

// What the hosts of a world share.
struct HostEnv {
  Core* core;
  const WorldPlan* plan;
  World::MachineFactory factory;
  // The public address of the host of that id.
  std::function<std::optional<uint32_t>(std::string_view)> resolve;
  JobRunner* jobs = nullptr;
  // The running turn's part of the fingerprint, then each host's whole: one scratch state instead of 576 bytes a host.
  Digest digest;
  std::vector<XXH128_hash_t> history;
  HostIndex current = kNoHost;  // Whose turn it is.
};

class Host final : public Station, public TurnRunner::Host {
 public:
  // A process that was told to stop and does not end is killed.
  static constexpr Duration kStopMax = std::chrono::seconds(5);
  // More un-synced turns than these: the operating system has written back the older half.
  static constexpr size_t kDirtyTurnsMax = 64;
  // The wall clock of every scenario begins at 2026-01-01T00:00:00Z.
  static constexpr Duration kEpoch = std::chrono::seconds(1'767'225'600);
  // A node's own clock begins here: not at zero, which would hide a field that was never set.
  static constexpr int64_t kClockStart = 1'000'000'000;

  // Linux's range of ephemeral ports.
  static constexpr uint16_t kEphemeralLow = 32'768, kEphemeralCount = 28'232;
  static constexpr size_t kMembershipsMax = 64;  // Groups, interfaces and sockets of one host.

  Host(HostEnv* env, HostIndex index, Trace::Sink* sink);
  ~Host() override;

  // Its places in the network: uplinks in order, then the LAN. Once, before it starts.
  void set_ports(absl::Span<Port* const> ports) { ports_.assign(ports.begin(), ports.end()); }
  bool up() const { return runner_.has_value(); }
  uint32_t incarnation() const { return incarnation_; }
  void Start(World::Keep store);
  void Kill();
  void Crash();
  void Stop();
  bool Call(OpId op, std::string_view name, std::string_view params, uint32_t credit);
  bool Grant(OpId op, uint32_t events);
  bool Cancel(OpId op);
  // Nothing happens if it was cancelled, or that life is over.
  void FinishJob(uint32_t life, JobId job, absl::StatusCode status, Bytes result);
  void SetClock(Duration offset, int64_t drift_ppm);
  void SetDisk(World::Disk state, Duration delay);
  void InterfacesChange();  // A link went up or down, or an address changed.

  std::vector<Interface> Interfaces() const;
  bool has_stack() const { return ip_ != nullptr; }
  // The port that carries the default route; null: offline.
  Port* default_port() const;
  // Where a packet to `to` leaves, from a socket bound to `from` (0: any); null: nowhere.
  Port* Route(uint32_t to, uint32_t from) const;
  bool IsMine(uint32_t address) const;
  void OnFrame(Port& port, Frame frame) override;
  void OnStackSend(Port& port, const Frame& frame) override;
  void Touch(int step) const override;
  // From the full stack.
  void OnDatagram(uint32_t socket, Ep4 from, Bytes payload);
  // Tells the node what its turns and TCP have caused. Not in the middle of a turn.
  void Settle();

  const HostPlan& plan() const { return env_->plan->hosts[index_]; }
  HostIndex index() const { return index_; }
  uint64_t packets_sent() const { return packets_sent_; }
  uint64_t bytes_sent() const { return bytes_sent_; }
  uint64_t dead_ids() const { return dead_ids_; }
  void set_pcap(std::unique_ptr<Pcap> pcap);

 private:
  struct Socket {
    uint32_t id;
    Ep4 local;  // ip 0: any.
    bool shared = false;
  };
  struct Membership {
    uint32_t socket, group;
    Port* port;  // Null: the loopback.
  };

  // ---- TurnRunner::Host ----
  void Perform(const Output& o, Bytes bytes) override;
  void StartSync() override;

  Instant Clock() const;                    // The host's own, now.
  int64_t WorldTime(Instant host) const;    // The first instant of the world at which Clock() >= host.
  Duration epoch() const { return kEpoch - Duration(kClockStart) + wall_offset_; }
  // The event that looks at the deadline.
  struct Alarm {
    Host* host;
    int64_t when;
    uint32_t life;
    void operator()() const { host->Ring(when, life); }
    void Touch(int step) const { host->Touch(step), host->TouchPort(step); }
  };
  void Ring(int64_t when, uint32_t life);
  void TouchPort(int step) const;
  template <class F>
  void Run(F turn);                         // Does `turn`, then what it caused.
  void Feed(const Input& input);
  void Arm();
  void Die(bool graceful, bool computer_lives);

  void OpenSocket(const Output& o);
  void Listen(const Output& o);
  bool CloseSocket(uint32_t id);            // False: there is none.
  bool JoinGroup(const Output& o, Bytes interface);
  void Send(const Output& o, Bytes payload);
  void SendToGroup(const Socket& socket, const Output& o, Bytes payload);
  // Writes the packet to `buffer`, and notes that it was sent.
  Bytes Sent(uint8_t* buffer, Ep4 from, Ep4 to, uint8_t ttl, Bytes payload);
  absl::StatusCode CheckLocal(const Output& o, Ep4* local) const;
  IpStack* Ip();
  TcpStack& Tcp();
  void RunJob(const Output& o, Bytes args);
  void Receive(Frame frame, Port* port);    // `port` null: from itself.
  void ReceiveGroup(const Frame& frame, Port* port, Bytes packet);
  void ReceiveSegment(const Frame& frame, Port& port, Bytes packet);
  Socket* FindSocket(uint32_t id);
  uint16_t FreePort();

  // What every packet touches lies together.
  HostEnv* env_;
  HostIndex index_;
  uint32_t incarnation_ = 0;
  absl::InlinedVector<Port*, 1> ports_;
  absl::InlinedVector<Socket, 1> sockets_;
  std::unique_ptr<NatTable> firewall_;  // Remembers what was asked for; translates nothing.
  std::unique_ptr<IpStack> ip_;         // Made when first needed.
  std::unique_ptr<FullStack> full_;
  std::unique_ptr<TcpStack> tcp_;       // Made when first needed.
  std::unique_ptr<std::vector<Membership>> groups_;
  std::unique_ptr<Pcap> pcap_;
  std::optional<TurnRunner> runner_;    // None while down.
  MemStore store_;
  Trace::Sink* sink_;
  std::vector<SocketOpened> opened_;    // To be told when the turn is over.
  std::vector<GroupJoined> joined_;
  std::vector<uint32_t> ops_, jobs_;    // Alive.
  bool stopped_ = false, changed_ = false;
  bool refuses_ = false;                // Down, but only the process: the computer answers for it.
  World::Disk disk_ = World::Disk::kFine;
  int64_t armed_at_;                    // When the pending event looks at the deadline.
  int64_t clock_world_ = 0, clock_host_ = kClockStart, drift_ppm_ = 0;  // Where the clock's present rate began.
  Duration wall_offset_{}, disk_delay_{};
  int64_t last_sync_done_ = 0;
  uint64_t commits_seen_ = 0, packets_sent_ = 0, bytes_sent_ = 0, dead_ids_ = 0;
  std::unique_ptr<NatTable> tcp_firewall_;
  Luck luck_;                           // Of ephemeral ports and torn writes.
};

}  // namespace orchard::sim
