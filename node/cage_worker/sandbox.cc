#include "node/cage_worker/sandbox.h"

#include <linux/close_range.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace orchard::cage_worker {
namespace {

absl::Status Failed(const char* what, int error) { return absl::InternalError(absl::StrCat(what, ": ", std::strerror(error))); }

absl::Status Limit(__rlimit_resource_t what, uint64_t most) {
  const rlimit limit{most, most};
  return setrlimit(what, &limit) == 0 ? absl::OkStatus() : Failed("setrlimit", errno);
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;  // Its shadow alone is twenty terabytes of writable memory.
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

absl::Status CloseAllBut(int keep) {
  if (keep > 0 && syscall(SYS_close_range, 0u, unsigned(keep - 1), 0u) != 0) return Failed("close_range", errno);
  if (syscall(SYS_close_range, unsigned(keep + 1), ~0u, 0u) != 0) return Failed("close_range", errno);
  return absl::OkStatus();
}

}  // namespace

absl::Status EnterSandbox(int keep) {
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return Failed("prctl", errno);
  if (absl::Status s = CloseAllBut(keep); !s.ok()) return s;
  for (const auto& [what, most] : {std::pair{RLIMIT_CORE, uint64_t{0}}, {RLIMIT_FSIZE, uint64_t{0}}, {RLIMIT_NOFILE, uint64_t{0}},
                                   {RLIMIT_MEMLOCK, uint64_t{0}}, {RLIMIT_DATA, kSanitized ? RLIM_INFINITY : kDataBytesMax}}) {
    if (absl::Status s = Limit(what, most); !s.ok()) return s;
  }
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == nullptr) return absl::InternalError("seccomp_init");
  // Computing, memory, and the one channel. mmap() has no descriptor to map but that. Where the processor has protection keys, V8 gives its
  // code one of its own; to whoever may mprotect() that is nothing more.
  static constexpr int kAllowed[] = {
      SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(pkey_mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise),
      SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
      SCMP_SYS(sched_yield), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getrandom), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
      SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getrusage)};
  int error = 0;
  for (int call : kAllowed) {
    if (error == 0) error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
  }
  // abort() sends itself a signal.
  if (error == 0) error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, uint64_t(getpid())));
  if (error == 0) error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  if (error == 0) error = seccomp_load(filter);
  seccomp_release(filter);
  return error == 0 ? absl::OkStatus() : Failed("seccomp", -error);
}

}  // namespace orchard::cage_worker
