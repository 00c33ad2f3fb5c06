// `orchard sim --host netns` and `--compare`: what is refused before anything starts, and the lab of a worker.
#pragma once

#include <string>
#include <vector>

#include "sim/language/loader.h"
#include "sim/run/runner_case.h"

namespace orchard::sim {

// What the kernel host cannot do of these cases, as errors at their places; empty: all can run.
std::string NetnsRefusals(const Suite& suite, const std::vector<CaseWords>& cases);
// Takes away the cases that it refuses; returns their names.
std::vector<std::string> TakeRefusedCases(const Suite& suite, std::vector<CaseWords>& cases);
// Why this machine cannot run them, in a sentence; empty: it can.
std::string NetnsObstacle(const Suite& suite, const std::vector<CaseWords>& cases);
// A worker's case on the kernel host.
CaseResult RunKernelCase(const Suite& suite, Scenario scenario, const CaseOptions& options, const std::function<void(const CaseProgress&)>& tell);
// Cases at a time: they mostly wait.
size_t NetnsCasesAtOnce();

}  // namespace orchard::sim
