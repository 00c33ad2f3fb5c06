#include "node/swarm/discovery.h"

#include "node/base/check.h"
#include "node/swarm/trace.h"

namespace orchard::swarm {
namespace {

constexpr uint32_t kDoublingsMax = 10;

bool Legal(Discovery::Step from, Discovery::Step to) {
  return std::any_of(std::begin(Discovery::kMoves), std::end(Discovery::kMoves),
                     [&](const Discovery::Move& m) { return m.from == from && m.to == to; });
}

Duration UpTo(Rng& rng, Duration most) { return Duration(int64_t(rng.Below(uint64_t(most.count()) + 1))); }

}  // namespace

Discovery::Discovery(const Key32& topic, const Config& config)
    : topic_(topic), refresh_(config.refresh), jitter_(config.refresh_jitter()), js_compat_(config.js_compat) {}

void Discovery::Enter(Step step) {
  CHECK(Legal(step_, step));
  step_ = step;
}

void Discovery::Put(Instant now, SessionId session, const JoinOptions& options) {
  sessions_.insert_or_assign(session, options);
  limit_ = options.limit;
  if (!unflushed_) joined_ = now;
  unflushed_ = true;
}

bool Discovery::Drop(SessionId session) { return sessions_.erase(session) > 0; }

bool Discovery::wants_server() const {
  return std::any_of(sessions_.begin(), sessions_.end(), [](const auto& s) { return s.second.server; });
}
bool Discovery::wants_client() const {
  return std::any_of(sessions_.begin(), sessions_.end(), [](const auto& s) { return s.second.client; });
}

void Discovery::Refresh(Turn& turn, Network& network, bool listening) {
  if (suspended_ || step_ == Step::kLeave || step_ == Step::kLeft) return;
  const bool server = wants_server(), client = wants_client();
  if (searching() && server == is_server_ && client == is_client_) return;
  Abort(turn, network);
  is_server_ = server, is_client_ = client;
  if (!server || listening) return Ask(turn, network);
  Enter(Step::kListen);
  if (!js_compat_) listen_by_ = turn.now + kListenMax;
}

void Discovery::Abort(Turn& turn, Network& network) {
  if (flow_.has_value()) network.Cancel(turn, *flow_);
  flow_.reset();
  refresh_at_ = check_at_ = listen_by_ = kNever;
  if (searching()) Enter(Step::kIdle);
}

void Discovery::Ask(Turn& turn, Network& network) {
  Enter(Step::kAsk);
  listen_by_ = kNever;
  last_.found = 0;
  if (is_server_) {
    if (withdrawal_.has_value()) network.Cancel(turn, *withdrawal_);
    withdrawal_.reset();
    flow_ = network.Announce(turn, topic_, first_announce_);
    first_announce_ = false, announced_ = true;
    return;
  }
  if (announced_ && !withdrawal_.has_value()) withdrawal_ = network.Unannounce(turn, topic_);
  flow_ = network.Lookup(turn, topic_);
}

bool Discovery::Leave(Turn& turn, Network& network) {
  if (step_ != Step::kLeave) {
    Abort(turn, network);
    if (!announced_) {
      Enter(Step::kLeft);
      return true;
    }
    Enter(Step::kLeave);
    if (!withdrawal_.has_value()) withdrawal_ = network.Unannounce(turn, topic_);
  }
  leaving_ = true;
  return false;
}

void Discovery::Suspend(Turn& turn, Network& network) {
  suspended_ = true;
  if (step_ == Step::kLeave) return;
  Abort(turn, network);
  if (!announced_) return;
  Enter(Step::kLeave);
  if (!withdrawal_.has_value()) withdrawal_ = network.Unannounce(turn, topic_);
}

void Discovery::OnListening(Turn& turn, Network& network) {
  if (step_ == Step::kListen) Ask(turn, network);
}

std::vector<const hyperdht::Peer*> Discovery::OnPeersFound(const hyperdht::PeersFound& found,
                                                           absl::FunctionRef<bool(const Key32&)> connected) {
  std::vector<const hyperdht::Peer*> consider;
  if (flow_ != found.flow || !is_client_) return consider;
  if (last_.found == 0) {
    // The first answer of this search: what the peers of the last one, that are connected, leave of the limit. The deployed
    // logic looks for a name in a set of connections, finds none ever, and so grants the whole limit each time.
    budget_ = limit_;
    if (limit_ != UINT32_MAX && !js_compat_) {
      for (const Key32& key : discovered_) budget_ -= budget_ > 0 && connected(key) ? 1 : 0;
    }
    discovered_.clear();
  }
  last_.found += uint32_t(found.peers.size());
  for (const hyperdht::Peer& p : found.peers) {
    if (limit_ != UINT32_MAX) {
      if (discovered_.size() < kDiscoveredMax) discovered_.insert(p.public_key);
      if (budget_ == 0) continue;
      if (js_compat_ || !connected(p.public_key)) --budget_;
    }
    consider.push_back(&p);
  }
  return consider;
}

Discovery::Told Discovery::OnFlowEnded(Turn& turn, const hyperdht::FlowEnded& end) {
  if (withdrawal_ == end.flow) {
    withdrawal_.reset();
    const bool gone = end.outcome == hyperdht::Outcome::kOk || end.outcome == hyperdht::Outcome::kNotFound;
    if (step_ != Step::kLeave) {
      if (gone) announced_ = false;  // Else it is tried again with the next search.
      return Told::kNothing;
    }
    // Where nobody answered, the record ages.
    announced_ = false, first_announce_ = true;
    last_.nodes = end.done;
    const bool left = std::exchange(leaving_, false);
    Enter(left && sessions_.empty() ? Step::kLeft : Step::kIdle);
    return left ? Told::kLeft : Told::kWithdrawn;
  }
  if (flow_ != end.flow) return Told::kNothing;
  flow_.reset();
  // That nobody else is there is an answer too.
  last_.outcome = !is_server_ && end.outcome == hyperdht::Outcome::kNotFound ? hyperdht::Outcome::kOk : end.outcome;
  last_.nodes = is_server_ ? end.done : end.replies;
  last_.first = std::exchange(unflushed_, false);
  last_.since_join = turn.now - joined_;
  repeat_ = last_.first;
  Enter(Step::kIdle);
  Schedule(turn);
  return Told::kRefreshed;
}

void Discovery::Schedule(Turn& turn) {
  const Duration whole = refresh_ + UpTo(turn.rng, jitter_);
  refresh_at_ = turn.now + whole;
  check_at_ = kNever;
  if (js_compat_) return;
  const Duration base = (last_.ok() ? kHurry : kRetry) * (int64_t{1} << std::min(hurried_, kDoublingsMax));
  const Duration soon = base + UpTo(turn.rng, base / 2);
  if (soon < whole) check_at_ = turn.now + soon;
}

void Discovery::Hurry(Turn& turn) {
  if (js_compat_ || step_ != Step::kIdle || !is_client_ || check_at_ != kNever || refresh_at_ == kNever) return;
  check_at_ = std::min(refresh_at_, turn.now + kHurry + UpTo(turn.rng, kHurry / 2));
}

void Discovery::OnTime(Turn& turn, Network& network, bool listening, bool lonely) {
  if (listen_by_ <= turn.now) OnListening(turn, network);
  if (check_at_ <= turn.now) {
    check_at_ = kNever;
    const bool wanting = !last_.ok() || (is_client_ && lonely);
    hurried_ = wanting ? hurried_ + 1 : 0;
    if (wanting || (is_client_ && repeat_)) return Refresh(turn, network, listening);
  }
  if (refresh_at_ > turn.now) return;
  // A laptop that wakes up with all others of its kind does not ask at once.
  if (turn.now - refresh_at_ > kGrace) refresh_at_ = turn.now + Duration(1) + UpTo(turn.rng, jitter_);
  else Refresh(turn, network, listening);
}

}  // namespace orchard::swarm
