// The table of metrics and events: what a claim may judge and a report may plot. The loader checks names against it,
// `orchard metrics` prints it, the recorder fills it. Source: docs/SCENARIOS.md, "Names of metrics and events".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orchard::sim {

enum class MetricKind : uint8_t {
  kSample,   // One value each time it is measured; a claim says which figure of them.
  kCounter,  // Grows; a bare bound judges its growth in the window.
  kGauge,    // Read each virtual second, per host; a bare bound judges the last reading.
  kEvent,    // Happens; is a counter too.
};

struct Metric {
  std::string name;
  MetricKind kind;
  std::string unit;    // "ms", "bytes", "mbps", "ratio", or empty for plain numbers.
  std::string source;  // "event dht.bootstrapped", "operation dht.lookup: hops", "world".
  std::string labels;  // Beyond those of the host (host region nat link) and `as`; separated by spaces.
  std::string says;
};

// Ordered by name. Every operation a.b has a.b.ok and a.b_ms in it.
const std::vector<Metric>& Metrics();
// Null if there is none of that name.
const Metric* FindMetric(std::string_view name);
std::string_view KindName(MetricKind kind);

// Labels that every sample has through its host, and `as` through its entry.
inline constexpr std::string_view kHostLabels[] = {"host", "region", "nat", "link", "as", "case"};

// Values are integers in millionths of the metric's unit: nanoseconds for ms, ppm for ratios.
inline constexpr int64_t kMicro = 1'000'000;

// The lines of `orchard metrics`, one per metric whose name matches the regular expression (all if empty).
std::string MetricsText(std::string_view pattern);

}  // namespace orchard::sim
