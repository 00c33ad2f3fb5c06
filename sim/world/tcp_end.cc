#include "sim/world/tcp_end.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "ns3/inet-socket-address.h"
#include "ns3/ipv4-end-point.h"
#include "ns3/node.h"
#include "ns3/rtt-estimator.h"
#include "ns3/simulator.h"
#include "ns3/tcp-header.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/tcp-linux-reno.h"
#include "ns3/tcp-recovery-ops.h"
#include "ns3/tcp-rx-buffer.h"
#include "ns3/tcp-tx-buffer.h"

namespace orchard::sim {

using ns3::TcpHeader;

NS_OBJECT_ENSURE_REGISTERED(TcpEnd);

ns3::TypeId TcpEnd::GetTypeId() {
  static ns3::TypeId id =
      ns3::TypeId("orchard::TcpEnd").SetParent<ns3::TcpSocketBase>().SetGroupName("Orchard").AddConstructor<TcpEnd>();
  return id;
}

TcpEnd::TcpEnd(const TcpEnd& o) : ns3::TcpSocketBase(o), owner_(o.owner_) {}

void TcpEnd::SetUp(const ns3::Ptr<ns3::Node>& node, Owner* owner, uint32_t id) {
  owner_ = owner, id_ = id;
  SetNode(node);
  SetTcp(node->GetObject<ns3::TcpL4Protocol>());
  SetRtt(ns3::CreateObject<ns3::RttMeanDeviation>());
  // Both compute with integers. ns-3's default, Cubic, decides with cbrt(), and its PRR with products that overflow.
  SetCongestionControlAlgorithm(ns3::CreateObject<ns3::TcpLinuxReno>());
  SetRecoveryAlgorithm(ns3::CreateObject<ns3::TcpClassicRecovery>());
  SetSegSize(kSegment), SetInitialCwnd(kInitialWindow);
  SetSndBufSize(kBufferMax), SetRcvBufSize(kBufferFirst);
  SetSynRetries(kSynRetries), SetDataRetries(kRetries);
  SetConnTimeout(ns3::MilliSeconds(1000)), SetMinRto(ns3::MilliSeconds(kMinRtoMs));
  SetPersistTimeout(ns3::MilliSeconds(kMinRtoMs));
  SetDelAckTimeout(ns3::MilliSeconds(kDelayedAckMs)), SetDelAckMaxCount(2);
  SetTcpNoDelay(true);
  m_msl = kMaxSegmentLifeS;
}

bool TcpEnd::Open(Ep4 local) {
  const ns3::Ipv4Address ip = local.ip == 0 ? ns3::Ipv4Address::GetAny() : ns3::Ipv4Address(local.ip);
  return Bind(ns3::InetSocketAddress(ip, local.port)) == 0 && Listen() == 0;
}

bool TcpEnd::Dial(uint16_t port, Ep4 to) {
  return Bind(ns3::InetSocketAddress(ns3::Ipv4Address::GetAny(), port)) == 0 &&
         Connect(ns3::InetSocketAddress(ns3::Ipv4Address(to.ip), to.port)) == 0;
}

Ep4 TcpEnd::local() const { return over() ? Ep4{} : Ep4{m_endPoint->GetLocalAddress().Get(), m_endPoint->GetLocalPort()}; }
Ep4 TcpEnd::peer() const { return over() ? Ep4{} : Ep4{m_endPoint->GetPeerAddress().Get(), m_endPoint->GetPeerPort()}; }

uint32_t TcpEnd::readable() const { return m_tcb->m_rxBuffer->Available(); }
bool TcpEnd::peer_ended() const { return m_tcb->m_rxBuffer->Finished(); }
bool TcpEnd::idle() const { return m_txBuffer->Size() == 0; }

// ---- Bytes ----

uint32_t TcpEnd::Room() const {
  if (over() || fin_wanted_ || (m_state != ESTABLISHED && m_state != CLOSE_WAIT)) return 0;
  // Linux lets a writer run ahead of the window by as much again (tcp_sndbuf_expand): more only adds to the delay.
  const uint32_t window = std::min(m_tcb->m_cWnd.Get(), kBufferMax / 2);
  const uint32_t most = std::max(2 * window, kSendAheadMin), held = m_txBuffer->Size();
  return held >= most ? 0 : most - held;
}

void TcpEnd::Push(Bytes bytes) {
  const int sent = Send(ns3::Create<ns3::Packet>(bytes.data(), uint32_t(bytes.size())), 0);
  CHECK_EQ(sent, int(bytes.size()));
  SendWhatMay();
}

// ns-3's own loop sees no window, and so never sends: for each segment it would look through all that are on their way, which at
// a gigabit and a tenth of a second are ten thousand. This one looks only when there is something to find.
uint32_t TcpEnd::AvailableWindow() const { return sending_ ? ns3::TcpSocketBase::AvailableWindow() : 0; }

void TcpEnd::SendWhatMay() {
  if (over() || !m_connected || m_txBuffer->Size() == 0) return;
  sending_ = true;
  while (const uint32_t window = AvailableWindow()) {
    ns3::SequenceNumber32 next = m_tcb->m_highTxMark, end;
    const bool clean = m_txBuffer->GetLost() == 0 && m_txBuffer->GetSacked() == 0 && m_txBuffer->GetRetransmitsCount() == 0;
    if (clean) {
      // Behind all that was sent (RFC 6675 §4, NextSeg rule 2), no further than the peer's window.
      const auto sent = uint32_t(next - m_txBuffer->HeadSequence());
      end = next + int32_t(std::min(kSegment, m_rWnd.Get() > sent ? m_rWnd.Get() - sent : 0));
    } else if (!m_txBuffer->NextSeg(&next, &end, m_tcb->m_congState == ns3::TcpSocketState::CA_RECOVERY)) {
      break;
    }
    const uint32_t waiting = m_txBuffer->SizeFromSequence(next), most = std::min(window, uint32_t(end - next));
    // Half a segment only if there is no more (RFC 9293 §3.8.6.2.1).
    if (waiting == 0 || most == 0 || (window < kSegment && waiting > window)) break;
    m_tcb->m_nextTxSequence = next;
    m_tcb->m_nextTxSequence += int32_t(SendDataPacket(next, most, true));
    sent_at_ = ns3::Simulator::Now();
  }
  sending_ = false;
}

uint32_t TcpEnd::Pull(uint8_t* to, uint32_t size) {
  const auto packet = m_tcb->m_rxBuffer->Extract(size);
  if (packet == nullptr) return 0;
  const uint32_t n = packet->CopyData(to, size);
  passed_ += n;
  if (passed_ >= buffer_ && buffer_ < kBufferMax) {
    buffer_ = std::min(2 * buffer_, kBufferMax), passed_ = 0;
    m_tcb->m_rxBuffer->SetMaxBufferSize(buffer_);
  }
  if (over() || m_tcb->m_rxBuffer->GotFin()) return n;
  // The peer knows of less than half of the window that there is now: tell it, or it may wait for good (RFC 9293 §3.8.6.2.2).
  const auto window = uint32_t(m_tcb->m_rxBuffer->MaxRxSequence() - m_tcb->m_rxBuffer->NextRxSequence());
  if (window >= 2 * kSegment && window / 2 >= m_advWnd.Get()) SendEmptyPacket(TcpHeader::ACK);
  return n;
}

// ---- Endings ----

void TcpEnd::End() {
  fin_wanted_ = true;
  Advance();
}

void TcpEnd::Reset() {
  if (over()) return;
  if (m_connected) {
    m_tcb->m_nextTxSequence = m_tcb->m_highTxMark.Get() + (fins_ > 0 ? 1 : 0);
    SendEmptyPacket(TcpHeader::RST);
  }
  Vanish();
}

void TcpEnd::Vanish() {
  const ns3::Ptr<TcpEnd> self(this);
  vanished_ = true;
  m_state = CLOSED;
  DeallocateEndPoint();
  // Each segment has left an event for this very instant that points at us and holds no reference (SendDataPacket).
  if (sent_at_ == ns3::Simulator::Now()) ns3::Simulator::ScheduleNow(&TcpEnd::Outlive, self);
}

void TcpEnd::GiveUp() {
  const ns3::Ptr<TcpEnd> self(this);
  gave_up_ = true;
  Vanish();
  owner_->Changed(*this);
}

// Sends the FIN as soon as all data has been sent once. To ns-3 it is sent only when all data is acknowledged: the states behind
// it (FIN-WAIT-1, LAST-ACK) then never have data on its way, which they do not cope with.
void TcpEnd::Advance() {
  if (!fin_wanted_ || over() || (m_state != ESTABLISHED && m_state != CLOSE_WAIT)) return;
  if (fins_ == 0 && m_txBuffer->TailSequence() == m_tcb->m_highTxMark.Get()) SendEmptyPacket(TcpHeader::FIN);
  if (fins_ == 0 || m_txBuffer->Size() != 0) return;
  if (m_state == ESTABLISHED) m_state = fin_acked_ ? FIN_WAIT_2 : FIN_WAIT_1;
  else if (fin_acked_) return CloseAndNotify();
  else m_state = LAST_ACK;
  if (fin_acked_) m_tcb->m_nextTxSequence = m_tcb->m_highTxMark.Get() + 1;
  else if (m_retxEvent.IsExpired()) m_retxEvent = ns3::Simulator::Schedule(m_rto.Get(), &TcpEnd::SendEmptyPacket, this, uint8_t(TcpHeader::FIN));
}

void TcpEnd::SendEmptyPacket(uint8_t flags) {
  if ((flags & TcpHeader::FIN) != 0) {
    if (fins_ > kRetries) return GiveUp();
    const bool mine = m_retxEvent.IsExpired();
    ++fins_;
    // Behind the data, wherever a retransmission has left the pointer.
    const ns3::SequenceNumber32 next = std::exchange(m_tcb->m_nextTxSequence, m_tcb->m_highTxMark.Get());
    ns3::TcpSocketBase::SendEmptyPacket(flags);
    m_tcb->m_nextTxSequence = next;
    if (!mine || over()) return;
    // ns-3 would repeat it at one pace for ever.
    m_retxEvent.Cancel();
    const ns3::Time wait = ns3::Min(m_rto.Get() * (int64_t{1} << std::min(fins_ - 1, 10u)), ns3::MilliSeconds(60'000));
    m_retxEvent = ns3::Simulator::Schedule(wait, &TcpEnd::SendEmptyPacket, this, uint8_t(TcpHeader::FIN));
    return;
  }
  if ((flags & TcpHeader::SYN) == 0) return ns3::TcpSocketBase::SendEmptyPacket(flags);
  // The scale that a SYN offers is for the largest window there will be.
  m_tcb->m_rxBuffer->SetMaxBufferSize(kBufferMax);
  ns3::TcpSocketBase::SendEmptyPacket(flags);
  m_tcb->m_rxBuffer->SetMaxBufferSize(buffer_);
}

void TcpEnd::ReTxTimeout() {
  const ns3::Ptr<TcpEnd> self(this);
  ns3::TcpSocketBase::ReTxTimeout();
  if (!over()) return SendWhatMay();
  gave_up_ = true;
  m_state = CLOSED;
  owner_->Changed(*this);
}

// The window is shut: asks for news of it with a byte that the peer has already (RFC 9293 §3.8.6.1). ns-3 takes the byte from
// the data to be sent, which may be none.
void TcpEnd::PersistTimeout() {
  m_persistTimeout = ns3::Min(m_persistTimeout + m_persistTimeout, ns3::MilliSeconds(kProbeMaxMs));
  const uint8_t byte = 0;
  TcpHeader header;
  header.SetFlags(TcpHeader::ACK);
  header.SetSequenceNumber(m_txBuffer->HeadSequence() - 1);
  header.SetAckNumber(m_tcb->m_rxBuffer->NextRxSequence());
  header.SetWindowSize(AdvertisedWindowSize());
  header.SetSourcePort(m_endPoint->GetLocalPort()), header.SetDestinationPort(m_endPoint->GetPeerPort());
  AddOptions(header);
  m_tcp->SendPacket(ns3::Create<ns3::Packet>(&byte, 1), header, m_endPoint->GetLocalAddress(), m_endPoint->GetPeerAddress());
  m_persistEvent = ns3::Simulator::Schedule(m_persistTimeout, &TcpEnd::PersistTimeout, this);
}

// ---- Segments ----

ns3::Ptr<ns3::TcpSocketBase> TcpEnd::Fork() {
  auto child = ns3::CopyObject<TcpEnd>(ns3::Ptr<TcpEnd>(this));
  child->id_ = id_;  // Its listener's, until its handshake is done.
  owner_->Forked(child);
  return child;
}

void TcpEnd::CompleteFork(ns3::Ptr<ns3::Packet> p, const TcpHeader& header, const ns3::Address& from, const ns3::Address& to) {
  if (!vanished_) ns3::TcpSocketBase::CompleteFork(std::move(p), header, from, to);
}

void TcpEnd::DoForwardUp(ns3::Ptr<ns3::Packet> packet, const ns3::Address& from, const ns3::Address& to) {
  const ns3::Ptr<TcpEnd> self(this);  // The last reference may go with the endpoint.
  TcpHeader header;
  packet->PeekHeader(header);
  const uint8_t flags = header.GetFlags();
  if (m_state == LISTEN) {
    if ((flags & TcpHeader::RST) != 0) return;
    if ((flags & TcpHeader::ACK) != 0) return Refuse(header, from, to);  // Of a former life.
    if ((flags & TcpHeader::SYN) != 0 && owner_->MayFork(*this)) ns3::TcpSocketBase::DoForwardUp(packet, from, to);
    return;
  }
  if (Before(packet, header, from, to)) return owner_->Changed(*this);
  const bool had_finished = peer_ended();
  ns3::TcpSocketBase::DoForwardUp(packet, from, to);
  if (!over()) {
    SendWhatMay();
    // A FIN that comes again: its ACK was lost.
    if ((flags & TcpHeader::FIN) != 0 && had_finished) SendEmptyPacket(TcpHeader::ACK);
    if (m_rWnd.Get() != 0) m_persistTimeout = ns3::MilliSeconds(kMinRtoMs);
    Advance();
  }
  owner_->Changed(*this);
}

bool TcpEnd::Before(const ns3::Ptr<ns3::Packet>& packet, const TcpHeader& header, const ns3::Address& from, const ns3::Address& to) {
  const uint8_t flags = header.GetFlags();
  const bool acks = (flags & TcpHeader::ACK) != 0, fin = (flags & TcpHeader::FIN) != 0, data = packet->GetSize() > header.GetSerializedSize();
  if ((flags & TcpHeader::RST) != 0) {
    if (m_state == SYN_SENT && !(acks && header.GetAckNumber() == m_tcb->m_nextTxSequence.Get() + 1)) return true;
    reset_ = true;
    CloseAndNotify();
    return true;
  }
  const bool acks_fin = acks && fins_ > 0 && header.GetAckNumber() == m_tcb->m_highTxMark.Get() + 1;
  fin_acked_ |= acks_fin;
  switch (m_state) {
    case SYN_SENT:
      if (!acks || header.GetAckNumber() == m_tcb->m_nextTxSequence.Get() + 1) return false;
      Refuse(header, from, to);  // A half open connection of a former life (RFC 9293 §3.10.7.3).
      return true;
    case ESTABLISHED:
    case CLOSE_WAIT:
      if ((flags & TcpHeader::SYN) != 0) {  // Our ACK of it was lost; or the peer has forgotten us, and this makes it say so (RFC 5961 §4).
        SendEmptyPacket(TcpHeader::ACK);
        return true;
      }
      if (acks_fin) {
        // To ns-3 the FIN is not sent yet.
        TcpHeader without;
        packet->RemoveHeader(without);
        without.SetAckNumber(m_tcb->m_highTxMark.Get());
        packet->AddHeader(without);
      }
      // ns-3 does not look at what a FIN acknowledges.
      if (fin && acks && m_state == ESTABLISHED && header.GetAckNumber() > m_txBuffer->HeadSequence() && m_txBuffer->Size() > 0) {
        TcpHeader bare = header;
        if (acks_fin) bare.SetAckNumber(m_tcb->m_highTxMark.Get());
        if (bare.GetAckNumber() <= m_tcb->m_highTxMark.Get()) ReceivedAck(ns3::Create<ns3::Packet>(), bare);
      }
      return false;
    case LAST_ACK:
      if (acks_fin) CloseAndNotify();
      else if (fin || data) SendEmptyPacket(TcpHeader::ACK);
      return true;
    case CLOSING:
      if (acks_fin) TimeWait();
      else if (fin || data) SendEmptyPacket(TcpHeader::ACK);
      return true;
    case TIME_WAIT:
      if (fin || data) SendEmptyPacket(TcpHeader::ACK);
      return true;
    default: return false;
  }
}

void TcpEnd::Refuse(const TcpHeader& segment, const ns3::Address& from, const ns3::Address& to) {
  TcpHeader reset;
  reset.SetFlags(TcpHeader::RST);
  reset.SetSequenceNumber(segment.GetAckNumber());
  reset.SetSourcePort(segment.GetDestinationPort()), reset.SetDestinationPort(segment.GetSourcePort());
  m_tcp->SendPacket(ns3::Create<ns3::Packet>(), reset, ns3::InetSocketAddress::ConvertFrom(to).GetIpv4(),
                    ns3::InetSocketAddress::ConvertFrom(from).GetIpv4());
}

}  // namespace orchard::sim
