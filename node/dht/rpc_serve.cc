// Answering: requests from others, internal commands, replies.

#include <algorithm>
#include <array>

#include "node/dht/rpc_state.h"
#include "node/dht/trace_events.h"
#include "node/wire/reader.h"

namespace orchard::dht {

void Rpc::State::Reject(Turn& turn, std::string_view why, uint64_t& counter) {
  ++counter;
  turn.trace.Add(trace::Rejected{why});
}

void Rpc::State::OnRequest(Turn& turn, News& news, SocketId socket, Bytes payload, Ipv4Address from, bool external) {
  absl::StatusOr<Request> decoded = DecodeRequest(payload, from);
  if (!decoded.ok()) return Reject(turn, "malformed request", stats.malformed);
  Request& r = *decoded;
  r.socket = socket, r.external = external;
  ++stats.requests_received;
  if (r.from_id.has_value() && !ValidId(from, *r.from_id)) ++stats.wrong_id, r.from_id.reset();
  if (r.has_token && !tokens.Valid(turn.rng, from.host, r.token)) {
    Reject(turn, "invalid token", stats.wrong_token);
    SendReply(turn, {.socket = socket, .to = from, .tid = r.tid, .error = kInvalidToken, .token = true,
                     .closer_to = r.target ? &*r.target : nullptr});
    return;
  }
  Learn(turn, news, !external, /*response=*/false, from, r.from_id, r.to);
  if (r.internal) return OnInternal(turn, news, r);
  news.push_back(RequestReceived{std::move(r)});
}

void Rpc::State::OnInternal(Turn& turn, News&, Request& r) {
  Answer answer{.socket = r.socket, .to = r.from, .tid = r.tid};
  wire::Reader value(r.value.value_or(Bytes{}));
  switch (Internal(r.command)) {
    case Internal::kPing: return SendReply(turn, answer);
    case Internal::kPingNat:
      // "Does my other socket hear you?"
      answer.to.port = value.U16();
      if (answer.to.port == 0) return void(++stats.ignored);
      return SendReply(turn, answer);
    case Internal::kFindNode:
      if (!r.target.has_value()) return void(++stats.ignored);
      answer.closer_to = &*r.target;
      return SendReply(turn, answer);
    case Internal::kDownHint: {
      Ipv4Address down = value.Ipv4();
      if (!value.ok()) return void(++stats.ignored);
      if (checks < kChecksMax) {
        RoutingTable::Slot s = table.Find(down, IdOf(down));
        if (s != RoutingTable::kNone && (table[s].pinged < tick || table[s].down_hints == 0)) {
          if (table[s].down_hints < 255) ++table[s].down_hints;
          StartCheck(turn, s);
        }
      }
      return SendReply(turn, answer);
    }
    case Internal::kDelayedPing: {
      Duration delay = std::chrono::milliseconds(value.U32());
      if (!value.ok() || delay > kPingDelayMax) return void(++stats.ignored);
      if (held_pings.size() >= kDelayedPingsMax) return void(++stats.overload);
      held_pings.push_back({turn.now + std::max(delay, Duration(1)), r.from, r.tid, r.socket});
      return;
    }
  }
  answer.error = kUnknownCommand, answer.closer_to = r.target ? &*r.target : nullptr;
  SendReply(turn, answer);
}

void Rpc::State::SendReply(Turn& turn, const Answer& a) {
  ResponseOut out{.tid = a.tid, .to = a.to, .error = a.error, .value = a.value};
  if (SendsId(a.socket)) out.id = &table.self();
  Key32 token;
  if (a.token) token = tokens.Mint(turn.rng, a.to.host), out.token = &token;
  std::array<Ipv4Address, RoutingTable::kRowNodes> closer;
  size_t n = 0;
  if (a.closer_to != nullptr) {
    table.Closest(*a.closer_to, closer.size(), [&](Ipv4Address address, RoutingTable::Slot) { closer[n++] = address; });
  }
  out.closer = absl::MakeConstSpan(closer.data(), n);
  wire::Writer packet;
  Encode(out, packet);
  ++stats.replies_sent;
  mux.Send(turn, a.socket, a.to, packet.bytes());
}

void Rpc::State::AnswerHeldPings(Turn& turn) {
  for (size_t i = 0; i < held_pings.size();) {
    const HeldPing h = held_pings[i];
    if (h.at > turn.now) {
      ++i;
      continue;
    }
    held_pings.erase(held_pings.begin() + ptrdiff_t(i));
    SendReply(turn, {.socket = h.socket, .to = h.from, .tid = h.tid});
  }
}

}  // namespace orchard::dht
