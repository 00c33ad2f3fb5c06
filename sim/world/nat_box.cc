#include "sim/world/nat_box.h"

#include <utility>

namespace orchard::sim {

void NatBox::OnFrame(Port& port, Frame frame) {
  if (core_->now() < down_until) return core_->Dropped(frame, "down", name_);
  // Multicast and broadcast are not for it, and never cross it.
  if (frame.to >> 28 == 0xe || frame.to == 0xffffffff) return;
  // A router takes its hop before it translates.
  if (frame.ttl <= 1) return core_->Dropped(frame, "ttl", name_);
  --frame.ttl, ++frame.boxes;
  if (&port == ns3::PeekPointer(inner)) Outwards(std::move(frame));
  else Inwards(std::move(frame));
}

void NatBox::Drop(const Frame& frame, NatVerdict verdict) {
  std::string_view why = "nat-filter";
  if (verdict == NatVerdict::kUnmapped) why = "nat-unmapped";
  if (verdict == NatVerdict::kFull) why = "nat-full";
  if (verdict == NatVerdict::kBlocked) why = "nat-blocked";
  core_->Dropped(frame, why, name_);
}

NatTable* NatBox::TableOf(Bytes packet, FlowMark* mark) {
  if (packet.size() >= kHeaders && Protocol(packet.data()) == kUdp) return table.get();
  if (packet.size() < kTcpHeaders || Protocol(packet.data()) != kTcp) return nullptr;
  const uint8_t flags = TcpFlags(packet.data());
  if ((flags & (kTcpFin | kTcpRst)) != 0) *mark = FlowMark::kCloses;
  else if ((flags & kTcpSyn) != 0) *mark = FlowMark::kOpens;
  if (tcp_ == nullptr) tcp_ = std::make_unique<Tcp>(*spec_, table->addresses(), KeyOf(core_->seed, name_, "nat-tcp"));
  return &tcp_->table;
}

void NatBox::Outwards(Frame frame) {
  if (table == nullptr) return outer->Transmit(std::move(frame));
  uint8_t p[kPacketMax];
  Bytes bytes = CopyBytes(frame, p);
  FlowMark mark = FlowMark::kNone;
  NatTable* const flows = TableOf(bytes, &mark);
  if (flows == nullptr) return core_->Dropped(frame, "nat-blocked", name_);
  const bool hairpin = table->Owns(frame.to);
  if (hairpin && !spec_->hairpin) return core_->Dropped(frame, "nat-hairpin", name_);
  NatResult out = flows->Outbound(core_->now(), Source(p), Target(p), mark);
  if (out.verdict != NatVerdict::kOk) return Drop(frame, out.verdict);
  if (hairpin) {
    // With the external source (RFC 4787 REQ-9a), so that the answer comes back the same way.
    NatResult in = flows->Inbound(core_->now(), Target(p), out.to, mark);
    if (in.verdict != NatVerdict::kOk) return Drop(frame, in.verdict);
    RewriteTarget(p, in.to);
    RewriteSource(p, out.to);
    return inner->Transmit(MakeFrame(bytes, frame.from, frame.boxes));
  }
  RewriteSource(p, out.to);
  outer->Transmit(MakeFrame(bytes, frame.from, frame.boxes));
}

void NatBox::Inwards(Frame frame) {
  if (table == nullptr) return inner->Transmit(std::move(frame));
  uint8_t p[kPacketMax];
  Bytes bytes = CopyBytes(frame, p);
  FlowMark mark = FlowMark::kNone;
  NatTable* const flows = TableOf(bytes, &mark);
  if (flows == nullptr) return core_->Dropped(frame, "nat-blocked", name_);
  NatResult in = flows->Inbound(core_->now(), Target(p), Source(p), mark);
  if (in.verdict != NatVerdict::kOk) return Drop(frame, in.verdict);
  RewriteTarget(p, in.to);
  inner->Transmit(MakeFrame(bytes, frame.from, frame.boxes));
}

}  // namespace orchard::sim
