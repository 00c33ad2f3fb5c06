#include "sim/run/connection_flows.h"

#include <algorithm>

namespace orchard::sim {

void Flows::Sent(Instant now, HostIndex from, HostIndex to, uint64_t bytes, Tag tag, uint16_t as) {
  const Way way{from, to};
  if (flows_.size() >= kFlowsMax && !flows_.contains(way)) return;
  Flow& f = flows_[way];
  f.sent += bytes, f.sent_tag = tag, f.as = as;
  if (f.owed) return;
  f.owed = true, f.stalled = false, f.owed_since = now;
  owed_.insert(way);
}

void Flows::Received(Instant now, HostIndex from, HostIndex to, uint64_t bytes, Tag tag, uint16_t as) {
  auto it = flows_.find({from, to});
  if (it == flows_.end()) return;
  Flow& f = it->second;
  if (f.owed) recorder_.Add("stream.gap_ms", now, to, (now - std::max(f.last, f.owed_since)).count(), as, tag);
  f.received += bytes, f.last = now, f.stalled = false, f.tag = tag, f.as = as;
  if (f.received >= f.sent && f.transfers == 0) Pay(it->first, f);
}

// There is nothing more to hear.
void Flows::Pay(Way way, Flow& f) {
  f.owed = false;
  owed_.erase(way);
}

void Flows::Transfer(HostIndex from, HostIndex to, int change) {
  const Way way{from, to};
  if (flows_.size() >= kFlowsMax && !flows_.contains(way)) return;
  Flow& f = flows_[way];
  f.transfers = uint32_t(int64_t(f.transfers) + change);
  if (f.transfers == 0 && f.received >= f.sent && f.owed) Pay(way, f);
}

void Flows::Lose(Instant now, Way way, Flow& f) {
  if (f.owed) recorder_.Add("stream.gap_ms", now, way.second, (now - std::max(f.last, f.owed_since)).count(), f.as, f.tag);
  if (f.sent > f.received) recorder_.Add("stream.bytes_lost", now, way.first, int64_t(f.sent - f.received) * kMicro, f.as, f.sent_tag);
  f.sent = f.received = 0;
  Pay(way, f);
}

void Flows::Settle(Instant now, HostIndex a, HostIndex b) {
  for (const Way& way : {Way{a, b}, Way{b, a}}) {
    auto it = flows_.find(way);
    if (it != flows_.end()) Lose(now, way, it->second);
  }
}

std::vector<Flows::Stalled> Flows::Second(Instant now) {
  std::vector<Stalled> out;
  for (const Way& way : owed_) {
    Flow& f = flows_.at(way);
    if (f.stalled || now - std::max(f.last, f.owed_since) < kStall) continue;
    f.stalled = true;
    out.push_back({way.second, f.tag, f.as});
  }
  return out;
}

void Flows::Finish(Instant now) {
  for (auto& [way, f] : flows_) Lose(now, way, f);
}

}  // namespace orchard::sim
