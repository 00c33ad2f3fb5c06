// One stream: what it received and owes, what it sent and awaits. Streams owns it and finds it by id; it knows nobody above.
// The order in which a packet is taken apart is libudx's, since the answers that others expect depend on it.
// Source: libudx, specification of udx-native 1.21.3 §2 (receiving), §3 (sending), §4 (loss); RFC 8985 (RACK, TLP).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "node/udx/congestion.h"
#include "node/udx/delivery_rate.h"
#include "node/udx/mtu_search.h"
#include "node/udx/pacer.h"
#include "node/udx/packet.h"
#include "node/udx/reassembly.h"
#include "node/udx/rtt.h"
#include "node/udx/send_queue.h"
#include "node/udx/sent_packets.h"
#include "node/udx/seq_ranges.h"
#include "node/udx/shared.h"

namespace orchard::udx {

class Stream {
 public:
  // A packet that timed out so often closes the stream: 13 s without any answer, as deployed; or 21 s, of a patient one.
  static constexpr uint8_t kTimeOutsMax = 6, kTimeOutsMaxOfPatient = 10;
  // A tail loss probe waits so long at least: timers and the other side's loop are no faster.
  static constexpr Duration kTailProbeMin = std::chrono::milliseconds(4);
  // Former remotes that retransmissions still go to; the packets of older ones go to the newest.
  static constexpr size_t kFormerMax = 4;

  struct Path {
    SocketId socket{};
    Endpoint to{};
    uint32_t remote_id = 0;
  };

  Stream(StreamId id, const StreamOptions& options, const StreamsConfig& config);

  void Connect(Shared& shared, const Path& path);
  void Write(std::string&& bytes);
  void SendMessage(Turn& turn, Bytes bytes);
  void End() { end_queued_ = true; }
  void Consumed(const Shared& shared, size_t bytes);
  // True if the change is complete at once.
  bool ChangeRemote(Turn& turn, Shared& shared, const Path& path, bool abandon_old);
  void SetKeepAlive(Turn& turn, Duration interval);
  void SetPatient() { time_outs_max_ = kTimeOutsMaxOfPatient; }
  // Says goodbye if connected. The caller then removes the stream.
  void SendDestroy(Turn& turn);

  // A packet for us, whose socket was judged.
  void OnPacket(Turn& turn, Shared& shared, const Header& header, const Datagram& datagram, News& news);
  void OnTime(Turn& turn, Shared& shared, News& news);
  void Flush(Turn& turn, Shared& shared);
  Instant deadline() const { return std::min(timer_at_, pace_at_); }
  // Gives back what it holds of `shared`; before it is removed.
  void Leave(Shared& shared);

  StreamId id() const { return id_; }
  bool any_socket() const { return any_socket_; }
  bool connected() const { return connected_; }
  const Path& path() const { return path_; }
  // `socket` leads to the remote or to a former one.
  bool OwnSocket(SocketId socket) const;
  std::optional<CloseReason> closed() const { return closed_; }
  size_t room() const;
  uint64_t unacknowledged() const { return queue_.end() - queue_.begin(); }
  size_t max_message() const { return PayloadMax(); }
  Instant heard_at() const { return heard_at_; }
  Instant acked_at() const { return acked_at_; }
  uint32_t send_next() const { return sent_.next(); }
  uint32_t receive_next() const { return receive_next_; }
  StreamStats stats() const;
  // A packet of the other side that goes on to the stream of relay_to.
  void CountRelayed(size_t bytes) { ++packets_received_, bytes_received_ += bytes; }

  // For Streams' own book-keeping.
  std::optional<StreamId> relay_to;
  bool dirty = false;           // Awaits Flush.
  Instant indexed_at = kNever;  // Its entry in the index of deadlines: never later than deadline().

 private:
  enum class Timer : uint8_t { kNone, kRetransmission, kReordering, kTailProbe, kZeroWindow, kKeepAlive };
  enum class Recovery : uint8_t { kOpen, kRecovering, kTimedOut };
  struct Former {
    Path path;
    uint8_t number;  // SentPacket::path.
    uint32_t until;   // Packets before this seq were sent there.
  };
  // What one packet's acknowledgement brought.
  struct Arrivals {
    DeliveryRate::Sample rate;
    uint64_t bytes = 0;
    uint32_t packets = 0, lost = 0, under_way_before = 0;
    Instant newest_sent{};
    Duration rtt{};
    bool advanced = false;
  };

  // stream_receive.cc. False: nothing more is to be done with the packet.
  bool TakeContent(Turn& turn, Shared& shared, const Header& h, Bytes payload, News& news);
  void TakeInOrderOrHold(Turn& turn, Shared& shared, const Header& h, Bytes payload, News& news);
  void Deliver(Bytes bytes, News& news);
  void TakeAcknowledgement(Turn& turn, Shared& shared, const Header& h, const Datagram& d, News& news);
  void TakeWindow(Turn& turn, const Header& h);
  void TakeAcks(Turn& turn, Shared& shared, const Header& h, const Datagram& d, Arrivals& a);
  void OnArrived(Instant now, uint32_t seq, Arrivals& a);
  void ForgetFormer(Shared& shared, News& news);
  void NoteRoom(News* news);
  uint32_t ReceiveWindow(const Shared& shared) const;  // What we say.
  uint64_t Acceptable(const Shared& shared) const;     // What we take.

  // stream_recovery.cc
  uint32_t DetectLoss(Instant now);  // Packets found lost, probes of the MTU not counted.
  void MarkLost(uint32_t seq, uint32_t& lost);
  void EnterRecovery(const Congestion::Ack& ack);
  Congestion::Ack AckOf(const Arrivals& a) const;
  Duration ReorderingWindow() const;
  void ArmAfterAck(Turn& turn, Shared& shared, bool advanced);
  void ArmAfterSend(Instant now);
  void ArmIdle(Turn& turn, Shared& shared);
  bool MayProbeTail() const;
  Instant TailProbeAt(Instant now) const;
  void SetTimer(Timer timer, Instant at) { timer_ = timer, timer_at_ = at; }
  void OnRetransmissionTimer(Turn& turn);
  void OnTailProbeTimer(Turn& turn, Shared& shared);

  // stream_send.cc
  void SendBare(Turn& turn, Shared& shared, uint8_t type);
  void SendAck(Turn& turn, Shared& shared);
  absl::Span<const SeqRange> BlocksToTell() const;
  void SendNew(Turn& turn, Shared& shared, bool may_probe_mtu);
  void SendAgain(Turn& turn, Shared& shared, uint32_t seq);
  void Transmit(Turn& turn, Shared& shared, uint32_t seq, Gate gate);
  void SendFlight(Turn& turn, Shared& shared);
  bool Unsent() const { return next_offset_ < queue_.end() || (end_queued_ && !end_sent_); }
  // A new packet may leave, as far as the windows are concerned.
  bool NewAllowed() const;
  uint32_t NextSize() const;
  uint32_t PayloadMax() const;
  uint32_t IpBytes() const { return connected_ && path_.to.is_v4() ? kV4Bytes : kV6Bytes; }
  uint32_t WireBytes(const SentPacket& p) const { return uint32_t(p.size) + p.padding + uint32_t(kHeaderBytes) + kV4Bytes; }
  const Path& PathOf(const SentPacket& p) const;

  // Who, and where to.
  const StreamId id_;
  const bool any_socket_;
  const bool deployed_;
  bool connected_ = false;
  std::optional<CloseReason> closed_;
  uint8_t path_number_ = 0, time_outs_max_ = kTimeOutsMax;
  Path path_;
  std::vector<Former> former_;

  // Receiving.
  bool ack_owed_ = false, end_known_ = false, ended_ = false;
  uint32_t receive_next_, end_seq_ = 0;
  uint32_t advertised_;
  uint32_t newest_held_ = 0;               // The packet that came last, if out of order.
  Instant heard_at_{};                     // When any packet came.
  Instant acked_at_{};                     // When one came that acknowledged something new.
  uint64_t unconsumed_ = 0;
  std::unique_ptr<Reassembly> held_;

  // Sending.
  bool end_queued_ = false, end_sent_ = false, room_was_zero_ = false;
  bool tail_probe_out_ = false, tail_probe_allowed_ = false, reordering_seen_ = false;
  bool tells_newest_ = false;              // Of more blocks than fit a SACK, the other side tells the newest.
  bool partial_ = false;                   // A SACK was full: until `partial_end_` is acknowledged, we know less than arrived.
  Recovery recovery_ = Recovery::kOpen;
  Timer timer_ = Timer::kNone;
  uint32_t remote_window_;
  uint32_t window_seq_, window_ack_;       // Of the packet that last told the window: wl1, wl2 of RFC 9293.
  uint32_t recovery_end_ = 0, tail_probe_end_ = 0, partial_end_ = 0;
  uint32_t highest_arrived_ = 0;
  uint32_t newest_arrived_ = 0;            // RACK: the packet sent last among those that arrived …
  Instant newest_arrived_sent_ = Instant::min();
  Duration newest_arrived_rtt_{};
  uint64_t next_offset_ = 0;               // Of the first byte that was never sent.
  uint64_t under_way_bytes_ = 0;
  Instant timer_at_ = kNever, retransmit_at_ = kNever, reordering_at_ = kNever, pace_at_ = kNever;
  Duration keep_alive_{};
  SendQueue queue_;
  SentPackets sent_;
  SeqRanges sacked_;
  Rtt rtt_;
  DeliveryRate rate_;
  Pacer pacer_;
  MtuSearch mtu_;
  Congestion congestion_;

  uint64_t packets_sent_ = 0, packets_received_ = 0, retransmits_ = 0, time_outs_ = 0, bytes_sent_ = 0, bytes_received_ = 0;
};

}  // namespace orchard::udx
