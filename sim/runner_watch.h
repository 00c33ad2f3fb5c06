// What a run's world reports, sorted: into the recorder, to the timeline, to events.jsonl.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/recorder.h"
#include "sim/runner_nodes.h"
#include "sim/timeline.h"
#include "sim/world.h"

namespace orchard::sim {

class Watch final : public Observer {
 public:
  // `trace_file`: empty, or where every event goes as a line of JSON.
  Watch(const Plan& plan, Recorder& recorder, NodePool& nodes, const std::string& trace_file);
  // After the world is made, before it runs.
  void Attach(World* world, Timeline* timeline) { world_ = world, timeline_ = timeline; }

  void OnTrace(HostIndex host, std::string_view event, absl::Span<const TraceField> fields) override;
  void OnOpEvent(HostIndex host, OpId op, std::string_view json, bool final) override;
  void OnHostUp(HostIndex host) override;
  void OnHostDown(HostIndex host, bool graceful) override;
  void OnDrop(const Drop& drop) override;

  // At the end of a virtual second: reads what is read, writes out what was counted.
  void Second();

  struct HostState {
    uint64_t table = 0;
    uint64_t bytes = 0, bytes_busy = 0;     // As of the last readings.
    std::map<std::string, uint64_t> stats;  // Totals of this life by type.
    bool bootstrapped = false, has_table = false;
    std::string id;                         // First octets of a persistent node's id.
  };
  const HostState& state(HostIndex h) const { return hosts_[h]; }
  // Records stored, by first octet of their target.
  const std::vector<uint64_t>& stored() const { return stored_; }

 private:
  void WriteLine(HostIndex host, std::string_view event, absl::Span<const TraceField> fields);

  const Plan& plan_;
  Recorder& recorder_;
  NodePool& nodes_;
  World* world_ = nullptr;
  Timeline* timeline_ = nullptr;
  std::vector<HostState> hosts_;
  std::vector<uint64_t> stored_;
  std::vector<int64_t> up_bps_;
  std::ofstream trace_;
};

}  // namespace orchard::sim
