// The packets that are sent and not yet acknowledged as a row: a ring of records by sequence number. Each lies in one of two
// lists, or in none once it has arrived: on its way, in the order of sending (the first is the oldest: RACK looks no
// further than it must), or lost, waiting to go again, the lowest number first.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "node/base/check.h"
#include "node/base/time.h"

namespace orchard::udx {

enum class Whereabouts : uint8_t { kArrived, kUnderWay, kLost };

struct SentPacket {
  uint64_t offset = 0;      // Of its first byte in the stream.
  Instant sent_at{};        // Last.
  // For the rate of delivery (delivery_rate.h); as of the last sending.
  uint64_t delivered = 0;
  Instant delivered_at{}, first_sent_at{};
  uint32_t sent = 0, first_sent = 0;
  uint32_t older = 0, newer = 0;  // Neighbours in its list.
  uint16_t size = 0;        // Bytes of payload.
  uint8_t path = 0;         // The remote it was first sent to.
  uint8_t type = 0, padding = 0;
  uint8_t time_outs = 0;
  Whereabouts where = Whereabouts::kArrived;
  bool probe : 1 = false;   // Of the MTU.
  bool again : 1 = false;   // Sent more than once.
  bool app_limited : 1 = false;
};
static_assert(sizeof(SentPacket) == 64);

class SentPackets {
 public:
  bool empty() const { return first_ == next_; }
  uint32_t first() const { return first_; }  // The oldest that is not acknowledged.
  uint32_t next() const { return next_; }    // The seq of the next packet.
  uint32_t size() const { return next_ - first_; }
  void StartAt(uint32_t seq) { first_ = next_ = seq; }

  SentPacket& operator[](uint32_t seq) { return ring_[seq & (uint32_t(ring_.size()) - 1)]; }
  const SentPacket& operator[](uint32_t seq) const { return ring_[seq & (uint32_t(ring_.size()) - 1)]; }
  // A new last packet, in no list.
  SentPacket& Push();
  // Forgets the first packet, which has arrived.
  void Pop();

  // Moves a packet to the end of what is under way, or among the lost by number, or to no list. O(1), but for the lost: they
  // come mostly in order, each next to the one before.
  void Move(uint32_t seq, Whereabouts to);
  uint32_t under_way() const { return lists_[0].size; }
  uint32_t lost() const { return lists_[1].size; }
  // Of a list that is not empty.
  uint32_t oldest_under_way() const { return lists_[0].head; }
  uint32_t newest_under_way() const { return lists_[0].tail; }
  uint32_t first_lost() const { return lists_[1].head; }  // The lowest.

 private:
  struct List {
    uint32_t head = 0, tail = 0, size = 0;
  };
  // The packet of the list after which `seq` belongs; nothing: it is the first.
  std::optional<uint32_t> LostBefore(uint32_t seq) const;
  List& ListOf(Whereabouts w) { return lists_[w == Whereabouts::kLost ? 1 : 0]; }

  std::vector<SentPacket> ring_;  // Its size is a power of two, or 0 while nothing is outstanding.
  uint32_t first_ = 0, next_ = 0;
  List lists_[2];
  uint32_t lost_last_ = 0;  // The packet that was found lost last.
};

}  // namespace orchard::udx
