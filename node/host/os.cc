#include "node/host/os.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <malloc.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"

namespace orchard::host {
namespace {

Duration Read(clockid_t clock) {
  timespec t;
  CHECK_EQ(clock_gettime(clock, &t), 0);
  return std::chrono::seconds(t.tv_sec) + Duration(t.tv_nsec);
}

uint8_t PrefixBits(const uint8_t* mask, size_t n) {
  int bits = 0;
  for (size_t i = 0; i < n; ++i) bits += std::popcount(mask[i]);
  return uint8_t(bits);
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Instant BootNow() { return Instant(Read(CLOCK_BOOTTIME)); }
Duration UnixEpoch() { return Read(CLOCK_REALTIME) - Read(CLOCK_BOOTTIME); }

Key32 OsEntropy() {
  Key32 key;
  CHECK_EQ(getrandom(key.data(), key.size(), 0), ssize_t(key.size()));  // 256 bytes or less are never short (getrandom(2)).
  return key;
}

// Setting the one switches off that glibc adapts the other, so both. Another allocator (a sanitizer's) may refuse.
void KeepFreedMemory() {
  mallopt(M_TRIM_THRESHOLD, 16 << 20), mallopt(M_MMAP_THRESHOLD, 4 << 20);
}

absl::Status ErrnoStatus(int error, std::string what) {
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  switch (error) {
    case EADDRINUSE: case EEXIST: code = absl::StatusCode::kAlreadyExists; break;
    case EACCES: case EPERM: case EROFS: code = absl::StatusCode::kPermissionDenied; break;
    case ENOENT: code = absl::StatusCode::kNotFound; break;
    case EMFILE: case ENFILE: case ENOMEM: case ENOBUFS: case ENOSPC: case EDQUOT: case EFBIG: code = absl::StatusCode::kResourceExhausted; break;
    case EADDRNOTAVAIL: case ENOTDIR: code = absl::StatusCode::kFailedPrecondition; break;
    case EAFNOSUPPORT: code = absl::StatusCode::kUnimplemented; break;
    default: break;
  }
  return absl::Status(code, absl::StrCat(what, ": ", std::strerror(error)));
}

std::vector<Interface> Interfaces() {
  std::vector<Interface> out;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return out;
  for (ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr || i->ifa_netmask == nullptr || (i->ifa_flags & IFF_UP) == 0) continue;
    Interface x{.loopback = (i->ifa_flags & IFF_LOOPBACK) != 0};
    if (i->ifa_addr->sa_family == AF_INET) {
      x.address = Endpoint::V4(ntohl(reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr.s_addr), 0);
      x.prefix_bits = PrefixBits(reinterpret_cast<uint8_t*>(&reinterpret_cast<sockaddr_in*>(i->ifa_netmask)->sin_addr), 4);
    } else if (i->ifa_addr->sa_family == AF_INET6) {
      std::memcpy(x.address.ip.data(), &reinterpret_cast<sockaddr_in6*>(i->ifa_addr)->sin6_addr, 16);
      x.prefix_bits = PrefixBits(reinterpret_cast<uint8_t*>(&reinterpret_cast<sockaddr_in6*>(i->ifa_netmask)->sin6_addr), 16);
    } else {
      continue;
    }
    out.push_back(x);
  }
  freeifaddrs(list);
  std::sort(out.begin(), out.end(), [](const Interface& a, const Interface& b) {
    return std::tie(a.address, a.prefix_bits) < std::tie(b.address, b.prefix_bits);
  });
  return out;
}

int InterfaceIndex(const Endpoint& address) {
  ifaddrs* list = nullptr;
  if (!address.is_v4() || getifaddrs(&list) != 0) return 0;
  int index = 0;
  for (ifaddrs* i = list; i != nullptr && index == 0; i = i->ifa_next) {
    if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != AF_INET) continue;
    if (ntohl(reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr.s_addr) == address.v4()) index = int(if_nametoindex(i->ifa_name));
  }
  freeifaddrs(list);
  return index;
}

Fd InterfaceChanges() {
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (!fd.ok() || bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return Fd();
  return fd;
}

}  // namespace orchard::host
