#include "node/cage_worker/sandbox.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "tests/support/sanitized.h"

namespace orchard::cage_worker {
namespace {

// What a guest that escaped into the process would try.
struct Try {
  const char* name;
  long (*call)();
};
const std::vector<Try> kTries = {
    {"open", [] { return syscall(SYS_open, "/etc/passwd", O_RDONLY); }},
    {"openat", [] { return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }},
    {"creat", [] { return syscall(SYS_creat, "/tmp/orchard-escaped", 0600); }},
    {"stat", [] { char buffer[256]; return syscall(SYS_stat, "/", buffer); }},
    {"unlink", [] { return syscall(SYS_unlink, "/tmp/orchard-nothing"); }},
    {"socket", [] { return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); }},
    {"unix socket", [] { return syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0); }},
    {"socketpair", [] { int fds[2]; return syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds); }},
    {"connect", [] { return syscall(SYS_connect, 3, nullptr, 0); }},
    {"sendmsg", [] { return syscall(SYS_sendmsg, 3, nullptr, 0); }},
    {"fork", [] { return syscall(SYS_fork); }},
    {"clone", [] { return syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr); }},
    {"execve", [] { return syscall(SYS_execve, "/bin/sh", nullptr, nullptr); }},
    {"kill", [] { return syscall(SYS_kill, getppid(), 0); }},
    {"tgkill of another", [] { return syscall(SYS_tgkill, 1, 1, 0); }},
    {"ptrace", [] { return syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0); }},
    {"process_vm_readv", [] { return syscall(SYS_process_vm_readv, 1, nullptr, 0, nullptr, 0, 0); }},
    {"dup", [] { return syscall(SYS_dup, 3); }},
    {"pipe", [] { int fds[2]; return syscall(SYS_pipe, fds); }},
    {"memfd_create", [] { return syscall(SYS_memfd_create, "x", 0); }},
    {"io_uring_setup", [] { return syscall(SYS_io_uring_setup, 1, nullptr); }},
    {"setrlimit", [] { rlimit r{1, 1}; return syscall(SYS_setrlimit, RLIMIT_NOFILE, &r); }},
    {"prctl", [] { return syscall(SYS_prctl, 4, 1, 0, 0, 0); }},
    {"bpf", [] { return syscall(SYS_bpf, 0, nullptr, 0); }},
    {"mount", [] { return syscall(SYS_mount, nullptr, "/", nullptr, 0, nullptr); }},
    {"unshare", [] { return syscall(SYS_unshare, 0x10000000); }}};

TEST(SandboxTest, InsideNothingIsToBeHadButTheChannel) {
  int ends[2], other[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  ASSERT_EQ(pipe(other), 0);
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    const auto say = [&](char c) { return write(ends[1], &c, 1) == 1; };
    if (!EnterSandbox(ends[1]).ok()) _exit(1);
    for (const Try& t : kTries) {
      errno = 0;
      const long got = t.call();
      if (!say(got == -1 && errno == EPERM ? 'n' : 'Y')) _exit(2);
    }
    say(write(other[1], "x", 1) == -1 && errno == EBADF ? 'n' : 'Y');
    void* memory = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say(memory != MAP_FAILED ? 'n' : 'Y');  // That it may.
    // By key -1 it is mprotect(), on processors without keys too.
    say(syscall(SYS_pkey_mprotect, memory, 1 << 20, PROT_READ | PROT_EXEC, -1) == 0 ? 'n' : 'Y');
    // Beyond the bound of writable memory it may not.
    say(mmap(nullptr, kDataBytesMax + (1 << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 'n' : 'Y');
    _exit(7);
  }
  close(ends[1]);
  std::string said;
  char c;
  while (read(ends[0], &c, 1) == 1) said += c;
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
  ASSERT_EQ(said.size(), kTries.size() + 4);
  for (size_t i = 0; i < kTries.size(); ++i) EXPECT_EQ(said[i], 'n') << kTries[i].name;
  if (kSanitized) said.back() = 'n';  // Its shadow is more memory than a cage has: that bound is not set.
  EXPECT_EQ(said.substr(kTries.size()), "nnnn");
  close(ends[0]), close(other[0]), close(other[1]);
}

}  // namespace
}  // namespace orchard::cage_worker
