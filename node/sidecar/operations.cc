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
constexpr Param kPunch{.name = "punch", .type = ParamType::kChoice, .says = "which NATs to punch with (default: dht.punch, which a looser word does not widen)", .choices = "any no-random never"};
constexpr Param kConnect[] = {
    kToParam, {.name = "fresh", .type = ParamType::kBool, .says = "dial even if there is a connection, and end it once it is open"},
    kThrough, kRelay, kPunch, kKeySeed};
constexpr Param kDisconnect[] = {kToParam};
constexpr Param kDoctor[] = {{.name = "to", .type = ParamType::kKey, .positional = true, .says = "also dial this peer, and say what stood in the way"}};
constexpr Param kListen[] = {kKeySeed};
constexpr Param kPipe[] = {
    {.name = "to", .type = ParamType::kKey, .positional = true, .says = "the peer to dial; without it, the next peer that dials us and writes"},
    {.name = "from", .type = ParamType::kKey, .says = "wait for this peer only"}, kThrough, kRelay, kPunch, kKeySeed};
constexpr Param kSend[] = {
    kToParam,
    {.name = "text", .type = ParamType::kText, .positional = true, .says = "send this, as one message"},
    {.name = "bytes", .type = ParamType::kBytes, .says = "send so many bytes of filler instead"},
    {.name = "unordered", .type = ParamType::kBool, .says = "send the text as one unordered message, which may be lost"},
    {.name = "wait", .type = ParamType::kBool, .says = "end when all has arrived (default), or with false when all is on its way"},
    kThrough, kRelay};

constexpr Param kPodGet[] = {
    {.name = "url", .type = ParamType::kText, .required = true, .positional = true, .says = "http, or https: for that the members carry TLS, if pod.profile is hardened"},
    {.name = "output", .type = ParamType::kText, .says = "the file to write, FILE.part until it is whole; a link is followed (default: the URL's last word)", .letter = 'o', .value = "FILE"},
    {.name = "sha256", .type = ParamType::kText, .says = "64 hex digits that the whole must have; else nothing is kept", .value = "HEX"},
    {.name = "connections", .type = ParamType::kUint, .says = "of https: at most so many over all lines, 1 to 32 (default: two for each)"},
    {.name = "cacert", .type = ParamType::kText, .says = "certificates to trust instead of the system's, in PEM", .value = "FILE"}};

constexpr Param kSiteParam{.name = "site", .type = ParamType::kText, .required = true, .positional = true, .says = "its host name, as requests say it", .value = "SITE"};
constexpr Param kModuleParam{.name = "module", .type = ParamType::kText, .required = true, .positional = true, .says = "a file of WebAssembly, or one that ships: example:hello.wasm; on the command line also a directory with site.json", .value = "FILE"};
constexpr Param kCageDeploy[] = {
    kSiteParam, kModuleParam,
    {.name = "files", .type = ParamType::kText, .says = "directory that its guests may read as \"/\"; read now, by cage update, and when the node comes back", .value = "DIR"},
    {.name = "replicas", .type = ParamType::kUint, .says = "cages of the site, 1 to 64 (default 3)"},
    {.name = "balance", .type = ParamType::kChoice, .says = "which cage gets a request", .choices = "round-robin least-connected weighted two-choices"},
    {.name = "preset", .type = ParamType::kChoice, .says = "limits to begin from", .choices = "default development production"},
    {.name = "memory_mb", .type = ParamType::kUint, .says = "MiB of memory of a cage (default 128)"},
    {.name = "timeout", .type = ParamType::kText, .says = "how long one request may compute (default 1s)", .value = "TIME"},
    {.name = "concurrent", .type = ParamType::kUint, .says = "requests that one cage has at once (default 100)"},
    {.name = "retry", .type = ParamType::kUint, .says = "how often a request whose cage died is given to another (default 1)"},
    {.name = "check", .type = ParamType::kText, .says = "path that a cage must answer to count as healthy (default /)", .value = "PATH"},
    {.name = "guard", .type = ParamType::kChoice, .says = "what becomes of requests that are an attack, a flood or an anomaly (default: cage.guard)", .choices = "off flag block"},
    {.name = "guard_rate", .type = ParamType::kUint, .says = "requests a second that a client may make; 0 is as many as it likes (default 100)"},
    {.name = "aliases", .type = ParamType::kText, .says = "other host names of the site, separated by commas", .value = "NAMES"},
    {.name = "default", .type = ParamType::kBool, .says = "it is the site of requests for none, too"},
    {.name = "settings", .type = ParamType::kText, .says = "further keys of a site's configuration, as JSON; other parameters count more", .value = "JSON"}};
constexpr Param kCageSite[] = {kSiteParam};
constexpr Param kCageScale[] = {kSiteParam, {.name = "replicas", .type = ParamType::kUint, .required = true, .positional = true, .says = "cages of the site, 1 to 64", .value = "N"}};
constexpr Param kCageUpdate[] = {kSiteParam, kModuleParam};

constexpr Param kSwarmJoin[] = {
    kTopicParam, {.name = "server", .type = ParamType::kBool, .says = "be found by others (default)"},
    {.name = "client", .type = ParamType::kBool, .says = "find and dial others (default)"},
    {.name = "limit", .type = ParamType::kUint, .says = "dial at most so many new peers of each search (default: all)"}};
constexpr Param kSwarmLeave[] = {kTopicParam};

constexpr Operation kOperations[] = {
    {.name = "cage.deploy", .says = "Serve a site from a WebAssembly module, in several cages; what serves that name already does so until the new one can, and on if it never can.", .params = kCageDeploy,
     .result = "site state healthy replicas module hash answered crashed", .example = "cage deploy shop.example shop.wasm --replicas 3", .standing = true},
    {.name = "cage.list", .says = "List the sites that this node serves.", .params = {}, .result = "sites count", .example = "cage list"},
    {.name = "cage.logs", .says = "Show what a site's cages wrote on stderr, and died of, of late.", .params = kCageSite, .result = "site lines count", .example = "cage logs shop.example"},
    {.name = "cage.restart", .says = "Give slots that were given up new cages.", .params = kCageSite, .result = "site restarted", .example = "cage restart shop.example"},
    {.name = "cage.rollback", .says = "Take back the update of a site that is under way, or the last one.", .params = kCageSite,
     .result = "site state healthy replicas module hash answered crashed", .example = "cage rollback shop.example", .amends = "cage.deploy"},
    {.name = "cage.scale", .says = "Let a site have more cages, or fewer: those are drained.", .params = kCageScale, .result = "site replicas", .example = "cage scale shop.example 5", .amends = "cage.deploy"},
    {.name = "cage.status", .says = "Say how a site and each of its cages stand.", .params = kCageSite,
     .result = "site state healthy replicas module hash answered crashed why cages waiting retried refused guard sqli xss scan flood anomaly", .example = "cage status shop.example"},
    {.name = "cage.stop", .says = "Serve a site no longer.", .params = kCageSite, .result = "site", .example = "cage stop shop.example", .undoes = "cage.deploy"},
    {.name = "cage.update", .says = "Replace a site's module, and its files by what is in their directory now, cage by cage: one is watched first, and all go back if it fails.", .params = kCageUpdate,
     .result = "site state healthy replicas module hash answered crashed", .example = "cage update shop.example shop-2.wasm", .amends = "cage.deploy"},
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
     .example = "dht unannounce apples", .undoes = "dht.announce"},
    {.name = "disconnect", .says = "End the connections with a peer.", .params = kDisconnect, .result = "key connections", .example = "disconnect 3fb1…9c"},
    {.name = "doctor", .says = "Examine this node's network: Internet, DHT, NAT, peers, and why a connection failed.", .params = kDoctor,
     .result = "well verdict checks connections failures", .example = "doctor 3fb1…9c"},
    {.name = "info", .says = "Say who this node is and how it stands.", .params = {},
     .result = "version key id address firewalled ephemeral nodes uptime_ms profile", .example = "info"},
    {.name = "listen", .says = "Let peers connect to this node's key.", .params = kListen, .result = "key", .example = "listen", .standing = true},
    {.name = "pipe", .says = "Join standard input and output to a peer, as netcat does.", .params = kPipe,
     .result = "key path bytes_sent bytes_received", .example = "pipe 3fb1…9c < film.mp4", .raw = true},
    {.name = "pod.get", .says = "Download a file over the lines of all members of the pod.", .params = kPodGet,
     .result = "url file bytes ms sha256 verified uplinks", .example = "pod get https://example.org/film.mp4 -o film.mp4", .local = true},
    {.name = "pod.peers", .says = "List the members of the pod: where they are, how fast, and what they and we fetched for each other.", .params = {},
     .result = "peers count", .example = "pod peers"},
    {.name = "pod.proxy", .says = "Say where the HTTP proxy listens, and how a program is told to use it.", .params = {},
     .result = "address bound why export", .example = "pod proxy"},
    {.name = "pod.stats", .says = "Count what the pod did: downloads, chunks, bytes by whom, requests served and refused.", .params = {},
     .result = "downloads chunks served relays proxy discovery connections", .example = "pod stats"},
    {.name = "pod.status", .says = "Say who this node is in its pod, and how it stands.", .params = {},
     .result = "device profile port discovery_port peers known proxy problems warning", .example = "pod status"},
    {.name = "pod.transfers", .says = "List the downloads over the pod, and who brought what of each.", .params = {},
     .result = "transfers count", .example = "pod transfers"},
    {.name = "send", .says = "Send bytes to a peer over a connection, opening one if there is none.", .params = kSend,
     .result = "key connection path bytes ms", .example = "send 3fb1…9c hello"},
    {.name = "site.reload", .says = "Look again at the directory of sites (cage.sites_dir): new modules are served, changed ones replace theirs cage by cage, those that are gone go.",
     .params = {}, .result = "added updated removed skipped", .example = "site reload"},
    {.name = "swarm.join", .says = "Meet the peers of a topic: announce this node, find the others, and stay connected with them.", .params = kSwarmJoin,
     .result = "topic server client found nodes", .example = "swarm join apples", .standing = true},
    {.name = "swarm.leave", .says = "Leave a topic: take the announcement back and dial nobody of it any more; connections stay.", .params = kSwarmLeave,
     .result = "topic nodes", .example = "swarm leave apples", .undoes = "swarm.join"},
    {.name = "swarm.peers", .says = "List the topics joined, and the peers that they led to.", .params = {},
     .result = "topics peers count", .example = "swarm peers"},
    {.name = "unlisten", .says = "Let no more peers connect to this node's key, unless topics or relay.serve need it (kept_by).", .params = kListen, .result = "key kept_by", .example = "unlisten", .undoes = "listen"},
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
