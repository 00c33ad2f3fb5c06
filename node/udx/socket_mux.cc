#include "node/udx/socket_mux.h"

#include <algorithm>

namespace orchard::udx {

DatagramKind Classify(Bytes p) {
  if (p.size() == 1) return DatagramKind::kProbe;
  if (p.size() < 2) return DatagramKind::kForeign;
  if (p.size() >= SocketMux::kUdxHeaderBytes && p[0] == 0xff && p[1] == 0x01) return DatagramKind::kUdx;
  return p[0] == 0x03 ? DatagramKind::kRequest : p[0] == 0x13 ? DatagramKind::kResponse : DatagramKind::kForeign;
}

void SocketMux::Open(Turn& turn) {
  binding_ = Binding::kOpening, tries_ = 0;
  TryServerPort(turn);
}

// The port of an earlier life comes with the configuration: it is the first of the range.
void SocketMux::TryServerPort(Turn& turn) {
  bool any = config_.port == 0 || tries_ >= kPortsTried || uint32_t{config_.port} + tries_ > 65535;
  OpenOne(turn, SocketRole::kServer, any ? 0 : uint16_t(config_.port + tries_));
  tries_ = any ? kPortsTried + 1 : uint8_t(tries_ + 1);
}

void SocketMux::OpenOne(Turn& turn, SocketRole role, uint16_t port) {
  sockets_[size_t(role)] = {SocketId{next_id_++}, {}, false};
  turn.out.OpenSocket(socket(role), config_.host.with_port(port));
}

void SocketMux::Close(Turn& turn) {
  for (Socket& s : sockets_) {
    if (s.id != SocketId{0}) turn.out.CloseSocket(s.id);
    s = {};
  }
  for (const Socket& s : extras_) turn.out.CloseSocket(s.id);
  extras_.clear();
  binding_ = Binding::kClosed;
}

std::optional<SocketRole> SocketMux::role(SocketId socket) const {
  for (SocketRole r : {SocketRole::kServer, SocketRole::kClient}) {
    if (sockets_[size_t(r)].id == socket && socket != SocketId{0}) return r;
  }
  return std::nullopt;
}

SocketId SocketMux::OpenExtra(Turn& turn, SocketMark mark) {
  if (extras_.size() >= kExtraMax) return SocketId{0};
  extras_.push_back({SocketId{next_id_++}, {}, false, mark});
  turn.out.OpenSocket(extras_.back().id, config_.host.with_port(0));
  return extras_.back().id;
}

void SocketMux::CloseExtra(Turn& turn, SocketId socket) {
  const Socket* s = FindExtra(socket);
  if (s == nullptr) return;
  turn.out.CloseSocket(socket);
  extras_.erase(extras_.begin() + (s - extras_.data()));
}

std::optional<SocketMark> SocketMux::mark(SocketId socket) const {
  const Socket* s = FindExtra(socket);
  return s == nullptr ? std::nullopt : std::optional(s->mark);
}

const Endpoint* SocketMux::extra_local(SocketId socket) const {
  const Socket* s = FindExtra(socket);
  return s != nullptr && s->open ? &s->local : nullptr;
}

const SocketMux::Socket* SocketMux::FindExtra(SocketId socket) const {
  auto it = std::lower_bound(extras_.begin(), extras_.end(), socket, [](const Socket& s, SocketId id) { return s.id < id; });
  return it != extras_.end() && it->id == socket ? &*it : nullptr;
}

bool SocketMux::OnSocketOpened(Turn& turn, const SocketOpened& opened) {
  if (const Socket* found = FindExtra(opened.socket); found != nullptr) {
    Socket& s = extras_[size_t(found - extras_.data())];
    if (opened.status == absl::StatusCode::kOk) {
      s.local = opened.local, s.open = true;
    } else {
      extras_.erase(extras_.begin() + (found - extras_.data()));  // The host never made it.
    }
    return true;
  }
  std::optional<SocketRole> r = role(opened.socket);
  if (!r.has_value() || binding_ != Binding::kOpening) return false;
  Socket& s = sockets_[size_t(*r)];
  if (opened.status == absl::StatusCode::kOk) {
    s.local = opened.local, s.open = true;
    if (*r == SocketRole::kServer) {
      OpenOne(turn, SocketRole::kClient, 0);
    } else {
      binding_ = Binding::kOpen;
    }
  } else if (*r == SocketRole::kServer && config_.any_port && tries_ <= kPortsTried) {
    TryServerPort(turn);
  } else {
    failure_ = opened.status;
    s.id = SocketId{0};  // The host never made it.
    Close(turn);
    binding_ = Binding::kFailed;
  }
  return true;
}

void SocketMux::CountDropped(DatagramKind kind) {
  ++(kind == DatagramKind::kUdx ? counters_.udx : kind == DatagramKind::kProbe ? counters_.probes : counters_.foreign);
}

}  // namespace orchard::udx
