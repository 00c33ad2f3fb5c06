#include "node/store/mem_store.h"

#include <algorithm>

#include "node/base/check.h"

namespace orchard {

std::optional<Bytes> MemStore::Get(Bytes key) {
  auto it = map_.find(AsText(key));
  return it == map_.end() ? std::nullopt : std::optional(AsBytes(it->second));
}

void MemStore::Put(Bytes key, Bytes value) {
  std::string k(AsText(key));
  Remember(k);
  auto [it, fresh] = map_.try_emplace(std::move(k));
  if (fresh) used_bytes_ += it->first.size();
  used_bytes_ += value.size() - it->second.size();
  it->second = std::string(AsText(value));
}

void MemStore::Erase(Bytes key) {
  std::string k(AsText(key));
  Remember(k);
  auto it = map_.find(k);
  if (it == map_.end()) return;
  used_bytes_ -= it->first.size() + it->second.size();
  map_.erase(it);
}

void MemStore::Scan(Bytes from, Bytes to, absl::FunctionRef<bool(Bytes, Bytes)> visit) {
  for (auto it = map_.lower_bound(AsText(from)); it != map_.end() && it->first < AsText(to); ++it) {
    if (!visit(AsBytes(it->first), AsBytes(it->second))) return;
  }
}

void MemStore::Remember(const std::string& key) {
  auto it = map_.find(key);
  turn_.emplace_back(key, it == map_.end() ? std::nullopt : std::optional(it->second));
}

HostStore::Committed MemStore::Commit(Digest* digest) {
  Committed result{.any = !turn_.empty(), .sync = std::exchange(sync_, false)};
  if (!result.any) return result;
  ++turns_;
  if (digest != nullptr) {
    for (const auto& [key, old] : turn_) {
      auto now = map_.find(key);
      digest->Add(AsBytes(key));
      digest->Add(now == map_.end() ? Bytes() : AsBytes(now->second));
    }
  }
  undo_.push_back({turns_, std::move(turn_)});
  turn_.clear();
  if (undo_.size() > kUnsyncedTurnsMax) undo_.erase(undo_.begin(), undo_.begin() + kUnsyncedTurnsMax / 2);
  return result;
}

void MemStore::Synced(uint64_t turns) {
  auto first = std::find_if(undo_.begin(), undo_.end(), [&](const Undo& u) { return u.turn > turns; });
  undo_.erase(undo_.begin(), first);
}

void MemStore::PowerLoss(size_t lose) {
  CHECK(turn_.empty());
  for (; lose > 0 && !undo_.empty(); --lose, undo_.pop_back()) {
    auto& old = undo_.back().old;
    for (auto it = old.rbegin(); it != old.rend(); ++it) {
      auto now = map_.find(it->first);
      used_bytes_ += (it->second ? it->first.size() + it->second->size() : 0);
      used_bytes_ -= (now == map_.end() ? 0 : it->first.size() + now->second.size());
      if (it->second) map_[it->first] = *std::move(it->second);
      else map_.erase(it->first);
    }
  }
  undo_.clear();
}

void MemStore::Wipe() { map_.clear(), turn_.clear(), undo_.clear(), used_bytes_ = 0, sync_ = false; }

}  // namespace orchard
