// Generational caches: a young map that becomes the old one every 2/3 of the maximum age, when the former old one is
// dropped. An entry so lives 0.67 to 1.33 times the age. Rotation is computed when the cache is touched, not by a timer;
// an empty cache owns no memory, so that an idle node is small. Source: npm xache 1.3.0, record-cache 1.2.0.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "node/base/bytes.h"
#include "node/base/check.h"
#include "node/base/rng.h"
#include "node/base/time.h"

namespace orchard::hyperdht {

// When the generations turn. A size rotation between two ticks makes the next tick pass without one.
class GenerationClock {
 public:
  explicit GenerationClock(Duration age) : tick_((age * 2 + Duration(2)) / 3) { CHECK_GT(tick_.count(), 0); }
  // How often the generations must turn to have caught up with `now`; more than twice empties both.
  int Catch(Instant now);
  void Turned() { turned_ = true; }

 private:
  Duration tick_;
  Instant next_ = kNever;  // Set by the first touch.
  bool turned_ = false;
};

// xache: reading an old entry makes it young; retained entries never expire and are not overwritten by Set.
// V is moved; pointers returned are valid until the next call.
template <class V>
class Xache {
 public:
  Xache(size_t size_max, Duration age) : size_max_(size_max), clock_(age) {}

  V* Get(Instant now, const Key32& key) {
    Catch(now);
    if (maps_ == nullptr) return nullptr;
    if (auto it = maps_->young.find(key); it != maps_->young.end()) return &it->second;
    if (auto it = maps_->old.find(key); it != maps_->old.end()) {
      V value = std::move(it->second);
      maps_->old.erase(it);
      return &(maps_->young[key] = std::move(value));
    }
    if (auto it = maps_->retained.find(key); it != maps_->retained.end()) return &it->second;
    return nullptr;
  }
  // Nothing changes if `key` is retained.
  void Set(Instant now, const Key32& key, V value) {
    Catch(now);
    Maps& m = maps();
    if (m.retained.contains(key)) return;
    m.old.erase(key);
    m.young.insert_or_assign(key, std::move(value));
    if (m.young.size() >= size_max_) Turn(), clock_.Turned();
  }
  void Retain(Instant now, const Key32& key, V value) {
    Catch(now);
    Maps& m = maps();
    m.young.erase(key), m.old.erase(key);
    m.retained.insert_or_assign(key, std::move(value));
  }
  void Erase(Instant now, const Key32& key) {
    Catch(now);
    if (maps_ == nullptr) return;
    if (maps_->young.erase(key) == 0 && maps_->old.erase(key) == 0) maps_->retained.erase(key);
    ReleaseIfEmpty();
  }
  size_t size() const {
    return maps_ == nullptr ? 0 : maps_->young.size() + maps_->old.size() + maps_->retained.size();
  }
  bool owns_memory() const { return maps_ != nullptr; }

 private:
  using Map = absl::flat_hash_map<Key32, V>;
  struct Maps {
    Map young, old, retained;
  };
  Maps& maps() {
    if (maps_ == nullptr) maps_ = std::make_unique<Maps>();
    return *maps_;
  }
  void Turn() { maps_->old = std::exchange(maps_->young, Map()); }
  void Catch(Instant now) {
    int turns = clock_.Catch(now);
    if (maps_ == nullptr) return;
    for (; turns > 0; --turns) Turn();
    ReleaseIfEmpty();
  }
  void ReleaseIfEmpty() {
    if (maps_ != nullptr && size() == 0) maps_.reset();
  }

  size_t size_max_;
  GenerationClock clock_;
  std::unique_ptr<Maps> maps_;
};

// record-cache: per topic the announced peers, as their encoded blobs whose first 32 bytes are the public key. Reading does
// not prolong a record's life. A peer that announces again replaces its blob: its newest signed word counts.
class RecordCache {
 public:
  RecordCache(size_t size_max, Duration age) : size_max_(size_max), clock_(age) {}

  // `blob` has at least 32 bytes.
  void Add(Instant now, const Key32& topic, Bytes blob);
  void Remove(Instant now, const Key32& topic, const Key32& public_key);
  // At most `n` records, a uniform sample without replacement; all of them, shuffled, if there are no more.
  std::vector<std::string> Sample(Instant now, const Key32& topic, size_t n, Rng& rng);
  size_t size() const { return generations_ == nullptr ? 0 : generations_->young.size + generations_->old.size; }
  bool owns_memory() const { return generations_ != nullptr; }

 private:
  // Above this many peers a topic gets an index; below, a scan is quicker than a hash and far smaller.
  static constexpr size_t kScanMax = 32;
  struct Topic {
    std::vector<std::string> blobs;
    std::unique_ptr<absl::flat_hash_map<Key32, uint32_t>> index;  // Public key → position.
  };
  struct Generation {
    absl::flat_hash_map<Key32, Topic> topics;
    size_t size = 0;
  };
  struct Generations {
    Generation young, old;
  };
  static Key32 PublicKey(Bytes blob);
  static size_t Find(const Topic& topic, const Key32& public_key);  // blobs.size() if absent.
  static bool Remove(Generation& g, const Key32& topic, const Key32& public_key);
  void Turn();
  void Catch(Instant now);

  size_t size_max_;
  GenerationClock clock_;
  std::unique_ptr<Generations> generations_;
};

}  // namespace orchard::hyperdht
