// Requests on their way: tids, transmissions, timers, and those that the congestion window holds back. Answers match by tid
// alone. Packets are kept so that a retransmission is the same bytes.
// Source: dht-rpc 6.27 lib/io.js.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "node/base/deadlines.h"
#include "node/dht/congestion_window.h"
#include "node/dht/news.h"
#include "node/udx/socket_mux.h"

namespace orchard::dht {

inline constexpr Duration kRetryAfter = std::chrono::milliseconds(1000);   // Each transmission waits at most so long.
inline constexpr Duration kDrainInterval = std::chrono::milliseconds(750);

// What an answer is for.
enum class Purpose : uint8_t {
  kUser,       // The parent asked. a: asker.
  kQuery,      // a: query, b: node of it.
  kCommit,     // a: query, b: index of the closest reply.
  kHint,       // A down hint. a: query.
  kCheck,      // Is this node of the table alive? a: tick when it was last seen.
  kSwap,       // As kCheck, with a newcomer (`other`) waiting for the place.
  kProbe,      // Asks to be answered at the server socket.
  kQuickProbe, // The first responder of the bootstrap query, asked the same.
  kRoot,       // Is this root at its address? a: index of the root.
  kRevive,     // Is a lost node (a = 0) or a root (1) back? (healer.h)
};

struct Pending {
  RequestId id{};
  Ipv4Address to;
  uint16_t tid = 0;
  Purpose purpose = Purpose::kUser;
  uint8_t sent = 0, retries = 3;
  bool queued = false;   // The window holds it back.
  bool evict = false;    // A time-out removes `to` from the table.
  SocketId socket{};
  uint32_t a = 0, b = 0;
  Ipv4Address other;
  Instant created{}, deadline = kNever;
  Duration timeout = kRetryAfter;  // Of the transmission under way; the next waits twice as long, up to kRetryAfter.
  std::string packet;
};

class Requests {
 public:
  void set_first_tid(uint16_t tid) { next_tid_ = tid; }
  uint16_t TakeTid() { return next_tid_++; }
  RequestId NewId() { return RequestId{next_id_++}; }
  // The sockets are open: drain ticks count from here, and what waited for them is sent.
  void OnOpen(Turn& turn, udx::SocketMux& mux, SocketId default_socket);

  // Fills in id and creation; sends it, or queues it while the window is full or the sockets are not open.
  RequestId Send(Turn& turn, udx::SocketMux& mux, Pending p);
  // The request that this tid answers.
  std::optional<Pending> TakeByTid(uint16_t tid);
  std::optional<Pending> Take(RequestId id);
  // One request of this purpose whose `a` is this.
  std::optional<Pending> TakeOf(Purpose purpose, uint32_t a);

  // The next request whose second is over.
  std::optional<RequestId> due(Instant now) const;
  const Pending* Find(RequestId id) const;
  // After due(): sends it again, or takes it if it was sent often enough.
  std::optional<Pending> Expire(Turn& turn, udx::SocketMux& mux, RequestId id);

  // Drain ticks passed since the last call; call it first in every turn. Lazy: nothing wakes up for them unless requests wait.
  uint64_t CatchUp(Turn& turn, udx::SocketMux& mux);
  Instant next_deadline() const;
  size_t size() const { return all_.size(); }
  uint64_t retransmissions() const { return retransmissions_; }

 private:
  static constexpr size_t kIdleCapacity = 8;

  size_t IndexOf(RequestId id) const;
  Pending TakeAt(size_t index);
  void Transmit(Turn& turn, udx::SocketMux& mux, Pending& p);
  void TransmitNow(Turn& turn, udx::SocketMux& mux, Pending& p);

  std::vector<Pending> all_;
  std::vector<uint16_t> tids_;     // Of all_, for the search.
  std::vector<uint32_t> ids_;      // Of all_, for the search.
  std::vector<RequestId> queue_;   // Held back, oldest first; the taken ones among them are skipped.
  size_t queue_head_ = 0;
  Deadlines<RequestId> deadlines_;
  CongestionWindow window_;
  Instant open_since_ = kNever;
  uint64_t drains_ = 0, retransmissions_ = 0;
  uint32_t next_id_ = 1;
  uint16_t next_tid_ = 0;
};

}  // namespace orchard::dht
