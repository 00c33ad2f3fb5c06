// Runs a Graphviz program as a child process, with a limit on its time and its output.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace orchard::reports {

inline constexpr std::chrono::milliseconds kLayoutTimeMax{5000};
inline constexpr size_t kLayoutBytesMax = 16 << 20;

// Feeds `input` to `command` (found in PATH; "dot", "-Tsvg", …) and returns what it wrote. NotFound: it is
// not installed. DeadlineExceeded: it was killed when `limit` had passed. Internal: it failed; the message
// has the first lines of its complaint.
absl::StatusOr<std::string> RunGraphviz(const std::vector<std::string>& command, const std::string& input,
                                        std::chrono::milliseconds limit);

}  // namespace orchard::reports
