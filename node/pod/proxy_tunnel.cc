// CONNECT: bytes both ways, each half closed for itself. RFC 9110 §9.3.6.
#include <algorithm>

#include "node/pod/proxy_client.h"
#include "node/pod/proxy_trace.h"

namespace orchard::pod {

void ProxyClient::BeginTunnel(ProxyTurn& t) {
  const auto authority = http::Authority::Parse(server_.request().target, 0);
  if (!authority.ok()) {
    ++t.stats.refused;
    const std::string why(authority.status().message());
    return Fail(t, 400, "http_request_error", why);
  }
  DropOrigin(t);
  origin_ = *authority, tried_ = 0;
  if (const auto through = server_.request().headers.Find(kUplinkHeader); through.has_value() && *through != "own") return BeginRelay(t, *through);
  addresses_ = http::Addresses();
  step_ = Step::kResolving;
  if (addresses_.Ask(t.turn, t.ids, origin_)) ConnectTunnel(t);
}

void ProxyClient::ConnectTunnel(ProxyTurn& t) {
  const Endpoint to = addresses_.now();
  if (IsLoop(t, to)) return Fail(t, 502, "proxy_loop_detected", "the proxy was asked for itself");
  ++tried_;
  step_ = Step::kTunnelling;
  tunnel_ = std::make_unique<Tunnel>(Tunnel{.stream = t.ids.NextStream()});
  t.origins.emplace(tunnel_->stream, server_.stream());
  t.turn.out.Connect(tunnel_->stream, to);
  tunnel_->deadline = t.turn.now + t.config.origin.connect;
}

void ProxyClient::OnTunnelInput(ProxyTurn& t, const Input& input) {
  Tunnel& tunnel = *tunnel_;
  if (const auto* closed = std::get_if<StreamClosed>(&input)) return tunnel.gone = true, OnTunnelClosed(t, closed->status);
  if (std::holds_alternative<StreamOpened>(input)) {
    tunnel.out.OnOpened(t.turn, tunnel.stream);
    tunnel.in.OnOpened(t.turn, tunnel.stream);
    OnTunnelOpen(t);
  } else if (const auto* credit = std::get_if<StreamCredit>(&input)) {
    tunnel.out.OnCredit(t.turn, tunnel.stream, credit->bytes);
  } else if (std::holds_alternative<StreamEnded>(input)) {
    tunnel.origin_ended = true;
  } else if (const auto* data = std::get_if<StreamData>(&input)) {
    tunnel.in.OnData(data->bytes.size());
    TunnelDown(t, data->bytes);
  }
  StirTunnel(t);
  PumpTunnel(t);
}

void ProxyClient::OnTunnelOpen(ProxyTurn& t) {
  tunnel_->open = true;
  ++t.stats.tunnels;
  server_.OpenTunnel(t.turn, t.heard);
}

void ProxyClient::TunnelDown(ProxyTurn& t, Bytes bytes) {
  if (tunnel_->down.empty()) {
    const size_t n = std::min(server_.room(), bytes.size());
    server_.WriteTunnel(t.turn, bytes.subspan(0, n));
    TunnelTook(t, n);
    t.stats.body_bytes += n;
    bytes.remove_prefix(n);
  }
  tunnel_->down.Push(bytes);
}

void ProxyClient::TunnelUp(ProxyTurn& t, Bytes bytes) {
  if (tunnel_ == nullptr) return;
  Tunnel& tunnel = *tunnel_;
  if (tunnel.up.empty()) {
    const size_t n = tunnel.gone ? bytes.size() : std::min(TunnelRoom(t), bytes.size());
    if (!tunnel.gone) TunnelWrite(t, bytes.subspan(0, n));
    server_.Took(t.turn, n);
    bytes.remove_prefix(n);
  }
  tunnel.up.Push(bytes);
  StirTunnel(t);
}

void ProxyClient::PumpTunnel(ProxyTurn& t) {
  Tunnel& tunnel = *tunnel_;
  if (!tunnel.open) return;
  while (!tunnel.up.empty() && !tunnel.gone && TunnelRoom(t) > 0) {
    const Bytes piece = tunnel.up.front(TunnelRoom(t));
    TunnelWrite(t, piece);
    server_.Took(t.turn, piece.size());
    tunnel.up.Pop(piece.size());
  }
  if (tunnel.client_ended && tunnel.up.empty() && !tunnel.gone) TunnelEnd(t);
  while (!tunnel.down.empty() && server_.room() > 0) {
    const Bytes piece = tunnel.down.front(server_.room());
    server_.WriteTunnel(t.turn, piece);
    if (!tunnel.gone) TunnelTook(t, piece.size());
    t.stats.body_bytes += piece.size();
    tunnel.down.Pop(piece.size());
  }
  if (tunnel.origin_ended && tunnel.down.empty() && !tunnel.told_client) {
    tunnel.told_client = true;
    server_.EndTunnel(t.turn);
  }
}

void ProxyClient::OnTunnelClosed(ProxyTurn& t, absl::StatusCode status) {
  if (tunnel_->open) {
    // Both halves ended: what is queued still goes to the client. Else: reset, and so is the client.
    if (status != absl::StatusCode::kOk) Cut(t, "reset");
    return;
  }
  const http::Failure why = http::ConnectFailure(status);
  DropTunnel(t);
  if (tried_ >= addresses_.size()) return FailFor(t, why, http::Refusal::kNone);
  addresses_.Next();
  ConnectTunnel(t);
}

void ProxyClient::StirTunnel(ProxyTurn& t) {
  if (tunnel_ == nullptr || !tunnel_->open) return;
  const bool half = tunnel_->client_ended || tunnel_->origin_ended;
  tunnel_->deadline = t.turn.now + (half ? t.config.tunnel_half : t.config.tunnel_idle);
}

void ProxyClient::DropTunnel(ProxyTurn& t) {
  if (tunnel_ == nullptr) return;
  const std::unique_ptr<Tunnel> tunnel = std::move(tunnel_);
  if (tunnel->relay.has_value()) {
    t.relays.erase(*tunnel->relay);
    if (!tunnel->gone) t.downloads.relays()->CloseRelay(t.turn, *tunnel->relay, t.news);
    return;
  }
  if (!tunnel->gone) t.turn.out.Close(tunnel->stream);
  t.origins.erase(tunnel->stream);
}

}  // namespace orchard::pod
