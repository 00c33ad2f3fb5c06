// The core of PeaPod: one download becomes chunks, fetched over all uplinks of the pod at once. It knows neither sockets nor
// HTTP: the parent tells what came, and does the Actions. Many transfers at once; memory is bounded per transfer and in sum.
//
// Adaptive scheduling: goodput and round trip of each worker are measured from what arrives; several requests are under way
// at a worker, as many as keep it busy for a round trip. The next chunk goes where it is expected to be finished first,
// counting what is under way there; so a slow worker is given a chunk that the reader needs later, or none. When nothing is
// left to give out (the end, or a window that the reader holds back) an idle worker races for what others are late with. A
// worker that owes bytes and is quiet for much longer than usual is suspect: its chunks are given to others at once, and it gets
// a probe now and then. So no member makes the pod slower than its best member alone.
//
// Integrity. A chunk has the asked length and its hash, or its sender is Nacked; three failures in a row isolate. That proves
// nothing against a liar, who hashes his lie. With the expected SHA-256 of the whole: if the range fits into memory (half
// of it, with others), nothing is delivered before it is verified; on a mismatch each chunk of a peer is fetched again over our own WAN, those that
// differ are replaced, and who sent them is out for good. A longer range is delivered as it comes, since memory is bounded; on a mismatch
// the chunks are compared by digest (the ledger) all the same, liars are out, and the transfer ends with kHashMismatch: the
// parent must break its reader's connection, so that the bytes are not taken for whole. Without an expected hash a share of the
// peers' chunks, drawn when they have come, is compared with a copy from our own WAN before it is delivered; whoever is caught is out, what he sent
// and is still here is fetched again, and what was delivered of him is audited: the
// transfer ends with kPoisoned if a lie is among it.
//
// One state. What members fetch carries no validator (a member may be the original's), so a file that changes meanwhile would be put
// together from two. Our own fetches are held to the state with which the transfer began. If it is still that one after the last chunk of
// a member has come, it was so all the time between; so the last word is a fetch of ours that was sent after that, a small one if none
// was. Any fetch of ours that shows another state ends the transfer (OnChanged). With an expected hash none of this is needed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/types/span.h"
#include "node/base/fixed_point.h"
#include "node/base/turn.h"
#include "node/pod/actions.h"
#include "node/pod/depth.h"
#include "node/pod/plan.h"
#include "node/pod/transfer.h"
#include "node/pod/worker.h"

namespace orchard::pod {

struct CoreConfig {
  Scheduler scheduler = Scheduler::kAdaptive;
  uint64_t chunk_bytes = 256 << 10;                    // kChunkMin to kChunkMax.
  uint64_t window_bytes = 8u << 20;                    // Of one transfer: held, under way, or not yet read.
  uint64_t memory_bytes = 64u << 20;                   // Of all transfers; those that hold back have at most half of it.
  uint32_t failures_max = 3;                           // In a row; then a worker is isolated.
  Duration isolation = std::chrono::seconds(60);
  Duration chunk_deadline = std::chrono::seconds(30);  // Of one request, whatever is expected of it.
  uint32_t check_permille = 50;                        // Of the peers' chunks, compared with our own WAN's.
};

// The probability, as Q32, that a liar is caught who falsifies `bad` chunks of a transfer, each of which is checked with a probability of
// `permille`: 1 - (1 - p)^bad. The draws are independent, so how many chunks there are does not matter.
Q32 CatchProbability(uint64_t bad, uint32_t permille);

class Core {
 public:
  static constexpr uint64_t kChunkMin = 16 << 10, kChunkMax = 1 << 20;
  static constexpr size_t kTransfersMax = 64;
  static constexpr size_t kPeersMax = 32;               // A pod is a household, and each request is weighed against all of them.
  static constexpr size_t kBannedMax = 1024;            // Liars remembered, the smallest id forgotten first; and names.
  static constexpr uint32_t kAttemptsMax = 8;           // Failures of one chunk.
  static constexpr size_t kHoldersMax = 3;              // Who fetch the same chunk, suspects aside.
  static constexpr uint64_t kOutlook = 256;             // Chunks weighed at once.
  static constexpr uint64_t kAssumedRate = 1'000'000;   // Bytes per second, of a first worker of whom nothing is known.
  static constexpr Duration kSilence = std::chrono::seconds(6);       // As the original: six ticks.
  static constexpr Duration kHeartbeat = std::chrono::seconds(1);
  static constexpr Duration kProbeEvery = std::chrono::seconds(1);
  static constexpr size_t kProbesMax = 4;               // Under way at one worker that answers nothing.

  explicit Core(const CoreConfig& config);
  Core(const Core&) = delete;

  // ---- Members ----
  // Nothing if it was caught lying before, or the pod is full.
  std::optional<WorkerId> OnPeerJoined(Turn& turn, const DeviceId& device, Actions& actions);
  void OnPeerLeft(Turn& turn, WorkerId peer, Actions& actions);  // Also its Leave: its chunks go to others at once.
  void OnHeard(Turn& turn, WorkerId peer);                       // Any record of it.

  // For kWeighted: bytes per second; 1 unless set.
  void SetWeight(WorkerId worker, uint64_t weight);

  // ---- Downloads ----
  struct Request {
    std::string_view url;
    uint64_t start = 0, end = 0;      // Of the body, `end` exclusive.
    std::optional<Key32> sha256{};    // Of these bytes, from the origin or the user.
    bool stated = false;              // The parent holds our own fetches to one state: what comes by OnOwnChunk is of it.
  };
  // Nothing: do it alone (no peers, an empty range, too many transfers).
  std::optional<TransferId> OnRequest(Turn& turn, const Request& request, Actions& actions);
  // The reader took `bytes` of what was delivered, from the start, in all.
  void OnRead(Turn& turn, const TransferId& transfer, uint64_t bytes, Actions& actions);
  void Abort(Turn& turn, const TransferId& transfer, Actions& actions);  // Ends without a last word.
  // Nothing once it has ended.
  std::optional<std::string_view> url(const TransferId& transfer) const;

  // ---- Fetches ----
  // `so_far` bytes of it have come: goodput is learned before the chunk is whole. For peers too, if the parent can tell.
  void OnProgress(Turn& turn, FetchId fetch, uint64_t so_far, Actions& actions);
  // The whole of it, over our own WAN.
  void OnOwnChunk(Turn& turn, FetchId fetch, Bytes payload, Actions& actions);
  void OnChunkData(Turn& turn, WorkerId peer, const ChunkData& data, Actions& actions);
  void OnNack(Turn& turn, WorkerId peer, const Nack& nack, Actions& actions);
  // Our own WAN could not, or the peer's session could not take it.
  void OnFetchFailed(Turn& turn, FetchId fetch, Actions& actions);
  // A fetch of our own WAN showed another state of the file.
  void OnChanged(Turn& turn, const TransferId& transfer, Actions& actions);
  // The oldest request that this peer still owes: what a record that is coming belongs to.
  std::optional<FetchId> oldest(WorkerId peer) const;

  void OnTime(Turn& turn, Actions& actions);
  Instant next_deadline() const;

  // ---- For status, tests and reports ----
  struct Counters {
    uint64_t chunks = 0, raced = 0, probes = 0, wasted_bytes = 0, checked = 0, check_failed = 0, failures = 0, timeouts = 0,
             unasked = 0, liars = 0, vouches = 0;
  };
  const Counters& counters() const { return counters_; }
  const Worker* worker(WorkerId id) const;
  size_t peers() const { return workers_.size() - 1; }
  size_t transfers() const { return transfers_.size(); }
  size_t fetches() const { return fetches_.size(); }
  // Bytes of chunks held for the readers.
  uint64_t held_bytes(const TransferId& transfer) const;
  uint64_t window_bytes(const TransferId& transfer) const;

 private:
  struct Seat;       // A worker while chunks are given out.
  struct Candidate;  // A chunk to be given out.

  // core_schedule.cc
  void Pump(Turn& turn, Actions& actions);
  void PumpAdaptive(Turn& turn, Actions& actions);
  void PumpPlanned(Turn& turn, Actions& actions);
  std::vector<Candidate> Candidates();
  void Race(Turn& turn, std::vector<Seat>& seats, Actions& actions);
  void Probe(Turn& turn, const std::vector<Candidate>& left, Actions& actions);
  void Rescue(Turn& turn, const std::vector<Candidate>& candidates, Actions& actions);
  bool UnderWay(const Transfer& transfer) const;
  void Audit(Turn& turn, Actions& actions);
  bool Holds(const Chunk& chunk, const Worker& worker) const;
  bool Eligible(const Worker& worker, Instant now) const;
  Fetching& Send(Turn& turn, Worker& worker, Transfer& transfer, uint64_t index, Fetching::Why why, Actions& actions);

  // core_chunks.cc
  // `digest` of what a peer sent; our own chunks need none.
  void Accept(Turn& turn, const Fetching& fetch, Bytes payload, const Key32* digest, Actions& actions);
  void OnCheck(Turn& turn, const Fetching& fetch, Bytes payload, Actions& actions);
  void OnAudit(Turn& turn, const Fetching& fetch, Bytes payload, Actions& actions);
  void OnVouch(const Fetching& fetch, Bytes payload, Actions& actions);
  void Advance(Transfer& transfer, Actions& actions);
  void OnWhole(Transfer& transfer, Actions& actions);
  bool AskTruth(Transfer& transfer, std::optional<WorkerId> only);
  void Convict(Turn& turn, WorkerId liar, Actions& actions);
  void Drop(Turn& turn, FetchId id, bool failed, Actions& actions);
  void Unwant(Turn& turn, FetchId id, Actions& actions);
  void Blame(Turn& turn, Worker& worker, Actions& actions);
  void RemovePeer(Turn& turn, WorkerId peer, Actions& actions);
  Fetching Take(FetchId id, Instant now);
  void Settle(Turn& turn, Actions& actions);

  bool adaptive() const { return config_.scheduler == Scheduler::kAdaptive; }
  uint64_t reserved() const;  // Bytes of the transfers that hold back.
  Worker* Find(WorkerId id);
  Transfer* Find(const TransferId& id);
  Fetching* FindFetch(WorkerId worker, const TransferId& transfer, uint64_t start, uint64_t end);

  CoreConfig config_;
  absl::btree_map<WorkerId, std::unique_ptr<Worker>> workers_;   // 0 is always there.
  absl::btree_map<TransferId, std::unique_ptr<Transfer>> transfers_;
  absl::btree_map<FetchId, std::unique_ptr<Fetching>> fetches_;
  absl::btree_set<DeviceId> banned_;
  absl::btree_map<WorkerId, DeviceId> names_;                    // Of all who joined lately, the oldest forgotten first.
  Depth depth_;                                                  // Of our own WAN.
  uint32_t next_worker_ = 1, next_fetch_ = 1, rotation_ = 0;
  Instant heartbeat_at_ = kNever, probe_at_ = kNever;
  Counters counters_;
};

}  // namespace orchard::pod
