#include "node/udx/send_queue.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"

namespace orchard::udx {

void SendQueue::Push(std::string&& bytes) {
  if (bytes.empty()) return;
  const uint64_t start = end_;
  end_ += bytes.size();
  if (bytes.size() <= kSmall && chunks() > 0 && chunks_.back().bytes.size() + bytes.size() <= kChunk) {
    chunks_.back().bytes += bytes;
    return;
  }
  chunks_.push_back({start, std::move(bytes)});
}

void SendQueue::Read(uint64_t offset, size_t size, absl::FunctionRef<void(Bytes)> piece) const {
  CHECK(offset >= begin_ && offset + size <= end_);
  if (size == 0) return;
  // The last chunk that starts at or before `offset`.
  auto it = std::partition_point(chunks_.begin() + ptrdiff_t(first_), chunks_.end(),
                                 [&](const Chunk& c) { return c.start <= offset; }) - 1;
  for (; size > 0; ++it) {
    Bytes all = AsBytes(it->bytes).subspan(offset - it->start);
    all = all.first(std::min(size, all.size()));
    piece(all);
    offset += all.size(), size -= all.size();
  }
}

void SendQueue::Release(uint64_t offset) {
  CHECK(offset >= begin_ && offset <= end_);
  begin_ = offset;
  while (first_ < chunks_.size() && chunks_[first_].start + chunks_[first_].bytes.size() <= offset) {
    chunks_[first_++].bytes = std::string();
  }
  if (first_ == chunks_.size()) {
    chunks_ = {}, first_ = 0;  // An idle stream holds nothing.
  } else if (first_ >= 64 && first_ * 2 >= chunks_.size()) {
    chunks_.erase(chunks_.begin(), chunks_.begin() + ptrdiff_t(first_)), first_ = 0;
  }
}

}  // namespace orchard::udx
