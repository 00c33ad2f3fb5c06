// Who fetches which chunk, decided beforehand as the original does. docs: PeaToPea scheduler.rs.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace orchard::pod {

enum class Scheduler : uint8_t {
  kAdaptive,    // Ours: each chunk where it is expected to be finished first.
  kRoundRobin,  // Chunk i to worker i mod n.
  kWeighted,    // Contiguous runs, as long as the weights say.
  kSinglePeer,  // All to the first peer, or to ourselves if there is none.
};

// The worker (an index below `workers`) of each of `chunks` chunks; worker 0 is ourselves. Empty weights, as many as there are
// not workers, or a sum of zero: round robin. A weight of 0 may still get one chunk, as in the original.
std::vector<uint32_t> Plan(Scheduler scheduler, uint32_t chunks, uint32_t workers, absl::Span<const uint64_t> weights);

}  // namespace orchard::pod
