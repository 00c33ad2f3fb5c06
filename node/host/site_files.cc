#include "node/host/site_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/status_macros.h"
#include "node/host/os.h"

namespace orchard::host {
namespace {

class Reader {
 public:
  explicit Reader(const std::string& directory) : directory_(directory), root_(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}

  absl::StatusOr<cage::FileMap> Read() {
    if (!root_.ok()) return absl::NotFoundError(absl::StrCat("cannot read the directory of files ", directory_, ": ", std::strerror(errno)));
    RETURN_IF_ERROR(Walk("", 0));
    return std::move(files_);
  }

 private:
  absl::Status Wrong(const std::string& path, std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(directory_, "/", path, " ", absl::string_view(what.data(), what.size())));
  }

  // `path` below the root; the kernel sees to it that no link leads out, also while somebody changes them.
  absl::StatusOr<Fd> Open(const std::string& path, uint64_t flags) const {
    open_how how{};
    how.flags = flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK, how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    Fd fd(int(syscall(SYS_openat2, root_.get(), path.empty() ? "." : path.c_str(), &how, sizeof how)));
    if (fd.ok()) return fd;
    if (errno == EXDEV) return Wrong(path, "is a link that leads out of the directory");
    if (errno == ELOOP) return Wrong(path, "is a link that leads to itself, or to a directory");
    return absl::NotFoundError(absl::StrCat("cannot read ", directory_, "/", path, ": ", std::strerror(errno)));
  }

  absl::Status Walk(const std::string& below, size_t depth) {
    // As deep as names may be: a path that is deeper is refused by CheckPath, unless there are no files in it.
    if (depth > cage::kPathDepthMax) return Wrong(below, absl::StrCat("lies more than ", cage::kPathDepthMax, " names deep"));
    ASSIGN_OR_RETURN(Fd fd, Open(below, O_DIRECTORY | O_NOFOLLOW));
    std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(fd.get()), closedir);
    if (dir == nullptr) return absl::NotFoundError(absl::StrCat("cannot read ", directory_, "/", below, ": ", std::strerror(errno)));
    fd.Release();
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(dir.get());
      if (entry == nullptr && errno != 0) return absl::NotFoundError(absl::StrCat("cannot read ", directory_, "/", below, ": ", std::strerror(errno)));
      if (entry == nullptr) return absl::OkStatus();
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      const std::string path = below.empty() ? name : absl::StrCat(below, "/", name);
      if (++entries_ > 2 * cage::kFilesMax) return absl::InvalidArgumentError(absl::StrCat(directory_, " has more than ", 2 * cage::kFilesMax, " files and directories"));
      struct stat what;
      if (fstatat(dirfd(dir.get()), name.c_str(), &what, AT_SYMLINK_NOFOLLOW) != 0) return absl::NotFoundError(absl::StrCat("cannot read ", directory_, "/", path, ": ", std::strerror(errno)));
      if (S_ISDIR(what.st_mode)) RETURN_IF_ERROR(Walk(path, depth + 1));
      else if (S_ISREG(what.st_mode) || S_ISLNK(what.st_mode)) RETURN_IF_ERROR(Take(path));
      else return Wrong(path, "is no regular file");
    }
  }

  absl::Status Take(const std::string& path) {
    if (absl::Status s = cage::CheckPath(path); !s.ok()) return absl::InvalidArgumentError(absl::StrCat(directory_, ": ", s.message()));
    if (files_.size() == cage::kFilesMax) return absl::InvalidArgumentError(absl::StrCat(directory_, " has more than ", cage::kFilesMax, " files"));
    ASSIGN_OR_RETURN(const Fd fd, Open(path, 0));
    struct stat what;
    if (fstat(fd.get(), &what) != 0 || !S_ISREG(what.st_mode)) return Wrong(path, "is no regular file");
    std::string& out = files_[path];
    char buffer[64 << 10];
    for (ssize_t n; (n = read(fd.get(), buffer, sizeof buffer)) != 0;) {
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return absl::NotFoundError(absl::StrCat("cannot read ", directory_, "/", path, ": ", std::strerror(errno)));
      if (size_t(n) > cage::kFilesBytesMax - bytes_) return absl::InvalidArgumentError(absl::StrCat(directory_, " has more than ", cage::kFilesBytesMax >> 20, " MiB of files"));
      out.append(buffer, size_t(n)), bytes_ += size_t(n);
    }
    return absl::OkStatus();
  }

  const std::string& directory_;
  const Fd root_;
  cage::FileMap files_;
  size_t bytes_ = 0, entries_ = 0;
};

}  // namespace

absl::StatusOr<cage::FileMap> ReadSiteFiles(const std::string& directory) { return Reader(directory).Read(); }

}  // namespace orchard::host
