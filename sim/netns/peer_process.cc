#include "sim/netns/peer_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "node/base/check.h"
#include "sim/language/text.h"

extern char** environ;

namespace orchard::sim {
namespace {

// Room for what a node says while we set a box's rules anew.
constexpr int kPipeBytes = 1 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<PeerProcess>> PeerProcess::Start(const Space& space, const Command& command) {
  std::unique_ptr<PeerProcess> p(new PeerProcess);
  p->path_ = command.socket, p->log_ = command.log;
  int events[2];
  if (pipe2(events, O_CLOEXEC) != 0) return host::ErrnoStatus(errno, "a pipe");
  p->events_ = host::Fd(events[0]);
  const host::Fd write_end(events[1]), log(open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)), null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!log.ok()) return host::ErrnoStatus(errno, command.log);
  fcntl(p->events_.get(), F_SETFL, O_NONBLOCK);
  fcntl(p->events_.get(), F_SETPIPE_SZ, kPipeBytes);
  std::vector<std::string> words = command.words;
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  // A user's ORCHARD_… variables are keys of the configuration of a node of his own.
  std::vector<char*> env;
  for (char** e = environ; *e != nullptr; ++e) {
    if (!std::string_view(*e).starts_with("ORCHARD_")) env.push_back(*e);
  }
  env.push_back(nullptr);
  const pid_t parent = getpid();
  p->pid_ = fork();
  if (p->pid_ == 0) {  // Only async-signal-safe calls.
    // Whoever ends us ends it; ^C at the terminal is for us alone.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || setsid() < 0 || setns(space.fd(), CLONE_NEWNET) != 0) _exit(126);
    signal(SIGPIPE, SIG_DFL);
    // The pipe may lie on 0 to 3 itself: first out of the way.
    const int to = fcntl(write_end.get(), F_DUPFD, 10), said = fcntl(log.get(), F_DUPFD, 10);
    if (to < 0 || said < 0 || dup2(null.get(), 0) < 0 || dup2(said, 1) < 0 || dup2(said, 2) < 0 || dup2(to, 3) < 0) _exit(126);
    close(to), close(said);
    execve(argv[0], argv.data(), env.data());
    _exit(127);
  }
  if (p->pid_ < 0) return host::ErrnoStatus(errno, "cannot start a process");
  p->pidfd_ = host::Fd(int(syscall(SYS_pidfd_open, p->pid_, 0)));
  if (!p->pidfd_.ok()) return host::ErrnoStatus(errno, "pidfd_open");
  return p;
}

PeerProcess::~PeerProcess() { Kill(); }

void PeerProcess::Kill() {
  if (ended_ || pid_ < 0) return;
  kill(pid_, SIGKILL);
  Reap(true);
}

void PeerProcess::Terminate() {
  if (!ended_) kill(pid_, SIGTERM);
}

void PeerProcess::Reap(bool wait) {
  pid_t got;
  while ((got = waitpid(pid_, &status_, wait ? 0 : WNOHANG)) < 0 && errno == EINTR) {}
  if (got == pid_) ended_ = true;
}

std::string PeerProcess::end() const { return WIFEXITED(status_) ? Cat("exit status ", WEXITSTATUS(status_)) : Cat("signal ", WTERMSIG(status_)); }

std::string PeerProcess::LastWords() const {
  std::ifstream in(log_, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (lines.size() == 3) lines.erase(lines.begin());
    lines.push_back(Shortened(line, 300));
  }
  std::string out;
  for (const std::string& line : lines) out += Cat(out.empty() ? "" : "\n", line);
  return out;
}

void PeerProcess::Say(std::string_view line) {
  out_ += line;
  out_ += '\n';
}

void PeerProcess::AddPolls(std::vector<pollfd>& fds) const {
  if (ended_) return;
  fds.push_back({pidfd_.get(), POLLIN, 0});
  if (events_.ok()) fds.push_back({events_.get(), POLLIN, 0});
  if (socket_.ok()) fds.push_back({socket_.get(), short(POLLIN | (out_.empty() ? 0 : POLLOUT)), 0});
}

void PeerProcess::Lines(std::string& partial, std::vector<std::string>& out) {
  size_t from = 0;
  for (size_t end; (end = partial.find('\n', from)) != std::string::npos; from = end + 1) out.push_back(partial.substr(from, end - from));
  partial.erase(0, from);
}

// False: the other side has closed.
bool PeerProcess::Read(host::Fd& fd, std::string& partial, std::vector<std::string>& out) {
  char buffer[65536];
  while (fd.ok()) {
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return false;
    partial.append(buffer, size_t(n));
    Lines(partial, out);
    if (partial.size() > kLineMax) return false;
  }
  return true;
}

bool PeerProcess::Move(std::vector<std::string>& answers, std::vector<std::string>& events) {
  if (ended_) return true;
  if (!socket_.ok()) {
    host::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    CHECK_LT(path_.size(), sizeof at.sun_path);
    std::memcpy(at.sun_path, path_.data(), path_.size());
    if (fd.ok() && connect(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0) socket_ = std::move(fd);
  }
  while (socket_.ok() && !out_.empty()) {
    const ssize_t n = send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    out_.erase(0, size_t(n));
  }
  if (socket_.ok() && !Read(socket_, partial_answers_, answers)) socket_ = host::Fd();
  if (events_.ok() && !Read(events_, partial_events_, events)) events_ = host::Fd();
  Reap(false);
  if (ended_ && events_.ok()) Read(events_, partial_events_, events);  // Its last words.
  return ended_;
}

}  // namespace orchard::sim
