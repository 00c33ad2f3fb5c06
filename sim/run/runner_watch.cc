#include "sim/run/runner_watch.h"

#include <algorithm>
#include <utility>

#include "sim/language/json_text.h"
#include "sim/language/text.h"
#include "sim/run/trace_fields.h"

namespace orchard::sim {
namespace {

// Fields of dht.stats, as reports name the requests.
constexpr std::pair<std::string_view, std::string_view> kRequestTypes[] = {
    {"ping", "PING"}, {"ping_nat", "PING_NAT"}, {"find_node", "FIND_NODE"}, {"down_hint", "DOWN_HINT"}, {"user", "HyperDHT"}};

}  // namespace

Watch::Watch(const Plan& plan, Duration duration, Recorder& recorder, NodePool& nodes, Connections& connections, const std::string& trace_file)
    : plan_(plan), recorder_(recorder), nodes_(nodes), connections_(connections), pods_(plan, recorder), cages_(recorder), hosts_(plan.world.hosts.size()), stored_(256), traffic_(plan),
      point_every_(duration / std::chrono::seconds(1) / kPointsMax + 1) {
  for (const HostPlan& h : plan.world.hosts) up_bps_.push_back(h.uplinks.empty() ? 0 : h.uplinks[0].link.up_bps);
  if (!trace_file.empty()) trace_.open(trace_file);
}

void Watch::OnTrace(HostIndex host, std::string_view event, absl::Span<const TraceField> fields) {
  HostState& s = hosts_[host];
  const Instant now = world_->now();
  if (trace_.is_open()) WriteLine(host, event, fields);
  if (Connections::Takes(event)) {
    connections_.OnTrace(now, host, event, fields);
    TellHappened();
  } else if (PodWatch::Takes(event)) {
    const Tag tag = pods_.OnTrace(now, host, event, fields);
    recorder_.Event(event, now, host, tag);
    timeline_->OnEvent(host, event, tag);
  } else if (CageWatch::Takes(event)) {
    const Tag tag = cages_.OnTrace(now, host, event, fields);
    if (const Metric* m = FindMetric(event); m != nullptr && m->kind == MetricKind::kEvent) recorder_.Event(event, now, host, tag);
    timeline_->OnEvent(host, event, tag);
  } else if (event == "dht.table") {
    s.has_table = true, s.table = Number(fields, "nodes");
  } else if (event == "dht.stats") {
    for (const auto& [field, type] : kRequestTypes) {
      const uint64_t total = Number(fields, field);
      uint64_t& seen = s.stats[std::string(type)];
      if (total > seen) recorder_.Count("dht.requests", host, int64_t(total - seen) * kMicro, recorder_.Intern("type", type));
      seen = total;
    }
  } else if (event == "http.received") {
    recorder_.Count("http.get.bytes", host, int64_t(Number(fields, "bytes")) * kMicro, 0, timeline_->AsOf(uint32_t(Number(fields, "get"))));
  } else if (event == "dht.rejected" || event == "http.failed" || event == "http.refused") {
    const Tag tag = recorder_.Intern("why", AsText(Octets(fields, "why")));
    recorder_.Event(event, now, host, tag);
    timeline_->OnEvent(host, event, tag);
  } else {
    if (event == "dht.bootstrapped" && !s.bootstrapped) {
      s.bootstrapped = true;
      recorder_.Add("dht.bootstrap_ms", now, host, recorder_.UpSince(host, now).count());
    } else if (event == "dht.joined") {
      recorder_.Add("dht.join_ms", now, host, recorder_.UpSince(host, now).count());
    } else if (event == "dht.persistent") {
      s.id = ToHex(Octets(fields, "id").subspan(0, 4));
    } else if (event == "dht.record.stored") {
      Stored(host, fields);
    }
    const Metric* m = FindMetric(event);
    if (m == nullptr || m->kind != MetricKind::kEvent) return;
    recorder_.Event(event, now, host);
    timeline_->OnEvent(host, event);
  }
}

void Watch::TellHappened() {
  for (const Connections::Happened& x : connections_.TakeHappened()) timeline_->OnEvent(x.host, x.event, x.tag);
}

void Watch::Finish() {
  connections_.Finish(world_->now());
  recorder_.Flush(world_->now());
}

void Watch::Stored(HostIndex host, absl::Span<const TraceField> fields) {
  const Bytes target = Octets(fields, "target");
  if (target.empty()) return;
  ++stored_[target[0]];
  const std::string key = ToHex(target);
  auto it = records_.find(key);
  if (it == records_.end()) {
    if (records_.size() >= kRecordsMax) return;
    it = records_.emplace(key, Record{.kind = std::string(AsText(Octets(fields, "kind")))}).first;
  }
  const std::pair holder(host, world_->incarnation(host));
  auto& holders = it->second.holders;
  if (holders.size() < kHoldersMax && std::find(holders.begin(), holders.end(), holder) == holders.end()) holders.push_back(holder);
}

void Watch::OnOpEvent(HostIndex host, OpId op, std::string_view json, bool final) {
  if (trace_.is_open()) {
    trace_ << "{\"at\":" << ToNanos(world_->now()) << ",\"host\":" << QuoteJson(plan_.world.hosts[host].id)
           << ",\"op\":" << uint32_t(op) << ",\"event\":" << json << "}\n";
  }
  if (final) timeline_->OnOpFinal(host, op, json);
}

void Watch::OnHostUp(HostIndex host) {
  hosts_[host].bootstrapped = hosts_[host].has_table = false;
  hosts_[host].stats.clear();
  readdressed_.push_back(host);
  recorder_.HostUp(world_->now(), host);
  timeline_->OnEvent(host, "host.up");
  timeline_->OnHostUp(host);
}

void Watch::OnHostDown(HostIndex host, bool) {
  nodes_.Forget(host);
  connections_.OnHostDown(world_->now(), host);
  pods_.OnHostDown(host);
  cages_.OnHostDown(world_->now(), host);
  recorder_.HostDown(world_->now(), host);
  timeline_->OnEvent(host, "host.down");
  timeline_->OnHostDown(host);
}

void Watch::OnDrop(const Drop& drop) {
  const HostIndex host = drop.from == kNoHost ? 0 : drop.from;
  recorder_.Count("link.drops", host, kMicro, recorder_.Intern("why", drop.why));
  traffic_.Dropped(drop);
}

void Watch::Second() {
  const Instant now = world_->now();
  connections_.Second(now);
  TellHappened();
  pods_.Second(now);
  cages_.Second(now);
  recorder_.Flush(now);
  for (HostIndex h : readdressed_) traffic_.Address(world_->public_address(h).v4(), h);
  readdressed_.clear();
  const int64_t second = now.time_since_epoch() / std::chrono::seconds(1);
  const bool point = second % point_every_ == 0;
  if (point) {
    const Totals totals = world_->totals();
    const Point last = points_.empty() ? Point{} : points_.back();
    points_.push_back({now, totals.packets, totals.bytes, last.tables, last.entries, last.dead, last.records});
  }
  const bool bytes = recorder_.reads("link.bytes", now), busy = recorder_.reads("link.busy_ratio", now);
  const bool tables = recorder_.reads("dht.table.nodes", now), dead = recorder_.reads("dht.table.dead_ratio", now);
  absl::flat_hash_set<uint32_t> living;
  if (dead) living = Living();
  if (recorder_.asked("link.queue_ms") && recorder_.reads("link.queue_ms", now)) ReadQueues(now);
  uint64_t table_count = 0, entries = 0, gone = 0;
  const int64_t busy_ns = recorder_.period("link.busy_ratio").count();
  for (HostIndex h = 0; h < hosts_.size(); ++h) {
    HostState& s = hosts_[h];
    const uint64_t total = world_->bytes_sent(h);
    if (bytes) {
      const uint64_t sent = total - std::exchange(s.bytes, total);
      if (sent > 0) recorder_.Add("link.bytes", now, h, int64_t(sent) * kMicro);
    }
    if (busy) {
      const uint64_t sent = total - std::exchange(s.bytes_busy, total);
      // Share of the time that the first hop's transmitter was busy: bits ÷ (rate × time).
      __int128 share = up_bps_[h] > 0 ? __int128(sent) * 8 * kMicro * 1'000'000'000 / up_bps_[h] / busy_ns : 0;
      if (world_->up(h)) recorder_.Add("link.busy_ratio", now, h, std::min<int64_t>(int64_t(share), kMicro));
    }
    if (!world_->up(h) || !s.has_table) continue;
    if (tables) recorder_.Add("dht.table.nodes", now, h, int64_t(s.table) * kMicro);
    if (dead) {
      std::optional<NodePool::Table> t = nodes_.TableOf(h, living);
      if (t) ++table_count, entries += t->nodes, gone += t->dead;
      if (t && t->nodes > 0) recorder_.Add("dht.table.dead_ratio", now, h, int64_t(t->dead * kMicro / t->nodes));
    }
  }
  if (tables && !points_.empty() && world_->sees_all()) points_.back().records = nodes_.Records();
  if (dead && !points_.empty()) points_.back().tables = table_count, points_.back().entries = entries, points_.back().dead = gone;
}

// Public addresses of the hosts that are up.
absl::flat_hash_set<uint32_t> Watch::Living() const {
  absl::flat_hash_set<uint32_t> out;
  for (HostIndex h = 0; h < world_->size(); ++h) {
    if (world_->up(h)) out.insert(world_->public_address(h).v4());
  }
  return out;
}

// The mean wait of the packets that entered a host's link since the last reading; none, no reading.
void Watch::ReadQueues(Instant now) {
  const std::vector<World::LinkInfo> links = world_->links();
  queues_.resize(links.size());
  for (size_t i = 0; i < links.size(); ++i) {
    if (links[i].host == kNoHost) continue;
    for (size_t way = 0; way < 2; ++way) {
      const World::WayInfo& info = way == 0 ? links[i].outbound : links[i].inbound;
      auto& [packets, waited] = queues_[i][way];
      const uint64_t n = info.packets - std::exchange(packets, info.packets);
      const Duration sum = info.queue_total - std::exchange(waited, info.queue_total);
      if (n > 0) recorder_.Add("link.queue_ms", now, links[i].host, sum.count() / int64_t(n), 0, recorder_.Intern("way", way == 0 ? "out" : "in"));
    }
  }
}

void Watch::WriteLine(HostIndex host, std::string_view event, absl::Span<const TraceField> fields) {
  trace_ << "{\"at\":" << ToNanos(world_->now()) << ",\"host\":" << QuoteJson(plan_.world.hosts[host].id)
         << ",\"event\":" << QuoteJson(event);
  for (const TraceField& f : fields) {
    trace_ << ',' << QuoteJson(f.name) << ':';
    if (f.bytes.data() == nullptr) trace_ << f.number;
    else if (IsPrintableUtf8(f.bytes)) trace_ << QuoteJson(AsText(f.bytes));
    else trace_ << '"' << ToHex(f.bytes) << '"';
  }
  trace_ << "}\n";
}

}  // namespace orchard::sim
