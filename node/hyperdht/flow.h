// One thing that this node asks of the DHT, from the call to its end: a search by dht::Rpc, what is made of each answer, and
// what is written to the closest nodes. A flow owns no timer: the search and each request end by themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_set.h"
#include "node/dht/rpc.h"
#include "node/hyperdht/news.h"
#include "node/hyperdht/signatures.h"

namespace orchard::hyperdht {

struct Move {
  Step from, to;
};
// What may follow what; checked at run time.
inline constexpr Move kFlowMoves[] = {
    {Step::kPing, Step::kEnded},         {Step::kSearch, Step::kEnded},  {Step::kSearch, Step::kCommit},
    {Step::kSearch, Step::kUnannounce},  {Step::kCommit, Step::kEnded},  {Step::kUnannounce, Step::kEnded},
    {Step::kUnannounce, Step::kCommit},
};

class Flow {
 public:
  // Distinct peers that one lookup remembers; further ones are not told.
  static constexpr size_t kPeersMax = 2048;
  // A self announcement goes to so few nodes: clients connect through them. Source: npm hyperdht lib/announcer.js.
  static constexpr size_t kSelfNodes = 3;

  struct Spec {
    FlowKind kind;
    Key32 target{};
    std::optional<KeyPair> key;           // kAnnounce, kUnannounce, kPutMutable.
    std::optional<Key32> public_key;      // kFindPeer, kGetMutable: whose.
    std::vector<Endpoint> relays;         // kAnnounce.
    bool clear = false;                   // kAnnounce: nodes that list us forget that first. record-cache keeps the oldest.
    std::string value;                    // kPut….
    std::optional<uint64_t> seq;          // kPutMutable: absent, one more than the newest found. kGetMutable: the least.
    uint64_t seq_floor = 0;               // kPutMutable: the newest that we signed ourselves.
    bool latest = true;                   // kGetMutable: false takes the first valid answer.
    Ipv4Address to{};                     // kPing.
  };
  Flow(FlowId id, Spec spec);

  // Begins to ask. `seeds` are asked first.
  void Begin(Turn& turn, dht::Rpc& rpc, absl::Span<const dht::Contact> seeds);
  void Cancel(Turn& turn, dht::Rpc& rpc);

  // Each takes what belongs to this flow. `ended()` tells when `end()` holds the result.
  void OnQueryReply(Turn& turn, dht::Rpc& rpc, const dht::QueryReply& reply, News& news);
  void OnCommitDue(Turn& turn, dht::Rpc& rpc, const dht::CommitDue& due);
  void OnCommitReply(const dht::CommitReply& reply);
  void OnQueryFinished(dht::QueryFinished finished);
  void OnReply(Turn& turn, dht::Rpc& rpc, const dht::ReplyReceived& reply);
  void OnFailure(Turn& turn, dht::Rpc& rpc, const dht::RequestFailed& failed);

  Step step() const { return step_; }
  bool ended() const { return step_ == Step::kEnded; }
  FlowEnded& end() { return end_; }
  const Spec& spec() const { return spec_; }
  std::optional<dht::QueryId> query() const { return query_; }
  // Requests that this flow made by itself and that are not answered yet.
  const std::vector<dht::RequestId>& requests() const { return requests_; }
  // Where an announcement lies now.
  const std::vector<dht::Contact>& stored_at() const { return stored_at_; }
  bool self() const { return spec_.key.has_value() && Hash(spec_.key->public_key) == spec_.target; }

 private:
  void Enter(Step step);
  void End(Outcome outcome);
  void OnLookupReply(Turn& turn, dht::Rpc& rpc, const dht::Response& response, News& news);
  void OnMutableReply(Turn& turn, dht::Rpc& rpc, const dht::Response& response);
  void FinishRead();
  void StopSearch(Turn& turn, dht::Rpc& rpc);
  // The last node that was asked to forget us has answered, or never will.
  void OnForgotten(Turn& turn, dht::Rpc& rpc);

  Spec spec_;
  Step step_ = Step::kSearch;
  FlowEnded end_;
  std::optional<dht::QueryId> query_;
  std::vector<dht::RequestId> requests_;
  absl::btree_set<Key32> peers_;
  std::optional<MutableRecord> newest_;
  std::optional<dht::CommitDue> due_;         // kAnnounce that clears: waits until we are forgotten.
  std::vector<dht::ClosestReply> committed_;  // By commit index.
  std::vector<dht::Contact> stored_at_;
  bool listed_ = false;       // kUnannounce: some node had us.
  bool seq_reused_ = false, seq_too_low_ = false;
};

// The value of an ANNOUNCE or UNANNOUNCE at the node `id` that issued `token`.
std::string SignedAnnounce(Command command, const Key32& target, const KeyPair& key, const std::vector<Endpoint>& relays,
                           const Key32& id, const Key32& token);

}  // namespace orchard::hyperdht
