// Delays what crosses the core, as the plan says: kernels of the machines that we meet have no netem. A TUN device in the
// middle of the ring hands every packet to a thread of ours, which writes it back when it is due. The way of a packet is the
// sender's link, the regions, the receiver's link, by the model of ns-3's world (sim/world/line.h); rates are the kernel's (tbf).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "sim/netns/spaces.h"
#include "sim/world/line.h"

namespace orchard::sim {

class Relay {
 public:
  static constexpr size_t kWaitingMax = 65536;  // Packets under way; those beyond are lost.

  // Makes the device "tun0" in `space`. An error: this machine has no /dev/net/tun.
  static absl::StatusOr<std::unique_ptr<Relay>> Make(const Space& space, const WorldPlan& plan);
  ~Relay();

  // The station at `address` from now on; its own link's words, without rate and loss, which are the kernel's.
  void Put(uint32_t address, const std::string& name, const std::string& region, const LineParams& link);
  void Remove(uint32_t address);

  uint64_t passed() const { return passed_; }
  uint64_t lost() const { return lost_; }

 private:
  struct Station {
    uint16_t region = 0;
    LineParams params;
    std::unique_ptr<Line> line;
  };
  Relay(host::Fd tun, const WorldPlan& plan);
  void Run();
  void Take(Bytes packet, int64_t now);

  const WorldPlan& plan_;
  host::Fd tun_, wake_;
  std::vector<std::string> regions_;
  std::vector<int64_t> latency_ns_;
  std::mutex mutex_;  // Of stations_.
  absl::flat_hash_map<uint32_t, Station> stations_;
  struct Waiting {
    int64_t due;
    uint64_t number;
    std::string bytes;
  };
  std::vector<Waiting> waiting_;  // A heap, the next due first. The thread's.
  uint64_t next_ = 0;
  std::atomic<uint64_t> passed_ = 0, lost_ = 0;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

}  // namespace orchard::sim
