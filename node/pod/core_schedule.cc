// Who fetches what next.

#include <algorithm>

#include "node/base/check.h"
#include "node/pod/core.h"

namespace orchard::pod {

struct Core::Seat {
  Worker* worker;
  Instant free;    // When what was given to it, in truth or in thought, should have come.
  uint64_t rate;
  bool open;       // It may be sent more now.
  Instant Eta(uint64_t bytes) const { return free + TimeFor(bytes, rate); }
};

struct Core::Candidate {
  Transfer* transfer;
  uint64_t index;
};

bool Core::Eligible(const Worker& worker, Instant now) const {
  return worker.isolated_until <= now && !worker.suspect && worker.pipe().size() < Worker::kPipeMax;
}

bool Core::Holds(const Chunk& chunk, const Worker& worker) const {
  return std::any_of(chunk.holders.begin(), chunk.holders.end(), [&](FetchId h) { return fetches_.at(h)->worker == worker.id(); });
}

// Chunks without anybody who should bring them, in the order of their readers, the transfers in turn.
std::vector<Core::Candidate> Core::Candidates() {
  std::vector<std::vector<uint64_t>> free;
  std::vector<Transfer*> order;
  for (auto& [id, t] : transfers_) order.push_back(t.get());
  if (!order.empty()) std::rotate(order.begin(), order.begin() + rotation_++ % order.size(), order.end());
  size_t longest = 0;
  for (Transfer* t : order) {
    free.emplace_back();
    const uint64_t window_end = t->window_end();
    for (uint64_t i = t->delivered; i < window_end && free.back().size() < kOutlook; ++i) {
      const auto it = t->chunks.find(i);
      bool wanted = true;
      if (it != t->chunks.end()) {
        wanted = !it->second.have;
        for (FetchId holder : it->second.holders) {
          const Fetching& f = *fetches_.at(holder);
          if (f.why == Fetching::Why::kChunk && !Find(f.worker)->suspect) wanted = false;
        }
      }
      if (wanted) free.back().push_back(i);
    }
    longest = std::max(longest, free.back().size());
  }
  std::vector<Candidate> out;
  for (size_t k = 0; k < longest && out.size() < kOutlook; ++k) {
    for (size_t t = 0; t < order.size() && out.size() < kOutlook; ++t) {
      if (k < free[t].size()) out.push_back({order[t], free[t][k]});
    }
  }
  return out;
}

Fetching& Core::Send(Turn& turn, Worker& worker, Transfer& transfer, uint64_t index, Fetching::Why why, Actions& actions) {
  const FetchId id{next_fetch_++};
  auto fetch = std::make_unique<Fetching>();
  Fetching& f = *fetch;
  f.id = id, f.worker = worker.id(), f.transfer = transfer.id, f.why = why, f.index = index;
  f.start = transfer.chunk_start(index), f.end = transfer.chunk_end(index), f.peer_chunks = transfer.peer_chunks;
  if (why == Fetching::Why::kVouch) f.end = std::min(f.end, f.start + Transfer::kVouchBytes);
  fetches_.emplace(id, std::move(fetch));
  worker.OnSent(f, turn.now);
  if (why == Fetching::Why::kChunk || why == Fetching::Why::kProbe) transfer.chunks[index].holders.push_back(id);
  actions.push_back(Fetch{id, worker.id(), transfer.id, f.start, f.end});
  return f;
}

void Core::Pump(Turn& turn, Actions& actions) {
  probe_at_ = kNever;
  if (transfers_.empty()) return depth_.OnLull();
  const uint64_t share = (config_.memory_bytes - reserved()) / transfers_.size();
  for (auto& [id, t] : transfers_) t->window = t->holds ? t->end - t->start : std::min(config_.window_bytes, share);
  Audit(turn, actions);
  if (adaptive()) PumpAdaptive(turn, actions);
  else PumpPlanned(turn, actions);
}

void Core::PumpAdaptive(Turn& turn, Actions& actions) {
  uint64_t known = 0, sum = 0, served = 0;
  for (const auto& [id, w] : workers_) served += w->served();
  Worker& own = *workers_.at(kOwnWan);
  depth_.OnProgress(turn.now, served, own.served(), own.pipe().size(), own.roomy());
  own.extra = depth_.extra();
  for (const auto& [id, w] : workers_) {
    if (w->known()) ++known, sum += w->rate();
  }
  const uint64_t assumed = known == 0 ? kAssumedRate : std::max<uint64_t>(1, sum / known);
  std::vector<Seat> seats;
  bool any_open = false;
  for (const auto& [id, w] : workers_) {
    if (!Eligible(*w, turn.now)) continue;
    const bool open = w->pipe_bytes() < w->target(config_.chunk_bytes);
    seats.push_back({w.get(), w->Eta(0, turn.now, assumed), w->known() ? w->rate() : assumed, open});
    any_open |= open;
  }
  std::vector<Candidate> candidates = Candidates(), left;
  for (size_t i = 0; i < candidates.size() && any_open; ++i) {
    const Candidate& c = candidates[i];
    const auto it = c.transfer->chunks.find(c.index);
    const uint64_t bytes = c.transfer->chunk_end(c.index) - c.transfer->chunk_start(c.index);
    Seat* best = nullptr;
    for (Seat& seat : seats) {
      const bool holds = it != c.transfer->chunks.end() && Holds(it->second, *seat.worker);
      if (!holds && (best == nullptr || seat.Eta(bytes) < best->Eta(bytes))) best = &seat;
    }
    if (best == nullptr) {
      left.push_back(c);
      continue;
    }
    best->free = best->Eta(bytes);
    if (!best->open) {
      left.push_back(c);  // Whoever will be there first is busy: it gets the chunk when it has room.
      continue;
    }
    Send(turn, *best->worker, *c.transfer, c.index, Fetching::Why::kChunk, actions);
    best->open = best->worker->pipe_bytes() < best->worker->target(config_.chunk_bytes) && Eligible(*best->worker, turn.now);
    any_open = std::any_of(seats.begin(), seats.end(), [](const Seat& s) { return s.open; });
    if (!any_open) left.insert(left.end(), candidates.begin() + ptrdiff_t(i) + 1, candidates.end());
  }
  if (left.empty() && any_open) Race(turn, seats, actions);
  Rescue(turn, candidates, actions);
  Probe(turn, left, actions);
}

// Whether a chunk of it that is wanted is on its way, over our own WAN or at a member that is not suspect.
bool Core::UnderWay(const Transfer& t) const {
  for (const auto& [i, chunk] : t.chunks) {
    for (FetchId h : chunk.holders) {
      const Fetching& f = *fetches_.at(h);
      if (f.wanted && f.why == Fetching::Why::kChunk && (f.worker == kOwnWan || !worker(f.worker)->suspect)) return true;
    }
  }
  return false;
}

// A transfer for which nothing is under way waits for others, whose origins may be slow or dead: one of its chunks is fetched over
// our own WAN, however full or suspect that is for them.
void Core::Rescue(Turn& turn, const std::vector<Candidate>& candidates, Actions& actions) {
  Worker& own = *workers_.at(kOwnWan);
  for (auto& [id, transfer] : transfers_) {
    if (own.pipe().size() >= Worker::kPipeMax) return;
    Transfer& t = *transfer;
    const auto first = std::find_if(candidates.begin(), candidates.end(), [&t](const Candidate& c) { return c.transfer == &t; });
    if (first == candidates.end() || UnderWay(t)) continue;
    const auto chunk = t.chunks.find(first->index);
    if (chunk == t.chunks.end() || !Holds(chunk->second, own)) Send(turn, own, t, first->index, Fetching::Why::kChunk, actions);
  }
}

// Nothing is left to give out: an idle worker fetches what others are expected to bring clearly later; the fastest worker first,
// and at most kHoldersMax fetch the same. While the reader's window holds the rest back, what the reader needs first comes first;
// at the end, what is expected last.
void Core::Race(Turn& turn, std::vector<Seat>& seats, Actions& actions) {
  struct Late { Transfer* transfer; uint64_t index; Instant expected; };
  std::vector<Late> late;
  for (auto& [id, t] : transfers_) {
    const uint64_t window_end = t->window_end();
    const size_t first = late.size();
    for (const auto& [index, chunk] : t->chunks) {
      if (index >= window_end || chunk.have || chunk.holders.empty() || chunk.holders.size() >= kHoldersMax) continue;
      Instant expected = kNever;
      for (FetchId h : chunk.holders) expected = std::min(expected, fetches_.at(h)->expected);
      late.push_back({t.get(), index, expected});
    }
    if (window_end < t->count()) continue;
    std::stable_sort(late.begin() + ptrdiff_t(first), late.end(), [](const Late& x, const Late& y) { return x.expected > y.expected; });
  }
  for (const Late& l : late) {
    const uint64_t bytes = l.transfer->chunk_end(l.index) - l.transfer->chunk_start(l.index);
    Seat* best = nullptr;
    for (Seat& seat : seats) {
      if (!seat.worker->known() || Holds(l.transfer->chunks.at(l.index), *seat.worker)) continue;
      if (best == nullptr || seat.Eta(bytes) < best->Eta(bytes)) best = &seat;
    }
    if (best == nullptr) continue;
    const Duration margin = TimeFor(bytes, best->rate) / 4 + std::chrono::milliseconds(5);
    const Instant eta = best->Eta(bytes);
    if (eta + margin >= l.expected) continue;
    best->free = eta;
    if (!best->open) continue;
    ++counters_.raced;
    Worker& worker = *best->worker;
    Send(turn, worker, *l.transfer, l.index, Fetching::Why::kChunk, actions);
    best->open = worker.pipe_bytes() < worker.target(config_.chunk_bytes) && Eligible(worker, turn.now);
  }
}

// A worker that got nothing for a while, for it is slow or suspect, gets a chunk that is needed last, which others fetch all the
// same when it is its turn: so it is known when it has become better.
void Core::Probe(Turn& turn, const std::vector<Candidate>& left, Actions& actions) {
  auto last = left.rbegin();
  for (const auto& [id, w] : workers_) {
    if (w->isolated_until > turn.now || w->pipe().size() >= kProbesMax || (w->pipe_bytes() > 0 && !w->suspect)) continue;
    if (w->last_sent + kProbeEvery > turn.now) {
      probe_at_ = std::min(probe_at_, w->last_sent + kProbeEvery);
      continue;
    }
    for (; last != left.rend(); ++last) {
      const auto it = last->transfer->chunks.find(last->index);
      if (it != last->transfer->chunks.end() && !it->second.holders.empty()) continue;
      ++counters_.probes;
      Send(turn, *w, *last->transfer, last->index, Fetching::Why::kProbe, actions);
      ++last;
      break;
    }
  }
}

// What members are suspected of, and whether the file is still what it was, is asked of our own WAN, before anything else.
void Core::Audit(Turn& turn, Actions& actions) {
  Worker& own = *workers_.at(kOwnWan);
  for (auto& [id, t] : transfers_) {
    if (t->wants_vouch && !t->vouching && own.pipe().size() < Worker::kPipeMax) {
      t->vouching = true, ++counters_.vouches;
      Send(turn, own, *t, t->vouch_index, Fetching::Why::kVouch, actions);
    }
    for (auto& [index, under_way] : t->audits) {
      if (under_way) continue;
      if (own.pipe_bytes() >= own.target(config_.chunk_bytes) || own.pipe().size() >= Worker::kPipeMax) return;
      under_way = true;
      Send(turn, own, *t, index, Fetching::Why::kAudit, actions);
    }
  }
}

// The schedulers of the original plan a transfer when it begins; here a window of it at a time, since memory is bounded.
// A chunk that failed, or whose worker is gone, goes to the next one.
void Core::PumpPlanned(Turn& turn, Actions& actions) {
  for (const Candidate& c : Candidates()) {
    Transfer& t = *c.transfer;
    const uint64_t block = std::max<uint64_t>(1, config_.window_bytes / t.chunk_bytes), first = c.index / block * block;
    const auto n = uint32_t(t.plan_workers.size());
    const uint32_t planned = Plan(config_.scheduler, uint32_t(std::min(block, t.count() - first)), n, t.plan_weights)[size_t(c.index - first)];
    const auto it = t.chunks.find(c.index);
    const uint32_t failures = it == t.chunks.end() ? 0 : it->second.failures;
    for (uint32_t k = 0; k < n; ++k) {
      Worker* w = Find(t.plan_workers[(planned + failures + k) % n]);
      if (w == nullptr || w->isolated_until > turn.now) continue;
      const bool room = w->pipe().size() < Worker::kPipeMax && w->pipe_bytes() < w->target(t.chunk_bytes);
      if (room) Send(turn, *w, t, c.index, Fetching::Why::kChunk, actions);
      break;
    }
  }
}

}  // namespace orchard::pod
