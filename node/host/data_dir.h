// The directory that a daemon lives in: private, and of one daemon at a time.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "node/host/os.h"

namespace orchard::host {

class DataDir {
 public:
  // Makes the directory (mode 0700) and its parents if need be, and locks it; the lock goes with the process, however it
  // ends. A second daemon is told the first one's process id.
  static absl::StatusOr<DataDir> Open(const std::string& path);

  const std::string& path() const { return path_; }
  std::string store() const { return path_ + "/store"; }
  std::string orders() const { return path_ + "/standing.jsonl"; }
  std::string admin_token() const { return path_ + "/admin.token"; }
  std::string cages() const { return path_ + "/cages"; }
  static std::string Socket(const std::string& path) { return path + "/orchard.sock"; }

 private:
  DataDir(std::string path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  Fd lock_;
};

// $ORCHARD_DATA, $XDG_DATA_HOME/orchard or ~/.local/share/orchard.
std::string DefaultDataDir();

}  // namespace orchard::host
