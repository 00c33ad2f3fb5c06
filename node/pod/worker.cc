#include "node/pod/worker.h"

#include <algorithm>

#include "node/base/check.h"

namespace orchard::pod {
namespace {

uint64_t PerSecond(uint64_t bytes, Duration span) {
  const auto rate = static_cast<unsigned __int128>(bytes) * 1'000'000'000u / uint64_t(std::max<int64_t>(span.count(), 1));
  return uint64_t(std::clamp<unsigned __int128>(rate, 1, uint64_t{1} << 40));  // A terabyte a second: two that came at once.
}

// Moves `average` towards `sample`, by as much as `weight` of `whole`.
int64_t Towards(int64_t average, int64_t sample, Duration weight, Duration whole) {
  const int64_t part = std::min(weight, whole).count() / 1000, all = whole.count() / 1000;
  return average + int64_t(static_cast<__int128>(sample - average) * part / all);
}

}  // namespace

void Worker::OnSent(Fetching& fetch, Instant now) {
  CHECK_LT(pipe_.size(), kPipeMax);
  fetch.sent = last_sent = now, fetch.ahead = pipe_bytes_;
  pipe_.push_back(&fetch), pipe_bytes_ += fetch.bytes();
  fetch.expected = known() ? std::max(free_at_, now + rtt_) + TimeFor(fetch.bytes(), rate_) : std::max(free_at_, now) + kFirstPatience;
  free_at_ = fetch.expected;
}

void Worker::OnBytes(Fetching& fetch, uint64_t bytes, Instant now) {
  CHECK_LE(fetch.got + bytes, fetch.bytes());
  if (bytes == 0) return;
  const bool first = fetch.got == 0;
  fetch.got += bytes, pipe_bytes_ -= bytes, served_ += bytes;
  suspect = false, arrived_ = now;
  Sample(bytes, now);
  const Duration took = now - fetch.sent;
  if (!known()) rate_ = PerSecond(fetch.ahead + bytes, took);
  if (first) LearnRoundTrip(fetch, bytes, took);
  if (fetch.got == fetch.bytes()) Beat(now);
  Reckon(now);
}

// A request's first bytes come a round trip after it was sent, or when what is ahead of it has come, or both after each other, if
// that waits in a queue on the way. So each is a bound from above, and the least of them the truth; it rises again by what
// cannot be what was ahead. Else the queue that we make would be taken for a longer way, and the pipe be made deeper for it.
void Worker::LearnRoundTrip(const Fetching& fetch, uint64_t bytes, Duration took) {
  if (!measured_) {
    // Before the rate is known nothing can be told apart: the first of all is kept for then.
    if (first_took_ == Duration{}) first_took_ = took, first_bytes_ = bytes;
    return;
  }
  if (!rtt_known_) rtt_ = std::max(Duration{}, first_took_ - TimeFor(first_bytes_, rate_)), rtt_known_ = true;
  const Duration sample = std::max(Duration{}, took - TimeFor(bytes, rate_));
  const Duration least = sample - TimeFor(fetch.ahead, rate_);
  // Had all that was ahead filled the line, this would have waited behind it.
  if (const Duration queue = TimeFor(fetch.ahead, rate_) - rtt_; queue > kQueueSeen) roomy_ = sample - rtt_ < queue / 4 ? roomy_ + 1 : 0;
  if (sample < rtt_) rtt_ = sample;
  else if (least > rtt_) rtt_ += (least - rtt_) / 8;
}

void Worker::Beat(Instant now) {
  if (ended_ != kNever) {
    const Duration gap = now - ended_;
    if (beat_ == Duration{}) beat_ = gap, beat_off_ = gap / 2;
    else beat_off_ += ((gap > beat_ ? gap - beat_ : beat_ - gap) - beat_off_) / 4, beat_ += (gap - beat_) / 8;
  }
  ended_ = now;
}

// Goodput is what comes between two arrivals while something is under way; the way there is not in it.
void Worker::Sample(uint64_t bytes, Instant now) {
  if (clock_ == kNever) {
    clock_ = now, sample_ = 0;
    return;
  }
  sample_ += bytes;
  const Duration span = now - clock_;
  if (span < kSampleMin) return;
  const auto rate = int64_t(PerSecond(sample_, span));
  rate_ = uint64_t(std::max<int64_t>(1, measured_ ? Towards(int64_t(rate_), rate, span, kMemory) : rate));
  measured_ = true;
  clock_ = now, sample_ = 0;
}

void Worker::OnGone(const Fetching& fetch, Instant now) {
  const auto it = std::find(pipe_.begin(), pipe_.end(), &fetch);
  CHECK(it != pipe_.end());
  pipe_.erase(it);
  pipe_bytes_ -= fetch.bytes() - fetch.got;
  if (pipe_.empty()) clock_ = ended_ = kNever, suspect = false;
  Reckon(now);
}

void Worker::Reckon(Instant now) {
  free_at_ = now;
  if (!known()) return;
  for (Fetching* f : pipe_) {
    free_at_ = std::max(free_at_, f->got > 0 ? now : f->sent + rtt_) + TimeFor(f->bytes() - f->got, rate_);
    f->expected = free_at_;
  }
}

uint64_t Worker::target(uint64_t chunk_bytes) const {
  const uint64_t product = InTime(rtt_, rate_);
  // What our own WAN brings is seen byte by byte, so the next request can be sent while the last bytes are on their way.
  // While TCP still opens its window, the product says little.
  if (!device_.has_value() && served_ > kOpening * chunk_bytes) {
    return std::min(product + InTime(rtt_ / 4 + kMargin, rate_) + extra * chunk_bytes, kPipeBytesMax);
  }
  return std::min(std::max(2 * chunk_bytes, product + chunk_bytes), kPipeBytesMax);
}

Instant Worker::Eta(uint64_t more, Instant now, uint64_t assumed) const {
  const uint64_t rate = known() ? rate_ : assumed;
  if (!known()) return now + TimeFor(pipe_bytes_ + more, rate);
  return std::max(free_at_, now + rtt_) + TimeFor(more, rate);
}

Instant Worker::overdue_at() const {
  if (pipe_.empty() || suspect) return kNever;
  const Fetching& oldest = *pipe_.front();
  if (!known()) return oldest.expected;
  const Duration quiet = std::max(kQuietMin, beat_ == Duration{} ? TimeFor(2 * oldest.bytes(), rate_) : beat_ + 4 * beat_off_);
  if (oldest.sent <= arrived_) return arrived_ + quiet;
  // After a lull all begin anew.
  const Duration together = TimeFor(std::min(pipe_bytes_, kSideBySide * oldest.bytes()), rate_);
  return oldest.sent + rtt_ + std::max(quiet, together + together / 2);
}

}  // namespace orchard::pod
