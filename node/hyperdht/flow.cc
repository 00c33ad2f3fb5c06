#include "node/hyperdht/flow.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "node/hyperdht/trace.h"

namespace orchard::hyperdht {
namespace {

constexpr uint64_t kFindNode = 2;  // Internal.

bool Legal(Step from, Step to) {
  return std::any_of(std::begin(kFlowMoves), std::end(kFlowMoves),
                     [&](const Move& m) { return m.from == from && m.to == to; });
}

// The step that a nameless failure waited in.
Outcome SearchFailure(const FlowEnded& end) {
  if (end.requests == 0) return Outcome::kOffline;
  return end.replies == 0 ? Outcome::kTimeout : Outcome::kNotFound;
}

}  // namespace

std::string_view StepName(Step step) {
  switch (step) {
    case Step::kPing: return "ping";
    case Step::kSearch: return "search";
    case Step::kUnannounce: return "unannounce";
    case Step::kCommit: return "commit";
    case Step::kEnded: return "ended";
  }
  return "";
}

std::string SignedAnnounce(Command command, const Key32& target, const KeyPair& key, const std::vector<Endpoint>& relays,
                           const Key32& id, const Key32& token) {
  AnnounceMessage m;
  m.peer = Peer{.public_key = key.public_key, .relay_addresses = relays};
  m.signature = Sign(AnnounceSignable(command, target, token, id, m), key);
  return m.Encode();
}

Flow::Flow(FlowId id, Spec spec) : spec_(std::move(spec)) {
  end_.flow = id, end_.kind = spec_.kind, end_.target = spec_.target;
  end_.key = spec_.key.has_value() ? spec_.key->public_key : spec_.target;
  end_.value = spec_.value;
}

void Flow::Enter(Step step) {
  CHECK(Legal(step_, step));
  step_ = step;
}

void Flow::End(Outcome outcome) {
  end_.outcome = outcome;
  end_.waited_in = step_;
  Enter(Step::kEnded);
}

void Flow::Begin(Turn& turn, dht::Rpc& rpc, absl::Span<const dht::Contact> seeds) {
  if (spec_.kind == FlowKind::kPing) {
    step_ = Step::kPing;
    requests_.push_back(rpc.Ping(turn, spec_.to));
    return;
  }
  dht::QuerySpec q{.target = spec_.target, .seeds = seeds};
  std::string value;
  switch (spec_.kind) {
    case FlowKind::kLookup: q.command = kLookup; break;
    case FlowKind::kFindPeer: q.command = kFindPeer, q.retries = 3; break;
    case FlowKind::kFindNode: q.command = kFindNode, q.internal = true, q.replies = false; break;
    case FlowKind::kAnnounce:
      // Whoever announces itself looks for itself: the nodes closest to its key hold the way to it.
      q.command = self() ? kFindPeer : kLookup, q.commit = dht::Commit::kByParent;
      break;
    case FlowKind::kUnannounce: q.command = kLookup; break;
    case FlowKind::kPutImmutable: q.command = kImmutableGet, q.commit = dht::Commit::kByParent, q.replies = false; break;
    case FlowKind::kGetImmutable: q.command = kImmutableGet; break;
    case FlowKind::kPutMutable:
    case FlowKind::kGetMutable:
      q.command = kMutableGet;
      value = EncodeMinimumSeq(spec_.kind == FlowKind::kGetMutable ? spec_.seq.value_or(0) : 0);
      q.value = AsBytes(value);
      if (spec_.kind == FlowKind::kPutMutable) q.commit = dht::Commit::kByParent;
      break;
    case FlowKind::kPing: break;
  }
  query_ = rpc.StartQuery(turn, q);
}

void Flow::Cancel(Turn& turn, dht::Rpc& rpc) {
  if (query_.has_value()) rpc.Cancel(turn, *query_);
  for (dht::RequestId r : requests_) rpc.Cancel(turn, r);
  query_.reset(), requests_.clear();
}

void Flow::StopSearch(Turn& turn, dht::Rpc& rpc) {
  if (query_.has_value()) rpc.Cancel(turn, *query_);
  query_.reset();
}

void Flow::OnQueryReply(Turn& turn, dht::Rpc& rpc, const dht::QueryReply& reply, News& news) {
  const dht::Response& r = reply.response;
  ++end_.replies;
  if (!r.value.has_value()) return;
  switch (spec_.kind) {
    case FlowKind::kLookup:
    case FlowKind::kUnannounce:
      OnLookupReply(turn, rpc, r, news);
      break;
    case FlowKind::kAnnounce:
      if (!self()) OnLookupReply(turn, rpc, r, news);
      break;
    case FlowKind::kFindPeer: {
      absl::StatusOr<Peer> peer = Peer::Decode(*r.value);
      if (!peer.ok() || (spec_.public_key.has_value() && peer->public_key != *spec_.public_key)) {
        turn.trace.Add(Rejected{.why = "bad-peer", .command = kFindPeer});
        break;
      }
      end_.holders.push_back(r.from.endpoint());
      break;
    }
    case FlowKind::kGetImmutable:
      if (Hash(*r.value) != spec_.target) {
        turn.trace.Add(Rejected{.why = "bad-hash", .command = kImmutableGet});
        break;
      }
      end_.value = std::string(AsText(*r.value)), end_.from = r.from.endpoint();
      StopSearch(turn, rpc);
      End(Outcome::kOk);
      break;
    case FlowKind::kPutMutable:
    case FlowKind::kGetMutable:
      OnMutableReply(turn, rpc, r);
      break;
    default:
      break;
  }
}

void Flow::OnLookupReply(Turn& turn, dht::Rpc& rpc, const dht::Response& r, News& news) {
  absl::StatusOr<LookupReply> m = LookupReply::Decode(*r.value);
  if (!m.ok()) {
    turn.trace.Add(Rejected{.why = "malformed", .command = kLookup});
    return;
  }
  PeersFound found{.flow = end_.flow, .from = r.from.endpoint(), .bump = m->bump};
  bool ours = m->peers.size() >= kLookupPeersMax;  // It may know more than it said.
  for (Peer& p : m->peers) {
    if (spec_.key.has_value() && p.public_key == spec_.key->public_key) ours = true;
    if (peers_.size() < kPeersMax && peers_.insert(p.public_key).second) found.peers.push_back(std::move(p));
  }
  end_.peers = uint32_t(peers_.size());
  if (!found.peers.empty() && spec_.kind != FlowKind::kUnannounce) news.push_back(std::move(found));

  const bool takes_back = spec_.kind == FlowKind::kUnannounce || (spec_.kind == FlowKind::kAnnounce && spec_.clear);
  if (!takes_back || !ours || !r.token.has_value() || !r.from_id.has_value()) return;
  std::string value = SignedAnnounce(kUnannounce, spec_.target, *spec_.key, {}, *r.from_id, *r.token);
  requests_.push_back(rpc.Ask(turn, r.from, kUnannounce, spec_.target, AsBytes(value), {.token = r.token}));
}

void Flow::OnMutableReply(Turn& turn, dht::Rpc& rpc, const dht::Response& r) {
  absl::StatusOr<MutableRecord> m = MutableRecord::Decode(*r.value);
  const Key32& key = spec_.key.has_value() ? spec_.key->public_key : *spec_.public_key;
  if (!m.ok() || !Verify(m->signature, MutableSignable(m->seq, AsBytes(m->value)), key)) {
    turn.trace.Add(Rejected{.why = m.ok() ? "bad-signature" : "malformed", .command = kMutableGet});
    return;
  }
  if (spec_.kind == FlowKind::kGetMutable && m->seq < spec_.seq.value_or(0)) return;
  if (newest_.has_value() && m->seq <= newest_->seq) return;
  newest_ = *std::move(m);
  end_.from = r.from.endpoint();
  if (spec_.kind == FlowKind::kGetMutable && !spec_.latest) StopSearch(turn, rpc), FinishRead();
}

void Flow::FinishRead() {
  if (!newest_.has_value()) return End(SearchFailure(end_));
  end_.value = newest_->value, end_.seq = newest_->seq;
  End(Outcome::kOk);
}

void Flow::OnCommitDue(Turn& turn, dht::Rpc& rpc, const dht::CommitDue& due) {
  if (!requests_.empty()) {
    // A node that took the announcement first would forget it with the old one.
    due_ = due;
    return Enter(Step::kUnannounce);
  }
  Enter(Step::kCommit);
  std::string value;
  Command command = kAnnounce;
  if (spec_.kind == FlowKind::kPutImmutable) {
    command = kImmutablePut, value = spec_.value;
  } else if (spec_.kind == FlowKind::kPutMutable) {
    command = kMutablePut;
    uint64_t newest = std::max(newest_.has_value() ? newest_->seq : 0, spec_.seq_floor);
    uint64_t seq = spec_.seq.value_or(newest + 1);
    end_.seq = seq;
    // Found on the way: no need to ask the storing nodes for their refusal.
    seq_too_low_ = newest_.has_value() && seq < newest_->seq;
    seq_reused_ = newest_.has_value() && seq == newest_->seq && newest_->value != spec_.value;
    if (!seq_too_low_ && !seq_reused_) {
      MutablePut put{.public_key = spec_.key->public_key, .seq = seq, .value = spec_.value,
                     .signature = Sign(MutableSignable(seq, AsBytes(spec_.value)), *spec_.key)};
      value = put.Encode();
    }
  }
  committed_ = due.closest;
  if (spec_.kind == FlowKind::kAnnounce && self() && committed_.size() > kSelfNodes) committed_.resize(kSelfNodes);
  for (size_t i = 0; i < committed_.size() && !seq_too_low_ && !seq_reused_; ++i) {
    const dht::ClosestReply& c = committed_[i];
    if (!c.token.has_value()) continue;
    if (command == kAnnounce) value = SignedAnnounce(kAnnounce, spec_.target, *spec_.key, spec_.relays, c.id, *c.token);
    rpc.CommitTo(turn, due.query, i, command, AsBytes(value));
  }
  rpc.EndCommits(turn, due.query);
}

void Flow::OnCommitReply(const dht::CommitReply& reply) {
  if (!reply.answered || reply.index >= committed_.size()) return;
  switch (reply.response.error) {
    case 0:
      ++end_.done;
      stored_at_.push_back({committed_[reply.index].from, committed_[reply.index].id});
      break;
    case uint64_t(Error::kSeqReused): seq_reused_ = true; break;
    case uint64_t(Error::kSeqTooLow): seq_too_low_ = true; break;
    default: break;
  }
}

void Flow::OnQueryFinished(dht::QueryFinished finished) {
  query_.reset();
  end_.requests = finished.requests, end_.timeouts = finished.timeouts;
  end_.replies = finished.replies;
  end_.hops = finished.hops, end_.closest = std::move(finished.closest);
  if (finished.outcome == dht::QueryOutcome::kOverload) return End(Outcome::kOverload);
  switch (spec_.kind) {
    case FlowKind::kLookup: return End(peers_.empty() ? SearchFailure(end_) : Outcome::kOk);
    case FlowKind::kFindPeer: return End(end_.holders.empty() ? SearchFailure(end_) : Outcome::kOk);
    case FlowKind::kFindNode: return End(end_.closest.empty() ? SearchFailure(end_) : Outcome::kOk);
    case FlowKind::kGetImmutable: return End(SearchFailure(end_));
    case FlowKind::kGetMutable: return FinishRead();
    case FlowKind::kUnannounce:
      Enter(Step::kUnannounce);
      listed_ = listed_ || !requests_.empty();
      if (requests_.empty()) {
        End(end_.done > 0 ? Outcome::kOk : listed_ ? Outcome::kTimeout : SearchFailure(end_));
      }
      return;
    case FlowKind::kAnnounce:
    case FlowKind::kPutImmutable:
    case FlowKind::kPutMutable:
      if (seq_too_low_) return End(Outcome::kSeqTooLow);
      if (seq_reused_) return End(Outcome::kSeqReused);
      if (end_.done > 0) return End(Outcome::kOk);
      if (step_ == Step::kCommit && finished.outcome != dht::QueryOutcome::kTooFew) return End(Outcome::kTimeout);
      if (end_.requests == 0) return End(Outcome::kOffline);
      return End(end_.replies == 0 ? Outcome::kTimeout : Outcome::kTooFew);
    case FlowKind::kPing: return;
  }
}

void Flow::OnReply(Turn& turn, dht::Rpc& rpc, const dht::ReplyReceived& reply) {
  requests_.erase(std::remove(requests_.begin(), requests_.end(), reply.request), requests_.end());
  if (spec_.kind == FlowKind::kPing) {
    end_.rtt = reply.rtt, end_.seen_as = reply.response.to.endpoint(), end_.node_id = reply.response.from_id;
    end_.from = reply.response.from.endpoint();
    return End(Outcome::kOk);
  }
  if (spec_.kind == FlowKind::kUnannounce && reply.response.error == 0) ++end_.done;
  OnForgotten(turn, rpc);
}

void Flow::OnFailure(Turn& turn, dht::Rpc& rpc, const dht::RequestFailed& failed) {
  requests_.erase(std::remove(requests_.begin(), requests_.end(), failed.request), requests_.end());
  if (spec_.kind == FlowKind::kPing) {
    return End(failed.why == dht::Failure::kOverload ? Outcome::kOverload : Outcome::kTimeout);
  }
  OnForgotten(turn, rpc);
}

void Flow::OnForgotten(Turn& turn, dht::Rpc& rpc) {
  listed_ = true;
  if (step_ != Step::kUnannounce || !requests_.empty()) return;
  if (due_.has_value()) return OnCommitDue(turn, rpc, *std::exchange(due_, std::nullopt));
  End(end_.done > 0 ? Outcome::kOk : Outcome::kTimeout);
}

}  // namespace orchard::hyperdht
