// The bytes that a stream has still to send, or to send again: a row of chunks, as they were written. A packet copies its
// payload straight from them into the outbox, the first time and every other time. Bytes are named by their offset in the
// stream.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "node/base/bytes.h"

namespace orchard::udx {

class SendQueue {
 public:
  // A write no longer than kSmall is copied to the end of a chunk that stays below kChunk, so that many small writes do not
  // make many chunks.
  static constexpr size_t kSmall = 1024, kChunk = 8192;

  void Push(std::string&& bytes);
  // Visits the bytes [offset, offset + size), which lie in the queue, piece by piece.
  void Read(uint64_t offset, size_t size, absl::FunctionRef<void(Bytes)> piece) const;
  // Frees what lies before `offset`.
  void Release(uint64_t offset);

  uint64_t begin() const { return begin_; }  // All before it is released.
  uint64_t end() const { return end_; }
  size_t chunks() const { return chunks_.size() - first_; }

 private:
  struct Chunk {
    uint64_t start;
    std::string bytes;
  };
  std::vector<Chunk> chunks_;
  size_t first_ = 0;  // Those before it are empty; moved away now and then.
  uint64_t begin_ = 0, end_ = 0;
};

}  // namespace orchard::udx
