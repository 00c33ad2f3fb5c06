#include "node/hyperdht/server.h"

#include <algorithm>
#include <utility>

namespace orchard::hyperdht {

std::optional<uint32_t> Server::SlotOf(const Key32& noise_hash) const {
  auto it = by_noise_.find(noise_hash);
  return it == by_noise_.end() ? std::nullopt : std::optional(it->second);
}

bool Server::Spent(Instant now, const Key32& noise_hash) const {
  auto it = spent_.find(noise_hash);
  return it != spent_.end() && it->second > now;
}

void Server::Spend(Instant now, const Key32& noise_hash) {
  // A ring: the oldest gives way.
  if (spent_ring_.size() < kSpentMax) spent_ring_.push_back(noise_hash);
  else spent_.erase(std::exchange(spent_ring_[spent_next_], noise_hash));
  spent_next_ = (spent_next_ + 1) % kSpentMax;
  spent_.insert_or_assign(noise_hash, now + kSpentFor);
}

std::optional<uint32_t> Server::Take(const Key32& noise_hash, std::unique_ptr<Knock> knock) {
  if (by_noise_.size() >= kSlotsMax) return std::nullopt;
  auto free = std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.knock == nullptr; });
  if (free == slots_.end()) free = slots_.insert(slots_.end(), Slot{});
  const auto slot = uint32_t(free - slots_.begin());
  free->client = knock->came().client, free->relay = knock->came().request.from.endpoint();
  free->knock = std::move(knock), free->noise_hash = noise_hash;
  slots_of_.Add(free->client);
  by_noise_.emplace(noise_hash, slot);
  Rearm(slot);
  return slot;
}

void Server::Free(uint32_t slot) {
  Slot& s = slots_[slot];
  deadlines_.Move(slot, s.armed, kNever);
  by_noise_.erase(s.noise_hash);
  CountPunch(s, false);
  slots_of_.Remove(s.client);
  s = {};
  while (!slots_.empty() && slots_.back().knock == nullptr) slots_.pop_back();
}

std::optional<uint32_t> Server::Spare(const Endpoint& client) const {
  const bool own = slots_of_.of(client) >= kSlotsOfOneHost;
  std::optional<uint32_t> best;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    const Slot& s = slots_[i];
    if (s.knock == nullptr || !s.knock->spare() || (own && s.client.ip != client.ip)) continue;
    if (!best.has_value() || s.knock->clear_at() < slots_[*best].knock->clear_at()) best = i;
  }
  return best;
}

void Server::Rearm(uint32_t slot) {
  Slot& s = slots_[slot];
  const Instant next = s.knock->next_deadline();
  deadlines_.Move(slot, s.armed, next);
  s.armed = next;
  CountPunch(s, s.knock->puncher() != nullptr && !s.knock->puncher()->destroyed() && !s.knock->settled());
}

void Server::CountPunch(Slot& s, bool punches) {
  if (std::exchange(s.punches, punches) == punches) return;
  if (punches) ++punches_, punches_of_.Add(s.client), punches_by_.Add(s.relay);
  else --punches_, punches_of_.Remove(s.client), punches_by_.Remove(s.relay);
}

}  // namespace orchard::hyperdht
