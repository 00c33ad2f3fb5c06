// The inside of Rpc. Its functions lie by topic: rpc.cc (verbs and calls), rpc_requests.cc (asking), rpc_serve.cc
// (answering), rpc_table.cc (learning and upkeep), rpc_queries.cc, rpc_bootstrap.cc (joining, probing, roots).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/dht/health.h"
#include "node/dht/healer.h"
#include "node/dht/message.h"
#include "node/dht/nat_sampler.h"
#include "node/dht/patience.h"
#include "node/dht/query.h"
#include "node/dht/requests.h"
#include "node/dht/routing_table.h"
#include "node/dht/rpc.h"
#include "node/dht/tokens.h"

namespace orchard::dht {

inline constexpr Duration kTickInterval = std::chrono::milliseconds(5000);
inline constexpr Duration kSleepGap = 3 * kTickInterval;  // Longer between two ticks: the machine slept.
inline constexpr int32_t kStableTicks = 240;              // About 20 minutes without trouble: stable.
inline constexpr int32_t kMoreStableTicks = 3 * kStableTicks;
inline constexpr int32_t kRefreshTicks = 60;              // About 5 minutes without a query: refresh.
inline constexpr uint32_t kRecentTicks = 12, kOldTicks = 360;
inline constexpr uint32_t kChecksMax = 10, kSwapsMax = 3;  // At once.
inline constexpr uint32_t kHintsPerTick = 50;
inline constexpr Duration kPingDelayMax = std::chrono::milliseconds(10'000);  // Longer ones are ignored.
inline constexpr size_t kProbeNodes = 5;
inline constexpr size_t kServerHostsMax = 64;             // Remembered while a probe runs.
inline constexpr size_t kWitnessesMax = 8;                // Id-less peers that a root believes about its own address.
inline constexpr size_t kCachedNodesMax = 50, kCachedSeeds = 15;  // Fewer than k, so that the roots are asked as well.
inline constexpr int32_t kCacheTicks = 60;
inline constexpr int32_t kProbeRetryTicksMax = 60;
inline constexpr Duration kRootFresh = std::chrono::minutes(5), kRootFailed = std::chrono::seconds(10);

struct Rpc::State {
  enum class Step : uint8_t { kStopped, kBinding, kFirstQuery, kProbing, kSecondQuery, kReady };
  enum class Kind : uint8_t { kUser, kBackground, kBootstrap };
  enum class Origin : uint8_t { kBootstrap, kTick };
  enum class Check : uint8_t { kFailed, kPassed, kPending };

  struct Running {
    enum class Stage : uint8_t { kOpening, kSearching, kCommitting };
    QueryId id;
    Query search;
    Kind kind = Kind::kUser;
    Stage stage = Stage::kOpening;
    Commit commit = Commit::kNone;
    bool internal = false, replies = false, has_value = false, commits_ended = false;
    uint8_t retries = 5;
    uint64_t command = 0;
    std::string value;
    Instant started{};
    Asker asker{};
    uint32_t requests = 0, answers = 0, timeouts = 0;
    uint32_t commits_pending = 0, commits_ok = 0, commits_failed = 0;
  };
  struct HeldPing {
    Instant at;
    Ipv4Address from;
    uint16_t tid;
    SocketId socket;
  };
  struct RootState {
    enum class Step : uint8_t { kUnknown, kPinging, kResolving, kKnown, kFailed };
    Step step = Step::kUnknown;
    Ipv4Address address;  // Port 0: none yet.
    JobId job{0};
    Instant until = kNever;
  };
  struct Probe {
    bool only_firewall;
    Origin origin;
    Ipv4Address seen_as;  // What the NAT sampler said when it began.
    uint8_t asked = 0, missing = 0;
    std::vector<uint32_t> server_hosts;  // Whoever reached the server socket meanwhile.
    std::vector<std::pair<Ipv4Address, Ipv4Address>> pongs;  // From, to.
  };

  explicit State(RpcConfig c);

  // rpc_requests.cc
  void Enter(Turn& turn);  // First in every turn.
  SocketId AskingSocket() const { return mux.socket(firewalled ? udx::SocketRole::kClient : udx::SocketRole::kServer); }
  bool SendsId(SocketId socket) const { return !ephemeral && socket == mux.socket(udx::SocketRole::kServer); }
  struct Asking {
    Ipv4Address to;
    bool internal = true;
    uint64_t command = 0;
    const Key32* target = nullptr;
    const Key32* token = nullptr;
    std::optional<Bytes> value;
    std::optional<SocketId> socket;
  };
  // None if kRequestsMax are under way.
  std::optional<RequestId> Send(Turn& turn, const Asking& what, Pending how);
  bool SendPing(Turn& turn, Ipv4Address to, Pending how);
  bool SendPingNat(Turn& turn, Ipv4Address to, Pending how);
  void OnResponse(Turn& turn, News& news, Bytes payload, Ipv4Address from, bool external);
  void OnAnswered(Turn& turn, News& news, const Pending& p, const Response& r);
  void OnFailed(Turn& turn, News& news, const Pending& p, Failure why);
  void OnRequestTimers(Turn& turn, News& news);

  // rpc_serve.cc
  void OnRequest(Turn& turn, News& news, SocketId socket, Bytes payload, Ipv4Address from, bool external);
  void OnInternal(Turn& turn, News& news, Request& r);
  struct Answer {
    SocketId socket;
    Ipv4Address to;
    uint16_t tid = 0;
    uint64_t error = 0;
    std::optional<Bytes> value;
    bool token = false;
    const Key32* closer_to = nullptr;
  };
  void SendReply(Turn& turn, const Answer& a);
  void AnswerHeldPings(Turn& turn);
  void Reject(Turn& turn, std::string_view why, uint64_t& counter);

  // rpc_table.cc
  bool Vetoed(Ipv4Address a) const;
  bool ValidId(Ipv4Address from, const Key32& id) const;
  void Learn(Turn& turn, News& news, bool sample, bool response, Ipv4Address from, const std::optional<Key32>& id, Ipv4Address to);
  void AddNode(Turn& turn, News& news, const Contact& node, const Ipv4Address* told);
  void RemoveNode(News& news, RoutingTable::Slot slot, bool lost);
  void NatAdd(Turn& turn, News& news, Ipv4Address told);
  void TrySwap(Turn& turn, const Contact& newcomer);
  void StartCheck(Turn& turn, RoutingTable::Slot slot);
  void OnChecked(Turn& turn, News& news, const Pending& p, const Response* r);
  void PingSome(Turn& turn, News& news);
  void Refresh(Turn& turn, News& news);
  void OnTick(Turn& turn, News& news);
  void OnWakeUp(Turn& turn, News& news);
  void Heal(Turn& turn, News& news, const Healer::Round& round);
  void TraceTick(Turn& turn);

  // rpc_queries.cc
  Query::World world() const { return {table, config.vetoed}; }
  Running* FindQuery(QueryId id);
  QueryId Start(Turn& turn, News& news, const QuerySpec& spec, Kind kind);
  void StartBackground(Turn& turn, News& news, const Key32& target, Kind kind, absl::Span<const Contact> seeds = {});
  void BeginOpened(Turn& turn, News& news);
  void Pump(Turn& turn, News& news, Running& q, Query::Work& work);
  void OnQueryAnswer(Turn& turn, News& news, const Pending& p, const Response& r);
  void OnSearched(Turn& turn, News& news, Running& q);
  bool CommitTo(Turn& turn, Running& q, size_t index, uint64_t command, std::optional<Bytes> value);
  void OnCommitted(Turn& turn, News& news, const Pending& p, const Response* r);
  void MaybeFinish(Turn& turn, News& news, Running& q);
  void FinishQuery(Turn& turn, News& news, Running& q, QueryOutcome outcome);
  void DropRequestsOf(Turn& turn, QueryId id);
  // Whether it takes its full width, and does not yield to other traffic.
  bool Wide(Kind kind) const { return kind == Kind::kUser || (kind == Kind::kBootstrap && config.quick_walks); }
  Duration FirstTimeout() const { return config.quick_walks ? patience.value() : kRetryAfter; }

  // rpc_bootstrap.cc
  void OnOpen(Turn& turn, News& news);
  void OnBootstrapReply(Turn& turn, const Response& r);
  void OnBootstrapQueryDone(Turn& turn, News& news);
  void OnReady(Turn& turn, News& news);
  void MaybeTraceJoined(Turn& turn);
  Check CheckNetwork(Turn& turn, News& news, bool only_firewall, Origin origin);
  void OnProbeAnswer(Turn& turn, News& news, const Response* r);
  bool Conclude(Turn& turn, News& news, bool only_firewall, Ipv4Address seen_as, const NatSampler* fresh);
  void OnChecked(Turn& turn, News& news, Origin origin, bool passed);
  void CheckRootAddress(Turn& turn, News& news);
  bool ResolveRoots(Turn& turn);  // True if no root is still unknown.
  void ResolveName(Turn& turn, size_t root);
  void OnRootPinged(Turn& turn, News& news, uint32_t root, bool answered);
  bool OnJobDone(Turn& turn, News& news, const JobDone& done);
  std::vector<Ipv4Address> RootAddresses() const;
  std::vector<Contact> LoadCache(Turn& turn) const;
  void SaveCache(Turn& turn) const;

  RpcConfig config;
  udx::SocketMux mux;
  RoutingTable table;
  NatSampler nat;
  Tokens tokens;
  Health health;
  Healer healer;
  Requests requests;
  Patience patience;
  std::vector<std::unique_ptr<Running>> queries;
  std::vector<RootState> roots;
  std::vector<HeldPing> held_pings;
  std::vector<Ipv4Address> witnesses;  // Id-less peers whose word about our address was taken.
  std::unique_ptr<Probe> probe;
  News deferred;                       // Of calls downward; told by the next verb.
  RpcStats stats;

  Instant started{}, tick_at = kNever, last_tick{}, deferred_at = kNever;
  std::optional<uint32_t> last_host;   // Of the last network check.
  uint32_t tick = 0, next_query = 1, next_job = 0, checks = 0, swaps = 0, hints = 0, next_root = 0;
  int32_t refresh_ticks = 0, stable_ticks = 0, probe_retry_ticks = 1, probe_retry_wait = 1, cache_ticks = kCacheTicks;
  uint64_t knock_timeouts = 0;         // Not the network's fault: they stay out of its health.
  Step step = Step::kStopped;
  bool adaptive, force_persistent;
  bool firewalled, ephemeral = true, bootstrapped = false, walked = false, answered = false, traced_joined = false;
  bool hurried = false;                // The first walk began before all roots were known.
  bool quick_probe = false, nat_tested = false;
};

}  // namespace orchard::dht
