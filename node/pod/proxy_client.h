// One client of the proxy: its requests one after the other, each passed to its origin, or split over the pod, or a tunnel.
// What comes from one side and does not fit into the other waits here, and is accepted no further: a window each way, and
// the pod's (8 MiB), however large the file. A kept connection to an origin serves this client alone: some origins authenticate
// connections, not requests (NTLM), and one client shall not speak with the rights of another.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/crypto/sha256.h"
#include "node/http/addresses.h"
#include "node/http/client_connection.h"
#include "node/http/ids.h"
#include "node/http/range.h"
#include "node/http/server_connection.h"
#include "node/pod/byte_queue.h"
#include "node/pod/download.h"
#include "node/pod/forward.h"

namespace orchard::pod {

struct ProxyConfig {
  Endpoint local = Endpoint::V4(0x7f000001, 3128);
  bool anyone = false;                           // May listen elsewhere than on loopback: whoever reaches it uses our line.
  uint64_t chunk_bytes = 256 << 10;              // The first part that is asked for; from twice as much on a body is split.
  // A proxy shall not be the first to lose patience with a slow server or a paused client.
  http::ClientConnection::Patience origin{.connect = std::chrono::seconds(10), .first_byte = std::chrono::minutes(5),
                                          .stall = std::chrono::minutes(5), .idle = std::chrono::seconds(60)};
  http::ServerConnection::Patience client{.stall = std::chrono::minutes(5)};
  Duration tunnel_idle = std::chrono::minutes(10);  // Without a byte either way.
  Duration tunnel_half = std::chrono::minutes(2);   // The same, once one side has ended.
};

struct ProxyStats {
  uint64_t clients = 0, crowded = 0, requests = 0, tunnels = 0, refused = 0, failed = 0;
  uint64_t probed = 0, split = 0, alone = 0, asked_again = 0;  // First parts asked for; over the pod; by ourselves; whole after all.
  uint64_t cut = 0;                                             // Answers broken off, so that the client sees it.
  uint64_t body_bytes = 0, pod_bytes = 0;                       // To clients; of that over the pod.
};

// What a client of the proxy may use during a turn.
struct ProxyTurn {
  Turn& turn;
  http::Ids& ids;
  Downloads& downloads;
  PodNews& news;
  const ProxyConfig& config;
  ProxyStats& stats;
  const std::optional<Endpoint>& listening;
  absl::btree_map<StreamId, StreamId>& origins;       // Streams to origins, whose client they serve.
  absl::btree_map<TransferId, StreamId>& transfers;   // The same of downloads over the pod.
  absl::btree_map<RelayId, StreamId>& relays;         // And of tunnels through members.
  http::ServerNews heard{};                           // Of the client that is called.
};

// What a client of this machine may say to the proxy itself, beside what it asks; `orchard pod get` does. Neither goes further.
inline constexpr std::string_view kUplinkHeader = "Orchard-Uplink";   // Of a CONNECT: the member to go through, or "own".
inline constexpr std::string_view kSha256Header = "Orchard-SHA256";   // Of a GET: the digest that the whole must have, in hex.

class ProxyClient {
 public:
  static constexpr size_t kTransfersMax = 32;  // Split at once, of all clients; more pass as they are. The core's limit is 64.
  static constexpr uint32_t kResumesMax = 3;   // Requests for the rest, by ourselves, when a connection or the pod failed.

  ProxyClient(StreamId stream, const ProxyConfig& config)
      : server_(stream, config.client, http::MessageParser::kAnyBody) {}

  void OnOpened(ProxyTurn& t) { server_.OnOpened(t.turn); }
  // Of its stream, or of one that it has to an origin.
  void OnInput(ProxyTurn& t, const Input& input);
  void OnOriginInput(ProxyTurn& t, StreamId stream, const Input& input);
  void OnJobDone(ProxyTurn& t, const JobDone& done);
  void OnDelivered(ProxyTurn& t, PodDelivered&& delivered);
  void OnPodDone(ProxyTurn& t);
  void OnPodFailed(ProxyTurn& t, Ending why);
  void OnRelay(ProxyTurn& t, PodNews::value_type&& news);
  void OnTime(ProxyTurn& t);
  void Abort(ProxyTurn& t);
  Instant next_deadline() const;

  bool ended() const { return server_.ended(); }
  bool asked(JobId job) const { return addresses_.asked(job); }
  // Bytes that wait here.
  size_t held() const;

 private:
  enum class Step : uint8_t { kNone, kResolving, kAsking, kAnswering, kTunnelling };
  // An answer put together from parts. Offsets are the representation's.
  struct Split {
    http::RangeRequest asked;
    bool answered = false;                   // Its head is on its way.
    http::ByteRange wanted{};
    uint64_t size = 0;
    http::Validator validator{};
    uint64_t part_at = 0, part_end = 0;      // Of the part that our own connection brings: came, and will come.
    uint64_t sent = 0;                       // Next for the client.
    bool alone = false;                      // What lies behind the part is ours to ask for.
    uint32_t resumes = 0;
    std::optional<TransferId> transfer{};    // Until the pod is done.
    uint64_t pod_first = 0, pod_at = 0;      // Of the download: its start, and its next byte.
    ByteQueue pod{};
  };
  // Over a stream of our own, or a relay through a member; the functions of proxy_relay.cc hide which.
  struct Tunnel {
    StreamId stream{};
    std::optional<RelayId> relay{};
    http::StreamOut out{};
    http::StreamIn in{http::ClientConnection::kReadAhead};
    bool open = false, gone = false;         // Gone: the host has forgotten it.
    bool client_ended = false, origin_ended = false, told_client = false;
    ByteQueue up{}, down{};
    Instant deadline = kNever;
  };

  // proxy_client.cc
  void Settle(ProxyTurn& t);
  void OnHeard(ProxyTurn& t, const http::ServerNews& heard, size_t i);
  void Begin(ProxyTurn& t);
  void Ask(ProxyTurn& t, const http::HeaderList& headers);
  void Connect(ProxyTurn& t);
  bool IsLoop(const ProxyTurn& t, const Endpoint& to) const;
  void Take(ProxyTurn& t, const http::ClientNews& heard);
  void OnHead(ProxyTurn& t);
  void AnswerPlainly(ProxyTurn& t);
  void OnBody(ProxyTurn& t, Bytes bytes);
  void OnLost(ProxyTurn& t, const http::ClientFailed& failed);
  void PumpUp(ProxyTurn& t);
  void Pump(ProxyTurn& t);
  void Give(ProxyTurn& t, Bytes bytes);
  void FinishAnswer(ProxyTurn& t);
  size_t WriteSome(ProxyTurn& t, ByteQueue& from, uint64_t most);
  void Fail(ProxyTurn& t, int status, std::string_view error, std::string_view text);
  void FailFor(ProxyTurn& t, http::Failure why, http::Refusal refusal);
  void Cut(ProxyTurn& t, std::string_view why);
  void RunDry(ProxyTurn& t, std::string_view why);
  void EndDry(ProxyTurn& t);
  void EndExchange(ProxyTurn& t);
  void DropOrigin(ProxyTurn& t);
  // proxy_split.cc
  void OnFirstPart(ProxyTurn& t);
  void OnNextPart(ProxyTurn& t);
  void AskWhole(ProxyTurn& t);
  void AskRest(ProxyTurn& t);
  void GoAlone(ProxyTurn& t);
  void LeavePod(ProxyTurn& t);
  void PumpSplit(ProxyTurn& t);
  // proxy_tunnel.cc
  void BeginTunnel(ProxyTurn& t);
  void ConnectTunnel(ProxyTurn& t);
  void OnTunnelInput(ProxyTurn& t, const Input& input);
  void OnTunnelClosed(ProxyTurn& t, absl::StatusCode status);
  void TunnelUp(ProxyTurn& t, Bytes bytes);
  void PumpTunnel(ProxyTurn& t);
  void StirTunnel(ProxyTurn& t);
  void DropTunnel(ProxyTurn& t);
  void OnTunnelOpen(ProxyTurn& t);
  void TunnelDown(ProxyTurn& t, Bytes bytes);
  // proxy_relay.cc
  void BeginRelay(ProxyTurn& t, std::string_view through);
  void FailRelay(ProxyTurn& t, RelayEnding why);
  size_t TunnelRoom(const ProxyTurn& t) const;
  void TunnelWrite(ProxyTurn& t, Bytes bytes);
  void TunnelTook(ProxyTurn& t, size_t bytes);
  void TunnelEnd(ProxyTurn& t);

  http::ServerConnection server_;
  Step step_ = Step::kNone;
  std::string method_;
  Forward forward_;
  std::string head_;                         // What the origin is asked, in case it must be asked again.
  http::Authority origin_;
  http::Addresses addresses_;
  size_t tried_ = 0;                         // Of the addresses.
  bool retried_ = false, request_done_ = false, last_chunk_ = false, origin_done_ = false;
  bool dry_ = false;                         // Nothing more comes for the answer; what is here still goes to the client.
  std::optional<Key32> digest_;              // That the client expects of the answer;
  std::optional<crypto::Sha256Stream> hash_; // of what was given to it; and
  std::string last_;                         // the byte that is kept back until then.
  std::unique_ptr<http::ClientConnection> up_;
  ByteQueue upload_, download_;
  std::unique_ptr<Split> split_;
  std::unique_ptr<Tunnel> tunnel_;
};

}  // namespace orchard::pod
