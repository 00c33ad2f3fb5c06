// A port of this machine, TCP and UDP, that no other test has and no outgoing connection takes: below those that Linux gives to
// whoever asks for any (32768 up). The lease is a name that the system holds and gives up with the process.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "node/base/check.h"
#include "node/host/os.h"

namespace orchard {

class LeasedPort {
 public:
  LeasedPort() {
    constexpr uint32_t kFirst = 12'000, kCount = 20'000;
    for (uint32_t i = 0, at = uint32_t(getpid()) * 37; i < kCount; ++i) {
      port_ = uint16_t(kFirst + (at + i) % kCount);
      if (Lease() && Free(SOCK_STREAM) && Free(SOCK_DGRAM)) return;
    }
    CHECK(false);
  }
  LeasedPort(const LeasedPort&) = delete;
  operator uint16_t() const { return port_; }

 private:
  bool Lease() {
    lease_ = host::Fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    CHECK_GE(lease_.get(), 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    const std::string name = "orchard-test-port-" + std::to_string(port_);  // After a NUL: in no directory.
    std::memcpy(at.sun_path + 1, name.data(), name.size());
    return bind(lease_.get(), reinterpret_cast<sockaddr*>(&at), socklen_t(offsetof(sockaddr_un, sun_path) + 1 + name.size())) == 0;
  }
  bool Free(int type) const {
    const host::Fd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET, at.sin_port = htons(port_);
    return bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
  }
  host::Fd lease_;
  uint16_t port_ = 0;
};

}  // namespace orchard
