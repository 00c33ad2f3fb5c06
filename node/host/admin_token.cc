#include "node/host/admin_token.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "node/base/bytes.h"
#include "node/base/status_macros.h"
#include "node/cage/admin_token.h"
#include "node/host/os.h"

namespace orchard::host {
namespace {

absl::Status Make(const std::string& path) {
  const std::string fresh = path + ".new", text = ToHex(OsEntropy()) + "\n";
  unlink(fresh.c_str());  // Of a start that was cut off.
  Fd fd(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  // Whole or not at all, whenever the power fails.
  if (!fd.ok() || write(fd.get(), text.data(), text.size()) != ssize_t(text.size()) || fsync(fd.get()) != 0 || rename(fresh.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> AdminToken(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) RETURN_IF_ERROR(Make(path));
  Fd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("cannot read ", path, "; remove it, and another is made"));
  struct stat st;
  if (fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, " is not a plain file; remove it, and another is made"));
  if ((st.st_mode & 077) != 0) return absl::FailedPreconditionError(absl::StrCat("others may read the token in ", path, "; remove it, and another is made, or chmod 600 it"));
  char buffer[cage::kTokenMax + 2];
  const ssize_t n = read(fd.get(), buffer, sizeof buffer);
  std::string token(buffer, n > 0 ? size_t(n) : 0);
  if (!token.empty() && token.back() == '\n') token.pop_back();
  if (!cage::IsToken(token)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " holds no token (a line of ", cage::kTokenMin, " to ", cage::kTokenMax, " letters, digits and -._~+/=); remove it, and another is made"));
  }
  return token;
}

}  // namespace orchard::host
