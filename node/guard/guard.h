// The guard of one site: who asks too often, what no honest client asks, what is unlike all that was asked before. A machine: it is
// told of requests and answers with a verdict; what becomes of it is its parent's affair. Whatever it does not read or know passes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "node/base/turn.h"
#include "node/guard/flood.h"
#include "node/guard/forest.h"
#include "node/guard/rules.h"
#include "node/guard/verdict.h"

namespace orchard::guard {

enum class Mode : uint8_t {
  kOff,
  kFlag,   // Requests are served, and told of.
  kBlock,  // They are refused.
};
std::string_view NameOf(Mode mode);

class Guard {
 public:
  // The seed's: every tenth request is learnt from and scored, 100 make a forest, 0.8 is an anomaly.
  static constexpr uint64_t kOneOf = 10;
  static constexpr size_t kSamples = 100;
  static constexpr uint32_t kAnomaly = 800;

  Guard(Mode mode = Mode::kOff, uint32_t rate = 100);
  Mode mode() const { return mode_; }

  // A request begins. Only kFlood.
  struct Arrival {
    Verdict verdict;
    bool tell = false;  // The first of this client's in a second.
  };
  Arrival Arrived(Instant now, const Endpoint& peer);
  // It is whole. Draws from `rng`, unless the guard is off. Any other class.
  Verdict Whole(Rng& rng, const Asked& asked);

  // Requests by what was said of them, in either mode.
  const std::array<uint64_t, kClassNames.size()>& counts() const { return counts_; }
  uint64_t found() const;
  bool trained() const { return forest_.trained(); }

 private:
  Mode mode_;
  Flood flood_;
  Forest forest_;
  std::vector<Forest::Sample> samples_;  // Since the forest was grown. At most kSamples.
  std::array<uint64_t, kClassNames.size()> counts_{};
};

// What the forest sees of a request.
Forest::Sample FeaturesOf(const Asked& asked);

}  // namespace orchard::guard
