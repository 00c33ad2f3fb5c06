// Which connection fetches which bytes of a file: pure, so that it can be tested without a wire. Each takes the next piece, as long as its
// rate says; when none is left, whoever is idle takes over the half of the piece that would end last, and at last all of a small one, so that
// a slow or dead uplink does not keep the others waiting.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace orchard::cli {

class GetPlan {
 public:
  static constexpr uint64_t kPieceMin = 256 << 10, kPieceMax = 8 << 20;
  static constexpr uint64_t kSplitMin = 128 << 10;   // Less than this is not halved but fetched twice.

  struct Range { uint64_t first = 0, end = 0; };     // `end` exclusive.

  // Bytes [done, size) are wanted.
  GetPlan(uint64_t size, uint64_t done);

  // What `connection` shall fetch now; nothing: there is nothing that it could speed up. `rate` in bytes a second, 0 unknown; `now` in
  // seconds. It has nothing under way.
  std::optional<Range> Take(int connection, double rate, double now);
  // So many more bytes came: how many of them are wanted. Fewer than came: its piece is over (another has the rest), stop it.
  uint64_t OnBytes(int connection, uint64_t bytes, double now);
  // Its range ended as asked, or broke: what did not come is for others.
  void Release(int connection);
  bool over(int connection) const;                   // Nothing more is wanted of it.
  bool complete() const { return left_ == 0; }
  uint64_t left() const { return left_; }            // Bytes that nobody has brought.
  // The offset of its next byte.
  uint64_t at(int connection) const { return work_.at(connection).at; }

 private:
  struct Work {
    uint64_t at = 0, end = 0;
    double began = 0, seen = 0;     // When it was taken, and when its latest byte came.
    uint64_t got = 0;
    double Left(double now) const;  // Seconds until it ends, as things stand.
  };
  // Of the pieces under way the one that will end last, as the fastest of those sees it that fetch it; null if there is none.
  Work* Last(double now);
  void Count(uint64_t first, uint64_t end);

  std::vector<Range> unasked_;                 // In order.
  std::map<uint64_t, uint64_t> have_;       // First to end, apart.
  std::map<int, Work> work_;                // Whoever fetch the same piece have the same end, and none begins behind what is there.
  uint64_t left_;
};

}  // namespace orchard::cli
