// Runs the cages of simulated hosts, in virtual time: what a guest computes is computed at once, and told after as long as its fuel
// would take. Crashes and hangs of a scenario are done here, so that nodes and guests know nothing of them.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "node/cage/runner.h"
#include "sim/world/world.h"

namespace orchard::sim {

class CageLab final : public JobRunner {
 public:
  // What things take besides the guest's own computing. The first three are what cage_bench measured: on a busy machine 109 µs for a run in
  // a worker and back and 799 µs to make a cage; on an idle one 82 to 86 ms where its process was gone. Rounded; the others are guesses.
  static constexpr Duration kHop = std::chrono::microseconds(100);     // A request to the process of a cage, and the answer back.
  static constexpr Duration kSpawn = std::chrono::microseconds(800);   // A cage of a module that is compiled.
  static constexpr Duration kProcess = std::chrono::milliseconds(80);  // A process for cages begins, and has compiled a module.
  static constexpr Duration kLoad = std::chrono::milliseconds(20);     // A module is checked, metered and compiled.
  static constexpr Duration kNotice = std::chrono::microseconds(100);  // Until the death of a process is known.

  // As many for cages as a daemon has, and as it spreads them: where the fewest of the module live, of those where the fewest live.
  // host/cage_workers.h.
  static constexpr size_t kProcesses = 2;

  using RunnerFactory = std::function<std::unique_ptr<cage::Runner>()>;
  // `at` asks for an act.
  CageLab(RunnerFactory factory, std::function<Instant()> now, std::function<void(Instant, std::function<void()>)> at,
          std::function<void(HostIndex, uint32_t life, JobId, absl::StatusCode, Bytes)> finish)
      : factory_(std::move(factory)), now_(std::move(now)), at_(std::move(at)), finish_(std::move(finish)) {}

  void Run(HostIndex h, uint32_t life, JobId job, JobKind kind, Bytes args) override;
  // The cage dies now; what it computes is lost. False: it does not live.
  bool Crash(HostIndex h, uint32_t cage, cage::Cause cause);
  // A process of the host dies, with all cages in it; the next cage that is to live there waits for another. False: there is none.
  bool KillProcess(HostIndex h, size_t process);
  // Whatever it computes now, or next, never ends.
  bool Hang(HostIndex h, uint32_t cage);
  // Each of its runs takes so much longer from the next on, and is cut by its time-out.
  bool Slow(HostIndex h, uint32_t cage, Duration by);

 private:
  struct Pending {
    JobId job;
    cage::RunArgs args;
  };
  struct Cage {
    size_t process = 0;
    Key32 module{};
    cage::Limits limits;
    bool hung = false;
    Duration slow{0};                       // What a run takes beyond its computing.
    std::deque<Pending> queue;              // The first is under way.
    std::optional<cage::RunResult> result;  // Of the one under way.
    uint64_t begun = 0;                     // Counts runs: whoever ends one knows whether it still is.
    Instant since{};                        // When that began.
    std::optional<JobId> watch;
  };
  struct HostCages {
    uint32_t life = 0;
    std::unique_ptr<cage::Runner> runner;
    std::map<uint32_t, Cage> cages;
    std::array<Instant, kProcesses> ready = {kNever, kNever};  // When each process is there, or was; kNever: there is none.
  };
  // The cages of that life of the host; null: it is over.
  HostCages* Of(HostIndex h, uint32_t life);
  static size_t ProcessFor(const HostCages& host, const Key32& module);
  void Begin(HostIndex h, uint32_t life, uint32_t cage);
  void End(HostIndex h, uint32_t life, uint32_t cage, uint64_t run);
  void Die(HostIndex h, HostCages& host, uint32_t cage, cage::Cause cause, const std::string& detail, Duration notice);
  void Finish(HostIndex h, uint32_t life, JobId job, absl::StatusCode status, std::string result, Duration after);

  RunnerFactory factory_;
  std::function<Instant()> now_;
  std::function<void(Instant, std::function<void()>)> at_;
  std::function<void(HostIndex, uint32_t, JobId, absl::StatusCode, Bytes)> finish_;
  std::map<HostIndex, HostCages> hosts_;
};

}  // namespace orchard::sim
