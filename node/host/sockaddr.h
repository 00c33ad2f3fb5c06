// Endpoints as the system's socket addresses.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "node/base/endpoint.h"

namespace orchard::host {

// Its length. `v4`: of a socket of AF_INET; else of AF_INET6.
inline socklen_t ToSockaddr(const Endpoint& e, bool v4, sockaddr_storage& out) {
  if (v4) {
    auto& a = reinterpret_cast<sockaddr_in&>(out);
    a = {};
    a.sin_family = AF_INET, a.sin_port = htons(e.port), a.sin_addr.s_addr = htonl(e.v4());
    return sizeof a;
  }
  auto& a = reinterpret_cast<sockaddr_in6&>(out);
  a = {};
  a.sin6_family = AF_INET6, a.sin6_port = htons(e.port);
  std::memcpy(&a.sin6_addr, e.ip.data(), 16);
  return sizeof a;
}

inline Endpoint FromSockaddr(const sockaddr_storage& in) {
  if (in.ss_family == AF_INET) {
    const auto& a = reinterpret_cast<const sockaddr_in&>(in);
    return Endpoint::V4(ntohl(a.sin_addr.s_addr), ntohs(a.sin_port));
  }
  const auto& a = reinterpret_cast<const sockaddr_in6&>(in);
  Endpoint e;
  std::memcpy(e.ip.data(), &a.sin6_addr, 16);
  e.port = ntohs(a.sin6_port);
  return e;
}

// What the socket is bound to.
inline Endpoint LocalOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return FromSockaddr(address);
}

inline void SetOption(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

}  // namespace orchard::host
