// The search of one query: asks ever closer nodes, keeps the k closest that answered, and tells referrers about nodes that
// did not. Pure bookkeeping: the owner sends what Work lists and reports what came back.
// Source: dht-rpc 6.27 lib/query.js, whose order of visits it reproduces exactly.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "node/dht/news.h"
#include "node/dht/routing_table.h"

namespace orchard::dht {

class Query {
 public:
  static constexpr size_t kClosest = RoutingTable::kRowNodes;  // k.
  // Floods end here: a query that saw so many addresses takes no more.
  static constexpr size_t kSeenMax = 4096, kReferrersMax = 8192;
  static constexpr uint32_t kSlowConcurrency = 3;  // While known nodes are given a chance to answer.

  struct World {
    const RoutingTable& table;
    absl::Span<const Ipv4Address> vetoed;
  };
  struct Visit {
    uint32_t node;  // To be named in OnReply and so on.
    Ipv4Address to;
  };
  struct Hint {
    Ipv4Address to;
    bool to_known;  // Its id is known (it said it itself).
    Ipv4Address down;
  };
  // What is to be sent, in this order; then whether the search is over.
  struct Work {
    std::vector<Hint> hints;
    std::vector<Visit> visits;
    bool finished = false;
  };

  Query(const Key32& target, uint32_t concurrency, absl::Span<const Contact> seeds, bool only_closest);

  // True if the roots are wanted too: fewer than k nodes are known. Call Begin next, with them or with nothing.
  bool WantsRoots(const World& world);
  void Begin(const World& world, absl::Span<const Ipv4Address> roots, Work& work);
  void OnReply(const World& world, uint32_t node, const Response& response, Work& work);
  void OnTimeout(const World& world, uint32_t node, Work& work);
  void OnRefused(const World& world, uint32_t node, Work& work);  // It could not be sent.
  // A second went by without an answer: someone else gets the place.
  void OnSlow(const World& world, uint32_t node, Work& work);
  // Ours: two copies went unanswered. Its referrers are told, and a search that waits for nobody else is over, even if fewer
  // than k answered. The deployed code waits for all six.
  void OnSilent(const World& world, uint32_t node, Work& work);
  // Asks more if there is room, as after set_concurrency().
  void ReadMore(const World& world, Work& work);

  void set_concurrency(uint32_t n) { concurrency_ = n; }
  const Key32& target() const { return target_; }
  std::vector<ClosestReply>& closest() { return closest_; }
  uint32_t successes() const { return successes_; }
  uint32_t errors() const { return errors_; }  // Answers with an error code, time-outs and refusals.
  uint32_t error_answers() const { return error_answers_; }
  uint32_t hops() const;

 private:
  enum class Seen : uint8_t { kPending, kDone, kDown };
  static constexpr uint32_t kNoRef = ~0u;
  struct Node {
    Key32 id;
    Ipv4Address address;
    uint32_t referrers = kNoRef;  // Head of a list, the latest first.
    uint16_t depth;               // Referrals that led to it, counting the first asked as 1.
    Seen seen = Seen::kPending;
    bool slow = false, silent = false;
  };
  struct Referrer {
    Ipv4Address address;
    uint32_t next;
    bool known;
  };
  using SeenMap = absl::flat_hash_map<uint64_t, uint32_t>;  // Address → index of nodes_.
  bool IsCloser(const Key32& id) const;
  // False: this node and all that are farther are of no use.
  bool AddPending(const Contact& node, uint16_t depth, const Response* referrer, Work* work);
  bool AddPending(const Contact& node, uint16_t depth, const Response* referrer, Work* work, SeenMap::iterator found);
  void AddFromTable(const World& world);
  void PushClosest(const Response& response);
  void Answered(uint32_t node);
  void TellReferrers(Node& node, Work& work);
  bool WorthWaiting() const;
  void Finish(Work& work);

  Key32 target_;
  uint32_t concurrency_;
  std::vector<Node> nodes_;
  std::vector<Referrer> referrers_;
  SeenMap seen_;                                  // Looked up, never iterated.
  std::vector<uint32_t> pending_;                 // A stack.
  std::vector<ClosestReply> closest_;             // Nearest first.
  uint32_t inflight_ = 0, slow_ = 0, silent_ = 0, successes_ = 0;
  uint32_t errors_ = 0, error_answers_ = 0;
  bool only_closest_ = false, from_table_ = false, slowdown_ = false, finished_ = false;
};

}  // namespace orchard::dht
