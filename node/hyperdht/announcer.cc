#include "node/hyperdht/announcer.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "node/hyperdht/flow.h"

namespace orchard::hyperdht {
namespace {

SocketId AskingSocket(const dht::Rpc& rpc) {
  return rpc.sockets().socket(rpc.firewalled() ? udx::SocketRole::kClient : udx::SocketRole::kServer);
}

}  // namespace

std::string_view StepName(Announcer::Step step) {
  switch (step) {
    case Announcer::Step::kStopped: return "stopped";
    case Announcer::Step::kOffline: return "offline";
    case Announcer::Step::kAnnounce: return "announce";
    case Announcer::Step::kPing: return "ping";
    case Announcer::Step::kSleep: return "sleep";
  }
  return "";
}

void Announcer::Enter(Step step) {
  CHECK(std::any_of(std::begin(kMoves), std::end(kMoves), [&](const Move& m) { return m.from == step_ && m.to == step; }));
  step_ = step;
}

void Announcer::Start(Turn& turn, dht::Rpc& rpc, News&) {
  if (step_ == Step::kStopped) Announce(turn, rpc);
}

void Announcer::Refresh(Turn& turn) {
  if (step_ == Step::kStopped) return;
  refresh_ = true;
  // An announcement or a round of pings under way ends first.
  if (step_ == Step::kSleep || step_ == Step::kOffline) wake_at_ = std::min(wake_at_, turn.now + Duration(1));
}

void Announcer::Stop(Turn& turn, dht::Rpc& rpc) {
  if (step_ == Step::kStopped) return;
  if (query_.has_value()) rpc.Cancel(turn, *query_);
  DropPings(turn, rpc);
  query_.reset(), relays_.clear(), wake_at_ = kNever;
  Enter(Step::kStopped);
}

bool Announcer::IsRelay(Ipv4Address node) const {
  return std::any_of(generations_.begin(), generations_.end(),
                     [&](const auto& g) { return std::find(g.begin(), g.end(), node) != g.end(); });
}

// ---- Announcing ----

void Announcer::Announce(Turn& turn, dht::Rpc& rpc) {
  DropPings(turn, rpc);
  refresh_ = false, wake_at_ = kNever, rounds_ = 0;
  Enter(Step::kAnnounce);
  committed_.clear(), next_relays_.clear();
  from_ = AskingSocket(rpc);
  std::rotate(generations_.begin(), generations_.begin() + 2, generations_.end());
  generations_[0].clear();
  query_ = rpc.StartQuery(turn, {.target = target_, .command = kFindPeer, .seeds = closest_, .replies = false,
                                 .commit = dht::Commit::kByParent});
}

bool Announcer::OnCommitDue(Turn& turn, dht::Rpc& rpc, const dht::CommitDue& due) {
  if (query_ != due.query) return false;
  closest_.clear();
  for (const dht::ClosestReply& c : due.closest) closest_.push_back({c.from, c.id});
  committed_ = due.closest;
  size_t n = 0;
  for (size_t i = 0; i < committed_.size() && n < kNodes; ++i) {
    const dht::ClosestReply& c = committed_[i];
    if (!c.token.has_value()) continue;
    std::string value = SignedAnnounce(kAnnounce, target_, key_, {}, c.id, *c.token);
    rpc.CommitTo(turn, due.query, i, kAnnounce, AsBytes(value));
    ++n;
  }
  rpc.EndCommits(turn, due.query);
  return true;
}

bool Announcer::OnCommitReply(const dht::CommitReply& reply, News& news) {
  if (query_ != reply.query) return false;
  if (!reply.answered || reply.response.error != 0 || reply.index >= committed_.size()) return true;
  const dht::ClosestReply& c = committed_[reply.index];
  next_relays_.push_back({.relay_address = c.from.endpoint(), .peer_address = c.to.endpoint()});
  generations_[0].push_back(c.from);
  // The new ones are told to clients at once; the former ones stay until all have answered.
  relays_.erase(std::remove_if(relays_.begin(), relays_.end(), [&](const auto& r) { return r.relay_address == c.from.endpoint(); }),
                relays_.end());
  relays_.insert(relays_.begin(), next_relays_.back());
  if (relays_.size() > kNodes) relays_.pop_back();
  if (!std::exchange(stored_, true)) news.push_back({.event = Happened::Event::kStored});
  return true;
}

bool Announcer::OnQueryFinished(Turn& turn, dht::Rpc& rpc, const dht::QueryFinished& finished, News& news) {
  if (query_ != finished.query) return false;
  query_.reset();
  if (generations_[0].empty()) {
    // Nobody took it. What was stored before may still be there.
    std::rotate(generations_.begin(), generations_.begin() + 1, generations_.end());
    generations_[2].clear();
    closest_.clear();
    refresh_ = true;
    if (!rpc.online()) {
      Enter(Step::kOffline);
      wake_at_ = turn.now + kRetry;
      return true;
    }
    Sleep(turn, kRetry);
    return true;
  }
  relays_ = std::exchange(next_relays_, {});
  // Clients that ask a node which no longer is among the nearest would be sent our way with an address of before.
  for (Ipv4Address before : generations_[1]) {
    if (std::find(generations_[0].begin(), generations_[0].end(), before) == generations_[0].end()) {
      news.push_back({.event = Happened::Event::kObsolete, .node = before});
    }
  }
  PingAll(turn, rpc, news);
  return true;
}

// ---- Keeping the relays ----

void Announcer::PingAll(Turn& turn, dht::Rpc& rpc, News& news) {
  Enter(Step::kPing);
  wake_at_ = kNever, answered_ = 0, asked_ = uint32_t(generations_[0].size());
  ++rounds_;
  for (Ipv4Address node : generations_[0]) pings_.push_back({rpc.Ping(turn, node), node});
  if (pings_.empty()) OnPinged(turn, rpc, news);
}

void Announcer::DropPings(Turn& turn, dht::Rpc& rpc) {
  for (const Ping& p : pings_) rpc.Cancel(turn, p.request);
  pings_.clear();
}

bool Announcer::OnReply(Turn& turn, dht::Rpc& rpc, const dht::ReplyReceived& reply, News& news) {
  auto p = std::find_if(pings_.begin(), pings_.end(), [&](const Ping& x) { return x.request == reply.request; });
  if (p == pings_.end()) return false;
  const Ipv4Address node = p->node, seen = reply.response.to;
  pings_.erase(p);
  ++answered_;
  auto relay = std::find_if(relays_.begin(), relays_.end(), [&](const auto& r) { return r.relay_address == node.endpoint(); });
  if (notices_remaps_ && relay != relays_.end() && seen.port != 0 && relay->peer_address != seen.endpoint()) {
    // A ping from another socket than was announced says nothing about the mapping of that one.
    if (from_ == AskingSocket(rpc)) {
      news.push_back({.event = Happened::Event::kRemapped, .from = Ipv4Address::Of(relay->peer_address), .to = seen});
    }
    Announce(turn, rpc);
    return true;
  }
  if (pings_.empty()) OnPinged(turn, rpc, news);
  return true;
}

bool Announcer::OnFailure(Turn& turn, dht::Rpc& rpc, const dht::RequestFailed& failed, News& news) {
  auto p = std::find_if(pings_.begin(), pings_.end(), [&](const Ping& x) { return x.request == failed.request; });
  if (p == pings_.end()) return false;
  pings_.erase(p);
  if (pings_.empty()) OnPinged(turn, rpc, news);
  return true;
}

void Announcer::OnPinged(Turn& turn, dht::Rpc& rpc, News&) {
  const bool lost = answered_ < std::min<size_t>(asked_, kNodes);
  if (!rpc.online()) {
    refresh_ = refresh_ || lost;
    Enter(Step::kOffline);
    wake_at_ = turn.now + kPingEvery;
    return;
  }
  if (refresh_ || lost || rounds_ >= kRounds) return Announce(turn, rpc);
  Sleep(turn, kPingEvery);
}

void Announcer::Sleep(Turn& turn, Duration how_long) {
  Enter(Step::kSleep);
  wake_at_ = turn.now + how_long;
}

void Announcer::OnTime(Turn& turn, dht::Rpc& rpc, News& news) {
  if (wake_at_ > turn.now) return;
  if (!rpc.online()) {
    if (step_ != Step::kOffline) Enter(Step::kOffline);
    refresh_ = true;
    wake_at_ = turn.now + kPingEvery;
    return;
  }
  if (refresh_ || step_ == Step::kOffline) return Announce(turn, rpc);
  PingAll(turn, rpc, news);
}

}  // namespace orchard::hyperdht
