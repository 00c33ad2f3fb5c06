#include "sim/netns/spaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "node/base/check.h"

namespace orchard::sim {
namespace {

host::Fd Here() { return host::Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

}  // namespace

absl::StatusOr<Space> Space::Make() {
  const host::Fd home = Here();
  CHECK(home.ok());
  if (unshare(CLONE_NEWNET) != 0) return host::ErrnoStatus(errno, "cannot make a network namespace");
  Space space(Here());
  host::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  const bool up = socket.ok() && ioctl(socket.get(), SIOCSIFFLAGS, &loopback) == 0;
  const int error = errno;
  CHECK_EQ(setns(home.get(), CLONE_NEWNET), 0);
  if (!space.fd_.ok() || !up) return host::ErrnoStatus(error, "cannot use a new network namespace");
  return space;
}

std::string Space::path() const { return absl::StrCat("/proc/", getpid(), "/fd/", fd()); }

Space::Visit::Visit(const Space& space) : home_(Here()) {
  CHECK(home_.ok());
  CHECK_EQ(setns(space.fd(), CLONE_NEWNET), 0);
}
Space::Visit::~Visit() { CHECK_EQ(setns(home_.get(), CLONE_NEWNET), 0); }

std::string FindTool(std::string_view name) {
  const char* path = getenv("PATH");
  std::string all = absl::StrCat(path == nullptr ? "" : path, ":/usr/sbin:/sbin:/usr/bin:/bin");
  for (size_t from = 0; from <= all.size();) {
    const size_t end = std::min(all.find(':', from), all.size());
    std::string file = absl::StrCat(all.substr(from, end - from), "/", std::string(name));
    if (end > from && access(file.c_str(), X_OK) == 0) return file;
    from = end + 1;
  }
  return "";
}

absl::Status RunTool(const Space& space, const std::vector<std::string>& command, const std::string& input) {
  std::vector<std::string> words = command;
  const std::string program = FindTool(words[0]);
  if (program.empty()) return absl::NotFoundError(absl::StrCat("there is no program \"", words[0], "\""));
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  int in[2], err[2];
  CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
  const pid_t pid = fork();
  if (pid == 0) {  // Only async-signal-safe calls: other threads of ours may hold locks.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    if (setns(space.fd(), CLONE_NEWNET) != 0) _exit(126);
    dup2(in[0], 0), dup2(err[1], 1), dup2(err[1], 2);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  close(in[0]), close(err[1]);
  host::Fd write_end(in[1]), read_end(err[0]);
  if (pid < 0) return host::ErrnoStatus(errno, "cannot start a process");
  // Both ways at once: a tool that complains about each line would block on a full pipe otherwise.
  std::string said;
  fcntl(write_end.get(), F_SETFL, O_NONBLOCK);
  size_t written = 0;
  for (bool open = true; open;) {
    if (write_end.ok() && written == input.size()) write_end = host::Fd();
    pollfd fds[] = {{.fd = read_end.get(), .events = POLLIN, .revents = 0}, {.fd = write_end.get(), .events = POLLOUT, .revents = 0}};
    if (poll(fds, write_end.ok() ? 2 : 1, -1) < 0) continue;  // A signal.
    if (write_end.ok() && fds[1].revents != 0) {
      const ssize_t n = write(write_end.get(), input.data() + written, input.size() - written);
      if (n > 0) written += size_t(n);
      else if (n < 0 && errno != EINTR && errno != EAGAIN) written = input.size();  // It reads no more; its status says why.
    }
    if (fds[0].revents != 0) {
      char buffer[4096];
      const ssize_t n = read(read_end.get(), buffer, sizeof buffer);
      if (n > 0) said.append(buffer, size_t(n));
      else if (n == 0 || errno != EINTR) open = false;
    }
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(absl::StrJoin(command, " "), " failed: ", said.substr(0, 2000)));
}

bool SetSwitch(const Space& space, const std::string& name, const std::string& value) {
  const Space::Visit visit(space);
  const host::Fd file(open(absl::StrCat("/proc/sys/", name).c_str(), O_WRONLY | O_CLOEXEC));
  return file.ok() && write(file.get(), value.data(), value.size()) == ssize_t(value.size());
}

}  // namespace orchard::sim
