// Chooses among the slots that can take a request.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "node/base/rng.h"
#include "node/cage/config.h"

namespace orchard::cage {

class Balancer {
 public:
  struct Candidate {
    bool able = false;
    uint32_t active = 0;  // Runs that it has.
    uint32_t weight = 1;
  };
  // The index of one that is able; nothing if none is. Draws from `rng` only for kTwoChoices.
  std::optional<size_t> Choose(Balance balance, absl::Span<const Candidate> slots, Rng& rng);

 private:
  size_t next_ = 0;               // Round robin.
  std::vector<int64_t> current_;  // Smooth weighted round robin.
};

}  // namespace orchard::cage
