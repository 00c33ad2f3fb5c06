// What hyperdht::Dht tells its parent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/base/time.h"
#include "node/dht/news.h"
#include "node/hyperdht/connection.h"
#include "node/hyperdht/messages.h"

namespace orchard::hyperdht {

// Something that this node asked of the DHT. Counted up, never reused within a life.
enum class FlowId : uint32_t {};

enum class FlowKind : uint8_t {
  kLookup, kFindPeer, kFindNode, kAnnounce, kUnannounce, kPutImmutable, kPutMutable, kGetImmutable, kGetMutable, kPing,
};

// Named after what a flow waits for.
enum class Step : uint8_t { kPing, kSearch, kUnannounce, kCommit, kEnded };
std::string_view StepName(Step step);

enum class Outcome : uint8_t {
  kOk,
  kNotFound,   // Nodes answered; none had it.
  kTimeout,    // Nobody answered in FlowEnded::waited_in.
  kTooFew,     // Nobody to write to.
  kOffline,    // There was nobody to ask.
  kSeqReused,  // A mutable record of this seq and another value exists.
  kSeqTooLow,  // A newer mutable record exists.
  kOverload,   // Too much is running already.
};

// New peers of a lookup or an announce, each told once per flow.
struct PeersFound {
  FlowId flow;
  Endpoint from;
  std::vector<Peer> peers;
  uint64_t bump = 0;
};

struct FlowEnded {
  FlowId flow;
  FlowKind kind;
  Outcome outcome = Outcome::kOk;
  Step waited_in = Step::kSearch;  // Of a kTimeout.
  Key32 target{};
  Key32 key{};                     // Whose announcement or mutable record; kPutImmutable: the value's hash.
  // Of the search. Replies are all answers, those with an error code too.
  uint32_t requests = 0, replies = 0, timeouts = 0, hops = 0;
  std::vector<dht::ClosestReply> closest;
  uint32_t peers = 0;              // Distinct ones found.
  std::vector<Endpoint> holders;   // kFindPeer: nodes that know the peer, in the order they answered.
  // Nodes that did what was asked: stored, or forgot.
  uint32_t done = 0;
  // kGet…: what was found and who had it. kPut…: what was written.
  std::string value;
  uint64_t seq = 0;
  Endpoint from{};
  // kPing.
  Duration rtt{};
  Endpoint seen_as{};              // Our address as the other saw it.
  std::optional<Key32> node_id;
};

// The goodbye that OnStop began is over; the sockets are closed.
struct GoodbyeSaid {};

// Those of dht::Rpc as they came, and those of connections (connection.h).
using News = std::vector<std::variant<PeersFound, FlowEnded, GoodbyeSaid, dht::Listening, dht::BindFailed,
                                      dht::Bootstrapped, dht::BecamePersistent, dht::BecameEphemeral, dht::NetworkUpdate,
                                      PeerKnocked, ConnectionOpened, ConnectFailed, PathChanged, ConnectionMessage,
                                      ConnectionEnded, ConnectionFlushed, ConnectionWritable, ConnectionClosed,
                                      ServerListening, ServerRemapped>>;

}  // namespace orchard::hyperdht
