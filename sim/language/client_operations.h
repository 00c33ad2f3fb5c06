// Operations of the timeline that no node does: those of programs that run on a host beside it, such as curl. In the shape of
// the node's own table, so that loader, schema and metrics read both.
#pragma once

#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "node/sidecar/operations.h"

namespace orchard::sim {

// Ordered by name.
absl::Span<const sidecar::Operation> ClientOperations();
// Null: there is none of that name, or it is the node's.
const sidecar::Operation* FindClientOperation(std::string_view name);
// What an entry's `do` may name beside faults: the node's, then those of clients.
std::vector<const sidecar::Operation*> Actions();
const sidecar::Operation* FindAction(std::string_view name);

// Where a node's proxy listens unless its configuration says otherwise: what "proxy": "pod" of http.get means.
inline constexpr std::string_view kPodProxy = "127.0.0.1:3128";

}  // namespace orchard::sim
