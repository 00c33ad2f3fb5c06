// The processes that cages live in: they are started when the first cage is wanted, sent what the node asks, watched, and replaced
// at once when they die. Replicas of a site are spread over them, so that no crash of an engine takes all. Everything happens on the
// caller's thread, inside Submit, Flush and Take.
//
// Modules are checked and metered in a process of its own, which ends when it has nothing left to do: whatever a module does to the
// checker, no cage is near. What it made is kept in a directory under the module's hash.
//
// The files of a site are read when it is loaded, kept here, and sent to each process that is to have a cage with them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "node/cage/job.h"
#include "node/cage_worker/channel.h"
#include "node/host/os.h"
#include "node/host/workers.h"

namespace orchard::host {

class CageWorkers {
 public:
  struct Options {
    std::string program;                     // Empty: where this build, or the installation of this program, has it.
    std::string keep;                        // A directory for metered modules, made if need be and used if it is ours alone; empty: none are kept.
    size_t processes = 2;                    // For cages.
    bool interpreter = false;                // Even if there is V8.
    Duration grace = std::chrono::seconds(2);  // Beyond a run's time, in which a worker ends it itself; then the worker is killed.
    Duration load_max = std::chrono::seconds(60);
  };
  struct Counters {
    uint64_t started = 0, died = 0, killed = 0, nonsense = 0;
  };
  static constexpr size_t kPendingMax = 8192;            // Of one process; more end with kResourceExhausted.
  static constexpr size_t kUnsentBytesMax = 512 << 20;   // The same.
  // Files of all sites together, and of updates that may be taken back: those of which there is no cage go, the longest unused first.
  static constexpr size_t kFilesBytesMax = 512 << 20;
  static constexpr Duration kAgainMin = std::chrono::milliseconds(50), kAgainMax = std::chrono::seconds(10);  // After one that died at its start.

  using Result = Workers::Result;
  explicit CageWorkers(Options options);
  ~CageWorkers();

  static bool Takes(JobKind kind) { return kind >= JobKind::kCageLoad && kind <= JobKind::kCageStop; }
  void Submit(JobId job, JobKind kind, std::string_view args);
  // Sends what was submitted since the last.
  void Flush();
  // Works off what the processes said and how they fared.
  std::vector<Result> Take();
  int fd() const { return epoll_.get(); }  // Readable when there is something to take.

  std::vector<pid_t> pids() const;  // Of those for cages that live.
  const Counters& counters() const { return counters_; }

 private:
  struct Pending {
    cage_worker::Word word;
    uint32_t tag;
    std::optional<JobId> job;  // None: nobody waits for it any more.
    uint32_t cage = 0;
    Duration max{};            // How long it may take.
    Key32 module{};
    uint64_t bytes = 0;        // Of a module to load.
    Key32 files{};
  };
  struct Process {
    pid_t pid = 0;
    Fd channel;
    cage_worker::Progress* progress = nullptr;
    std::string unsent;
    size_t sent = 0;               // Of `unsent`.
    cage_worker::FrameReader reader;
    std::deque<Pending> pending;   // The worker does them in order.
    uint64_t done = 0;             // Frames that it answered.
    Instant since{};               // When it began with the first.
    absl::btree_set<Key32> modules, files;
    bool writable = true;
    Duration again = kAgainMin;    // Before the next start, if it dies without a word.
    Instant start_at{};
  };
  struct Cage {
    size_t process = 0;
    cage::Image image;
    Duration timeout{};
    std::optional<JobId> watch;
  };

  // Of processes_: the cages' first, the loader last.
  size_t loader() const { return options_.processes; }
  // False: it cannot be started now.
  bool Start(size_t p);
  // False: it has too much to do, or cannot be started; the job was told.
  bool Ask(size_t p, Pending pending, std::string_view payload);
  bool Write(size_t p);
  void Read(size_t p);
  // False: it makes no sense.
  bool Answered(size_t p, const cage_worker::Frame& frame);
  // Buries it: all that it had to do ends, all its cages are dead.
  void Bury(size_t p, cage::Cause cause, std::string detail);
  void CageDied(uint32_t cage, cage::Cause cause, std::string_view detail);
  void Finish(JobId job, absl::StatusCode status, std::string_view bytes);
  void OnTime(Instant now);
  void SetTimer();

  void Load(JobId job, std::string_view args);
  void Spawn(JobId job, std::string_view args);
  void Run(JobId job, std::string_view args);
  void Stop(JobId job, std::string_view args);
  // The metered module, from memory or the directory.
  const std::string* Kept(const Key32& module);
  void Keep(const Key32& module, std::string metered);
  // What the guests of a site may read, from the directory or as it was sent; its hash.
  absl::StatusOr<Key32> LoadFiles(cage::LoadArgs& args);
  // To a process that has them not; those that no cage of it has go.
  void SendFiles(size_t p, const Key32& files);

  Options options_;
  Fd epoll_, event_, timer_;
  std::vector<Process> processes_;
  absl::btree_map<uint32_t, Cage> cages_;
  absl::btree_map<Key32, std::string> modules_;
  struct Files {
    std::string encoded;
    uint64_t used = 0;  // Counts loads and spawns.
  };
  absl::btree_map<Key32, Files> files_;
  uint64_t uses_ = 0;
  std::vector<Result> results_;
  bool taking_ = false;     // What is finished now is taken at once.
  Instant armed_ = kNever;  // When timer_ goes off.
  uint32_t next_tag_ = 1;
  Counters counters_;
};

}  // namespace orchard::host
