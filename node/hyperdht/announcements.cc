#include "node/hyperdht/announcements.h"

#include <algorithm>

namespace orchard::hyperdht {

Announcements::Announcement* Announcements::Find(const Key32& target, const Key32& public_key) {
  auto it = std::find_if(list_.begin(), list_.end(), [&](const Announcement& a) {
    return a.target == target && a.key.public_key == public_key;
  });
  return it == list_.end() ? nullptr : &*it;
}

Announcements::Announcement* Announcements::Keep(const Key32& target, const KeyPair& key, std::vector<Endpoint> relays) {
  Announcement* a = Find(target, key.public_key);
  if (a == nullptr) {
    if (list_.size() >= kMax) return nullptr;
    a = &list_.emplace_back(Announcement{.target = target, .key = key});
  }
  a->relays = std::move(relays);
  a->due = kNever;
  return a;
}

bool Announcements::Forget(const Key32& target, const Key32& public_key) {
  return std::erase_if(list_, [&](const Announcement& a) { return a.target == target && a.key.public_key == public_key; }) > 0;
}

void Announcements::Tried(Instant now, Rng& rng, Announcement& a, std::vector<dht::Contact> stored_at, bool ok) {
  if (!stored_at.empty()) a.stored_at = std::move(stored_at);
  Duration wait = ok ? kRefresh : kRetry;
  a.due = now + wait - Duration(int64_t(rng.Below(uint64_t(wait.count() / 10))));
}

Instant Announcements::next() const {
  Instant next = kNever;
  for (const Announcement& a : list_) next = std::min(next, a.due);
  return next;
}

Announcements::Announcement* Announcements::due(Instant now) {
  auto it = std::find_if(list_.begin(), list_.end(), [&](const Announcement& a) { return a.due <= now; });
  return it == list_.end() ? nullptr : &*it;
}

}  // namespace orchard::hyperdht
