// HyperDHT: dht-rpc with a meaning. Owns dht::Rpc, the records of others (if persistent), the routes to peers, what this
// node asks (flows), what it keeps announced, and its peers. Its parent feeds it inputs and reads its news.
// Source: npm hyperdht 6.34 index.js.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/dht/rpc.h"
#include "node/hyperdht/announcements.h"
#include "node/hyperdht/flow.h"
#include "node/hyperdht/news.h"
#include "node/hyperdht/peers.h"
#include "node/hyperdht/persistent.h"
#include "node/hyperdht/router.h"

namespace orchard::hyperdht {

// Nodes of a test network that once leaked into the public one. Source: npm hyperdht index.js, filterNode.
std::vector<Ipv4Address> VetoedNodes();
inline constexpr uint16_t kDefaultPort = 49737;

class Dht {
 public:
  // More at once are refused (kOverload).
  static constexpr size_t kFlowsMax = 512;
  // The goodbye waits so long for the nodes that hold our announcements.
  static constexpr Duration kGoodbyeMax = std::chrono::milliseconds(1800);
  // Announcements taken back at once, one per node; more are left to age.
  static constexpr size_t kWithdrawalsMax = 1024;

  struct Stats {
    uint64_t stored = 0, rejected = 0, relayed = 0, unknown = 0;
  };

  explicit Dht(dht::RpcConfig config, const PeersConfig& peers = {}) : rpc_(std::move(config)), peers_(peers) {}

  // The five verbs. The boolean ones say whether the input was this layer's.
  void OnStart(Turn& turn, News& news);
  bool OnSocketOpened(Turn& turn, const SocketOpened& opened, News& news);
  bool OnDatagram(Turn& turn, const Datagram& datagram, News& news);
  bool OnJobDone(Turn& turn, const JobDone& done, News& news);
  void OnTime(Turn& turn, News& news);
  // This host's interfaces: at the start, and whenever they change. Then the nodes that hold our announcements should hear
  // from us. Source: npm hyperdht index.js, "network-change".
  void SetInterfaces(absl::Span<const Interface> interfaces) { peers_.SetInterfaces(interfaces); }
  void OnInterfacesChanged(Turn& turn, absl::Span<const Interface> interfaces);
  // Last in every turn: what streams have to send, and what was asked of peers(). Without it that waits for OnTime.
  void Flush(Turn& turn);
  Instant next_deadline() const;
  // Ends all flows without news, takes the announcements back, then closes; GoodbyeSaid follows, now or later.
  void OnStop(Turn& turn, News& news);

  // Each begins a flow, which ends with FlowEnded (in `news` at once if there are too many).
  FlowId Lookup(Turn& turn, const Key32& topic, News& news);
  FlowId FindPeer(Turn& turn, const Key32& public_key, News& news);
  FlowId FindNode(Turn& turn, const Key32& target, News& news);
  // Keeps `key` announced for `target` until Unannounce; the flow is the first try. A key's own hash as target is a self
  // announcement: the nodes closest to it then relay handshakes. `clear`: records of an earlier life are taken back first.
  FlowId Announce(Turn& turn, const Key32& target, const KeyPair& key, std::vector<Endpoint> relays, News& news, bool clear = false);
  FlowId Unannounce(Turn& turn, const Key32& target, const KeyPair& key, News& news);
  FlowId PutImmutable(Turn& turn, std::string value, News& news);
  // Without `seq`: one more than the newest that is found, or that this node signed before. The seq is remembered in the
  // store and synced, since one seq never signs two values.
  FlowId PutMutable(Turn& turn, const KeyPair& key, std::string value, std::optional<uint64_t> seq, News& news);
  FlowId GetImmutable(Turn& turn, const Key32& hash, News& news);
  // `latest`: the newest of all answers; else the first valid one.
  FlowId GetMutable(Turn& turn, const Key32& public_key, uint64_t least_seq, bool latest, News& news);
  FlowId Ping(Turn& turn, const Endpoint& to, News& news);
  // No news follow. A cancelled Announce is not repeated.
  void Cancel(Turn& turn, FlowId flow);

  Peers& peers() { return peers_; }
  const Peers& peers() const { return peers_; }
  const dht::Rpc& rpc() const { return rpc_; }
  const Persistent& persistent() const { return persistent_; }
  const Router& router() const { return router_; }
  const Announcements& announcements() const { return announcements_; }
  size_t flows() const { return flows_.size(); }
  const Stats& stats() const { return stats_; }

 private:
  struct Running {
    std::unique_ptr<Flow> flow;
    bool silent;  // The repetition of an announcement: nobody waits for it.
  };
  // Takes an announcement back at one node: ask it for a token, then unannounce.
  struct Withdrawal {
    Key32 target;
    KeyPair key;
    Ipv4Address to;
    bool has_token = false;
  };
  FlowId Begin(Turn& turn, Flow::Spec spec, bool silent, News& news, absl::Span<const dht::Contact> seeds = {});
  void Take(Turn& turn, dht::News& rpc_news, News& news);
  // False if it is none of this file's affairs.
  bool TakeFlowNews(Turn& turn, dht::RpcNews& n, News& news);
  bool TakePeersNews(Turn& turn, dht::RpcNews& n, News& news);
  void TakeNetworkNews(Turn& turn, const dht::RpcNews& n, News& news);
  Peers::Node node() { return {rpc_, router_}; }
  void TakeWithdrawals(Turn& turn);
  void OnRequest(Turn& turn, const dht::Request& request, News& news);
  void CarryOut(Turn& turn, const dht::Request& request, const Action& action);
  Flow* FlowOf(dht::QueryId query);
  // Ends the flow if it has ended, and learns the requests that it made.
  void Settle(Turn& turn, FlowId id, News& news);
  void Withdraw(Turn& turn, const Key32& target, const KeyPair& key, Ipv4Address to);
  bool OnWithdrawalReply(Turn& turn, dht::RequestId request, const dht::Response* response);
  void AnnounceSoon(Turn& turn);
  void FinishGoodbye(Turn& turn, News& news);
  // The newest seq that this node signed for that key; 0 if none.
  uint64_t RememberedSeq(Turn& turn, const Key32& public_key) const;
  void RememberSeq(Turn& turn, const Key32& public_key, uint64_t seq);

  dht::Rpc rpc_;
  Router router_;
  Persistent persistent_;
  Announcements announcements_;
  Peers peers_;
  absl::btree_map<FlowId, Running> flows_;
  absl::btree_map<dht::QueryId, FlowId> queries_;
  absl::btree_map<dht::RequestId, FlowId> requests_;
  absl::btree_map<dht::RequestId, Withdrawal> withdrawals_;
  Instant goodbye_by_ = kNever;  // Set while saying goodbye.
  uint32_t next_flow_ = 1;
  bool stopped_ = false;
  Stats stats_;
};

}  // namespace orchard::hyperdht
