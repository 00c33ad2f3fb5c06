// What a run's world reports, sorted: into the recorder, to the timeline, to events.jsonl.
#pragma once

#include <array>
#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "sim/run/connections.h"
#include "sim/run/lab.h"
#include "sim/run/cage_watch.h"
#include "sim/run/pod_watch.h"
#include "sim/run/recorder.h"
#include "sim/run/runner_nodes.h"
#include "sim/run/runner_traffic.h"
#include "sim/run/timeline.h"
#include "sim/world/world.h"

namespace orchard::sim {

class Watch final : public Observer {
 public:
  // `trace_file`: empty, or where every event goes as a line of JSON.
  Watch(const Plan& plan, Duration duration, Recorder& recorder, NodePool& nodes, Connections& connections, const std::string& trace_file);
  // After the world is made, before it runs.
  void Attach(View* world, Timeline* timeline) {
    world_ = world, timeline_ = timeline;
    for (HostIndex h = 0; h < world->size(); ++h) traffic_.Address(world->public_address(h).v4(), h);
  }

  void OnTrace(HostIndex host, std::string_view event, absl::Span<const TraceField> fields) override;
  void OnOpEvent(HostIndex host, OpId op, std::string_view json, bool final) override;
  void OnHostUp(HostIndex host) override;
  void OnHostDown(HostIndex host, bool graceful) override;
  void OnDrop(const Drop& drop) override;
  bool wants_packets() const override { return true; }
  void OnSend(HostIndex from, Bytes packet) override { traffic_.Sent(from, packet, world_->now()); }
  void OnArrive(HostIndex from, HostIndex to, Bytes packet) override { traffic_.Arrived(from, to, packet, world_->now()); }

  // At the end of a virtual second: reads what is read, writes out what was counted.
  void Second();
  // At the end of the run, before claims are judged for the last time.
  void Finish();

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
  const Traffic& traffic() const { return traffic_; }
  const CageFilm& cages() const { return cages_.film(); }

  // Sums over the world that only drawings use; at most kPointsMax of them, evenly spread over the run as planned.
  struct Point {
    Instant at;
    uint64_t packets = 0, bytes = 0;                          // Since the start.
    uint64_t tables = 0, entries = 0, dead = 0;               // As last read.
    NodePool::Held records;
  };
  static constexpr int64_t kPointsMax = 2000;
  const std::vector<Point>& points() const { return points_; }

  // Who took which record, of the first kRecordsMax that were stored. A holder that died since does not hold it any more.
  struct Record {
    std::string kind;
    std::vector<std::pair<HostIndex, uint32_t>> holders;  // With their incarnation then.
  };
  static constexpr size_t kRecordsMax = 4096, kHoldersMax = 64;
  const std::map<std::string, Record, std::less<>>& records() const { return records_; }

 private:
  void ReadQueues(Instant now);
  void TellHappened();
  absl::flat_hash_set<uint32_t> Living() const;
  void Stored(HostIndex host, absl::Span<const TraceField> fields);
  void WriteLine(HostIndex host, std::string_view event, absl::Span<const TraceField> fields);

  const Plan& plan_;
  Recorder& recorder_;
  NodePool& nodes_;
  Connections& connections_;
  PodWatch pods_;
  CageWatch cages_;
  View* world_ = nullptr;
  Timeline* timeline_ = nullptr;
  std::vector<HostState> hosts_;
  std::vector<uint64_t> stored_;
  std::vector<int64_t> up_bps_;
  Traffic traffic_;
  std::vector<HostIndex> readdressed_;  // Up since the last second: their public address may be another.
  std::vector<Point> points_;
  int64_t point_every_;                 // Seconds.
  std::map<std::string, Record, std::less<>> records_;  // By key, in hexadecimal digits.
  std::vector<std::array<std::pair<uint64_t, Duration>, 2>> queues_;  // By link: packets and their waits, out and in, as last read.
  std::ofstream trace_;
};

}  // namespace orchard::sim
