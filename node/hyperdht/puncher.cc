// Sockets, sampling, analysis, ends. What is probed when: puncher_strategies.cc.
#include "node/hyperdht/puncher.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "node/dht/message.h"
#include "node/hyperdht/punch_trace.h"

namespace orchard::hyperdht {
namespace {

// In a table of so many nodes the latest ones are left alone: they are those of the query that just ran.
constexpr size_t kManyNodes = 8, kSkippedNodes = 5;

bool Predictable(Firewall f) { return f == Firewall::kConsistent || f == Firewall::kOpen; }

}  // namespace

Puncher::Puncher(const Config& config, PunchLimiter* limiter)
    : config_(config), limiter_(limiter), nat_(config.dht_firewalled) {}

void Puncher::Start(Turn& turn, dht::Rpc& rpc) {
  CHECK(life_ == Life::kNew);
  life_ = Life::kRunning, woken_ = turn.now;
  if (SocketId s = OpenSocket(turn, rpc); s != SocketId{0}) {
    number_ = uint32_t(s);
    Sample(turn, rpc);
  }
}

SocketId Puncher::OpenSocket(Turn& turn, dht::Rpc& rpc) {
  SocketId s = rpc.sockets().OpenExtra(turn, udx::SocketMark{uint32_t(config_.asker)});
  if (s != SocketId{0}) sockets_.push_back(s);
  return s;
}

bool Puncher::owns(SocketId socket) const { return std::find(sockets_.begin(), sockets_.end(), socket) != sockets_.end(); }

bool Puncher::OnSocketOpened(Turn& turn, dht::Rpc& rpc, const SocketOpened& opened, News& news) {
  auto it = std::find(sockets_.begin(), sockets_.end(), opened.socket);
  if (it == sockets_.end()) return false;
  const bool primary = it == sockets_.begin();
  if (opened.status == absl::StatusCode::kOk) {
    if (primary) local_ = opened.local;
    return true;
  }
  if (size_t(it - sockets_.begin()) < cursor_) --cursor_;
  sockets_.erase(it);
  refused_ = true;  // It will not be better with the next one.
  if (primary && life_ == Life::kRunning) Abort(turn, rpc, news);
  return true;
}

// ---- Our own NAT ----

void Puncher::Sample(Turn& turn, dht::Rpc& rpc) {
  // Who was silent in the first round is replaced once. Source: npm hyperdht lib/nat.js, autoSample.
  for (;;) {
    size_t skip = rpc.nodes() >= kManyNodes ? kSkippedNodes : 0;
    for (const dht::Contact& node : rpc.Nodes(skip + nat_.samplers() + Nat::kSamples)) {
      if (nat_.sampled() + pings_.size() >= Nat::kSamples) break;
      if (skip > 0 && skip-- > 0) continue;
      if (!nat_.Visit(node.address)) continue;
      pings_.push_back(rpc.Ask(turn, node.address, uint64_t(dht::Internal::kPing), std::nullopt, std::nullopt,
                               {.retries = 0, .internal = true, .socket = socket(), .asker = config_.asker}));
    }
    if (!pings_.empty() || nat_.sampled() >= Nat::kSamples) return;
    if (std::exchange(asked_again_, true)) return nat_.EndSampling();
  }
}

bool Puncher::OnReply(Turn& turn, dht::Rpc& rpc, const dht::ReplyReceived& reply, News& news) {
  return TakePing(turn, rpc, reply.request, &reply.response, news);
}

bool Puncher::OnFailure(Turn& turn, dht::Rpc& rpc, const dht::RequestFailed& failed, News& news) {
  return TakePing(turn, rpc, failed.request, nullptr, news);
}

bool Puncher::TakePing(Turn& turn, dht::Rpc& rpc, dht::RequestId request, const dht::Response* response, News& news) {
  auto it = std::find(pings_.begin(), pings_.end(), request);
  if (it == pings_.end()) return false;
  pings_.erase(it);
  if (response != nullptr) Count(turn, response->to, response->from);
  if (pings_.empty() && nat_.sampled() < Nat::kSamples) {
    if (std::exchange(asked_again_, true)) nat_.EndSampling();
    else Sample(turn, rpc);
  }
  Resume(turn, rpc, news);
  return true;
}

void Puncher::Count(Turn& turn, Ipv4Address seen_as, Ipv4Address sampler) {
  const uint32_t before = nat_.sampled();
  nat_.Add(seen_as, sampler);
  if (nat_.sampled() == before) return;
  turn.trace.Add(PunchSampled{.socket = number_, .reopens = reopens_, .samples = nat_.sampled(), .nat = FirewallName(nat_.firewall())});
}

void Puncher::CancelPings(Turn& turn, dht::Rpc& rpc) {
  for (dht::RequestId r : pings_) rpc.Cancel(turn, r);
  pings_.clear();
}

void Puncher::AddSample(Turn& turn, dht::Rpc& rpc, Ipv4Address seen_as, Ipv4Address sampler, News& news) {
  Count(turn, seen_as, sampler);
  Resume(turn, rpc, news);
}

// ---- Analysis ----

bool Puncher::unstable() const {
  return (remote_firewall_ == Firewall::kRandom && nat_.firewall() == Firewall::kRandom) || nat_.firewall() == Firewall::kUnknown;
}

void Puncher::Analyze(Turn& turn, dht::Rpc& rpc, bool allow_reopen, News& news) {
  woken_ = turn.now;
  if (life_ != Life::kRunning || waiting_.size() >= kWaitingMax) return Answer(allow_reopen, !unstable(), news);
  waiting_.push_back(allow_reopen);
  Resume(turn, rpc, news);
}

void Puncher::Answer(bool reopen, bool stable, News& news) {
  stable_ = stable;
  news.push_back({.event = Event::kAnalyzed, .reopen = reopen, .stable = stable});
}

void Puncher::Resume(Turn& turn, dht::Rpc& rpc, News& news) {
  // A round per reopening: the new socket's NAT may be known at once, if there is nobody to ask.
  while (!waiting_.empty() && nat_.analyzed()) {
    const bool fine = !unstable(), predictable = Predictable(nat_.firewall());
    std::vector<bool> patient;
    for (bool reopen : std::exchange(waiting_, {})) {
      if (reopen && reopening_ != Reopening::kOver && (!fine || reopening_ == Reopening::kRunning)) patient.push_back(true);
      else Answer(reopen, fine || (reopen && predictable), news);
    }
    if (patient.empty()) return;
    if (!fine && reopens_ < kReopensMax && !punching()) {
      waiting_ = std::move(patient);
      Reopen(turn, rpc);
      continue;
    }
    reopening_ = Reopening::kOver;  // Once per puncher. Source: npm hyperdht lib/holepuncher.js, analyze and _reopen.
    for (size_t i = 0; i < patient.size(); ++i) Answer(/*reopen=*/true, predictable, news);
  }
}

// Another socket gets another mapping, and with luck a better one.
void Puncher::Reopen(Turn& turn, dht::Rpc& rpc) {
  reopening_ = Reopening::kRunning;
  ++reopens_;
  CancelPings(turn, rpc);
  CloseAllBut(turn, rpc, std::nullopt);
  nat_ = Nat(config_.dht_firewalled);
  asked_again_ = false;
  if (OpenSocket(turn, rpc) != SocketId{0}) Sample(turn, rpc);
}

// ---- The other side ----

void Puncher::UpdateRemote(bool punching, Firewall firewall, const std::vector<Endpoint>* addresses,
                           const std::optional<Endpoint>& verified) {
  remote_punching_ = punching, remote_firewall_ = firewall;
  std::vector<Remote> list;
  const size_t n = addresses == nullptr ? 0 : std::min(addresses->size(), kRemoteAddressesMax);
  for (size_t i = 0; i < n; ++i) {
    const Endpoint& a = (*addresses)[i];
    // Whoever has proved a host keeps it as long as the list goes on naming it, with whatever port.
    list.push_back({a, (verified.has_value() && verified->ip == a.ip) ||
                           std::any_of(remote_.begin(), remote_.end(), [&](const Remote& r) { return r.verified && r.address.ip == a.ip; })});
  }
  remote_ = std::move(list);
}

// ---- Ends ----

void Puncher::OnProbe(Turn& turn, dht::Rpc& rpc, SocketId socket, const Endpoint& from, News& news) {
  if (!owns(socket) || !from.is_v4() || from.port == 0) return;
  if (!config_.initiator) {
    if (answers_ < kAnswersMax) ++answers_, SendProbe(turn, socket, from, kFullTtl);
    return;
  }
  if (life_ != Life::kRunning) return;
  const bool keeps_port = nat_.firewall() == Firewall::kConsistent || nat_.firewall() == Firewall::kOpen;
  const std::pair<SocketId, Endpoint> prober{socket, from};
  if (config_.confirm && !keeps_port && std::find(unconfirmed_.begin(), unconfirmed_.end(), prober) == unconfirmed_.end()) {
    if (unconfirmed_.size() >= kUnconfirmedMax) return;
    unconfirmed_.push_back(prober);
    return SendProbe(turn, socket, from, kFullTtl);
  }
  End(turn, rpc, Life::kConnected, socket, "connected");
  news.push_back({.event = Event::kConnected, .socket = socket, .from = from});
}

void Puncher::OnTime(Turn& turn, dht::Rpc& rpc, News& news) {
  if (life_ != Life::kRunning) return;
  if (sockets_.empty()) return Abort(turn, rpc, news);
  Resume(turn, rpc, news);
  if (step_at_ <= turn.now && !Step(turn, rpc)) Abort(turn, rpc, news);
}

Instant Puncher::next_deadline() const {
  if (life_ != Life::kRunning) return kNever;
  if (sockets_.empty() || (!waiting_.empty() && nat_.analyzed())) return woken_;
  return step_at_;
}

void Puncher::CloseAllBut(Turn& turn, dht::Rpc& rpc, std::optional<SocketId> keep) {
  for (SocketId s : sockets_) {
    if (s != keep) rpc.sockets().CloseExtra(turn, s);
  }
  const bool ours = keep.has_value() && owns(*keep);
  std::vector<SocketId>().swap(sockets_);  // Of 256 sockets no room is kept.
  local_.reset();
  if (!ours) return;
  sockets_.push_back(*keep);
  if (const Endpoint* bound = rpc.sockets().extra_local(*keep)) local_ = *bound;
}

void Puncher::End(Turn& turn, dht::Rpc& rpc, Life life, std::optional<SocketId> keep, std::string_view how) {
  if (punching()) {
    turn.trace.Add(PunchEnded{.socket = number_, .how = how, .took_ns = uint64_t((turn.now - began_).count()), .probes = probes_});
  }
  if (std::exchange(limited_, false)) --limiter_->running, limiter_->last = turn.now;
  strategy_ = Strategy::kNone, step_at_ = kNever;
  waiting_.clear();
  CancelPings(turn, rpc);
  CloseAllBut(turn, rpc, keep);
  life_ = life;
}

void Puncher::Abort(Turn& turn, dht::Rpc& rpc, News& news) {
  End(turn, rpc, Life::kDestroyed, std::nullopt, "aborted");
  news.push_back({.event = Event::kAborted});
}

void Puncher::Settle(Turn& turn, dht::Rpc& rpc, std::optional<SocketId> keep) {
  if (life_ == Life::kDestroyed || life_ == Life::kSettled) return;
  End(turn, rpc, Life::kSettled, keep, "settled");
}

void Puncher::Destroy(Turn& turn, dht::Rpc& rpc) {
  if (life_ == Life::kDestroyed) return;
  if (life_ == Life::kSettled) sockets_.clear();  // What was kept is not ours any more.
  End(turn, rpc, Life::kDestroyed, std::nullopt, "destroyed");
}

}  // namespace orchard::hyperdht
