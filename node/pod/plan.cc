#include "node/pod/plan.h"

#include <algorithm>

#include "node/base/check.h"

namespace orchard::pod {

std::vector<uint32_t> Plan(Scheduler scheduler, uint32_t chunks, uint32_t workers, absl::Span<const uint64_t> weights) {
  CHECK_GT(workers, 0u);
  std::vector<uint32_t> plan(chunks);
  if (scheduler == Scheduler::kSinglePeer) {
    std::fill(plan.begin(), plan.end(), workers > 1 ? 1 : 0);
    return plan;
  }
  // 128 bits: the original's product may overflow.
  unsigned __int128 sum = 0;
  for (uint64_t w : weights) sum += w;
  if (scheduler != Scheduler::kWeighted || weights.size() != workers || sum == 0) {
    for (uint32_t i = 0; i < chunks; ++i) plan[i] = i % workers;
    return plan;
  }
  std::vector<uint32_t> counts(workers);
  uint32_t given = 0;
  for (uint32_t w = 0; w < workers; ++w) given += counts[w] = uint32_t(static_cast<unsigned __int128>(weights[w]) * chunks / sum);
  for (uint32_t w = 0; given < chunks; ++w, ++given) ++counts[w % workers];
  auto at = plan.begin();
  for (uint32_t w = 0; w < workers; ++w) at = std::fill_n(at, counts[w], w);
  return plan;
}

}  // namespace orchard::pod
