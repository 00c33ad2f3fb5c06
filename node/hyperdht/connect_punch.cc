// ConnectFlow, second half: the messages of a hole punch, through the nodes that relay for the server.
// Source: npm hyperdht lib/connect.js (holepunch, probeRound, roundPunch).

#include <algorithm>
#include <utility>

#include "node/hyperdht/connect_flow.h"
#include "node/hyperdht/connect_trace.h"
#include "node/hyperdht/signatures.h"

namespace orchard::hyperdht {

void ConnectFlow::StartPunch(World& w, News& news) {
  const std::vector<NoisePayload::Relay>& relays = accepted_->payload.holepunch->relays;
  // Best if it is the node that the handshake went through: the server has a way open to it.
  auto same = std::find_if(relays.begin(), relays.end(), [&](const auto& r) { return r.relay_address == met_.relay.endpoint(); });
  server_relay_ = same != relays.end() ? *same : relays.front();
  if (server_relay_.relay_address.port == 0) return Fail(w, ConnectCode::kHolepunchInvalid, news);
  secure_.emplace(HolepunchSecret(accepted_->keys.handshake_hash), w.turn.rng);
  puncher_ = std::make_unique<Puncher>(
      Puncher::Config{.initiator = true, .dht_firewalled = spec_.firewalled || w.rpc.firewalled(),
                      .birthday = spec_.birthday, .confirm = spec_.confirm, .asker = AskerOf(spec_.connection)}, &w.limiter);
  puncher_->Start(w.turn, w.rpc);
  ProbeRound(w, /*retry=*/true, news);
}

// What we say of ourselves in every message.
HolepunchPayload ConnectFlow::Says(bool punching) const {
  const Nat& nat = std::as_const(*puncher_).nat();
  return {.firewall = nat.firewall(), .round = round_, .punching = punching, .addresses = nat.addresses()};
}

void ConnectFlow::Ask(World& w, Ipv4Address relay, const Endpoint& peer, HolepunchPayload payload, bool awaited) {
  payload.round = std::min(round_++, kRoundsMax);
  HolepunchEnvelope envelope{.mode = uint64_t(Mode::kFromClient), .id = accepted_->payload.holepunch->id,
                             .payload = secure_->Seal(payload, w.turn.rng), .peer_address = peer};
  std::string value = envelope.Encode();
  dht::RequestId request = w.rpc.Ask(w.turn, relay, kPeerHolepunch, spec_.target, AsBytes(value),
                                       {.socket = puncher_->socket(), .asker = AskerOf(spec_.connection)});
  if (!awaited) return;
  punch_request_ = request, asked_peer_ = peer, asked_relay_ = relay, sent_token_ = payload.token;
}

// What NAT has the other side? In passing our filter opens toward it, so that its fast ping may end all this.
void ConnectFlow::ProbeRound(World& w, bool retry, News& news) {
  if (round_ >= kRoundsMax) return Fail(w, ConnectCode::kHolepunchAborted, news);
  Enter(ConnectStep::kProbe, news);
  probe_retry_ = retry, wait_ = Wait::kProbeReply;
  if (spec_.fast_open) puncher_->OpenSession(w.turn, w.rpc, met_.server);
  HolepunchPayload says = Says(false);
  if (spec_.fast_open) says.remote_address = met_.server;
  Ask(w, Ipv4Address::Of(server_relay_.relay_address), server_relay_.peer_address, std::move(says), true);
}

std::optional<HolepunchPayload> ConnectFlow::OpenReply(const dht::Response& r, Endpoint* peer, News& news, World& w) {
  auto invalid = [&](std::string_view why) {
    w.turn.trace.Add(ConnectRefused{.why = why});
    Abort(w, ConnectCode::kHolepunchInvalid, news);
    return std::nullopt;
  };
  if (!r.value.has_value() || r.from != asked_relay_) return invalid("forged");
  absl::StatusOr<HolepunchEnvelope> envelope = HolepunchEnvelope::Decode(*r.value);
  if (!envelope.ok() || envelope->mode != uint64_t(Mode::kReply)) return invalid("malformed");
  absl::StatusOr<HolepunchPayload> payload = secure_->Open(AsBytes(envelope->payload));
  if (!payload.ok()) return invalid("forged");
  *peer = envelope->peer_address.value_or(r.from.endpoint());
  puncher_->nat().Add(r.to, r.from);
  return *std::move(payload);
}

void ConnectFlow::OnProbeReply(World& w, const dht::Response& r, News& news) {
  Endpoint peer;
  std::optional<HolepunchPayload> p = OpenReply(r, &peer, news, w);
  if (!p.has_value()) return;
  if (p->error != 0) return Abort(w, ConnectCode::kRemoteAborted, news);
  puncher_->UpdateRemote(p->punching, p->firewall, p->addresses ? &*p->addresses : nullptr, std::nullopt);
  remote_token_ = p->token;
  // The server took another socket meanwhile: its relay sees it elsewhere.
  if (server_relay_.relay_address == met_.relay.endpoint() && peer != met_.server) {
    met_.server = peer;
    puncher_->OpenSession(w.turn, w.rpc, peer);
  }
  if (puncher_->remote_firewall() == Firewall::kUnknown) {
    wait_ = Wait::kUnknownPause, wake_at_ = w.turn.now + kUnknownPause;
    return;
  }
  wait_ = Wait::kAnalysis;
  Enter(ConnectStep::kAnalyze, news);
  Puncher::News happened;
  puncher_->Analyze(w.turn, w.rpc, /*allow_reopen=*/false, happened);
  OnPuncher(w, happened, news);
}

void ConnectFlow::AfterAnalysis(World& w, News& news) {
  const bool stable = puncher_->stable();
  if (wait_ == Wait::kAnalysis && !stable) {
    wait_ = Wait::kReopened;
    Puncher::News happened;
    puncher_->Analyze(w.turn, w.rpc, /*allow_reopen=*/true, happened);
    return OnPuncher(w, happened, news);
  }
  // A new socket has another mapping, which the server must hear of.
  if (wait_ == Wait::kReopened && stable) return ProbeRound(w, /*retry=*/false, news);
  if ((puncher_->remote_firewall() == Firewall::kUnknown || !remote_token_.has_value()) && probe_retry_) {
    return ProbeRound(w, /*retry=*/false, news);
  }
  Conclude(w, news);
}

void ConnectFlow::Conclude(World& w, News& news) {
  const Firewall local = puncher_->nat().firewall(), remote = puncher_->remote_firewall();
  if (local == Firewall::kUnknown || remote == Firewall::kUnknown) return Abort(w, ConnectCode::kProbeTimeout, news);
  if (local >= Firewall::kRandom && remote >= Firewall::kRandom) return Abort(w, ConnectCode::kDoubleRandomized, news);
  if (!MayPunch(spec_.punches, local, remote)) return Abort(w, ConnectCode::kHolepunchAborted, news);
  RoundPunch(w, /*delayed=*/false, news);
}

void ConnectFlow::RoundPunch(World& w, bool delayed, News& news) {
  if (round_ >= kRoundsMax) return Fail(w, ConnectCode::kHolepunchAborted, news);
  puncher_->nat().Freeze();
  delayed_ = delayed_ || delayed;
  const Ipv4Address server_relay = Ipv4Address::Of(server_relay_.relay_address);
  if (puncher_->remote_firewall() >= Firewall::kRandom || puncher_->nat().firewall() >= Firewall::kRandom) {
    if (w.limiter.busy(w.turn.now)) {
      if (!relay_) return Abort(w, ConnectCode::kHolepunchAborted, news);
      if (!std::exchange(delayed_, true)) {
        HolepunchPayload says = Says(false);
        says.token = secure_->token(met_.server), says.remote_token = remote_token_;
        Ask(w, met_.relay, met_.server, std::move(says), false);
      }
      return TryLater(w, news);
    }
    reserved_ = true, ++w.limiter.running;
  }
  HolepunchPayload says = Says(true);
  says.remote_token = remote_token_;
  if (!delayed_) says.token = secure_->token(met_.server);
  wait_ = Wait::kPunchReply;
  Enter(ConnectStep::kPunch, news);
  // Through our own relay: the handshake's answer went from the server's punching socket to it, so a way is open there.
  if (delayed_) Ask(w, server_relay, server_relay_.peer_address, std::move(says), true);
  else Ask(w, met_.relay, met_.server, std::move(says), true);
}

void ConnectFlow::OnPunchReply(World& w, const dht::Response& r, News& news) {
  Endpoint peer;
  std::optional<HolepunchPayload> p = OpenReply(r, &peer, news, w);
  if (!p.has_value()) return;
  if (p->error == uint64_t(Error::kTryLater) && relay_) return TryLater(w, news);
  if (p->error != 0) return Abort(w, ConnectCode::kRemoteAborted, news);
  // The token came back: whoever sits at that host is the peer.
  std::optional<Endpoint> verified;
  if (sent_token_.has_value() && p->remote_token == sent_token_) verified = asked_peer_;
  puncher_->UpdateRemote(p->punching, p->firewall, p->addresses ? &*p->addresses : nullptr, verified);
  if (p->token.has_value()) remote_token_ = p->token;
  if (!puncher_->remote_punching()) return Abort(w, ConnectCode::kRemoteNotPunching, news);
  if (!puncher_->Punch(w.turn, w.rpc)) return Abort(w, ConnectCode::kRemoteNotPunchable, news);
  wait_ = Wait::kPunch;
}

void ConnectFlow::TryLater(World& w, News& news) {
  wait_ = Wait::kTryLater;
  Enter(ConnectStep::kTryLater, news);
  wake_at_ = w.turn.now + kTryLater + Duration(int64_t(w.turn.rng.Below(uint64_t(Duration(kTryLater).count()))));
}

void ConnectFlow::ReleaseReservation(World& w) {
  if (std::exchange(reserved_, false)) --w.limiter.running;
}

// Tells the server, so that it does not wait for us. Nothing is awaited.
void ConnectFlow::Abort(World& w, ConnectCode code, News& news) {
  if (failed_ || given_up_.has_value()) return;
  if (puncher_ != nullptr && round_ < kRoundsMax) {
    HolepunchPayload says{.error = uint64_t(Error::kAborted)};
    Ask(w, Ipv4Address::Of(server_relay_.relay_address), server_relay_.peer_address, std::move(says), false);
  }
  Fail(w, code, news);
}

bool ConnectFlow::OnProbe(World& w, SocketId socket, const Endpoint& from, News& news) {
  if (puncher_ == nullptr || !puncher_->owns(socket)) return false;
  Puncher::News happened;
  puncher_->OnProbe(w.turn, w.rpc, socket, from, happened);
  OnPuncher(w, happened, news);
  return true;
}

bool ConnectFlow::OnSocketOpened(World& w, const SocketOpened& opened, News& news) {
  if (puncher_ == nullptr) return false;
  Puncher::News happened;
  const bool ours = puncher_->OnSocketOpened(w.turn, w.rpc, opened, happened);
  OnPuncher(w, happened, news);
  return ours;
}

void ConnectFlow::OnPuncher(World& w, Puncher::News& happened, News& news) {
  for (const Puncher::Happened& h : happened) {
    if (chosen_ || failed_ || given_up_.has_value()) return;
    switch (h.event) {
      case Puncher::Event::kAnalyzed: AfterAnalysis(w, news); break;
      case Puncher::Event::kConnected: ChoosePath(h.socket, h.from, Path::kPunched, news); break;
      case Puncher::Event::kAborted: Fail(w, ConnectCode::kHolepunchAborted, news); break;
    }
  }
}

}  // namespace orchard::hyperdht
