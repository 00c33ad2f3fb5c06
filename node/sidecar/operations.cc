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

constexpr Param kToParam{.name = "to", .type = ParamType::kKey, .required = true, .positional = true, .says = "the peer's public key"};
constexpr Param kThrough{.name = "through", .type = ParamType::kKey, .says = "public key of a blind relay (default: relay.through of the configuration)"};
constexpr Param kRelay{.name = "relay", .type = ParamType::kChoice, .says = "when to use the relay (default: relay.policy)", .choices = "fallback always never only"};
constexpr Param kConnect[] = {
    kToParam, {.name = "fresh", .type = ParamType::kBool, .says = "dial even if there is a connection, and end it once it is open"},
    kThrough, kRelay, kKeySeed};
constexpr Param kDisconnect[] = {kToParam};
constexpr Param kDoctor[] = {{.name = "to", .type = ParamType::kKey, .positional = true, .says = "also dial this peer, and say what stood in the way"}};
constexpr Param kListen[] = {kKeySeed};
constexpr Param kPipe[] = {
    {.name = "to", .type = ParamType::kKey, .positional = true, .says = "the peer to dial; without it, the next peer that dials us"}, kThrough, kRelay, kKeySeed};
constexpr Param kSend[] = {
    kToParam,
    {.name = "text", .type = ParamType::kText, .positional = true, .says = "send this, as one message"},
    {.name = "bytes", .type = ParamType::kBytes, .says = "send so many bytes of filler instead"},
    {.name = "unordered", .type = ParamType::kBool, .says = "send the text as one unordered message, which may be lost"},
    {.name = "wait", .type = ParamType::kBool, .says = "end when all has arrived (default), or with false when all is on its way"},
    kThrough, kRelay};

constexpr Param kSwarmJoin[] = {
    kTopicParam, {.name = "server", .type = ParamType::kBool, .says = "be found by others (default)"},
    {.name = "client", .type = ParamType::kBool, .says = "find and dial others (default)"},
    {.name = "limit", .type = ParamType::kUint, .says = "dial at most so many new peers of each search (default: all)"}};
constexpr Param kSwarmLeave[] = {kTopicParam};

constexpr Operation kOperations[] = {
    {.name = "connect", .says = "Open an encrypted connection to a peer, through whatever NATs lie between.", .params = kConnect,
     .result = "key connection path remote attempts probes nat remote_nat ms", .example = "connect 3fb1…9c"},
    {.name = "connections", .says = "List the connections: how each peer is reached, since when, and what waits.", .params = {},
     .result = "connections count", .example = "connections"},
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
    {.name = "disconnect", .says = "End the connections with a peer.", .params = kDisconnect, .result = "key connections", .example = "disconnect 3fb1…9c"},
    {.name = "doctor", .says = "Examine this node's network: Internet, DHT, NAT, peers, and why a connection failed.", .params = kDoctor,
     .result = "verdict checks connections failures", .example = "doctor 3fb1…9c"},
    {.name = "info", .says = "Say who this node is and how it stands.", .params = {},
     .result = "version key id address firewalled ephemeral nodes uptime_ms profile", .example = "info"},
    {.name = "listen", .says = "Let peers connect to this node's key.", .params = kListen, .result = "key", .example = "listen", .standing = true},
    {.name = "pipe", .says = "Join standard input and output to a peer, as netcat does.", .params = kPipe,
     .result = "key path bytes_sent bytes_received", .example = "pipe 3fb1…9c < film.mp4", .raw = true},
    {.name = "pod.peers", .says = "List the members of the pod: where they are, how fast, and what they and we fetched for each other.", .params = {},
     .result = "peers count", .example = "pod peers"},
    {.name = "pod.stats", .says = "Count what the pod did: downloads, chunks, bytes by whom, requests served and refused.", .params = {},
     .result = "downloads chunks served discovery connections", .example = "pod stats"},
    {.name = "pod.status", .says = "Say who this node is in its pod, and how it stands.", .params = {},
     .result = "device profile port discovery_port peers known warning", .example = "pod status"},
    {.name = "send", .says = "Send bytes to a peer over a connection, opening one if there is none.", .params = kSend,
     .result = "key connection path bytes ms", .example = "send 3fb1…9c hello"},
    {.name = "swarm.join", .says = "Meet the peers of a topic: announce this node, find the others, and stay connected with them.", .params = kSwarmJoin,
     .result = "topic server client found nodes", .example = "swarm join apples", .standing = true},
    {.name = "swarm.leave", .says = "Leave a topic: take the announcement back and dial nobody of it any more; connections stay.", .params = kSwarmLeave,
     .result = "topic nodes", .example = "swarm leave apples"},
    {.name = "swarm.peers", .says = "List the topics joined, and the peers that they led to.", .params = {},
     .result = "topics peers count", .example = "swarm peers"},
    {.name = "unlisten", .says = "Let no more peers connect to this node's key.", .params = kListen, .result = "key", .example = "unlisten"},
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
