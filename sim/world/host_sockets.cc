// A host's sockets: what a node's outputs do to them, and what comes from the network to them.
#include "sim/world/host.h"

#include <algorithm>
#include <utility>

#include "sim/world/full_stack.h"
#include "sim/world/pcap.h"
#include "sim/world/tcp_stack.h"

namespace orchard::sim {
namespace {

constexpr size_t kDatagramMax = 65'507;

FlowMark MarkOf(uint8_t flags) {
  return (flags & (kTcpFin | kTcpRst)) != 0 ? FlowMark::kCloses : (flags & kTcpSyn) != 0 ? FlowMark::kOpens : FlowMark::kNone;
}

bool IsGroup(uint32_t address) { return address >> 28 == 0xe; }

}  // namespace

Host::Socket* Host::FindSocket(uint32_t id) {
  for (Socket& s : sockets_) {
    if (s.id == id) return &s;
  }
  return nullptr;
}

uint16_t Host::FreePort() {
  while (true) {
    const auto port = uint16_t(kEphemeralLow + luck_.Below(kEphemeralCount));
    if (std::none_of(sockets_.begin(), sockets_.end(), [&](const Socket& s) { return s.local.port == port; })) return port;
  }
}

absl::StatusCode Host::CheckLocal(const Output& o, Ep4* local) const {
  *local = ToEp4(o.peer);
  if (o.peer == Endpoint{}.with_port(o.peer.port)) local->ip = 0;
  if (local->ip != 0 && (!o.peer.is_v4() || !IsMine(local->ip))) return absl::StatusCode::kInvalidArgument;
  return absl::StatusCode::kOk;
}

void Host::OpenSocket(const Output& o) {
  Ep4 local;
  absl::StatusCode status = CheckLocal(o, &local);
  const bool any = local.ip == 0, shared = o.what == Do::kOpenSharedSocket;
  if (local.ip >> 24 == 127) local.ip = 0;
  for (const Socket& s : sockets_) {
    const bool clash = s.local.port == local.port && (s.local.ip == 0 || local.ip == 0 || s.local.ip == local.ip);
    if (s.id == o.id || (local.port != 0 && clash && !(s.shared && shared))) status = absl::StatusCode::kAlreadyExists;
  }
  if (tcp_ != nullptr && tcp_->listens(o.id)) status = absl::StatusCode::kAlreadyExists;
  if (sockets_.size() >= kEphemeralCount / 2) status = absl::StatusCode::kResourceExhausted;
  if (status == absl::StatusCode::kOk) {
    if (local.port == 0) local.port = FreePort();
    sockets_.push_back({o.id, local, shared});
    // ns-3's sockets do not share: those that do are always ours.
    if (full_ != nullptr && !shared) full_->Open(o.id, local);
  }
  opened_.push_back({SocketId{o.id}, any ? Endpoint::V4(0, local.port) : local.endpoint(), status});
}

void Host::Listen(const Output& o) {
  Ep4 local;
  absl::StatusCode status = CheckLocal(o, &local);
  if (FindSocket(o.id) != nullptr) status = absl::StatusCode::kAlreadyExists;
  if (status == absl::StatusCode::kOk) status = Tcp().Listen(o.id, &local);
  opened_.push_back({SocketId{o.id}, local.endpoint(), status});
}

bool Host::CloseSocket(uint32_t id) {
  auto it = std::find_if(sockets_.begin(), sockets_.end(), [&](const Socket& s) { return s.id == id; });
  if (it == sockets_.end()) {
    const bool listens = tcp_ != nullptr && tcp_->listens(id);
    if (listens) tcp_->CloseListener(id);
    return listens;
  }
  sockets_.erase(it);
  if (full_ != nullptr) full_->Close(id);
  if (groups_ != nullptr) std::erase_if(*groups_, [&](const Membership& m) { return m.socket == id; });
  return true;
}

bool Host::JoinGroup(const Output& o, Bytes interface) {
  if (FindSocket(o.id) == nullptr) return false;
  GroupJoined told{SocketId{o.id}, o.peer, {}, absl::StatusCode::kOk};
  std::copy(interface.begin(), interface.end(), told.interface.ip.begin());
  const uint32_t address = told.interface.v4();
  if (groups_ == nullptr) groups_ = std::make_unique<std::vector<Membership>>();
  auto port = std::find_if(ports_.begin(), ports_.end(), [&](const Port* p) { return p->address == address && p->up(); });
  if (!o.peer.is_v4() || !IsGroup(o.peer.v4())) {
    told.status = absl::StatusCode::kInvalidArgument;
  } else if (!told.interface.is_v4() || (port == ports_.end() && address >> 24 != 127)) {
    told.status = absl::StatusCode::kNotFound;
  } else if (groups_->size() >= kMembershipsMax) {
    told.status = absl::StatusCode::kResourceExhausted;
  } else {
    const Membership m{o.id, o.peer.v4(), port == ports_.end() ? nullptr : *port};
    const bool again = std::any_of(groups_->begin(), groups_->end(), [&](const Membership& x) {
      return x.socket == m.socket && x.group == m.group && x.port == m.port;
    });
    if (!again) groups_->push_back(m);
  }
  joined_.push_back(told);
  return true;
}

Bytes Host::Sent(uint8_t* buffer, Ep4 from, Ep4 to, uint8_t ttl, Bytes payload) {
  Core& core = *env_->core;
  if (payload.size() > kDatagramMax) payload = payload.first(kDatagramMax);
  WriteUdp(buffer, from, to, ttl, payload);
  Bytes bytes(buffer, kHeaders + payload.size());
  ++packets_sent_, ++core.totals.packets;
  bytes_sent_ += bytes.size(), core.totals.bytes += bytes.size();
  if (pcap_ != nullptr) pcap_->Write(core.now(), bytes);
  if (core.wants_packets) core.observer->OnSend(index_, bytes);
  return bytes;
}

void Host::Send(const Output& o, Bytes payload) {
  Socket* socket = FindSocket(o.id);
  if (socket == nullptr) {
    ++dead_ids_;
    return;
  }
  Core& core = *env_->core;
  Ep4 to = ToEp4(o.peer);
  if (o.peer.is_v4() && IsGroup(to.ip)) return SendToGroup(*socket, o, payload);
  const bool to_self = IsMine(to.ip);
  Port* port = to_self ? nullptr : Route(to.ip, socket->local.ip);
  Ep4 from = socket->local;
  if (to_self && to.ip >> 24 == 127) to.ip = default_port() != nullptr ? default_port()->address : to.ip;
  if (from.ip == 0) from.ip = to_self ? to.ip : port == nullptr ? 0 : port->address;

  uint8_t packet[kPacketMax];
  Bytes bytes = Sent(packet, from, to, o.ttl, payload);
  auto drop = [&](std::string_view why) { core.Dropped(MakeFrame(bytes, index_), why, plan().id); };
  if (!o.peer.is_v4() || (port == nullptr && !to_self)) return drop("no-route");
  if (firewall_ != nullptr) firewall_->Outbound(core.now(), {0, from.port}, to);
  if (to_self) {
    return core.After(0, [this, frame = MakeFrame(bytes, index_)]() mutable { Receive(std::move(frame), nullptr); });
  }
  if (full_ == nullptr || socket->shared) return port->Transmit(MakeFrame(bytes, index_));
  full_->Send(o.id, to, o.ttl, payload);
}

// By every interface on which the socket is a member, and back to the members here. ns-3's sockets know nothing of membership, so
// groups are ours on either stack.
void Host::SendToGroup(const Socket& socket, const Output& o, Bytes payload) {
  Core& core = *env_->core;
  const Ep4 to = ToEp4(o.peer);
  bool anywhere = false;
  uint8_t packet[kPacketMax];
  for (size_t i = 0; groups_ != nullptr && i < groups_->size(); ++i) {
    const Membership m = (*groups_)[i];
    if (m.socket != socket.id || m.group != to.ip || (m.port != nullptr && !m.port->up())) continue;
    anywhere = true;
    const uint32_t from = m.port == nullptr ? 0x7f000001 : m.port->address;
    Bytes bytes = Sent(packet, {from, socket.local.port}, to, o.ttl, payload);
    Frame frame = MakeFrame(bytes, index_);
    core.After(0, [this, frame, port = m.port] { ReceiveGroup(frame, port, {}); });
    if (m.port != nullptr && o.ttl > 0) m.port->Transmit(std::move(frame));
  }
  if (!anywhere) core.Dropped(MakeFrame(Sent(packet, socket.local, to, o.ttl, payload), index_), "no-route", plan().id);
}

IpStack* Host::Ip() {
  if (ip_ == nullptr) ip_ = std::make_unique<IpStack>(this, absl::MakeConstSpan(ports_));
  return ip_.get();
}

TcpStack& Host::Tcp() {
  if (tcp_ == nullptr) tcp_ = std::make_unique<TcpStack>(this, env_->core, Ip(), KeyOf(env_->core->seed, plan().id, "tcp"));
  return *tcp_;
}

// Of TCP: UDP of the full stack was noted when the node sent it.
void Host::OnStackSend(Port&, const Frame& frame) {
  Core& core = *env_->core;
  uint8_t packet[kPacketMax];
  Bytes bytes = CopyBytes(frame, packet);
  if (Protocol(packet) != kTcp) return;
  ++packets_sent_, ++core.totals.packets;
  bytes_sent_ += bytes.size(), core.totals.bytes += bytes.size();
  if (pcap_ != nullptr) pcap_->Write(core.now(), bytes);
  if (core.wants_packets) core.observer->OnSend(index_, bytes);
  if (tcp_firewall_ != nullptr) tcp_firewall_->Outbound(core.now(), {0, Source(packet).port}, Target(packet), MarkOf(TcpFlags(packet)));
}

void Host::OnFrame(Port& port, Frame frame) {
  // Sent by a neighbour in the middle of its turn, or of its TCP's work; ours comes after it.
  if (env_->core->busy || env_->core->in_stack) {
    return env_->core->After(0, [this, &port, frame = std::move(frame)]() mutable { OnFrame(port, std::move(frame)); });
  }
  if (env_->core->cuts.Apart(frame.from, index_)) return env_->core->Dropped(frame, "partition", plan().id);
  Receive(std::move(frame), &port);
}

void Host::Receive(Frame frame, Port* port) {
  Core& core = *env_->core;
  auto drop = [&](std::string_view why) { core.Dropped(frame, why, plan().id); };
  if (!up() && !refuses_) return drop("down");
  uint8_t packet[kPacketMax];
  Bytes bytes = CopyBytes(frame, packet);
  if (bytes.size() > kIpHeader && Protocol(packet) == kTcp && port != nullptr) return ReceiveSegment(frame, *port, bytes);
  if (!up()) return drop("down");
  if (!IsSoundUdp(bytes)) return drop("corrupt");
  const Ep4 from = Source(packet), to = Target(packet);
  if (IsGroup(to.ip)) return ReceiveGroup(frame, port, bytes);
  const bool everyone = to.ip == 0xffffffff;
  if (port != nullptr && to.ip != port->address && !everyone) return drop("no-route");
  if (firewall_ != nullptr && port != nullptr &&
      firewall_->Inbound(core.now(), {1, to.port}, from).verdict != NatVerdict::kOk) {
    return drop("firewall");
  }
  // Of those that share a port, the first has it.
  auto socket = std::find_if(sockets_.begin(), sockets_.end(), [&](const Socket& s) {
    return s.local.port == to.port && (s.local.ip == 0 || s.local.ip == to.ip || everyone);
  });
  if (socket == sockets_.end()) return drop("no-socket");
  ++core.totals.delivered;
  if (pcap_ != nullptr) pcap_->Write(core.now(), bytes);
  if (core.wants_packets) core.observer->OnArrive(frame.from, index_, bytes);
  if (full_ != nullptr && port != nullptr && !socket->shared) return ip_->Receive(*port, bytes);
  OnDatagram(socket->id, from, bytes.subspan(kHeaders));
}

// `packet` empty: of our own, come back. Whoever is no member never sees it: an interface does not let it in.
void Host::ReceiveGroup(const Frame& frame, Port* port, Bytes packet) {
  Core& core = *env_->core;
  if (!up() || groups_ == nullptr) return;
  uint8_t buffer[kPacketMax];
  if (packet.empty()) packet = CopyBytes(frame, buffer);
  const Ep4 from = Source(packet.data()), to = Target(packet.data());
  absl::InlinedVector<uint32_t, 4> members;
  for (const Membership& m : *groups_) {
    const Socket* s = FindSocket(m.socket);
    if (m.group == to.ip && m.port == port && s->local.port == to.port) members.push_back(m.socket);
  }
  if (members.empty()) return;
  ++core.totals.delivered;
  if (pcap_ != nullptr) pcap_->Write(core.now(), packet);
  if (core.wants_packets) core.observer->OnArrive(frame.from, index_, packet);
  for (uint32_t id : members) {
    if (FindSocket(id) != nullptr) OnDatagram(id, from, packet.subspan(kHeaders));
  }
}

void Host::ReceiveSegment(const Frame& frame, Port& port, Bytes packet) {
  Core& core = *env_->core;
  auto drop = [&](std::string_view why) { core.Dropped(frame, why, plan().id); };
  if (!IsSoundTcp(packet)) return drop("corrupt");
  const Ep4 from = Source(packet.data()), to = Target(packet.data());
  const uint8_t flags = TcpFlags(packet.data());
  if (to.ip != port.address) return drop("no-route");
  if (tcp_firewall_ != nullptr &&
      tcp_firewall_->Inbound(core.now(), {1, to.port}, from, MarkOf(flags)).verdict != NatVerdict::kOk) {
    return drop("firewall");
  }
  if (tcp_ == nullptr) {  // Nothing here ever used TCP: the answer is the same, without a stack.
    drop("no-socket");
    if ((flags & kTcpRst) != 0) return;
    uint8_t reset[kTcpHeaders];
    WriteReset(reset, packet);
    Frame answer = MakeFrame(Bytes(reset, kTcpHeaders), index_);
    OnStackSend(port, answer);
    return port.Transmit(std::move(answer));
  }
  ++core.totals.delivered;
  if (pcap_ != nullptr) pcap_->Write(core.now(), packet);
  if (core.wants_packets) core.observer->OnArrive(frame.from, index_, packet);
  tcp_->Receive(port, packet);
  Settle();
}

void Host::OnDatagram(uint32_t socket, Ep4 from, Bytes payload) {
  if (up()) Feed(Datagram{SocketId{socket}, from.endpoint(), payload});
}

}  // namespace orchard::sim
