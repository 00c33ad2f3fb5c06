#include "node/hyperdht/knock.h"

#include <algorithm>
#include <utility>

#include "node/hyperdht/addresses.h"
#include "node/hyperdht/connect_trace.h"

namespace orchard::hyperdht {

Knock::Knock(ConnectionId connection, ServerHandshake handshake, Came came)
    : connection_(connection), handshake_(std::move(handshake)), came_(std::move(came)) {}

// ---- The answer ----

void Knock::OnAgain(World& w, Came came) {
  if (answered_ && !noise_.empty()) return SendAnswer(w, came);
  if (!answered_ && waiting_.size() < kWaitingMax) waiting_.push_back(std::move(came));
}

void Knock::Answer(World& w, const NoisePayload& ours, bool open, bool relay_only, bool birthday, PunchPolicy punches, News& news) {
  answered_ = true, punches_ = punches;
  absl::StatusOr<std::string> noise = handshake_.Answer(ours);
  if (!noise.ok()) {
    w.turn.trace.Add(ConnectRefused{.why = "forged"});
    return Fail(w, ConnectCode::kServerError, news);
  }
  noise_ = *std::move(noise);
  accepted_ = handshake_.accepted();
  has_relay_ = ours.relay_through.has_value() || remote().relay_through.has_value();
  const Endpoint seen_as = came_.request.to.endpoint();
  auto send_all = [&] {
    SendAnswer(w, came_);
    for (const Came& c : std::exchange(waiting_, {})) SendAnswer(w, c);
  };

  if (ours.error != 0) {
    send_all();
    return Fail(w, relay_only ? ConnectCode::kCannotHolepunch : ConnectCode::kServerIncompatible, news);
  }
  if (relay_only) {
    send_all();
    return Fail(w, ConnectCode::kCannotHolepunch, news);
  }
  if (FirewallOf(remote().firewall) == Firewall::kOpen || came_.direct) {
    send_all();
    const SocketId socket = came_.direct ? came_.request.socket : w.main_socket();
    news.push_back({.event = Event::kPath, .socket = socket, .to = came_.client, .path = Path::kDirect});
    return;
  }
  initial_until_ = w.turn.now + kInitialWait;
  // Behind one and the same NAT: it comes to our local address by itself, which is the main socket's. If a firewall stands
  // between, or the two LANs only look alike, punching around the NAT may still do.
  if (came_.client.ip == seen_as.ip) {
    std::vector<Endpoint> theirs;
    std::copy_if(remote().addresses4.begin(), remote().addresses4.end(), std::back_inserter(theirs), IsPrivate);
    same_lan_ = MatchAddress(w.locals, theirs).has_value();
  }
  if (open) {
    send_all();
    news.push_back({.event = Event::kStep, .step = ConnectStep::kPassive});
    return;
  }
  secure_.emplace(HolepunchSecret(accepted_->keys.handshake_hash), w.turn.rng);
  puncher_ = std::make_unique<Puncher>(
      Puncher::Config{.initiator = false, .dht_firewalled = w.rpc.firewalled(), .birthday = birthday, .asker = AskerOf(connection_)}, &w.limiter);
  puncher_->UpdateRemote(false, FirewallOf(remote().firewall), nullptr, std::nullopt);
  puncher_->Start(w.turn, w.rpc);
  send_all();
  news.push_back({.event = Event::kStep, .step = ConnectStep::kProbe});
}

void Knock::Refuse(Turn& turn) {
  answered_ = settled_ = true;
  waiting_.clear();
  clear_at_ = turn.now + kClearAfter;
}

void Knock::OnOpened(Instant now) {
  opened_ = true;
  if (settled_ && puncher_ == nullptr) clear_at_ = now;
}

void Knock::SendAnswer(World& w, const Came& came) {
  HandshakeEnvelope envelope{.mode = uint64_t(Mode::kFromServer), .noise = noise_, .peer_address = came.client};
  if (came.direct) {
    envelope.mode = uint64_t(Mode::kReply), envelope.peer_address.reset();
    std::string value = envelope.Encode();
    return w.rpc.Reply(w.turn, came.request, AsBytes(value), {.token = false, .closer = false});
  }
  std::string value = envelope.Encode();
  const Ipv4Address to = came.second_relay.has_value() ? Ipv4Address::Of(*came.second_relay) : came.request.from;
  // The relay tells the client where this answer came from: the mapping to punch is that of the punching socket.
  std::optional<SocketId> socket;
  if (!same_lan_ && puncher_ != nullptr && puncher_->socket() != SocketId{0}) socket = puncher_->socket();
  w.rpc.Relay(w.turn, came.request, AsBytes(value), to, socket);
}

// ---- Messages of a hole punch ----

void Knock::OnHolepunch(World& w, const dht::Request& request, const HolepunchEnvelope& envelope, bool own_relay, bool has_relay,
                        News& news) {
  has_relay_ = has_relay_ || has_relay;
  if (!envelope.peer_address.has_value() || envelope.peer_address->port == 0 || !answered_) return;
  const Endpoint peer = *envelope.peer_address;
  if (!secure_.has_value()) return;  // We wait for it on the LAN, or at our open address, and have nothing to say.
  if (puncher_ == nullptr || puncher_->destroyed() || puncher_->socket() == SocketId{0}) {
    return Abort(w, request, peer, Error::kAborted, news);
  }
  absl::StatusOr<HolepunchPayload> payload = secure_->Open(AsBytes(envelope.payload));
  if (!payload.ok()) {
    w.turn.trace.Add(ConnectRefused{.why = "forged"});
    return;
  }
  auto same = [&](const Message& m) { return m.request.tid == request.tid && m.request.from == request.from; };
  if (std::any_of(messages_.begin(), messages_.end(), same)) return;  // It is being worked on.
  if (messages_.size() >= kPunchMessagesMax) {
    w.turn.trace.Add(ConnectRefused{.why = "overload"});
    return;
  }
  Message m{.request = request, .peer = peer, .payload = *std::move(payload), .own_relay = own_relay};
  m.request.value.reset();
  messages_.push_back(std::move(m));
  if (messages_.size() == 1) NextMessage(w, news);
}

void Knock::NextMessage(World& w, News& news) {
  const Message& m = messages_.front();
  const HolepunchPayload& p = m.payload;
  if (p.error != 0) {
    round_ = std::max(round_, p.round);
    const Message last = m;
    messages_.clear();
    return Abort(w, last.request, last.peer, Error::kAborted, news);
  }
  const bool echoed = m.own_relay && p.remote_token == secure_->token(m.peer);
  if (m.request.socket == puncher_->socket()) puncher_->nat().Add(m.request.to, m.request.from);
  if (p.round >= round_) {
    round_ = p.round;
    std::optional<Endpoint> verified;
    if (echoed) verified = m.peer;
    puncher_->UpdateRemote(p.punching, p.firewall, p.addresses ? &*p.addresses : nullptr, verified);
  }
  analyzing_ = true, reopening_ = false;
  Puncher::News happened;
  puncher_->Analyze(w.turn, w.rpc, /*allow_reopen=*/false, happened);
  OnPuncher(w, happened, news);
}

void Knock::AfterAnalysis(World& w, News& news) {
  if (!std::exchange(analyzing_, false) || messages_.empty()) return;
  if (!puncher_->stable() && !puncher_->remote_punching()) {
    if (!std::exchange(reopening_, true)) {
      analyzing_ = true;
      Puncher::News happened;
      puncher_->Analyze(w.turn, w.rpc, /*allow_reopen=*/true, happened);
      return OnPuncher(w, happened, news);
    }
    const Message m = messages_.front();
    messages_.clear();
    return Abort(w, m.request, m.peer, Error::kAborted, news);
  }
  AnswerMessage(w, news);
}

void Knock::AnswerMessage(World& w, News& news) {
  const Message m = std::move(messages_.front());
  messages_.erase(messages_.begin());
  const HolepunchPayload& p = m.payload;
  const Nat& nat = std::as_const(*puncher_).nat();
  const std::optional<std::vector<Endpoint>>& ours = nat.addresses();
  const bool reachable = nat.firewall() == Firewall::kOpen || nat.firewall() == Firewall::kConsistent;
  if (reachable && p.remote_address.has_value() && ours.has_value() &&
      std::find(ours->begin(), ours->end(), *p.remote_address) != ours->end()) {
    puncher_->Ping(w.turn, w.rpc, m.peer);  // It has opened its filter for exactly this address of ours.
  }
  HolepunchPayload says{.firewall = nat.firewall(), .round = round_};
  says.remote_token = p.token;
  if (m.own_relay) says.token = secure_->token(m.peer);
  if (puncher_->remote_punching()) {
    if (!MayPunch(punches_, nat.firewall(), puncher_->remote_firewall())) return messages_.clear(), Abort(w, m.request, m.peer, Error::kAborted, news);
    initial_until_ = kNever;
    const bool random = puncher_->remote_firewall() >= Firewall::kRandom || nat.firewall() >= Firewall::kRandom;
    if (random && !puncher_->punching() && w.limiter.busy(w.turn.now)) {
      if (!has_relay_) return messages_.clear(), Abort(w, m.request, m.peer, Error::kTryLater, news);
      says.error = uint64_t(Error::kTryLater);
    } else if (!puncher_->Punch(w.turn, w.rpc)) {
      return messages_.clear(), Abort(w, m.request, m.peer, Error::kAborted, news);
    } else {
      news.push_back({.event = Event::kStep, .step = ConnectStep::kPunch});
    }
  }
  // What the other side is told stays so.
  if (nat.firewall() != Firewall::kUnknown) puncher_->nat().Freeze();
  says.connected = puncher_->connected(), says.punching = puncher_->punching(), says.addresses = nat.addresses();
  Reply(w, m.request, m.peer, says, puncher_->socket());
  if (!messages_.empty()) NextMessage(w, news);
}

void Knock::Reply(World& w, const dht::Request& request, const Endpoint& peer, const HolepunchPayload& payload,
                  std::optional<SocketId> socket) {
  HolepunchEnvelope envelope{.mode = uint64_t(Mode::kFromServer), .payload = secure_->Seal(payload, w.turn.rng), .peer_address = peer};
  std::string value = envelope.Encode();
  w.rpc.Relay(w.turn, request, AsBytes(value), request.from, socket);
}

// From the main socket, since the punching ones are gone. Source: npm hyperdht lib/server.js, _abort.
void Knock::Abort(World& w, const dht::Request& request, const Endpoint& peer, Error error, News& news) {
  Reply(w, request, peer, {.error = uint64_t(error)}, w.main_socket());
  GiveUpPunching(w, news);
}

void Knock::GiveUpPunching(World& w, News& news) {
  if (!same_lan_) return Fail(w, ConnectCode::kHolepunchAborted, news);
  // It needs no hole to come to our local address, and may be on its way. If it is none, both have a relay to wait at.
  news.push_back({.event = Event::kGivenUp, .code = ConnectCode::kHolepunchAborted});
  messages_.clear();
  if (initial_until_ == kNever) initial_until_ = w.turn.now + kInitialWait;
  if (puncher_ != nullptr && !puncher_->destroyed()) puncher_->Destroy(w.turn, w.rpc);
}

// ---- Its puncher and its timers ----

void Knock::OnPuncher(World& w, Puncher::News& happened, News& news) {
  for (const Puncher::Happened& h : happened) {
    if (settled_ || failed_) return;
    switch (h.event) {
      case Puncher::Event::kAnalyzed: AfterAnalysis(w, news); break;
      case Puncher::Event::kConnected: break;  // The client's first packet says so.
      case Puncher::Event::kAborted: GiveUpPunching(w, news); break;
    }
  }
}

bool Knock::OnReply(World& w, const dht::ReplyReceived& reply, News& news) {
  if (puncher_ == nullptr) return false;
  Puncher::News happened;
  const bool ours = puncher_->OnReply(w.turn, w.rpc, reply, happened);
  OnPuncher(w, happened, news);
  return ours;
}

bool Knock::OnFailure(World& w, const dht::RequestFailed& failed, News& news) {
  if (puncher_ == nullptr) return false;
  Puncher::News happened;
  const bool ours = puncher_->OnFailure(w.turn, w.rpc, failed, happened);
  OnPuncher(w, happened, news);
  return ours;
}

bool Knock::OnProbe(World& w, SocketId socket, const Endpoint& from, News& news) {
  if (puncher_ == nullptr || !puncher_->owns(socket)) return false;
  Puncher::News happened;
  puncher_->OnProbe(w.turn, w.rpc, socket, from, happened);
  OnPuncher(w, happened, news);
  return true;
}

bool Knock::OnSocketOpened(World& w, const SocketOpened& opened, News& news) {
  if (puncher_ == nullptr) return false;
  Puncher::News happened;
  const bool ours = puncher_->OnSocketOpened(w.turn, w.rpc, opened, happened);
  OnPuncher(w, happened, news);
  return ours;
}

void Knock::OnTime(World& w, News& news) {
  if (initial_until_ <= w.turn.now) {
    initial_until_ = kNever;
    return Fail(w, ConnectCode::kHolepunchAborted, news);
  }
  if (puncher_ == nullptr || puncher_->next_deadline() > w.turn.now) return;
  Puncher::News happened;
  puncher_->OnTime(w.turn, w.rpc, happened);
  OnPuncher(w, happened, news);
}

Instant Knock::next_deadline() const {
  Instant next = std::min(initial_until_, clear_at_);
  return puncher_ == nullptr ? next : std::min(next, puncher_->next_deadline());
}

void Knock::Fail(World& w, ConnectCode code, News& news) {
  if (failed_ || settled_) return;
  failed_ = true;
  Settle(w, std::nullopt);
  news.push_back({.event = Event::kFailed, .code = code});
}

void Knock::Settle(World& w, std::optional<SocketId> keep) {
  initial_until_ = kNever;
  messages_.clear();
  if (!std::exchange(settled_, true)) clear_at_ = w.turn.now + kClearAfter;
  if (puncher_ == nullptr) return;
  if (keep.has_value() && puncher_->owns(*keep)) puncher_->Settle(w.turn, w.rpc, keep);
  else puncher_->Destroy(w.turn, w.rpc);
}

}  // namespace orchard::hyperdht
