// Whoever runs cages, one call at a time and to its end: what a simulator and a worker process have behind the jobs of job.h.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "node/cage/job.h"

namespace orchard::cage {

class Runner {
 public:
  virtual ~Runner() = default;
  // kInvalidArgument, kNotFound: the message says what is wrong with the module.
  virtual absl::StatusOr<LoadResult> Load(const LoadArgs& args) = 0;
  // kNotFound: no such module was loaded; kResourceExhausted: no room.
  virtual absl::Status Spawn(const SpawnArgs& args) = 0;
  // Of a cage that lives. A cause other than kNone: it lives no more.
  virtual RunResult Run(const RunArgs& args) = 0;
  // A cage that does not live is none.
  virtual void Stop(uint32_t cage) = 0;
};

}  // namespace orchard::cage
