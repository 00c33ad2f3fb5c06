#include "node/pod/core.h"

#include <algorithm>

#include "node/base/check.h"

namespace orchard::pod {

Q32 CatchProbability(uint64_t bad, uint32_t permille) {
  const Q32 miss = RatioQ32(1000 - std::min(permille, 1000u), 1000);
  Q32 all_missed = kQ32One;
  for (Q32 power = miss; bad > 0; bad /= 2, power = MulQ32(power, power)) {
    if (bad % 2 == 1) all_missed = MulQ32(all_missed, power);
  }
  return kQ32One - all_missed;
}

Core::Core(const CoreConfig& config) : config_(config) {
  config_.chunk_bytes = std::clamp(config_.chunk_bytes, kChunkMin, kChunkMax);
  config_.window_bytes = std::max(config_.window_bytes, 2 * config_.chunk_bytes);
  config_.memory_bytes = std::max(config_.memory_bytes, kTransfersMax * 2 * config_.chunk_bytes);
  workers_.emplace(kOwnWan, std::make_unique<Worker>(kOwnWan, std::nullopt));
}

// ---- Members ----

std::optional<WorkerId> Core::OnPeerJoined(Turn& turn, const DeviceId& device, Actions& actions) {
  if (banned_.contains(device) || peers() >= kPeersMax) return std::nullopt;
  const WorkerId id{next_worker_++};
  auto worker = std::make_unique<Worker>(id, device);
  worker->heard = turn.now;
  workers_.emplace(id, std::move(worker));
  names_.emplace(id, device);
  if (names_.size() > kBannedMax) names_.erase(names_.begin());
  if (heartbeat_at_ == kNever) heartbeat_at_ = turn.now + kHeartbeat;
  Settle(turn, actions);
  return id;
}

void Core::OnPeerLeft(Turn& turn, WorkerId peer, Actions& actions) {
  RemovePeer(turn, peer, actions);
  Settle(turn, actions);
}

void Core::RemovePeer(Turn& turn, WorkerId peer, Actions& actions) {
  Worker* worker = Find(peer);
  if (worker == nullptr || peer == kOwnWan) return;
  while (!worker->pipe().empty()) Drop(turn, worker->pipe().front()->id, false, actions);
  workers_.erase(peer);
  if (peers() == 0) heartbeat_at_ = kNever;
}

void Core::OnHeard(Turn& turn, WorkerId peer) {
  if (Worker* worker = Find(peer)) worker->heard = turn.now;
}

void Core::SetWeight(WorkerId worker, uint64_t weight) {
  if (Worker* w = Find(worker)) w->weight = weight;
}

// ---- Downloads ----

std::optional<TransferId> Core::OnRequest(Turn& turn, const Request& request, Actions& actions) {
  if (request.end <= request.start || peers() == 0 || transfers_.size() >= kTransfersMax) return std::nullopt;
  auto transfer = std::make_unique<Transfer>();
  Transfer& t = *transfer;
  turn.rng.Fill(absl::MakeSpan(t.id));
  t.id[6] = uint8_t((t.id[6] & 0x0f) | 0x40), t.id[8] = uint8_t((t.id[8] & 0x3f) | 0x80);  // A UUID of version 4.
  t.url = std::string(request.url);
  t.start = request.start, t.end = request.end, t.chunk_bytes = config_.chunk_bytes, t.expected = request.sha256, t.stated = request.stated;
  const uint64_t bytes = t.end - t.start;
  t.holds = t.expected.has_value() && bytes <= config_.window_bytes && reserved() + bytes <= config_.memory_bytes / 2;
  for (const auto& [id, worker] : workers_) t.plan_workers.push_back(id), t.plan_weights.push_back(worker->weight);
  const TransferId id = t.id;
  transfers_.emplace(id, std::move(transfer));
  Settle(turn, actions);
  return id;
}

void Core::OnRead(Turn& turn, const TransferId& transfer, uint64_t bytes, Actions& actions) {
  Transfer* t = Find(transfer);
  if (t == nullptr) return;
  t->read = std::max(t->read, std::min(bytes, t->delivered * t->chunk_bytes));
  Settle(turn, actions);
}

void Core::Abort(Turn& turn, const TransferId& transfer, Actions& actions) {
  if (Transfer* t = Find(transfer)) t->ending = Ending::kAborted;
  Settle(turn, actions);
}

std::optional<std::string_view> Core::url(const TransferId& transfer) const {
  const auto it = transfers_.find(transfer);
  return it == transfers_.end() ? std::nullopt : std::optional<std::string_view>(it->second->url);
}

// ---- Time ----

void Core::OnTime(Turn& turn, Actions& actions) {
  if (heartbeat_at_ <= turn.now) {
    heartbeat_at_ = turn.now + kHeartbeat;
    for (const auto& [id, worker] : workers_) {
      if (id != kOwnWan) actions.push_back(SendHeartbeat{id});
    }
  }
  std::vector<WorkerId> silent;
  for (const auto& [id, worker] : workers_) {
    if (id != kOwnWan && worker->heard + kSilence <= turn.now) silent.push_back(id);
  }
  for (WorkerId id : silent) {
    actions.push_back(PeerSilent{id, *Find(id)->device()});
    RemovePeer(turn, id, actions);
  }
  for (const auto& [id, worker] : workers_) {
    if (worker->isolated_until != Instant{} && worker->isolated_until <= turn.now) worker->isolated_until = Instant{};
    bool late = false;
    while (!worker->pipe().empty() && worker->pipe().front()->sent + config_.chunk_deadline <= turn.now) {
      Drop(turn, worker->pipe().front()->id, true, actions);
      ++counters_.timeouts, late = true;
    }
    if (late) Blame(turn, *worker, actions);  // Once for all that were sent behind each other.
  }
  Settle(turn, actions);
}

Instant Core::next_deadline() const {
  Instant next = std::min(heartbeat_at_, probe_at_);
  for (const auto& [id, worker] : workers_) {
    if (id != kOwnWan) next = std::min(next, worker->heard + kSilence);
    if (worker->isolated_until != Instant{}) next = std::min(next, worker->isolated_until);
    if (worker->pipe().empty()) continue;
    next = std::min(next, worker->pipe().front()->sent + config_.chunk_deadline);
    if (adaptive()) next = std::min(next, worker->overdue_at());
  }
  return next;
}

// ---- Looking up ----

uint64_t Core::reserved() const {
  uint64_t sum = 0;
  for (const auto& [id, t] : transfers_) sum += t->holds ? t->end - t->start : 0;
  return sum;
}

Worker* Core::Find(WorkerId id) {
  const auto it = workers_.find(id);
  return it == workers_.end() ? nullptr : it->second.get();
}
const Worker* Core::worker(WorkerId id) const {
  const auto it = workers_.find(id);
  return it == workers_.end() ? nullptr : it->second.get();
}
Transfer* Core::Find(const TransferId& id) {
  const auto it = transfers_.find(id);
  return it == transfers_.end() ? nullptr : it->second.get();
}

Fetching* Core::FindFetch(WorkerId worker, const TransferId& transfer, uint64_t start, uint64_t end) {
  Worker* w = Find(worker);
  if (w == nullptr || worker == kOwnWan) return nullptr;
  for (Fetching* f : w->pipe()) {
    if (f->transfer == transfer && f->start == start && f->end == end) return f;
  }
  return nullptr;
}

std::optional<FetchId> Core::oldest(WorkerId peer) const {
  const Worker* w = worker(peer);
  return w == nullptr || w->pipe().empty() ? std::nullopt : std::optional(w->pipe().front()->id);
}

uint64_t Core::held_bytes(const TransferId& transfer) const {
  const auto it = transfers_.find(transfer);
  uint64_t sum = 0;
  if (it != transfers_.end()) {
    for (const auto& [index, chunk] : it->second->chunks) sum += chunk.data.size();
  }
  return sum;
}

uint64_t Core::window_bytes(const TransferId& transfer) const {
  const auto it = transfers_.find(transfer);
  return it == transfers_.end() ? 0 : it->second->window;
}

}  // namespace orchard::pod
