// One node as a process in its namespace: the daemon, or the JavaScript peer, which speaks the same protocol. Calls go over
// its Unix socket (docs/IPC.md), events come as lines over a pipe. Nothing blocks but Kill.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/netns/spaces.h"

namespace orchard::sim {

class PeerProcess {
 public:
  static constexpr size_t kLineMax = 4 << 20;  // A longer one ends the connection.

  struct Command {
    std::vector<std::string> words;  // The program first, with its whole name; its events go to /dev/fd/3.
    std::string socket;              // Where it will listen.
    std::string log;                 // Its output is appended to this file.
  };
  static absl::StatusOr<std::unique_ptr<PeerProcess>> Start(const Space& space, const Command& command);
  ~PeerProcess();  // Kills it.
  PeerProcess(const PeerProcess&) = delete;

  // One line, without its end. Waits here until the socket is there.
  void Say(std::string_view line);
  void Terminate();  // SIGTERM.
  void Kill();       // SIGKILL; returns when it is gone.

  // What to poll for; `connecting()`: look again soon, whatever polls.
  void AddPolls(std::vector<pollfd>& fds) const;
  bool connecting() const { return !socket_.ok() && !ended_; }
  // Moves what can be moved. Answers and events are appended, a line each; true if the process has ended.
  bool Move(std::vector<std::string>& answers, std::vector<std::string>& events);

  pid_t pid() const { return pid_; }
  // Of a process that has ended: "exit status 3", "signal 11".
  std::string end() const;
  // The newest lines of its log, for a person.
  std::string LastWords() const;

 private:
  PeerProcess() = default;
  void Reap(bool wait);
  static void Lines(std::string& partial, std::vector<std::string>& out);
  bool Read(host::Fd& fd, std::string& partial, std::vector<std::string>& out);

  pid_t pid_ = -1;
  host::Fd pidfd_, events_, socket_;
  std::string path_, log_;
  std::string out_, partial_answers_, partial_events_;
  bool ended_ = false;
  int status_ = 0;
};

}  // namespace orchard::sim
