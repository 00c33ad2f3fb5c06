#include "sim/run/runner_jobs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "node/base/check.h"

extern char** environ;

namespace orchard::sim {
namespace {

struct Running {
  size_t job;
  pid_t pid;
  int out, err;
  std::string partial;  // A line that is not over.
  JobEnd end;
};

// The child of a fork: only async-signal-safe calls until exec.
[[noreturn]] void Exec(char** argv, char** env, const char* directory, int out, int err, pid_t parent) {
  // Nobody reads the worker of a run that was killed.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(3);
  dup2(out, 1), dup2(err, 2);
  if (*directory != '\0' && chdir(directory) != 0) _exit(3);
  execve("/proc/self/exe", argv, env);
  _exit(3);
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& t : texts) out.push_back(t.data());
  out.push_back(nullptr);
  return out;
}

Running Spawn(const Job& job, size_t index) {
  int out[2], err[2];
  CHECK_EQ(pipe2(out, O_CLOEXEC), 0);
  CHECK_EQ(pipe2(err, O_CLOEXEC), 0);
  std::vector<std::string> arguments = {"orchard-sim"}, environment = job.environment;
  arguments.insert(arguments.end(), job.arguments.begin(), job.arguments.end());
  for (char** e = environ; *e != nullptr; ++e) {
    std::string_view name(*e, std::string_view(*e).find('=') + 1);
    bool replaced = std::any_of(job.environment.begin(), job.environment.end(), [&](const std::string& x) { return x.starts_with(name); });
    if (!replaced) environment.emplace_back(*e);
  }
  std::vector<char*> argv = Pointers(arguments), env = Pointers(environment);
  // An interruption waits until the child has its handler (Main): one between fork and then would kill it without a result.
  sigset_t ends, before;
  sigemptyset(&ends), sigaddset(&ends, SIGINT), sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_BLOCK, &ends, &before);
  const pid_t parent = getpid(), pid = fork();
  if (pid == 0) Exec(argv.data(), env.data(), job.directory.c_str(), out[1], err[1], parent);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  CHECK_GE(pid, 0);
  close(out[1]), close(err[1]);
  return {index, pid, out[0], err[0], {}, {}};
}

}  // namespace

void RunJobs(const std::vector<Job>& jobs, size_t at_once, const JobHooks& hooks, const volatile std::sig_atomic_t* interrupted) {
  std::vector<Running> running;
  size_t next = 0;
  bool told = false;
  const bool never = false;
  auto stop = [&] { return interrupted != nullptr ? bool(*interrupted) : never; };
  while (!running.empty() || (next < jobs.size() && !stop())) {
    while (next < jobs.size() && running.size() < std::max<size_t>(at_once, 1) && !stop()) {
      running.push_back(Spawn(jobs[next], next));
      hooks.started(next++);
    }
    if (stop() && !std::exchange(told, true)) {
      for (const Running& r : running) kill(r.pid, SIGINT);
    }
    std::vector<pollfd> fds;
    for (const Running& r : running) fds.push_back({r.out, POLLIN, 0}), fds.push_back({r.err, POLLIN, 0});
    poll(fds.data(), fds.size(), 100);
    for (size_t i = 0; i < running.size(); ++i) {
      Running& r = running[i];
      char buffer[65536];
      for (int* fd : {&r.out, &r.err}) {
        const pollfd& p = fds[i * 2 + (fd == &r.err)];
        if (*fd < 0 || p.revents == 0) continue;
        const ssize_t n = read(*fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
          close(*fd), *fd = -1;
        } else if (fd == &r.err) {
          r.end.errors.append(buffer, std::min(size_t(n), JobEnd::kErrorsMax - std::min(JobEnd::kErrorsMax, r.end.errors.size())));
        } else {
          r.partial.append(buffer, size_t(n));
          size_t from = 0, end;
          for (; (end = r.partial.find('\n', from)) != std::string::npos; from = end + 1) {
            hooks.line(r.job, std::string_view(r.partial).substr(from, end - from));
          }
          r.partial.erase(0, from);
        }
      }
    }
    for (size_t i = 0; i < running.size();) {
      Running& r = running[i];
      if (r.out >= 0 || r.err >= 0) {
        ++i;
        continue;
      }
      int status = 0;
      while (waitpid(r.pid, &status, 0) < 0 && errno == EINTR) {}
      r.end.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      JobEnd end = std::move(r.end);
      const size_t job = r.job;
      running.erase(running.begin() + ptrdiff_t(i));
      hooks.ended(job, end);
    }
    hooks.tick();
  }
}

}  // namespace orchard::sim
