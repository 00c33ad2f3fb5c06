// What is probed when. Both sides predictable: each probes the addresses that the other is seen at. One random: it opens many
// sockets, hence many mappings, and the other one tries ports at random until one fits (a birthday attack: 256 of 64,536
// ports are hit by 1750 tries with probability 0.999).
// Source: npm hyperdht lib/holepuncher.js (_consistentProbe, _randomProbes, _openBirthdaySockets, _keepAliveRandomNat).
#include <algorithm>

#include "node/hyperdht/punch_trace.h"
#include "node/hyperdht/puncher.h"

namespace orchard::hyperdht {
namespace {

constexpr uint8_t kProbe[] = {0};
constexpr Duration kConsistentEvery = std::chrono::seconds(1), kRandomEvery = std::chrono::milliseconds(20);
constexpr Duration kBirthdayStepEvery = std::chrono::milliseconds(1), kBirthdayRest = std::chrono::milliseconds(100);
constexpr uint32_t kUnverifiedEvery = 4;  // Rounds. Whoever names an address must not make us flood it.
constexpr uint16_t kPortsFrom = 1000;
constexpr uint32_t kPorts = 64'536;

}  // namespace

std::string_view Puncher::StrategyName(Strategy s) {
  return s == Strategy::kConsistent ? "consistent" : s == Strategy::kRandomPorts ? "random-ports" : s == Strategy::kNone ? "none" : "birthday";
}

void Puncher::SendProbe(Turn& turn, SocketId socket, const Endpoint& to, uint8_t ttl) {
  if (socket == SocketId{0} || to.port == 0) return;
  ++probes_;
  turn.out.Send(socket, to, kProbe, Gate::kNone, ttl);
}

void Puncher::OpenSession(Turn& turn, dht::Rpc&, const Endpoint& to) { SendProbe(turn, socket(), to, kOpenTtl); }
void Puncher::Ping(Turn& turn, dht::Rpc&, const Endpoint& to) { SendProbe(turn, socket(), to, kFullTtl); }

bool Puncher::Punch(Turn& turn, dht::Rpc& rpc) {
  if (punched_.has_value()) return *punched_;
  punched_ = false;
  if (life_ != Life::kRunning || remote_.empty()) return false;
  auto is = [](Firewall f, bool random) { return f != Firewall::kUnknown && (f == Firewall::kRandom) == random; };
  const Firewall local = nat_.firewall(), remote = remote_firewall_;
  if (is(local, false) && is(remote, false)) {
    Begin(turn, Strategy::kConsistent);
    // The other side's filter may be open already, and the server's fast ping through: it need not hurry.
    if (!config_.initiator) step_at_ = turn.now + kConsistentEvery;
  } else {
    const bool ports = is(local, false) && is(remote, true), birthday = is(local, true) && is(remote, false);
    auto verified = std::find_if(remote_.begin(), remote_.end(), [&](const Remote& r) { return r.verified && (ports || r.address.port != 0); });
    if ((!ports && !birthday) || verified == remote_.end() || !config_.birthday) return false;
    target_ = verified->address;
    limited_ = true, ++limiter_->running;
    Begin(turn, ports ? Strategy::kRandomPorts : Strategy::kBirthdayOpen);
  }
  punched_ = true;
  if (step_at_ <= turn.now) Step(turn, rpc);
  return true;
}

void Puncher::Begin(Turn& turn, Strategy strategy) {
  strategy_ = strategy, began_ = step_at_ = turn.now, steps_ = 0;
  turn.trace.Add(PunchBegan{.socket = number_, .strategy = StrategyName(strategy), .initiator = config_.initiator ? 1u : 0u,
                            .local_nat = FirewallName(nat_.firewall()), .remote_nat = FirewallName(remote_firewall_)});
}

bool Puncher::Step(Turn& turn, dht::Rpc& rpc) {
  switch (strategy_) {
    case Strategy::kNone: step_at_ = kNever; return true;
    case Strategy::kConsistent: return StepConsistent(turn);
    case Strategy::kRandomPorts: return StepRandomPorts(turn);
    case Strategy::kBirthdayOpen: return StepBirthdayOpen(turn, rpc);
    case Strategy::kBirthdayKeep: return StepBirthdayKeep(turn);
  }
  return true;
}

bool Puncher::StepConsistent(Turn& turn) {
  if (steps_++ == kConsistentRounds) return false;
  for (const Remote& r : remote_) {
    if (r.verified || steps_ % kUnverifiedEvery == 0) SendProbe(turn, socket(), r.address, kFullTtl);
  }
  step_at_ = turn.now + kConsistentEvery;
  return true;
}

bool Puncher::StepRandomPorts(Turn& turn) {
  if (steps_++ == kRandomProbes) return false;
  SendProbe(turn, socket(), target_->with_port(uint16_t(kPortsFrom + turn.rng.Below(kPorts))), kFullTtl);
  step_at_ = turn.now + kRandomEvery;
  return true;
}

bool Puncher::StepBirthdayOpen(Turn& turn, dht::Rpc& rpc) {
  for (size_t i = 0; i < kBirthdayStep && sockets_.size() < kBirthdaySockets && !refused_; ++i) {
    SocketId s = OpenSocket(turn, rpc);
    if (s == SocketId{0}) refused_ = true;
    SendProbe(turn, s, *target_, kOpenTtl);
  }
  step_at_ = turn.now + kBirthdayStepEvery;
  if (sockets_.size() >= kBirthdaySockets || refused_) {
    // All are open; a pause, so that the line's queue empties.
    strategy_ = Strategy::kBirthdayKeep, steps_ = 0, step_at_ = turn.now + kBirthdayRest;
  }
  return true;
}

// Each socket in turn. While the first cycle lasts, our packets must not reach the other side: what comes unasked could make
// its NAT shut our address out.
bool Puncher::StepBirthdayKeep(Turn& turn) {
  if (steps_++ == kRandomProbes) return false;
  if (cursor_ >= sockets_.size()) cursor_ = 0, first_cycle_ = false;
  SendProbe(turn, sockets_[cursor_++], *target_, first_cycle_ ? kOpenTtl : kFullTtl);
  step_at_ = turn.now + kRandomEvery;
  return true;
}

}  // namespace orchard::hyperdht
