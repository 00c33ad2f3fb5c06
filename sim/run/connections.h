// Who is connected to whom: put together from what both nodes trace (node/hyperdht/connect_trace.h), so that claims judge pairs
// and the report draws them. A pair is connected while one connection is open at both ends. Takes notes only.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "node/base/trace.h"
#include "node/base/turn.h"
#include "sim/language/json_text.h"
#include "sim/language/plan.h"
#include "sim/run/connection_flows.h"
#include "sim/run/recorder.h"
#include "sim/run/swarm_reach.h"

namespace orchard::sim {

enum class PathKind : uint8_t { kNone, kLan, kDirect, kPunched, kRelayed };
inline constexpr std::array<std::string_view, 5> kPathWords = {"none", "lan", "direct", "punched", "relayed"};
inline std::string_view PathWord(PathKind p) { return kPathWords[size_t(p)]; }
// A set of paths; the bit of kNone means: not connected.
using PathSet = uint8_t;
constexpr PathSet Bit(PathKind p) { return PathSet(1u << unsigned(p)); }
PathSet PathSetOf(const std::vector<std::string>& words);  // Empty: any but none.
std::string PathSetText(PathSet set);                      // "relayed", "direct or punched", "none".

class Connections {
 public:
  static constexpr size_t kMadeMax = 500'000;    // Connections whose history is kept: some 60 MB.
  static constexpr size_t kPairsMax = 200'000;
  static constexpr size_t kChangesMax = 256;     // Of the path of one connection.

  // `plan` and `recorder` outlive it.
  Connections(const Plan& plan, Recorder& recorder);

  // ---- Told ----
  // By its name, whether an event is for OnTrace.
  static bool Takes(std::string_view event);
  void OnTrace(Instant now, HostIndex host, std::string_view event, absl::Span<const TraceField> fields);
  void OnHostDown(Instant now, HostIndex host);
  // An operation of the timeline's entry number `as` - 1 begins on a host, and has ended.
  void OnOperation(Instant now, HostIndex host, OpId op, uint16_t as, std::string_view action, const Json& params);
  void OnOperationEnd(Instant now, OpId op, bool ok);
  // At the end of a virtual second, before the recorder's Flush; at the end of the run.
  void Second(Instant now);
  void Finish(Instant now);
  // Events that came of this, in order, for those who wait for one.
  struct Happened {
    HostIndex host;
    std::string_view event;
    Tag tag;
  };
  std::vector<Happened> TakeHappened() { return std::exchange(happened_, {}); }

  // ---- Asked ----
  // The host that the parameter `to` of an operation means; kNoHost if none.
  HostIndex PeerOf(const Json& params) const;
  HostIndex HostOf(Bytes key) const;
  // What a pair had over time: the paths of its connections that were open at both ends, and made at `since` or later. The first
  // is the state at `from`; then one for each change up to `to`.
  struct State {
    Instant at;
    PathSet paths;  // 0: not connected.
  };
  std::vector<State> StatesOf(HostIndex a, HostIndex b, Instant from, Instant to, Instant since) const;
  // Grows whenever a pair's state does; the same number, the same answers.
  uint64_t version() const { return version_; }
  // Connections whose history was not kept, because there were too many.
  uint64_t lost() const { return lost_; }

  // The newest dial between two hosts.
  struct Dial {
    HostIndex by = kNoHost;
    Instant began = kNever, at = kNever;  // Of the step.
    std::string step, code;               // `code` is empty unless it failed.
    std::string local_nat, remote_nat;    // As the dialling node classified both.
    uint64_t attempts = 0, probes = 0;
    bool open = false;                    // It came about.
  };
  struct Pair {
    std::vector<uint32_t> made;           // Connections that were open at both ends, oldest first.
    uint64_t dials = 0, failed = 0, attempts = 0, probes = 0, remote_changes = 0;
    std::vector<int64_t> took_ns;         // Of the first kTookMax dials that came about.
    Dial last, last_failed;
    Dial classified;                      // The newest that knew what NATs the two are behind.
    std::string last_code;                // Why the last one closed.
  };
  static constexpr size_t kTookMax = 64;
  const std::map<std::pair<HostIndex, HostIndex>, Pair>& pairs() const { return pairs_; }  // The smaller index first.
  const Pair* FindPair(HostIndex a, HostIndex b) const;

  struct Change {
    Instant at;
    PathKind path;  // kNone: not open at both ends any more.
  };
  struct End {
    HostIndex host = kNoHost;
    uint32_t id = 0;
    bool known = false;  // This end was told of.
    Instant opened = kNever, closed = kNever;
    PathKind path = PathKind::kNone;
    Tag tag = 0;         // Its labels: path, remote_nat.
    uint64_t received_second = 0;
    bool open() const { return opened != kNever && closed == kNever; }
  };
  struct Connection {
    End ends[2];         // Who dialled, and who was.
    uint16_t as = 0;
    bool by_connect = false;  // An operation `connect` counts it.
    Instant began = kNever;
    std::vector<Change> changes;
  };
  const Connection& connection(uint32_t index) const { return connections_[index]; }

 private:
  struct Live {
    uint32_t connection;
    uint8_t side;
    std::string step;
    Instant step_at = kNever;
  };
  struct Operation {
    HostIndex host, peer;
    uint16_t as;
    bool connect, send, join;
    std::string topic;   // Of swarm.join and swarm.leave.
  };
  Pair* PairOf(HostIndex a, HostIndex b);
  Live* Find(HostIndex host, uint32_t id);
  Live* Begin(Instant now, HostIndex host, uint32_t id, HostIndex peer, bool initiator);
  void Opened(Instant now, HostIndex host, Live& live, absl::Span<const TraceField> fields);
  void Failed(Instant now, HostIndex host, const Live& live, absl::Span<const TraceField> fields);
  void Stream(Instant now, HostIndex host, const Live& live, uint64_t bytes, bool sent);
  // The end is no more.
  void Close(Instant now, HostIndex host, uint32_t id);
  void Combine(Instant now, uint32_t index);
  void Free(uint32_t index);
  // The newest running operation of `host` that concerns `peer`; null if there is none.
  const Operation* Cause(HostIndex host, HostIndex peer) const;
  void Emit(std::string_view event, Instant now, HostIndex host, Tag tag, uint16_t as);
  Tag TagOf(HostIndex peer, PathKind path, std::string_view error = {}, std::string_view step = {}, std::string_view side = {});
  void CountDial(Instant now, const Connection& c, bool ok, std::string_view code, absl::Span<const TraceField> fields);
  bool AnyEndOpen(HostIndex a, HostIndex b) const;

  const Plan& plan_;
  Recorder& recorder_;
  mutable absl::flat_hash_map<Key32, HostIndex> keys_;  // Made when the first is asked for: many worlds have no connection.
  std::deque<Connection> connections_;
  std::vector<uint32_t> free_;
  std::vector<std::map<uint32_t, Live>> live_;  // By host, by its number.
  std::map<std::pair<HostIndex, HostIndex>, std::vector<uint32_t>> unanswered_;  // Dials that the other end has not told of.
  std::map<std::pair<HostIndex, HostIndex>, Pair> pairs_;
  std::map<uint32_t, Operation> running_;       // By OpId.
  std::vector<uint16_t> listening_;             // By host: the entry that made it listen.
  std::set<std::pair<uint32_t, uint8_t>> received_;  // Ends that received something in this second.
  Flows flows_;
  SwarmReach reach_;
  std::vector<Happened> happened_;
  Instant second_{};
  uint64_t version_ = 0, made_ = 0, lost_ = 0;
};

}  // namespace orchard::sim
