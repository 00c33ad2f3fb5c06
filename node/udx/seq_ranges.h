// A set of sequence numbers as ascending, disjoint, half-open ranges: what a receiver holds out of order (its SACK), and what
// a sender knows to have arrived. All lie within half the circle of each other; the owner bounds the span.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "node/udx/packet.h"

namespace orchard::udx {

class SeqRanges {
 public:
  // Adds [start, end) and calls `fresh` for each maximal part that was missing, in order. O(log n), plus O(n) words moved if
  // the number of ranges changes.
  void Add(SeqRange range, absl::FunctionRef<void(SeqRange)> fresh);
  // True if `seq` was missing.
  bool Add(uint32_t seq);
  bool Contains(uint32_t seq) const;
  // Forgets all before `seq`.
  void DropBefore(uint32_t seq);
  void Clear() { ranges_.clear(); }
  bool empty() const { return ranges_.empty(); }
  absl::Span<const SeqRange> ranges() const { return ranges_; }

 private:
  // The first range that ends at or after `seq`.
  size_t FirstEndingAtOrAfter(uint32_t seq) const;

  std::vector<SeqRange> ranges_;
};

}  // namespace orchard::udx
