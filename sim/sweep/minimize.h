// orchard minimize: the smallest scenario that still breaks the same claim at the same seed. Each candidate that the language
// accepts runs in processes of its own.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/run/progress.h"

namespace orchard::sim {

struct MinimizeOptions {
  std::string file;
  std::optional<uint64_t> seed;  // Nothing: the file's.
  std::string of_case, claim;    // Empty: the first case that fails, its first claim that does.
  std::vector<std::string> set;
  std::string out;               // Empty: NAME-seedN-small.json.
  // A seed at which the claim holds. Candidates must hold there, too, so that what is left is what makes the difference, and no
  // world in which the claim could not hold at all. Nothing: the first of kControlsTried at which it does, if there is one.
  std::optional<uint64_t> control;
  bool no_control = false;
  size_t runs_max = 300, jobs = 0;
};
inline constexpr uint64_t kControlsTried = 8;

// Returns the exit status: 0 something was written; 2 nothing fails, or the input is wrong.
int RunMinimize(const MinimizeOptions& options, Screen& screen, const volatile std::sig_atomic_t* interrupted);

// What a claim came to, in a result.json. A candidate must fail likewise, or "no sample" would be the end of every search.
struct Ending {
  std::string verdict;
  bool sampled = false;
  std::vector<std::string> bounds;  // Those that did not hold, each with its statistic and whether it had a figure; sorted.
  friend bool operator==(const Ending&, const Ending&) = default;
};
Ending EndingOf(const Json& claim);

}  // namespace orchard::sim
