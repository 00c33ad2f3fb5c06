#include "node/host/data_dir.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace orchard::host {
namespace {

// The parents get the caller's umask; only the last one is private.
int MakeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1)) {
    if (mkdir(path.substr(0, slash).c_str(), 0777) != 0 && errno != EEXIST) return errno;
  }
  return mkdir(path.c_str(), 0700) != 0 && errno != EEXIST ? errno : 0;
}

}  // namespace

absl::StatusOr<DataDir> DataDir::Open(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("no data directory: give --data DIR or set ORCHARD_DATA");
  if (int error = MakeDirectories(path); error != 0) return ErrnoStatus(error, absl::StrCat("cannot make the data directory ", path));
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return ErrnoStatus(errno, absl::StrCat("cannot use the data directory ", path));
  if (!S_ISDIR(st.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, " is not a directory; give another with --data DIR"));
  if (access(path.c_str(), R_OK | W_OK | X_OK) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot read and write the data directory ", path, " (give another with --data DIR)"));
  }
  // A directory that stood there keeps its mode: it may be somebody's home or /tmp. What is secret is private by itself.

  std::string file = path + "/lock";
  // Not through a link, nor into what has a second name: what it leads to would be overwritten.
  Fd lock(open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!lock.ok() && errno == ELOOP) return absl::FailedPreconditionError(absl::StrCat(file, " is a symbolic link; remove it"));
  if (!lock.ok()) return ErrnoStatus(errno, absl::StrCat("cannot open ", file));
  if (fstat(lock.get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink > 1) {
    return absl::FailedPreconditionError(absl::StrCat(file, " is not a plain file of its own; remove it"));
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    char text[32];
    ssize_t n = read(lock.get(), text, sizeof text);
    std::string pid = n > 1 ? std::string(text, size_t(n) - 1) : "unknown";
    return absl::AlreadyExistsError(absl::StrCat("another orchard (process ", pid, ") already uses ", path,
                                                 "; stop it, or give this one its own directory with --data DIR"));
  }
  std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(lock.get(), 0) != 0 || pwrite(lock.get(), pid.data(), pid.size(), 0) != ssize_t(pid.size())) {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", file));
  }
  return DataDir(path, std::move(lock));
}

std::string DefaultDataDir() {
  if (const char* d = std::getenv("ORCHARD_DATA"); d != nullptr && *d != 0) return d;
  if (const char* d = std::getenv("XDG_DATA_HOME"); d != nullptr && *d == '/') return absl::StrCat(d, "/orchard");
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == 0) {
    const passwd* p = getpwuid(geteuid());
    home = p != nullptr ? p->pw_dir : "";
  }
  return *home == 0 ? "" : absl::StrCat(home, "/.local/share/orchard");
}

}  // namespace orchard::host
