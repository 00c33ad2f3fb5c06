#include "node/host/workers.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/cage/job.h"
#include "node/cage/site_id.h"
#include "node/host/os.h"

namespace orchard::host {
namespace {

Workers::Result Resolve(JobId job, const std::string& name) {
  // RFC 1035 §2.3.4; getaddrinfo() takes an empty name for this machine.
  if (name.empty() || name.size() > 253 || name.find('\0') != name.npos) return {job, absl::StatusCode::kInvalidArgument, ""};
  addrinfo hints{};
  hints.ai_family = AF_INET, hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  int error = getaddrinfo(name.c_str(), nullptr, &hints, &list);
  if (error == EAI_NONAME || error == EAI_NODATA) return {job, absl::StatusCode::kNotFound, ""};
  if (error != 0) return {job, absl::StatusCode::kUnavailable, ""};
  Workers::Result result{job, absl::StatusCode::kOk, ""};
  for (addrinfo* i = list; i != nullptr; i = i->ai_next) {
    result.bytes.append(reinterpret_cast<const char*>(&reinterpret_cast<sockaddr_in*>(i->ai_addr)->sin_addr), 4);
  }
  freeaddrinfo(list);
  return result;
}

Workers::Result ListSites(JobId job, const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::map<std::string, std::string> found;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().stem();
    struct stat st;
    if (entry->path().extension() != ".wasm" || !cage::IsSiteName(name) || stat(entry->path().c_str(), &st) != 0 || !S_ISREG(st.st_mode)) continue;
    found[name] = absl::StrCat(st.st_ino, ".", st.st_size, ".", st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec);
  }
  if (error) return {job, absl::StatusCode::kNotFound, absl::StrCat(directory, ": ", error.message())};
  Workers::Result result{job, absl::StatusCode::kOk, ""};
  size_t n = 0;
  for (const auto& [name, stamp] : found) {
    if (++n > cage::kListedMax) break;
    absl::StrAppend(&result.bytes, name, " ", stamp, "\n");
  }
  return result;
}

}  // namespace

struct Workers::State {
  struct Job {
    JobId id;
    JobKind kind;
    std::string args;
  };
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> queue;
  std::vector<Result> results;
  size_t threads = 0, idle = 0;
  bool quit = false;
  Fd event{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};

  void Finish(Result r) {
    results.push_back(std::move(r));
    uint64_t one = 1;
    [[maybe_unused]] ssize_t put = write(event.get(), &one, sizeof one);
  }
  void Loop() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      wake.wait(lock, [this] { return quit || !queue.empty(); });
      --idle;
      if (quit) return;
      Job job = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      Result r = job.kind == JobKind::kListSites ? ListSites(job.id, job.args) : Resolve(job.id, job.args);
      lock.lock();
      if (!quit) Finish(std::move(r));
    }
  }
};

Workers::Workers() : state_(std::make_shared<State>()) { CHECK(state_->event.ok()); }

Workers::~Workers() {
  {
    std::lock_guard lock(state_->mutex);
    state_->quit = true;
  }
  state_->wake.notify_all();
}

void Workers::Submit(JobId id, JobKind kind, std::string args) {
  std::lock_guard lock(state_->mutex);
  if (state_->queue.size() >= kQueueMax) return state_->Finish({id, absl::StatusCode::kResourceExhausted, ""});
  state_->queue.push_back({id, kind, std::move(args)});
  if (state_->idle < state_->queue.size() && state_->threads < kThreads) {
    ++state_->threads;  // Made when first needed: most daemons resolve once.
    std::thread([s = state_] { s->Loop(); }).detach();
  }
  state_->wake.notify_one();
}

std::vector<Workers::Result> Workers::Take() {
  uint64_t n;
  [[maybe_unused]] ssize_t got = read(state_->event.get(), &n, sizeof n);
  std::lock_guard lock(state_->mutex);
  return std::exchange(state_->results, {});
}

int Workers::fd() const { return state_->event.get(); }

}  // namespace orchard::host
