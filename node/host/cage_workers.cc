#include "node/host/cage_workers.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/base/status_macros.h"
#include "node/crypto/hash.h"
#include "node/host/site_files.h"
#include "node/wasm/cage_host.h"
#include "node/wasm/meter.h"

namespace orchard::host {
namespace {

using cage::Cause;
using cage_worker::Frame;
using cage_worker::Word;

constexpr uint64_t kEventTag = ~uint64_t{0}, kTimerTag = kEventTag - 1;

// Beside this program, or where the build has it.
std::string FindProgram() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path near = self.parent_path() / "../lib/orchard/orchard-cage-worker";
  for (const std::filesystem::path& path : {std::filesystem::path(ORCHARD_CAGE_WORKER), near}) {
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return near;
}

// Out of the way of the numbers that the worker wants to have them under.
Fd High(int fd) {
  Fd low(fd);
  return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 16));
}

// Whoever may write there may have us run what was never metered.
bool OursAlone(const std::string& dir) {
  mkdir(dir.c_str(), 0700);
  struct stat st;
  return lstat(dir.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::string FileName(const std::string& dir, const Key32& module) {
  return absl::StrCat(dir, "/", ToHex(module), ".", wasm::kMeterVersion, ".wasm");
}

}  // namespace

CageWorkers::CageWorkers(Options options)
    : options_(std::move(options)), epoll_(epoll_create1(EPOLL_CLOEXEC)), event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      timer_(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)), processes_(options_.processes + 1) {
  CHECK(epoll_.ok() && event_.ok() && timer_.ok());
  if (!options_.keep.empty() && !OursAlone(options_.keep)) options_.keep.clear();
  for (const auto& [fd, tag] : {std::pair{event_.get(), kEventTag}, {timer_.get(), kTimerTag}}) {
    epoll_event e{.events = EPOLLIN, .data = {.u64 = tag}};
    CHECK_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e), 0);
  }
}

CageWorkers::~CageWorkers() {
  for (Process& p : processes_) {
    if (p.pid == 0) continue;
    kill(p.pid, SIGKILL), waitpid(p.pid, nullptr, 0);
    munmap(p.progress, sizeof *p.progress);
  }
}

std::vector<pid_t> CageWorkers::pids() const {
  std::vector<pid_t> out;
  for (size_t p = 0; p < options_.processes; ++p) {
    if (processes_[p].pid != 0) out.push_back(processes_[p].pid);
  }
  return out;
}

// ---- Their lives ----

bool CageWorkers::Start(size_t index) {
  Process& p = processes_[index];
  if (p.pid != 0) return true;
  if (BootNow() < p.start_at) return false;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
  Fd ours(ends[0]), theirs = High(ends[1]);
  Fd page = High(memfd_create("progress", MFD_CLOEXEC));
  if (!theirs.ok() || !page.ok() || ftruncate(page.get(), sizeof(cage_worker::Progress)) != 0) return false;
  void* shared = mmap(nullptr, sizeof(cage_worker::Progress), PROT_READ | PROT_WRITE, MAP_SHARED, page.get(), 0);
  if (shared == MAP_FAILED) return false;

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, theirs.get(), cage_worker::kChannelFd);
  posix_spawn_file_actions_adddup2(&files, page.get(), cage_worker::kProgressFd);
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  // Signals as they are by default; and a group of its own, so that ^C does not end cages while the daemon says goodbye.
  sigset_t none, all;
  sigemptyset(&none), sigfillset(&all);
  posix_spawnattr_setsigmask(&how, &none), posix_spawnattr_setsigdefault(&how, &all), posix_spawnattr_setpgroup(&how, 0);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const std::string program = options_.program.empty() ? FindProgram() : options_.program;
  char* argv[] = {const_cast<char*>("orchard-cage-worker"), options_.interpreter ? const_cast<char*>("--interpreter") : nullptr, nullptr};
  char* envp[] = {nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &files, &how, argv, envp);
  posix_spawn_file_actions_destroy(&files), posix_spawnattr_destroy(&how);
  if (error != 0) {
    munmap(shared, sizeof(cage_worker::Progress));
    p.start_at = BootNow() + p.again, p.again = std::min(2 * p.again, kAgainMax);
    return false;
  }
  fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  ++counters_.started;
  p.pid = pid, p.channel = std::move(ours), p.progress = static_cast<cage_worker::Progress*>(shared);
  p.unsent.clear(), p.sent = 0, p.reader = {}, p.done = 0, p.modules.clear(), p.files.clear(), p.writable = true;
  epoll_event e{.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data = {.u64 = index}};
  CHECK_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, p.channel.get(), &e), 0);
  return true;
}

void CageWorkers::Bury(size_t index, Cause cause, std::string detail) {
  Process& p = processes_[index];
  if (p.pid == 0) return;
  const uint64_t begun = p.progress->begun;
  kill(p.pid, SIGKILL), waitpid(p.pid, nullptr, 0);
  munmap(p.progress, sizeof *p.progress);
  p.progress = nullptr, p.pid = 0, p.channel = {};
  const bool worked = begun > 0;  // It came through its start.
  if (!worked) p.start_at = BootNow() + p.again, p.again = std::min(2 * p.again, kAgainMax);
  else p.again = kAgainMin;
  const std::deque<Pending> pending = std::exchange(p.pending, {});
  uint64_t number = p.done;
  for (const Pending& q : pending) {
    ++number;
    if (!q.job.has_value()) continue;
    if (q.word == Word::kRun) {
      // Others than the first may have been begun, and even answered: their words are lost.
      if (number > begun) Finish(*q.job, absl::StatusCode::kAborted, "");
      else if (number == begun) Finish(*q.job, absl::StatusCode::kOk, cage::Encode(cage::RunResult{.cause = cause, .detail = detail}));
      else Finish(*q.job, absl::StatusCode::kOk, cage::Encode(cage::RunResult{.cause = Cause::kEngine, .detail = "its process died"}));
    } else if (q.word == Word::kLoad) {
      Finish(*q.job, absl::StatusCode::kInvalidArgument, absl::StrCat("the process that looked at the module: ", detail));
    } else {
      Finish(*q.job, absl::StatusCode::kUnavailable, detail);
    }
  }
  // The one that did it is told apart from those that were in the same process.
  const uint32_t culprit = !pending.empty() && pending.front().word == Word::kRun ? pending.front().cage : 0;
  std::vector<uint32_t> dead;
  for (const auto& [id, cage] : cages_) {
    if (cage.process == index) dead.push_back(id);
  }
  for (uint32_t id : dead) CageDied(id, id == culprit ? cause : Cause::kEngine, id == culprit ? detail : "its process died");
  if (index != loader() && worked) Start(index);
}

void CageWorkers::CageDied(uint32_t id, Cause cause, std::string_view detail) {
  const auto it = cages_.find(id);
  if (it == cages_.end()) return;
  if (it->second.watch.has_value()) Finish(*it->second.watch, absl::StatusCode::kOk, cage::Encode(cage::Death{cause, std::string(detail)}));
  cages_.erase(it);
}

void CageWorkers::Finish(JobId job, absl::StatusCode status, std::string_view bytes) {
  if (results_.empty() && !taking_) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t put = write(event_.get(), &one, sizeof one);
  }
  results_.push_back({job, status, std::string(bytes)});
}

// ---- What the node asks ----

void CageWorkers::Submit(JobId job, JobKind kind, std::string_view args) {
  switch (kind) {
    case JobKind::kCageLoad: return Load(job, args);
    case JobKind::kCageSpawn: return Spawn(job, args);
    case JobKind::kCageRun: return Run(job, args);
    case JobKind::kCageStop: return Stop(job, args);
    case JobKind::kCageWatch: {
      const auto watch = cage::Decode<cage::WatchArgs>(AsBytes(args));
      CHECK(watch.ok());
      const auto it = cages_.find(watch->cage);
      if (it != cages_.end()) it->second.watch = job;
      else Finish(job, absl::StatusCode::kOk, cage::Encode(cage::Death{Cause::kEngine, absl::StrCat("there is no cage ", watch->cage)}));
      return;
    }
    case JobKind::kResolve: case JobKind::kListSites: break;
  }
  CHECK(false);
}

bool CageWorkers::Ask(size_t index, Pending pending, std::string_view payload) {
  Process& p = processes_[index];
  if (p.pending.size() >= kPendingMax || payload.size() > kUnsentBytesMax - std::min(p.unsent.size(), kUnsentBytesMax)) {
    if (pending.job.has_value()) Finish(*pending.job, absl::StatusCode::kResourceExhausted, "its process has too much to do");
    return false;
  }
  if (!Start(index)) {
    if (pending.job.has_value()) Finish(*pending.job, absl::StatusCode::kUnavailable, "no process for cages can be started");
    return false;
  }
  pending.tag = next_tag_++;
  cage_worker::Append(p.unsent, {pending.word, pending.tag, absl::StatusCode::kOk, Cause::kNone, payload});
  if (p.pending.empty()) p.since = BootNow();
  p.pending.push_back(std::move(pending));
  return true;
}

namespace {

// A module that somebody has as a file; kNotFound, kInvalidArgument say why not.
absl::StatusOr<std::string> ReadModule(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.ok()) return absl::NotFoundError(absl::StrCat("cannot read the module ", path, ": ", std::strerror(errno)));
  struct stat what;
  if (fstat(fd.get(), &what) != 0 || !S_ISREG(what.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, " is no file"));
  if (what.st_size == 0) return absl::InvalidArgumentError(absl::StrCat(path, " is empty"));
  if (uint64_t(what.st_size) > cage::kModuleBytesMax) return absl::InvalidArgumentError(absl::StrCat(path, ": ", what.st_size, " bytes; a module has at most ", cage::kModuleBytesMax));
  std::string out(size_t(what.st_size), 0);
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = read(fd.get(), out.data() + done, out.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::NotFoundError(absl::StrCat("cannot read the module ", path, ": it ended after ", done, " bytes"));
    done += size_t(n);
  }
  return out;
}

}  // namespace

void CageWorkers::Load(JobId job, std::string_view bytes) {
  auto args = cage::Decode<cage::LoadArgs>(AsBytes(bytes));
  CHECK(args.ok());
  const std::string_view name = args->name;
  Key32 module{};
  std::string_view code = args->bytes;
  if (code.empty() && name.substr(0, 8) == "example:") code = wasm::ExampleModule(name.substr(8)).value_or("");
  std::string file;
  if (code.empty() && (name.find('/') != name.npos || name.ends_with(".wasm")) && name.substr(0, 8) != "example:") {
    absl::StatusOr<std::string> read = ReadModule(args->name);
    if (!read.ok()) return Finish(job, read.status().code(), std::string(read.status().message()));
    code = file = *std::move(read);
  }
  if (code.size() > cage::kModuleBytesMax) {
    return Finish(job, absl::StatusCode::kInvalidArgument, absl::StrCat(code.size(), " bytes; a module has at most ", cage::kModuleBytesMax));
  }
  if (!code.empty()) {
    module = crypto::Blake2b256(AsBytes(code));
  } else if (const auto hash = FromHex(name); hash.has_value() && hash->size() == module.size()) {
    std::copy(hash->begin(), hash->end(), module.begin());
  } else {
    return Finish(job, absl::StatusCode::kNotFound, absl::StrCat("there is no module ", args->name));
  }
  const absl::StatusOr<Key32> files = LoadFiles(*args);
  if (!files.ok()) return Finish(job, files.status().code(), std::string(files.status().message()));
  Pending pending{.word = Word::kLoad, .tag = 0, .job = job, .cage = 0, .max = options_.load_max, .module = module, .bytes = code.size(), .files = *files};
  if (const std::string* kept = Kept(module); kept != nullptr) {
    pending.word = Word::kKeep;
    Ask(loader(), std::move(pending), cage::Encode(cage::LoadArgs{ToHex(module), *kept, args->limits}));
  } else if (code.empty()) {
    Finish(job, absl::StatusCode::kNotFound, absl::StrCat("no module ", args->name, " was kept"));
  } else {
    Ask(loader(), std::move(pending), cage::Encode(cage::LoadArgs{"", std::string(code), args->limits}));
  }
}

void CageWorkers::Spawn(JobId job, std::string_view bytes) {
  const auto args = cage::Decode<cage::SpawnArgs>(AsBytes(bytes));
  CHECK(args.ok());
  if (cages_.contains(args->cage)) return Finish(job, absl::StatusCode::kAlreadyExists, "there is such a cage already");
  const std::string* metered = Kept(args->module);
  if (metered == nullptr) return Finish(job, absl::StatusCode::kNotFound, "its module was not loaded");
  if (args->files != Key32{} && !files_.contains(args->files)) return Finish(job, absl::StatusCode::kNotFound, "its files were not loaded, or let go");
  // Where the fewest cages of this module live; of those, where the fewest live.
  std::vector<std::pair<size_t, size_t>> lives(options_.processes);
  for (const auto& [id, cage] : cages_) lives[cage.process].first += cage.image.module == args->module, ++lives[cage.process].second;
  const size_t index = size_t(std::min_element(lives.begin(), lives.end()) - lives.begin());
  if (!Start(index)) return Finish(job, absl::StatusCode::kUnavailable, "no process for cages can be started");
  Process& p = processes_[index];
  if (!p.modules.contains(args->module) &&
      Ask(index, {.word = Word::kKeep, .tag = 0, .job = std::nullopt, .cage = 0, .max = options_.load_max, .module = args->module, .bytes = 0, .files = {}},
          cage::Encode(cage::LoadArgs{ToHex(args->module), *metered, {.memory_bytes = UINT32_MAX, .timeout_ms = 0}}))) {
    p.modules.insert(args->module);
  }
  if (args->files != Key32{}) SendFiles(index, args->files);
  const Duration timeout = std::chrono::milliseconds(std::min<uint64_t>(args->limits.timeout_ms, 3'600'000));
  cages_[args->cage] = {index, args->image(), timeout, std::nullopt};
  if (!Ask(index, {.word = Word::kSpawn, .tag = 0, .job = job, .cage = args->cage, .max = timeout + options_.grace, .module = {}, .bytes = 0, .files = {}}, bytes)) {
    cages_.erase(args->cage);
  }
}

void CageWorkers::Run(JobId job, std::string_view bytes) {
  // All but the cage's number is the worker's to read.
  const auto cage = cage::CageOfRun(AsBytes(bytes));
  CHECK(cage.ok());
  const auto it = cages_.find(*cage);
  if (it == cages_.end()) return Finish(job, absl::StatusCode::kNotFound, "");
  Ask(it->second.process, {.word = Word::kRun, .tag = 0, .job = job, .cage = *cage, .max = it->second.timeout + options_.grace, .module = {}, .bytes = 0, .files = {}}, bytes);
}

void CageWorkers::Stop(JobId job, std::string_view bytes) {
  const auto args = cage::Decode<cage::StopArgs>(AsBytes(bytes));
  CHECK(args.ok());
  const auto it = cages_.find(args->cage);
  if (it != cages_.end()) {
    const size_t index = it->second.process;
    for (Pending& q : processes_[index].pending) {
      if (q.word != Word::kRun || q.cage != args->cage || !q.job.has_value()) continue;
      Finish(*std::exchange(q.job, std::nullopt), absl::StatusCode::kOk, cage::Encode(cage::RunResult{.cause = Cause::kEngine, .detail = "it was stopped"}));
    }
    CageDied(args->cage, Cause::kEngine, "it was stopped");
    Ask(index, {.word = Word::kStop, .tag = 0, .job = std::nullopt, .cage = args->cage, .max = options_.grace, .module = {}, .bytes = 0, .files = {}}, bytes);
  }
  Finish(job, absl::StatusCode::kOk, "");
}

// ---- What they say ----

bool CageWorkers::Answered(size_t index, const Frame& f) {
  Process& p = processes_[index];
  if (p.pending.empty() || p.pending.front().tag != f.tag || p.pending.front().word != f.word) return false;
  const Pending q = std::move(p.pending.front());
  p.pending.pop_front();
  ++p.done, p.since = BootNow();
  switch (f.word) {
    case Word::kRun: {
      if (q.job.has_value()) Finish(*q.job, f.status, f.payload);
      if (f.status == absl::StatusCode::kOk && f.cause != Cause::kNone) {
        const auto result = cage::Decode<cage::RunResult>(AsBytes(f.payload));
        if (!result.ok()) return false;
        CageDied(q.cage, result->cause, result->detail);
      }
      return true;
    }
    case Word::kSpawn:
      if (f.status != absl::StatusCode::kOk) cages_.erase(q.cage);
      if (q.job.has_value()) Finish(*q.job, f.status, f.payload);
      return true;
    case Word::kStop: case Word::kForget: return true;
    case Word::kFiles:
      if (f.status != absl::StatusCode::kOk) p.files.erase(q.files);
      return true;
    case Word::kLoad: case Word::kKeep: {
      if (!q.job.has_value()) {
        if (f.status != absl::StatusCode::kOk) p.modules.erase(q.module);
        return true;
      }
      std::string_view encoded = f.payload;
      if (f.status != absl::StatusCode::kOk) return Finish(*q.job, f.status, f.payload.substr(0, 500)), true;
      if (f.word == Word::kLoad) {
        if (encoded.size() < 4) return false;
        uint32_t size = 0;
        for (int i = 0; i < 4; ++i) size |= uint32_t(uint8_t(encoded[size_t(i)])) << (8 * i);
        encoded.remove_prefix(4);
        if (size > encoded.size()) return false;
        Keep(q.module, std::string(encoded.substr(size)));
        encoded = encoded.substr(0, size);
      }
      auto result = cage::Decode<cage::LoadResult>(AsBytes(encoded));
      if (!result.ok() || result->module != q.module) return false;
      result->bytes = q.bytes, result->files = q.files;
      Finish(*q.job, absl::StatusCode::kOk, cage::Encode(*result));
      return true;
    }
  }
  return false;
}

void CageWorkers::Read(size_t index) {
  Process& p = processes_[index];
  if (p.pid == 0) return;
  static thread_local char buffer[64 << 10];
  bool closed = false;
  for (;;) {
    const ssize_t n = read(p.channel.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) {
      closed = true;
      break;
    }
    p.reader.Feed({buffer, size_t(n)});
    for (;;) {
      auto frame = p.reader.Next();
      if (frame.ok() && !frame->has_value()) break;
      if (!frame.ok() || !Answered(index, **frame)) {
        ++counters_.nonsense;
        return Bury(index, Cause::kEngine, "its process spoke nonsense");
      }
    }
  }
  if (closed) {
    ++counters_.died;
    return Bury(index, Cause::kEngine, "its process died");
  }
  if (index == loader() && p.pending.empty()) Bury(index, Cause::kEngine, "");  // Its work is done.
}

bool CageWorkers::Write(size_t index) {
  Process& p = processes_[index];
  while (p.writable && p.sent < p.unsent.size()) {
    const ssize_t n = send(p.channel.get(), p.unsent.data() + p.sent, p.unsent.size() - p.sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) p.writable = false;
    if (n <= 0) break;  // If it is dead, its channel says so.
    p.sent += size_t(n);
  }
  if (p.sent == p.unsent.size()) p.unsent.clear(), p.sent = 0;
  return p.writable;
}

void CageWorkers::Flush() {
  for (size_t p = 0; p < processes_.size(); ++p) {
    if (processes_[p].pid != 0) Write(p);
  }
  SetTimer();
}

std::vector<CageWorkers::Result> CageWorkers::Take() {
  taking_ = true;
  epoll_event events[16];
  const int n = epoll_wait(epoll_.get(), events, 16, 0);
  for (int i = 0; i < n; ++i) {
    const uint64_t tag = events[i].data.u64;
    uint64_t count;
    if (tag == kEventTag || tag == kTimerTag) {
      [[maybe_unused]] const ssize_t got = read(tag == kEventTag ? event_.get() : timer_.get(), &count, sizeof count);
      if (tag == kTimerTag) armed_ = kNever;
      continue;
    }
    if ((events[i].events & EPOLLOUT) != 0) processes_[tag].writable = true;
    Read(size_t(tag));
  }
  OnTime(BootNow());
  Flush();
  taking_ = false;
  return std::exchange(results_, {});
}

void CageWorkers::OnTime(Instant now) {
  for (size_t i = 0; i < processes_.size(); ++i) {
    Process& p = processes_[i];
    if (p.pid == 0 || p.pending.empty() || now - p.since < p.pending.front().max) continue;
    ++counters_.killed;
    const bool run = p.pending.front().word == Word::kRun;
    Bury(i, run ? Cause::kTimeout : Cause::kEngine, run ? "its time is over, and it did not stop" : "it took too long");
  }
}

void CageWorkers::SetTimer() {
  Instant at = kNever;
  for (const Process& p : processes_) {
    if (p.pid != 0 && !p.pending.empty()) at = std::min(at, p.since + p.pending.front().max);
  }
  // One that goes off too early is set again then: cheaper than to move it with every request.
  if (armed_ <= at) return;
  armed_ = at;
  itimerspec when{};
  if (at != kNever) {
    const int64_t ns = std::max<int64_t>(ToNanos(at), 1);
    when.it_value = {time_t(ns / 1'000'000'000), long(ns % 1'000'000'000)};
  }
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

// ---- Files ----

absl::StatusOr<Key32> CageWorkers::LoadFiles(cage::LoadArgs& args) {
  std::string encoded = std::move(args.files);
  if (!args.directory.empty()) {
    ASSIGN_OR_RETURN(const cage::FileMap files, ReadSiteFiles(args.directory));
    encoded = cage::EncodeFiles(files);
  }
  if (encoded.empty()) return Key32{};
  const Key32 hash = crypto::Blake2b256(AsBytes(encoded));
  if (const auto known = files_.find(hash); known != files_.end()) {
    known->second.used = ++uses_;
    return hash;
  }
  absl::btree_set<Key32> needed;
  for (const auto& [id, cage] : cages_) needed.insert(cage.image.files);
  size_t bytes = encoded.size();
  for (const auto& [other, files] : files_) bytes += files.encoded.size();
  while (bytes > kFilesBytesMax) {
    auto oldest = files_.end();
    for (auto it = files_.begin(); it != files_.end(); ++it) {
      if (!needed.contains(it->first) && (oldest == files_.end() || it->second.used < oldest->second.used)) oldest = it;
    }
    if (oldest == files_.end()) return absl::ResourceExhaustedError(absl::StrCat("the files of all sites have more than ", kFilesBytesMax >> 20, " MiB"));
    bytes -= oldest->second.encoded.size();
    files_.erase(oldest);
  }
  files_[hash] = {std::move(encoded), ++uses_};
  return hash;
}

void CageWorkers::SendFiles(size_t index, const Key32& hash) {
  Process& p = processes_[index];
  Files& files = files_.at(hash);
  files.used = ++uses_;
  if (p.files.contains(hash)) return;
  absl::btree_set<Key32> needed;
  for (const auto& [id, cage] : cages_) {
    if (cage.process == index) needed.insert(cage.image.files);
  }
  const auto ask = [&](Word word, const Key32& of, std::string_view encoded) {
    return Ask(index, {.word = word, .tag = 0, .job = std::nullopt, .cage = 0, .max = options_.load_max, .module = {}, .bytes = 0, .files = of},
               absl::StrCat(absl::string_view(reinterpret_cast<const char*>(of.data()), of.size()), absl::string_view(encoded.data(), encoded.size())));
  };
  for (auto it = p.files.begin(); it != p.files.end();) {
    if (!needed.contains(*it) && ask(Word::kForget, *it, "")) it = p.files.erase(it);
    else ++it;
  }
  if (ask(Word::kFiles, hash, files.encoded)) p.files.insert(hash);
}

// ---- Metered modules ----

const std::string* CageWorkers::Kept(const Key32& module) {
  if (const auto it = modules_.find(module); it != modules_.end()) return &it->second;
  if (options_.keep.empty()) return nullptr;
  std::ifstream in(FileName(options_.keep, module), std::ios::binary);
  std::stringstream text;
  if (!in || !(text << in.rdbuf())) return nullptr;
  std::string bytes = std::move(text).str();
  // Behind it stands its own hash: a file may be torn.
  if (bytes.size() < 32) return nullptr;
  const Key32 hash = crypto::Blake2b256(AsBytes(std::string_view(bytes).substr(0, bytes.size() - 32)));
  if (!std::equal(hash.begin(), hash.end(), reinterpret_cast<const uint8_t*>(bytes.data()) + bytes.size() - 32)) return nullptr;
  bytes.resize(bytes.size() - 32);
  return &(modules_[module] = std::move(bytes));
}

void CageWorkers::Keep(const Key32& module, std::string metered) {
  if (modules_.size() >= wasm::CageHost::kModulesMax) {
    // One that no cage is of goes.
    absl::btree_set<Key32> used;
    for (const auto& [id, cage] : cages_) used.insert(cage.image.module);
    for (auto it = modules_.begin(); it != modules_.end(); ++it) {
      if (used.contains(it->first)) continue;
      modules_.erase(it);
      break;
    }
  }
  if (!options_.keep.empty()) {
    const std::string name = FileName(options_.keep, module), draft = name + ".new";
    const Key32 hash = crypto::Blake2b256(AsBytes(metered));
    std::ofstream out(draft, std::ios::binary | std::ios::trunc);
    out << metered << AsText(hash);
    out.close();
    if (!out || rename(draft.c_str(), name.c_str()) != 0) unlink(draft.c_str());  // Then it is metered again next time.
  }
  modules_[module] = std::move(metered);
}

}  // namespace orchard::host
