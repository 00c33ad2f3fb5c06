#include "node/host/udp_socket.h"

#include <netinet/ip.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace orchard::host {
namespace {

constexpr int kSocketBufferBytes = 2 << 20;  // A burst of replies to a full table's queries; the system may grant less.
constexpr uint8_t kTtlDefault = 64;

socklen_t ToSockaddr(const Endpoint& e, bool v4, sockaddr_storage& out) {
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

Endpoint FromSockaddr(const sockaddr_storage& in) {
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

void Set(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

}  // namespace

UdpSocket::Buffers::Buffers() : bytes_(kBatch * kDatagramMax) {
  std::memset(headers_, 0, sizeof headers_);
  for (size_t i = 0; i < kBatch; ++i) {
    parts_[i] = {&bytes_[i * kDatagramMax], kDatagramMax};
    headers_[i].msg_hdr.msg_iov = &parts_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
    headers_[i].msg_hdr.msg_name = &from_[i];
  }
}

absl::StatusOr<std::unique_ptr<UdpSocket>> UdpSocket::Open(const Endpoint& local) {
  const bool v4 = local.is_v4();
  Fd fd(socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "socket");
  Set(fd.get(), SOL_SOCKET, SO_RCVBUF, kSocketBufferBytes);
  Set(fd.get(), SOL_SOCKET, SO_SNDBUF, kSocketBufferBytes);
  if (v4) {
    // Don't fragment, and leave finding the path's MTU to the protocol, as libudx does.
    Set(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    Set(fd.get(), IPPROTO_IP, IP_TTL, kTtlDefault);
  } else {
    Set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    Set(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    Set(fd.get(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, kTtlDefault);
  }
  sockaddr_storage address;
  socklen_t size = ToSockaddr(local, v4, address);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return ErrnoStatus(errno, absl::StrCat("UDP ", local.ToString()));
  size = sizeof address;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return std::unique_ptr<UdpSocket>(new UdpSocket(std::move(fd), FromSockaddr(address), v4));
}

int UdpSocket::Receive(Buffers& b, Counters& counters, absl::FunctionRef<void(const Endpoint&, Bytes)> each) {
  for (mmsghdr& h : b.headers_) h.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
  int n = recvmmsg(fd_.get(), b.headers_, kBatch, MSG_DONTWAIT, nullptr);
  if (n <= 0) return 0;  // Nothing there, or an ICMP error of an earlier send: the protocol has its own timeouts.
  for (int i = 0; i < n; ++i) {
    if ((b.headers_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
      ++counters.oversize;
      continue;
    }
    ++counters.received, counters.received_bytes += b.headers_[i].msg_len;
    each(FromSockaddr(b.from_[i]), Bytes(&b.bytes_[size_t(i) * kDatagramMax], b.headers_[i].msg_len));
  }
  return n;
}

void UdpSocket::Queue(const Endpoint& to, Bytes bytes, uint8_t ttl, Counters& counters) {
  // An address of the other family cannot be sent to from here.
  if (to.is_v4() != v4_ || bytes.size() > UINT16_MAX) { ++counters.send_errors; return; }
  if (entries_.size() - next_ >= kQueueMax || arena_.size() + bytes.size() > kQueueBytesMax) { ++counters.queue_full; return; }
  entries_.push_back({uint32_t(arena_.size()), uint16_t(bytes.size()), ttl, to});
  arena_.insert(arena_.end(), bytes.begin(), bytes.end());
}

bool UdpSocket::Flush(Counters& counters) {
  mmsghdr headers[kBatch];
  iovec parts[kBatch];
  sockaddr_storage to[kBatch];
  alignas(cmsghdr) char controls[kBatch][CMSG_SPACE(sizeof(int))];
  while (next_ < entries_.size()) {
    const int n = int(std::min<size_t>(kBatch, entries_.size() - next_));
    for (int i = 0; i < n; ++i) {
      const Entry& e = entries_[next_ + size_t(i)];
      msghdr& h = headers[i].msg_hdr;
      h = {};
      parts[i] = {arena_.data() + e.offset, e.size};
      h.msg_iov = &parts[i], h.msg_iovlen = 1;
      h.msg_name = &to[i], h.msg_namelen = ToSockaddr(e.to, v4_, to[i]);
      if (e.ttl != kTtlDefault) {
        h.msg_control = controls[i], h.msg_controllen = sizeof controls[i];
        cmsghdr* c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = v4_ ? IPPROTO_IP : IPPROTO_IPV6;
        c->cmsg_type = v4_ ? IP_TTL : IPV6_HOPLIMIT;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        int ttl = e.ttl;
        std::memcpy(CMSG_DATA(c), &ttl, sizeof ttl);
      }
    }
    int sent = sendmmsg(fd_.get(), headers, unsigned(n), MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return false;
      ++counters.send_errors, ++next_;  // No route, refused by a filter, too long: this one alone.
      continue;
    }
    for (int i = 0; i < sent; ++i) ++counters.sent, counters.sent_bytes += entries_[next_ + size_t(i)].size;
    next_ += size_t(sent);
  }
  arena_.clear(), entries_.clear(), next_ = 0;
  return true;
}

}  // namespace orchard::host
