// Whom a swarm knows, and whom it dials next.
#include "node/base/check.h"
#include "node/swarm/swarm.h"
#include "node/swarm/trace.h"

namespace orchard::swarm {

PeerInfo* Swarm::Upsert(Turn& turn, const Key32& key, News& news) {
  if (key == config_.key.public_key) return nullptr;
  if (auto it = peers_.find(key); it != peers_.end()) return &it->second;
  if (peers_.size() >= kPeersMax) {
    // Who waits for long is the least likely to be there still.
    std::optional<Key32> victim = queue_.Pop(turn.rng);
    if (!victim.has_value()) return nullptr;
    PeerInfo& p = peers_.at(*victim);
    if (p.is_explicit || p.banned || p.connection.has_value()) {
      queue_.Add(*victim, p.priority);
      return nullptr;
    }
    const uint64_t tick = p.flush_tick;
    peers_.erase(*victim);
    ++stats_.forgotten;
    PeerTried(tick, news);
  }
  return &peers_.try_emplace(key).first->second;
}

// Source: npm hyperswarm index.js, _handlePeer.
void Swarm::OnPeer(Turn& turn, const hyperdht::Peer& peer, const Key32& topic, News& news) {
  PeerInfo* p = Upsert(turn, peer.public_key, news);
  if (p == nullptr) return;
  ++stats_.found;
  turn.trace.Add(SwarmPeer{.topic = topic, .peer = peer.public_key});
  p->relay_addresses = peer.relay_addresses;  // The newest word counts.
  if (std::find(p->topics.begin(), p->topics.end(), topic) == p->topics.end()) p->topics.push_back(topic);
  if (p->connection.has_value()) return;
  if (!p->prioritized() || !p->client) p->Reset();
  if (p->UpdatePriority()) Enqueue(peer.public_key, *p);
}

void Swarm::Enqueue(const Key32& key, PeerInfo& peer) {
  peer.queued = true;
  peer.flush_tick = flush_tick_;
  queue_.Add(key, peer.priority);
}

bool Swarm::Wanted(const PeerInfo& peer) const {
  if (suspended_) return false;
  return peer.is_explicit || std::any_of(peer.topics.begin(), peer.topics.end(), [&](const Key32& topic) {
           auto it = topics_.find(topic);
           return it != topics_.end() && it->second.sessions() > 0;
         });
}

void Swarm::Wait(Turn& turn, const Key32& key, PeerInfo& peer, Backoff backoff) {
  peer.ticket = next_ticket_++;
  peer.waiting = retries_.Add(turn.now, turn.rng, backoff, {.key = key, .ticket = peer.ticket});
}

void Swarm::MaybeForget(const Key32& key) {
  auto it = peers_.find(key);
  if (it != peers_.end() && it->second.idle()) peers_.erase(it);
}

void Swarm::RetryWaiting(Turn& turn) {
  std::vector<Waiting> released;
  retries_.OnTime(turn.now, released);
  for (const Waiting& w : released) {
    auto it = peers_.find(w.key);
    if (it == peers_.end() || !it->second.waiting || it->second.ticket != w.ticket) continue;
    PeerInfo& p = it->second;
    p.waiting = false;
    if (p.UpdatePriority() && !p.connection.has_value() && (config_.js_compat || Wanted(p))) Enqueue(w.key, p);
    MaybeForget(w.key);
  }
}

// Source: npm hyperswarm index.js, _withinMaxPeers.
size_t Swarm::Weight() const {
  const size_t e = explicit_.size();
  return Load() * (e == 0 ? 1 : e < 2 ? 2 : e < 4 ? 3 : 4);
}

bool Swarm::MayDial() const {
  if (suspended_ || connecting_ >= config_.max_parallel || client_connections_ >= config_.max_client_connections) return false;
  if (WithinMaxPeers()) return true;
  const uint32_t room = std::min(kExploreRoom, (config_.max_peers - config_.dial_until()) / 2);
  return explore_ > 0 && explore_tries_ > 0 && Weight() < config_.dial_until() + room;
}

// Source: npm hyperswarm index.js, _attemptClientConnections.
void Swarm::TryPeers(Turn& turn, Network& network, News& news) {
  if (suspended_) return;
  for (const Key32& key : explicit_) {
    if (connecting_ >= config_.max_parallel) break;
    const PeerInfo& p = peers_.at(key);
    if (p.connection.has_value() || p.attempts > kExplicitAttemptsMax) continue;
    if (turn.now - p.disconnected < p.attempts * std::chrono::seconds(1)) continue;
    Dial(turn, network, key, false, news);
  }
  while (!queue_.empty() && MayDial()) {
    Key32 key = *queue_.Shift(turn.rng);
    peers_.at(key).queued = false;
    Dial(turn, network, key, true, news);
  }
  if (connecting_ == 0) FlushAllMaybe(news);
}

void Swarm::Dial(Turn& turn, Network& network, const Key32& key, bool queued, News& news) {
  PeerInfo& p = peers_.at(key);
  const uint64_t tick = queued || p.queued ? p.flush_tick : flush_tick_;
  const bool needless = p.banned || p.connection.has_value() || (queued && !config_.js_compat && !Wanted(p));
  const bool elsewhere = !needless && !config_.js_compat && network.Connected(key);
  if (needless || elsewhere) {
    // What someone else of this node holds may end, and we are not told.
    if (elsewhere && Wanted(p) && !p.waiting) Wait(turn, key, p, Backoff::kLong);
    if (queued) PeerTried(tick, news);
    return MaybeForget(key);
  }
  if (std::exchange(p.queued, false)) queue_.Erase(key, p.priority);  // An explicit one that did not wait its turn.

  hyperdht::ConnectOptions options{.key = config_.key, .relay_addresses = p.relay_addresses, .relay_policy = config_.relay_policy};
  bool relayed = p.force_relaying;
  if (config_.relay_through.has_value() && config_.relay_policy != hyperdht::RelayPolicy::kNever) {
    if (config_.js_compat) relayed = relayed || network.randomized();
    if (relayed || !config_.js_compat || config_.relay_policy == hyperdht::RelayPolicy::kOnly) options.relay_through = config_.relay_through;
    if (relayed) options.relay_policy = std::max(hyperdht::RelayPolicy::kAlways, config_.relay_policy);
  }
  if (!WithinMaxPeers() && explore_tries_ > 0) --explore_tries_;
  hyperdht::ConnectionId id = network.Connect(turn, key, options);
  p.connection = id;
  links_.emplace(id, Link{.peer = key, .initiator = true, .flush_tick = tick});
  ++connecting_, ++client_connections_, ++stats_.dials;
  turn.trace.Add(SwarmDialed{.connection = uint32_t(id), .peer = key, .attempts = p.attempts, .priority = uint64_t(p.priority),
                             .relayed = relayed});
}

bool Swarm::JoinPeer(Turn& turn, Network& network, const Key32& peer, News& news) {
  PeerInfo* p = explicit_.size() < kExplicitMax ? Upsert(turn, peer, news) : nullptr;
  if (p == nullptr) return false;
  if (!std::exchange(p->is_explicit, true)) explicit_.push_back(peer);
  if (p->connection.has_value()) return true;
  if (p->UpdatePriority()) Enqueue(peer, *p);
  TryPeers(turn, network, news);
  return true;
}

void Swarm::LeavePeer(const Key32& peer) {
  auto it = peers_.find(peer);
  if (it == peers_.end() || !std::exchange(it->second.is_explicit, false)) return;
  std::erase(explicit_, peer);
  MaybeForget(peer);
}

bool Swarm::Reconnect(const Key32& peer, bool reconnect) {
  auto it = peers_.find(peer);
  if (it == peers_.end()) return false;
  it->second.reconnecting = reconnect;
  return true;
}

bool Swarm::Ban(Turn& turn, Network& network, const Key32& peer, bool banned, News& news) {
  if (!banned) {
    auto it = peers_.find(peer);
    if (it == peers_.end() || !std::exchange(it->second.banned, false)) return true;
    --bans_;
    MaybeForget(peer);
    return true;
  }
  PeerInfo* p = bans_ < kBansMax ? Upsert(turn, peer, news) : nullptr;
  if (p == nullptr) return false;
  if (std::exchange(p->banned, true)) return true;
  ++bans_, ++stats_.banned;
  if (p->connection.has_value()) Disconnect(turn, network, *p->connection, news);
  return true;
}

}  // namespace orchard::swarm
