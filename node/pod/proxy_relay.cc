// A tunnel through a member of the pod, for who asks for one by name: `orchard pod get`. Whoever reaches this proxy from elsewhere
// may not. And what a tunnel is made of: a stream of our own, or a relay.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/pod/proxy_client.h"
#include "node/pod/proxy_trace.h"

namespace orchard::pod {
namespace {

// RFC 9209 §2.3.
struct Named { int status; std::string_view error; };
Named NamedFor(RelayEnding why) {
  switch (why) {
    case RelayEnding::kNoName: return {502, "dns_error"};
    case RelayEnding::kForbidden: return {403, "destination_ip_prohibited"};
    case RelayEnding::kBadPort:
    case RelayEnding::kNotTls: return {403, "http_request_denied"};
    case RelayEnding::kTooMany: return {503, "connection_limit_reached"};
    case RelayEnding::kRefused: return {502, "connection_refused"};
    case RelayEnding::kUnreachable: return {504, "connection_timeout"};
    default: return {502, "connection_terminated"};
  }
}

}  // namespace

void ProxyClient::BeginRelay(ProxyTurn& t, std::string_view through) {
  if (t.config.anyone) return Fail(t, 403, "http_request_denied", "this proxy serves other machines too: it lends them no members");
  if (server_.request().headers.Count(kUplinkHeader) > 1) return Fail(t, 400, "http_request_error", absl::StrCat(std::string(kUplinkHeader), ": said twice"));
  const auto id = FromHex(through);
  if (!id.has_value() || id->size() != sizeof(DeviceId)) {
    ++t.stats.refused;
    return Fail(t, 400, "http_request_error", absl::StrCat(std::string(kUplinkHeader), ": neither \"own\" nor a member's id"));
  }
  DeviceId device;
  std::copy_n(AsBytes(*id).begin(), device.size(), device.begin());
  Relays* relays = t.downloads.relays();
  const auto relay = relays == nullptr ? std::nullopt : relays->OpenRelay(t.turn, device, origin_, t.news);
  if (!relay.has_value()) {
    return Fail(t, 502, "destination_unavailable", absl::StrCat("no member ", ToHex(device), " relays: it is gone, or pod.profile is not hardened"));
  }
  step_ = Step::kTunnelling;
  tunnel_ = std::make_unique<Tunnel>(Tunnel{.relay = relay});
  t.relays.emplace(*relay, server_.stream());
  tunnel_->deadline = t.turn.now + t.config.tunnel_half;  // The pod gives up before.
}

void ProxyClient::OnRelay(ProxyTurn& t, PodNews::value_type&& news) {
  Tunnel& tunnel = *tunnel_;
  if (const auto* gone = std::get_if<RelayGone>(&news)) {
    tunnel.gone = true;
    t.relays.erase(*tunnel.relay);
    if (!tunnel.open) FailRelay(t, gone->why);
    // Both halves ended: what is queued still goes to the client.
    else if (gone->why != RelayEnding::kDone) Cut(t, NameOf(gone->why));
    return Settle(t);
  }
  if (std::holds_alternative<RelayUp>(news)) OnTunnelOpen(t);
  if (const auto* got = std::get_if<RelayGot>(&news)) TunnelDown(t, AsBytes(got->bytes));
  if (std::holds_alternative<RelayHalf>(news)) tunnel.origin_ended = true;
  StirTunnel(t);
  PumpTunnel(t);
  Settle(t);
}

void ProxyClient::FailRelay(ProxyTurn& t, RelayEnding why) {
  const auto [status, error] = NamedFor(why);
  Fail(t, status, error, absl::StrCat(origin_.ToString(0), ", through a member: ", std::string(NameOf(why))));
}

size_t ProxyClient::TunnelRoom(const ProxyTurn& t) const {
  return tunnel_->relay.has_value() ? t.downloads.relays()->relay_room(*tunnel_->relay) : tunnel_->out.room();
}

void ProxyClient::TunnelWrite(ProxyTurn& t, Bytes bytes) {
  if (!tunnel_->relay.has_value()) tunnel_->out.Write(t.turn, tunnel_->stream, bytes);
  else if (!bytes.empty()) t.downloads.relays()->WriteRelay(t.turn, *tunnel_->relay, bytes, t.news);
}

void ProxyClient::TunnelTook(ProxyTurn& t, size_t bytes) {
  if (!tunnel_->relay.has_value()) tunnel_->in.Took(t.turn, tunnel_->stream, bytes);
  else if (bytes > 0) t.downloads.relays()->TookFromRelay(t.turn, *tunnel_->relay, bytes, t.news);
}

void ProxyClient::TunnelEnd(ProxyTurn& t) {
  if (!tunnel_->relay.has_value()) tunnel_->out.End(t.turn, tunnel_->stream);
  else t.downloads.relays()->EndRelay(t.turn, *tunnel_->relay, t.news);
}

}  // namespace orchard::pod
