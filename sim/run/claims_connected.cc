// `connected`: pairs of hosts that must be, once be, or stay connected, and on which path; and why they are not.
#include <algorithm>

#include "sim/language/text.h"
#include "sim/run/claims.h"
#include "sim/run/claims_watch.h"

namespace orchard::sim {
namespace {

constexpr size_t kPairsExplained = 4, kPairsKept = 64;

std::string ClockAt(Instant t) { return TimeText(t.time_since_epoch()); }

bool Is(PathSet paths, PathSet wanted) { return paths == 0 ? (wanted & Bit(PathKind::kNone)) != 0 : (paths & wanted) != 0; }
std::string Name(PathSet paths) { return paths == 0 ? std::string(PathWord(PathKind::kNone)) : PathSetText(paths); }

// "none; punched from 27s; none from 31s"
std::string StatesText(const std::vector<Connections::State>& states) {
  std::string out = Name(states[0].paths);
  const size_t skipped = states.size() > 5 ? states.size() - 5 : 0;
  for (size_t i = 1; i < states.size(); ++i) {
    if (skipped > 0 && i == 1) out += Cat("; …", skipped, " changes");
    if (i > skipped) out += Cat("; ", Name(states[i].paths), " from ", ClockAt(states[i].at));
  }
  return out;
}

// "symmetric (AP/AP, random ports)", as the world has it.
std::string TrueNat(const WorldPlan& world, const HostPlan& host) {
  static constexpr std::string_view kAxis[] = {"EI", "AD", "AP"}, kPorts[] = {"preserved", "sequential", "random", "blocks of"};
  std::vector<std::string> ways;
  auto add = [&](const UplinkPlan& way) {
    std::string chain;
    for (const NatRef& n : way.nat) {
      const NatSpec& s = n.spec;
      const std::string axes = s.udp_blocked ? "no UDP" : Cat(kAxis[size_t(s.mapping)], "/", kAxis[size_t(s.filtering)], ", ", kPorts[size_t(s.ports)], " ports");
      chain += Cat(chain.empty() ? "" : " + ", s.preset, n.shared_name.empty() ? "" : Cat("@", n.shared_name.substr(n.shared_name.rfind('@') + 1)), " (", axes, ")");
    }
    ways.push_back(Cat(chain.empty() ? "open" : chain, host.uplinks.size() > 1 ? Cat(" on ", way.name) : ""));
  };
  for (const UplinkPlan& u : host.uplinks) add(u);
  if (host.uplinks.empty()) {
    if (const UplinkPlan* way = WayOut(world, host)) add(*way);
  }
  if (ways.empty()) return "no way out";
  return Cat(ListText(ways, 4), host.firewall == Firewall::kStateful ? " and a firewall" : "");
}

std::string SeenAs(const std::string& nat) { return nat.empty() ? "" : Cat(", seen as ", nat); }

}  // namespace

std::vector<std::string> ExplainPair(const ClaimSources& in, HostIndex a, HostIndex b, PathSet wanted, Instant open, Instant close, Instant since) {
  const std::vector<HostPlan>& hosts = in.plan.world.hosts;
  const std::vector<Connections::State> states = in.connections.StatesOf(a, b, open, close, since);
  const Connections::Pair* pair = in.connections.FindPair(a, b);
  std::vector<std::string> why;
  std::string line = Cat(hosts[a].id, " – ", hosts[b].id, ": ", StatesText(states));
  if (states.back().paths == 0 && in.connections.StatesOf(a, b, close, close, Instant{}).back().paths != 0) {
    line += Cat(", but for a connection made before ", ClockAt(since));
  }
  if (pair != nullptr && states.size() > 1 && states.back().paths == 0 && !pair->last_code.empty()) line += Cat(" (", pair->last_code, ")");
  why.push_back(std::move(line));
  if (wanted == Bit(PathKind::kNone)) return why;

  const Connections::Dial* dial = pair == nullptr || pair->dials == 0 ? nullptr : &pair->last;
  // A dial that has just begun says less than the one before, which failed.
  if (dial != nullptr && !dial->open && dial->code.empty() && pair->last_failed.by != kNoHost && dial->step.empty()) dial = &pair->last_failed;
  if (dial == nullptr) {
    why.push_back("neither dialled the other");
  } else {
    const std::string whose = Cat(hosts[dial->by].id, "'s dial of ", ClockAt(dial->began)), step = dial->step.empty() ? "" : Cat(" in step \"", dial->step, "\"");
    if (dial->open) {
      if (in.connections.StatesOf(a, b, close, close, Instant{}).back().paths == 0) {
        why.push_back(Cat(whose, " opened at ", ClockAt(dial->at), pair->last_code.empty() ? Cat(", but not at ", hosts[dial->by == a ? b : a].id)
                                                                                             : Cat(" and was closed (", pair->last_code, ")")));
      }
    } else {
      why.push_back(dial->code.empty() ? Cat(whose, " waits", step.empty() ? " before its first step" : step, " since ", ClockAt(dial->at))
                                       : Cat(whose, " failed at ", ClockAt(dial->at), step, " (", dial->code, "), ", dial->probes, " probes"));
    }
  }
  const Connections::Dial* seen = pair == nullptr || pair->classified.local_nat.empty() ? nullptr : &pair->classified;
  const bool by_a = seen == nullptr || seen->by == a;
  const std::string seen_a = seen == nullptr ? "" : by_a ? seen->local_nat : seen->remote_nat, seen_b = seen == nullptr ? "" : by_a ? seen->remote_nat : seen->local_nat;
  why.push_back(Cat(hosts[a].id, " is behind ", TrueNat(in.plan.world, hosts[a]), SeenAs(seen_a), "; ", hosts[b].id, " behind ",
                    TrueNat(in.plan.world, hosts[b]), SeenAs(seen_b)));
  return why;
}

bool ClaimJudge::JudgeConnected(ClaimResult& r, Instant open, Instant close) {
  const Claim& c = *r.claim;
  Watch& watch = *watches_[size_t(&r - results_.data())];
  const bool once = c.window.kind == Window::Kind::kBy, then = c.window.kind == Window::Kind::kAt;
  const PathSet wanted = PathSetOf(c.paths);
  const Instant from = then ? close : open, since = c.window.since ? in_.moments.At(*c.window.since).value_or(Instant{}) : Instant{};
  std::set<std::pair<uint32_t, uint32_t>> pairs;
  for (uint32_t a : HostsOfClaim(c.a)) {
    for (uint32_t b : HostsOfClaim(c.b)) {
      if (a != b) pairs.insert(std::minmax(a, b));
    }
  }
  r.pairs.clear();
  std::vector<std::pair<uint32_t, uint32_t>> bad;
  PathSet only = 0;
  for (const auto& pair : pairs) {
    if (once && watch.met.contains(pair)) continue;
    const std::vector<Connections::State> states = in_.connections.StatesOf(pair.first, pair.second, from, close, since);
    auto good = [&](const Connections::State& s) { return Is(s.paths, wanted); };
    const bool held = once ? std::any_of(states.begin(), states.end(), good) : std::all_of(states.begin(), states.end(), good);
    if (held && once) watch.met.insert(pair);
    if (!held) bad.push_back(pair);
    // Of a single pair: what it has, or where it first went wrong.
    auto wrong = std::find_if_not(states.begin(), states.end(), good);
    only = once || wrong == states.end() ? states.back().paths : wrong->paths;
    if (held && once) only = std::find_if(states.begin(), states.end(), good)->paths;
  }
  r.n = pairs.size();
  r.observed = pairs.size() == 1 ? (once && bad.empty() && only == 0 ? "connected" : Name(only)) : Cat(pairs.size() - bad.size(), " of ", pairs.size(), " pairs");
  if (pairs.empty()) r.why.push_back("no pair of hosts is meant");
  if (in_.connections.lost() > 0) r.why.push_back(Cat(in_.connections.lost(), " connections were beyond those whose history is kept"));
  for (size_t i = 0; i < bad.size(); ++i) {
    if (i < kPairsKept) r.pairs.push_back(bad[i]);
    if (i == kPairsExplained) r.why.push_back(Cat("… and ", bad.size() - i, " pairs more"));
    if (i >= kPairsExplained) continue;
    for (std::string& line : ExplainPair(in_, bad[i].first, bad[i].second, wanted, from, close, since)) r.why.push_back(std::move(line));
  }
  return !pairs.empty() && bad.empty() && in_.connections.lost() == 0;
}

// What came too late is told when the run is over.
void ClaimJudge::TellLate(ClaimResult& r, Instant now) {
  const Claim& c = *r.claim;
  if (c.kind != Claim::Kind::kConnected || c.window.kind != Window::Kind::kBy || r.pairs.empty() || now <= r.at) return;
  const PathSet wanted = PathSetOf(c.paths);
  const Instant since = c.window.since ? in_.moments.At(*c.window.since).value_or(Instant{}) : Instant{};
  Instant last{};
  size_t never = 0;
  for (const auto& [a, b] : r.pairs) {
    const std::vector<Connections::State> states = in_.connections.StatesOf(a, b, r.from, now, since);
    auto met = std::find_if(states.begin(), states.end(), [&](const Connections::State& s) { return Is(s.paths, wanted); });
    if (met == states.end()) ++never;
    else last = std::max(last, met->at);
  }
  if (last > r.at) r.observed += Cat("; ", never == 0 ? "all" : "some", " at ", ClockAt(last), " (", TimeText(last - r.at), " late)");
  if (never > 0) r.observed += Cat("; ", r.pairs.size() == 1 ? "still not" : Cat(never, " still not"), " at ", ClockAt(now));
}

}  // namespace orchard::sim
