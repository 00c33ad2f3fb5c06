// Small pieces of the operating system: clocks, entropy, descriptors, errors.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "node/base/bytes.h"
#include "node/base/input.h"
#include "node/base/time.h"

namespace orchard::host {

// A file descriptor that is closed with its owner.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  // Whoever takes it closes it.
  int Release() { return std::exchange(fd_, -1); }
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

Instant BootNow();       // CLOCK_BOOTTIME: a suspend shows as a jump.
Duration UnixEpoch();    // CLOCK_REALTIME - CLOCK_BOOTTIME, as of now.
Key32 OsEntropy();       // getrandom(2).
// Call once, early. glibc gives the top of the heap back whenever 128 KiB of it are free, and gets it again page by page: a
// stream of 64 KiB messages then spends nine tenths of its time in page faults (bench/micro: 963 against 109 µs a message).
void KeepFreedMemory();

// "what: No such file or directory", with the canonical code of `error`.
absl::Status ErrnoStatus(int error, std::string what);

// All that are up, in a stable order.
std::vector<Interface> Interfaces();
// Of the interface that has that address; 0 if none has.
int InterfaceIndex(const Endpoint& address);
// Readable whenever links or addresses change (rtnetlink(7)).
Fd InterfaceChanges();

}  // namespace orchard::host
