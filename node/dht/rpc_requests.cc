// Asking: sending requests, matching answers, time-outs.

#include <utility>

#include "node/dht/rpc_state.h"
#include "node/dht/trace_events.h"

namespace orchard::dht {

void Rpc::State::Enter(Turn& turn) { tokens.OnDrains(requests.CatchUp(turn, mux)); }

std::optional<RequestId> Rpc::State::Send(Turn& turn, const Asking& what, Pending how) {
  if (requests.size() >= kRequestsMax) {
    ++stats.overload;
    return std::nullopt;
  }
  how.tid = requests.TakeTid(), how.to = what.to, how.socket = what.socket.value_or(AskingSocket());
  wire::Writer packet;
  Encode(RequestOut{.tid = how.tid,
                    .to = what.to,
                    .id = SendsId(how.socket) ? &table.self() : nullptr,
                    .token = what.token,
                    .internal = what.internal,
                    .command = what.command,
                    .target = what.target,
                    .value = what.value},
         packet);
  how.packet = packet.str();
  ++stats.requests;
  if (what.internal) {
    switch (Internal(what.command)) {
      case Internal::kPing: ++stats.ping_sent; break;
      case Internal::kPingNat: ++stats.ping_nat_sent; break;
      case Internal::kFindNode: ++stats.find_node_sent; break;
      case Internal::kDownHint: ++stats.down_hint_sent; break;
      case Internal::kDelayedPing: ++stats.delayed_ping_sent; break;
    }
  } else {
    ++stats.user_sent;
  }
  return requests.Send(turn, mux, std::move(how));
}

bool Rpc::State::SendPing(Turn& turn, Ipv4Address to, Pending how) {
  return Send(turn, {.to = to, .command = uint64_t(Internal::kPing)}, std::move(how)).has_value();
}

bool Rpc::State::SendPingNat(Turn& turn, Ipv4Address to, Pending how) {
  uint16_t port = mux.local(udx::SocketRole::kServer).port;
  const uint8_t value[2] = {uint8_t(port), uint8_t(port >> 8)};
  return Send(turn, {.to = to, .command = uint64_t(Internal::kPingNat), .value = Bytes(value, 2)}, std::move(how)).has_value();
}

void Rpc::State::OnResponse(Turn& turn, News& news, Bytes payload, Ipv4Address from, bool external) {
  absl::StatusOr<Response> decoded = DecodeResponse(payload, from);
  if (!decoded.ok()) return Reject(turn, "malformed response", stats.malformed);
  Response& r = *decoded;
  std::optional<Pending> p = requests.TakeByTid(r.tid);
  if (!p.has_value()) {
    ++stats.unmatched;  // A second answer, or a late one: normal.
    return;
  }
  if (r.from_id.has_value() && !ValidId(from, *r.from_id)) ++stats.wrong_id, r.from_id.reset();
  ++stats.responses;
  patience.OnAnswer(turn.now - (p->sent == 1 ? p->deadline - p->timeout : p->created), p->sent == 1);
  if (!answered && from != r.to) {  // Everyone's list of roots may name ourselves.
    answered = true;
    turn.trace.Add(trace::Bootstrapped{.ms = uint64_t(ToMillis(turn.now - started))});
  }
  Learn(turn, news, !external, /*response=*/true, from, r.from_id, r.to);
  OnAnswered(turn, news, *p, r);
  MaybeTraceJoined(turn);
}

void Rpc::State::OnAnswered(Turn& turn, News& news, const Pending& p, const Response& r) {
  switch (p.purpose) {
    case Purpose::kUser: news.push_back(ReplyReceived{p.id, r, turn.now - p.created, Asker{p.a}}); break;
    case Purpose::kQuery: OnQueryAnswer(turn, news, p, r); break;
    case Purpose::kCommit: OnCommitted(turn, news, p, &r); break;
    case Purpose::kHint: break;
    case Purpose::kCheck:
    case Purpose::kSwap: OnChecked(turn, news, p, &r); break;
    case Purpose::kProbe: OnProbeAnswer(turn, news, &r); break;
    case Purpose::kQuickProbe: nat_tested = true; break;
    case Purpose::kRoot: OnRootPinged(turn, news, p.a, true); break;
    case Purpose::kRevive: Heal(turn, news, healer.OnAnswer(/*root=*/p.a == 1)); break;
  }
}

void Rpc::State::OnFailed(Turn& turn, News& news, const Pending& p, Failure why) {
  switch (p.purpose) {
    case Purpose::kUser: news.push_back(RequestFailed{p.id, p.to, why, Asker{p.a}}); break;
    case Purpose::kQuery:
      if (Running* q = FindQuery(QueryId{p.a})) {
        Query::Work work;
        ++q->timeouts;
        q->search.OnTimeout(world(), p.b, work);
        Pump(turn, news, *q, work);
      }
      break;
    case Purpose::kCommit: OnCommitted(turn, news, p, nullptr); break;
    case Purpose::kHint: break;
    case Purpose::kCheck:
    case Purpose::kSwap: OnChecked(turn, news, p, nullptr); break;
    case Purpose::kProbe: OnProbeAnswer(turn, news, nullptr); break;
    case Purpose::kQuickProbe: break;
    case Purpose::kRoot: OnRootPinged(turn, news, p.a, false); break;
    case Purpose::kRevive: ++knock_timeouts, healer.OnSilence(/*root=*/p.a == 1); break;
  }
  if (p.evict) {
    if (RoutingTable::Slot s = table.Find(p.to, IdOf(p.to)); s != RoutingTable::kNone) RemoveNode(news, s, /*lost=*/true);
  }
}

void Rpc::State::OnRequestTimers(Turn& turn, News& news) {
  while (std::optional<RequestId> id = requests.due(turn.now)) {
    const Pending* p = requests.Find(*id);
    if (p->purpose == Purpose::kQuery && (p->sent == 1 || (p->sent == 2 && config.quick_walks))) {
      // Its place in the query goes to someone else, whether or not it is sent again.
      if (Running* q = FindQuery(QueryId{p->a})) {
        Query::Work work;
        if (p->sent == 1) q->search.OnSlow(world(), p->b, work);
        else q->search.OnSilent(world(), p->b, work);
        Pump(turn, news, *q, work);
      }
      if (requests.Find(*id) == nullptr) continue;  // That ended the query, and this request with it.
    }
    uint64_t before = requests.retransmissions();
    std::optional<Pending> gone = requests.Expire(turn, mux, *id);
    stats.retries += requests.retransmissions() - before;
    if (!gone.has_value()) continue;
    ++stats.timeouts;
    OnFailed(turn, news, *gone, Failure::kTimeout);
  }
}

}  // namespace orchard::dht
