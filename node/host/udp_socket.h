// A UDP socket that sends in batches, with a bounded send queue; what comes to it, Inbox takes. A run of equal datagrams to one
// peer leaves as one system call's segment list (UDP GSO), and what the kernel gathered comes in as one (UDP GRO); where the
// system cannot, they go one by one. Source: udp(7); Linux Documentation/networking/segmentation-offloads.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/host/os.h"

namespace orchard::host {

class UdpSocket {
 public:
  static constexpr int kBatch = 64;                       // Messages a system call.
  static constexpr size_t kSegmentsMax = 44;              // Datagrams of one message: 44 × 1472 bytes fit its 64 KiB.
  static constexpr size_t kMessageMax = 65507;            // Bytes of one message: a UDP payload's limit.
  static constexpr size_t kDatagramMax = 2048;            // Longer than any packet of ours; longer ones are dropped.
  static constexpr size_t kQueueMax = 4096;               // Datagrams that wait to be sent; more are dropped, the newest first.
  static constexpr size_t kQueueBytesMax = 4 << 20;

  struct Counters {
    uint64_t received = 0, received_bytes = 0, oversize = 0, sent = 0, sent_bytes = 0, queue_full = 0, send_errors = 0;
    uint64_t send_calls = 0, receive_calls = 0;
  };
  static constexpr size_t kJoinsMax = 20;                 // Groups times interfaces: the system's own default, igmp_max_memberships.

  // `shared`: others may bind the port too, if they share it as well.
  static absl::StatusOr<std::unique_ptr<UdpSocket>> Open(const Endpoint& local, bool shared = false);
  // Receives what comes for an IPv4 group on the interface of that address, and sends to the group by it. Again is OK.
  absl::Status Join(const Endpoint& group, const Endpoint& interface);

  int fd() const { return fd_.get(); }
  const Endpoint& local() const { return local_; }
  void Queue(const Endpoint& to, Bytes bytes, uint8_t ttl, Counters& counters);
  // Sends what it can; true if the system took all.
  bool Flush(Counters& counters);
  bool idle() const { return next_ == entries_.size(); }

 private:
  struct Entry {
    uint32_t offset;
    uint16_t size;
    uint8_t ttl;
    uint8_t join;  // To a group: 1 + the place in joins_; else 0.
    Endpoint to;
  };
  struct Joined {
    uint32_t group;  // In host order, as the next.
    uint32_t address;
    int interface;
  };
  UdpSocket(Fd fd, Endpoint local, bool v4) : fd_(std::move(fd)), local_(local), v4_(v4) {}

  // The next join of that group; 0 if there is none after that one.
  uint8_t NextJoin(const Endpoint& group, uint8_t after) const;

  Fd fd_;
  Endpoint local_;
  bool v4_;
  std::vector<Joined> joins_;
  // Entries from `first` that may leave as one message.
  size_t Run(size_t first) const;
  std::vector<uint8_t> arena_;  // Of the entries; both start anew once all is sent.
  std::vector<Entry> entries_;
  size_t next_ = 0;
  bool segments_ = true;        // The system takes segment lists.
  size_t singly_ = 0;           // So many entries go one by one: a list with them was refused.
};

}  // namespace orchard::host
