// Network namespaces of this process. They have no names in the file system: a descriptor holds each, so when this process
// ends, however it ends, the kernel takes them down with every device, rule and route in them, once the processes inside are
// gone too (those die with us: PR_SET_PDEATHSIG).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "node/host/os.h"

namespace orchard::sim {

class Space {
 public:
  // With its loopback up. Needs CAP_SYS_ADMIN.
  static absl::StatusOr<Space> Make();
  int fd() const { return fd_.get(); }
  // For `ip … netns PATH`, from any process of this machine.
  std::string path() const;

  // While it lives, what the calling thread opens is of that space.
  class Visit {
   public:
    explicit Visit(const Space& space);
    ~Visit();
    Visit(const Visit&) = delete;

   private:
    host::Fd home_;
  };

 private:
  explicit Space(host::Fd fd) : fd_(std::move(fd)) {}
  host::Fd fd_;
};

// Runs a program inside `space` with `input` on its standard input and waits for it. An error has what it wrote.
// SIGPIPE must be ignored.
absl::Status RunTool(const Space& space, const std::vector<std::string>& command, const std::string& input);
// The full name of a program of PATH and the sbin directories; empty if there is none.
std::string FindTool(std::string_view name);
// "net/ipv4/ip_forward" inside `space`. False if the kernel has no such switch.
bool SetSwitch(const Space& space, const std::string& name, const std::string& value);

}  // namespace orchard::sim
