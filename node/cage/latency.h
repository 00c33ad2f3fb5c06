// How long requests took, in whole microseconds: counts in buckets that grow by an eighth of a power of two, so that a quantile is at
// most 12.5 % above the truth, and never below. No floating point, 1.6 KiB.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "node/base/time.h"

namespace orchard::cage {

class Histogram {
 public:
  static constexpr size_t kBuckets = 208;       // Up to 2^28 µs, four minutes and a half; longer ones count as that.
  static constexpr uint64_t kMost = (uint64_t{1} << 28) - 1;

  void Add(uint64_t us) { ++buckets_[Bucket(us)], ++count_, sum_us_ += us; }
  uint64_t count() const { return count_; }
  uint64_t sum_us() const { return sum_us_; }
  // Exactly those of at most 2^k µs; k from 3 to 28.
  uint64_t AtMost(uint32_t k) const {
    uint64_t n = 0;
    for (size_t i = 0; i < size_t(k - 2) * 8 && i < kBuckets; ++i) n += buckets_[i];
    return n;
  }
  void Join(const Histogram& other) {
    for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_, sum_us_ += other.sum_us_;
  }
  // What `permille` of a thousand did not exceed, in microseconds, rounded up to its bucket's end. Nothing: there were none.
  std::optional<uint64_t> Quantile(uint64_t permille) const {
    if (count_ == 0) return std::nullopt;
    const uint64_t rank = std::max<uint64_t>((count_ * permille + 999) / 1000, 1);
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += buckets_[i];
      if (seen >= rank) return Last(i);
    }
    return Last(kBuckets - 1);
  }

 private:
  // Of (lower, upper]: so a power of two is the last of its bucket.
  static size_t Bucket(uint64_t us) {
    const uint64_t v = std::min(us == 0 ? 0 : us - 1, kMost);
    if (v < 8) return size_t(v);
    const uint32_t e = uint32_t(std::bit_width(v)) - 1;
    return size_t(e - 2) * 8 + size_t((v >> (e - 3)) & 7);
  }
  static uint64_t Last(size_t bucket) { return bucket < 8 ? bucket + 1 : uint64_t(9 + bucket % 8) << (bucket / 8 - 1); }

  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0, sum_us_ = 0;
};

// Of all time, and of late: the last 30 to 60 seconds.
class Latency {
 public:
  static constexpr Duration kSpan = std::chrono::seconds(30);

  void Add(Instant now, uint64_t us) {
    if (now >= ends_) {
      before_ = now < ends_ + kSpan ? latest_ : Histogram();
      latest_ = Histogram(), ends_ = now + kSpan;
    }
    all_.Add(us), latest_.Add(us);
  }
  const Histogram& all() const { return all_; }
  Histogram Recent(Instant now) const {
    Histogram out;
    if (now < ends_ + kSpan) out = latest_;
    if (now < ends_) out.Join(before_);
    return out;
  }

 private:
  Histogram all_, latest_, before_;
  Instant ends_{};
};

}  // namespace orchard::cage
