#include "sim/run/connections.h"

#include <algorithm>

#include "sim/language/identity.h"
#include "sim/language/text.h"
#include "sim/run/trace_fields.h"

namespace orchard::sim {
namespace {

PathKind PathOf(std::string_view word) {
  auto it = std::find(kPathWords.begin(), kPathWords.end(), word);
  return it == kPathWords.end() ? PathKind::kNone : PathKind(it - kPathWords.begin());
}

std::string TextOf(const Json& params, std::string_view key) {
  const Json* j = params.Find(key);
  return j == nullptr || !j->is_text() ? std::string() : j->text;
}

std::pair<HostIndex, HostIndex> Ordered(HostIndex a, HostIndex b) { return std::minmax(a, b); }

// A dial that ended early knows nothing of the NATs.
void Classify(Connections::Pair& pair, const Connections::Dial& dial) {
  const bool knows = dial.local_nat != "unknown" || dial.remote_nat != "unknown";
  if (knows || pair.classified.local_nat.empty()) pair.classified = dial;
}

constexpr PathSet kAnyPath = Bit(PathKind::kLan) | Bit(PathKind::kDirect) | Bit(PathKind::kPunched) | Bit(PathKind::kRelayed);

}  // namespace

PathSet PathSetOf(const std::vector<std::string>& words) {
  PathSet out = 0;
  for (const std::string& w : words) out |= Bit(PathOf(w));
  return words.empty() ? kAnyPath : out;
}

std::string PathSetText(PathSet set) {
  std::string out;
  for (size_t i = 0; i < kPathWords.size(); ++i) {
    if (set & (1u << i)) out += Cat(out.empty() ? "" : " or ", kPathWords[i]);
  }
  return out;
}

Connections::Connections(const Plan& plan, Recorder& recorder)
    : plan_(plan), recorder_(recorder), live_(plan.world.hosts.size()), listening_(plan.world.hosts.size()), flows_(recorder), reach_(plan) {}

bool Connections::Takes(std::string_view event) {
  return event.starts_with("connect.") || event.starts_with("stream.") || event.starts_with("server.");
}

HostIndex Connections::HostOf(Bytes key) const {
  if (key.size() != sizeof(Key32)) return kNoHost;
  if (keys_.empty()) {
    for (HostIndex h = 0; h < plan_.world.hosts.size(); ++h) {
      const std::string octets = *FromHex(HostKeyHex(plan_.world.seed, plan_.world.hosts[h]));
      Key32 k;
      std::copy(octets.begin(), octets.end(), k.begin());
      keys_.try_emplace(k, h);
    }
  }
  Key32 k;
  std::copy(key.begin(), key.end(), k.begin());
  auto it = keys_.find(k);
  return it == keys_.end() ? kNoHost : it->second;
}

HostIndex Connections::PeerOf(const Json& params) const {
  const std::optional<std::string> octets = FromHex(TextOf(params, "to"));
  return octets ? HostOf(AsBytes(*octets)) : kNoHost;
}

Connections::Pair* Connections::PairOf(HostIndex a, HostIndex b) {
  if (a == kNoHost || b == kNoHost || a == b) return nullptr;
  auto it = pairs_.find(Ordered(a, b));
  if (it != pairs_.end()) return &it->second;
  return pairs_.size() >= kPairsMax ? nullptr : &pairs_[Ordered(a, b)];
}

const Connections::Pair* Connections::FindPair(HostIndex a, HostIndex b) const {
  auto it = pairs_.find(Ordered(a, b));
  return it == pairs_.end() ? nullptr : &it->second;
}

Connections::Live* Connections::Find(HostIndex host, uint32_t id) {
  auto it = live_[host].find(id);
  return it == live_[host].end() ? nullptr : &it->second;
}

Tag Connections::TagOf(HostIndex peer, PathKind path, std::string_view error, std::string_view step, std::string_view side) {
  return recorder_.Intern({{"error", error}, {"path", path == PathKind::kNone ? std::string_view() : PathWord(path)},
                           {"remote_nat", peer == kNoHost ? std::string_view() : std::string_view(plan_.world.hosts[peer].nat_label)},
                           {"side", side}, {"step", step}});
}

void Connections::Emit(std::string_view event, Instant now, HostIndex host, Tag tag, uint16_t as) {
  recorder_.Event(event, now, host, tag, as);
  happened_.push_back({host, FindMetric(event)->name, tag});
}

// ---- Operations ----

void Connections::OnOperation(Instant, HostIndex host, OpId op, uint16_t as, std::string_view action, const Json& params) {
  if (action == "listen") listening_[host] = as;
  Operation o{host, PeerOf(params), as, action == "connect", action == "send", action == "swarm.join", {}};
  if (action.starts_with("swarm.")) o.topic = TextOf(params, "topic");
  if (o.peer == kNoHost && o.topic.empty()) return;
  if (o.send) flows_.Transfer(host, o.peer, +1);
  if (action == "swarm.leave") reach_.Leave(o.topic, host);
  running_.emplace(uint32_t(op), std::move(o));
}

void Connections::OnOperationEnd(Instant, OpId op, bool ok) {
  auto it = running_.find(uint32_t(op));
  if (it == running_.end()) return;
  const Operation& o = it->second;
  if (o.send) flows_.Transfer(o.host, o.peer, -1);
  if (o.join && ok) reach_.Join(o.topic, o.host);
  running_.erase(it);
}

const Connections::Operation* Connections::Cause(HostIndex host, HostIndex peer) const {
  if (peer == kNoHost) return nullptr;
  for (auto it = running_.rbegin(); it != running_.rend(); ++it) {
    if (it->second.host == host && it->second.peer == peer) return &it->second;
  }
  return nullptr;
}

// ---- Ends ----

Connections::Live* Connections::Begin(Instant now, HostIndex host, uint32_t id, HostIndex peer, bool initiator) {
  if (Find(host, id) != nullptr) Close(now, host, id);
  const uint8_t side = initiator ? 0 : 1;
  uint32_t index = 0;
  bool found = false;
  // The other end is that of the newest dial that nobody has answered yet: a handshake arrives after it was sent.
  if (auto waiting = unanswered_.find({peer, host}); !initiator && waiting != unanswered_.end()) {
    index = waiting->second.back(), found = true;
    waiting->second.pop_back();
    if (waiting->second.empty()) unanswered_.erase(waiting);
  }
  if (!found) {
    if (free_.empty()) index = uint32_t(connections_.size()), connections_.emplace_back();
    else index = free_.back(), free_.pop_back();
    connections_[index] = Connection{};
    connections_[index].began = now;
    connections_[index].ends[1 - side].host = peer;
    if (initiator && peer != kNoHost) unanswered_[{host, peer}].push_back(index);
  }
  Connection& c = connections_[index];
  c.ends[side].host = host, c.ends[side].id = id, c.ends[side].known = true;
  c.ends[side].tag = TagOf(peer, PathKind::kNone);
  if (const Operation* cause = initiator ? Cause(host, peer) : nullptr) c.as = cause->as, c.by_connect = cause->connect;
  if (Pair* p = PairOf(host, peer); p != nullptr && initiator) {
    ++p->dials;
    p->last = Dial{.by = host, .began = now, .at = now};
  }
  return &(live_[host][id] = Live{index, side, {}, now});
}

void Connections::CountDial(Instant now, const Connection& c, bool ok, std::string_view code, absl::Span<const TraceField> fields) {
  const End& end = c.ends[0];
  const Tag tag = TagOf(c.ends[1].host, ok ? end.path : PathKind::kNone, ok ? std::string_view() : code);
  recorder_.Add("connect.attempts", now, end.host, int64_t(Number(fields, "attempts")) * kMicro, c.as, tag);
  recorder_.Add("connect.probes", now, end.host, int64_t(Number(fields, "probes")) * kMicro, c.as, tag);
  if (c.by_connect) return;  // The operation says so itself, with its own time.
  recorder_.Add("connect.ok", now, end.host, ok ? kMicro : 0, c.as, tag);
  recorder_.Add("connect_ms", now, end.host, int64_t(Number(fields, "took_ns")), c.as, tag);
}

void Connections::Opened(Instant now, HostIndex host, Live& live, absl::Span<const TraceField> fields) {
  Connection& c = connections_[live.connection];
  End& end = c.ends[live.side];
  const HostIndex peer = c.ends[1 - live.side].host;
  end.opened = now, end.path = PathOf(Word(fields, "path"));
  end.tag = TagOf(peer, end.path);
  Emit("connect.opened", now, host, TagOf(peer, end.path, {}, {}, live.side == 0 ? "out" : "in"), c.as);
  if (live.side == 0) {
    recorder_.Add("connect.path", now, host, end.path == PathKind::kRelayed ? 0 : kMicro, c.as, end.tag);
    CountDial(now, c, true, {}, fields);
  }
  Pair* p = PairOf(host, peer);
  if (p != nullptr && live.side == 0) {
    p->attempts += Number(fields, "attempts"), p->probes += Number(fields, "probes");
    if (p->took_ns.size() < kTookMax) p->took_ns.push_back(int64_t(Number(fields, "took_ns")));
    p->last = Dial{host, c.began, now, "open", {}, std::string(Word(fields, "local_nat")), std::string(Word(fields, "remote_nat")),
                   Number(fields, "attempts"), Number(fields, "probes"), true};
    Classify(*p, p->last);
  }
  Combine(now, live.connection);
}

void Connections::Failed(Instant now, HostIndex host, const Live& live, absl::Span<const TraceField> fields) {
  const Connection& c = connections_[live.connection];
  const HostIndex peer = c.ends[1 - live.side].host;
  const std::string_view code = Word(fields, "code"), step = Word(fields, "step");
  Emit("connect.failed", now, host, TagOf(peer, PathKind::kNone, code, step, live.side == 0 ? "out" : "in"), c.as);
  if (live.side == 0) CountDial(now, c, false, code, fields);
  if (Pair* p = PairOf(host, peer); p != nullptr && live.side == 0) {
    ++p->failed;
    p->attempts += Number(fields, "attempts"), p->probes += Number(fields, "probes");
    p->last_failed = Dial{host, c.began, now, std::string(step), std::string(code), std::string(Word(fields, "local_nat")),
                          std::string(Word(fields, "remote_nat")), Number(fields, "attempts"), Number(fields, "probes"), false};
    if (p->last.began <= c.began) p->last = p->last_failed;
    Classify(*p, p->last_failed);
    ++version_;  // Explanations change.
  }
  Close(now, host, uint32_t(Number(fields, "connection")));
}

void Connections::Stream(Instant now, HostIndex host, const Live& live, uint64_t bytes, bool sent) {
  Connection& c = connections_[live.connection];
  End& end = c.ends[live.side];
  const HostIndex peer = c.ends[1 - live.side].host;
  const Operation* cause = sent ? Cause(host, peer) : Cause(peer, host);
  const uint16_t as = cause == nullptr ? c.as : cause->as;
  if (sent) {
    if (peer != kNoHost) flows_.Sent(now, host, peer, bytes, end.tag, as);
    return;
  }
  recorder_.Count("stream.bytes", host, int64_t(bytes) * kMicro, end.tag, as);
  end.received_second += bytes;
  received_.emplace(live.connection, live.side);
  if (peer != kNoHost) flows_.Received(now, peer, host, bytes, end.tag, as);
}

void Connections::OnTrace(Instant now, HostIndex host, std::string_view event, absl::Span<const TraceField> fields) {
  if (event == "connect.refused") return Emit(event, now, host, recorder_.Intern("why", Word(fields, "why")), 0);
  if (event == "server.listening" || event == "server.remapped") {
    const Bytes key = Octets(fields, "server");
    if (HostOf(key) == kNoHost && key.size() == sizeof(Key32)) {  // A server with a key of its own.
      Key32 k;
      std::copy(key.begin(), key.end(), k.begin());
      keys_.emplace(k, host);
    }
    return Emit(event, now, host, 0, listening_[host]);
  }
  const auto id = uint32_t(Number(fields, "connection"));
  if (event == "connect.began") {
    Begin(now, host, id, HostOf(Octets(fields, "peer")), Number(fields, "initiator") != 0);
    return;
  }
  Live* live = Find(host, id);
  if (live == nullptr) {
    if (event != "connect.opened" && event != "connect.failed") return;  // Of a connection that nobody told of.
    live = Begin(now, host, id, HostOf(Octets(fields, "peer")), Number(fields, "initiator") != 0);
  }
  Connection& c = connections_[live->connection];
  End& end = c.ends[live->side];
  const HostIndex peer = c.ends[1 - live->side].host;
  if (event == "connect.step") {
    live->step = Word(fields, "step"), live->step_at = now;
    if (Pair* p = PairOf(host, peer); p != nullptr && live->side == 0 && !p->last.open && p->last.began == c.began) p->last.step = live->step, p->last.at = now;
  } else if (event == "connect.opened") {
    Opened(now, host, *live, fields);
  } else if (event == "connect.failed") {
    Failed(now, host, *live, fields);
  } else if (event == "connect.path_changed") {
    end.path = PathOf(Word(fields, "to"));
    end.tag = TagOf(peer, end.path);
    Emit(event, now, host, end.tag, c.as);
    Combine(now, live->connection);
  } else if (event == "connect.remote_changed") {
    recorder_.Count("connect.remote_changes", host, kMicro, end.tag, c.as);
    if (Pair* p = PairOf(host, peer)) ++p->remote_changes;
  } else if (event == "connect.closed") {
    const Tag tag = TagOf(peer, end.path, Word(fields, "code"), {}, live->side == 0 ? "out" : "in");
    Emit("connect.closed", now, host, tag, c.as);
    Emit("stream.closed", now, host, tag, c.as);
    if (Pair* p = PairOf(host, peer)) p->last_code = Word(fields, "code");
    Close(now, host, id);
  } else if (event == "stream.sent" || event == "stream.received") {
    Stream(now, host, *live, Number(fields, "bytes"), event == "stream.sent");
  } else if (event == "stream.rtt") {
    recorder_.Add("stream.rtt_ms", now, host, int64_t(Number(fields, "rtt_ns")), c.as, end.tag);
  }
}

void Connections::OnHostDown(Instant now, HostIndex host) {
  reach_.Down(host);
  std::erase_if(running_, [&](const auto& r) {
    if (r.second.host == host && r.second.send) flows_.Transfer(host, r.second.peer, -1);
    return r.second.host == host;
  });
  while (!live_[host].empty()) Close(now, host, live_[host].begin()->first);
}

bool Connections::AnyEndOpen(HostIndex a, HostIndex b) const {
  for (const HostIndex h : {a, b}) {
    for (const auto& [id, live] : live_[h]) {
      const Connection& c = connections_[live.connection];
      if (c.ends[live.side].open() && c.ends[1 - live.side].host == (h == a ? b : a)) return true;
    }
  }
  return false;
}

void Connections::Close(Instant now, HostIndex host, uint32_t id) {
  auto it = live_[host].find(id);
  const auto [index, side] = std::pair(it->second.connection, it->second.side);
  live_[host].erase(it);
  Connection& c = connections_[index];
  c.ends[side].closed = now;
  const HostIndex peer = c.ends[1 - side].host;
  if (auto waiting = unanswered_.find({host, peer}); side == 0 && waiting != unanswered_.end()) {
    std::erase(waiting->second, index);
    if (waiting->second.empty()) unanswered_.erase(waiting);
  }
  Combine(now, index);
  if (c.ends[side].opened != kNever && peer != kNoHost && !AnyEndOpen(host, peer)) flows_.Settle(now, host, peer);
  const End& other = c.ends[1 - side];
  if (!other.known || other.closed != kNever) Free(index);
}

// What both ends together have.
void Connections::Combine(Instant now, uint32_t index) {
  Connection& c = connections_[index];
  const End &a = c.ends[0], &b = c.ends[1];
  PathKind path = PathKind::kNone;
  if (a.open() && b.open()) path = b.path == PathKind::kRelayed ? b.path : a.path;
  if (path == (c.changes.empty() ? PathKind::kNone : c.changes.back().path)) return;
  if (c.changes.empty()) {
    Pair* p = PairOf(a.host, b.host);
    if (p == nullptr || made_ >= kMadeMax) {
      ++lost_;
      return;
    }
    ++made_;
    p->made.push_back(index);
  }
  if (c.changes.size() >= kChangesMax) c.changes.back() = {now, path};
  else c.changes.push_back({now, path});
  ++version_;
}

// Of a connection that never was, nothing is kept.
void Connections::Free(uint32_t index) {
  if (!connections_[index].changes.empty()) return;
  received_.erase({index, 0}), received_.erase({index, 1});
  free_.push_back(index);
}

// ---- Time ----

void Connections::Second(Instant now) {
  const Duration passed = std::max(now - second_, Duration(1));
  second_ = now;
  for (const auto& [index, side] : received_) {
    Connection& c = connections_[index];
    End& end = c.ends[side];
    // Bits in a second are millionths of Mbit/s.
    const __int128 bits = __int128(std::exchange(end.received_second, 0)) * 8 * 1'000'000'000 / passed.count();
    recorder_.Add("stream.goodput_mbps", now, end.host, int64_t(bits), c.as, end.tag);
  }
  received_.clear();
  for (const Flows::Stalled& s : flows_.Second(now)) Emit("stream.stalled", now, s.host, s.tag, s.as);
  if (reach_.empty()) return;
  if (recorder_.reads("swarm.peers", now)) {
    for (HostIndex h = 0; h < live_.size(); ++h) {
      if (!reach_.joined(h)) continue;
      std::set<std::pair<HostIndex, uint32_t>> peers;
      for (const auto& [id, live] : live_[h]) {
        const Connection& c = connections_[live.connection];
        const HostIndex peer = c.ends[1 - live.side].host;
        if (c.ends[live.side].open()) peers.emplace(peer, peer == kNoHost ? id : 0);
      }
      recorder_.Add("swarm.peers", now, h, int64_t(peers.size()) * kMicro);
    }
  }
  if (!recorder_.reads("swarm.reach_ratio", now)) return;
  std::vector<std::pair<HostIndex, HostIndex>> open;
  for (HostIndex h = 0; h < live_.size(); ++h) {
    for (const auto& [id, live] : live_[h]) {
      const Connection& c = connections_[live.connection];
      if (live.side == 0 && c.ends[0].open() && c.ends[1].open()) open.emplace_back(h, c.ends[1].host);
    }
  }
  for (const SwarmReach::Share& s : reach_.Shares(open)) recorder_.Add("swarm.reach_ratio", now, s.host, s.ppm);
}

void Connections::Finish(Instant now) { flows_.Finish(now); }

// ---- Asked ----

std::vector<Connections::State> Connections::StatesOf(HostIndex a, HostIndex b, Instant from, Instant to, Instant since) const {
  std::vector<State> out = {{from, 0}};
  const Pair* p = FindPair(a, b);
  if (p == nullptr) return out;
  struct Step {
    Instant at;
    PathKind path;
    int change;
  };
  std::vector<Step> steps;
  for (uint32_t index : p->made) {
    const std::vector<Change>& changes = connections_[index].changes;
    if (changes.front().at < since || changes.front().at > to) continue;
    if (changes.back().path == PathKind::kNone && changes.back().at < from) continue;
    for (size_t i = 0; i < changes.size(); ++i) {
      if (i > 0 && changes[i - 1].path != PathKind::kNone) steps.push_back({changes[i].at, changes[i - 1].path, -1});
      if (changes[i].path != PathKind::kNone) steps.push_back({changes[i].at, changes[i].path, +1});
    }
  }
  std::stable_sort(steps.begin(), steps.end(), [](const Step& x, const Step& y) { return x.at < y.at; });
  std::array<int, kPathWords.size()> open{};
  auto paths = [&] {
    PathSet set = 0;
    for (size_t i = 1; i < open.size(); ++i) set |= PathSet(open[i] > 0 ? 1u << i : 0);
    return set;
  };
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].at > to) break;
    open[size_t(steps[i].path)] += steps[i].change;
    if (i + 1 < steps.size() && steps[i + 1].at == steps[i].at) continue;  // What lasted no time was not.
    if (steps[i].at <= from) out[0].paths = paths();
    else if (paths() != out.back().paths) out.push_back({steps[i].at, paths()});
  }
  return out;
}

}  // namespace orchard::sim
