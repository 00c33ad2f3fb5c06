// Bytes that wait for room, in pieces: what is taken from the front is free at once, so it never holds much more than it says.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "node/base/bytes.h"

namespace orchard::pod {

class ByteQueue {
 public:
  static constexpr size_t kPiece = 32 << 10;  // Small pieces are joined up to this.

  void Push(Bytes bytes) {
    if (bytes.empty()) return;
    size_ += bytes.size();
    if (!pieces_.empty() && pieces_.back().size() + bytes.size() <= kPiece) pieces_.back().append(AsText(bytes));
    else pieces_.emplace_back(AsText(bytes));
  }
  void Push(std::string&& bytes) {
    if (bytes.empty()) return;
    size_ += bytes.size();
    pieces_.push_back(std::move(bytes));
  }
  // The next bytes that lie together, at most so many; until the next call.
  Bytes front(size_t most) const {
    if (pieces_.empty()) return {};
    const Bytes piece = AsBytes(pieces_.front()).subspan(at_);
    return piece.subspan(0, std::min(most, piece.size()));
  }
  void Pop(size_t n) {
    at_ += n, size_ -= n;
    if (at_ < pieces_.front().size()) return;
    at_ = 0;
    pieces_.erase(pieces_.begin());  // A window has few pieces.
  }
  void Clear() { pieces_.clear(), at_ = size_ = 0; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::vector<std::string> pieces_;
  size_t at_ = 0, size_ = 0;
};

}  // namespace orchard::pod
