// Whom to dial next: of the highest priority, and any of those. Source: npm shuffled-priority-queue 2.1.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "node/base/bytes.h"
#include "node/base/rng.h"
#include "node/swarm/peer_info.h"

namespace orchard::swarm {

// Holds each key at most once; the owner sees to that, and to its bound (Swarm::kPeersMax).
class ShuffledQueue {
 public:
  void Add(const Key32& key, Priority priority) { bucket(priority).push_back(key); }
  // One of the highest priority, uniformly. O(1).
  std::optional<Key32> Shift(Rng& rng) {
    for (size_t i = kPriorities; i-- > 0;) {
      if (!buckets_[i].empty()) return Take(buckets_[i], rng);
    }
    return std::nullopt;
  }
  // One of the lowest.
  std::optional<Key32> Pop(Rng& rng) {
    for (std::vector<Key32>& b : buckets_) {
      if (!b.empty()) return Take(b, rng);
    }
    return std::nullopt;
  }
  // O(n).
  void Erase(const Key32& key, Priority priority) {
    std::vector<Key32>& b = bucket(priority);
    b.erase(std::remove(b.begin(), b.end(), key), b.end());
  }
  size_t size() const {
    size_t n = 0;
    for (const std::vector<Key32>& b : buckets_) n += b.size();
    return n;
  }
  bool empty() const { return size() == 0; }
  void Clear() { buckets_ = {}; }

 private:
  static Key32 Take(std::vector<Key32>& from, Rng& rng) {
    std::swap(from[size_t(rng.Below(from.size()))], from.back());
    Key32 key = from.back();
    from.pop_back();
    return key;
  }
  std::vector<Key32>& bucket(Priority p) { return buckets_[size_t(p)]; }

  std::array<std::vector<Key32>, kPriorities> buckets_;
};

}  // namespace orchard::swarm
