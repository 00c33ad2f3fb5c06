#include "sim/orchard_sim_netns.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "sim/language/lint.h"
#include "sim/language/text.h"
#include "sim/netns/kernel_lab.h"
#include "sim/netns/terms.h"
#include "sim/netns/wiring.h"
#include "sim/run/runner_worker.h"

namespace orchard::sim {
namespace {

// With those that only a plan shows.
std::vector<LoadError> RefusalsOf(const Suite& suite, const CaseWords& which) {
  std::vector<LoadError> out;
  for (NetnsLimit& l : NetnsLimits(suite, which)) {
    if (l.refused) out.push_back(std::move(l.error));
  }
  std::vector<LoadError> errors;
  const std::optional<Scenario> s = out.empty() ? BuildCase(suite, which, errors) : std::nullopt;
  if (!s) return out;
  for (const std::string& what : WiringRefusals(Expand(*s, s->seed).world)) {
    const size_t colon = what.find(": ");
    out.push_back({{0, 1, 1}, what.substr(0, colon), Cat("the kernel host cannot do ", what.substr(colon + 2)), "", "", 1});
  }
  return out;
}

}  // namespace

std::vector<std::string> TakeRefusedCases(const Suite& suite, std::vector<CaseWords>& cases) {
  std::vector<std::string> names;
  std::erase_if(cases, [&](const CaseWords& c) {
    if (RefusalsOf(suite, c).empty()) return false;
    names.push_back(c.name);
    return true;
  });
  return names;
}

std::string NetnsRefusals(const Suite& suite, const std::vector<CaseWords>& cases) {
  std::vector<LoadError> all;
  std::string can;
  for (const CaseWords& c : suite.cases) {
    if (can.empty() && RefusalsOf(suite, c).empty()) can = c.name;
  }
  for (const CaseWords& c : cases) {
    for (LoadError& e : RefusalsOf(suite, c)) {
      const bool known = std::any_of(all.begin(), all.end(), [&](const LoadError& x) { return x.place == e.place && x.found == e.found; });
      if (!known) all.push_back(std::move(e));
    }
  }
  for (LoadError& e : all) e.found += Cat(". Run with --host ns3", can.empty() ? "" : Cat(", or one case that can: --case ", QuoteJson(can)));
  return all.empty() ? "" : RenderErrors(all, suite.sources);
}

std::string NetnsObstacle(const Suite& suite, const std::vector<CaseWords>& cases) {
  std::vector<CaseWords> without = cases;
  return KernelObstacle(FindPrograms(), !TakeJsCases(suite, without).empty());
}

CaseResult RunKernelCase(const Suite& suite, Scenario scenario, const CaseOptions& options, const std::function<void(const CaseProgress&)>& tell) {
  const std::vector<std::string> notes = GrantTerms(scenario);
  return RunCase(suite, scenario, options, tell, [&](const Plan& plan, Observer* observer) -> std::unique_ptr<Lab> {
    absl::StatusOr<std::unique_ptr<KernelLab>> lab = KernelLab::Make(plan, observer, FindPrograms());
    if (!lab.ok()) throw std::runtime_error(std::string(lab.status().message()));  // Main says it: the environment is at fault.
    for (const std::string& n : notes) (*lab)->Note(n);
    return *std::move(lab);
  });
}

size_t NetnsCasesAtOnce() { return std::max<size_t>(8, 4 * std::thread::hardware_concurrency()); }

}  // namespace orchard::sim
