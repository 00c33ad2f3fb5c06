// Ops, continued: what there may be ten thousand of is done in parts, so that a turn stays short.

#include <algorithm>
#include <utility>

#include "node/sidecar/doctor.h"
#include "node/sidecar/ops.h"

namespace orchard::sidecar {

using hyperdht::ConnectionId;
using hyperdht::ConnectionInfo;

namespace {

void WriteConnection(JsonWriter& w, const Turn& turn, const ConnectionInfo& c) {
  auto ago = [&](Instant at) { return at == kNever ? std::string("null") : Millis(turn.now - at); };
  w.Open('{').Key("id").Uint(uint32_t(c.id)).Key("peer").Hex(c.remote_key).Key("dialed").Text(c.initiator ? "by us" : "by them");
  w.Key("path").Text(hyperdht::PathName(c.path)).Key("step").Text(hyperdht::StepName(c.step)).Key("remote").Text(c.remote.ToString());
  w.Key("began_ms_ago").Raw(ago(c.began)).Key("path_since_ms_ago").Raw(ago(c.path_since)).Key("rtt_ms").Raw(Millis(c.rtt));
  w.Key("nat").Text(NatName(c.local_nat)).Key("remote_nat").Text(NatName(c.remote_nat)).Key("probes").Uint(c.probes);
  w.Key("sent").Uint(c.bytes_sent).Key("received").Uint(c.bytes_received).Key("waited_in").Text(LongestStep(c)).Close('}');
}

}  // namespace

void Ops::BeginTask(Turn& turn, OpTarget t, Map::iterator it, Task::Does does) {
  it->second.task.does = does;
  // One turn has one part, however many ask: whoever comes first begins at once.
  if (continue_at_ != kNever) return;
  if (!DoPart(turn, t, it)) continue_at_ = turn.now + Duration(1), last_part_ = it->first;
}

bool Ops::OnTime(Turn& turn, OpTarget t) {
  Wake(turn, t);
  if (continue_at_ > turn.now) return false;
  continue_at_ = kNever;
  auto works = [](const auto& r) { return r.second.task.does != Task::Does::kNothing; };
  // The next after the one of the last turn.
  auto it = std::find_if(running_.upper_bound(last_part_), running_.end(), works);
  if (it == running_.end()) it = std::find_if(running_.begin(), running_.end(), works);
  if (it == running_.end()) return false;
  last_part_ = it->first;
  DoPart(turn, t, it);
  if (std::any_of(running_.begin(), running_.end(), works)) continue_at_ = turn.now + Duration(1);
  return true;
}

bool Ops::DoPart(Turn& turn, OpTarget t, Map::iterator it) {
  Running& r = it->second;
  Task& task = r.task;
  hyperdht::Peers& peers = t.dht.peers();
  if (task.does == Task::Does::kList) {
    const size_t max = std::min(kPartMax, kListMax - r.listed);
    const std::vector<ConnectionId> part = peers.connections(task.after, max);
    for (ConnectionId id : part) {
      JsonWriter one;
      if (const ConnectionInfo* info = peers.info(id)) WriteConnection(one, turn, *info);
      r.peers.Raw(one.text()), ++r.listed, task.after = id;
    }
    if (part.size() == max && r.listed < kListMax) return false;
    JsonWriter w;
    w.Key("connections").Open('[').Raw(r.peers.text()).Close(']').Key("count").Uint(peers.size());
    if (!task.fields.empty()) w.Raw(task.fields);
    task.does = Task::Does::kNothing;
    Succeed(turn, it, w.text());
    return true;
  }
  const std::vector<ConnectionId> part = peers.connections(r.link.key, kPartMax);
  for (ConnectionId c : part) {
    LinkClosed(turn, t, c, hyperdht::ConnectCode::kDestroyed);
    silent_.erase(c), unread_.erase(c);
    peers.Destroy(turn, c), ++task.ended;
  }
  if (part.size() == kPartMax) return false;
  task.does = Task::Does::kNothing;
  if (task.ended == 0) Fail(turn, it, {.code = "NOT_FOUND", .message = "there is no connection with that peer"});
  else Succeed(turn, it, JsonWriter().Key("key").Hex(r.link.key).Key("connections").Uint(task.ended).text());
  return true;
}

}  // namespace orchard::sidecar
