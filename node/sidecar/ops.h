// Carries out operation calls: parameters against the table, then a flow of the DHT or a connection, then events and one final. Every answer
// is {"tag":…,"data":…}: "peer" for each peer found on the way, "error" for what went wrong, and at last "final" with "ok",
// and either the fields that the table promises or a "code".
//
// A caller takes events as its credit allows. Those that must wait are held back, and so is the final behind them; beyond
// kHeldBytesMax the newest are dropped, since the final repeats what they said. A caller that never reads so costs a bounded
// amount until it dies.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "node/base/json_writer.h"
#include "node/base/turn.h"
#include "node/hyperdht/dht.h"
#include "node/pod/pod.h"
#include "node/pod/proxy.h"
#include "node/sidecar/config.h"
#include "node/sidecar/params.h"
#include "node/swarm/swarm.h"

namespace orchard::cage {
class Server;
}

namespace orchard::sidecar {

// What operations act on.
struct OpTarget {
  hyperdht::Dht& dht;
  const hyperdht::KeyPair& key;  // The node's own.
  const Config& config;
  Instant started;
  absl::Span<const Interface> interfaces;
  swarm::Swarm* swarm = nullptr;       // Null until an operation of its own is called.
  swarm::Network* network = nullptr;   // That swarm's.
  const pod::Pod* pod = nullptr;       // Null unless pod.enabled.
  const pod::Proxy* proxy = nullptr;   // Null without a pod, and if pod.proxy_port is 0.
  cage::Server* cages = nullptr;       // Null without sites.
};

// Why an operation did not do what was asked.
struct OpError {
  std::string_view code;  // ERR_PARAMS, ERR_UNKNOWN_OPERATION, NOT_FOUND, TIMEOUT, TOO_FEW_NODES, SEQ_REUSED, SEQ_TOO_LOW, OVERSIZE, OFFLINE, OVERLOAD, and the codes of hyperdht::CodeName.
  std::string message;
  std::string_view step = {};                   // TIMEOUT: what it waited for.
  std::optional<ParamError> param = std::nullopt;  // ERR_PARAMS, OVERSIZE.
  std::string figures = {};                        // Members of the final that say what was tried all the same.
};

class Ops {
 public:
  static constexpr size_t kOpsMax = 256;
  static constexpr size_t kPipesMax = 240;  // Of those: whoever has so many still sees what goes on, and can end one.
  static constexpr size_t kHeldBytesMax = 64 * 1024;
  // Entries of a list in a final: 1000 peers are about 150 KiB.
  static constexpr size_t kListMax = 1000;
  // Connections that one turn lists or destroys, for whichever operation: a third of a millisecond.
  static constexpr size_t kPartMax = 64;
  // Failed connections that the doctor remembers.
  static constexpr size_t kFailuresMax = 16;
  // Of one message of `send` and `pipe`; and bytes that a pipe's caller may be ahead.
  static constexpr size_t kPieceMax = 64 * 1024, kPipeWindow = 256 * 1024;

  // A pipe that waits and has input takes a connection that was silent for so long; of at most so many. An end of a pipe's empty input is held
  // back so long: the other side's pipe must have taken the connection by then.
  static constexpr Duration kSilentWait = std::chrono::seconds(1), kEmptyEndWait = std::chrono::seconds(3);
  static constexpr size_t kSilentMax = 64;
  // A server that is not announced by then says so.
  static constexpr Duration kListenWait = std::chrono::seconds(5);
  // Until a site that was deployed answers, and an update is over.
  static constexpr Duration kDeployMax = std::chrono::seconds(60);

  void OnCall(Turn& turn, OpTarget target, const OpCall& call);
  void OnCredit(Turn& turn, OpTarget target, const OpCredit& credit);
  void OnCancelled(Turn& turn, OpTarget target, const OpCancelled& cancelled);
  void OnData(Turn& turn, OpTarget target, const OpData& data);
  void OnNews(Turn& turn, OpTarget target, hyperdht::News& news);
  void OnSwarmNews(Turn& turn, OpTarget target, const swarm::News& news);
  // Goes on with what is done in parts; true if there was something.
  bool OnTime(Turn& turn, OpTarget target);
  // Something happened to the sites.
  void OnCages(Turn& turn, OpTarget target);
  Instant next_deadline() const { return std::min(continue_at_, wake_at_); }
  // A pipe waits for whoever dials that server.
  bool AwaitsDial(const Key32& server) const;
  // Since it was asked last, connections were destroyed of which there is no news.
  bool TakeDestroyed() { return std::exchange(destroyed_, false); }
  // The node stops: whoever still waits, or calls later, is told so.
  void OnStop(Turn& turn);

  size_t running() const { return running_.size(); }
  size_t held_bytes() const;

 private:
  // What an operation does with a connection.
  struct Link {
    enum class Does : uint8_t { kNothing, kListen, kConnect, kSend, kPipe, kExamine };
    Does does = Does::kNothing;
    std::optional<hyperdht::ConnectionId> connection;  // A pipe without a peer has none until somebody dials.
    Key32 key{};                  // The peer; kListen, and a pipe that waits: the server.
    std::optional<Key32> from;    // kPipe: the only peer that it takes.
    std::string early;            // kPipe: input while nobody has come. At most kPipeWindow.
    Instant told_at = kNever;     // kListen, kPipe: when to say that nobody can find us yet.
    Instant end_at = kNever;      // kPipe: when the end of an empty input is told.
    Instant began{};
    hyperdht::Path path = hyperdht::Path::kNone;  // When it opened.
    bool ours = false;            // Dialed for this operation: it goes when the caller does.
    bool open = false, told_end = false;
    uint64_t to_send = 0, sent = 0, received = 0;
    uint32_t granted = 0;         // kPipe: bytes that the caller may still send.
    bool input_ended = false, remote_ended = false;
    std::vector<std::string> held;  // kPipe: pieces that wait for credit. Bounded by the connection's window.
  };
  // What an operation does with all connections, or all with a peer.
  struct Task {
    enum class Does : uint8_t { kNothing, kList, kDisconnect };
    Does does = Does::kNothing;
    hyperdht::ConnectionId after{};  // kList: so far.
    uint64_t ended = 0;              // kDisconnect: so far.
    std::string fields;              // kList: what the final says besides.
  };
  struct Failure {
    Instant at;
    hyperdht::ConnectFailed what;
  };
  struct Running {
    const Operation* operation;
    Params params;
    std::vector<hyperdht::FlowId> flows;     // dht.get asks for both kinds of record at once.
    uint32_t credit = 1;                     // The first event is always granted.
    std::vector<std::string> held;
    size_t held_bytes = 0;
    std::string final;                       // Set: all is done, and it follows the last held event.
    JsonWriter peers;                        // The list of the final, element by element.
    size_t listed = 0;
    std::optional<hyperdht::FlowEnded> failed;  // The most telling of those flows that failed.
    Link link;
    Task task;
    std::optional<uint64_t> look;            // site.reload: which look at the directory it waits for.
    std::optional<std::string> site;         // cage.deploy, update, rollback: wait for what becomes of it,
    Instant until = kNever;                  // so long.
    std::optional<Key32> topic;              // swarm.join, swarm.leave: wait for news of it.
  };
  using Map = std::map<OpId, Running>;  // Its iterators outlive the end of other operations.

  std::optional<OpError> Begin(Turn& turn, OpTarget target, OpId op, Running& running, hyperdht::News& news);
  std::optional<OpError> BeginPut(Turn& turn, OpTarget target, Running& running, hyperdht::News& news);
  std::optional<OpError> BeginGet(Turn& turn, OpTarget target, Running& running, hyperdht::News& news);
  // ops_peers.cc
  std::optional<OpError> BeginPeers(Turn& turn, OpTarget target, Map::iterator it, hyperdht::News& news);
  static hyperdht::RelayPolicy PolicyFor(const OpTarget& target, const Running& running);
  void Dial(Turn& turn, OpTarget target, Running& running, const hyperdht::KeyPair& key);
  void OnPeerNews(Turn& turn, OpTarget target, hyperdht::News& news);
  void OnOpen(Turn& turn, OpTarget target, Map::iterator it);
  void Push(Turn& turn, OpTarget target, Map::iterator it);
  void LinkFailed(Turn& turn, OpTarget target, Map::iterator it, hyperdht::ConnectCode code, hyperdht::ConnectStep step);
  void LinkClosed(Turn& turn, OpTarget target, hyperdht::ConnectionId connection, hyperdht::ConnectCode code);
  std::vector<Map::iterator> LinksOf(hyperdht::ConnectionId connection);
  std::string ConnectResult(const OpTarget& target, const Running& running) const;
  void Diagnose(Turn& turn, OpTarget target, Map::iterator it, const Running* dialed);
  std::string DoctorFields(Turn& turn, OpTarget target, const Running* dialed) const;

  // ops_pipe.cc
  Map::iterator PipeFor(const Key32& server, const Key32& remote);
  void OnDialed(Turn& turn, const hyperdht::ConnectionOpened& opened);
  Map::iterator GiveToPipe(Turn& turn, OpTarget target, hyperdht::ConnectionId connection);
  void OnMessage(Turn& turn, OpTarget target, const hyperdht::ConnectionMessage& message);
  void OnRemoteEnd(Turn& turn, OpTarget target, hyperdht::ConnectionId connection);
  void EndLate(Turn& turn, OpTarget target, Map::iterator it);
  void TellWaiting(Turn& turn, OpTarget target, Map::iterator it);
  void OpenPipe(Turn& turn, OpTarget target, Map::iterator it);
  void Write(Turn& turn, OpTarget target, Map::iterator it, Bytes bytes, bool end);
  void Wake(Turn& turn, OpTarget target);
  void Pull(Turn& turn, OpTarget target, Map::iterator it, Bytes message);
  void OnUnordered(Turn& turn, Map::iterator it, Bytes message);
  void PassOn(Turn& turn, OpTarget target, Map::iterator it);
  void MaybeEndPipe(Turn& turn, OpTarget target, Map::iterator it);

  // ops_tasks.cc
  void BeginTask(Turn& turn, OpTarget target, Map::iterator it, Task::Does does);
  // True if that was the last part.
  bool DoPart(Turn& turn, OpTarget target, Map::iterator it);

  // ops_swarm.cc
  std::optional<OpError> BeginSwarm(Turn& turn, OpTarget target, Map::iterator it);

  // ops_cage.cc
  std::optional<OpError> BeginCage(Turn& turn, OpTarget target, Map::iterator it);

  // ops_pod.cc
  std::optional<OpError> BeginPod(Turn& turn, OpTarget target, Map::iterator it);

  void OnPeers(Turn& turn, Map::iterator it, const hyperdht::PeersFound& found);
  void OnEnded(Turn& turn, OpTarget target, Map::iterator it, hyperdht::FlowEnded& end);
  std::string Result(const Running& running, const hyperdht::FlowEnded& end) const;
  Map::iterator OwnerOf(hyperdht::FlowId flow);

  void Event(Turn& turn, OpId op, Running& running, std::string json);
  // Both end the operation; `it` may be gone afterwards.
  void Succeed(Turn& turn, Map::iterator it, const std::string& fields);
  void Fail(Turn& turn, Map::iterator it, const OpError& error);
  void End(Turn& turn, Map::iterator it, std::string final);
  // Of a call that never began to run.
  void Refuse(Turn& turn, OpId op, const OpError& error);

  Map running_;
  std::vector<Failure> failures_;  // The latest last.
  absl::btree_map<Key32, swarm::SessionId> sessions_;  // By topic: whoever joins again changes his mode.
  // Connections that came in while a pipe waited, and said nothing yet: when it takes them all the same.
  absl::btree_map<hyperdht::ConnectionId, Instant> silent_;
  absl::btree_set<hyperdht::ConnectionId> unread_;  // Of which bytes came that nobody read.
  bool destroyed_ = false;
  Instant continue_at_ = kNever, wake_at_ = kNever;
  OpId last_part_{};  // Whose turn it was.
  bool stopping_ = false;
};

// The members of `info` and `dht.nodes`.
std::string InfoFields(const Turn& turn, OpTarget target);
std::string NodesFields(OpTarget target);
std::string SwarmFields(OpTarget target);
// What of the pod could not be set up, each with the way out.
std::vector<std::string> PodProblems(const OpTarget& target);
// The key pair that a call means: of its `seed`, else the node's own.
std::optional<OpError> PickKey(const Params& params, const hyperdht::KeyPair& own, hyperdht::KeyPair& out);
// What the configuration says of blind relays. `word`: "never", "always", "only" (always, and no other way), else "fallback".
std::optional<Key32> RelayOf(const Config& config);
hyperdht::RelayPolicy PolicyOf(std::string_view word);
// "no-random", "never", else "any".
hyperdht::PunchPolicy PunchesOf(std::string_view word);
// Milliseconds with three digits after the point, without floating point.
std::string Millis(Duration d);
// How an ended flow is told to a person.
OpError ErrorOf(const hyperdht::FlowEnded& end);

}  // namespace orchard::sidecar
