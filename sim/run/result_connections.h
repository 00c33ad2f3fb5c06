// What topology.json says of connections: pairs and their paths over time, who was dark for whom, success by pairs of NATs.
#pragma once

#include <vector>

#include "sim/run/result.h"

namespace orchard::sim {

// Edges of the drawing, one a pair that dialled: a path, or failed.
std::vector<Json> ConnectionEdges(const CaseFacts& facts);
// Adds `connections`, `reach`, `nat_pairs` and `connect_errors`, as far as there are any.
void ConnectionsJson(const CaseFacts& facts, Json& topology);

}  // namespace orchard::sim
