#include "node/host/inbox.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cstring>

#include "node/host/sockaddr.h"

namespace orchard::host {

Inbox::Inbox() : bytes_(kSlots * kSlot) {
  for (size_t i = 0; i < kSlots; ++i) free_.push_back(uint8_t(kSlots - 1 - i));
}

size_t Inbox::Fill(SocketId id, const UdpSocket& socket, UdpSocket::Counters& counters) {
  const size_t room = (free_.size() + 1) / 2;
  if (room == 0) return 0;
  for (size_t i = 0; i < room; ++i) {
    parts_[i] = {&bytes_[free_[free_.size() - 1 - i] * kSlot], kSlot};
    msghdr& h = headers_[i].msg_hdr;
    h = {};
    h.msg_iov = &parts_[i], h.msg_iovlen = 1;
    h.msg_name = &from_[i], h.msg_namelen = sizeof from_[i];
    h.msg_control = controls_[i], h.msg_controllen = sizeof controls_[i];
  }
  const int n = recvmmsg(socket.fd(), headers_.data(), unsigned(room), MSG_DONTWAIT, nullptr);
  if (n <= 0) return 0;  // Nothing there, or an ICMP error of an earlier send: the protocol has its own timeouts.
  ++counters.receive_calls;
  for (int i = 0; i < n; ++i) {
    msghdr& h = headers_[i].msg_hdr;
    const uint8_t at = free_.back();
    free_.pop_back();
    Slot& s = slots_[at];
    s = {.socket = id, .from = FromSockaddr(from_[i]), .size = headers_[i].msg_len, .step = headers_[i].msg_len, .cut = (h.msg_flags & MSG_TRUNC) != 0};
    for (cmsghdr* c = CMSG_FIRSTHDR(&h); c != nullptr; c = CMSG_NXTHDR(&h, c)) {
      if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO) continue;
      int segment = 0;
      std::memcpy(&segment, CMSG_DATA(c), sizeof segment);
      if (segment > 0) s.step = uint32_t(segment);
    }
    uint32_t waits = s.size;
    for (uint8_t o : order_) {
      if (SameSender(slots_[o], s)) waits = waiting_[o] += s.size;
    }
    waiting_[at] = waits;
    order_.push_back(at);
  }
  return size_t(n);
}

size_t Inbox::Pick() const {
  if (oldest_next_) return 0;
  size_t best = 0;
  for (size_t i = 1; i < order_.size(); ++i) {
    if (waiting_[order_[i]] < waiting_[order_[best]]) best = i;
  }
  return best;
}

size_t Inbox::Next(UdpSocket::Counters& counters, absl::FunctionRef<void(SocketId, const Endpoint&, Bytes)> each) {
  if (order_.empty()) return 0;
  const size_t place = Pick();
  oldest_next_ = !oldest_next_;
  const uint8_t at = order_[place];
  order_.erase(order_.begin() + ptrdiff_t(place));
  const Slot& s = slots_[at];
  for (uint8_t o : order_) {
    if (SameSender(slots_[o], s)) waiting_[o] -= s.size;
  }
  size_t done = 0, datagrams = 0;
  do {  // An empty datagram is one too.
    const size_t length = std::min<size_t>(s.step, s.size - done);
    if (length > UdpSocket::kDatagramMax || s.cut) {
      ++counters.oversize;
    } else {
      ++counters.received, counters.received_bytes += length;
      each(s.socket, s.from, Bytes(&bytes_[at * kSlot + done], length));
    }
    done += length, ++datagrams;
  } while (done < s.size);
  free_.push_back(at);
  return datagrams;
}

}  // namespace orchard::host
