#include "sim/run/cage_film.h"

#include <algorithm>

#include "sim/run/trace_fields.h"

namespace orchard::sim {
namespace {

Duration Micros(absl::Span<const TraceField> fields, std::string_view name) { return std::chrono::microseconds(int64_t(Number(fields, name))); }

}  // namespace

std::string_view CageShowName(CageShow show) {
  static constexpr std::string_view kNames[] = {"STOP", "RUN", "TERM", "SPARED", "INIT", "DOWN", "HUNG", "CRASH", "GAVE_UP"};
  return kNames[size_t(show)];
}

void CageFilm::Show(Lane& lane, Instant at, CageShow show) {
  if (!lane.changes.empty() && lane.changes.back().show == show) return;
  if (changes_ >= kChangesMax) return void(++lost_.changes);
  ++changes_;
  lane.changes.push_back({lane.changes.empty() ? at : std::max(at, lane.changes.back().at), show});
}

void CageFilm::Finish(Lane& lane, Instant at, End end) {
  if (lane.death < 0) return;
  Death& d = deaths_[size_t(lane.death)];
  d.end = end, d.ended = at;
  lane.death = -1;
}

void CageFilm::OnTrace(Instant now, HostIndex host, std::string_view event, absl::Span<const TraceField> fields) {
  const std::string site(Word(fields, "site"));
  const uint64_t cage = Number(fields, "cage");
  if (event == "cage.request") {
    const bool failed = Number(fields, "status") >= 500;
    Site& s = sites_[{host, site}];
    ++(failed ? s.failed : s.answered);
    if (const auto lane = of_cage_.find({host, cage}); lane != of_cage_.end()) ++(failed ? lane->second->failed : lane->second->answered);
    if (const auto death = death_of_.find({host, cage}); failed && death != death_of_.end()) ++deaths_[death->second].failed;
    return;
  }
  if (event == "cage.retried") {
    if (const auto death = death_of_.find({host, cage}); death != death_of_.end()) ++deaths_[death->second].retried;
    return;
  }
  static constexpr std::string_view kOfASlot[] = {"cage.spawned", "cage.served", "cage.crashed", "cage.gave_up", "cage.draining", "cage.stopped", "cage.breaker"};
  if (std::find(std::begin(kOfASlot), std::end(kOfASlot), event) == std::end(kOfASlot)) return;
  const LaneKey key(host, site, Number(fields, "slot"));
  auto it = lanes_.find(key);
  if (it == lanes_.end()) {
    if (lanes_.size() >= kLanesMax) return void(++lost_.lanes);
    it = lanes_.emplace(key, Lane{}).first;
  }
  Lane& lane = it->second;
  if (event == "cage.spawned") {
    const Duration spawn = Micros(fields, "spawn_us");
    ++lane.cages, of_cage_[{host, cage}] = &lane, lane.cage = cage;
    Show(lane, now - spawn, CageShow::kInit);
    if (lane.death >= 0) {
      Death& d = deaths_[size_t(lane.death)];
      d.backoff = now - spawn - d.at, d.spawn = spawn;
    }
  } else if (event == "cage.served") {
    Served(now, lane, fields);
  } else if (event == "cage.crashed") {
    Crashed(now, host, lane, site, fields);
  } else if (event == "cage.gave_up") {
    Finish(lane, now, End::kGaveUp);
    Show(lane, now, CageShow::kGaveUp);
  } else if (cage < lane.cage) {  // Of a pool that leaves.
  } else if (event == "cage.draining") {
    Show(lane, now, CageShow::kTerm);
  } else if (event == "cage.stopped") {
    Show(lane, now, CageShow::kStop);
  } else {
    Show(lane, now, Number(fields, "open") != 0 ? CageShow::kSpared : CageShow::kRun);
  }
}

void CageFilm::Crashed(Instant now, HostIndex host, Lane& lane, std::string_view site, absl::Span<const TraceField> fields) {
  Finish(lane, now, End::kAgain);
  Show(lane, now, CageShow::kCrash);
  ++lane.deaths;
  if (deaths_.size() >= kDeathsMax) return void(++lost_.deaths);
  lane.death = int64_t(deaths_.size());
  death_of_[{host, Number(fields, "cage")}] = deaths_.size();
  deaths_.push_back({.host = host, .site = std::string(site), .cause = std::string(Word(fields, "cause")), .slot = Number(fields, "slot"), .cage = Number(fields, "cage"), .at = now, .wrong = now});
}

void CageFilm::Served(Instant now, Lane& lane, absl::Span<const TraceField> fields) {
  if (lane.death >= 0 && Word(fields, "cause") != "none") {
    Death& d = deaths_[size_t(lane.death)];
    d.detect = Micros(fields, "detect_us"), d.backoff = Micros(fields, "backoff_us"), d.spawn = Micros(fields, "spawn_us"), d.answer = Micros(fields, "answer_us");
    d.wrong = std::min(d.at, now - d.detect - d.backoff - d.spawn - d.answer);
    // That it had hung is known only now: before the crash it did not run.
    const auto crash = std::find_if(lane.changes.rbegin(), lane.changes.rend(), [&](const Change& c) { return c.show == CageShow::kCrash; });
    if (d.wrong < d.at && crash != lane.changes.rend() && crash + 1 != lane.changes.rend() && (crash + 1)->at <= d.wrong && changes_ < kChangesMax) {
      ++changes_;
      lane.changes.insert(crash.base() - 1, {d.wrong, CageShow::kHung});
    }
    Finish(lane, now, End::kHealed);
  } else {
    Finish(lane, now, End::kReplaced);
  }
  Show(lane, now, CageShow::kRun);
}

void CageFilm::OnHostDown(Instant now, HostIndex host) {
  for (auto it = lanes_.lower_bound({host, "", 0}); it != lanes_.end() && std::get<0>(it->first) == host; ++it) {
    Finish(it->second, now, End::kHost);
    Show(it->second, now, CageShow::kDown);
  }
  of_cage_.erase(of_cage_.lower_bound({host, 0}), of_cage_.lower_bound({host + 1, 0}));
  death_of_.erase(death_of_.lower_bound({host, 0}), death_of_.lower_bound({host + 1, 0}));
}

}  // namespace orchard::sim
