// Whoever runs the cages, as a pool sees it: answers its jobs when told to.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "node/cage/pool.h"
#include "tests/support/bare_turn.h"

namespace orchard::cage {

class Keeper : public BareTurn {
 public:
  struct Run { JobId job; RunArgs args; };

  explicit Keeper(SiteConfig config) : pool(std::move(config), Key32{7}, 1) {
    At(Duration{0});
    pool.Start(turn, jobs);
    Serve();
  }

  // Takes what was asked; cages are made at once, unless `spawns` is false, and answer their checks, unless `checks` is.
  void Serve() {
    for (bool more = true; more;) {
      more = false;
      std::vector<std::pair<Output, std::string>> asked;
      for (const Output& o : out.outputs()) asked.emplace_back(o, std::string(AsText(out.bytes(o))));
      out.Clear();
      for (const auto& [o, args] : asked) {
        if (o.what == Do::kCancelJob) cancelled.push_back(JobId{o.id});
        if (o.what != Do::kRunJob) continue;
        const JobId job{o.id};
        if (o.kind == JobKind::kCageSpawn) {
          spawned.push_back(Decode<SpawnArgs>(AsBytes(args))->cage);
          if (spawns) Done(job, absl::StatusCode::kOk, ""), more = true;
        }
        if (o.kind == JobKind::kCageWatch) watches[Decode<WatchArgs>(AsBytes(args))->cage] = job;
        if (o.kind == JobKind::kCageStop) stopped.push_back(Decode<StopArgs>(AsBytes(args))->cage);
        if (o.kind == JobKind::kCageRun) {
          RunArgs run = *Decode<RunArgs>(AsBytes(args));
          const bool check = run.request.headers.size() == 2 && run.request.headers[1].second == "orchard-check";
          if (!check) runs.push_back({job, std::move(run)});
          else if (checks) Done(job, absl::StatusCode::kOk, Encode(RunResult{.fuel = 1})), more = true;
          else held.push_back({job, std::move(run)});
        }
      }
    }
  }
  void Done(JobId job, absl::StatusCode status, const std::string& bytes) {
    if (jobs.Done(job).has_value()) pool.OnJobDone(turn, jobs, {job, status, AsBytes(bytes)}, news);
  }
  void Ask(uint64_t id, std::string method = "GET") {
    pool.Ask(turn, jobs, RequestId{id}, {.method = std::move(method), .target = "/"}, news);
    Serve();
  }
  // The i-th run that is under way ends so.
  void End(size_t i, Cause cause = Cause::kNone, std::string answer = "Status: 200\n\nok") {
    const JobId job = runs[i].job;
    runs.erase(runs.begin() + long(i));
    Done(job, absl::StatusCode::kOk, Encode(RunResult{.cause = cause, .detail = "told", .answer = std::move(answer)}));
    Serve();
  }
  // The cage dies: its runs end, the first as begun, the others not; then its watch.
  void Kill(uint32_t cage, Cause cause) {
    bool first = true;
    for (size_t i = 0; i < runs.size();) {
      if (runs[i].args.cage != cage) {
        ++i;
        continue;
      }
      const JobId job = runs[i].job;
      runs.erase(runs.begin() + long(i));
      Done(job, first ? absl::StatusCode::kOk : absl::StatusCode::kAborted, first ? Encode(RunResult{.cause = cause}) : "");
      first = false;
    }
    Done(watches[cage], absl::StatusCode::kOk, Encode(Death{cause, "told"}));
    Serve();
  }
  // The time goes on to `at`, deadline by deadline.
  void Until(Duration at) {
    while (pool.next_deadline() <= Instant{} + at) {
      turn.now = pool.next_deadline();
      pool.OnTime(turn, jobs, news);
      Serve();
      ASSERT_GT(pool.next_deadline(), turn.now);
    }
    turn.now = Instant{} + at;
  }
  template <class T>
  size_t Count() const {
    size_t n = 0;
    for (const auto& x : news) n += std::holds_alternative<T>(x);
    return n;
  }
  std::vector<State> states() const {
    std::vector<State> out;
    for (const auto& s : pool.slots()) out.push_back(s.state);
    return out;
  }
  std::map<uint32_t, size_t> PerCage() const {
    std::map<uint32_t, size_t> out;
    for (const Run& r : runs) ++out[r.args.cage];
    return out;
  }

  bool spawns = true, checks = true;
  Jobs jobs;
  Pool pool;
  PoolNews news;
  std::vector<Run> runs, held;
  std::map<uint32_t, JobId> watches;
  std::vector<uint32_t> spawned, stopped;
  std::vector<JobId> cancelled;
};

}  // namespace orchard::cage
