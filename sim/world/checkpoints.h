// What the history of each host hashed to, again and again: `orchard diff` reads from it on which hosts two runs part. Kept
// within kWordsMax however many hosts there are and however long they run: when it is full every other row goes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace orchard::sim {

class HostCheckpoints {
 public:
  static constexpr size_t kWordsMax = 200'000;  // 800 kB; twice that as text.

  explicit HostCheckpoints(size_t hosts) : rows_max_(hosts == 0 ? 0 : std::max<size_t>(kWordsMax / hosts, 2)) {}

  // At the beginning of each virtual second from 1 on; `word(h)` is asked for host h if this second is kept.
  template <class Word>
  void Second(int64_t second, size_t hosts, Word word) {
    if (rows_max_ == 0 || second % step_ != 0) return;
    if (rows_.size() == rows_max_) {
      for (size_t i = 0; 2 * i + 1 < rows_.size(); ++i) rows_[i] = std::move(rows_[2 * i + 1]);
      rows_.resize(rows_.size() / 2), step_ *= 2;
      if (second % step_ != 0) return;
    }
    std::vector<uint32_t>& row = rows_.emplace_back(hosts);
    for (size_t h = 0; h < hosts; ++h) row[h] = word(h);
  }

  // In seconds. Row i is of second (i + 1) × step, a word for each host by index.
  int64_t step() const { return step_; }
  const std::vector<std::vector<uint32_t>>& rows() const { return rows_; }

 private:
  size_t rows_max_;
  int64_t step_ = 1;
  std::vector<std::vector<uint32_t>> rows_;
};

}  // namespace orchard::sim
