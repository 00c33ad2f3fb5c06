// One node as a daemon: data directory, store, host, doors, signals, from start to goodbye.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "node/base/turn.h"
#include "node/sidecar/config.h"

namespace orchard::host {

struct DaemonOptions {
  sidecar::Config config;
  std::string data_dir;
  std::string version;
  std::function<std::unique_ptr<Machine>(const sidecar::Config&)> machine;
  // Why the machine cannot do its work, or kOk; may be null.
  std::function<absl::StatusCode(const Machine&)> failure;
  int log_fd = 2;
  std::string trace_file;  // Every event goes there, too; empty: nowhere.
};

// Goodbyes take at most this long.
inline constexpr Duration kDrainMax = std::chrono::seconds(5);

// Runs until SIGTERM or SIGINT and the goodbye that follows; a second signal ends the process at once. An error says what
// is wrong and what to do about it. The calling thread's signal mask is changed.
absl::Status RunDaemon(DaemonOptions options);

}  // namespace orchard::host
