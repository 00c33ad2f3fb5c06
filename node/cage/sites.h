// All sites of a node: their modules are loaded, their cages kept. A machine; its parent gives it the jobs and the time.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "node/base/deadlines.h"
#include "node/base/turn.h"
#include "node/cage/config.h"
#include "node/cage/pool.h"
#include "node/cage/rollout.h"

namespace orchard::cage {

class Sites {
 public:
  static constexpr size_t kSitesMax = 1024, kLogLinesMax = 100;
  static constexpr uint32_t kDirectory = 0;  // Whose jobs are the looks at a directory; sites count from 1.

  struct Site {
    SiteConfig config;
    std::optional<LoadResult> module;  // Once it is loaded.
    std::string problem;               // Why it could not be.
    JobId load{};                      // 0: none.
    uint32_t number = 0;               // Whose its jobs are; never given twice.
    std::unique_ptr<Pool> pool;        // Once the first module is loaded.
    std::optional<Rollout> rollout;    // The last one, under way or over.
    std::string next_module;           // Of the update that is being loaded.
    std::string former_module;         // Before the last update: what it goes back to, and of that
    std::optional<LoadResult> former;  // what was loaded.
    bool taken_back = false;           // By an operator, after it was done.
    std::unique_ptr<Site> next;        // What was deployed in its place, and takes it with its first healthy cage;
    std::string next_problem;          // or why that came to nothing.
    guard::Guard guard;
    std::deque<std::string> log;       // What its cages wrote, and died of; the latest last. At most kLogLinesMax.
  };

  // `guard`: of sites that do not say.
  explicit Sites(guard::Mode guard = guard::Mode::kFlag) : guard_(guard) {}

  // Loads its module (`bytes`, or what config.module names) and makes its cages. A site of that name goes on until the new one has a
  // healthy cage, and for good if that comes to nothing (next_problem); one that serves nothing is replaced at once.
  // kInvalidArgument: no such name may be; kResourceExhausted; kAlreadyExists: an alias of another site.
  absl::Status Add(Turn& turn, SiteConfig config, std::string bytes, PoolNews& news);
  bool Remove(Turn& turn, std::string_view name, PoolNews& news);
  bool Scale(Turn& turn, std::string_view name, uint32_t replicas);
  // Loads the module; then it takes the place of the site's, slot by slot. kNotFound; kFailedPrecondition: another update is under way.
  absl::Status Update(Turn& turn, std::string_view name, std::string module);
  // The update that is under way, or the last one, is taken back. kNotFound: there was none.
  absl::Status RollBack(Turn& turn, std::string_view name);

  // ---- sites_dir.cc: a directory of which each NAME.wasm is a site NAME. ----
  // Looks at it now, and whenever Reload() is called. A site of that name that came otherwise stays as it is.
  void Serve(Turn& turn, std::string directory);
  // What the last look found; names in order.
  struct Look {
    std::vector<std::string> added, updated, removed, skipped;  // Skipped: of another's name, or the update before is under way.
    std::string problem;                                          // It could not be read: all stays as it was.
  };
  // The number of the look that will have seen what is there now; nothing: there is no directory.
  std::optional<uint64_t> Reload(Turn& turn);
  uint64_t looks() const { return looks_; }
  const Look& last_look() const { return last_look_; }

  // By a request's host; `fallback` names the site of those that are for none. Null: there is none.
  Site* Find(std::string_view host, std::string_view fallback);
  Site* Named(std::string_view name);
  const absl::btree_map<std::string, Site>& all() const { return sites_; }

  void Ask(Turn& turn, Site& site, RequestId id, Request request, PoolNews& news);
  void Forget(std::string_view site, RequestId id);
  void Judge(Turn& turn, std::string_view site, uint32_t cage, const absl::Status& sense);
  bool Revive(Turn& turn, std::string_view name);

  // False if it is of no cage.
  bool OnJobDone(Turn& turn, const JobDone& done, PoolNews& news);
  void OnTime(Turn& turn, PoolNews& news);
  Instant next_deadline() const { return due_.next(); }
  void Stop(Turn& turn, PoolNews& news);

 private:
  void Looked(Turn& turn, const JobDone& done, PoolNews& news);
  void Loaded(Turn& turn, Site& site, const JobDone& done);
  void Roll(Turn& turn, Site& site);
  // What the site is said to be, is what it was before the update; or the other way round.
  static void TakeBack(Site& site);
  // ---- sites_next.cc ----
  Site& ByNumber(uint32_t number);
  void Begin(Turn& turn, Site& site, SiteConfig config, std::string bytes);
  // After something happened to the site of that number.
  void Settle(Turn& turn, uint32_t number, PoolNews& news);
  void TakePlace(Turn& turn, Site& site, PoolNews& news);
  void Discard(Turn& turn, Site& site, PoolNews& news);
  // Its jobs and cages; the site itself is the caller's to erase.
  void End(Turn& turn, Site& site, PoolNews& news);
  void Note(Turn& turn, Site& site, const PoolNews& news, size_t from);
  static Instant DeadlineOf(const Site& site);
  // Calls it, and keeps the index of deadlines.
  template <class Call>
  void With(Site& site, Call call) {
    if (site.pool == nullptr) return;
    const Instant before = DeadlineOf(site);
    call(*site.pool);
    due_.Move(site.number, before, DeadlineOf(site));
  }

  guard::Mode guard_;
  Jobs jobs_;
  uint32_t next_number_ = 1;
  absl::btree_map<std::string, Site> sites_;
  absl::btree_map<uint32_t, std::string> numbers_;
  absl::btree_map<uint32_t, Site> leaving_;  // Whose place was taken, till their runs are over.
  Deadlines<uint32_t> due_;
  absl::btree_map<std::string, std::string> aliases_;

  std::string directory_;
  absl::btree_map<std::string, std::string> from_directory_;  // Sites that are its: the stamp of the module.
  JobId look_{};              // 0: none is under way.
  bool look_again_ = false;
  uint64_t looks_ = 0;
  Look last_look_;
};

// "loading", "failed", "down", "healing", "healthy", or the step of an update that is under way.
std::string_view StateOf(const Sites::Site& site);
// StateName, or "GAVE-UP".
std::string_view StateOf(const Pool::Slot& slot);

}  // namespace orchard::cage
