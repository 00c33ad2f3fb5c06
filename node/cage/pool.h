// The cages of one site: who gets a request, what becomes of it when its cage dies, and when a cage is replaced. A machine: its
// parent hands it the jobs that are its own and the time, and reads its news.
//
// A slot's cage is made (kCageSpawn), watched (kCageWatch) and asked for a first answer (kCageRun of the check); with that answer it
// gets requests. Healing is so measured without waiting for anybody's request.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/cage/backoff.h"
#include "node/cage/balance.h"
#include "node/cage/breaker.h"
#include "node/cage/config.h"
#include "node/cage/jobs.h"
#include "node/cage/state.h"

namespace orchard::cage {

enum class RequestId : uint64_t {};

// Why a request got no answer of a cage.
enum class Unserved : uint8_t {
  kNone,
  kNoCage,   // None is healthy, and none was within the site's patience. 503.
  kFull,     // All have as many runs as they may, and so many wait. 503.
  kDied,     // Its cage died, and it may not be tried again, or was as often as it may. 502, 504 after a time-out.
};

struct Answered { RequestId request; RunResult result; uint32_t cage, tries; };
struct Refused { RequestId request; Unserved why; Cause cause; uint32_t cage, tries; };
using PoolNews = std::vector<std::variant<Answered, Refused>>;

class Pool {
 public:
  struct Slot {
    State state = State::kStop;
    uint32_t cage = 0;
    Image image;
    uint32_t active = 0;                 // Runs that the cage has.
    Cause last_cause = Cause::kNone;     // Of the cage before.
    std::string last_detail;
    bool gave_up = false;
    uint64_t served = 0, deaths = 0;     // Of the slot, in this life.
    uint64_t memory_bytes = 0;           // After the last run.
    Backoff backoff;
    Breaker breaker;
    // When its predecessor went wrong and that was noticed; when it was begun, and made; for the figures of healing.
    Instant wrong{}, noticed{}, begun{}, made{}, checked{};
    Instant respawn = kNever;            // kCrash: then the next is made.
    Instant next_check = kNever;         // kRun.
    Instant leave = kNever;              // kTerm: its runs are waited for no longer.
    JobId spawn{}, watch{}, check{};     // 0: none.
    bool hearsay = false;                // kCrash, and the supervisor has not looked yet.
  };
  struct Stats {
    uint64_t answered = 0, retried = 0, refused = 0, crashed = 0, spawned = 0, restarts = 0;  // `restarts`: spawned where one had died.
  };

  // `owner`: whose its jobs are.
  Pool(SiteConfig config, const Image& image, uint32_t owner);

  // Makes the first cages.
  void Start(Turn& turn, Jobs& jobs);
  // Gives the request to a cage, now or as soon as one can take it.
  void Ask(Turn& turn, Jobs& jobs, RequestId id, Request request, PoolNews& news);
  // Nobody wants the answer any more.
  void Forget(RequestId id);
  // What the caller made of an answer: nonsense counts against the cage.
  void Judge(Turn& turn, uint32_t cage, bool sense);
  void OnJobDone(Turn& turn, Jobs& jobs, const JobDone& done, PoolNews& news);
  void OnTime(Turn& turn, Jobs& jobs, PoolNews& news);
  Instant next_deadline() const;

  // More slots begin at once; of fewer the last are drained.
  void Scale(Turn& turn, Jobs& jobs, uint32_t replicas);
  // A slot that was given up begins anew. False if there was none.
  bool Revive(Turn& turn, Jobs& jobs);
  // Ends the cage of a slot once its runs are over, and makes the next of `image`.
  void Replace(Turn& turn, Jobs& jobs, size_t slot, const Image& image);
  // No more cages are made, and each ends with its runs. Those that wait are the caller's.
  std::vector<std::pair<RequestId, Request>> Drain(Turn& turn, Jobs& jobs);
  bool drained() const { return slots_.empty(); }
  // Ends all cages; the requests are refused.
  void Stop(Turn& turn, Jobs& jobs, PoolNews& news);

  const SiteConfig& config() const { return config_; }
  const std::vector<Slot>& slots() const { return slots_; }
  const Stats& stats() const { return stats_; }
  uint32_t healthy() const;
  size_t waiting() const { return waiting_.size(); }
  // What new slots get.
  void set_image(const Image& image) { image_ = image; }

 private:
  struct Run {
    RequestId id;
    Request request;
    uint32_t cage = 0, tries = 0;
    Instant began{};
    bool wanted = true;
  };
  struct Waiting {
    std::unique_ptr<Run> run;
    Instant until;
  };
  void Cancel(Turn& turn, Jobs& jobs, Slot& slot);
  void Begin(Turn& turn, Jobs& jobs, uint32_t slot);
  void Died(Turn& turn, Jobs& jobs, uint32_t slot, Cause cause, std::string_view detail, Instant wrong);
  void Notice(Turn& turn, uint32_t slot);
  void Move(Turn& turn, Slot& slot, State to);
  void Check(Turn& turn, Jobs& jobs, uint32_t slot);
  void SpawnDone(Turn& turn, Jobs& jobs, uint32_t slot, const JobDone& done);
  void WatchDone(Turn& turn, Jobs& jobs, uint32_t slot, const JobDone& done);
  void CheckDone(Turn& turn, Jobs& jobs, uint32_t slot, const JobDone& done);
  void Leave(Turn& turn, Jobs& jobs, uint32_t slot);
  // Takes the run if there is a cage for it.
  bool Give(Turn& turn, Jobs& jobs, std::unique_ptr<Run>& run);
  void Pump(Turn& turn, Jobs& jobs);
  std::optional<uint32_t> Alive(uint32_t cage) const;  // The slot of a cage that has not died.
  void RunDone(Turn& turn, Jobs& jobs, std::unique_ptr<Run> run, const JobDone& done, PoolNews& news);
  void TellHealth(Turn& turn);
  // The cages beyond wanted_ end with their runs.
  void LetGo(Turn& turn, Jobs& jobs);
  std::string RunArgsOf(Turn& turn, uint32_t cage, const Request& request) const;

  SiteConfig config_;
  Image image_;
  std::vector<Slot> slots_;
  Balancer balancer_;
  absl::btree_map<JobId, std::unique_ptr<Run>> runs_;
  uint32_t owner_;
  std::deque<Waiting> waiting_;
  Instant next_look_ = kNever;             // Of a supervisor that looks now and then.
  uint32_t told_ = 0;
  bool leaving_ = false;                   // Its health is nobody's affair any more.
  size_t wanted_ = 0;                      // Slots; those beyond are drained.
  Stats stats_;
};

}  // namespace orchard::cage
