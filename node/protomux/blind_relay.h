// Blind relaying: two peers that cannot reach each other meet at a third that both can. Each holds an encrypted connection to
// the relay and asks there, over one Protomux channel, to be paired by a token that only the two know. The relay makes a UDX
// stream for either and passes packets on, reading no more than their headers.
//
// Here is what is said on that channel. The streams are the parent's (hyperdht): the client learns an id to connect its own
// stream to; the server tells which two to link, and when to cut them.
// Source: npm blind-relay 1.6.1 index.js, hyperdht lib/connect.js, lib/server.js. JavaScript has no limits; we do.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/statusor.h"
#include "node/base/turn.h"
#include "node/protomux/mux.h"

namespace orchard::protomux {

inline constexpr std::string_view kBlindRelay = "blind-relay";

// "I hold UDX stream `id`: connect me with the other holder of `token`"; back from the relay: "connect it to my stream `id`".
struct RelayPair {
  bool initiator = false;
  Key32 token{};
  uint32_t id = 0;
  std::string Encode() const;
  static absl::StatusOr<RelayPair> Decode(Bytes bytes);
};
struct RelayUnpair {
  Key32 token{};
  std::string Encode() const;
  static absl::StatusOr<RelayUnpair> Decode(Bytes bytes);
};

// The side that asks, on one connection to a relay. The channel is named by our public key.
class BlindRelayClient {
 public:
  static constexpr size_t kRequestsMax = 1024;

  // The relay has linked us: connect our stream to its `remote_id`, at the address of the connection to the relay.
  struct Paired { Key32 token; bool initiator; uint32_t remote_id; };
  // The relay closed the channel, or never opened it: it is none, or it is going. `lost` was not answered.
  struct Ended { bool refused; std::vector<Key32> lost; };
  using Item = std::variant<Paired, Ended>;
  using News = std::vector<Item>;

  // Opens the channel. It may be paired over at once.
  BlindRelayClient(const Key32& own_key, Mux& mux, protomux::News& mux_news, Out& out);

  // kAlreadyExists: that token is asked for; kResourceExhausted: kRequestsMax are; kFailedPrecondition: it has ended.
  absl::Status Pair(Mux& mux, const Key32& token, bool initiator, uint32_t stream_id, Out& out);
  // Takes a request back, or cuts what it brought about.
  void Unpair(Mux& mux, const Key32& token, Out& out);
  // False if the item is not of our channel.
  bool OnNews(const protomux::Item& item, News& news);
  // No news. What was paired is cut by the relay.
  void Close(Mux& mux, Out& out);

  // The other side opened the channel too: it is a relay.
  bool opened() const { return opened_; }
  bool ended() const { return channel_ == ChannelId{}; }
  size_t requests() const { return requests_.size(); }

 private:
  ChannelId channel_{};
  bool opened_ = false;
  absl::btree_map<Key32, bool> requests_;  // Tokens not answered; whether as the initiator.
};

// Chosen by the parent, one per connection, such as its ConnectionId. Never two at once.
enum class RelaySession : uint32_t {};
// Counted up, never reused.
enum class RelayLink : uint32_t {};

// The side that serves, on all connections of a node: one table of tokens.
class BlindRelayServer {
 public:
  static constexpr size_t kSessionsMax = 4096;
  // Connections of one key: it needs one, and has two while it moves.
  static constexpr uint32_t kSessionsOfOneKey = 4;
  // Requests that wait for their other half, in all and of one session; more are ignored.
  static constexpr size_t kWaitingMax = 8192, kWaitingOfOneSession = 64;
  // Pairs under way, in all and of one session: each is two UDX streams. More are ignored.
  static constexpr size_t kLinksMax = 4096, kLinksOfOneSession = 256;
  // How long a request waits. hyperdht gives up after 15 seconds and hangs up.
  static constexpr Duration kWaitMax = std::chrono::seconds(60);

  struct End { RelaySession session; uint32_t remote_id; };
  // Both halves are here. Make two streams that relay to each other, [0] for ends[0] and [1] for ends[1], to be connected to
  // remote_id when its first packet comes; then SendPair to both. ends[1] is the one that called itself the initiator.
  struct Linked { RelayLink link; Key32 token; std::array<End, 2> ends; };
  // Destroy both streams.
  struct Unlinked { RelayLink link; };
  using Item = std::variant<Linked, Unlinked>;
  using News = std::vector<Item>;

  struct Stats { uint64_t requested = 0, matched = 0, cancelled = 0, expired = 0, ignored = 0; };

  // Opens the channel on a connection from `client_key`. False if there are too many sessions, in all or
  // of that key, or a channel of that name.
  bool Accept(RelaySession session, const Key32& client_key, Mux& mux, protomux::News& mux_news, Out& out);
  // False if the item is not of that session's channel.
  bool OnNews(Turn& turn, RelaySession session, const protomux::Item& item, News& news);
  // The connection is gone: so are its requests and links.
  void OnClosed(RelaySession session, News& news);
  // A stream of the link died: the other is to be destroyed too, by the parent. No news, nothing to say to either side.
  void Cut(RelayLink link);
  // Tells one end of a new link the id of the stream that was made for it.
  void SendPair(RelaySession session, Mux& mux, const Key32& token, bool initiator, uint32_t our_id, Out& out);

  void OnTime(Turn& turn);
  Instant next_deadline() const { return by_age_.empty() ? kNever : by_age_.begin()->first + kWaitMax; }

  bool serves(RelaySession session) const { return sessions_.contains(session); }
  const Stats& stats() const { return stats_; }
  size_t sessions() const { return sessions_.size(); }
  size_t waiting() const { return waiting_.size(); }
  size_t links() const { return links_.size(); }

 private:
  struct Session {
    ChannelId channel{};
    Key32 key{};
    absl::btree_set<Key32> waiting;
    absl::btree_set<RelayLink> links;
  };
  // The first half of a pair.
  struct Waiting {
    RelaySession session;
    bool initiator;
    uint32_t remote_id;
    Instant since;
  };
  struct Link {
    Key32 token;
    std::array<End, 2> ends;
  };

  void OnPair(Turn& turn, RelaySession session, const RelayPair& pair, News& news);
  void OnUnpair(RelaySession session, const Key32& token, News& news);
  void Forget(const Key32& token);

  absl::btree_map<RelaySession, Session> sessions_;
  absl::btree_map<Key32, uint32_t> sessions_of_;
  absl::btree_map<Key32, Waiting> waiting_;
  absl::btree_set<std::pair<Instant, Key32>> by_age_;  // Of waiting_.
  absl::btree_map<RelayLink, Link> links_;
  uint32_t next_link_ = 0;
  Stats stats_;
};

}  // namespace orchard::protomux
