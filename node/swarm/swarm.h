// Hyperswarm: topics in, connections out. Announces and searches each joined topic, queues who is found, dials a few at a
// time, tries again with patience, and keeps one connection with each peer. Policy only: it acts through a Network, puts
// nothing of its own on the wire, and reads no message. Source: npm hyperswarm 4.17 index.js.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/statusor.h"
#include "node/base/deadlines.h"
#include "node/base/turn.h"
#include "node/hyperdht/connection.h"
#include "node/hyperdht/news.h"
#include "node/swarm/config.h"
#include "node/swarm/discovery.h"
#include "node/swarm/network.h"
#include "node/swarm/news.h"
#include "node/swarm/peer_info.h"
#include "node/swarm/queue.h"
#include "node/swarm/retry_timers.h"

namespace orchard::swarm {

class Swarm {
 public:
  // A node announces at most hyperdht::Announcements::kMax, and its server is one.
  static constexpr size_t kTopicsMax = 255;
  static constexpr size_t kSessionsMax = 1024;
  // Known peers. Beyond, a stranger who waits makes room for a new one.
  static constexpr size_t kPeersMax = 4096;
  static constexpr size_t kExplicitMax = 256;
  // An explicit peer that failed more often than this waits for its timer alone.
  static constexpr uint32_t kExplicitAttemptsMax = 4;
  // The banned are remembered for good.
  static constexpr size_t kBansMax = 1024;
  static constexpr size_t kFlushesMax = 64;
  // Second connections with one peer, beside the one that is its link: pipes, say. More are refused.
  static constexpr size_t kGuestsMax = 256;
  // Handshakes let in that are not open yet.
  static constexpr size_t kAdmittedMax = 1024;
  // Ours: after each search so many strangers are dialled beyond dial_until(), while at most so many are above it: the halves
  // of a healed network grow together though each is full. Tries that fail are bounded too.
  static constexpr uint32_t kExplore = 2, kExploreTries = 8, kExploreRoom = 4;

  struct Stats {
    uint64_t dials = 0, client_opened = 0, client_closed = 0, server_opened = 0, server_closed = 0;
    uint64_t found = 0, forgotten = 0, duplicates = 0, refused = 0, banned = 0;
  };
  // A connection that the swarm holds or makes.
  struct Link {
    Key32 peer{};
    bool initiator = false, open = false;
    Instant opened = kNever;
    uint64_t flush_tick = 0;
    hyperdht::Path path = hyperdht::Path::kNone;  // As it opened.
  };

  using Topics = absl::btree_map<Key32, Discovery>;
  using Links = absl::btree_map<hyperdht::ConnectionId, Link>;

  explicit Swarm(Config config) : config_(std::move(config)) {}

  // Each Join is a session; the topic is left when its last one ends. TopicRefreshed follows. Fails if there are too many, or
  // the options name neither server nor client.
  absl::StatusOr<SessionId> Join(Turn& turn, Network& network, const Key32& topic, const JoinOptions& options);
  // Another mode; searches at once. False if there is no such session.
  bool Change(Turn& turn, Network& network, SessionId session, const JoinOptions& options);
  // False if there is no such session. TopicLeft follows if it was the last.
  bool End(Turn& turn, Network& network, SessionId session, News& news);
  // All sessions of the topic. Connections stay. False if it is not joined.
  bool Leave(Turn& turn, Network& network, const Key32& topic, News& news);

  // Lets others reach us. The first Join of a server does it by itself.
  void Listen(Turn& turn, Network& network);

  // Keeps a connection with that peer, whatever the topics. False if there are too many, or it is us.
  bool JoinPeer(Turn& turn, Network& network, const Key32& peer, News& news);
  void LeavePeer(const Key32& peer);
  // The banned are neither dialled nor let in; a connection with one ends. False if there are too many.
  bool Ban(Turn& turn, Network& network, const Key32& peer, bool banned, News& news);
  // Off: it is not dialled again when a connection ends. False if it is unknown.
  bool Reconnect(const Key32& peer, bool reconnect);
  // Ends a connection of the swarm; PeerDisconnected is told if it was open.
  void Disconnect(Turn& turn, Network& network, hyperdht::ConnectionId connection, News& news);

  // Flushed follows, perhaps at once.
  FlushId Flush(News& news);
  // Announcements are taken back, connections end, nothing is dialled. Resume starts where it was.
  void Suspend(Turn& turn, Network& network, News& news);
  void Resume(Turn& turn, Network& network, News& news);
  bool suspended() const { return suspended_; }

  // Inputs: news of the layer below. What is none of its own is ignored.
  void OnNews(Turn& turn, Network& network, const hyperdht::News::value_type& happened, News& news);
  void OnPeersFound(Turn& turn, Network& network, const hyperdht::PeersFound& found, News& news);
  void OnFlowEnded(Turn& turn, Network& network, const hyperdht::FlowEnded& end, News& news);
  void OnListening(Turn& turn, Network& network, const hyperdht::ServerListening& listening);
  void OnKnock(Turn& turn, Network& network, const hyperdht::PeerKnocked& knock);
  void OnOpened(Turn& turn, Network& network, const hyperdht::ConnectionOpened& opened, News& news);
  void OnFailed(Turn& turn, Network& network, const hyperdht::ConnectFailed& failed, News& news);
  void OnClosed(Turn& turn, Network& network, const hyperdht::ConnectionClosed& closed, News& news);
  // Our addresses are others, or we are online again: which connections live? Who is there now?
  void OnNetworkChanged(Turn& turn, Network& network);
  void OnNetworkUpdate(Turn& turn, Network& network, bool online);
  // Someone else of this node may have destroyed connections, of which there is no news.
  void OnDestroyed(Turn& turn, Network& network, News& news);
  void OnTime(Turn& turn, Network& network, News& news);
  Instant next_deadline() const { return std::min(due_.next(), retries_.next_deadline()); }

  const Config& config() const { return config_; }
  // Its topics need the server of its key.
  bool listens() const { return asked_to_listen_; }
  // Another part of this node, which had that server besides, has done with it: it is the swarm's alone again.
  void ListenAgain(Turn& turn, Network& network);
  const Topics& topics() const { return topics_; }
  const absl::btree_map<Key32, PeerInfo>& peers() const { return peers_; }
  const Links& links() const { return links_; }
  // That peer's one connection of the swarm, and no second one stands beside it.
  bool IsOnly(hyperdht::ConnectionId connection) const;
  size_t open() const { return links_.size() - connecting_; }
  size_t queued() const { return queue_.size(); }
  const Stats& stats() const { return stats_; }

 private:
  struct PendingFlush {
    FlushId id;
    absl::btree_set<Key32> topics;  // Searches that were running; empty: the second part.
    bool counting = false;
    size_t missing = 0;             // Peers queued or dialled then, that are not tried yet.
    uint64_t tick = 0;
  };

  // ---- swarm.cc: topics ----
  // After any call of a discovery its deadline may be another.
  template <class F>
  auto Touch(Topics::iterator it, F f) {
    struct Move {
      Deadlines<Key32>& due;
      Topics::iterator it;
      Instant before = it->second.next_deadline();
      ~Move() { due.Move(it->first, before, it->second.next_deadline()); }
    } move{due_, it};
    return f(it->second);
  }
  void Refresh(Turn& turn, Network& network, Topics::iterator it);
  void LeaveTopic(Turn& turn, Network& network, Topics::iterator it, News& news);
  void Drop(Topics::iterator it);
  Topics::iterator OwnerOf(hyperdht::FlowId flow);
  // No connection with anyone of whom we know that he is in the topic.
  bool Lonely(const Key32& topic) const;

  // ---- swarm_peers.cc: whom to dial ----
  // Null: it is us, or there are too many. Invalidates references to others.
  PeerInfo* Upsert(Turn& turn, const Key32& key, News& news);
  void OnPeer(Turn& turn, const hyperdht::Peer& peer, const Key32& topic, News& news);
  void Enqueue(const Key32& key, PeerInfo& peer);
  bool Wanted(const PeerInfo& peer) const;
  void Wait(Turn& turn, const Key32& key, PeerInfo& peer, Backoff backoff);
  void MaybeForget(const Key32& key);
  void TryPeers(Turn& turn, Network& network, News& news);
  void Dial(Turn& turn, Network& network, const Key32& key, bool queued, News& news);
  void RetryWaiting(Turn& turn);
  bool MayDial() const;
  bool WithinMaxPeers() const { return Weight() < config_.dial_until(); }
  // Connections, those under way and let in too. Explicit peers make each weigh more.
  size_t Load() const { return links_.size() + (config_.js_compat ? 0 : admitted_.size()); }
  size_t Weight() const;

  // ---- swarm_links.cc: connections ----
  std::string_view WhyRefuse(const Key32& peer) const;
  // `knocked`: when its first message came; unknown: never.
  void OnServerLink(Turn& turn, Network& network, const hyperdht::ConnectionOpened& opened, Instant knocked, News& news);
  bool KeepsNew(Turn& turn, const Link& existing) const;
  void Unlink(Turn& turn, Links::iterator it, hyperdht::ConnectCode code, News& news);
  void AddGuest(hyperdht::ConnectionId connection, const Link& link) { guests_[link.peer].emplace_back(connection, link); }
  // Unlinks; the newest of its guests takes its place.
  void LinkOver(Turn& turn, Network& network, Links::iterator it, hyperdht::ConnectCode code, News& news);

  // ---- swarm_flush.cc ----
  void CountSearched(News& news);
  void TopicFlushed(const Key32& topic, News& news);
  void PeerTried(uint64_t tick, News& news);
  void FlushAllMaybe(News& news);
  void FailFlushes(News& news);

  Config config_;
  Topics topics_;
  Deadlines<Key32> due_;
  absl::btree_map<SessionId, Key32> sessions_;
  absl::btree_map<Key32, PeerInfo> peers_;
  std::vector<Key32> explicit_;      // In the order they were asked for.
  size_t bans_ = 0;
  ShuffledQueue queue_;
  RetryTimers retries_;
  Links links_;
  // Open connections with linked peers that are not the link, by peer, the oldest first.
  absl::btree_map<Key32, std::vector<std::pair<hyperdht::ConnectionId, Link>>> guests_;
  absl::btree_map<hyperdht::ConnectionId, Instant> admitted_;  // And when they knocked.
  uint32_t connecting_ = 0, client_connections_ = 0, server_connections_ = 0;
  uint32_t explore_ = 0, explore_tries_ = 0;
  std::vector<PendingFlush> flushes_;
  uint64_t flush_tick_ = 0;
  uint32_t next_session_ = 1, next_flush_ = 1, next_ticket_ = 1;
  bool asked_to_listen_ = false, listening_ = false, suspended_ = false, online_ = true;
  Stats stats_;
};

}  // namespace orchard::swarm
