#include "node/guard/flood.h"

#include <algorithm>
#include <chrono>

namespace orchard::guard {

Client Client::Of(const Endpoint& peer) {
  Client c{peer.ip};
  if (!peer.is_v4()) std::fill(c.ip.begin() + 8, c.ip.end(), uint8_t{0});
  return c;
}

Flood::Answer Flood::Ask(Instant now, const Client& client) {
  if (rate_ == 0) return {};
  const auto [it, fresh] = buckets_.try_emplace(client);
  if (fresh) {
    if (order_.size() >= kClientsMax) {
      buckets_.erase(order_.back().client);  // Never `it`, which is not among them yet.
      order_.pop_back();
    }
    order_.push_front({.client = client});
    buckets_.find(client)->second = order_.begin();
  } else {
    order_.splice(order_.begin(), order_, it->second);
  }
  Bucket& b = order_.front();
  // One request's part of a second, and how far ahead a full bucket is.
  const Duration drop = Duration(std::chrono::seconds(1)) / rate_, full = drop * (int64_t{rate_} * kBurstSeconds);
  const Instant empty = std::max(b.empty, now) + drop;
  if (empty - now <= full) {
    b.empty = empty;
    return {};
  }
  const bool tell = b.told == Instant::min() || now - b.told >= std::chrono::seconds(1);
  if (tell) b.told = now;
  return {.over = true, .tell = tell};
}

}  // namespace orchard::guard
