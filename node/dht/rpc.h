// dht-rpc 6.27 as a machine: sockets, requests, routing table, queries, NAT sampling, and the way from a firewalled
// ephemeral newcomer to a persistent node. Owned by what gives commands a meaning (hyperdht::Dht), which feeds it every
// datagram, job and socket answer and reads the news. Calls downward never produce news at once: what they cause comes
// with a later verb, at the earliest one nanosecond later.
// Source: dht-rpc 6.27.0 (index.js, lib/), kademlia-routing-table 1.0.6, nat-sampler 1.0.1.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "node/base/turn.h"
#include "node/dht/config.h"
#include "node/dht/news.h"
#include "node/udx/socket_mux.h"

namespace orchard::dht {

// Jobs of this layer have ids from here up to the next multiple; a parent's own jobs lie elsewhere.
inline constexpr uint32_t kJobIdBase = 0x01000000;

// Beyond these, work is refused (RequestFailed, QueryFinished with kOverload) and counted.
inline constexpr size_t kRequestsMax = 4096;      // In flight or waiting for the congestion window.
inline constexpr size_t kQueriesMax = 1024;
inline constexpr size_t kDelayedPingsMax = 256;   // Others' requests that we hold.

struct RequestOptions {
  uint8_t retries = 3;       // Transmissions after the first, one second apart.
  bool internal = false;     // Internal commands (ping) or the user's.
  std::optional<Key32> token;
  std::optional<SocketId> socket;      // Absent: the socket that our state asks from.
  bool evict = false;        // A timeout removes that node from the routing table.
  Asker asker{};
};

enum class Commit : uint8_t {
  kNone,
  kSame,      // The same command and value again, with each one's token (those without a token fail).
  kByParent,  // News CommitDue; the parent makes a value per reply.
};

struct QuerySpec {
  Key32 target{};
  uint64_t command = 0;
  bool internal = false;
  std::optional<Bytes> value;             // Copied.
  absl::Span<const Contact> seeds = {};   // Asked first, in this order. The table is then used only if they fail.
  bool only_closest = false;              // Ask the seeds and nobody whom they name.
  uint32_t concurrency = 0;               // 0: the configuration's.
  uint8_t retries = 5;
  bool replies = true;                    // Send QueryReply news.
  Commit commit = Commit::kNone;
  Asker asker{};
};

struct ReplyOptions {
  uint64_t error = 0;
  bool token = true;
  bool closer = true;                     // Only if the request had a target.
  std::optional<Ipv4Address> to;          // Absent: whoever asked.
  std::optional<SocketId> socket;         // Absent: the one it came in through.
};

// What a node did in this life. `sent` are requests by internal command; user commands are in `user_sent`.
struct RpcStats {
  uint64_t requests = 0, retries = 0, responses = 0, timeouts = 0;
  uint64_t ping_sent = 0, ping_nat_sent = 0, find_node_sent = 0, down_hint_sent = 0, delayed_ping_sent = 0, user_sent = 0;
  uint64_t requests_received = 0, replies_sent = 0, relayed = 0;
  uint64_t malformed = 0, wrong_id = 0, wrong_token = 0, unmatched = 0, foreign = 0, ignored = 0, overload = 0;
  uint64_t queries = 0, added = 0, removed = 0, heals = 0;
};

class Rpc {
 public:
  explicit Rpc(RpcConfig config);
  ~Rpc();
  Rpc(Rpc&&) noexcept;
  Rpc& operator=(Rpc&&) noexcept;

  // The five verbs. The boolean ones say whether the input was this layer's. Requests and answers that come through an extra
  // socket of sockets() are; its SocketOpened, UDX packets and probes are for those who opened it.
  void OnStart(Turn& turn, News& news);
  bool OnSocketOpened(Turn& turn, const SocketOpened& opened, News& news);
  bool OnDatagram(Turn& turn, const Datagram& datagram, News& news);
  bool OnJobDone(Turn& turn, const JobDone& done, News& news);
  void OnTime(Turn& turn, News& news);
  Instant next_deadline() const;
  // Keeps the good nodes for the next life, closes the sockets, forgets requests and queries without news.
  void OnStop(Turn& turn);

  // Asks one node. The answer is ReplyReceived or RequestFailed with this id.
  RequestId Ask(Turn& turn, Ipv4Address to, uint64_t command, const std::optional<Key32>& target, std::optional<Bytes> value,
                const RequestOptions& options = {});
  RequestId Ping(Turn& turn, Ipv4Address to, uint8_t retries = 3, Asker asker = {});
  // Forgets it; no news follows.
  void Cancel(Turn& turn, RequestId request);

  // Asks ever closer nodes about `spec.target`. Ends with QueryFinished.
  QueryId StartQuery(Turn& turn, const QuerySpec& spec);
  void Cancel(Turn& turn, QueryId query);
  // After CommitDue: writes to the index-th closest reply, with its token. CommitReply tells the answer.
  void CommitTo(Turn& turn, QueryId query, size_t index, uint64_t command, std::optional<Bytes> value);
  // After the last CommitTo, also if there was none.
  void EndCommits(Turn& turn, QueryId query);

  void Reply(Turn& turn, const Request& request, std::optional<Bytes> value, const ReplyOptions& options = {});
  // The answer of a node that does not know the command, or does not serve it yet.
  void ReplyUnknownCommand(Turn& turn, const Request& request) {
    Reply(turn, request, std::nullopt, {.error = kUnknownCommand, .token = false});
  }
  // The same request (tid, command, target) to someone else, with another value. Keeps no state.
  void Relay(Turn& turn, const Request& request, std::optional<Bytes> value, Ipv4Address to,
             std::optional<SocketId> socket = std::nullopt);

  void AddNode(Turn& turn, Ipv4Address address, News& news);

  // Present only if persistent.
  std::optional<Key32> id() const;
  // The centre of the routing table: the id, or a random value that is never sent.
  const Key32& table_id() const;
  bool bootstrapped() const;
  bool ephemeral() const;
  bool firewalled() const;
  bool online() const;
  bool degraded() const;
  // As others see us, if they agree. Port 0: it differs per peer.
  std::optional<uint32_t> public_host() const;
  uint16_t public_port() const;
  // Where anyone can reach us: public, not firewalled, and the public port is the server socket's.
  std::optional<Ipv4Address> remote_address() const;

  size_t nodes() const;
  // The latest heard first.
  std::vector<Contact> Nodes(size_t limit) const;
  // As a FIND_NODE answer would list them.
  std::vector<Contact> Closest(const Key32& target, size_t k) const;
  size_t requests_in_flight() const;
  size_t queries_running() const;
  const RpcStats& stats() const;
  const RpcConfig& config() const;
  udx::SocketMux& sockets();
  const udx::SocketMux& sockets() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// BLAKE2b-256 of the address as it is written on the wire: a node's id. Remembered per thread, since replies name the same
// nodes again and again.
Key32 IdOf(Ipv4Address address);

}  // namespace orchard::dht
