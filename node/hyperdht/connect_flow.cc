#include "node/hyperdht/connect_flow.h"

#include <algorithm>
#include <utility>

#include "node/hyperdht/addresses.h"
#include "node/hyperdht/connect_trace.h"
#include "node/hyperdht/signatures.h"

namespace orchard::hyperdht {

void ConnectFlow::Begin(World& w, News& news) {
  if (spec_.candidates.size() > kAttemptsMax) spec_.candidates.resize(kAttemptsMax);
  Enter(ConnectStep::kFindPeer, news);
  if (spec_.candidates.empty()) Search(w, /*seeded=*/false);
  else search_at_ = w.turn.now + kSearchAfter;
  Pump(w, news);
}

void ConnectFlow::Search(World& w, bool seeded) {
  ++queries_, search_at_ = kNever;
  std::vector<dht::Contact> seeds;
  if (seeded) {
    for (Ipv4Address a : spec_.candidates) seeds.push_back({a, dht::IdOf(a)});
  }
  query_ = w.rpc.StartQuery(w.turn, {.target = spec_.target, .command = kFindPeer, .seeds = seeds, .retries = 3, .asker = AskerOf(spec_.connection)});
}

void ConnectFlow::Remember(Ipv4Address node) {
  auto is = [&](const std::vector<Ipv4Address>& list) { return std::find(list.begin(), list.end(), node) != list.end(); };
  if (found_.size() < kAttemptsMax && !is(found_) && !is(spec_.candidates)) found_.push_back(node);
}

bool ConnectFlow::OnQueryReply(World& w, const dht::QueryReply& reply, News& news) {
  if (query_ != reply.query) return false;
  if (reply.response.value.has_value()) Remember(reply.response.from), Pump(w, news);
  return true;
}

bool ConnectFlow::OnQueryFinished(World& w, const dht::QueryFinished& finished, News& news) {
  if (query_ != finished.query) return false;
  query_.reset();
  searched_ += finished.replies;
  // Candidates that are gone may have led the search astray.
  if (queries_ == 1 && !spec_.candidates.empty()) Search(w, /*seeded=*/false);
  Pump(w, news);
  return true;
}

// Hands free places to the next nodes: the likely ones one after the other, those that the search finds beside them.
void ConnectFlow::Pump(World& w, News& news) {
  if (accepted_.has_value() || failed_) return;
  const size_t at_once = spec_.candidates.empty() ? kAtOnce : kAtOnceWithCandidates;
  while (attempts_.size() < at_once) {
    const bool busy = std::any_of(attempts_.begin(), attempts_.end(), [](const Attempt& a) { return a.candidate; });
    if (!busy && next_candidate_ < spec_.candidates.size()) {
      Try(w, spec_.candidates[next_candidate_++], true, news);
    } else if (next_found_ < found_.size()) {
      Try(w, found_[next_found_++], false, news);
    } else {
      break;
    }
  }
  // The first of those that likely know the peer did not lead there.
  if (queries_ == 0 && (attempts_.empty() || tried_ > 1)) Search(w, /*seeded=*/true);
  if (!attempts_.empty() || query_.has_value()) return;
  if (tried_ > 0) return Fail(w, ConnectCode::kPeerConnectionFailed, news);
  Fail(w, searched_ == 0 ? ConnectCode::kOffline : ConnectCode::kPeerNotFound, news);
}

void ConnectFlow::Try(World& w, Ipv4Address node, bool candidate, News& news) {
  if (tried_++ == 0) Enter(ConnectStep::kHandshake, news);
  HandshakeEnvelope envelope{.mode = uint64_t(Mode::kFromClient), .noise = handshake_.message()};
  std::string value = envelope.Encode();
  attempts_.push_back({w.rpc.Ask(w.turn, node, kPeerHandshake, spec_.target, AsBytes(value), {.asker = AskerOf(spec_.connection)}), node, candidate});
}

bool ConnectFlow::OnReply(World& w, const dht::ReplyReceived& reply, News& news) {
  auto a = std::find_if(attempts_.begin(), attempts_.end(), [&](const Attempt& x) { return x.request == reply.request; });
  if (a != attempts_.end()) {
    const Attempt attempt = *a;
    attempts_.erase(a);
    OnHandshakeReply(w, attempt, reply.response, news);
    return true;
  }
  if (lan_ping_ == reply.request) {
    lan_ping_.reset();
    ChoosePath(w.main_socket(), lan_address_, Path::kLan, news);
    return true;
  }
  if (punch_request_ == reply.request) {
    punch_request_.reset();
    ReleaseReservation(w);
    if (wait_ == Wait::kProbeReply) OnProbeReply(w, reply.response, news);
    else if (wait_ == Wait::kPunchReply) OnPunchReply(w, reply.response, news);
    return true;
  }
  if (puncher_ == nullptr) return false;
  Puncher::News happened;
  const bool ours = puncher_->OnReply(w.turn, w.rpc, reply, happened);
  OnPuncher(w, happened, news);
  return ours;
}

bool ConnectFlow::OnFailure(World& w, const dht::RequestFailed& failed, News& news) {
  auto a = std::find_if(attempts_.begin(), attempts_.end(), [&](const Attempt& x) { return x.request == failed.request; });
  if (a != attempts_.end()) {
    attempts_.erase(a);
    Pump(w, news);
    return true;
  }
  if (lan_ping_ == failed.request) {
    lan_ping_.reset();
    if (given_up_.has_value()) Fail(w, *given_up_, news);
    else if (puncher_ == nullptr) Fail(w, ConnectCode::kCannotHolepunch, news);  // It was the only path.
    return true;
  }
  if (punch_request_ == failed.request) {
    punch_request_.reset();
    ReleaseReservation(w);
    Abort(w, wait_ == Wait::kProbeReply ? ConnectCode::kProbeTimeout : ConnectCode::kHolepunchAborted, news);
    return true;
  }
  if (puncher_ == nullptr) return false;
  Puncher::News happened;
  const bool ours = puncher_->OnFailure(w.turn, w.rpc, failed, happened);
  OnPuncher(w, happened, news);
  return ours;
}

void ConnectFlow::OnHandshakeReply(World& w, const Attempt& attempt, const dht::Response& r, News& news) {
  auto bad = [&](std::string_view why) {
    if (!why.empty()) w.turn.trace.Add(ConnectRefused{.why = why});
    Pump(w, news);
  };
  // An answer without a value: that node lost its way to the peer. Answers match by tid alone, so others may come.
  if (!r.value.has_value()) return bad({});
  if (r.from != attempt.node) return bad("forged");
  absl::StatusOr<HandshakeEnvelope> envelope = HandshakeEnvelope::Decode(*r.value);
  if (!envelope.ok() || envelope->mode != uint64_t(Mode::kReply) || envelope->noise.empty()) return bad("malformed");
  absl::StatusOr<Accepted> accepted = handshake_.Finish(AsBytes(envelope->noise));
  if (!accepted.ok()) return bad("forged");

  for (const Attempt& a : attempts_) w.rpc.Cancel(w.turn, a.request);
  attempts_.clear(), search_at_ = kNever;
  if (query_.has_value()) w.rpc.Cancel(w.turn, *query_);
  query_.reset();

  const NoisePayload& payload = accepted->payload;
  if (payload.version != 1) return Fail(w, ConnectCode::kServerIncompatible, news);
  if (payload.error == uint64_t(Error::kVersionMismatch)) return Fail(w, ConnectCode::kServerIncompatible, news);
  if (payload.error != 0 || !payload.udx.has_value()) return Fail(w, ConnectCode::kServerError, news);
  met_ = {.relayed = envelope->peer_address.has_value(), .relay = attempt.node,
          .server = envelope->peer_address.value_or(attempt.node.endpoint()), .client = r.to.endpoint()};
  accepted_ = *std::move(accepted);
  news.push_back({.event = Event::kHandshaken});
  Decide(w, news);
}

// Which way leads there? Source: npm hyperdht lib/connect.js, connectThroughNode and holepunch: the order matters.
void ConnectFlow::Decide(World& w, News& news) {
  const NoisePayload& p = accepted_->payload;
  // Ours: one side wants to be met at a relay, or not at all.
  if (spec_.relay_only || (p.relay_through.has_value() && p.relay_through->only)) return Fail(w, ConnectCode::kCannotHolepunch, news);
  if (early_.has_value()) return ChoosePath(early_->socket, early_->to, early_->path, news);
  if (!met_.relayed) return ChoosePath(w.main_socket(), met_.server, Path::kDirect, news);

  const bool punchable = p.holepunch.has_value() && !p.holepunch->relays.empty();
  if (FirewallOf(p.firewall) == Firewall::kOpen || (!punchable && met_.server != met_.relay.endpoint())) {
    auto open = std::find_if(p.addresses4.begin(), p.addresses4.end(), [](const Endpoint& e) { return !IsBogon(e) && e.port != 0; });
    // An open server of a private network is reached where the relay sees it.
    return ChoosePath(w.main_socket(), open != p.addresses4.end() ? *open : met_.server, Path::kDirect, news);
  }
  if (spec_.open) {
    Enter(ConnectStep::kPassive, news);
    passive_until_ = w.turn.now + kPassiveWait;
    return;
  }
  const bool asking = spec_.lan && PingLan(w);
  if (asking) Enter(ConnectStep::kLanPing, news);
  if (punchable && spec_.punch) return StartPunch(w, news);
  if (!asking) Fail(w, ConnectCode::kCannotHolepunch, news);
}

bool ConnectFlow::PingLan(World& w) {
  std::array<uint8_t, 16> ours = met_.client.ip, theirs = met_.server.ip;
  if (ours != theirs) return false;
  std::vector<Endpoint> there;
  for (const Endpoint& e : accepted_->payload.addresses4) {
    if (!IsReserved(e) && e.port != 0) there.push_back(e);
  }
  if (there.empty()) return false;
  lan_address_ = MatchAddress(w.locals, there).value_or(there.front());
  lan_ping_ = w.rpc.Ping(w.turn, Ipv4Address::Of(lan_address_), /*retries=*/3, AskerOf(spec_.connection));
  return true;
}

void ConnectFlow::ChoosePath(SocketId socket, const Endpoint& to, Path path, News& news) {
  chosen_ = true;
  passive_until_ = kNever;
  news.push_back({.event = Event::kPath, .socket = socket, .to = to, .path = path});
}

void ConnectFlow::Fail(World& w, ConnectCode code, News& news) {
  if (failed_) return;
  if (lan_ping_.has_value()) {  // Punching may fail before a neighbour answers, who needs no hole.
    if (!std::exchange(given_up_, code).has_value()) StopPunching(w, std::nullopt);
    return;
  }
  failed_ = true;
  Stop(w, std::nullopt);
  news.push_back({.event = Event::kFailed, .code = code});
}

void ConnectFlow::Stop(World& w, std::optional<SocketId> keep) {
  for (const Attempt& a : attempts_) w.rpc.Cancel(w.turn, a.request);
  attempts_.clear(), search_at_ = kNever;
  if (query_.has_value()) w.rpc.Cancel(w.turn, *query_);
  if (lan_ping_.has_value()) w.rpc.Cancel(w.turn, *lan_ping_);
  query_.reset(), lan_ping_.reset();
  StopPunching(w, keep);
}

void ConnectFlow::StopPunching(World& w, std::optional<SocketId> keep) {
  if (punch_request_.has_value()) w.rpc.Cancel(w.turn, *punch_request_);
  punch_request_.reset();
  ReleaseReservation(w);
  passive_until_ = wake_at_ = kNever, wait_ = Wait::kNothing;
  if (puncher_ == nullptr) return;
  if (keep.has_value() && puncher_->owns(*keep)) puncher_->Settle(w.turn, w.rpc, keep);
  else puncher_->Destroy(w.turn, w.rpc);
}

void ConnectFlow::OnTime(World& w, News& news) {
  if (search_at_ <= w.turn.now) Search(w, /*seeded=*/true);
  if (passive_until_ <= w.turn.now) {
    passive_until_ = kNever;
    return Fail(w, ConnectCode::kHolepunchAborted, news);
  }
  if (wake_at_ <= w.turn.now) {
    wake_at_ = kNever;
    if (wait_ == Wait::kUnknownPause) {
      wait_ = Wait::kAnalysis;
      Enter(ConnectStep::kAnalyze, news);
      Puncher::News happened;
      puncher_->Analyze(w.turn, w.rpc, /*allow_reopen=*/false, happened);
      OnPuncher(w, happened, news);
    } else if (wait_ == Wait::kTryLater) {
      RoundPunch(w, /*delayed=*/true, news);
    }
  }
  if (puncher_ != nullptr && puncher_->next_deadline() <= w.turn.now) {
    Puncher::News happened;
    puncher_->OnTime(w.turn, w.rpc, happened);
    OnPuncher(w, happened, news);
  }
}

Instant ConnectFlow::next_deadline() const {
  Instant next = std::min({passive_until_, wake_at_, search_at_});
  return puncher_ == nullptr ? next : std::min(next, puncher_->next_deadline());
}

}  // namespace orchard::hyperdht
