// Carries a scenario's timeline out: entries and their occurrences, standing orders, references to results, moments. Every
// draw has its own stream (seed, host, purpose and entry). Source: docs/SCENARIOS.md, "Timeline".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "node/base/rng.h"
#include "sim/run/churn.h"
#include "sim/run/connections.h"
#include "sim/run/moments.h"
#include "sim/language/plan.h"
#include "sim/run/recorder.h"
#include "sim/run/timeline_agenda.h"
#include "sim/run/timeline_faults.h"
#include "sim/run/timeline_stage.h"
#include "sim/run/timeline_values.h"

namespace orchard::sim {

// What became of an entry, for the time line of a report.
struct EntrySeen {
  Instant first = kNever, last{};  // Its first and last occurrence.
  Instant ended = kNever;
  uint64_t count = 0, ok = 0, failed = 0;
  uint64_t running = 0;            // Operations without an answer yet.
};

class Timeline {
 public:
  static constexpr size_t kComplaintsMax = 100;  // Those beyond are only counted.

  Timeline(const Scenario& scenario, const Plan& plan, uint64_t seed, Stage& stage, Recorder& recorder, Moments& moments,
           Results& results, Connections& connections);

  // Puts on the agenda what is known; before the world runs.
  void Prepare();

  // ---- What the world reports, in the middle of a turn: notes are taken, deeds are put on the agenda ----
  void OnOpFinal(HostIndex host, OpId op, std::string_view json);
  // The `as` of samples that a running operation causes; 0 if it does not run.
  uint16_t AsOf(uint32_t op) const {
    const auto it = running_.find(op);
    return it == running_.end() ? uint16_t{0} : uint16_t(it->second.entry + 1);
  }
  void OnHostUp(HostIndex host);
  void OnHostDown(HostIndex host);
  void OnEvent(HostIndex host, std::string_view event, Tag tag = 0);
  // Once a virtual second: conditions on metrics.
  void Tick();

  // After the run: one-time operations that failed, conditions that never came. Lines for a person.
  std::vector<std::string> Complaints() const;
  bool failed() const { return !complaints_.empty(); }

  // True while an entry with a name, or an operation that must succeed, is still to come: the run may not end early.
  bool OwesAnything() const;
  const std::vector<EntrySeen>& seen() const { return seen_; }
  const std::vector<HostIndex>& who(size_t entry) const { return state_[entry].who; }
  // `partition "cut" at 2:00`, or empty.
  std::string Next() const;

 private:
  struct Call {
    size_t entry;
    HostIndex host;
    Instant intended;
    uint64_t n;
    bool again;          // A standing order, carried out after a return: nobody waits for it.
    OpId op;
    HostIndex peer = kNoHost;  // On whom it was.
  };
  struct State {
    std::vector<HostIndex> who;
    bool due = false;        // Its instant has come.
    bool exhausted = false;  // No occurrence is still to come.
    uint64_t open = 0;       // Operations planned or running, and faults that last.
    std::set<HostIndex> saw; // kWhen: hosts with the event.
    uint64_t events = 0;
  };
  struct Standing {
    size_t entry;
  };
  struct Loop;               // One host's occurrences of an `every`.

  const Entry& entry(size_t i) const { return scenario_.timeline[i]; }
  void Begin(size_t i);
  void MaybeEnd(size_t i);
  void MomentsChanged();
  void TryStart(size_t i);
  void Start(size_t i, Instant at);
  void StartLoops(size_t i, Instant from);
  void Step(std::shared_ptr<Loop> loop);
  Duration Interval(Loop& loop);
  Duration Phase(size_t i, HostIndex h) const;
  // Faults and moments act at once; operations host by host.
  void Act(size_t i, Instant at);
  void Operate(size_t i, HostIndex h, Instant intended, uint64_t n);
  void Issue(size_t i, HostIndex h, Instant intended, uint64_t n, bool again);
  void Done(const Call& call, bool ok, const std::string& code, Json data, const std::string& detail);
  void Lost(size_t i);
  void CheckEvent(size_t i);
  void RetryWaiting();
  // Claims of this case that judge what the entry did, or that wait for it.
  size_t ClaimsThatNeed(size_t i) const;
  void Complain(size_t i, HostIndex h, const std::string& what);
  std::string StreamName(std::string_view purpose, size_t i) const;

  const Scenario& scenario_;
  const Plan& plan_;
  const uint64_t seed_;
  Stage& stage_;
  Recorder& recorder_;
  Moments& moments_;
  Results& results_;
  Connections& connections_;
  Agenda agenda_;
  Churner churner_;
  ValueFiller filler_;
  FaultHand faults_;
  std::vector<State> state_;
  std::vector<EntrySeen> seen_;
  absl::flat_hash_map<uint32_t, Call> running_;  // By OpId; looked up, never walked in its order.
  std::map<std::pair<size_t, HostIndex>, std::shared_ptr<Loop>> closed_;  // Closed loops that wait for an answer.
  struct Waiting { size_t entry; HostIndex host; uint64_t n; std::vector<std::string> needs; };
  std::vector<Waiting> waiting_;                 // For `$x`; at most one per host of a one-time entry, or per occurrence.
  std::vector<std::vector<Standing>> standing_;  // By host.
  std::vector<std::string> complaints_;
  uint64_t complaints_more_ = 0;
  uint32_t next_op_ = 1;
  bool changing_ = false;
};

}  // namespace orchard::sim
