// Another program under test: its output, its end.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "node/base/check.h"
#include "node/host/os.h"

namespace orchard {

class Process {
 public:
  struct Options {
    std::vector<std::string> environment;  // And nothing else.
    uint64_t file_bytes_max = 0;           // RLIMIT_FSIZE, if not zero.
  };
  static constexpr Duration kBound = std::chrono::seconds(30);  // Generous; nothing waits for it but a failure.

  explicit Process(const std::vector<std::string>& command) : Process(command, Options()) {}
  Process(const std::vector<std::string>& command, Options options) {
    int out[2], err[2];
    CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
    std::vector<char*> argv, envp;
    for (const std::string& a : command) argv.push_back(const_cast<char*>(a.c_str()));
    for (const std::string& e : options.environment) envp.push_back(const_cast<char*>(e.c_str()));
    argv.push_back(nullptr), envp.push_back(nullptr);
    pid_ = fork();
    CHECK(pid_ >= 0);
    if (pid_ == 0) {
      dup2(out[1], 1), dup2(err[1], 2);
      if (options.file_bytes_max > 0) {
        rlimit limit{options.file_bytes_max, options.file_bytes_max};
        setrlimit(RLIMIT_FSIZE, &limit);
      }
      execve(argv[0], argv.data(), envp.data());
      _exit(127);
    }
    close(out[1]), close(err[1]);
    out_ = host::Fd(out[0]), err_ = host::Fd(err[0]);
  }
  Process(const Process&) = delete;
  ~Process() {
    if (!ended_) kill(pid_, SIGKILL), Wait();
  }
  pid_t pid() const { return pid_; }
  const std::string& out() const { return out_text_; }
  const std::string& err() const { return err_text_; }
  void Signal(int signal) { CHECK_EQ(kill(pid_, signal), 0); }
  // Reads until stderr holds `text`; false if it ended, or took too long, without.
  bool WaitForError(const std::string& text) {
    return ReadUntil([&] { return err_text_.find(text) != err_text_.npos; });
  }
  // The same, until `done`, which looks at out() and err().
  template <class Done>
  bool ReadUntil(const Done& done) {
    const Instant end = host::BootNow() + kBound;
    while (!done()) {
      if (!ReadSome(end)) return false;
    }
    return true;
  }
  // Reads until both ends are closed; the exit status, or minus the signal that ended it.
  int Wait() {
    if (ended_) return status_;
    const Instant end = host::BootNow() + kBound;
    while (ReadSome(end)) {
    }
    if (out_open_ || err_open_) kill(pid_, SIGKILL);
    int status = 0;
    CHECK_EQ(waitpid(pid_, &status, 0), pid_);
    ended_ = true;
    return status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  bool ReadSome(Instant end) {
    if (!out_open_ && !err_open_) return false;
    pollfd fds[] = {{.fd = out_open_ ? out_.get() : -1, .events = POLLIN, .revents = 0}, {.fd = err_open_ ? err_.get() : -1, .events = POLLIN, .revents = 0}};
    int64_t left = ToMillis(end - host::BootNow());
    if (left <= 0 || poll(fds, 2, int(left)) <= 0) return false;
    Take(fds[0], out_text_, out_open_), Take(fds[1], err_text_, err_open_);
    return true;
  }
  void Take(const pollfd& p, std::string& text, bool& open) {
    if (p.revents == 0) return;
    char buffer[4096];
    ssize_t n = read(p.fd, buffer, sizeof buffer);
    if (n > 0) text.append(buffer, size_t(n));
    else open = false;
  }
  pid_t pid_ = 0;
  host::Fd out_, err_;
  bool out_open_ = true, err_open_ = true, ended_ = false;
  int status_ = 0;
  std::string out_text_, err_text_;
};

}  // namespace orchard
