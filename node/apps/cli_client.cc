#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "node/apps/cli.h"
#include "node/host/data_dir.h"
#include "node/host/os.h"

namespace orchard::cli {
namespace {

using host::Fd;
using namespace std::chrono_literals;

constexpr Duration kStartMax = 20s;
constexpr size_t kLineMax = 64 << 20;  // A daemon that says more in one line is none of ours.

void Say(const std::string& message) { std::fprintf(stderr, "orchard: %s\n", message.c_str()); }

// `error` is errno's of the connect.
Fd Connect(const std::string& path, int& error) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  error = ENAMETOOLONG;
  if (path.size() >= sizeof address.sun_path) return Fd();
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.ok() && connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  error = errno;
  return Fd();
}

std::string LastLine(const std::string& file) {
  std::ifstream in(file);
  std::string line, last;
  while (std::getline(in, line)) {
    if (!line.empty()) last = line;
  }
  return last;
}

// True while a daemon lives in the directory.
bool Locked(const std::string& data) {
  Fd lock(open((data + "/lock").c_str(), O_RDWR | O_CLOEXEC));
  return lock.ok() && flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

// Starts `orchard node` in a session of its own and waits until it answers. If it does not, `exit_status` is ours.
Fd StartDaemon(const std::string& data, const std::string& socket_path, int& exit_status) {
  exit_status = kEnvironment;
  mkdir(data.c_str(), 0700);
  const std::string log = data + "/daemon.log";
  Fd out(open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out.ok()) return Say(absl::StrCat("cannot start a node in ", data, ": ", log, ": ", std::strerror(errno), "; give another directory with --data DIR")), Fd();
  pid_t child = fork();
  if (child < 0) return Say(absl::StrCat("cannot start a daemon: ", std::strerror(errno))), Fd();
  if (child == 0) {
    setsid();
    sigset_t none;
    sigemptyset(&none), sigprocmask(SIG_SETMASK, &none, nullptr);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0), dup2(null, 1), dup2(out.get(), 2);
    execl("/proc/self/exe", "orchard", "node", "--data", data.c_str(), nullptr);
    _exit(127);
  }
  const Instant end = host::BootNow() + kStartMax;
  while (host::BootNow() < end) {
    int error = 0;
    if (Fd fd = Connect(socket_path, error); fd.ok()) {
      const bool configured = access((data + "/config.json").c_str(), F_OK) == 0;
      if (child > 0) Say(absl::StrCat("started a node (process ", child, ") ", configured ? "with its config.json" : "with the defaults, for there is no config.json", "; its log is ", log));
      return fd;
    }
    // Another daemon may have been quicker with the lock and will answer presently.
    if (int status = 0; child > 0 && waitpid(child, &status, WNOHANG) == child) {
      if (Locked(data)) {
        child = 0;
        continue;
      }
      if (WIFEXITED(status) && WEXITSTATUS(status) == kWrongInput) exit_status = kWrongInput;
      std::string why = LastLine(log);
      Say(absl::StrCat("the node that was started for this ended at once: ", why.empty() ? "it said nothing" : why));
      return Fd();
    }
    poll(nullptr, 0, 20);
  }
  Say(child > 0 ? absl::StrCat("the node that was started (process ", child, ") did not answer within 20 s; see ", log)
                : absl::StrCat("the node in ", data, " did not answer within 20 s"));
  return Fd();
}

}  // namespace

int ConnectDaemon(const OperationCall& call, int& status) {
  status = kEnvironment;
  const std::string data = call.data_dir.empty() ? host::DefaultDataDir() : call.data_dir;
  if (data.empty()) return Say("no data directory: give --data DIR or set ORCHARD_DATA"), -1;
  const char* configured = std::getenv("ORCHARD_IPC_SOCKET");
  const std::string path = configured != nullptr && *configured != 0 ? configured : host::DataDir::Socket(data);
  int error = 0;
  Fd fd = Connect(path, error);
  if (!fd.ok()) {
    if (error != ENOENT && error != ECONNREFUSED) return Say(absl::StrCat("cannot talk to the node at ", path, ": ", std::strerror(error))), -1;
    if (call.no_start) return Say(absl::StrCat("no node runs in ", data, "; start one with: orchard node --data ", data)), -1;
    fd = StartDaemon(data, path, status);
  }
  return fd.Release();
}

std::string AskDaemon(int fd, std::string_view operation) {
  const std::string request = absl::StrCat("{\"id\":1,\"op\":\"", std::string(operation), "\",\"params\":{}}\n");
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) != ssize_t(request.size())) return "";
  std::string in;
  while (in.size() < kLineMax) {
    char buffer[64 << 10];
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return "";
    in.append(buffer, size_t(n));
    for (size_t end; (end = in.find('\n')) != in.npos; in.erase(0, end + 1)) {
      const std::string line = in.substr(0, end);
      if (Render(line, true).end) return line;
    }
  }
  return "";
}

int CallDaemon(const OperationCall& call) {
  sigset_t signals;
  sigemptyset(&signals), sigaddset(&signals, SIGINT), sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  Fd signal_fd(signalfd(-1, &signals, SFD_CLOEXEC));
  int status = kOk;
  Fd fd(ConnectDaemon(call, status));
  if (!fd.ok()) return status;
  std::string request = absl::StrCat("{\"id\":1,\"op\":\"", std::string(call.operation->name), "\",\"params\":", call.params, "}\n");
  for (size_t done = 0; done < request.size();) {
    ssize_t n = send(fd.get(), request.data() + done, request.size() - done, MSG_NOSIGNAL);
    if (n < 0) return Say(absl::StrCat("the node hung up: ", std::strerror(errno))), kEnvironment;
    done += size_t(n);
  }
  if (call.operation->raw) return RunStream(fd.get(), signal_fd.get(), call);
  std::string in;
  for (;;) {
    pollfd fds[] = {{.fd = fd.get(), .events = POLLIN, .revents = 0}, {.fd = signal_fd.get(), .events = POLLIN, .revents = 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return kEnvironment;
    if (fds[1].revents != 0) return 130;  // The daemon cancels what nobody waits for.
    if (fds[0].revents == 0) continue;
    char buffer[64 << 10];
    ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
    if (n <= 0 || in.size() > kLineMax) return Say("the node ended before it answered"), kEnvironment;
    in.append(buffer, size_t(n));
    size_t start = 0;
    for (size_t end; (end = in.find('\n', start)) != in.npos; start = end + 1) {
      Rendered r = Render(std::string_view(in).substr(start, end - start), call.json);
      std::fwrite(r.out.data(), 1, r.out.size(), stdout);
      if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        if (errno == EPIPE) return kOk;  // `| head` has seen enough.
        return Say(absl::StrCat("cannot write the answer: ", std::strerror(errno))), kEnvironment;
      }
      if (!r.error.empty()) Say(r.error);
      if (r.end) return r.status;
    }
    in.erase(0, start);
  }
}

}  // namespace orchard::cli
