#include "sim/run/runner_case.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "sim/run/result.h"
#include "sim/run/result_cages.h"
#include "sim/run/runner_nodes.h"
#include "sim/language/text.h"
#include "sim/run/runner_watch.h"

namespace orchard::sim {
namespace {

using WallClock = std::chrono::steady_clock;  // Read for people only; nothing of the run depends on it.

uint64_t PeakRss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return uint64_t(usage.ru_maxrss) * 1024;
}

}  // namespace

CaseResult RunCase(const Suite& suite, const Scenario& scenario, const CaseOptions& options,
                   const std::function<void(const CaseProgress&)>& tell, const LabMaker& make_lab) {
  const WallClock::time_point began = WallClock::now();
  Plan plan = Expand(scenario, options.seed);
  plan.world.pcap = options.pcap, plan.world.pcap_dir = options.out_dir;
  Recorder recorder(plan.world.hosts, scenario.duration);
  Moments moments(scenario.duration);
  Results results;
  for (const Claim& c : scenario.claims) recorder.Ask(c.subject), recorder.Ask(c.over.metric);
  for (const Entry& e : scenario.timeline) recorder.Ask(e.condition.subject);
  NodePool nodes(plan);
  Connections connections(plan, recorder);
  Watch watch(plan, scenario.duration, recorder, nodes, connections, options.trace && !options.out_dir.empty() ? options.out_dir + "/events.jsonl" : "");
  const std::unique_ptr<Lab> world = make_lab ? make_lab(plan, &watch) : std::make_unique<WorldLab>(plan, nodes, &watch);
  Timeline timeline(scenario, plan, options.seed, *world, recorder, moments, results, connections);
  watch.Attach(world.get(), &timeline);
  ClaimJudge judge({scenario, plan, recorder, moments, results, connections});
  timeline.Prepare();

  auto progress = [&] {
    CaseProgress p{.now = world->now().time_since_epoch(), .duration = scenario.duration};
    p.events = world->totals().events, p.up = recorder.hosts_up(), p.hosts = plan.world.hosts.size(), p.rss_bytes = PeakRss();
    p.held = judge.Count(Verdict::kHeld), p.failed = judge.Count(Verdict::kFailed), p.open = judge.Count(Verdict::kOpen);
    p.next = timeline.Next();
    tell(p);
  };
  const ClaimResult* until = nullptr;
  for (const ClaimResult& r : judge.results()) {
    if (!options.until_claim.empty() && r.claim->says == options.until_claim) until = &r;
  }

  // Second by second: what is read and judged in between changes nothing that happens in the world.
  const Instant end = moments.end();
  WallClock::time_point told = began;
  bool interrupted = false, stopped_early = false;
  for (Instant next{}; next < end;) {
    next = std::min(next + std::chrono::seconds(1), end);
    world->RunUntil(next);
    watch.Second();
    timeline.Tick();
    judge.Look(next);
    if (WallClock::now() - told > std::chrono::milliseconds(100)) told = WallClock::now(), progress();
    if (options.interrupted != nullptr && *options.interrupted) {
      interrupted = next < end;
      break;
    }
    const bool decided = until != nullptr ? until->verdict != Verdict::kOpen
                                          : judge.all_decided() && !timeline.OwesAnything();
    if (decided || (options.fail_fast && judge.first_failed() != nullptr)) {
      stopped_early = next < end;
      break;
    }
  }

  CaseResult out{.name = scenario.case_name};
  const Instant now = world->now();
  const int64_t wall_us = std::chrono::duration_cast<std::chrono::microseconds>(WallClock::now() - began).count();
  const Totals totals = world->totals();
  CostFigures cost{.events = totals.events, .packets = totals.packets, .bytes = totals.bytes, .hosts = plan.world.hosts.size(),
                   .peak_rss_bytes = PeakRss(), .wall_micro = wall_us};
  // Stopped by --fail-fast or at the claim that was asked for, what is open stays so.
  const bool cut_short = interrupted || (stopped_early && !judge.all_decided() && (until != nullptr || options.fail_fast));
  watch.Finish();
  judge.Finish(now, cost, options.strict, cut_short);
  progress();

  std::vector<std::string> complaints;
  if (!cut_short) complaints = timeline.Complaints();
  for (std::string& c : world->complaints()) complaints.push_back(std::move(c));
  out.interrupted = interrupted;
  out.passed = !interrupted && complaints.empty() && judge.Count(Verdict::kFailed) == 0 &&
               (judge.Count(Verdict::kUndecided) == 0 || until != nullptr);
  CaseFacts facts{suite, scenario, plan, recorder, judge, timeline, moments, results, watch, connections, *world, cost, options.seed, options.scenario,
                  options.replay, complaints, out.passed, interrupted, now};
  out.fingerprint = world->fingerprint();
  out.checkpoints = world->checkpoints();
  out.json = ResultJson(facts).Dump();
  if (!options.out_dir.empty()) {
    if (!options.only_result) {
      WriteText(options.out_dir + "/topology.json", TopologyJson(facts).Dump() + "\n");
      WriteText(options.out_dir + "/series.json", SeriesJson(facts).Dump() + "\n");
      std::vector<std::string> names;
      for (const HostPlan& h : plan.world.hosts) names.push_back(h.id);
      if (const Json cages = CagesJson(watch.cages(), names, now); cages.is_object()) WriteText(options.out_dir + "/cages.json", cages.Dump() + "\n");
      WriteText(options.out_dir + "/checkpoints.json", CheckpointsJson(facts).Dump() + "\n");
    }
    WriteText(options.out_dir + "/result.json", out.json + "\n");  // Last: where it stands, the rest does.
  }
  return out;
}

}  // namespace orchard::sim
