// What became of the fetches: chunks, lies, and the end of a transfer.

#include <algorithm>

#include "node/base/check.h"
#include "node/pod/core.h"

namespace orchard::pod {

void Core::OnProgress(Turn& turn, FetchId fetch, uint64_t so_far, Actions& actions) {
  const auto it = fetches_.find(fetch);
  if (it == fetches_.end()) return;
  Fetching& f = *it->second;
  so_far = std::min(so_far, f.bytes());
  Worker& worker = *Find(f.worker);
  worker.heard = turn.now;
  // Work is given out anew when it changes what a worker is thought to be, or it has room again, not with every few bytes.
  const bool news = worker.suspect || !worker.known(), full = worker.pipe_bytes() >= worker.target(config_.chunk_bytes);
  if (so_far > f.got) worker.OnBytes(f, so_far - f.got, turn.now);
  if (news || (full && worker.pipe_bytes() < worker.target(config_.chunk_bytes))) Settle(turn, actions);
}

Fetching Core::Take(FetchId id, Instant now) {
  const auto it = fetches_.find(id);
  CHECK(it != fetches_.end());
  const std::unique_ptr<Fetching> f = std::move(it->second);
  fetches_.erase(it);
  Find(f->worker)->OnGone(*f, now);
  if (Transfer* t = Find(f->transfer)) {
    if (const auto chunk = t->chunks.find(f->index); chunk != t->chunks.end()) {
      auto& holders = chunk->second.holders;
      holders.erase(std::remove(holders.begin(), holders.end(), id), holders.end());
    }
  }
  return *f;
}

void Core::OnOwnChunk(Turn& turn, FetchId fetch, Bytes payload, Actions& actions) {
  const auto it = fetches_.find(fetch);
  if (it == fetches_.end() || it->second->worker != kOwnWan) return;
  Fetching& f = *it->second;
  Worker& own = *Find(kOwnWan);
  if (payload.size() != f.bytes()) {
    Drop(turn, fetch, true, actions);
    Blame(turn, own, actions);
    return Settle(turn, actions);
  }
  own.OnBytes(f, f.bytes() - f.got, turn.now);
  own.failures = 0;
  const Fetching done = Take(fetch, turn.now);
  if (Transfer* t = Find(done.transfer)) t->vouched = std::max(t->vouched, done.peer_chunks);
  if (done.wanted) {
    if (done.why == Fetching::Why::kVouch) OnVouch(done, payload, actions);
    else if (done.why == Fetching::Why::kCheck) OnCheck(turn, done, payload, actions);
    else if (done.why == Fetching::Why::kAudit) OnAudit(turn, done, payload, actions);
    else Accept(turn, done, payload, nullptr, actions);
  }
  Settle(turn, actions);
}

void Core::OnChunkData(Turn& turn, WorkerId peer, const ChunkData& data, Actions& actions) {
  OnHeard(turn, peer);
  Fetching* f = FindFetch(peer, data.transfer, data.start, data.end);
  if (f == nullptr) {
    ++counters_.unasked;
    counters_.wasted_bytes += data.payload.size();
    return;
  }
  Worker& worker = *Find(peer);
  const bool good = data.payload.size() == f->bytes() && crypto::Sha256(data.payload) == data.hash;
  if (!good) {
    actions.push_back(SendNack{peer, {f->transfer, f->start, f->end}});
    Drop(turn, f->id, true, actions);
    Blame(turn, worker, actions);
    return Settle(turn, actions);
  }
  worker.OnBytes(*f, f->bytes() - f->got, turn.now);
  worker.failures = 0;
  const Fetching done = Take(f->id, turn.now);
  if (done.wanted) Accept(turn, done, data.payload, &data.hash, actions);
  else counters_.wasted_bytes += done.bytes();
  Settle(turn, actions);
}

void Core::OnNack(Turn& turn, WorkerId peer, const Nack& nack, Actions& actions) {
  OnHeard(turn, peer);
  Fetching* f = FindFetch(peer, nack.transfer, nack.start, nack.end);
  if (f == nullptr) return;
  OnFetchFailed(turn, f->id, actions);
}

void Core::OnFetchFailed(Turn& turn, FetchId fetch, Actions& actions) {
  const auto it = fetches_.find(fetch);
  if (it == fetches_.end()) return;
  const WorkerId worker = it->second->worker;
  Drop(turn, fetch, true, actions);
  Blame(turn, *Find(worker), actions);
  Settle(turn, actions);
}

void Core::OnChanged(Turn& turn, const TransferId& transfer, Actions& actions) {
  if (Transfer* t = Find(transfer); t != nullptr && !t->ending.has_value()) t->ending = Ending::kChanged;
  Settle(turn, actions);
}

// Forgets a fetch that brings nothing any more.
void Core::Drop(Turn& turn, FetchId id, bool failed, Actions& actions) {
  const Fetching f = Take(id, turn.now);
  if (f.worker == kOwnWan) actions.push_back(Cancel{id});
  Transfer* t = f.wanted ? Find(f.transfer) : nullptr;
  if (t == nullptr) return;
  switch (f.why) {
    case Fetching::Why::kChunk:
      if (failed && ++t->chunks[f.index].failures >= kAttemptsMax) t->ending = Ending::kUnavailable;
      break;
    case Fetching::Why::kProbe: break;
    case Fetching::Why::kCheck:
      ++counters_.check_failed;
      if (const auto it = t->chunks.find(f.index); it != t->chunks.end()) it->second.checking = false;
      Advance(*t, actions);
      break;
    case Fetching::Why::kAudit:
      if (const auto it = t->audits.find(f.index); it != t->audits.end()) it->second = false;
      if (failed && ++t->audit_failures >= kAttemptsMax) t->ending = t->expected ? Ending::kHashMismatch : Ending::kPoisoned;
      break;
    case Fetching::Why::kVouch:
      t->vouching = false;
      if (failed && ++t->vouch_failures >= kAttemptsMax) t->ending = Ending::kUnavailable;
      break;
  }
}

// Another was faster, or nobody reads any more.
void Core::Unwant(Turn& turn, FetchId id, Actions& actions) {
  Fetching& f = *fetches_.at(id);
  f.wanted = false;
  if (f.worker == kOwnWan) {
    counters_.wasted_bytes += f.got;
    Drop(turn, id, false, actions);
  }
}

// Our own WAN is never isolated: without it nobody is left.
void Core::Blame(Turn& turn, Worker& worker, Actions& actions) {
  ++counters_.failures;
  if (++worker.failures < config_.failures_max || worker.id() == kOwnWan) return;
  worker.failures = config_.failures_max - 1;  // When it is back, the next failure isolates it again.
  worker.isolated_until = turn.now + config_.isolation;
  actions.push_back(Isolated{worker.id(), *worker.device(), Fault::kFailures});
  while (!worker.pipe().empty()) Drop(turn, worker.pipe().front()->id, false, actions);
}

// A chunk came, and is what its sender says it is.
void Core::Accept(Turn& turn, const Fetching& fetch, Bytes payload, const Key32* digest, Actions& actions) {
  Transfer* t = Find(fetch.transfer);
  if (t == nullptr || t->ending.has_value()) return;
  const auto it = t->chunks.find(fetch.index);
  if (it == t->chunks.end() || it->second.have) {
    counters_.wasted_bytes += payload.size();
    return;
  }
  Chunk& chunk = it->second;
  ++counters_.chunks;
  chunk.have = true, chunk.from = fetch.worker, chunk.data.assign(AsText(payload));
  const bool from_peer = fetch.worker != kOwnWan;
  if (from_peer) {
    chunk.digest = *digest;
    ++t->peer_chunks, t->vouch_index = fetch.index;
    t->vouch_head.assign(chunk.data, 0, Transfer::kVouchBytes);
  }
  for (const FetchId other : std::vector<FetchId>(chunk.holders.begin(), chunk.holders.end())) Unwant(turn, other, actions);
  // Drawn after the chunk has come, so nobody can tell beforehand which will be looked at.
  Worker& own = *Find(kOwnWan);
  if (from_peer && !t->expected.has_value() && turn.rng.Chance(std::min(config_.check_permille, 1000u), 1000) &&
      own.pipe().size() < Worker::kPipeMax) {
    chunk.checking = true, ++counters_.checked;
    Send(turn, own, *t, fetch.index, Fetching::Why::kCheck, actions);
  }
  Advance(*t, actions);
}

void Core::OnCheck(Turn& turn, const Fetching& fetch, Bytes payload, Actions& actions) {
  Transfer* t = Find(fetch.transfer);
  if (t == nullptr) return;
  const auto it = t->chunks.find(fetch.index);
  if (it == t->chunks.end() || !it->second.checking) return;
  Chunk& chunk = it->second;
  chunk.checking = false;
  const WorkerId from = chunk.from;
  const bool lie = AsText(payload) != chunk.data;
  if (lie) chunk.data.assign(AsText(payload)), chunk.from = kOwnWan;
  if (lie) Convict(turn, from, actions);
  Advance(*t, actions);
}

void Core::OnAudit(Turn& turn, const Fetching& fetch, Bytes payload, Actions& actions) {
  Transfer* t = Find(fetch.transfer);
  if (t == nullptr || t->audits.erase(fetch.index) == 0) return;
  Transfer::Entry& entry = t->ledger[size_t(fetch.index)];
  if (crypto::Sha256(payload) != entry.digest) {
    const WorkerId liar = entry.from;
    if (t->holds) {
      Chunk& chunk = t->chunks[fetch.index];
      chunk.data.assign(AsText(payload)), chunk.from = kOwnWan;
      entry.from = kOwnWan, entry.digest = crypto::Sha256(payload);
    } else {
      t->ending = t->expected.has_value() ? Ending::kHashMismatch : Ending::kPoisoned;
    }
    Convict(turn, liar, actions);
  }
  Advance(*t, actions);
}

// The file is what it was. And if the member's bytes are not the file's, the whole chunk is looked at.
void Core::OnVouch(const Fetching& fetch, Bytes payload, Actions& actions) {
  Transfer* t = Find(fetch.transfer);
  if (t == nullptr) return;
  t->vouching = t->wants_vouch = false;
  const bool peers = fetch.index == t->vouch_index && fetch.index < t->ledger.size() && t->ledger[size_t(fetch.index)].from != kOwnWan;
  if (peers && AsText(payload) != t->vouch_head) t->audits.try_emplace(fetch.index, false);
  Advance(*t, actions);
}

// Out for good. What it sent and nobody has seen is fetched again; the rest is audited.
void Core::Convict(Turn& turn, WorkerId liar, Actions& actions) {
  for (auto& [id, t] : transfers_) {
    for (auto& [index, chunk] : t->chunks) {
      if (index < t->delivered || !chunk.have || chunk.from != liar) continue;
      chunk.have = chunk.checking = false;
      chunk.data.clear(), chunk.data.shrink_to_fit();
    }
    AskTruth(*t, liar);
    // What is no longer in the ledger cannot be audited.
    if (t->ledger.size() < t->delivered && t->from_peers > 0) t->ending = Ending::kPoisoned;
  }
  const auto name = names_.find(liar);
  if (name == names_.end()) return;  // It left long ago.
  const DeviceId device = name->second;
  if (!banned_.insert(device).second) return;  // Several of its lies may be found at once.
  ++counters_.liars;
  if (banned_.size() > kBannedMax) banned_.erase(banned_.begin());
  actions.push_back(Isolated{liar, device, Fault::kLiar});
  std::vector<WorkerId> same;  // It may have left and joined again since.
  for (const auto& [id, w] : workers_) {
    if (w->device() == device) same.push_back(id);
  }
  for (WorkerId id : same) RemovePeer(turn, id, actions);
}

// Asks our own WAN for what peers (or that one) supplied and was handed out. False if there is no such chunk.
bool Core::AskTruth(Transfer& t, std::optional<WorkerId> only) {
  for (size_t i = 0; i < t.ledger.size(); ++i) {
    const WorkerId from = t.ledger[i].from;
    if (only.has_value() ? from == *only : from != kOwnWan) t.audits.try_emplace(i, false);
  }
  return !t.audits.empty();
}

// Hands out what lies in order.
void Core::Advance(Transfer& t, Actions& actions) {
  while (!t.ending.has_value() && t.audits.empty() && !t.all_delivered()) {
    const auto it = t.chunks.find(t.delivered);
    if (it == t.chunks.end() || !it->second.have || it->second.checking) return;
    Chunk& chunk = it->second;
    if (t.ledger.size() == t.delivered && t.delivered < Transfer::kLedgerMax) t.ledger.push_back({chunk.digest, chunk.from});
    if (chunk.from != kOwnWan) t.from_peers += chunk.data.size();
    if (!t.holds) {
      if (t.expected.has_value()) t.hash.Add(AsBytes(chunk.data));
      actions.push_back(Deliver{t.id, t.chunk_start(t.delivered), std::move(chunk.data)});
      t.chunks.erase(it);
    }
    ++t.delivered;
  }
  if (!t.ending.has_value() && t.all_delivered() && t.audits.empty()) OnWhole(t, actions);
}

void Core::OnWhole(Transfer& t, Actions& actions) {
  if (!t.expected.has_value()) {
    if (t.stated && t.vouched < t.peer_chunks) t.wants_vouch = true;
    else t.ending = Ending::kDone;
    return;
  }
  if (t.holds) {
    t.hash = crypto::Sha256Stream();
    for (const auto& [index, chunk] : t.chunks) t.hash.Add(AsBytes(chunk.data));
  }
  if (t.hash.Digest() == *t.expected) {
    for (auto& [index, chunk] : t.chunks) actions.push_back(Deliver{t.id, t.chunk_start(index), std::move(chunk.data)});
    t.chunks.clear();
    t.ending = Ending::kDone;
  } else if (t.audited || !AskTruth(t, std::nullopt)) {
    t.ending = Ending::kHashMismatch;
  }
  t.audited = true;
}

// At the end of every call: removes what is over, then gives out work.
void Core::Settle(Turn& turn, Actions& actions) {
  for (auto it = transfers_.begin(); it != transfers_.end();) {
    Transfer& t = *it->second;
    if (!t.ending.has_value()) {
      ++it;
      continue;
    }
    std::vector<FetchId> open;
    for (const auto& [id, f] : fetches_) {
      if (f->transfer == t.id && f->wanted) open.push_back(id);
    }
    for (FetchId id : open) Unwant(turn, id, actions);
    if (*t.ending != Ending::kAborted) {
      actions.push_back(Ended{t.id, *t.ending, *t.ending == Ending::kDone && t.expected.has_value(), t.from_peers});
    }
    it = transfers_.erase(it);
  }
  // After all that was dropped, which may have uncovered what is long overdue.
  for (const auto& [id, worker] : workers_) {
    if (adaptive() && worker->overdue_at() <= turn.now) worker->suspect = true;
  }
  Pump(turn, actions);
}

}  // namespace orchard::pod
