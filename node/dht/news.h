// What dht::Rpc tells its parent. Spans in it point into the datagram of this turn and die with it; all else is owned.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "node/base/bytes.h"
#include "node/base/input.h"
#include "node/base/time.h"
#include "node/wire/address.h"

namespace orchard::dht {

// Counted up, never reused within a life.
enum class RequestId : uint32_t {};
// The parent's own mark on what it asks: it comes back with the answer, so that nobody must search for whose it is. 0: none.
enum class Asker : uint32_t {};
enum class QueryId : uint32_t {};

inline constexpr uint64_t kUnknownCommand = 1, kInvalidToken = 2;  // Error codes; applications use 16 and above.

struct Contact {
  Ipv4Address address;
  Key32 id;
};

// A list of peers as it lies in a packet: six bytes each.
class AddressList {
 public:
  AddressList() = default;
  explicit AddressList(Bytes raw) : raw_(raw) {}
  size_t size() const { return raw_.size() / 6; }
  Ipv4Address operator[](size_t i) const {
    const uint8_t* p = raw_.data() + 6 * i;
    return {uint32_t(p[0]) << 24 | uint32_t(p[1]) << 16 | uint32_t(p[2]) << 8 | p[3], uint16_t(p[4] | p[5] << 8)};
  }
  Bytes raw() const { return raw_; }

 private:
  Bytes raw_;
};

// A user command that someone sends us. Internal commands and wrong tokens are answered inside. May be kept (without its
// value) to be answered in a later turn.
struct Request {
  SocketId socket;            // It arrived here; the answer leaves from here.
  Ipv4Address from;
  std::optional<Key32> from_id;  // Verified against `from`; none: an ephemeral node.
  Ipv4Address to;             // Us, as the sender knows us.
  uint16_t tid = 0;
  bool external = false;      // Not on the socket that we ask from: says nothing about that socket's NAT mapping.
  bool internal = false;
  bool has_token = false;     // It brought one, and it was valid.
  Key32 token{};              // That one: what announcements are signed over.
  uint64_t command = 0;
  std::optional<Key32> target;
  std::optional<Bytes> value;
};

// An answer to something we asked.
struct Response {
  Ipv4Address from;           // May differ from whom we asked: matching is by tid (relayed handshakes rely on it).
  std::optional<Key32> from_id;
  Ipv4Address to;             // Us, as the sender sees us.
  uint16_t tid = 0;
  std::optional<Key32> token;
  uint64_t error = 0;
  AddressList closer;
  std::optional<Bytes> value;
};

// News.
struct RequestReceived { Request request; };
struct ReplyReceived { RequestId request; Response response; Duration rtt; Asker asker{}; };
enum class Failure : uint8_t { kTimeout, kOverload, kCancelled };
struct RequestFailed { RequestId request; Ipv4Address to; Failure why; Asker asker{}; };

// One answer with error 0 met on the way; `from_id` may be absent. Only if the query asked for it.
struct QueryReply { QueryId query; Response response; Asker asker{}; };
// What the closest nodes said of themselves, nearest first.
struct ClosestReply {
  Ipv4Address from;
  Key32 id;
  Ipv4Address to;             // Us, as they see us.
  std::optional<Key32> token;
};
// The search is over and the parent commits: it calls Rpc::Commit once per reply it wants to write to, then
// Rpc::EndCommits, now or in a later turn.
struct CommitDue { QueryId query; std::vector<ClosestReply> closest; };
struct CommitReply { QueryId query; uint32_t index; bool answered; Response response; };
enum class QueryOutcome : uint8_t {
  kDone,          // If it commits: at least one of the closest answered.
  kTooFew,        // It commits, and nobody was found to commit to.
  kCommitFailed,  // None of the closest answered the commit.
  kCancelled,
  kOverload,      // kQueriesMax are running.
};
struct QueryFinished {
  QueryId query;
  QueryOutcome outcome;
  std::vector<ClosestReply> closest;  // Nearest first, at most k.
  uint32_t requests, replies, errors, timeouts;  // Of the search; errors are those replies that have an error code.
  uint32_t hops;              // The longest chain of referrals to one of the closest.
  uint32_t commits_ok, commits_failed;
  Duration took;
  Asker asker{};
};

struct Listening { Endpoint server, client; };
struct BindFailed { absl::StatusCode why; };
struct Bootstrapped {};                          // The first query for our own neighbourhood is over.
struct BecamePersistent { Ipv4Address address; Key32 id; };  // Also when a root's address changes.
struct BecameEphemeral {};                       // After a sleep, until the network is checked again.
struct NatUpdate { std::optional<uint32_t> host; uint16_t port; };  // Port 0: differs per peer.
struct NetworkUpdate { bool online, degraded; };
struct WokeUp {};                                // Two ticks lay far apart: the machine slept.
struct NodeAdded { Contact node; };
struct NodeRemoved { Contact node; };

using RpcNews = std::variant<RequestReceived, ReplyReceived, RequestFailed, QueryReply, CommitDue, CommitReply, QueryFinished,
                             Listening, BindFailed, Bootstrapped, BecamePersistent, BecameEphemeral, NatUpdate,
                             NetworkUpdate, WokeUp, NodeAdded, NodeRemoved>;
using News = std::vector<RpcNews>;

}  // namespace orchard::dht
