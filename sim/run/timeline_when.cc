// Conditions, and what the timeline has to say for itself: what is still to come, what failed, what never came.
#include <algorithm>

#include "sim/run/claims_figures.h"
#include "sim/language/text.h"
#include "sim/run/timeline.h"

namespace orchard::sim {

void Timeline::OnEvent(HostIndex host, std::string_view event, Tag tag) {
  for (size_t i = 0; i < state_.size(); ++i) {
    const Entry& e = entry(i);
    if (e.when != Entry::When::kWhen || state_[i].due || !e.condition.is_event || e.condition.subject != event) continue;
    const bool meant = std::all_of(e.condition.where.begin(), e.condition.where.end(), [&](const Match& m) {
      return IsHostLabel(m.label) ? Matches(plan_.world.hosts[host], {m}) : Matches(m, recorder_.TagValue(tag, m.label));
    });
    if (!meant) continue;
    if (e.condition.of) {
      std::vector<uint32_t> of = HostsOf(*e.condition.of, scenario_, plan_);
      if (!std::binary_search(of.begin(), of.end(), host)) continue;
    }
    state_[i].saw.insert(host), ++state_[i].events;
    CheckEvent(i);
  }
}

void Timeline::CheckEvent(size_t i) {
  const Condition& c = entry(i).condition;
  uint64_t wanted = c.count;
  if (c.count_all) {
    wanted = 0;
    if (c.of) {
      wanted = HostsOf(*c.of, scenario_, plan_).size();
    } else {
      for (const HostPlan& h : plan_.world.hosts) wanted += h.runs_node;
    }
  }
  if (state_[i].saw.size() >= wanted) Start(i, stage_.now());
}

void Timeline::Tick() {
  for (size_t i = 0; i < state_.size(); ++i) {
    const Entry& e = entry(i);
    if (e.when != Entry::When::kWhen || state_[i].due || e.condition.is_event) continue;
    const Condition& c = e.condition;
    std::vector<uint32_t> hosts;
    if (c.of) {
      hosts = HostsOf(*c.of, scenario_, plan_);
    } else {
      for (uint32_t h = 0; h < plan_.world.hosts.size(); ++h) hosts.push_back(h);
    }
    SampleFilter filter(recorder_, scenario_, hosts, c.where, Duration{}, c.subject);
    const Metric* m = FindMetric(c.subject);
    Bound b{.stat = m != nullptr && m->kind == MetricKind::kGauge ? Bound::Stat::kLast : Bound::Stat::kTotal,
            .cmp = c.cmp == Condition::Cmp::kAtLeast  ? Bound::Cmp::kAtLeast
                   : c.cmp == Condition::Cmp::kAtMost ? Bound::Cmp::kAtMost
                                                      : Bound::Cmp::kIs,
            .value_micro = c.value_micro};
    std::optional<int64_t> seen = Figure(b, SamplesIn(recorder_, c.subject, filter, Instant{}, stage_.now()), 0, 0);
    if (seen && Holds(b, *seen)) Start(i, stage_.now());
  }
}

void Timeline::Complain(size_t i, HostIndex, const std::string& what) {
  if (complaints_.size() >= kComplaintsMax) {
    ++complaints_more_;
    return;
  }
  const size_t need = ClaimsThatNeed(i);
  complaints_.push_back(Cat(entry(i).path, " failed at ", TimeText(stage_.now().time_since_epoch()), ": ", what,
                            need == 0 ? "" : Cat("; ", need, need == 1 ? " claim needs it" : " claims need it")));
}

size_t Timeline::ClaimsThatNeed(size_t i) const {
  const std::string& as = entry(i).as;
  if (as.empty()) return 0;
  return size_t(std::count_if(scenario_.claims.begin(), scenario_.claims.end(), [&](const Claim& c) {
    const Window& w = c.window;
    const bool where = std::any_of(c.where.begin(), c.where.end(), [&](const Match& m) {
      return m.label == "as" && !m.negate && std::find(m.values.begin(), m.values.end(), as) != m.values.end();
    });
    return where || c.name == as || c.key == as || c.is.starts_with(Cat("$", as, ".")) || w.span == as || w.a.entry == as || w.b.entry == as ||
           (w.since && w.since->entry == as);
  }));
}

std::vector<std::string> Timeline::Complaints() const {
  std::vector<std::string> out = complaints_;
  if (complaints_more_ > 0) out.push_back(Cat("… and ", complaints_more_, " more operations failed"));
  for (size_t i = 0; i < state_.size(); ++i) {
    const Entry& e = entry(i);
    const std::string name = e.as.empty() ? e.path : Cat("moment \"", e.as, "\"");
    if (e.when == Entry::When::kWhen && !state_[i].due) {
      const Condition& c = e.condition;
      if (!c.is_event) {
        out.push_back(Cat(name, " never came: ", c.subject, " did not reach ", c.written, " by ", TimeText(stage_.now().time_since_epoch())));
        continue;
      }
      std::vector<uint32_t> of;
      if (c.of) {
        of = HostsOf(*c.of, scenario_, plan_);
      } else {
        for (uint32_t h = 0; h < plan_.world.hosts.size(); ++h) {
          if (plan_.world.hosts[h].runs_node) of.push_back(h);
        }
      }
      std::vector<std::string> missing;
      std::set<std::string> nats;
      for (uint32_t h : of) {
        if (state_[i].saw.contains(h) || !Matches(plan_.world.hosts[h], c.where)) continue;
        missing.push_back(plan_.world.hosts[h].id), nats.insert(plan_.world.hosts[h].nat_label);
      }
      out.push_back(Cat(name, " never came: ", state_[i].saw.size(), " of ", c.count_all ? of.size() : c.count, " hosts saw ", c.subject,
                        " by ", TimeText(stage_.now().time_since_epoch()),
                        missing.empty() ? std::string("; there are no more hosts")
                                        : Cat(" (missing: ", ListText(missing, 6), nats.size() == 1 ? "; all behind " : "; behind ",
                                              ListText({nats.begin(), nats.end()}, 4), ")")));
    }
  }
  for (const Waiting& w : waiting_) {
    if (out.size() < kComplaintsMax) {
      out.push_back(Cat(entry(w.entry).path, " never started on ", plan_.world.hosts[w.host].id, ": \"", ListText(w.needs, 3), "\" had not ended"));
    }
  }
  return out;
}

bool Timeline::OwesAnything() const {
  for (size_t i = 0; i < state_.size(); ++i) {
    const Entry& e = entry(i);
    const bool must = e.act == Entry::Act::kOperation && e.fails != Entry::Fails::kMaybe;
    if (e.when == Entry::When::kWhen && !state_[i].due) return true;
    if (must && (!state_[i].exhausted || state_[i].open > 0)) return true;
    if (!e.as.empty() && e.when != Entry::When::kEvery && !moments_.Began(e.as) && !(state_[i].due && state_[i].open == 0)) return true;
  }
  return false;
}

std::string Timeline::Next() const {
  size_t best = state_.size();
  for (size_t i = 0; i < state_.size(); ++i) {
    if (entry(i).when == Entry::When::kEvery || seen_[i].count > 0 || seen_[i].first == kNever) continue;
    if (best == state_.size() || seen_[i].first < seen_[best].first) best = i;
  }
  if (best == state_.size()) return "";
  const Entry& e = entry(best);
  std::string what = e.act == Entry::Act::kMoment ? "moment" : e.action;
  return Cat(what, e.as.empty() ? "" : Cat(" \"", e.as, "\""), " at ", ClockText(seen_[best].first.time_since_epoch()));
}

}  // namespace orchard::sim
