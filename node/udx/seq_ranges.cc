#include "node/udx/seq_ranges.h"

#include <algorithm>

namespace orchard::udx {

size_t SeqRanges::FirstEndingAtOrAfter(uint32_t seq) const {
  // Nearly always the last one or beyond it: packets come in order, but for the holes.
  if (ranges_.empty() || Before(ranges_.back().end, seq)) return ranges_.size();
  auto it = std::partition_point(ranges_.begin(), ranges_.end(), [&](const SeqRange& r) { return Before(r.end, seq); });
  return size_t(it - ranges_.begin());
}

void SeqRanges::Add(SeqRange range, absl::FunctionRef<void(SeqRange)> fresh) {
  if (!Before(range.start, range.end)) return;
  const size_t first = FirstEndingAtOrAfter(range.start);
  SeqRange merged = range;
  uint32_t at = range.start;  // What lies before it is told or was known.
  size_t i = first;
  for (; i < ranges_.size() && !Before(range.end, ranges_[i].start); ++i) {
    const SeqRange known = ranges_[i];
    if (Before(at, known.start)) fresh({at, known.start});
    if (Before(at, known.end)) at = known.end;
    if (Before(known.start, merged.start)) merged.start = known.start;
    if (Before(merged.end, known.end)) merged.end = known.end;
  }
  if (Before(at, range.end)) fresh({at, range.end});
  if (i == first) {
    ranges_.insert(ranges_.begin() + ptrdiff_t(first), merged);
  } else {
    ranges_[first] = merged;
    ranges_.erase(ranges_.begin() + ptrdiff_t(first) + 1, ranges_.begin() + ptrdiff_t(i));
  }
}

bool SeqRanges::Add(uint32_t seq) {
  bool missing = false;
  Add({seq, seq + 1}, [&](SeqRange) { missing = true; });
  return missing;
}

bool SeqRanges::Contains(uint32_t seq) const {
  const size_t i = FirstEndingAtOrAfter(seq + 1);
  return i < ranges_.size() && !Before(seq, ranges_[i].start);
}

void SeqRanges::DropBefore(uint32_t seq) {
  size_t i = 0;
  while (i < ranges_.size() && !Before(seq, ranges_[i].end)) ++i;
  ranges_.erase(ranges_.begin(), ranges_.begin() + ptrdiff_t(i));
  if (!ranges_.empty() && Before(ranges_.front().start, seq)) ranges_.front().start = seq;
}

}  // namespace orchard::udx
