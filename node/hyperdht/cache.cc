#include "node/hyperdht/cache.h"

#include <algorithm>

namespace orchard::hyperdht {

int GenerationClock::Catch(Instant now) {
  if (next_ == kNever) next_ = now + tick_;
  if (now < next_) return 0;
  int64_t ticks = (now - next_).count() / tick_.count() + 1;
  next_ += tick_ * ticks;
  int64_t turns = ticks - (turned_ ? 1 : 0);
  turned_ = false;
  return int(std::min<int64_t>(turns, 2));
}

Key32 RecordCache::PublicKey(Bytes blob) {
  CHECK_GE(blob.size(), 32u);
  Key32 key;
  std::copy_n(blob.begin(), key.size(), key.begin());
  return key;
}

size_t RecordCache::Find(const Topic& topic, const Key32& public_key) {
  if (topic.index != nullptr) {
    auto it = topic.index->find(public_key);
    return it == topic.index->end() ? topic.blobs.size() : it->second;
  }
  auto same = [&](const std::string& blob) { return std::equal(public_key.begin(), public_key.end(), AsBytes(blob).begin()); };
  return size_t(std::find_if(topic.blobs.begin(), topic.blobs.end(), same) - topic.blobs.begin());
}

bool RecordCache::Remove(Generation& g, const Key32& topic, const Key32& public_key) {
  auto it = g.topics.find(topic);
  if (it == g.topics.end()) return false;
  Topic& t = it->second;
  size_t at = Find(t, public_key);
  if (at == t.blobs.size()) return false;
  if (t.index != nullptr) {
    t.index->erase(public_key);
    if (at + 1 != t.blobs.size()) (*t.index)[PublicKey(AsBytes(t.blobs.back()))] = uint32_t(at);
  }
  if (at + 1 != t.blobs.size()) t.blobs[at] = std::move(t.blobs.back());
  t.blobs.pop_back();
  --g.size;
  if (t.blobs.empty()) g.topics.erase(it);
  return true;
}

void RecordCache::Add(Instant now, const Key32& topic, Bytes blob) {
  Catch(now);
  if (generations_ == nullptr) generations_ = std::make_unique<Generations>();
  Key32 key = PublicKey(blob);
  Remove(generations_->old, topic, key);
  Topic& t = generations_->young.topics[topic];
  size_t at = Find(t, key);
  if (at < t.blobs.size()) {
    t.blobs[at] = std::string(AsText(blob));
    return;
  }
  t.blobs.emplace_back(AsText(blob));
  if (t.index != nullptr) {
    t.index->emplace(key, uint32_t(at));
  } else if (t.blobs.size() > kScanMax) {
    t.index = std::make_unique<absl::flat_hash_map<Key32, uint32_t>>();
    for (size_t i = 0; i < t.blobs.size(); ++i) t.index->emplace(PublicKey(AsBytes(t.blobs[i])), uint32_t(i));
  }
  if (++generations_->young.size > size_max_) Turn(), clock_.Turned();
}

void RecordCache::Remove(Instant now, const Key32& topic, const Key32& public_key) {
  Catch(now);
  if (generations_ == nullptr) return;
  Remove(generations_->young, topic, public_key);
  Remove(generations_->old, topic, public_key);
  if (size() == 0) generations_.reset();
}

std::vector<std::string> RecordCache::Sample(Instant now, const Key32& topic, size_t n, Rng& rng) {
  Catch(now);
  std::vector<std::string> out;
  if (generations_ == nullptr) return out;
  const Topic* parts[2] = {nullptr, nullptr};
  size_t sizes[2] = {0, 0};
  for (int g = 0; g < 2; ++g) {
    const Generation& generation = g == 0 ? generations_->young : generations_->old;
    if (auto it = generation.topics.find(topic); it != generation.topics.end()) {
      parts[g] = &it->second, sizes[g] = it->second.blobs.size();
    }
  }
  // Fisher and Yates over positions, of which only those that moved are remembered: the lists stay as they are.
  size_t total = sizes[0] + sizes[1];
  std::vector<std::pair<size_t, size_t>> moved;  // Position → what stands there now.
  auto at = [&](size_t i) {
    auto it = std::find_if(moved.begin(), moved.end(), [&](const auto& m) { return m.first == i; });
    return it == moved.end() ? i : it->second;
  };
  n = std::min(n, total);
  for (size_t i = 0; i < n; ++i) {
    size_t j = i + rng.Below(total - i);
    size_t chosen = at(j), here = at(i);
    auto it = std::find_if(moved.begin(), moved.end(), [&](const auto& m) { return m.first == j; });
    if (it == moved.end()) moved.emplace_back(j, here); else it->second = here;
    out.push_back(chosen < sizes[0] ? parts[0]->blobs[chosen] : parts[1]->blobs[chosen - sizes[0]]);
  }
  return out;
}

void RecordCache::Turn() { generations_->old = std::exchange(generations_->young, Generation()); }

void RecordCache::Catch(Instant now) {
  int turns = clock_.Catch(now);
  if (generations_ == nullptr) return;
  for (; turns > 0; --turns) Turn();
  if (size() == 0) generations_.reset();
}

}  // namespace orchard::hyperdht
