#include "node/dht/query.h"

#include <algorithm>

#include "node/base/check.h"
#include "node/dht/rpc.h"

namespace orchard::dht {
namespace {

// Below 0 if a is nearer to the target than b.
int CompareDistance(const Key32& target, const Key32& a, const Key32& b) {
  for (size_t i = 0; i < 32; ++i) {
    if (a[i] != b[i]) return (target[i] ^ a[i]) - (target[i] ^ b[i]);
  }
  return 0;
}

bool Vetoed(absl::Span<const Ipv4Address> vetoed, Ipv4Address a) {
  for (Ipv4Address v : vetoed) {
    if (v.host == a.host && (v.port == 0 || v.port == a.port)) return true;
  }
  return false;
}

}  // namespace

Query::Query(const Key32& target, uint32_t concurrency, absl::Span<const Contact> seeds, bool only_closest)
    : target_(target), concurrency_(std::max(1u, concurrency)) {
  // Reversed, for they are popped from the end.
  for (size_t i = seeds.size(); i-- > 0;) AddPending(seeds[i], 1, nullptr, nullptr);
  only_closest_ = only_closest;
}

bool Query::IsCloser(const Key32& id) const {
  return closest_.size() < kClosest || CompareDistance(target_, id, closest_.back().id) < 0;
}

bool Query::AddPending(const Contact& node, uint16_t depth, const Response* referrer, Work* work) {
  return AddPending(node, depth, referrer, work, seen_.find(node.address.packed()));
}

bool Query::AddPending(const Contact& node, uint16_t depth, const Response* referrer, Work* work, SeenMap::iterator found) {
  if (only_closest_) return false;
  const bool closer = IsCloser(node.id);
  if (found != seen_.end()) {
    Node& n = nodes_[found->second];
    if (referrer == nullptr) return closer;
    if (n.seen == Seen::kDown) {
      work->hints.push_back({referrer->from, referrer->from_id.has_value(), n.address});
    } else if (n.seen == Seen::kPending && referrers_.size() < kReferrersMax) {
      referrers_.push_back({referrer->from, n.referrers, referrer->from_id.has_value()});
      n.referrers = uint32_t(referrers_.size() - 1);
    }
    return closer;
  }
  if (!closer || nodes_.size() == kSeenMax) return false;

  uint32_t index = uint32_t(nodes_.size());
  Node n{.id = node.id, .address = node.address, .depth = depth};
  if (referrer != nullptr && referrers_.size() < kReferrersMax) {
    n.referrers = uint32_t(referrers_.size());
    referrers_.push_back({referrer->from, kNoRef, referrer->from_id.has_value()});
  }
  nodes_.push_back(n);
  seen_.emplace(node.address.packed(), index);
  pending_.push_back(index);
  return true;
}

void Query::AddFromTable(const World& world) {
  if (pending_.size() >= kClosest) return;
  from_table_ = true;
  world.table.Closest(target_, kClosest - pending_.size(), [&](Ipv4Address a, RoutingTable::Slot s) {
    AddPending({a, world.table[s].id}, 1, nullptr, nullptr);
  });
}

bool Query::WantsRoots(const World& world) {
  AddFromTable(world);
  return pending_.size() < kClosest;
}

void Query::Begin(const World& world, absl::Span<const Ipv4Address> roots, Work& work) {
  for (Ipv4Address r : roots) AddPending({r, IdOf(r)}, 1, nullptr, nullptr);
  ReadMore(world, work);
}

void Query::ReadMore(const World& world, Work& work) {
  if (finished_) return;
  for (;;) {
    const uint32_t limit = (slowdown_ ? kSlowConcurrency : concurrency_) + slow_;
    while (inflight_ < limit && !pending_.empty()) {
      uint32_t next = pending_.back();
      pending_.pop_back();
      if (!IsCloser(nodes_[next].id)) continue;
      ++inflight_;
      work.visits.push_back({next, nodes_[next].address});
    }
    // Known nodes were asked at full width once; before more are, one of them gets a chance to answer.
    if (!from_table_ && successes_ == 0 && errors_ == 0) slowdown_ = true;
    if (!pending_.empty()) return;
    if (inflight_ > 0 && WorthWaiting()) return;
    // More than three quarters of the known nodes failed: start over from the table.
    if (from_table_ || successes_ >= kClosest / 4) return Finish(work);
    AddFromTable(world);
  }
}

bool Query::WorthWaiting() const {
  if (slow_ != inflight_) return true;
  return closest_.size() < kClosest && (silent_ != inflight_ || successes_ == 0);
}

void Query::Finish(Work& work) { finished_ = true, work.finished = true; }

void Query::Answered(uint32_t node) {
  if (nodes_[node].slow) --slow_;
  if (nodes_[node].silent) --silent_;
  CHECK_GT(inflight_, 0u);
  --inflight_;
}

void Query::OnReply(const World& world, uint32_t node, const Response& r, Work& work) {
  Answered(node);
  nodes_[node].seen = Seen::kDone;
  if (finished_) return;
  ++(r.error == 0 ? successes_ : errors_);
  if (r.error != 0) ++error_answers_;
  if (r.error == 0 && r.from_id.has_value() && IsCloser(*r.from_id)) PushClosest(r);

  const uint16_t depth = uint16_t(nodes_[node].depth + 1);
  for (size_t i = 0; i < r.closer.size(); ++i) {
    Ipv4Address a = r.closer[i];
    if (a.port == 0 || a.host == 0) continue;  // Nobody receives there.
    auto found = seen_.find(a.packed());  // Spares most of the hashing.
    Contact c{a, found != seen_.end() ? nodes_[found->second].id : IdOf(a)};
    if (Vetoed(world.vetoed, a) || c.id == world.table.self()) continue;
    if (!AddPending(c, depth, &r, &work, found)) break;
  }
  if (!from_table_ && successes_ + errors_ >= concurrency_) slowdown_ = false;
  ReadMore(world, work);
}

void Query::PushClosest(const Response& r) {
  ClosestReply reply{r.from, *r.from_id, r.to, r.token};
  size_t at = closest_.size();
  while (at > 0) {
    int order = CompareDistance(target_, closest_[at - 1].id, reply.id);
    if (order == 0) return;  // The first answer of a node stays.
    if (order < 0) break;
    --at;
  }
  closest_.insert(closest_.begin() + ptrdiff_t(at), std::move(reply));
  if (closest_.size() > kClosest) closest_.pop_back();
}

void Query::TellReferrers(Node& n, Work& work) {
  const size_t first = work.hints.size();
  for (uint32_t r = n.referrers; r != kNoRef; r = referrers_[r].next) {
    work.hints.push_back({referrers_[r].address, referrers_[r].known, n.address});
  }
  std::reverse(work.hints.begin() + ptrdiff_t(first), work.hints.end());  // The first to refer is told first.
  n.seen = Seen::kDown, n.referrers = kNoRef;
}

void Query::OnTimeout(const World& world, uint32_t node, Work& work) {
  TellReferrers(nodes_[node], work);
  Answered(node);
  ++errors_;
  ReadMore(world, work);
}

void Query::OnRefused(const World& world, uint32_t node, Work& work) {
  Answered(node);
  ++errors_;
  ReadMore(world, work);
}

void Query::OnSlow(const World& world, uint32_t node, Work& work) {
  if (nodes_[node].slow) return;
  nodes_[node].slow = true, ++slow_;
  ReadMore(world, work);
}

void Query::OnSilent(const World& world, uint32_t node, Work& work) {
  if (nodes_[node].silent) return;
  nodes_[node].silent = true, ++silent_;
  TellReferrers(nodes_[node], work);
  ReadMore(world, work);
}

uint32_t Query::hops() const {
  uint32_t hops = 0;
  for (const ClosestReply& c : closest_) {
    auto found = seen_.find(c.from.packed());
    if (found != seen_.end()) hops = std::max<uint32_t>(hops, nodes_[found->second].depth);
  }
  return hops;
}

}  // namespace orchard::dht
