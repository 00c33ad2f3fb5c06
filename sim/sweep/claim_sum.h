// One claim over many runs, and what becomes of it: ratios and shares are judged on the samples of all runs together, anything
// else, and what states "holds", on how many of the runs it held in. Source: docs/SWEEPS.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/language/json_text.h"
#include "sim/sweep/wilson.h"

namespace orchard::sim {

class ClaimSum {
 public:
  static constexpr size_t kPartsMax = 64;  // Written; the least favourable ones.

  // As it stands in the result.json of a run, for what all of them say alike.
  explicit ClaimSum(const Json& claim) : first_(claim) {}

  void Add(uint64_t seed, const Json& claim);

  enum class Verdict : uint8_t { kHeld, kUndecided, kFailed };
  // What is judged: a bound on one part of the samples, or the runs themselves.
  struct Judgement {
    std::string stat, part;      // Empty: runs.
    bool at_least = true;
    int64_t bound_micro = 1'000'000;
    Share share;
    Verdict verdict = Verdict::kFailed;
    bool samples() const { return !stat.empty(); }
  };
  struct Judged {
    Verdict verdict = Verdict::kHeld;
    std::vector<Judgement> all;  // The least favourable first; never empty.
    std::optional<uint64_t> more_seeds;         // That would decide an undecided one, as it looks.
    std::optional<uint64_t> more_seeds_at_best; // If everything still to come speaks for it.
  };
  Judged Judge() const;

  uint64_t runs() const { return runs_; }
  uint64_t held() const { return held_; }
  // Seeds of the runs in which it did not hold by itself, in the order they came.
  const std::vector<uint64_t>& failing() const { return failing_; }
  // As a claim of a sweep's result.json (docs/RUN-DIRECTORY.md).
  Json ToJson() const;

 private:
  struct Pool {
    std::string stat, part;
    bool at_least = true;
    int64_t bound_micro = 0;
    friend auto operator<=>(const Pool&, const Pool&) = default;
  };
  Judgement RunsJudged(uint64_t held, int64_t bound_micro) const;

  Json first_;
  uint64_t runs_ = 0, held_ = 0;
  uint64_t others_held_ = 0;  // Runs in which every bound that is not pooled held.
  bool has_others_ = false;
  std::vector<uint64_t> failing_;
  std::map<Pool, Share> pools_;
};

std::string_view VerdictWord(ClaimSum::Verdict v);

// "99.0 %": of a share in millionths; what is not all or nothing never reads so.
std::string PercentText(int64_t micro);
// "[96.4, 99.7]"
std::string IntervalText(Interval interval);

}  // namespace orchard::sim
