// orchard sweep: many seeds of one scenario, each case of each a process, and what they say together. A directory that holds some
// of the runs already is gone on with; several ranks may share the work and the directory.
#pragma once

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "sim/run/progress.h"
#include "sim/sweep/seeds.h"

namespace orchard::sim {

struct SweepOptions {
  std::string file;
  std::optional<SeedRange> seeds;    // Nothing: those of the file.
  std::vector<std::string> cases;    // Globs; none: all.
  std::vector<std::string> set;
  std::string out;                   // Empty: runs/NAME-sweep.
  size_t jobs = 0;                   // 0: as many as there are cores, or one for each of several ranks.
  Rank rank;
};

inline constexpr size_t kSweepRunsMax = 100'000;  // Seeds × cases.
inline constexpr size_t kSweepJobsMax = 1024;     // Processes at once.

// Returns the exit status.
int RunSweep(const SweepOptions& options, Screen& screen, const volatile std::sig_atomic_t* interrupted);
// Puts together what lies in the directory.
int MergeSweep(const std::string& dir, Screen& screen);

}  // namespace orchard::sim
