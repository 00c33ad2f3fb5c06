// The connections of a swarm: who may come in, which of two stays, and what follows when one ends.
#include "node/base/check.h"
#include "node/swarm/duplicates.h"
#include "node/swarm/swarm.h"
#include "node/swarm/trace.h"

namespace orchard::swarm {

using hyperdht::ConnectCode;
using hyperdht::ConnectionId;

namespace {

// What says that punching cannot work between the two. Source: npm hyperswarm index.js, shouldForceRelaying.
bool ForcesRelaying(ConnectCode code) {
  return code == ConnectCode::kHolepunchAborted || code == ConnectCode::kDoubleRandomized ||
         code == ConnectCode::kCannotHolepunch || code == ConnectCode::kRemoteNotPunchable;
}

}  // namespace

// Empty: it may come in.
std::string_view Swarm::WhyRefuse(const Key32& peer) const {
  if (suspended_) return "suspended";
  if (peer == config_.key.public_key) return "own-key";
  auto it = peers_.find(peer);
  const PeerInfo* p = it == peers_.end() ? nullptr : &it->second;
  if (p != nullptr && p->banned) return "banned";
  // The deployed logic stores its bounds but takes whoever comes.
  if (config_.js_compat || (p != nullptr && (p->is_explicit || p->connection.has_value()))) return "";
  return Load() >= config_.max_peers || server_connections_ >= config_.max_server_connections ? "full" : "";
}

void Swarm::OnKnock(Turn& turn, Network& network, const hyperdht::PeerKnocked& knock) {
  if (knock.server != config_.key.public_key || (!asked_to_listen_ && !suspended_)) return;
  std::string_view why = WhyRefuse(knock.remote_key);
  if (why.empty() && admitted_.size() >= kAdmittedMax) why = "full";
  if (!why.empty()) {
    ++stats_.refused;
    turn.trace.Add(SwarmRefused{.peer = knock.remote_key, .why = why});
    return network.Refuse(turn, knock.connection);
  }
  admitted_.emplace(knock.connection, turn.now);
  network.Admit(turn, knock.connection);
}

void Swarm::OnOpened(Turn& turn, Network& network, const hyperdht::ConnectionOpened& opened, News& news) {
  const auto admitted = admitted_.find(opened.connection);
  const Instant knocked = admitted == admitted_.end() ? kNever : admitted->second;
  admitted_.erase(opened.connection);
  auto it = links_.find(opened.connection);
  if (it == links_.end()) {
    if (!opened.initiator && opened.server == config_.key.public_key && (asked_to_listen_ || suspended_)) {
      OnServerLink(turn, network, opened, knocked, news);
      TryPeers(turn, network, news);
    }
    return;  // Else it is someone else's of this node.
  }
  Link& link = it->second;
  CHECK(!link.open);
  link.open = true, link.opened = turn.now, link.path = opened.path;
  --connecting_, ++stats_.client_opened;
  if (!WithinMaxPeers() && explore_ > 0) --explore_;
  PeerInfo& p = peers_.at(link.peer);
  p.Connected(turn.now);
  p.client = true;
  news.push_back(PeerConnected{.connection = opened.connection, .peer = link.peer, .initiator = true, .path = opened.path, .topics = p.topics});
  PeerTried(link.flush_tick, news);
  TryPeers(turn, network, news);
}

bool Swarm::KeepsNew(Turn& turn, const Link& existing) const {
  const bool greater = config_.key.public_key > existing.peer;
  if (config_.js_compat) return DeployedKeepsNew(existing.open, greater, false);
  return swarm::KeepsNew(existing.initiator, existing.open ? turn.now - existing.opened : Duration(-1), greater);
}

// Source: npm hyperswarm index.js, _handleServerConnection.
void Swarm::OnServerLink(Turn& turn, Network& network, const hyperdht::ConnectionOpened& opened, Instant knocked, News& news) {
  // Nobody need have knocked: another part of this node may have opened the server.
  if (std::string_view why = WhyRefuse(opened.remote_key); !why.empty()) {
    ++stats_.refused;
    turn.trace.Add(SwarmRefused{.peer = opened.remote_key, .why = why});
    return network.Destroy(turn, opened.connection);
  }
  PeerInfo* p = Upsert(turn, opened.remote_key, news);
  if (p == nullptr) return network.Destroy(turn, opened.connection);
  const Link link{.peer = opened.remote_key, .open = true, .opened = turn.now, .path = opened.path};
  if (p->connection.has_value()) {
    auto existing = links_.find(*p->connection);
    const Link old = existing->second;
    const hyperdht::ConnectionId old_id = existing->first;
    const bool keep_new = KeepsNew(turn, old);
    // Whoever knocks a while after our dial opened has seen it open, and wants another.
    const bool informed = knocked != kNever && old.open && knocked - old.opened >= kTellMax;
    const bool crossing = old.initiator && !informed && (!old.open || turn.now - old.opened < kCrossingMax);
    // Only of dials that cross is one too many. Else the older may carry what another part of this node, or of the peer, began.
    const bool both = !config_.js_compat && (!crossing || network.awaited(opened.server));
    if (const auto guests = guests_.find(opened.remote_key); both && guests != guests_.end() && guests->second.size() >= kGuestsMax) {
      ++stats_.refused;
      turn.trace.Add(SwarmRefused{.peer = opened.remote_key, .why = "full"});
      return network.Destroy(turn, opened.connection);
    }
    ++stats_.duplicates;
    turn.trace.Add(SwarmDuplicate{.peer = opened.remote_key, .kept = uint32_t(keep_new ? opened.connection : old_id),
                                  .dropped = both ? 0 : uint32_t(keep_new ? old_id : opened.connection)});
    if (!keep_new) {
      network.SendKeepAlive(turn, old_id);  // It may be dead, and so the other one dials again.
      return both ? AddGuest(opened.connection, link) : network.Destroy(turn, opened.connection);
    }
    const bool stays = both && old.open;  // A dial of ours that is under way carries nothing yet.
    if (!stays) network.Destroy(turn, old_id);
    else network.SendKeepAlive(turn, old_id);
    Unlink(turn, existing, ConnectCode::kRefused, news);
    if (stays) AddGuest(old_id, old);
    p = Upsert(turn, opened.remote_key, news);  // Perhaps forgotten with its connection.
    CHECK(p != nullptr);
  }
  p->connection = opened.connection;
  p->client = false;
  links_.emplace(opened.connection, link);
  ++server_connections_, ++stats_.server_opened;
  news.push_back(PeerConnected{.connection = opened.connection, .peer = opened.remote_key, .initiator = false, .path = opened.path, .topics = p->topics});
}

void Swarm::Unlink(Turn& turn, Links::iterator it, ConnectCode code, News& news) {
  const auto [id, link] = *it;
  links_.erase(it);
  PeerInfo& p = peers_.at(link.peer);
  p.connection.reset();
  if (link.open) news.push_back(PeerDisconnected{.connection = id, .peer = link.peer, .code = code});
  if (link.initiator) {
    --client_connections_, ++stats_.client_closed;
    if (!link.open) {
      --connecting_;
      if (config_.relay_through.has_value() && ForcesRelaying(code)) p.force_relaying = true, p.attempts = 0;
    }
    p.Disconnected(turn.now);
    p.waiting = false;
    if (std::optional<Backoff> backoff = p.backoff(); backoff.has_value() && Wanted(p)) Wait(turn, link.peer, p, *backoff);
    if (!link.open) PeerTried(link.flush_tick, news);
  } else {
    --server_connections_, ++stats_.server_closed;
  }
  if (link.open && !suspended_) {
    for (const Key32& topic : p.topics) {
      if (auto t = topics_.find(topic); t != topics_.end() && Lonely(topic)) Touch(t, [&](Discovery& d) { d.Hurry(turn); });
    }
  }
  MaybeForget(link.peer);
}

void Swarm::OnFailed(Turn& turn, Network& network, const hyperdht::ConnectFailed& failed, News& news) {
  admitted_.erase(failed.connection);
  auto it = links_.find(failed.connection);
  if (it != links_.end()) LinkOver(turn, network, it, failed.code, news);
  TryPeers(turn, network, news);
}

void Swarm::LinkOver(Turn& turn, Network& network, Links::iterator it, ConnectCode code, News& news) {
  const Key32 peer = it->second.peer;
  Unlink(turn, it, code, news);
  auto guests = guests_.find(peer);
  if (guests == guests_.end()) return;
  std::erase_if(guests->second, [&](const auto& g) { return !network.exists(g.first); });
  PeerInfo* p = guests->second.empty() ? nullptr : Upsert(turn, peer, news);
  if (p == nullptr || p->banned) {
    for (const auto& [id, link] : guests->second) network.Destroy(turn, id);
    guests_.erase(guests);
    return;
  }
  const auto [id, link] = guests->second.back();
  guests->second.pop_back();
  if (guests->second.empty()) guests_.erase(guests);
  p->connection = id, p->client = link.initiator;
  links_.emplace(id, link);
  ++(link.initiator ? client_connections_ : server_connections_);
  ++(link.initiator ? stats_.client_opened : stats_.server_opened);
  if (link.initiator) p->Connected(turn.now);
  news.push_back(PeerConnected{.connection = id, .peer = peer, .initiator = link.initiator, .path = link.path, .topics = p->topics});
}

bool Swarm::IsOnly(ConnectionId connection) const {
  auto it = links_.find(connection);
  return it != links_.end() && !guests_.contains(it->second.peer);
}

void Swarm::OnClosed(Turn& turn, Network& network, const hyperdht::ConnectionClosed& closed, News& news) {
  if (auto guests = guests_.find(closed.remote_key); guests != guests_.end()) {
    std::erase_if(guests->second, [&](const auto& g) { return g.first == closed.connection; });
    if (guests->second.empty()) guests_.erase(guests);
  }
  auto it = links_.find(closed.connection);
  if (it == links_.end()) return;
  LinkOver(turn, network, it, closed.code, news);
  TryPeers(turn, network, news);
}

void Swarm::OnDestroyed(Turn& turn, Network& network, News& news) {
  absl::erase_if(admitted_, [&](const auto& a) { return !network.exists(a.first); });
  absl::erase_if(guests_, [&](auto& g) {
    std::erase_if(g.second, [&](const auto& one) { return !network.exists(one.first); });
    return g.second.empty();
  });
  std::vector<ConnectionId> gone;
  for (const auto& [id, link] : links_) {
    if (!network.exists(id)) gone.push_back(id);
  }
  for (ConnectionId id : gone) LinkOver(turn, network, links_.find(id), ConnectCode::kDestroyed, news);
  if (!gone.empty()) TryPeers(turn, network, news);
}

void Swarm::Disconnect(Turn& turn, Network& network, ConnectionId connection, News& news) {
  auto it = links_.find(connection);
  if (it == links_.end()) return;
  network.Destroy(turn, connection);
  LinkOver(turn, network, it, ConnectCode::kDestroyed, news);
  TryPeers(turn, network, news);
}

}  // namespace orchard::swarm
