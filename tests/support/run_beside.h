// Another program that asks this process while it serves, in one thread.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "node/base/check.h"
#include "node/host/os.h"

namespace orchard {

// Runs `arguments`, found by PATH, and calls `serve` until it ends; its exit status, -1 if a signal ended it. What it prints, on stderr
// too, is in the file `printed` afterwards. After a minute it is killed: nothing waits so long but a failure.
inline int RunBeside(std::vector<std::string> arguments, const std::string& printed, absl::FunctionRef<void()> serve) {
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    dup2(open(printed.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), 1);
    dup2(1, 2);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  const Instant end = host::BootNow() + std::chrono::minutes(1);
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    serve();
    if (host::BootNow() > end) kill(pid, SIGKILL);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

inline std::string ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

}  // namespace orchard
