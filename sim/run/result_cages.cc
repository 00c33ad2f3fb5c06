#include "sim/run/result_cages.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "sim/run/result.h"

namespace orchard::sim {
namespace {

using Lane = CageFilm::Lane;
using Death = CageFilm::Death;

Json List() { return JsonList({}); }
Json Ms(Duration d) { return JsonMicro(d.count()); }

// How long a slot did not serve for this death; of one that healed as the node counts it, in whole microseconds.
Duration Dark(const Death& d, Instant end) {
  if (d.end == CageFilm::End::kHealed) return d.detect + d.backoff + d.spawn + d.answer;
  return (d.end == CageFilm::End::kGaveUp ? end : std::min(d.ended, end)) - d.wrong;
}

std::string_view EndName(CageFilm::End end) {
  static constexpr std::string_view kNames[] = {"open", "healed", "again", "gave_up", "replaced", "host_down"};
  return kNames[size_t(end)];
}

Json ChangesJson(const Lane& lane, Instant end, Json& step_ms) {
  Json changes = List();
  const auto add = [&](Instant at, CageShow show) {
    Json c = List();
    c.items.push_back(JsonMs(at)), c.items.push_back(Json::Text(CageShowName(show)));
    changes.items.push_back(std::move(c));
  };
  if (lane.changes.size() <= kLaneChangesWritten) {
    for (const auto& [at, show] : lane.changes) add(at, show);
    return changes;
  }
  // Of each step the worst; a death that lasted for a moment is not lost.
  const int64_t step = (end.time_since_epoch().count() + int64_t(kLaneSteps) - 1) / int64_t(kLaneSteps);
  size_t next = 0;
  std::optional<CageShow> now, told;
  for (int64_t from = 0; from < end.time_since_epoch().count(); from += step) {
    std::optional<CageShow> worst = now;
    for (; next < lane.changes.size() && lane.changes[next].at.time_since_epoch().count() < from + step; ++next) {
      now = lane.changes[next].show;
      worst = worst.has_value() ? std::max(*worst, *now) : *now;
    }
    if (worst.has_value() && worst != told) add(Instant(Duration(from)), *worst);
    told = worst;
  }
  step_ms = Ms(Duration(step));
  return changes;
}

Json DeathJson(const Death& d, const std::vector<std::string>& hosts, Instant end) {
  Json j = Json::Object();
  j.At("host") = Json::Text(hosts[d.host]), j.At("site") = Json::Text(d.site), j.At("slot") = JsonNumber(d.slot), j.At("cage") = JsonNumber(d.cage);
  j.At("cause") = Json::Text(d.cause), j.At("at_ms") = JsonMs(d.at), j.At("wrong_ms") = JsonMs(d.wrong), j.At("end") = Json::Text(EndName(d.end));
  if (d.ended != kNever) j.At("ended_ms") = JsonMs(d.ended);
  j.At("dark_ms") = Ms(Dark(d, end));
  for (const auto& [key, part] : {std::pair("detect_ms", d.detect), std::pair("backoff_ms", d.backoff), std::pair("spawn_ms", d.spawn), std::pair("answer_ms", d.answer)}) {
    if (part >= Duration{0}) j.At(key) = Ms(part);
  }
  j.At("retried") = JsonNumber(d.retried), j.At("failed") = JsonNumber(d.failed);
  return j;
}

// Of each cause: how many, and how long healing took and where.
Json CausesJson(const std::vector<Death>& deaths) {
  std::map<std::string, std::vector<const Death*>> by_cause;
  for (const Death& d : deaths) by_cause[d.cause].push_back(&d);
  Json causes = List();
  for (const auto& [cause, all] : by_cause) {
    Json c = Json::Object();
    c.At("cause") = Json::Text(cause), c.At("deaths") = JsonNumber(all.size());
    std::vector<int64_t> heal, part[4];
    for (const Death* d : all) {
      if (d->end != CageFilm::End::kHealed) continue;
      const Duration parts[] = {d->detect, d->backoff, d->spawn, d->answer};
      heal.push_back((parts[0] + parts[1] + parts[2] + parts[3]).count());
      for (size_t i = 0; i < 4; ++i) part[i].push_back(parts[i].count());
    }
    c.At("healed") = JsonNumber(heal.size());
    const auto figure = [](std::vector<int64_t>& v, uint64_t percent) {
      std::sort(v.begin(), v.end());
      return JsonMicro(v[std::min(v.size() - 1, v.size() * percent / 100)]);
    };
    if (!heal.empty()) {
      c.At("heal_p50_ms") = figure(heal, 50), c.At("heal_p95_ms") = figure(heal, 95), c.At("heal_max_ms") = JsonMicro(heal.back());
      c.At("detect_p50_ms") = figure(part[0], 50), c.At("backoff_p50_ms") = figure(part[1], 50);
      c.At("spawn_p50_ms") = figure(part[2], 50), c.At("answer_p50_ms") = figure(part[3], 50);
    }
    causes.items.push_back(std::move(c));
  }
  return causes;
}

}  // namespace

Json CagesJson(const CageFilm& film, const std::vector<std::string>& hosts, Instant end) {
  if (film.lanes().empty()) return JsonNull();
  struct Sum {
    Duration dark{0};
    uint64_t slots = 0, deaths = 0;
  };
  std::map<std::pair<HostIndex, std::string>, Sum> sums;
  std::map<CageFilm::LaneKey, Duration> dark;
  for (const Death& d : film.deaths()) sums[{d.host, d.site}].dark += Dark(d, end), dark[{d.host, d.site, d.slot}] += Dark(d, end);
  for (const auto& [key, lane] : film.lanes()) {
    Sum& s = sums[{std::get<0>(key), std::get<1>(key)}];
    ++s.slots, s.deaths += lane.deaths;
  }
  Json j = Json::Object(), sites = List(), lanes = List(), deaths = List();
  j.At("schema") = Json::Text("orchard.cages/1"), j.At("end_ms") = JsonMs(end);

  // The sites that served least come first, with all their slots: half a site would mislead.
  std::vector<std::pair<HostIndex, std::string>> order;
  for (const auto& [key, sum] : sums) order.push_back(key);
  std::stable_sort(order.begin(), order.end(), [&](const auto& a, const auto& b) { return std::tuple(sums[a].dark, sums[a].deaths) > std::tuple(sums[b].dark, sums[b].deaths); });
  for (const auto& key : order) {
    if (sites.items.size() >= kCageSitesWritten) break;
    const Sum& sum = sums[key];
    const auto asked = film.sites().find(key);
    Json s = Json::Object();
    s.At("host") = Json::Text(hosts[key.first]), s.At("site") = Json::Text(key.second), s.At("slots") = JsonNumber(sum.slots), s.At("deaths") = JsonNumber(sum.deaths);
    s.At("dark_ms") = Ms(sum.dark);
    s.At("answered") = JsonNumber(asked == film.sites().end() ? 0 : asked->second.answered), s.At("failed") = JsonNumber(asked == film.sites().end() ? 0 : asked->second.failed);
    sites.items.push_back(std::move(s));
    if (lanes.items.size() + sum.slots > kCageLanesWritten) continue;
    for (auto it = film.lanes().lower_bound({key.first, key.second, 0}); it != film.lanes().end() && std::get<0>(it->first) == key.first && std::get<1>(it->first) == key.second; ++it) {
      const Lane& lane = it->second;
      Json l = Json::Object(), step = JsonNull();
      l.At("host") = Json::Text(hosts[key.first]), l.At("site") = Json::Text(key.second), l.At("slot") = JsonNumber(std::get<2>(it->first));
      l.At("cages") = JsonNumber(lane.cages), l.At("deaths") = JsonNumber(lane.deaths), l.At("dark_ms") = Ms(dark[it->first]);
      l.At("answered") = JsonNumber(lane.answered), l.At("failed") = JsonNumber(lane.failed);
      l.At("changes") = ChangesJson(lane, end, step);
      if (step.is_number()) l.At("step_ms") = std::move(step);
      lanes.items.push_back(std::move(l));
    }
  }
  std::vector<const Death*> worst;
  for (const Death& d : film.deaths()) worst.push_back(&d);
  std::stable_sort(worst.begin(), worst.end(), [&](const Death* a, const Death* b) { return Dark(*a, end) > Dark(*b, end); });
  for (const Death* d : worst) {
    if (deaths.items.size() >= kCageDeathsWritten) break;
    deaths.items.push_back(DeathJson(*d, hosts, end));
  }
  j.At("sites_all") = JsonNumber(order.size()), j.At("lanes_all") = JsonNumber(film.lanes().size() + film.lost().lanes);
  j.At("deaths_all") = JsonNumber(film.deaths().size() + film.lost().deaths);
  if (film.lost().changes > 0) j.At("changes_lost") = JsonNumber(film.lost().changes);
  j.At("sites") = std::move(sites), j.At("lanes") = std::move(lanes), j.At("causes") = CausesJson(film.deaths()), j.At("deaths") = std::move(deaths);
  return j;
}

}  // namespace orchard::sim
