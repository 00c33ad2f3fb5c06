// The jobs of a node's cages that are under way: ids that are given once, and whose they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"

namespace orchard::cage {

class Jobs {
 public:
  static constexpr uint32_t kFirst = 0x03000000;  // Beyond those of the DHT and the pod.

  JobId Run(Turn& turn, uint32_t owner, JobKind kind, std::string_view args) {
    const JobId job{next_++};
    owners_[job] = owner;
    turn.out.Run(job, kind, AsBytes(args));
    return job;
  }
  // Its end is nobody's affair.
  void RunAndForget(Turn& turn, JobKind kind, std::string_view args) { turn.out.Run(JobId{next_++}, kind, AsBytes(args)); }
  // Nothing if it is over.
  void Cancel(Turn& turn, JobId job) {
    if (owners_.erase(job) > 0) turn.out.Cancel(job);
  }
  // It is over: whose it was. Nothing: it was forgotten.
  std::optional<uint32_t> Done(JobId job) {
    const auto it = owners_.find(job);
    if (it == owners_.end()) return std::nullopt;
    const uint32_t owner = it->second;
    owners_.erase(it);
    return owner;
  }
  static bool Ours(JobId job) { return uint32_t(job) >= kFirst; }
  uint32_t NextCage() { return next_cage_++; }

 private:
  uint32_t next_ = kFirst, next_cage_ = 1;
  absl::btree_map<JobId, uint32_t> owners_;
};

}  // namespace orchard::cage
