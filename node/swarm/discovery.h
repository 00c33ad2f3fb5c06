// One topic: who of us is in it (sessions), the search that runs, and when the next is due. The Swarm drives it.
// Source: npm hyperswarm lib/peer-discovery.js.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "node/base/turn.h"
#include "node/hyperdht/news.h"
#include "node/swarm/config.h"
#include "node/swarm/network.h"
#include "node/swarm/news.h"

namespace orchard::swarm {

// As what a session is in a topic: `server` announces us, `client` dials who is found.
struct JoinOptions {
  bool server = true, client = true;
  // So many new peers of each search are dialled.
  uint32_t limit = UINT32_MAX;
};

class Discovery {
 public:
  // kListen waits until our server can be found, so that nobody finds us who cannot reach us. kLeave takes the announcement back.
  enum class Step : uint8_t { kIdle, kListen, kAsk, kLeave, kLeft };
  struct Move {
    Step from, to;
  };
  static constexpr Move kMoves[] = {
      {Step::kIdle, Step::kListen}, {Step::kIdle, Step::kAsk},  {Step::kIdle, Step::kLeave},    {Step::kIdle, Step::kLeft},
      {Step::kListen, Step::kAsk},  {Step::kListen, Step::kIdle}, {Step::kAsk, Step::kIdle},
      {Step::kLeave, Step::kIdle},  {Step::kLeave, Step::kLeft},
  };

  // Sleep: a timer that is so late was not late by accident. Source: npm hyperswarm, DELAY_GRACE_PERIOD.
  static constexpr Duration kGrace = std::chrono::seconds(30);
  // Peers of one search that a limit remembers. Source: MAX_DISCOVERY_CACHE.
  static constexpr size_t kDiscoveredMax = 64;
  // Ours: so long a topic waits for its server; then it is searched all the same.
  static constexpr Duration kListenMax = std::chrono::seconds(10);
  // Ours: a search that failed, or led to no connection, is repeated after this, twice this, four times, …; the first one after
  // a Join once, since others may have joined at the same moment, and announced when we had asked already.
  static constexpr Duration kRetry = std::chrono::seconds(5), kHurry = std::chrono::seconds(30);

  // What ended: nothing; a search; Leave; the taking back that Suspend began.
  enum class Told : uint8_t { kNothing, kRefreshed, kLeft, kWithdrawn };
  struct Search {
    hyperdht::Outcome outcome{};
    bool first = false;  // Since the last Join.
    uint32_t found = 0, nodes = 0;
    Duration since_join{};
    bool ok() const { return outcome == hyperdht::Outcome::kOk; }
  };

  Discovery(const Key32& topic, const Config& config);

  // A new session, or another mode of one. Refresh follows.
  void Put(Instant now, SessionId session, const JoinOptions& options);
  // False if it has no such session.
  bool Drop(SessionId session);
  void DropAll() { sessions_.clear(); }
  size_t sessions() const { return sessions_.size(); }
  bool wants_server() const;
  bool wants_client() const;

  // Searches now, unless it does so already in the mode that the sessions want. Those sessions are at least one.
  void Refresh(Turn& turn, Network& network, bool listening);
  // Ends the search and takes the announcement back; true if there was nothing to take back.
  bool Leave(Turn& turn, Network& network);
  void Suspend(Turn& turn, Network& network);
  // Refresh follows.
  void Resume() { suspended_ = false; }

  void OnListening(Turn& turn, Network& network);
  bool owns(hyperdht::FlowId flow) const { return flow_ == flow || withdrawal_ == flow; }
  // Whom to consider, in the order of `peers`. `connected` tells who is.
  std::vector<const hyperdht::Peer*> OnPeersFound(const hyperdht::PeersFound& found, absl::FunctionRef<bool(const Key32&)> connected);
  // Of its own flows. After kLeft it is to be dropped; unless it has sessions again, then refreshed, as after kWithdrawn.
  Told OnFlowEnded(Turn& turn, const hyperdht::FlowEnded& end);
  // `lonely`: nobody is connected of whom we know that he is in this topic.
  void OnTime(Turn& turn, Network& network, bool listening, bool lonely);
  Instant next_deadline() const { return std::min({refresh_at_, check_at_, listen_by_}); }
  // The last connection of this topic is gone.
  void Hurry(Turn& turn);

  Step step() const { return step_; }
  bool searching() const { return step_ == Step::kListen || step_ == Step::kAsk; }
  bool is_server() const { return is_server_; }
  bool is_client() const { return is_client_; }
  const Search& last() const { return last_; }

 private:
  void Enter(Step step);
  void Abort(Turn& turn, Network& network);
  void Ask(Turn& turn, Network& network);
  void Schedule(Turn& turn);

  Key32 topic_;
  Duration refresh_, jitter_;
  bool js_compat_;
  Step step_ = Step::kIdle;
  absl::btree_map<SessionId, JoinOptions> sessions_;
  uint32_t limit_ = UINT32_MAX, budget_ = UINT32_MAX;  // Of the last Join; what is left of it in this search.
  bool is_server_ = false, is_client_ = false;         // Of the search that runs, or ran.
  bool first_announce_ = true, announced_ = false, suspended_ = false, leaving_ = false, unflushed_ = false, repeat_ = false;
  Instant joined_{};
  std::optional<hyperdht::FlowId> flow_, withdrawal_;
  absl::btree_set<Key32> discovered_;
  Search last_;
  Instant refresh_at_ = kNever, check_at_ = kNever, listen_by_ = kNever;
  uint32_t hurried_ = 0;
};

}  // namespace orchard::swarm
