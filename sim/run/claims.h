// Judges the claims of one case while it runs. A claim is decided by its window's close, not by luck: `by` when true or past,
// `at` and `during` when past, a claim on the whole run at its end. Source: docs/SCENARIOS.md, "Claims".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/run/claims_figures.h"
#include "sim/run/connections.h"
#include "sim/run/moments.h"
#include "sim/language/plan.h"
#include "sim/run/recorder.h"
#include "sim/run/web_files.h"
#include "sim/language/scenario.h"

namespace orchard::sim {

enum class Verdict : uint8_t {
  kOpen,
  kHeld,
  kFailed,
  kUndecided,  // The run was interrupted, or other cases have the last word (Claim::over_cases).
};
std::string_view VerdictName(Verdict v);

// One bound on one part of the samples.
struct BoundSeen {
  std::string stat, unit, part;
  Bound::Cmp cmp = Bound::Cmp::kAtLeast;
  int64_t bound_micro = 0;
  std::optional<int64_t> observed_micro;  // Nothing: no sample.
  bool held = false;
};

// The samples behind a bound on a ratio or a share, which a sweep puts together over its runs.
struct PoolSeen {
  static constexpr size_t kPartsMax = 1000;  // A claim with more parts is judged run by run.
  std::string stat, part;
  Bound::Cmp cmp = Bound::Cmp::kAtLeast;
  int64_t bound_micro = 0;
  int64_t hits_micro = 0;          // What the samples sum to: of ones and zeros the ones, in millionths.
  uint64_t n = 0;
};

struct ClaimResult {
  const Claim* claim = nullptr;
  Verdict verdict = Verdict::kOpen;
  std::string expected, observed;
  uint64_t n = 0;                  // Samples judged.
  Instant at = kNever;             // Decided.
  Instant from = kNever, to = kNever;  // The window as it was; kNever: it did not open.
  std::vector<BoundSeen> bounds;
  std::vector<PoolSeen> pool;
  std::vector<std::string> why;    // Of a failed one: lines for a person.
  std::vector<std::pair<uint32_t, uint32_t>> pairs;  // Of a failed `connected`: hosts by index, some of them.
};

// Figures for `cost`, read when the run is over.
struct CostFigures {
  uint64_t events = 0, packets = 0, bytes = 0, hosts = 1, peak_rss_bytes = 0;
  int64_t wall_micro = 0;          // Seconds, in millionths.
};

struct ClaimSources {
  const Scenario& scenario;
  const Plan& plan;
  const Recorder& recorder;
  const Moments& moments;
  const Results& results;
  const Connections& connections;
};

class ClaimJudge {
 public:
  explicit ClaimJudge(ClaimSources sources);
  ~ClaimJudge();

  // Decides what can be decided; call once a virtual second, after the recorder's Flush.
  void Look(Instant now);
  // The run is over, at `now`. `interrupted`: before its time, by a person; open claims stay undecided.
  void Finish(Instant now, const CostFigures& cost, bool strict, bool interrupted);

  const std::vector<ClaimResult>& results() const { return results_; }
  // Of the claims of this case; those that only want a figure count when they are open.
  size_t Count(Verdict v) const;
  bool all_decided() const { return Count(Verdict::kOpen) == 0; }
  // The first failed one, or null.
  const ClaimResult* first_failed() const;

 private:
  struct Span {
    std::optional<Instant> open, close;
  };
  struct Watch;
  Span WindowOf(const Claim& c) const;
  void Decide(ClaimResult& r, Instant now, bool over);
  // Judges the samples up to `until`; true if the claim holds so far.
  bool Judge(ClaimResult& r, Instant open, Instant close);
  bool JudgeBounds(ClaimResult& r, Instant open, Instant close);
  bool JudgeNever(ClaimResult& r, Instant open, Instant close);
  bool JudgeLeadsTo(ClaimResult& r, Instant open, Instant close);
  bool JudgeSame(ClaimResult& r, Instant close);
  bool JudgeConnected(ClaimResult& r, Instant open, Instant close);  // claims_connected.cc
  void TellLate(ClaimResult& r, Instant now);
  void JudgeCost(ClaimResult& r, const CostFigures& cost, bool strict);
  std::string Expected(const Claim& c) const;
  std::string WindowText(const Claim& c) const;
  std::optional<int64_t> Divide(const Claim& c, const Bound& b, int64_t value, Instant open, Instant close) const;
  const SampleFilter& FilterOf(const Claim& c);
  std::vector<uint32_t> HostsOfClaim(const std::optional<Selector>& of) const;

  ClaimSources in_;
  WebFiles web_;
  std::vector<ClaimResult> results_;
  std::vector<std::unique_ptr<Watch>> watches_;  // Beside results_.
};

// "at most", "at least", "is" as a sign.
std::string_view CmpSign(Bound::Cmp cmp);

// Why a claim on samples failed or had none, in lines for a person.
std::vector<std::string> ExplainSamples(const ClaimSources& in, const Claim& claim, const SampleFilter& filter, Instant open,
                                        Instant close, const std::vector<BoundSeen>& bounds);
// Why a pair does not have what is wanted between `open` and `close`: what it has, the step that waited, both NATs as classified
// and as they are.
std::vector<std::string> ExplainPair(const ClaimSources& in, HostIndex a, HostIndex b, PathSet wanted, Instant open, Instant close, Instant since);
std::vector<std::string> ExplainNoSample(const ClaimSources& in, const Claim& claim, const SampleFilter& filter, Instant open,
                                         Instant close);

}  // namespace orchard::sim
