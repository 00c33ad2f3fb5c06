#include "node/swarm/swarm.h"

#include "node/base/check.h"
#include "node/swarm/trace.h"

namespace orchard::swarm {

// ---- Topics ----

absl::StatusOr<SessionId> Swarm::Join(Turn& turn, Network& network, const Key32& topic, const JoinOptions& options) {
  if (!options.server && !options.client) return absl::InvalidArgumentError("neither server nor client");
  if (sessions_.size() >= kSessionsMax) return absl::ResourceExhaustedError("too many sessions");
  auto it = topics_.find(topic);
  if (it == topics_.end()) {
    if (topics_.size() >= kTopicsMax) return absl::ResourceExhaustedError("too many topics");
    it = topics_.try_emplace(topic, topic, config_).first;
    if (suspended_) it->second.Suspend(turn, network);
  }
  SessionId id{next_session_++};
  sessions_.emplace(id, topic);
  it->second.Put(turn.now, id, options);
  turn.trace.Add(SwarmJoined{.topic = topic, .server = options.server, .client = options.client});
  Refresh(turn, network, it);
  return id;
}

bool Swarm::Change(Turn& turn, Network& network, SessionId session, const JoinOptions& options) {
  auto s = sessions_.find(session);
  if (s == sessions_.end() || (!options.server && !options.client)) return false;
  auto it = topics_.find(s->second);
  it->second.Put(turn.now, session, options);
  Refresh(turn, network, it);
  return true;
}

bool Swarm::End(Turn& turn, Network& network, SessionId session, News& news) {
  auto s = sessions_.find(session);
  if (s == sessions_.end()) return false;
  auto it = topics_.find(s->second);
  sessions_.erase(s);
  Discovery& d = it->second;
  d.Drop(session);
  if (d.sessions() == 0) {
    LeaveTopic(turn, network, it, news);
  } else if (d.is_server() && !d.wants_server()) {
    Refresh(turn, network, it);  // Others shall not find us any more.
  }
  return true;
}

bool Swarm::Leave(Turn& turn, Network& network, const Key32& topic, News& news) {
  auto it = topics_.find(topic);
  if (it == topics_.end() || it->second.sessions() == 0) return false;
  absl::erase_if(sessions_, [&](const auto& s) { return s.second == topic; });
  it->second.DropAll();
  LeaveTopic(turn, network, it, news);
  return true;
}

void Swarm::LeaveTopic(Turn& turn, Network& network, Topics::iterator it, News& news) {
  turn.trace.Add(SwarmLeft{.topic = it->first});
  const Key32 topic = it->first;
  if (Touch(it, [&](Discovery& d) { return d.Leave(turn, network); })) {
    Drop(it);
    news.push_back(TopicLeft{.topic = topic, .nodes = 0});
  }
  TopicFlushed(topic, news);  // Whoever waits for the search that was cancelled.
}

void Swarm::Drop(Topics::iterator it) {
  for (auto& [key, peer] : peers_) std::erase(peer.topics, it->first);
  due_.Move(it->first, it->second.next_deadline(), kNever);
  topics_.erase(it);
}

void Swarm::Listen(Turn& turn, Network& network) {
  if (!std::exchange(asked_to_listen_, true)) ListenAgain(turn, network);
}

void Swarm::ListenAgain(Turn& turn, Network& network) {
  network.Listen(turn, {.key = config_.key, .relay_through = config_.relay_through, .relay_policy = config_.relay_policy, .asks = true});
}

void Swarm::Refresh(Turn& turn, Network& network, Topics::iterator it) {
  if (!suspended_ && it->second.wants_server()) Listen(turn, network);
  Touch(it, [&](Discovery& d) { d.Refresh(turn, network, listening_); });
}

Swarm::Topics::iterator Swarm::OwnerOf(hyperdht::FlowId flow) {
  return std::find_if(topics_.begin(), topics_.end(), [&](const auto& t) { return t.second.owns(flow); });
}

bool Swarm::Lonely(const Key32& topic) const {
  return std::none_of(links_.begin(), links_.end(), [&](const auto& l) {
    if (!l.second.open) return false;
    const std::vector<Key32>& topics = peers_.at(l.second.peer).topics;
    return std::find(topics.begin(), topics.end(), topic) != topics.end();
  });
}

void Swarm::OnPeersFound(Turn& turn, Network& network, const hyperdht::PeersFound& found, News& news) {
  auto it = OwnerOf(found.flow);
  if (it == topics_.end() || suspended_) return;
  auto connected = [&](const Key32& key) {
    auto p = peers_.find(key);
    return p != peers_.end() && p->second.connection.has_value() && links_.at(*p->second.connection).open;
  };
  for (const hyperdht::Peer* p : it->second.OnPeersFound(found, connected)) OnPeer(turn, *p, it->first, news);
  TryPeers(turn, network, news);
}

void Swarm::OnFlowEnded(Turn& turn, Network& network, const hyperdht::FlowEnded& end, News& news) {
  auto it = OwnerOf(end.flow);
  if (it == topics_.end()) return;
  const Key32 topic = it->first;
  const Discovery::Told told = Touch(it, [&](Discovery& d) { return d.OnFlowEnded(turn, end); });
  const Discovery& d = it->second;
  switch (told) {
    case Discovery::Told::kNothing: return;
    case Discovery::Told::kRefreshed: {
      const Discovery::Search& s = d.last();
      if (s.first) {
        turn.trace.Add(SwarmFlushed{.topic = topic, .ok = s.ok(), .found = s.found, .nodes = s.nodes,
                                    .took_ns = uint64_t(s.since_join.count())});
      }
      news.push_back(TopicRefreshed{.topic = topic, .outcome = s.outcome, .server = d.is_server(), .client = d.is_client(),
                                    .found = s.found, .nodes = s.nodes});
      if (!config_.js_compat && d.is_client()) explore_ = kExplore, explore_tries_ = kExploreTries;
      TryPeers(turn, network, news);
      return TopicFlushed(topic, news);
    }
    case Discovery::Told::kLeft:
      news.push_back(TopicLeft{.topic = topic, .nodes = d.last().nodes});
      if (d.sessions() == 0) return Drop(it);
      break;  // Joined again meanwhile.
    case Discovery::Told::kWithdrawn: break;
  }
  Refresh(turn, network, it);
}

void Swarm::OnListening(Turn& turn, Network& network, const hyperdht::ServerListening& listening) {
  if (listening.public_key != config_.key.public_key || !asked_to_listen_) return;
  listening_ = true;
  for (auto it = topics_.begin(); it != topics_.end(); ++it) {
    Touch(it, [&](Discovery& d) { d.OnListening(turn, network); });
  }
}

// ---- The whole ----

void Swarm::OnNews(Turn& turn, Network& network, const hyperdht::News::value_type& happened, News& news) {
  if (const auto* found = std::get_if<hyperdht::PeersFound>(&happened)) return OnPeersFound(turn, network, *found, news);
  if (const auto* end = std::get_if<hyperdht::FlowEnded>(&happened)) return OnFlowEnded(turn, network, *end, news);
  if (const auto* listening = std::get_if<hyperdht::ServerListening>(&happened)) return OnListening(turn, network, *listening);
  if (const auto* knock = std::get_if<hyperdht::PeerKnocked>(&happened)) return OnKnock(turn, network, *knock);
  if (const auto* opened = std::get_if<hyperdht::ConnectionOpened>(&happened)) return OnOpened(turn, network, *opened, news);
  if (const auto* failed = std::get_if<hyperdht::ConnectFailed>(&happened)) return OnFailed(turn, network, *failed, news);
  if (const auto* closed = std::get_if<hyperdht::ConnectionClosed>(&happened)) return OnClosed(turn, network, *closed, news);
  if (const auto* net = std::get_if<dht::NetworkUpdate>(&happened)) return OnNetworkUpdate(turn, network, net->online);
}

void Swarm::OnNetworkChanged(Turn& turn, Network& network) {
  if (suspended_) return;
  for (const auto& [id, link] : links_) {
    if (link.open) network.SendKeepAlive(turn, id);
  }
  for (auto it = topics_.begin(); it != topics_.end(); ++it) Refresh(turn, network, it);
}

void Swarm::OnNetworkUpdate(Turn& turn, Network& network, bool online) {
  if (!std::exchange(online_, online) && online) OnNetworkChanged(turn, network);
}

void Swarm::OnTime(Turn& turn, Network& network, News& news) {
  while (std::optional<Key32> topic = due_.due(turn.now)) {
    Touch(topics_.find(*topic), [&](Discovery& d) { d.OnTime(turn, network, listening_, Lonely(*topic)); });
  }
  if (retries_.next_deadline() > turn.now) return;
  RetryWaiting(turn);
  TryPeers(turn, network, news);
}

void Swarm::Suspend(Turn& turn, Network& network, News& news) {
  if (std::exchange(suspended_, true)) return;
  for (auto it = topics_.begin(); it != topics_.end(); ++it) {
    Touch(it, [&](Discovery& d) { d.Suspend(turn, network); });
  }
  for (const auto& [peer, guests] : guests_) {
    for (const auto& [id, link] : guests) network.Destroy(turn, id);
  }
  guests_.clear();
  queue_.Clear(), retries_.Clear();
  for (auto& [key, peer] : peers_) peer.queued = peer.waiting = false;
  while (!links_.empty()) {
    network.Destroy(turn, links_.begin()->first);
    Unlink(turn, links_.begin(), hyperdht::ConnectCode::kDestroyed, news);
  }
  for (const auto& [id, knocked] : admitted_) network.Destroy(turn, id);
  admitted_.clear();
  absl::erase_if(peers_, [](const auto& p) { return p.second.idle(); });
  if (std::exchange(asked_to_listen_, false)) network.Unlisten(turn, config_.key.public_key);
  listening_ = false;
  FailFlushes(news);
}

void Swarm::Resume(Turn& turn, Network& network, News& news) {
  if (!std::exchange(suspended_, false)) return;
  for (auto it = topics_.begin(); it != topics_.end(); ++it) {
    it->second.Resume();
    if (it->second.sessions() > 0) Refresh(turn, network, it);
  }
  TryPeers(turn, network, news);
}

}  // namespace orchard::swarm
