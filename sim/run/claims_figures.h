// From samples to the figures that bounds are put on: which samples a claim means, and their statistics, in integers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/run/recorder.h"
#include "sim/language/scenario.h"

namespace orchard::sim {

// A label of the host, as opposed to one of the sample.
bool IsHostLabel(std::string_view label);

// Which samples are meant: hosts by index, the other labels by their conditions.
class SampleFilter {
 public:
  // `hosts`: those of the claim's `of`. Conditions on host labels narrow them at once. `metric`: a label of its own wins over the
  // host's of that name (link of pod.bytes).
  SampleFilter(const Recorder& recorder, const Scenario& scenario, std::vector<uint32_t> hosts,
               const std::vector<Match>& where, Duration up, std::string_view metric);
  bool Takes(const Reading& s) const;
  bool TakesHost(uint32_t h) const { return host_[h]; }
  const std::vector<uint32_t>& hosts() const { return hosts_; }
  // The value of a label of this sample, `host region nat link group as` or one of its metric's own.
  std::string Label(const Reading& s, std::string_view label) const;
  // A label of the host, and not of the metric itself.
  bool OfHost(std::string_view label) const;
  bool has_sample_conditions() const { return !where_.empty(); }

 private:
  const Recorder& recorder_;
  const Scenario& scenario_;
  std::vector<std::string> own_;  // Labels of the metric.
  std::vector<char> host_;
  std::vector<uint32_t> hosts_;
  std::vector<Match> where_;  // Conditions that only a sample can meet.
  Duration up_;
};

// Samples in [open, close], both included.
std::vector<Reading> SamplesIn(const Recorder& recorder, std::string_view metric, const SampleFilter& filter, Instant open,
                              Instant close);

// Of these the last of each host, by host. Copies no others: gauges of ten thousand hosts are millions.
std::vector<Reading> LastIn(const Recorder& recorder, std::string_view metric, const SampleFilter& filter, Instant open,
                            Instant close);

// "p95", "ratio", "p99.9".
std::string StatName(const Bound& bound);

// The figure in millionths (kCount: of one). Nothing without samples, unless it is a count or a total. `worst` decides what
// `last` means for several hosts: each host's last reading, of which the least favourable is taken.
std::optional<int64_t> Figure(const Bound& bound, const std::vector<Reading>& samples, int64_t within_low, int64_t within_high);

// What a ratio or a share is the mean of, summed: in millionths of one.
int64_t Hits(const Bound& bound, const std::vector<Reading>& samples, int64_t within_low, int64_t within_high);

bool Holds(const Bound& bound, int64_t observed);

// Nearest rank: the smallest value with at least q of all at or below it. `values` is reordered.
int64_t Quantile(std::vector<int64_t>& values, uint32_t q_ppm);

}  // namespace orchard::sim
