// From a scenario and a seed to a plan with every draw made: the hosts one by one, their links, NATs and lives. Each draw
// comes from the stream (seed, host's id, purpose), so that a host more or less changes no other's luck.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "node/base/rng.h"
#include "sim/language/scenario.h"
#include "sim/language/spec.h"

namespace orchard::sim {

// A value of `draw`, from `rng`; never negative unless a bound is.
int64_t Sample(const Draw& draw, Rng& rng);

// When a host comes and goes.
struct HostLife {
  enum class Start : uint8_t { kAt, kMoment, kNever };
  Start start = Start::kAt;
  Duration at{};                  // kAt
  Moment moment;                  // kMoment
  bool churns = false;
  Churn churn;
  Duration first_change{};        // churns: from its start until the first change (of a host met in mid-session: the rest).
  bool churn_starts_up = true;    // Met in mid-session it may be down: it first starts after first_change.
};

// What the report shows as assumed, and as drawn.
struct Assumed {
  std::string what;      // "mix internet-2026: home, port-restricted"
  std::string stated;    // "40 %"
  std::string drawn;     // "23 of 57 (40.4 %)"; empty if nothing was drawn.
  std::string name;      // Of a class of a mix, whose share this is; then `what` names the mix.
  uint32_t share_ppm = 0, count = 0, of = 0;
};

struct Plan {
  WorldPlan world;
  bool lies = false;                    // Somebody misbehaves at some time.
  std::vector<HostLife> lives;          // Beside world.hosts.
  std::vector<Assumed> assumed;
  std::map<std::string, std::vector<uint32_t>> picked;  // By `as`: indices of world.hosts.
};

Plan Expand(const Scenario& scenario, uint64_t seed);

// Hosts that `selector` names, by index, ascending. A pick draws for each host from (seed, host, "pick " + as or text):
// the same selector picks the same hosts everywhere.
std::vector<uint32_t> HostsOf(const Selector& selector, const Scenario& scenario, const Plan& plan);
// What a fault acts on: names as sim/world/world.h takes them ("peer-3", "laptop/wifi", a LAN's id, a bottleneck, "nat@telco").
std::vector<std::string> TargetsOf(const Selector& selector, const Scenario& scenario, const Plan& plan);

// The host's label: host group region nat link. Empty if it has none of that name.
std::string LabelOf(const HostPlan& host, std::string_view label);
// The host's first uplink, or its LAN's router; null: it has no way out.
const UplinkPlan* WayOut(const WorldPlan& world, const HostPlan& host);
bool Matches(const HostPlan& host, const std::vector<Match>& where);
bool Matches(const Match& match, std::string_view value);

}  // namespace orchard::sim
