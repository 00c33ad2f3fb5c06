#include "node/hyperdht/dht.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "node/hyperdht/trace.h"

namespace orchard::hyperdht {

std::vector<Ipv4Address> VetoedNodes() {
  auto v4 = [](uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint16_t port) {
    return Ipv4Address{a << 24 | b << 16 | c << 8 | d, port};
  };
  return {v4(134, 209, 28, 98, 49738), v4(167, 99, 142, 185, 49738), v4(35, 233, 47, 252, 9400), v4(150, 136, 142, 116, 0)};
}

void Dht::OnStart(Turn& turn, News& news) {
  dht::News n;
  rpc_.OnStart(turn, n);
  Take(turn, n, news);
}

bool Dht::OnSocketOpened(Turn& turn, const SocketOpened& opened, News& news) {
  const udx::SocketMark mark = rpc_.sockets().mark(opened.socket).value_or(udx::SocketMark{});  // Gone if it could not be opened.
  dht::News n;
  bool ours = rpc_.OnSocketOpened(turn, opened, n);
  Take(turn, n, news);
  return ours || peers_.OnSocketOpened(turn, node(), opened, mark, news);
}

bool Dht::OnDatagram(Turn& turn, const Datagram& datagram, News& news) {
  const udx::DatagramKind kind = udx::Classify(datagram.payload);
  if (kind == udx::DatagramKind::kUdx || kind == udx::DatagramKind::kProbe) {
    if (peers_.OnDatagram(turn, node(), datagram, news)) return true;
  }
  dht::News n;
  bool ours = rpc_.OnDatagram(turn, datagram, n);
  Take(turn, n, news);
  return ours;
}

bool Dht::OnJobDone(Turn& turn, const JobDone& done, News& news) {
  dht::News n;
  bool ours = rpc_.OnJobDone(turn, done, n);
  Take(turn, n, news);
  return ours;
}

void Dht::OnTime(Turn& turn, News& news) {
  if (stopped_) return;
  if (rpc_.next_deadline() <= turn.now) {
    dht::News n;
    rpc_.OnTime(turn, n);
    Take(turn, n, news);
  }
  if (peers_.next_deadline() <= turn.now) peers_.OnTime(turn, node(), news), TakeWithdrawals(turn);
  if (goodbye_by_ <= turn.now) return FinishGoodbye(turn, news);
  while (Announcements::Announcement* a = announcements_.due(turn.now)) {
    a->due = kNever;
    std::vector<dht::Contact> seeds = a->stored_at;
    Begin(turn, {.kind = FlowKind::kAnnounce, .target = a->target, .key = a->key, .relays = a->relays}, true, news, seeds);
  }
}

Instant Dht::next_deadline() const {
  if (stopped_) return kNever;
  return std::min({rpc_.next_deadline(), goodbye_by_, announcements_.next(), peers_.next_deadline()});
}

void Dht::Take(Turn& turn, dht::News& rpc_news, News& news) {
  for (dht::RpcNews& n : rpc_news) {
    if (auto* request = std::get_if<dht::RequestReceived>(&n)) {
      OnRequest(turn, request->request, news);
    } else if (!TakeFlowNews(turn, n, news) && !TakePeersNews(turn, n, news)) {
      TakeNetworkNews(turn, n, news);
    }
  }
  TakeWithdrawals(turn);
  if (goodbye_by_ != kNever && withdrawals_.empty()) FinishGoodbye(turn, news);
}

bool Dht::TakeFlowNews(Turn& turn, dht::RpcNews& n, News& news) {
  if (auto* reply = std::get_if<dht::QueryReply>(&n)) {
    Flow* flow = FlowOf(reply->query);
    if (flow == nullptr) return false;
    flow->OnQueryReply(turn, rpc_, *reply, news), Settle(turn, flow->end().flow, news);
  } else if (auto* due = std::get_if<dht::CommitDue>(&n)) {
    Flow* flow = FlowOf(due->query);
    if (flow == nullptr) return false;
    flow->OnCommitDue(turn, rpc_, *due);
    if (flow->end().kind == FlowKind::kPutMutable) RememberSeq(turn, flow->spec().key->public_key, flow->end().seq);
  } else if (auto* commit = std::get_if<dht::CommitReply>(&n)) {
    Flow* flow = FlowOf(commit->query);
    if (flow == nullptr) return false;
    flow->OnCommitReply(*commit);
  } else if (auto* finished = std::get_if<dht::QueryFinished>(&n)) {
    Flow* flow = FlowOf(finished->query);
    queries_.erase(finished->query);
    if (flow == nullptr) return false;
    flow->OnQueryFinished(std::move(*finished)), Settle(turn, flow->end().flow, news);
  } else if (auto* answer = std::get_if<dht::ReplyReceived>(&n)) {
    if (OnWithdrawalReply(turn, answer->request, &answer->response)) return true;
    auto it = requests_.find(answer->request);
    if (it == requests_.end()) return false;
    FlowId id = it->second;
    requests_.erase(it);
    flows_.at(id).flow->OnReply(turn, rpc_, *answer), Settle(turn, id, news);
  } else if (auto* failed = std::get_if<dht::RequestFailed>(&n)) {
    if (OnWithdrawalReply(turn, failed->request, nullptr)) return true;
    auto it = requests_.find(failed->request);
    if (it == requests_.end()) return false;
    FlowId id = it->second;
    requests_.erase(it);
    flows_.at(id).flow->OnFailure(turn, rpc_, *failed), Settle(turn, id, news);
  } else {
    return false;
  }
  return true;
}

// ---- Requests of others ----

void Dht::OnRequest(Turn& turn, const dht::Request& r, News& news) {
  UserRequest request{.from = r.from.endpoint(), .command = r.command, .target = r.target, .value = r.value};
  if (r.has_token) request.token = r.token;
  if ((r.command == kPeerHandshake || r.command == kPeerHolepunch) && peers_.OnRequest(turn, node(), r, news)) return;
  // Both relaying commands are served by ephemeral nodes too: a peer may have picked us while we were persistent.
  if (r.command == kPeerHandshake) return CarryOut(turn, r, router_.OnPeerHandshake(turn.now, request));
  if (r.command == kPeerHolepunch) return CarryOut(turn, r, router_.OnPeerHolepunch(turn.now, request));
  std::optional<Key32> id = rpc_.id();
  if (!id.has_value()) return CarryOut(turn, r, {.kind = Action::Kind::kUnknownCommand});
  Persistent::Outcome o = persistent_.OnRequest(
      {.now = turn.now, .unix_epoch = turn.unix_epoch, .rng = turn.rng, .router = router_, .id = *id}, request);
  if (!o.stored.empty()) {
    ++stats_.stored;
    turn.trace.Add(RecordStored{.kind = o.stored, .target = *r.target});
  }
  CarryOut(turn, r, o.action);
}

void Dht::CarryOut(Turn& turn, const dht::Request& request, const Action& action) {
  if (!action.rejected.empty()) {
    ++stats_.rejected;
    turn.trace.Add(Rejected{.why = action.rejected, .command = request.command});
  }
  std::optional<Bytes> value;
  if (action.value.has_value()) value = AsBytes(*action.value);
  std::optional<Ipv4Address> to;
  if (action.to.has_value()) {
    to = Ipv4Address::Of(*action.to);
    if (to->port == 0) {  // Nobody has that port; a peer made it up.
      ++stats_.rejected;
      turn.trace.Add(Rejected{.why = "bad-address", .command = request.command});
      return;
    }
  }
  if (action.kind == Action::Kind::kRelay || (action.kind == Action::Kind::kReply && to.has_value())) {
    ++stats_.relayed;
    turn.trace.Add(Relayed{.what = request.command == kPeerHandshake ? "handshake" : "holepunch",
                           .target = request.target.has_value() ? Bytes(*request.target) : Bytes()});
  }
  switch (action.kind) {
    case Action::Kind::kSilence: return;
    case Action::Kind::kUnknownCommand:
      ++stats_.unknown;
      return rpc_.ReplyUnknownCommand(turn, request);
    case Action::Kind::kRelay: return rpc_.Relay(turn, request, value, *to);
    case Action::Kind::kReply:
      return rpc_.Reply(turn, request, value,
                        {.error = action.error, .token = action.token, .closer = action.closer_nodes, .to = to});
  }
}

// ---- What this node asks ----

FlowId Dht::Begin(Turn& turn, Flow::Spec spec, bool silent, News& news, absl::Span<const dht::Contact> seeds) {
  FlowId id{next_flow_++};
  if (flows_.size() >= kFlowsMax || stopped_ || goodbye_by_ != kNever) {
    if (spec.kind == FlowKind::kAnnounce) {
      if (auto* a = announcements_.Find(spec.target, spec.key->public_key)) announcements_.Tried(turn.now, turn.rng, *a, {}, false);
    }
    if (!silent) news.push_back(FlowEnded{.flow = id, .kind = spec.kind, .outcome = Outcome::kOverload, .target = spec.target});
    return id;
  }
  auto flow = std::make_unique<Flow>(id, std::move(spec));
  flow->Begin(turn, rpc_, seeds);
  if (flow->query().has_value()) queries_.emplace(*flow->query(), id);
  for (dht::RequestId r : flow->requests()) requests_.emplace(r, id);
  flows_.emplace(id, Running{std::move(flow), silent});
  return id;
}

Flow* Dht::FlowOf(dht::QueryId query) {
  auto it = queries_.find(query);
  if (it == queries_.end()) return nullptr;
  return flows_.at(it->second).flow.get();
}

void Dht::Settle(Turn& turn, FlowId id, News& news) {
  auto it = flows_.find(id);
  Flow& flow = *it->second.flow;
  for (dht::RequestId r : flow.requests()) requests_.emplace(r, id);
  if (!flow.ended()) return;
  Running running = std::move(it->second);
  flows_.erase(it);
  absl::erase_if(queries_, [&](const auto& q) { return q.second == id; });
  absl::erase_if(requests_, [&](const auto& r) { return r.second == id; });

  FlowEnded& end = running.flow->end();
  if (end.kind == FlowKind::kAnnounce) {
    if (auto* a = announcements_.Find(end.target, flow.spec().key->public_key)) {
      std::vector<dht::Contact> before = a->stored_at;
      announcements_.Tried(turn.now, turn.rng, *a, flow.stored_at(), end.outcome == Outcome::kOk);
      // Nodes that no longer are among the nearest would go on sending clients our way.
      for (const dht::Contact& c : before) {
        bool still = std::any_of(a->stored_at.begin(), a->stored_at.end(), [&](const auto& s) { return s.address == c.address; });
        if (!still && flow.self()) Withdraw(turn, end.target, a->key, c.address);
      }
    }
  }
  if (!running.silent) news.push_back(std::move(end));
}

FlowId Dht::Lookup(Turn& turn, const Key32& topic, News& news) {
  return Begin(turn, {.kind = FlowKind::kLookup, .target = topic}, false, news);
}

FlowId Dht::FindPeer(Turn& turn, const Key32& public_key, News& news) {
  return Begin(turn, {.kind = FlowKind::kFindPeer, .target = Hash(public_key), .public_key = public_key}, false, news);
}

FlowId Dht::FindNode(Turn& turn, const Key32& target, News& news) {
  return Begin(turn, {.kind = FlowKind::kFindNode, .target = target}, false, news);
}

FlowId Dht::Announce(Turn& turn, const Key32& target, const KeyPair& key, std::vector<Endpoint> relays, News& news, bool clear) {
  if (announcements_.Keep(target, key, relays) == nullptr) {
    FlowId id{next_flow_++};
    news.push_back(FlowEnded{.flow = id, .kind = FlowKind::kAnnounce, .outcome = Outcome::kOverload, .target = target});
    return id;
  }
  if (clear) persistent_.Unannounce(turn.now, router_, target, key.public_key);  // We may be one of the storing nodes.
  return Begin(turn, {.kind = FlowKind::kAnnounce, .target = target, .key = key, .relays = std::move(relays), .clear = clear}, false,
               news);
}

FlowId Dht::Unannounce(Turn& turn, const Key32& target, const KeyPair& key, News& news) {
  announcements_.Forget(target, key.public_key);
  persistent_.Unannounce(turn.now, router_, target, key.public_key);
  return Begin(turn, {.kind = FlowKind::kUnannounce, .target = target, .key = key}, false, news);
}

FlowId Dht::PutImmutable(Turn& turn, std::string value, News& news) {
  Key32 target = Hash(AsBytes(value));
  return Begin(turn, {.kind = FlowKind::kPutImmutable, .target = target, .value = std::move(value)}, false, news);
}

FlowId Dht::PutMutable(Turn& turn, const KeyPair& key, std::string value, std::optional<uint64_t> seq, News& news) {
  Flow::Spec spec{.kind = FlowKind::kPutMutable, .target = Hash(key.public_key), .key = key, .value = std::move(value), .seq = seq};
  spec.seq_floor = RememberedSeq(turn, key.public_key);
  return Begin(turn, std::move(spec), false, news);
}

FlowId Dht::GetImmutable(Turn& turn, const Key32& hash, News& news) {
  return Begin(turn, {.kind = FlowKind::kGetImmutable, .target = hash}, false, news);
}

FlowId Dht::GetMutable(Turn& turn, const Key32& public_key, uint64_t least_seq, bool latest, News& news) {
  return Begin(turn,
               {.kind = FlowKind::kGetMutable, .target = Hash(public_key), .public_key = public_key, .seq = least_seq, .latest = latest},
               false, news);
}

FlowId Dht::Ping(Turn& turn, const Endpoint& to, News& news) {
  return Begin(turn, {.kind = FlowKind::kPing, .to = Ipv4Address::Of(to)}, false, news);
}

void Dht::Cancel(Turn& turn, FlowId id) {
  auto it = flows_.find(id);
  if (it == flows_.end()) return;
  Flow& flow = *it->second.flow;
  if (flow.spec().kind == FlowKind::kAnnounce) announcements_.Forget(flow.spec().target, flow.spec().key->public_key);
  flow.Cancel(turn, rpc_);
  flows_.erase(it);
  absl::erase_if(queries_, [&](const auto& q) { return q.second == id; });
  absl::erase_if(requests_, [&](const auto& r) { return r.second == id; });
}

}  // namespace orchard::hyperdht
