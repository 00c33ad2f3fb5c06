// `orchard report DIR… -o report.html`: one self-contained page about one run, or about several side by side.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace orchard::reports {

// Single drawings and curves are shown of at most so many runs or cases, failed ones first; tables speak of
// all.
inline constexpr size_t kPartsDrawnMax = 12;

// Reads each of `run_dirs` (docs/RUN-DIRECTORY.md), draws each network (topology.dot and topology.svg appear
// beside its topology.json) and writes `out_html`. Without Graphviz the page says so and has the tables.
// InvalidArgument or NotFound: a file is missing or odd; the message names it.
absl::Status WriteReport(absl::Span<const std::string> run_dirs, const std::string& out_html);

}  // namespace orchard::reports
