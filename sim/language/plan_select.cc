// Selectors against the expanded hosts.

#include <algorithm>
#include <set>

#include "sim/language/grammar.h"
#include "sim/language/plan.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

using K = SelectorTerm::Kind;

bool Names(const SelectorTerm& t, const HostPlan& host) {
  switch (t.kind) {
    case K::kAll: return true;
    case K::kGroup: return host.group == t.text;
    case K::kMember: return host.id == t.text;
    case K::kGlob: return GlobMatches(t.text, host.id);
    case K::kUplink: return host.group == t.text || host.id == t.text || GlobMatches(t.text, host.id);
    default: return false;
  }
}

void Add(const std::vector<SelectorTerm>& terms, const Scenario& scenario, const Plan& plan, std::set<uint32_t>& out) {
  for (const SelectorTerm& t : terms) {
    if (t.kind == K::kPicked) {
      if (auto known = plan.picked.find(t.text); known != plan.picked.end()) {
        out.insert(known->second.begin(), known->second.end());
      } else if (auto pick = scenario.picks.find(t.text); pick != scenario.picks.end()) {
        for (uint32_t h : HostsOf(pick->second, scenario, plan)) out.insert(h);
      }
      continue;
    }
    for (uint32_t h = 0; h < plan.world.hosts.size(); ++h) {
      if (Names(t, plan.world.hosts[h])) out.insert(h);
    }
  }
}

}  // namespace

std::string LabelOf(const HostPlan& host, std::string_view label) {
  if (label == "host") return host.id;
  if (label == "group") return host.group;
  if (label == "region") return host.region;
  if (label == "nat") return host.nat_label;
  if (label == "link") return host.link_label.empty() && !host.uplinks.empty() ? host.uplinks[0].link.preset : host.link_label;
  return "";
}

const UplinkPlan* WayOut(const WorldPlan& world, const HostPlan& host) {
  if (!host.uplinks.empty()) return &host.uplinks[0];
  auto lan = std::find_if(world.lans.begin(), world.lans.end(), [&](const LanPlan& l) { return l.id == host.lan && !host.lan.empty(); });
  return lan == world.lans.end() || !lan->router ? nullptr : &*lan->router;
}

bool Matches(const Match& match, std::string_view value) {
  const bool any = std::any_of(match.values.begin(), match.values.end(), [&](const std::string& v) { return v == value; });
  return any != match.negate;
}

bool Matches(const HostPlan& host, const std::vector<Match>& where) {
  return std::all_of(where.begin(), where.end(), [&](const Match& m) {
    if (m.label == "host") {  // By its id, or its group's.
      const bool named = std::any_of(m.values.begin(), m.values.end(), [&](const std::string& v) { return v == host.id || v == host.group; });
      return named != m.negate;
    }
    return Matches(m, LabelOf(host, m.label));
  });
}

std::vector<uint32_t> HostsOf(const Selector& selector, const Scenario& scenario, const Plan& plan) {
  std::set<uint32_t> chosen, except;
  Add(selector.terms, scenario, plan, chosen);
  Add(selector.except, scenario, plan, except);
  std::vector<uint32_t> out;
  for (uint32_t h : chosen) {
    if (!except.contains(h) && Matches(plan.world.hosts[h], selector.where)) out.push_back(h);
  }
  if (!selector.pick_count && !selector.pick_ppm) return out;
  // Each candidate draws a lot of its own; the lowest win. One host more changes no other's lot.
  const std::string purpose = Cat("pick ", selector.as.empty() ? selector.written : selector.as);
  std::vector<std::pair<uint64_t, uint32_t>> lots;
  for (uint32_t h : out) {
    Rng rng = Rng::Named(plan.world.seed, plan.world.hosts[h].id, purpose);
    if (selector.pick_ppm) {
      if (rng.Chance(*selector.pick_ppm, 1'000'000)) lots.push_back({0, h});
    } else {
      lots.push_back({rng.Next(), h});
    }
  }
  std::sort(lots.begin(), lots.end());
  if (selector.pick_count && lots.size() > *selector.pick_count) lots.resize(*selector.pick_count);
  out.clear();
  for (const auto& [lot, h] : lots) out.push_back(h);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> TargetsOf(const Selector& selector, const Scenario& scenario, const Plan& plan) {
  std::vector<std::string> out;
  Selector hosts = selector;
  hosts.terms.clear();
  for (const SelectorTerm& t : selector.terms) {
    if (t.kind == K::kLan || t.kind == K::kLink || t.kind == K::kNatBox) {
      out.push_back(t.text);
    } else if (t.kind == K::kUplink) {
      for (const HostPlan& host : plan.world.hosts) {
        if (Names(t, host)) out.push_back(Cat(host.id, "/", t.uplink));
      }
    } else {
      hosts.terms.push_back(t);
    }
  }
  if (!hosts.terms.empty()) {
    for (uint32_t h : HostsOf(hosts, scenario, plan)) out.push_back(plan.world.hosts[h].id);
  }
  return out;
}

}  // namespace orchard::sim
