// Ends a run whose time is over. A thread that looks every few milliseconds while runs come, and sleeps when none do, so that a run
// costs two atomic words and no wake-up.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "node/wasm/engine.h"

namespace orchard::cage_worker {

class Watchdog {
 public:
  // `engine` must outlive it. Its thread has come through its start, which is more than a sandbox lets a thread do.
  explicit Watchdog(wasm::Engine& engine);
  ~Watchdog();
  // Around one run.
  void Begin(uint64_t timeout_ms);
  void Finish();

 private:
  static constexpr uint64_t kLookNs = 2'000'000, kAwakeLooks = 50;
  // A run's deadline in nanoseconds of CLOCK_MONOTONIC; or these.
  static constexpr uint64_t kIdle = 0, kStopping = 1, kStopped = 2;
  void Loop();

  wasm::Engine& engine_;
  std::atomic<uint64_t> deadline_{kIdle};
  std::atomic<bool> asleep_{false}, started_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool quit_ = false;
  std::thread thread_;
};

}  // namespace orchard::cage_worker
