// The same cases in two labs, and variants of a case, side by side: what the operations of the timeline came to, and through
// which path. A case named "X (words)" is a variant of the case X and stands beside it.
#pragma once

#include <string>
#include <vector>

#include "sim/language/json_text.h"

namespace orchard::sim {

// `answers` of a result.json: what the named operations came to, at most kAnswersMax of them.
inline constexpr size_t kAnswersMax = 200;

// `compared` of result.json (docs/RUN-DIRECTORY.md). `ns3` and `netns` are result.json of the cases that ran there.
Json CompareJson(const std::vector<Json>& ns3, const std::vector<Json>& netns);
// Of the cases that ran in both, those that did not come to the same.
size_t Differences(const Json& compared);
// A line per cell, a column per lab and variant; what differs from ns-3 is marked.
std::string CompareTable(const Json& compared, bool colour);

}  // namespace orchard::sim
