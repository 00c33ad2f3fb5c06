// When to dial a peer again. Four timers, each of which ticks every 0.66 of its period T and releases whoever waits on the
// second tick after coming, so after 0.66 to 1.33 T: thousands of peers cost one deadline each period.
// Source: npm hyperswarm lib/retry-timer.js, lib/bulk-timer.js.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "node/base/bytes.h"
#include "node/base/rng.h"
#include "node/base/time.h"
#include "node/swarm/peer_info.h"

namespace orchard::swarm {

struct Waiting {
  Key32 key{};
  uint32_t ticket = 0;   // PeerInfo::ticket when it came: another one now means that this entry is void.
};

class BulkTimer {
 public:
  // More would mean that ends come faster than they can be made; they are refused.
  static constexpr size_t kWaitingMax = 8192;

  bool started() const { return tick_.count() > 0; }
  void Start(Instant now, Duration period) { tick_ = period * 66 / 100, anchor_ = now; }
  // False if it is full.
  bool Add(Instant now, const Waiting& waiting);
  // Nobody waits: never.
  Instant next_deadline() const { return next_tick_; }
  void OnTime(Instant now, std::vector<Waiting>& released);
  void Clear() { next_.clear(), pending_.clear(), next_tick_ = kNever; }
  size_t size() const { return next_.size() + pending_.size(); }

 private:
  // Ticks lie on one grid from the start on, whether or not anyone waits.
  Instant TickAfter(Instant now) const { return anchor_ + ((now - anchor_) / tick_ + 1) * tick_; }

  Duration tick_{};
  Instant anchor_{}, next_tick_ = kNever;
  std::vector<Waiting> next_, pending_;
};

class RetryTimers {
 public:
  // The jitter of the periods is drawn at first use.
  bool Add(Instant now, Rng& rng, Backoff backoff, const Waiting& waiting);
  Instant next_deadline() const;
  void OnTime(Instant now, std::vector<Waiting>& released);
  void Clear();
  size_t size() const;

 private:
  std::array<BulkTimer, kBackoffs> timers_;
};

}  // namespace orchard::swarm
