// What each slot of each site was doing, and each death of a cage with what followed: the cages of a run as its report shows them
// (cages.json). From traces alone; nothing is asked of it while the run goes on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "node/base/trace.h"
#include "sim/world/world.h"

namespace orchard::sim {

// What a slot's cage does, as far as it can be seen. Of two within one step of a drawing the later one in this list is shown.
enum class CageShow : uint8_t {
  kStop,    // Nothing: it was ended on purpose, and none follows yet.
  kRun,     // Gets requests.
  kTerm,    // Finishes what it has.
  kSpared,  // Answers nonsense, and gets no requests.
  kInit,    // Being made, or not yet seen to answer.
  kDown,    // Its host is down.
  kHung,    // Went wrong, and nobody knew.
  kCrash,   // Died.
  kGaveUp,  // Died, and none will follow.
};
std::string_view CageShowName(CageShow show);

class CageFilm {
 public:
  // What is kept; more is counted in `lost`.
  static constexpr size_t kLanesMax = 4096, kChangesMax = 400'000, kDeathsMax = 50'000;

  struct Change {
    Instant at;
    CageShow show;
  };
  struct Lane {
    std::vector<Change> changes;  // In order of `at`.
    uint64_t cages = 0, deaths = 0, answered = 0, failed = 0;  // failed: requests that it had and that were answered with 5xx.
    int64_t death = -1;           // The last one, while nothing followed.
    uint64_t cage = 0;            // The latest; of one whose place it took is told too, till it is gone.
  };
  enum class End : uint8_t { kOpen, kHealed, kAgain, kGaveUp, kReplaced, kHost };
  struct Death {
    HostIndex host;
    std::string site, cause;
    uint64_t slot, cage;
    Instant at, wrong;                                      // When its host knew; when it went wrong, as far as was told.
    Duration detect{-1}, backoff{-1}, spawn{-1}, answer{-1};  // Negative: not known. Without detect, backoff is both.
    Instant ended = kNever;                                 // When the next answered, died too, or none was to follow.
    End end = End::kOpen;
    uint64_t retried = 0, failed = 0;                       // Requests that it took with it: given to another; answered with 5xx.
  };
  struct Site {
    uint64_t answered = 0, failed = 0;  // Requests, whoever answered them.
  };
  using LaneKey = std::tuple<HostIndex, std::string, uint64_t>;  // Host, site, slot.
  struct Lost { uint64_t lanes = 0, changes = 0, deaths = 0; };

  void OnTrace(Instant now, HostIndex host, std::string_view event, absl::Span<const TraceField> fields);
  void OnHostDown(Instant now, HostIndex host);

  const std::map<LaneKey, Lane>& lanes() const { return lanes_; }
  const std::vector<Death>& deaths() const { return deaths_; }
  const std::map<std::pair<HostIndex, std::string>, Site>& sites() const { return sites_; }
  const Lost& lost() const { return lost_; }

 private:
  void Show(Lane& lane, Instant at, CageShow show);
  void Finish(Lane& lane, Instant at, End end);
  void Crashed(Instant now, HostIndex host, Lane& lane, std::string_view site, absl::Span<const TraceField> fields);
  void Served(Instant now, Lane& lane, absl::Span<const TraceField> fields);

  std::map<LaneKey, Lane> lanes_;
  std::map<std::pair<HostIndex, std::string>, Site> sites_;
  std::map<std::pair<HostIndex, uint64_t>, Lane*> of_cage_;     // Of cages in this life of their host.
  std::map<std::pair<HostIndex, uint64_t>, size_t> death_of_;  // As above: an index into deaths_.
  std::vector<Death> deaths_;
  size_t changes_ = 0;
  Lost lost_;
};

}  // namespace orchard::sim
