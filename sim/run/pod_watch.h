// What pods do, from the traces of their members: whose uplink carried how much of what a member downloaded, what was fetched
// twice, and how long the last link made the others wait.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/base/trace.h"
#include "sim/language/plan.h"
#include "sim/run/recorder.h"
#include "sim/world/world.h"

namespace orchard::sim {

class PodWatch {
 public:
  static constexpr size_t kKeysMax = 65536;      // Of more no second use is noticed.
  static constexpr size_t kTransfersMax = 4096;  // Under way at a time; of more no tail is known.

  PodWatch(const Plan& plan, Recorder& recorder) : plan_(plan), recorder_(recorder), shares_(plan.world.hosts.size()) {}
  static bool Takes(std::string_view event) { return event.starts_with("pod."); }
  // Samples of what `host` traced. The events themselves are the caller's to record, with the tag returned.
  Tag OnTrace(Instant now, HostIndex host, std::string_view event, absl::Span<const TraceField> fields);
  // Its transfers ended with it.
  void OnHostDown(HostIndex host);
  // Reads the gauges.
  void Second(Instant now);

 private:
  void Chunk(Instant now, HostIndex host, absl::Span<const TraceField> fields);
  void Ended(Instant now, HostIndex host, absl::Span<const TraceField> fields);
  // Host and uplink: "phone/wan".
  std::string LinkOf(HostIndex h) const;

  const Plan& plan_;
  Recorder& recorder_;
  std::map<std::string, HostIndex, std::less<>> devices_;               // By device id.
  std::vector<std::map<std::string, uint64_t>> shares_;                 // By host: bytes that each link brought it.
  std::map<std::string, uint64_t> keys_;                                // By id: how many sealed with it from its first nonce on.
  using Transfer = std::pair<HostIndex, std::string>;
  std::map<Transfer, std::map<std::string, Instant>> transfers_;        // When each link last brought something.
};

}  // namespace orchard::sim
