// What the commands that start workers share: which cases a run has, what a worker is told, how a person repeats it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/language/loader.h"
#include "sim/run/runner_jobs.h"

namespace orchard::sim {

// The cases that `wanted` names (globs; none: all), in the file's order, and after them those that their claims compare them
// to. False, and `error` names the nearest, if one is not there.
bool ChooseCases(const Suite& suite, const std::string& file, const std::vector<std::string>& wanted, std::vector<CaseWords>& chosen,
                 std::string& error);
// Takes away the cases with hosts that run the JavaScript peer, which only the kernel host has; returns their names.
std::vector<std::string> TakeJsCases(const Suite& suite, std::vector<CaseWords>& cases);
// The file has no cases: its one case's directory is the run's.
inline bool WithoutCases(const Suite& suite) { return suite.cases.size() == 1 && suite.cases[0].name.empty(); }

// One case with one seed, in a process of its own.
struct WorkerCall {
  std::string file, typed;          // Where it lies; what its user wrote.
  std::optional<std::string> of_case;
  uint64_t seed = 1;
  std::string out, replay;
  std::vector<std::string> set;
  std::optional<size_t> proof;      // Of fails_when.
  std::string until;                // Stop when this claim is decided; empty: when all are.
  bool netns = false;               // On the kernel host.
  bool strict = false, trace = false, pcap = false, fail_fast = false;
  bool only_result = false;         // No topology.json, series.json, checkpoints.json.
};
Job WorkerJob(const WorkerCall& call);

// `text` as one word of a shell.
std::string ShellWord(const std::string& text);
// "orchard sim my.json --seed 7 --case 'a|b' --set 'world.loss=2%'"
std::string CommandText(const std::string& command, const std::string& file, uint64_t seed, const std::string& of_case,
                        const std::vector<std::string>& set);

// Names this program by its bytes: results of another build are not taken for ours.
const std::string& ProgramDigest();

}  // namespace orchard::sim
