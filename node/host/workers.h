// Threads for jobs that block. A worker sees its arguments and nothing else; results come back through a queue.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "node/base/input.h"
#include "node/base/jobs.h"

namespace orchard::host {

class Workers {
 public:
  static constexpr size_t kThreads = 2;
  static constexpr size_t kQueueMax = 256;  // Jobs that wait; more end with kResourceExhausted.

  struct Result {
    JobId job;
    absl::StatusCode status;
    std::string bytes;
  };
  Workers();
  // A worker may hang in the resolver for longer than anybody wants to wait: it is left alone and touches nothing of ours.
  ~Workers();

  void Submit(JobId job, JobKind kind, std::string args);
  std::vector<Result> Take();
  int fd() const;  // Readable when there are results.

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace orchard::host
