#include "node/pod/relay_serve.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "node/pod/trace.h"

namespace orchard::pod {
namespace {

constexpr uint8_t kTlsHandshake[] = {22, 3};  // A record's type and major version. RFC 8446 §5.1.

}  // namespace

void RelayServe::SetInterfaces(absl::Span<const Interface> interfaces) {
  rules_ = {.public_only = !config_.allow_private, .own = {}};
  for (const Interface& i : interfaces) rules_.own.push_back(i.address.with_port(0));
}

// ---- What members say ----

void RelayServe::OnMessage(Turn& turn, const DeviceId& peer, const Message& message, Hands hands) {
  if (const auto* open = std::get_if<RelayOpen>(&message)) return OnOpen(turn, peer, *open, hands);
  const RelayId relay = RelayOf(message);
  const auto it = carried_.find({peer, relay});
  if (it == carried_.end()) {
    ++counters_.late;  // It crossed our last word.
    return;
  }
  Carried& c = it->second;
  if (const auto* data = std::get_if<RelayData>(&message)) {
    OnData(turn, it, data->payload, hands);
  } else if (const auto* credit = std::get_if<RelayCredit>(&message)) {
    if (credit->bytes > kRelayWindow - c.credit) return End(turn, it, RelayEnding::kBroken, hands);
    c.credit += credit->bytes;
    Pump(turn, hands);
  } else if (std::holds_alternative<RelayEnd>(message)) {
    if (c.up_ended) return End(turn, it, RelayEnding::kBroken, hands);
    c.up_ended = true;
    PumpUp(turn, it, hands);
    Pump(turn, hands);
  } else if (const auto* close = std::get_if<RelayClose>(&message)) {
    turn.trace.Add(TracePodRelayEnded{peer, NameOf(close->why)});
    Forget(turn, it);
  }
}

void RelayServe::OnOpen(Turn& turn, const DeviceId& peer, const RelayOpen& open, Hands hands) {
  ++counters_.asked;
  const Key key{peer, open.relay};
  const auto first = carried_.lower_bound({peer, RelayId{0}});
  size_t here = 0;
  for (auto it = first; it != carried_.end() && it->first.first == peer; ++it) ++here;
  if (carried_.contains(key)) return End(turn, carried_.find(key), RelayEnding::kBroken, hands);
  if (here >= kPerPeer || carried_.size() >= kMax) return Refuse(turn, key, RelayEnding::kTooMany, hands);
  if (open.port != 443 && open.port < 1024) return Refuse(turn, key, RelayEnding::kBadPort, hands);
  const auto to = http::Authority::Parse(absl::StrCat(std::string(open.host), ":", open.port), 0);
  if (!to.ok()) return Refuse(turn, key, RelayEnding::kNoName, hands);
  turn.trace.Add(TracePodRelay{peer, to->host, to->port});
  const auto it = carried_.try_emplace(key).first;
  it->second.deadline = turn.now + kResolvePatience;
  if (it->second.addresses.Ask(turn, hands.ids, *to)) Connect(turn, it, hands);
}

void RelayServe::OnData(Turn& turn, Map::iterator it, Bytes payload, Hands hands) {
  Carried& c = it->second;
  if (payload.size() > c.theirs || c.up_ended) return End(turn, it, RelayEnding::kBroken, hands);
  for (size_t i = 0; i < payload.size() && c.hello_bytes < std::size(kTlsHandshake); ++i) {
    if (payload[i] != kTlsHandshake[c.hello_bytes++]) return End(turn, it, RelayEnding::kNotTls, hands);
  }
  c.theirs -= uint32_t(payload.size());
  counters_.up_bytes += payload.size();
  hands.serve.Spend(turn, it->first.first, payload.size());
  c.up.Push(payload);
  PumpUp(turn, it, hands);
}

// ---- The connection to the origin ----

void RelayServe::Connect(Turn& turn, Map::iterator it, Hands hands) {
  Carried& c = it->second;
  if (!c.addresses.Keep(rules_)) return End(turn, it, RelayEnding::kForbidden, hands);
  ++c.tried;
  c.stream = hands.ids.NextStream();
  streams_.emplace(*c.stream, it->first);
  turn.out.Connect(*c.stream, c.addresses.now());
  c.deadline = turn.now + kConnectPatience;
}

bool RelayServe::OnInput(Turn& turn, const Input& input, Hands hands) {
  if (const auto* done = std::get_if<JobDone>(&input)) {
    const auto it = std::find_if(carried_.begin(), carried_.end(), [&](const auto& c) { return c.second.addresses.asked(done->job); });
    if (it == carried_.end()) return false;
    if (it->second.addresses.OnJobDone(*done)) Connect(turn, it, hands);
    else End(turn, it, RelayEnding::kNoName, hands);
    return true;
  }
  const auto stream = http::StreamOf(input);
  const auto named = stream.has_value() ? streams_.find(*stream) : streams_.end();
  if (named == streams_.end()) return false;
  const auto it = carried_.find(named->second);
  Carried& c = it->second;
  if (std::holds_alternative<StreamOpened>(input)) {
    ++counters_.opened;
    c.open = true, c.deadline = turn.now + kIdle;
    c.out.OnOpened(turn, *stream);
    c.in.OnOpened(turn, *stream);
    hands.members.Send(turn, it->first.first, RelayOpened{it->first.second}, hands.heard);
    PumpUp(turn, it, hands);
  } else if (const auto* data = std::get_if<StreamData>(&input)) {
    c.deadline = turn.now + kIdle;
    c.in.OnData(data->bytes.size());
    c.down.Push(data->bytes);
    Pump(turn, hands);
  } else if (const auto* credit = std::get_if<StreamCredit>(&input)) {
    c.out.OnCredit(turn, *stream, credit->bytes);
    PumpUp(turn, it, hands);
  } else if (std::holds_alternative<StreamEnded>(input)) {
    c.down_ended = true;
    Pump(turn, hands);
  } else if (const auto* closed = std::get_if<StreamClosed>(&input)) {
    streams_.erase(named);
    c.stream.reset();
    OnClosed(turn, it, closed->status, hands);
  }
  return true;
}

void RelayServe::OnClosed(Turn& turn, Map::iterator it, absl::StatusCode status, Hands hands) {
  Carried& c = it->second;
  if (c.open) {
    // Both halves have ended: what waits still goes to the member.
    if (status == absl::StatusCode::kOk) return Pump(turn, hands);
    return End(turn, it, RelayEnding::kReset, hands);
  }
  if (c.tried < c.addresses.size()) {
    c.addresses.Next();
    return Connect(turn, it, hands);
  }
  End(turn, it, http::ConnectFailure(status) == http::Failure::kUnreachable ? RelayEnding::kUnreachable : RelayEnding::kRefused, hands);
}

// ---- Bytes ----

void RelayServe::PumpUp(Turn& turn, Map::iterator it, Hands hands) {
  Carried& c = it->second;
  if (!c.open || !c.stream.has_value()) return;
  while (!c.up.empty() && c.out.room() > 0) {
    const Bytes piece = c.up.front(c.out.room());
    const size_t n = piece.size();
    c.out.Write(turn, *c.stream, piece);
    c.up.Pop(n);
    c.owed += uint32_t(n), c.deadline = turn.now + kIdle;
  }
  if (c.up_ended && c.up.empty()) c.out.End(turn, *c.stream);
  if (c.owed < kRelayWindow / 4 || c.up_ended) return;
  c.theirs += c.owed;
  hands.members.Send(turn, it->first.first, RelayCredit{it->first.second, false, std::exchange(c.owed, 0)}, hands.heard);
}

bool RelayServe::PumpDown(Turn& turn, Map::iterator it, Hands hands) {
  const DeviceId& peer = it->first.first;
  Carried& c = it->second;
  if (c.down.empty() || c.credit == 0 || hands.members.pending(peer) > kUnsentMax) return false;
  if (const Instant may = hands.serve.may_at(peer); may > turn.now) {
    pump_at_ = std::min(pump_at_, may);
    return false;
  }
  const Bytes piece = c.down.front(std::min<size_t>(kRelayPieceMax, c.credit));
  const size_t n = piece.size();
  if (!hands.members.Send(turn, peer, RelayData{it->first.second, false, piece}, hands.heard)) return false;
  hands.serve.Spend(turn, peer, n);
  counters_.down_bytes += n;
  c.credit -= uint32_t(n), c.deadline = turn.now + kIdle;
  c.down.Pop(n);
  if (c.stream.has_value()) c.in.Took(turn, *c.stream, n);
  return true;
}

// A piece of each in turn, so that none starves the others; then the ends.
void RelayServe::Pump(Turn& turn, Hands hands) {
  pump_at_ = kNever;
  for (bool any = true; any;) {
    any = false;
    for (auto it = carried_.begin(); it != carried_.end(); ++it) any |= PumpDown(turn, it, hands);
  }
  std::vector<Key> over;
  for (auto& [key, c] : carried_) {
    if (!c.down_ended || !c.down.empty()) continue;
    if (!std::exchange(c.told, true)) hands.members.Send(turn, key.first, RelayEnd{key.second, false}, hands.heard);
    if (c.up_ended && c.up.empty()) over.push_back(key);
  }
  for (const Key& key : over) End(turn, carried_.find(key), RelayEnding::kDone, hands);
}

// ---- Endings ----

void RelayServe::Refuse(Turn& turn, const Key& key, RelayEnding why, Hands hands) {
  ++counters_.refused;
  turn.trace.Add(TracePodRelayEnded{key.first, NameOf(why)});
  hands.members.Send(turn, key.first, RelayClose{key.second, false, why}, hands.heard);
}

void RelayServe::End(Turn& turn, Map::iterator it, RelayEnding why, Hands hands) {
  const Key key = it->first;
  counters_.refused += !it->second.open;
  turn.trace.Add(TracePodRelayEnded{key.first, NameOf(why)});
  Forget(turn, it);
  hands.members.Send(turn, key.first, RelayClose{key.second, false, why}, hands.heard);
}

void RelayServe::Forget(Turn& turn, Map::iterator it) {
  Carried& c = it->second;
  c.addresses.Cancel(turn);
  if (c.stream.has_value()) {
    turn.out.Close(*c.stream);
    streams_.erase(*c.stream);
  }
  carried_.erase(it);
}

void RelayServe::OnGone(Turn& turn, const DeviceId& peer) {
  while (true) {
    const auto it = carried_.lower_bound({peer, RelayId{0}});
    if (it == carried_.end() || it->first.first != peer) return;
    Forget(turn, it);
  }
}

void RelayServe::Stop(Turn& turn) {
  while (!carried_.empty()) Forget(turn, carried_.begin());
  pump_at_ = kNever;
}

void RelayServe::OnTime(Turn& turn, Hands hands) {
  std::vector<Key> due;
  for (const auto& [key, c] : carried_) {
    if (c.deadline <= turn.now) due.push_back(key);
  }
  for (const Key& key : due) {
    const auto it = carried_.find(key);
    Carried& c = it->second;
    if (c.open) {
      End(turn, it, RelayEnding::kIdle, hands);
    } else if (c.stream.has_value()) {
      turn.out.Close(*c.stream);
      streams_.erase(*c.stream);
      c.stream.reset();
      OnClosed(turn, it, absl::StatusCode::kDeadlineExceeded, hands);
    } else {
      End(turn, it, RelayEnding::kNoName, hands);
    }
  }
  if (pump_at_ <= turn.now) Pump(turn, hands);
}

Instant RelayServe::next_deadline() const {
  Instant next = pump_at_;
  for (const auto& [key, c] : carried_) next = std::min(next, c.deadline);
  return next;
}

size_t RelayServe::held() const {
  size_t held = 0;
  for (const auto& [key, c] : carried_) held += c.up.size() + c.down.size();
  return held;
}

}  // namespace orchard::pod
