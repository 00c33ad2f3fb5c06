// One end of a TCP connection, or a listener: ns-3's TcpSocketBase with the settings of Linux, and with its endings mended. In
// ns-3.37 a FIN that is sent while data is on its way may be lost for good, an ACK of that data ends LAST_ACK, a refusal is ignored
// where timestamps are on, an RST looks like a FIN, a lost last ACK of the handshake leaves the accepting end half open, and a
// reader that makes room does not say so. What the network carries is the same TCP: only what ns-3 gets wrong differs.
#pragma once

#include <cstdint>

#include "node/base/bytes.h"
#include "ns3/tcp-socket-base.h"
#include "sim/world/wire.h"

namespace orchard::sim {

class TcpEnd final : public ns3::TcpSocketBase {
 public:
  // Told in the middle of the socket's work, so may only take notes.
  class Owner {
   public:
    virtual ~Owner() = default;
    // `listener` got a SYN: may it answer?
    virtual bool MayFork(const TcpEnd& listener) = 0;
    virtual void Forked(ns3::Ptr<TcpEnd> child) = 0;
    // Something about it may be different.
    virtual void Changed(TcpEnd& end) = 0;
  };

  static constexpr uint32_t kSegment = 1448;          // With the timestamps' 12 bytes: packets of 1500.
  static constexpr uint32_t kInitialWindow = 10;      // Segments. RFC 6928.
  // A buffer begins small and doubles whenever as much has passed through it (as Linux tunes its own), so that a reader that
  // reads nothing holds little. The largest fills 1 Gbit/s over 100 ms, and is the most that a window scale of 8 can say.
  static constexpr uint32_t kBufferFirst = 1 << 20, kBufferMax = 65'535 << 8;
  static constexpr uint32_t kSendAheadMin = 256 << 10;  // Not yet acknowledged and not yet sent; or twice the window.
  static constexpr uint32_t kRetries = 15;            // Of a segment. Linux: tcp_retries2.
  static constexpr uint32_t kSynRetries = 6;          // Linux: tcp_syn_retries. From 1 s, doubled.
  static constexpr int kMinRtoMs = 200, kDelayedAckMs = 40, kMaxSegmentLifeS = 30;  // Linux.
  static constexpr int64_t kProbeMaxMs = 60'000;

  static ns3::TypeId GetTypeId();
  TcpEnd() = default;
  TcpEnd(const TcpEnd& o);

  // Once, before anything else. `id` is the owner's.
  void SetUp(const ns3::Ptr<ns3::Node>& node, Owner* owner, uint32_t id);
  bool Open(Ep4 local);     // Binds and listens. False: taken.
  bool Dial(uint16_t port, Ep4 to);  // From that port. False: taken, or no way there.

  uint32_t Room() const;    // What Push takes.
  void Push(Bytes bytes);
  uint32_t readable() const;
  uint32_t Pull(uint8_t* to, uint32_t size);  // size <= readable().
  void End();               // A FIN behind what was pushed.
  void Reset();             // An RST, and over.
  void Vanish();            // Over without a word.
  void TimeOut() { GiveUp(); }  // The same, and the owner is told.

  uint32_t id() const { return id_; }
  void set_id(uint32_t id) { id_ = id; }
  Ep4 local() const;
  Ep4 peer() const;
  bool connected() const { return m_connected; }
  bool over() const { return m_endPoint == nullptr; }  // Nothing comes or goes any more.
  bool gone() const { return over() && m_state != LISTEN; }  // Of one just forked, which has no place yet: not so.
  bool peer_ended() const;  // All that it sent is readable or was read.
  bool idle() const;  // All that was pushed is acknowledged.
  bool was_reset() const { return reset_; }
  bool gave_up() const { return gave_up_; }  // Nobody answered for too long.

 private:
  // ---- ns3::TcpSocketBase ----
  ns3::Ptr<ns3::TcpSocketBase> Fork() override;
  void CompleteFork(ns3::Ptr<ns3::Packet> p, const ns3::TcpHeader& header, const ns3::Address& from, const ns3::Address& to) override;
  void DoForwardUp(ns3::Ptr<ns3::Packet> packet, const ns3::Address& from, const ns3::Address& to) override;
  void SendEmptyPacket(uint8_t flags) override;
  void ReTxTimeout() override;
  uint32_t AvailableWindow() const override;
  void PersistTimeout() override;

  void Refuse(const ns3::TcpHeader& segment, const ns3::Address& from, const ns3::Address& to);
  // True: the segment is dealt with.
  bool Before(const ns3::Ptr<ns3::Packet>& packet, const ns3::TcpHeader& header, const ns3::Address& from, const ns3::Address& to);
  void SendWhatMay();
  void Advance();
  void GiveUp();
  void Outlive() {}  // What holds it until then is the event's reference.

  Owner* owner_ = nullptr;
  uint32_t id_ = 0;
  uint32_t buffer_ = kBufferFirst, passed_ = 0;  // Of receiving; bytes since it last grew.
  uint32_t fins_ = 0;                            // Sent.
  ns3::Time sent_at_ = ns3::NanoSeconds(-1);     // The last data.
  bool sending_ = false;                         // In SendWhatMay.
  bool fin_wanted_ = false, fin_acked_ = false, reset_ = false, gave_up_ = false, vanished_ = false;
};

}  // namespace orchard::sim
