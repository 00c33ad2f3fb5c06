// topology.json → topology.dot → topology.svg: the network as a drawing that follows the reader's light or
// dark scheme.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "reports/run_directory.h"

namespace orchard::reports {

inline constexpr size_t kSvgBytesMax = 1'000'000;

struct Drawing {
  std::string dot;   // Always.
  std::string svg;   // Empty if Graphviz is missing or failed.
  std::string note;  // Why there is no drawing, or a simpler one; else empty.
};
Drawing DrawTopology(const Topology& t);

// Reads `topology_json`, writes topology.dot and topology.svg into `out_dir`. Unavailable: no drawing (the
// message says why), but the DOT file is there.
absl::Status WriteTopologySvg(const std::string& topology_json, const std::string& out_dir);

// `text` as the content of an XML or HTML element or attribute.
std::string Escaped(std::string_view text);

}  // namespace orchard::reports
