// Words of connections: what can be asked, what is told. `Peers` (peers.h) makes them; Dht owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/base/time.h"
#include "node/crypto/sign.h"
#include "node/hyperdht/messages.h"

namespace orchard::hyperdht {

// Counted up, never reused within a life; of both directions.
enum class ConnectionId : uint32_t {};

// How two peers reach each other. kDirect: one of them has a public address.
enum class Path : uint8_t { kNone, kLan, kDirect, kPunched, kRelayed };
std::string_view PathName(Path path);  // "none", "lan", "direct", "punched", "relayed"

// What a connection waits for, in the order of a full connect. Source: npm hyperdht lib/connect.js, lib/server.js.
enum class ConnectStep : uint8_t {
  kFindPeer,        // Looking for nodes that know the peer.
  kHandshake,       // Noise message 1 is under way through them.
  kPassive,         // We are open: the other side comes to us.
  kLanPing,         // Asking the peer's local address.
  kAnalyze,         // Learning our own NAT.
  kProbe,           // First holepunch round: what NAT has the other side?
  kTryLater,        // One of us punches with random ports already.
  kPunch,           // Probes are flying.
  kRelayDial,       // Connecting to the blind relay.
  kRelayPair,       // Waiting for the other end there.
  kFirstBytes,      // A path is chosen; the other side's header has not come yet.
  kOpen,
  kClosed,
};
std::string_view StepName(ConnectStep step);  // "find-peer", "handshake", …

// Why a connection failed or was closed. Codes are those of the JavaScript package where it has one.
enum class ConnectCode : uint8_t {
  kOk,                     // Closed in order.
  kPeerNotFound,           // PEER_NOT_FOUND
  kPeerConnectionFailed,   // PEER_CONNECTION_FAILED
  kServerIncompatible,     // SERVER_INCOMPATIBLE
  kServerError,            // SERVER_ERROR
  kCannotHolepunch,        // CANNOT_HOLEPUNCH
  kHolepunchInvalid,       // HOLEPUNCH_INVALID
  kHolepunchAborted,       // HOLEPUNCH_ABORTED
  kProbeTimeout,           // HOLEPUNCH_PROBE_TIMEOUT
  kDoubleRandomized,       // HOLEPUNCH_DOUBLE_RANDOMIZED_NATS
  kRemoteNotPunching,      // REMOTE_NOT_HOLEPUNCHING
  kRemoteNotPunchable,     // REMOTE_NOT_HOLEPUNCHABLE
  kRemoteAborted,          // REMOTE_ABORTED
  kRelayAborted,           // RELAY_ABORTED
  kTimedOut,               // ETIMEDOUT
  kReset,                  // ECONNRESET
  kBadStream,              // ERR_STREAM: what came was not an encrypted stream of that peer.
  kRefused,                // ERR_REFUSED: our own firewall, or a duplicate.
  kOverload,               // OVERLOAD
  kOffline,                // OFFLINE: no node of the DHT is known.
  kDestroyed,              // ERR_DESTROYED: by us.
};
std::string_view CodeName(ConnectCode code);

// What became of the blind relay that a connection turned to.
enum class RelayFailure : uint8_t {
  kNone,          // It was not needed, or works.
  kUnreachable,   // No connection to it came about.
  kRefused,       // It is there, and relays nothing: it is no relay, or full.
  kNobodyCame,    // It waited with us; the other side did not come to it.
  kLost,          // The connection to it ended.
};
std::string_view RelayFailureName(RelayFailure failure);  // "none", "unreachable", …

// When a connection goes through a blind relay.
enum class RelayPolicy : uint8_t {
  kNever,
  kFallback,   // When punching cannot work or failed.
  kAlways,     // At once, and a direct path replaces it (what the JavaScript does when relayThrough is set).
  kOnly,       // At once, and no other way: the peer is never dialled, and our words do not tell it where we are.
};

// Which NATs are punched with, once both are known: npm hyperdht's holepunch hook, as a rule. The stricter word of a side counts,
// and either side's. Source: specification of the punch §5, §6 (opts.holepunch).
enum class PunchPolicy : uint8_t {
  kAny,
  kNoRandom,   // Not where one of the two draws its ports: that takes up to 256 sockets and thousands of probes.
  kNever,
};
inline bool MayPunch(PunchPolicy p, Firewall local, Firewall remote) {
  if (p == PunchPolicy::kNoRandom) return local != Firewall::kRandom && remote != Firewall::kRandom;
  return p == PunchPolicy::kAny;
}

struct ConnectOptions {
  crypto::KeyPair key;                     // Ours.
  std::vector<Endpoint> relay_addresses;   // Nodes that may know the peer.
  std::optional<Key32> relay_through;      // A blind relay's public key.
  RelayPolicy relay_policy = RelayPolicy::kFallback;
  bool fast_open = true, lan = true, punch = true;
  PunchPolicy punches = PunchPolicy::kAny;
};

struct ListenOptions {
  crypto::KeyPair key;
  std::optional<Key32> relay_through;
  RelayPolicy relay_policy = RelayPolicy::kFallback;
  PunchPolicy punches = PunchPolicy::kAny;
  // Each handshake is told by PeerKnocked and waits for Admit or Refuse, in the same turn or within ten seconds.
  bool asks = false;
  // Also serves as a blind relay for others: their pairings are not told upward.
  bool blind_relay = false;
};

// ---- News. Spans are valid until the turn ends. ----

struct PeerKnocked { ConnectionId connection; Key32 server, remote_key; Endpoint from; };
// The other side's first bytes have come and are genuine. `step` times are in Peers::info().
struct ConnectionOpened { ConnectionId connection; bool initiator; Key32 server, remote_key; Path path; };
// Never opened.
struct ConnectFailed {
  ConnectionId connection;
  bool initiator;
  Key32 remote_key;
  ConnectCode code;
  ConnectStep step;
  Firewall local_nat = Firewall::kUnknown, remote_nat = Firewall::kUnknown;
  ConnectCode direct = ConnectCode::kOk;               // Why no direct way was found, if a relay was turned to then.
  RelayFailure relay = RelayFailure::kNone;
};
struct PathChanged { ConnectionId connection; Path from, to; };
// `unordered`: by SendUnordered. A message counts against the window until Peers::Consumed.
struct ConnectionMessage { ConnectionId connection; Bytes bytes; bool unordered; };
struct ConnectionEnded { ConnectionId connection; };      // The other side writes no more.
struct ConnectionFlushed { ConnectionId connection; };    // All that was sent has arrived: acknowledged by the other side.
struct ConnectionWritable { ConnectionId connection; };   // room() was 0 and is not any more.
struct ConnectionClosed { ConnectionId connection; Key32 remote_key; ConnectCode code; };  // Was open; is gone.
// The server's first announcement is stored: others can find it.
struct ServerListening { Key32 public_key; };
// Its NAT's mapping is another than it announced; it announces again.
struct ServerRemapped { Key32 public_key; Endpoint from, to; };

// ---- What is known of one connection ----

struct ConnectionInfo {
  struct Entered { ConnectStep step; Instant at; };
  ConnectionId id{};
  bool initiator = false;
  Key32 server{}, remote_key{};             // `server`: the listening key, of either side.
  ConnectStep step{};
  Path path = Path::kNone;
  Instant began{}, opened = kNever, path_since = kNever;
  Endpoint remote{};                        // Where its packets go now.
  Firewall local_nat = Firewall::kUnknown, remote_nat = Firewall::kUnknown;  // As they classified each other.
  uint32_t probes = 0, rounds = 0, attempts = 0;  // Hole punching: datagrams sent, message rounds; handshakes sent.
  uint64_t bytes_sent = 0, bytes_received = 0;    // Of messages.
  Duration rtt{};
  ConnectCode direct = ConnectCode::kOk;    // As in ConnectFailed.
  RelayFailure relay = RelayFailure::kNone;
  std::vector<Entered> history;             // At most 16.
};

}  // namespace orchard::hyperdht
