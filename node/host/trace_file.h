// Every event of the node's trace as a line of JSON, for whoever watches a node from outside (docs/IPC.md, "Events").
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "node/base/trace.h"
#include "node/host/log.h"
#include "node/host/os.h"

namespace orchard::host {

class TraceFile {
 public:
  // Appends to `path`; a pipe (/dev/fd/3) will do, and whoever reads it too slowly holds the node up.
  static absl::StatusOr<std::unique_ptr<TraceFile>> Open(const std::string& path);
  // One write a line. The first that fails is the last, and the log says so.
  void Write(std::string_view event, absl::Span<const TraceField> fields, Log& log);

 private:
  TraceFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd fd_;
  std::string path_;
};

}  // namespace orchard::host
