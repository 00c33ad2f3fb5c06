#include "node/sidecar/operations.h"

namespace orchard::sidecar {
namespace {

constexpr Param kTopicParam{.name = "topic", .type = ParamType::kTopic, .required = true, .positional = true,
                            .says = "64 hex digits, or any text, which is hashed"};
constexpr Param kKeySeed{.name = "seed", .type = ParamType::kText, .says = "32 bytes in hex: use this key pair instead of the node's own", .secret = true};

constexpr Param kAnnounce[] = {kTopicParam, kKeySeed};
constexpr Param kLookup[] = {kTopicParam};
constexpr Param kFindPeer[] = {{.name = "key", .type = ParamType::kKey, .required = true, .positional = true, .says = "the peer's public key"}};
constexpr Param kFindNode[] = {{.name = "target", .type = ParamType::kTopic, .required = true, .positional = true, .says = "a point of the id space: 64 hex digits, or text, which is hashed"}};
constexpr Param kGet[] = {
    {.name = "key", .type = ParamType::kKey, .required = true, .positional = true, .says = "hash of an immutable value, or public key of a mutable one"},
    {.name = "mutable", .type = ParamType::kBool, .says = "read a mutable record; without it both kinds are asked for"},
    {.name = "seq", .type = ParamType::kUint, .says = "accept no older version of a mutable record than this"},
    {.name = "latest", .type = ParamType::kBool, .says = "ask all closest nodes and take the newest (default), or with false the first answer"}};
constexpr Param kPing[] = {{.name = "address", .type = ParamType::kAddress, .required = true, .positional = true, .says = "host:port of a DHT node"}};
constexpr Param kPut[] = {
    {.name = "value", .type = ParamType::kText, .required = true, .positional = true, .says = "the value, up to 1000 bytes"},
    {.name = "encoding", .type = ParamType::kChoice, .says = "how `value` is written", .choices = "utf8 hex"},
    {.name = "mutable", .type = ParamType::kBool, .says = "sign it with a key pair, so that it can be replaced"},
    {.name = "seq", .type = ParamType::kUint, .says = "version of a mutable record; must grow (default: one more than the newest found)"},
    kKeySeed};

constexpr Operation kOperations[] = {
    {.name = "dht.announce", .says = "Tell the DHT that this node serves a topic.", .params = kAnnounce,
     .result = "topic key nodes", .example = "dht announce apples", .standing = true},
    {.name = "dht.find-node", .says = "Walk to the nodes closest to a point of the id space.", .params = kFindNode,
     .result = "target nodes hops requests", .example = "dht find-node apples"},
    {.name = "dht.find-peer", .says = "Find the nodes through which a peer can be reached.", .params = kFindPeer,
     .result = "key found nodes hops requests", .example = "dht find-peer 3fb1…9c"},
    {.name = "dht.get", .says = "Read an immutable or a mutable record.", .params = kGet,
     .result = "key value encoding sha256 seq bytes from", .example = "dht get 256c83b2…ef610"},
    {.name = "dht.lookup", .says = "Find the peers that serve a topic.", .params = kLookup,
     .result = "topic peers nodes hops requests", .example = "dht lookup apples"},
    {.name = "dht.nodes", .says = "List the routing table.", .params = {}, .result = "nodes count", .example = "dht nodes"},
    {.name = "dht.ping", .says = "Ask one DHT node for a sign of life.", .params = kPing, .result = "address id rtt_ms to",
     .example = "dht ping 127.0.0.1:49737"},
    {.name = "dht.put", .says = "Store a record in the DHT.", .params = kPut, .result = "key sha256 seq nodes bytes",
     .example = "dht put hello"},
    {.name = "dht.unannounce", .says = "Take an announcement back.", .params = kAnnounce, .result = "topic key nodes",
     .example = "dht unannounce apples"},
    {.name = "info", .says = "Say who this node is and how it stands.", .params = {},
     .result = "version key id address firewalled ephemeral nodes uptime_ms profile", .example = "info"},
};

}  // namespace

absl::Span<const Operation> Operations() { return kOperations; }

const Operation* FindOperation(std::string_view name) {
  for (const Operation& o : kOperations) {
    if (o.name == name) return &o;
  }
  return nullptr;
}

}  // namespace orchard::sidecar
