#include "node/host/trace_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "node/host/ipc_server.h"

namespace orchard::host {

absl::StatusOr<std::unique_ptr<TraceFile>> TraceFile::Open(const std::string& path) {
  Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("cannot write the trace ", path));
  return std::unique_ptr<TraceFile>(new TraceFile(std::move(fd), path));
}

void TraceFile::Write(std::string_view event, absl::Span<const TraceField> fields, Log& log) {
  if (!fd_.ok()) return;
  std::string line = absl::StrCat("{\"at\":", ToNanos(BootNow()), ",\"event\":", QuoteJson(event));
  AppendFields(line, fields);
  line += "}\n";
  for (size_t done = 0; done < line.size();) {
    const ssize_t n = write(fd_.get(), line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      log.Write(Level::kError, "trace.ended", {{"file", path_}, {"why", std::strerror(errno)}});
      fd_ = Fd();
      return;
    }
    done += size_t(n);
  }
}

}  // namespace orchard::host
