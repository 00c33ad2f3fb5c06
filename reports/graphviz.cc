#include "reports/graphviz.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace orchard::reports {
namespace {

using Clock = std::chrono::steady_clock;

class Pipe {
 public:
  Pipe() {
    if (pipe2(fd_, O_CLOEXEC) != 0) fd_[0] = fd_[1] = -1;
  }
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  bool ok() const { return fd_[0] >= 0; }
  int read() const { return fd_[0]; }
  int write() const { return fd_[1]; }
  void CloseRead() { Close(fd_[0]); }
  void CloseWrite() { Close(fd_[1]); }

 private:
  static void Close(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  int fd_[2];
};

// A child that closes its input early must not end us: writes to it answer EPIPE instead.
class NoSigpipe {
 public:
  NoSigpipe() {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, &before_);
  }
  ~NoSigpipe() { sigaction(SIGPIPE, &before_, nullptr); }

 private:
  struct sigaction before_;
};

// True while there may be more.
bool Drain(int fd, std::string& into, size_t most) {
  char buffer[1 << 16];
  ssize_t n = read(fd, buffer, sizeof buffer);
  if (n > 0 && into.size() <= most) into.append(buffer, size_t(n));
  return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

}  // namespace

absl::StatusOr<std::string> RunGraphviz(const std::vector<std::string>& command, const std::string& input,
                                        std::chrono::milliseconds limit) {
  Clock::time_point end = Clock::now() + limit;
  Pipe in, out, err;
  if (!in.ok() || !out.ok() || !err.ok())
    return absl::ResourceExhaustedError("no file descriptors are left for a child process");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.read(), 0);
  posix_spawn_file_actions_adddup2(&actions, out.write(), 1);
  posix_spawn_file_actions_adddup2(&actions, err.write(), 2);
  std::vector<char*> argv;
  for (const std::string& a : command) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  NoSigpipe guard;
  pid_t child = -1;
  int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed == ENOENT)
    return absl::NotFoundError(
        absl::StrCat(command[0], " is not installed (Debian: apt-get install graphviz)"));
  if (failed != 0) return absl::InternalError(absl::StrCat(command[0], ": ", std::strerror(failed)));
  in.CloseRead();
  out.CloseWrite();
  err.CloseWrite();
  fcntl(in.write(), F_SETFL, O_NONBLOCK);

  std::string text, complaint;
  size_t fed = 0;
  bool late = false, out_open = true, err_open = true;
  while ((out_open || err_open) && !late && text.size() <= kLayoutBytesMax) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) {
      late = true;
      break;
    }
    pollfd fds[3] = {{out_open ? out.read() : -1, POLLIN, 0},
                     {err_open ? err.read() : -1, POLLIN, 0},
                     {fed < input.size() ? in.write() : -1, POLLOUT, 0}};
    if (poll(fds, 3, int(left)) < 0 && errno != EINTR) break;
    if (fds[0].revents != 0) out_open = Drain(out.read(), text, kLayoutBytesMax);
    if (fds[1].revents != 0) err_open = Drain(err.read(), complaint, 4096);
    if (fds[2].revents != 0) {
      ssize_t n = write(in.write(), input.data() + fed, input.size() - fed);
      if (n > 0) fed += size_t(n);
      if (n < 0 && errno != EAGAIN && errno != EINTR) fed = input.size();
    }
    if (fed == input.size()) in.CloseWrite();
  }
  bool stopped = late || out_open || err_open;
  if (stopped) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (late)
    return absl::DeadlineExceededError(
        absl::StrCat(command[0], " had not finished after ", limit.count(), " ms"));
  if (stopped)
    return absl::ResourceExhaustedError(
        absl::StrCat(command[0], " wrote more than ", kLayoutBytesMax >> 20, " MiB"));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    return absl::NotFoundError(
        absl::StrCat(command[0], " is not installed (Debian: apt-get install graphviz)"));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return absl::InternalError(absl::StrCat(command[0], " failed: ", complaint.substr(0, 300)));
  return text;
}

}  // namespace orchard::reports
