// Messages that were taken from the sockets and await their turn. A socket's own queue is first come, first served: behind one
// sender's window of 4 MiB everybody else waits. From here, every other message is the oldest one of the sender who has the
// least waiting; so a ping passes a bulk stream, which still gets half of the turns whatever the others send. What one sender
// sent stays in order. Source of the thought: RFC 8290 §4.2, FlowQueue-CoDel's new flows.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "node/host/udp_socket.h"

namespace orchard::host {

class Inbox {
 public:
  static constexpr size_t kSlots = 64;  // Messages that wait, 64 KiB each: the window of a stream.

  Inbox();
  // Takes what came to `socket`, at most half of the free slots and one: others have something, too. Returns how many.
  size_t Fill(SocketId id, const UdpSocket& socket, UdpSocket::Counters& counters);
  // Hands over the datagrams of the next message, of which the kernel gathers up to 64 (UDP GRO). Returns how many.
  size_t Next(UdpSocket::Counters& counters, absl::FunctionRef<void(SocketId, const Endpoint&, Bytes)> each);
  bool empty() const { return order_.empty(); }

 private:
  static constexpr size_t kSlot = (64 << 10) + 192;  // The odd bytes spread the starts over the sets of a cache.
  struct Slot {
    SocketId socket{};
    Endpoint from{};
    uint32_t size = 0, step = 0;  // Bytes of the message, and of each datagram of it but the last.
    bool cut = false;             // It was longer than the slot.
  };
  bool SameSender(const Slot& a, const Slot& b) const { return a.socket == b.socket && a.from == b.from; }
  size_t Pick() const;  // A place in order_.

  std::vector<uint8_t> bytes_;
  std::array<Slot, kSlots> slots_{};
  std::array<uint32_t, kSlots> waiting_{};  // By slot in order_: bytes that its sender has waiting.
  std::vector<uint8_t> order_, free_;       // Slots, the oldest first; and those with nothing in them.
  bool oldest_next_ = false;
  // Scratch of Fill.
  std::array<mmsghdr, kSlots> headers_{};
  std::array<iovec, kSlots> parts_{};
  std::array<sockaddr_storage, kSlots> from_{};
  alignas(cmsghdr) char controls_[kSlots][CMSG_SPACE(sizeof(int))];
};

}  // namespace orchard::host
