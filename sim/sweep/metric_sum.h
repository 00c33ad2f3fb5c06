// The metrics of many runs together. Counts, totals, means and extremes are exact; percentiles of runs cannot be put together, so
// of these the least, middle and greatest of the runs are kept.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/language/json_text.h"

namespace orchard::sim {

class MetricSums {
 public:
  // `metrics` of a result.json.
  void Add(const Json& metrics);
  // {name: {count, mean, min, max, total, unit}}
  Json ToJson() const;
  // {name: {p50: [least, middle, greatest], p95: …, p99: …}} over the runs that had samples.
  Json Spread() const;

 private:
  struct Sum {
    std::string unit;
    uint64_t count = 0;
    int64_t min_micro = 0, max_micro = 0;
    __int128 total_micro = 0;
    std::map<std::string, std::vector<int64_t>> percentiles;  // Of each run.
  };
  std::map<std::string, Sum> sums_;
};

}  // namespace orchard::sim
