// Tries scenarios: which of these breaks the claim as the first did?
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/language/loader.h"
#include "sim/sweep/minimize.h"

namespace orchard::sim {

// The claim of that `says` in a result, or null.
const Json* ClaimSaying(const Json& result, const std::string& says);

class Trial {
 public:
  struct Setup {
    std::string dir;            // For candidates and what they leave; ours alone.
    uint64_t seed = 1;
    std::string of_case;        // Empty: the scenarios have none.
    std::string claim;
    Ending wanted;
    std::optional<uint64_t> control;  // Candidates must hold at that seed.
    size_t runs_max = 0, jobs = 1;
    int64_t wall_ms_max = 0;    // Of one candidate.
    const volatile std::sig_atomic_t* interrupted = nullptr;
  };
  explicit Trial(Setup setup) : setup_(std::move(setup)) {}

  // The index of the first that breaks the claim likewise (and holds at the control), or their number: also when the runs are used up or it is interrupted.
  size_t First(const std::vector<Json>& candidates);
  // What the claim of that scenario comes to; nothing if it could not be run. `to_the_end`: as its user runs it.
  std::optional<Ending> At(const Json& scenario, uint64_t seed, bool to_the_end);
  void set_control(uint64_t seed) { setup_.control = seed; }

  // Called before each batch with the runs so far.
  std::function<void()> tell;
  size_t runs() const { return runs_; }
  size_t refused() const { return refused_; }  // By the language, without a run.
  size_t broken() const { return broken_; }    // The process ended badly.
  bool stopped() const { return *setup_.interrupted || runs_ >= setup_.runs_max; }

 private:
  struct Candidate {
    size_t index;
    std::string digest;
    std::vector<std::string> dirs, cases;  // A process for each.
  };
  std::optional<Candidate> Prepare(const Json& scenario, size_t index, std::string digest);
  std::optional<Ending> Judge(const Candidate& c);
  void RunAll(const std::vector<Candidate>& batch, uint64_t seed, bool to_the_end);
  void Forget(const Candidate& c);

  Setup setup_;
  std::set<std::string> known_;  // Digests of those that did not break: nobody runs them again.
  size_t runs_ = 0, refused_ = 0, broken_ = 0, made_ = 0;
};

}  // namespace orchard::sim
