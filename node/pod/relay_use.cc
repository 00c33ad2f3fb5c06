#include "node/pod/relay_use.h"

#include <algorithm>

#include "node/base/check.h"

namespace orchard::pod {

std::string_view NameOf(RelayEnding why) {
  switch (why) {
    case RelayEnding::kDone: return "done";
    case RelayEnding::kNoName: return "no-name";
    case RelayEnding::kForbidden: return "private-address";
    case RelayEnding::kBadPort: return "bad-port";
    case RelayEnding::kTooMany: return "too-many";
    case RelayEnding::kRefused: return "refused";
    case RelayEnding::kUnreachable: return "unreachable";
    case RelayEnding::kReset: return "reset";
    case RelayEnding::kIdle: return "idle";
    case RelayEnding::kNotTls: return "not-tls";
    case RelayEnding::kBroken: return "broken";
    case RelayEnding::kLost: return "lost";
  }
  return "broken";
}

std::optional<RelayId> RelayUse::Open(Turn& turn, Members& members, const DeviceId& through, const http::Authority& to, MembersNews& heard) {
  if (uses_.size() >= kMax || members.link(through) == nullptr) return std::nullopt;
  const std::string host = to.v6 ? "[" + to.host + "]" : to.host;
  if (host.size() > kRelayHostMax) return std::nullopt;
  const RelayId relay{next_++};
  if (!members.Send(turn, through, RelayOpen{relay, to.port, host}, heard)) return std::nullopt;
  ++counters_.begun;
  uses_.emplace(relay, Use{.device = through, .deadline = turn.now + kOpenPatience});
  return relay;
}

size_t RelayUse::room(const Members& members, RelayId relay) const {
  const auto it = uses_.find(relay);
  if (it == uses_.end() || !it->second.up || it->second.ended || members.pending(it->second.device) > kUnsentMax) return 0;
  return it->second.credit;
}

void RelayUse::Write(Turn& turn, Members& members, RelayId relay, Bytes bytes, MembersNews& heard) {
  const auto it = uses_.find(relay);
  if (it == uses_.end()) return;
  Use& use = it->second;
  CHECK_LE(bytes.size(), use.credit);
  use.credit -= uint32_t(bytes.size());
  counters_.sent_bytes += bytes.size();
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kRelayPieceMax, bytes.size()))) {
    // If it is lost now, so is the relay: OnGone follows.
    if (!members.Send(turn, use.device, RelayData{relay, true, bytes.subspan(0, std::min(kRelayPieceMax, bytes.size()))}, heard)) return;
  }
}

void RelayUse::Took(Turn& turn, Members& members, RelayId relay, size_t bytes, MembersNews& heard) {
  const auto it = uses_.find(relay);
  if (it == uses_.end()) return;
  Use& use = it->second;
  CHECK_LE(bytes, use.held);
  use.held -= uint32_t(bytes), use.owed += uint32_t(bytes);
  if (use.owed < kRelayWindow / 4 || use.half) return;
  members.Send(turn, use.device, RelayCredit{relay, true, use.owed}, heard);
  use.theirs += use.owed, use.owed = 0;
}

void RelayUse::End(Turn& turn, Members& members, RelayId relay, MembersNews& heard) {
  const auto it = uses_.find(relay);
  if (it == uses_.end() || it->second.ended) return;
  it->second.ended = true;
  members.Send(turn, it->second.device, RelayEnd{relay, true}, heard);
}

void RelayUse::Close(Turn& turn, Members& members, RelayId relay, MembersNews& heard) {
  const auto it = uses_.find(relay);
  if (it == uses_.end()) return;
  const DeviceId device = it->second.device;
  uses_.erase(it);
  members.Send(turn, device, RelayClose{relay, true, RelayEnding::kDone}, heard);
}

void RelayUse::Fail(Turn& turn, Members& members, Uses::iterator it, RelayEnding why, PodNews& news, MembersNews& heard) {
  const RelayId relay = it->first;
  const DeviceId device = it->second.device;
  uses_.erase(it);
  ++counters_.failed;
  members.Send(turn, device, RelayClose{relay, true, why}, heard);
  news.push_back(RelayGone{relay, why});
}

void RelayUse::OnMessage(Turn& turn, Members& members, const DeviceId& from, const Message& message, PodNews& news, MembersNews& heard) {
  const RelayId relay = RelayOf(message);
  const auto it = uses_.find(relay);
  if (it == uses_.end() || it->second.device != from) {
    ++counters_.late;  // Closed here meanwhile, as a rule.
    return;
  }
  Use& use = it->second;
  if (std::holds_alternative<RelayOpened>(message)) {
    if (use.up) return Fail(turn, members, it, RelayEnding::kBroken, news, heard);
    ++counters_.opened;
    use.up = true, use.deadline = kNever;
    news.push_back(RelayUp{relay});
  } else if (const auto* data = std::get_if<RelayData>(&message)) {
    const size_t n = data->payload.size();
    if (!use.up || use.half || n > use.theirs) return Fail(turn, members, it, RelayEnding::kBroken, news, heard);
    use.theirs -= uint32_t(n), use.held += uint32_t(n);
    counters_.received_bytes += n;
    news.push_back(RelayGot{relay, std::string(AsText(data->payload))});
  } else if (const auto* credit = std::get_if<RelayCredit>(&message)) {
    if (credit->bytes > kRelayWindow - use.credit) return Fail(turn, members, it, RelayEnding::kBroken, news, heard);
    use.credit += credit->bytes;
    news.push_back(RelayWritable{relay});
  } else if (std::holds_alternative<RelayEnd>(message)) {
    if (!use.up || use.half) return Fail(turn, members, it, RelayEnding::kBroken, news, heard);
    use.half = true;
    news.push_back(RelayHalf{relay});
  } else if (const auto* close = std::get_if<RelayClose>(&message)) {
    const bool whole = use.half && use.ended;
    counters_.failed += !whole;
    uses_.erase(it);
    // Whoever says that all is done before it is, has cut it off.
    news.push_back(RelayGone{relay, close->why == RelayEnding::kDone && !whole ? RelayEnding::kReset : close->why});
  }
}

void RelayUse::OnWritable(const DeviceId& device, PodNews& news) {
  for (const auto& [relay, use] : uses_) {
    if (use.device == device && use.up) news.push_back(RelayWritable{relay});
  }
}

void RelayUse::OnGone(const DeviceId& device, PodNews& news) {
  absl::erase_if(uses_, [&](const auto& u) {
    if (u.second.device != device) return false;
    ++counters_.failed;
    news.push_back(RelayGone{u.first, RelayEnding::kLost});
    return true;
  });
}

void RelayUse::OnTime(Turn& turn, Members& members, PodNews& news, MembersNews& heard) {
  for (auto it = uses_.begin(); it != uses_.end();) {
    const auto now = it++;
    if (now->second.deadline > turn.now) continue;
    const RelayId next = it == uses_.end() ? RelayId{UINT32_MAX} : it->first;
    Fail(turn, members, now, RelayEnding::kUnreachable, news, heard);
    it = uses_.lower_bound(next);  // The tree may have moved.
  }
}

Instant RelayUse::next_deadline() const {
  Instant next = kNever;
  for (const auto& [relay, use] : uses_) next = std::min(next, use.deadline);
  return next;
}

}  // namespace orchard::pod
