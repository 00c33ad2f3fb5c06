#include "node/swarm/retry_timers.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace orchard::swarm {
namespace {

using std::chrono::milliseconds;

struct Period {
  int64_t base_ms, jitter_ms;
};
constexpr Period kPeriods[kBackoffs] = {{1'000, 500}, {5'000, 1'000}, {15'000, 2'000}, {600'000, 120'000}};
constexpr int64_t kJitterMs = 500;  // Once more, for each timer by itself.

int64_t UpTo(Rng& rng, int64_t most) { return int64_t(rng.Below(uint64_t(most) + 1)); }

}  // namespace

bool BulkTimer::Add(Instant now, const Waiting& waiting) {
  if (size() >= kWaitingMax) return false;
  pending_.push_back(waiting);
  if (next_tick_ == kNever) next_tick_ = TickAfter(now);
  return true;
}

void BulkTimer::OnTime(Instant now, std::vector<Waiting>& released) {
  if (next_tick_ > now) return;
  released.insert(released.end(), next_.begin(), next_.end());
  next_ = std::exchange(pending_, {});
  next_tick_ = next_.empty() ? kNever : TickAfter(now);
}

bool RetryTimers::Add(Instant now, Rng& rng, Backoff backoff, const Waiting& waiting) {
  if (!timers_[0].started()) {
    for (size_t i = 0; i < kBackoffs; ++i) {
      const Period& p = kPeriods[i];
      timers_[i].Start(now, milliseconds(p.base_ms + UpTo(rng, p.jitter_ms) + UpTo(rng, kJitterMs)));
    }
  }
  return timers_[size_t(backoff)].Add(now, waiting);
}

Instant RetryTimers::next_deadline() const {
  Instant next = kNever;
  for (const BulkTimer& t : timers_) next = std::min(next, t.next_deadline());
  return next;
}

void RetryTimers::OnTime(Instant now, std::vector<Waiting>& released) {
  for (BulkTimer& t : timers_) t.OnTime(now, released);
}

void RetryTimers::Clear() {
  for (BulkTimer& t : timers_) t.Clear();
}

size_t RetryTimers::size() const {
  size_t n = 0;
  for (const BulkTimer& t : timers_) n += t.size();
  return n;
}

}  // namespace orchard::swarm
