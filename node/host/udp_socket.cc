#include "node/host/udp_socket.h"

#include <netinet/ip.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "node/host/sockaddr.h"

namespace orchard::host {
namespace {

constexpr int kSocketBufferBytes = 2 << 20;  // A burst of replies to a full table's queries; the system may grant less.
constexpr uint8_t kTtlDefault = 64;

bool IsGroup(const Endpoint& v4) { return v4.ip[12] >> 4 == 14; }  // 224.0.0.0/4: RFC 5771.

}  // namespace

absl::StatusOr<std::unique_ptr<UdpSocket>> UdpSocket::Open(const Endpoint& local, bool shared) {
  const bool v4 = local.is_v4();
  Fd fd(socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "socket");
  SetOption(fd.get(), SOL_SOCKET, SO_RCVBUF, kSocketBufferBytes);
  SetOption(fd.get(), SOL_SOCKET, SO_SNDBUF, kSocketBufferBytes);
  if (v4) {
    // Don't fragment, and leave finding the path's MTU to the protocol, as libudx does.
    SetOption(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    SetOption(fd.get(), IPPROTO_IP, IP_TTL, kTtlDefault);
    // Only groups that this socket joined, not those of everybody on the machine: ip(7).
    SetOption(fd.get(), IPPROTO_IP, IP_MULTICAST_ALL, 0);
    SetOption(fd.get(), IPPROTO_IP, IP_MULTICAST_TTL, kTtlDefault);
  } else {
    SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    SetOption(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    SetOption(fd.get(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, kTtlDefault);
  }
  SetOption(fd.get(), IPPROTO_UDP, UDP_GRO, 1);
  if (shared) SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  sockaddr_storage address;
  socklen_t size = ToSockaddr(local, v4, address);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return ErrnoStatus(errno, absl::StrCat("UDP ", local.ToString()));
  const Endpoint bound = LocalOf(fd.get());
  return std::unique_ptr<UdpSocket>(new UdpSocket(std::move(fd), bound, v4));
}

absl::Status UdpSocket::Join(const Endpoint& group, const Endpoint& interface) {
  if (!group.is_v4() || !interface.is_v4() || !v4_) return absl::UnimplementedError("groups are IPv4");
  if (!IsGroup(group)) return absl::InvalidArgumentError(absl::StrCat(group.host(), " is no multicast group"));
  const int index = InterfaceIndex(interface);
  if (index == 0) return absl::NotFoundError(absl::StrCat("no interface has the address ", interface.host()));
  for (const Joined& j : joins_) {
    if (j.group == group.v4() && j.interface == index) return absl::OkStatus();
  }
  if (joins_.size() == kJoinsMax) return absl::ResourceExhaustedError(absl::StrCat("a socket joins ", kJoinsMax, " times at most"));
  ip_mreqn membership{};
  membership.imr_multiaddr.s_addr = htonl(group.v4()), membership.imr_address.s_addr = htonl(interface.v4()), membership.imr_ifindex = index;
  if (setsockopt(fd_.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) != 0) {
    return ErrnoStatus(errno, absl::StrCat("join ", group.host()));
  }
  joins_.push_back({group.v4(), interface.v4(), index});
  return absl::OkStatus();
}

void UdpSocket::Queue(const Endpoint& to, Bytes bytes, uint8_t ttl, Counters& counters) {
  // An address of the other family cannot be sent to from here.
  if (to.is_v4() != v4_ || bytes.size() > UINT16_MAX) { ++counters.send_errors; return; }
  uint8_t join = 0;
  if (IsGroup(to) && v4_ && (join = NextJoin(to, 0)) == 0) { ++counters.send_errors; return; }
  do {  // Once, or once for each interface.
    if (entries_.size() - next_ >= kQueueMax || arena_.size() + bytes.size() > kQueueBytesMax) { ++counters.queue_full; return; }
    entries_.push_back({uint32_t(arena_.size()), uint16_t(bytes.size()), ttl, join, to});
    arena_.insert(arena_.end(), bytes.begin(), bytes.end());
  } while (join != 0 && (join = NextJoin(to, join)) != 0);
}

uint8_t UdpSocket::NextJoin(const Endpoint& group, uint8_t after) const {
  for (size_t i = after; i < joins_.size(); ++i) {
    if (joins_[i].group == group.v4()) return uint8_t(i + 1);
  }
  return 0;
}

size_t UdpSocket::Run(size_t first) const {
  const Entry& head = entries_[first];
  size_t n = 1, bytes = head.size;
  if (!segments_ || singly_ > 0 || head.size == 0) return 1;
  while (first + n < entries_.size() && n < kSegmentsMax) {
    const Entry& e = entries_[first + n];
    if (e.size > head.size || e.size == 0 || e.ttl != head.ttl || e.join != head.join || e.to != head.to || bytes + e.size > kMessageMax) break;
    ++n, bytes += e.size;
    if (e.size < head.size) break;  // Only the last may be shorter.
  }
  return n;
}

bool UdpSocket::Flush(Counters& counters) {
  mmsghdr headers[kBatch];
  iovec parts[kBatch];
  sockaddr_storage to[kBatch];
  size_t runs[kBatch];
  alignas(cmsghdr) char controls[kBatch][CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(in_pktinfo))];
  while (next_ < entries_.size()) {
    int n = 0;
    for (size_t at = next_; n < kBatch && at < entries_.size(); at += runs[n++]) {
      const Entry& e = entries_[at];
      runs[n] = Run(at);
      const Entry& last = entries_[at + runs[n] - 1];
      msghdr& h = headers[n].msg_hdr;
      h = {};
      parts[n] = {arena_.data() + e.offset, last.offset + last.size - e.offset};
      h.msg_iov = &parts[n], h.msg_iovlen = 1;
      h.msg_name = &to[n], h.msg_namelen = ToSockaddr(e.to, v4_, to[n]);
      size_t used = 0;
      auto control = [&](int level, int type, const void* value, size_t size) {
        auto* c = reinterpret_cast<cmsghdr*>(controls[n] + used);
        c->cmsg_level = level, c->cmsg_type = type, c->cmsg_len = CMSG_LEN(size);
        std::memcpy(CMSG_DATA(c), value, size);
        used += CMSG_SPACE(size);
      };
      if (e.ttl != kTtlDefault) {
        const int ttl = e.ttl;
        control(v4_ ? IPPROTO_IP : IPPROTO_IPV6, v4_ ? IP_TTL : IPV6_HOPLIMIT, &ttl, sizeof ttl);
      }
      if (e.join != 0) {
        const Joined& j = joins_[e.join - 1u];
        in_pktinfo by{};
        by.ipi_ifindex = j.interface, by.ipi_spec_dst.s_addr = htonl(j.address);
        control(IPPROTO_IP, IP_PKTINFO, &by, sizeof by);
      }
      if (runs[n] > 1) control(IPPROTO_UDP, UDP_SEGMENT, &e.size, sizeof e.size);
      if (used > 0) h.msg_control = controls[n], h.msg_controllen = used;
      if (singly_ > 0) --singly_;
    }
    int sent = sendmmsg(fd_.get(), headers, unsigned(n), MSG_DONTWAIT);
    ++counters.send_calls;
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return false;
      if (runs[0] > 1) {  // A path or device that takes no lists, or one datagram too long for it: each by itself.
        if (errno == EIO) segments_ = false;
        singly_ = runs[0];
        continue;
      }
      ++counters.send_errors, ++next_;  // No route, refused by a filter, too long: this one alone.
      continue;
    }
    for (int i = 0; i < sent; ++i) {
      for (size_t k = 0; k < runs[i]; ++k) ++counters.sent, counters.sent_bytes += entries_[next_ + k].size;
      next_ += runs[i];
    }
  }
  arena_.clear(), entries_.clear(), next_ = 0, singly_ = 0;
  return true;
}

}  // namespace orchard::host
