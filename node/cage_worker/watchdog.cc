#include "node/cage_worker/watchdog.h"

#include <time.h>

#include <chrono>

namespace orchard::cage_worker {
namespace {

uint64_t Now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return uint64_t(t.tv_sec) * 1'000'000'000 + uint64_t(t.tv_nsec);
}

}  // namespace

Watchdog::Watchdog(wasm::Engine& engine) : engine_(engine), thread_([this] { Loop(); }) {
  started_.wait(false);
}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    quit_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Watchdog::Begin(uint64_t timeout_ms) {
  deadline_.store(Now() + timeout_ms * 1'000'000);
  if (!asleep_.load()) return;
  std::lock_guard lock(mutex_);
  asleep_.store(false);
  wake_.notify_one();
}

void Watchdog::Finish() {
  uint64_t deadline = deadline_.load();
  if (deadline > kStopped && deadline_.compare_exchange_strong(deadline, kIdle)) return;
  while (deadline_.load() != kStopped) std::this_thread::yield();
  engine_.Resume();  // It may have been stopped after it had ended.
  deadline_.store(kIdle);
}

void Watchdog::Loop() {
  started_.store(true);
  started_.notify_one();
  uint64_t idle_looks = 0;
  for (;;) {
    std::unique_lock lock(mutex_);
    if (idle_looks >= kAwakeLooks) {
      asleep_.store(true);
      if (deadline_.load() == kIdle) wake_.wait(lock, [this] { return quit_ || !asleep_.load(); });
      asleep_.store(false);
      idle_looks = 0;
    }
    if (quit_) return;
    lock.unlock();
    uint64_t deadline = deadline_.load();
    if (deadline > kStopped) {
      idle_looks = 0;
      if (Now() >= deadline && deadline_.compare_exchange_strong(deadline, kStopping)) {
        engine_.Stop();
        deadline_.store(kStopped);
      }
    } else {
      ++idle_looks;
    }
    const timespec nap{0, long(kLookNs)};
    nanosleep(&nap, nullptr);
  }
}

}  // namespace orchard::cage_worker
