// Puts the results of a sweep's runs together. The same runs give the same result in whatever order they are added: by whom and
// where they were run does not show.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/language/json_text.h"
#include "sim/sweep/claim_sum.h"
#include "sim/sweep/metric_sum.h"
#include "sim/sweep/seeds.h"

namespace orchard::sim {

// What a sweep is of: DIR/sweep.json.
struct SweepPlan {
  struct Case {
    std::string name, says;   // The name is empty in a file without cases.
    std::string input;        // Digest of the scenario as this case reads it.
  };
  std::string scenario;       // As it was typed.
  std::string name, says;
  std::vector<std::string> set;
  std::string program;        // Digest of the program whose runs count.
  SeedRange seeds;
  std::optional<uint64_t> decides;  // How many seeds the file's "sweep" has: with so many, undecided is a failure.
  std::vector<Case> cases;

  bool whole() const { return cases.size() == 1 && cases[0].name.empty(); }
  size_t runs() const { return size_t(seeds.count()) * cases.size(); }
  Json ToJson() const;
  // Nothing if it is no sweep.json.
  static std::optional<SweepPlan> FromJson(const Json& j);
};

class SweepMerge {
 public:
  static constexpr size_t kFailingMax = 1000;  // Runs that are listed one by one.

  explicit SweepMerge(const SweepPlan& plan);

  // Runs of one seed, a result.json for each case, in any order of seeds. Nothing: it has not run.
  void Add(uint64_t seed, const std::vector<std::optional<Json>>& results);
  // Its process ended badly: that run has no result.
  void AddBroken(uint64_t seed, size_t of_case, const std::string& why);

  // orchard.result/1 with `sweep` (docs/RUN-DIRECTORY.md). Sorts what it lists.
  Json Result(bool interrupted);

 private:
  struct FailedRun {
    uint64_t seed;
    size_t of_case;
    std::vector<std::string> claims, notes;
    bool broken = false;
  };
  struct CaseSum {
    uint64_t ran = 0, passed = 0;
    std::vector<ClaimSum> claims;
    std::map<std::string, size_t> by_name;
    MetricSums metrics;
  };
  void AddRun(uint64_t seed, size_t of_case, const Json& result);

  const SweepPlan& plan_;
  std::vector<CaseSum> cases_;
  std::vector<FailedRun> failed_;
  uint64_t ran_ = 0, broken_ = 0;   // Runs.
  uint64_t seeds_ran_ = 0;          // Seeds with all their cases.
  uint64_t bad_runs_ = 0;           // Runs that failed beside their claims.
  std::map<std::string, int64_t> sums_;
  uint64_t hosts_ = 0, rss_ = 0;
  std::string version_;
  std::map<std::pair<uint64_t, size_t>, std::string> fingerprints_;
};

}  // namespace orchard::sim
