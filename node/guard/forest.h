// An isolation forest: how few questions tell a request from the usual ones. Liu, Ting and Zhou 2008; in integers alone, so that a
// seed gives the same trees and scores on every machine.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "node/base/fixed_point.h"
#include "node/base/rng.h"

namespace orchard::guard {

class Forest {
 public:
  static constexpr size_t kFeatures = 5, kTrees = 100;
  static constexpr size_t kSubsample = 20;  // The seed's; 256 in the paper, for more samples than we train with.
  static constexpr uint32_t kUntrained = 500;

  using Sample = std::array<uint32_t, kFeatures>;
  // A value beyond all that a tree has seen is asked for as if it had been among them: with the probability that a cut, drawn from
  // the range that it then has, falls between it and them, it stands alone. A gap as small as that feature's `slack` is none. The
  // paper's own trees cannot tell such a value from the outermost they know. docs/decisions/0013. Nothing: as the paper has it.
  using Slack = std::optional<Sample>;

  explicit Forest(const Slack& slack = std::nullopt) : slack_(slack) {}
  // From kSubsample samples or more. About 100 × 20 × 5 steps.
  void Train(absl::Span<const Sample> samples, Rng& rng);
  bool trained() const { return !roots_.empty(); }
  // 2^(-E(h(x)) / c(kSubsample)) in permille: 500 and less is usual, 1000 as odd as can be. Untrained: kUntrained.
  uint32_t Score(const Sample& x) const;

 private:
  // x[feature] ≤ cut goes to the next node, the others to `right`. A leaf: right 0, and `cut` samples ended there.
  struct Node {
    uint32_t cut = 0, low = 0, high = 0;  // low and high: what the tree saw of that feature here.
    uint16_t right = 0;
    uint8_t feature = 0;
  };
  void Grow(absl::Span<Sample> samples, uint32_t depth, Rng& rng);
  Q32 Path(size_t at, const Sample& x) const;

  Slack slack_;
  std::vector<Node> nodes_;      // Of all trees, each in preorder. At most kTrees × 2 × kSubsample.
  std::vector<uint32_t> roots_;
};

}  // namespace orchard::guard
