// The directory of a sweep: sweep.json says what it is of, seeds/N holds the runs. Several processes may work in it at once; a run
// counts if its result is whole and was made from the same input by the same program, so that nothing is run twice and nothing
// stale is counted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/sweep/merge.h"

namespace orchard::sim {

class SweepStore {
 public:
  SweepStore(std::string dir, const SweepPlan& plan) : dir_(std::move(dir)), plan_(plan) {}

  const std::string& dir() const { return dir_; }
  std::string RunDir(uint64_t seed, size_t of_case) const;
  // Nothing if it is not there, was interrupted, or is of another input or program.
  std::optional<Json> Result(uint64_t seed, size_t of_case) const;
  // Why that run ended without a result; empty if it did not.
  std::string Broken(uint64_t seed, size_t of_case) const;
  void SetBroken(uint64_t seed, size_t of_case, const std::string& why) const;
  bool settled(uint64_t seed, size_t of_case) const { return Result(seed, of_case).has_value() || !Broken(seed, of_case).empty(); }

  // The runs that are there, put together.
  Json Merge(bool interrupted) const;

 private:
  std::string dir_;
  const SweepPlan& plan_;
};

// Nothing, and `error`, if there is none.
std::optional<SweepPlan> ReadSweepPlan(const std::string& dir, std::string& error);

}  // namespace orchard::sim
