// Runs worker processes, some at a time, and hands on the lines they write. ns-3 allows one world per process, so a case, a
// check and a proof are a process each.
#pragma once

#include <csignal>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace orchard::sim {

struct Job {
  std::vector<std::string> arguments;    // After the program's name; the program is this one.
  std::vector<std::string> environment;  // NAME=value, added to ours.
  std::string directory;                 // Where it runs; empty: here.
};

struct JobEnd {
  int status = 0;            // Exit status; 128 + n if signal n ended it.
  std::string errors;        // What it wrote on stderr, at most kErrorsMax bytes.
  static constexpr size_t kErrorsMax = 64 * 1024;
};

struct JobHooks {
  std::function<void(size_t job)> started;
  std::function<void(size_t job, std::string_view line)> line;
  std::function<void(size_t job, const JobEnd&)> ended;
  // About ten times a second.
  std::function<void()> tick;
};

// Returns when all have ended. When *interrupted turns true the running ones are told (SIGINT) and no other begins.
void RunJobs(const std::vector<Job>& jobs, size_t at_once, const JobHooks& hooks, const volatile std::sig_atomic_t* interrupted);

}  // namespace orchard::sim
