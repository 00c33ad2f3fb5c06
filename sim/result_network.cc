// topology.json and series.json.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "sim/result.h"
#include "sim/runner_text.h"

namespace orchard::sim {
namespace {

Json List() { return JsonList({}); }

std::string_view Letters(Dependence d) {
  return d == Dependence::kEndpointIndependent ? "EI" : d == Dependence::kAddressDependent ? "AD" : "AP";
}

Json BoxWords(const NatSpec& n) {
  Json b = Json::Object();
  b.At("preset") = Json::Text(n.preset);
  b.At("mapping") = Json::Text(n.udp_blocked ? "block" : Letters(n.mapping));
  b.At("filtering") = Json::Text(n.udp_blocked ? "block" : Letters(n.filtering));
  static constexpr std::string_view kPorts[] = {"preserve", "sequential", "random", "block"};
  b.At("ports") = Json::Text(kPorts[size_t(n.ports)]);
  b.At("idle_ms") = JsonMicro(n.idle.count());
  b.At("hairpin") = JsonBool(n.hairpin);
  return b;
}

Json LinkJson(const LinkSpec& l, uint64_t hosts) {
  Json j = Json::Object();
  j.At("name") = Json::Text(l.preset);
  j.At("down_bps") = JsonNumber(uint64_t(l.down_bps)), j.At("up_bps") = JsonNumber(uint64_t(l.up_bps));
  j.At("delay_ms") = JsonMicro(l.delay.count()), j.At("queue_ms") = JsonMicro(l.queue.count());
  j.At("loss_ratio") = JsonMicro(l.loss_ppm), j.At("hosts") = JsonNumber(hosts);
  return j;
}

constexpr size_t kPointsMax = 400;

// The least step that keeps a series within its points.
int64_t StepSeconds(int64_t seconds) {
  for (int64_t step : {1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600}) {
    if (seconds / step < int64_t(kPointsMax)) return step;
  }
  return seconds / int64_t(kPointsMax) + 1;
}

struct Steps {
  int64_t step_ns, count;
  size_t Of(Instant at) const { return size_t(std::min(count - 1, std::max<int64_t>(0, (at.time_since_epoch().count() - 1) / step_ns))); }
};

Json SeriesHead(std::string_view name, std::string_view unit, std::string_view kind, const Steps& steps, Json labels) {
  Json s = Json::Object();
  s.At("name") = Json::Text(name), s.At("labels") = std::move(labels), s.At("unit") = Json::Text(unit);
  s.At("kind") = Json::Text(kind), s.At("from_ms") = JsonNumber(0), s.At("step_ms") = JsonNumber(uint64_t(steps.step_ns / 1'000'000));
  return s;
}

Json Label(std::string_view key, std::string_view value) {
  Json l = Json::Object();
  if (!key.empty()) l.At(key) = Json::Text(value);
  return l;
}

// Samples of `metric` grouped by what `part` says, each folded into the steps' sums and counts.
struct Folded { std::vector<__int128> sum; std::vector<uint64_t> n; };
std::map<std::string, Folded> Fold(const Series& s, const Steps& steps, const std::function<std::string(const Reading&)>& part) {
  std::map<std::string, Folded> out;
  for (const Reading& r : s.samples) {
    Folded& f = out[part(r)];
    if (f.sum.empty()) f.sum.resize(size_t(steps.count)), f.n.resize(size_t(steps.count));
    size_t i = steps.Of(r.at);
    f.sum[i] += r.micro, ++f.n[i];
  }
  return out;
}

}  // namespace

Json TopologyJson(const CaseFacts& f) {
  Json j = Json::Object(), hosts = List(), regions = List(), paths = List(), nats = List(), boxes = List(), links = List(), lans = List();
  j.At("schema") = Json::Text("orchard.topology/1");
  std::map<std::string, uint64_t> by_region, by_link;
  std::map<std::string, LinkSpec> specs;
  std::map<std::string, std::pair<uint64_t, const HostPlan*>> by_nat;
  const std::vector<HostPlan>& plan = f.plan.world.hosts;
  std::vector<uint64_t> ring(256);
  for (HostIndex h = 0; h < plan.size(); ++h) {
    const HostPlan& p = plan[h];
    Json host = Json::Object();
    const std::string link = LabelOf(p, "link");
    host.At("id") = Json::Text(p.id), host.At("group") = Json::Text(p.group), host.At("region") = Json::Text(p.region);
    host.At("nat") = Json::Text(p.nat_label), host.At("link") = Json::Text(link);
    if (!p.lan.empty()) host.At("lan") = Json::Text(p.lan);
    if (!f.world.up(h)) host.At("up") = JsonBool(false);
    if (!p.runs_node) host.At("runs") = Json::Text("none");
    if (p.config_json.find("\"bootstrap\":true") != std::string::npos) host.At("bootstrap") = JsonBool(true);
    const std::string& id = f.watch.state(h).id;
    if (!id.empty()) {
      host.At("ring") = Json::Text(id);
      ++ring[std::stoul(id.substr(0, 2), nullptr, 16)];
    }
    const auto& lives = f.recorder.lives(h);
    if (plan.size() <= 1000 && !(lives.size() == 1 && lives[0].second == kNever)) {
      Json spans = List();
      for (const auto& [from, to] : lives) {
        Json span = List();
        span.items = {JsonMs(from), JsonMs(to)};
        spans.items.push_back(std::move(span));
      }
      host.At("spans") = std::move(spans);
    }
    std::vector<std::string> shared;
    if (!p.uplinks.empty()) {
      for (const NatRef& n : p.uplinks[0].nat) {
        if (!n.shared_name.empty()) shared.push_back(Cat(n.spec.preset, "@", n.shared_name));
      }
      ++by_link[link], specs[link] = p.uplinks[0].link;
    }
    if (!shared.empty()) host.At("boxes") = JsonList(shared);
    ++by_region[p.region];
    auto& nat = by_nat[p.nat_label];
    ++nat.first, nat.second = &p;
    hosts.items.push_back(std::move(host));
  }
  j.At("hosts") = std::move(hosts);
  for (const auto& [id, n] : by_region) {
    Json r = Json::Object();
    r.At("id") = Json::Text(id), r.At("hosts") = JsonNumber(n);
    regions.items.push_back(std::move(r));
    for (const auto& [other, m] : by_region) {
      if (other <= id) continue;
      auto it = f.plan.world.latency.find({id, other});
      Json p = Json::Object();
      p.At("a") = Json::Text(id), p.At("b") = Json::Text(other);
      p.At("delay_ms") = JsonMicro((it == f.plan.world.latency.end() ? f.plan.world.latency_default : it->second).count());
      paths.items.push_back(std::move(p));
    }
  }
  std::map<std::string, std::array<uint64_t, 3>> box_sums;
  for (const World::BoxInfo& b : f.world.boxes()) {
    std::optional<HostIndex> host = f.world.Find(b.name.substr(0, b.name.find_first_of("/[")));
    if (host) {
      auto& sum = box_sums[plan[*host].nat_label];
      sum[0] += b.mappings_made, sum[1] += b.filtered, sum[2] += b.refused;
    } else if (boxes.items.size() < 500) {
      Json box = BoxWords(b.spec);
      box.At("name") = Json::Text(b.name), box.At("label") = Json::Text(b.spec.preset), box.At("inside") = Json::Text(b.outside);
      box.At("members") = JsonNumber(b.members.size());
      box.At("mappings") = JsonNumber(b.mappings), box.At("filtered") = JsonNumber(b.filtered), box.At("refused") = JsonNumber(b.refused);
      boxes.items.push_back(std::move(box));
    }
  }
  for (const auto& [label, n] : by_nat) {
    Json nat = Json::Object(), chain = List();
    nat.At("label") = Json::Text(label), nat.At("hosts") = JsonNumber(n.first);
    if (!n.second->uplinks.empty()) {
      for (const NatRef& r : n.second->uplinks[0].nat) chain.items.push_back(BoxWords(r.spec));
    }
    nat.At("chain") = std::move(chain);
    if (auto it = box_sums.find(label); it != box_sums.end()) {
      nat.At("mappings") = JsonNumber(it->second[0]), nat.At("filtered") = JsonNumber(it->second[1]);
      nat.At("refused") = JsonNumber(it->second[2]);
    }
    nats.items.push_back(std::move(nat));
  }
  for (const auto& [name, spec] : specs) links.items.push_back(LinkJson(spec, by_link[name]));
  for (const LanPlan& l : f.plan.world.lans) {
    if (lans.items.size() >= 500) break;
    Json lan = Json::Object();
    lan.At("id") = Json::Text(l.id), lan.At("region") = Json::Text(l.region);
    lan.At("rate_bps") = JsonNumber(uint64_t(l.rate_bps)), lan.At("delay_ms") = JsonMicro(l.delay.count());
    lan.At("members") = JsonNumber(uint64_t(std::count_if(plan.begin(), plan.end(), [&](const HostPlan& p) { return p.lan == l.id; })));
    lans.items.push_back(std::move(lan));
  }
  j.At("regions") = std::move(regions), j.At("paths") = std::move(paths), j.At("nats") = std::move(nats);
  j.At("boxes") = std::move(boxes), j.At("links") = std::move(links), j.At("lans") = std::move(lans);

  // Table sizes as they were last seen, the ring, and who fared worst.
  Json degree = Json::Object(), degree_counts = List(), ring_json = Json::Object(), nodes = List(), stored = List(), worst = List();
  std::vector<uint64_t> counts;
  for (HostIndex h = 0; h < plan.size(); ++h) {
    if (!f.watch.state(h).has_table) continue;
    size_t bin = size_t(std::min<uint64_t>(f.watch.state(h).table / 4, 255));
    if (counts.size() <= bin) counts.resize(bin + 1);
    ++counts[bin];
  }
  for (uint64_t n : counts) degree_counts.items.push_back(JsonNumber(n));
  degree.At("of") = Json::Text("dht.table.nodes"), degree.At("from") = JsonNumber(0), degree.At("width") = JsonNumber(4);
  degree.At("counts") = std::move(degree_counts);
  for (uint64_t n : ring) nodes.items.push_back(JsonNumber(n));
  for (uint64_t n : f.watch.stored()) stored.items.push_back(JsonNumber(n));
  ring_json.At("nodes") = std::move(nodes), ring_json.At("stored") = std::move(stored);
  if (const Series* s = f.recorder.Find("dht.lookup.ok")) {
    std::map<uint32_t, std::pair<uint64_t, uint64_t>> missed;
    for (const Reading& r : s->samples) ++missed[r.host].second, missed[r.host].first += r.micro == 0;
    std::vector<std::pair<uint32_t, std::pair<uint64_t, uint64_t>>> order(missed.begin(), missed.end());
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second.first > b.second.first; });
    for (size_t i = 0; i < order.size() && i < 20 && order[i].second.first > 0; ++i) {
      Json w = Json::Object();
      w.At("host") = Json::Text(plan[order[i].first].id);
      w.At("says") = Json::Text(Cat(order[i].second.first, " of ", order[i].second.second, " lookups missed"));
      worst.items.push_back(std::move(w));
    }
  }
  j.At("degree") = std::move(degree), j.At("ring") = std::move(ring_json), j.At("worst") = std::move(worst);
  return j;
}

Json SeriesJson(const CaseFacts& f) {
  const int64_t seconds = std::max<int64_t>(1, (f.end.time_since_epoch().count() + 999'999'999) / 1'000'000'000);
  const int64_t step = StepSeconds(seconds);
  const Steps steps{step * 1'000'000'000, (seconds + step - 1) / step};
  Json j = Json::Object(), series = List(), samples = List(), histograms = List();
  j.At("schema") = Json::Text("orchard.series/1");
  auto values = [&](Json head, const std::function<Json(size_t)>& at) {
    Json v = List();
    for (size_t i = 0; i < size_t(steps.count); ++i) v.items.push_back(at(i));
    head.At("values") = std::move(v);
    if (series.items.size() < 128) series.items.push_back(std::move(head));
  };
  auto region = [&](const Reading& r) { return f.plan.world.hosts[r.host].region; };
  auto whole = [](const Reading&) { return std::string(); };

  // Running totals: hosts up, hosts that a node has answered.
  auto running = [&](std::string_view name, std::string_view kind, std::string_view plus, std::string_view minus) {
    std::vector<int64_t> delta(size_t(steps.count), 0);
    const Series *a = f.recorder.Find(plus), *b = minus.empty() ? nullptr : f.recorder.Find(minus);
    if (a == nullptr) return;
    std::set<uint32_t> first;
    for (const Reading& r : a->samples) {
      if (minus.empty() && !first.insert(r.host).second) continue;
      ++delta[steps.Of(r.at)];
    }
    if (b != nullptr) for (const Reading& r : b->samples) --delta[steps.Of(r.at)];
    int64_t sum = 0;
    values(SeriesHead(name, "", kind, steps, Json::Object()), [&](size_t i) { return JsonNumber(uint64_t(sum += delta[i])); });
  };
  running("hosts.up", "gauge", "host.up", "host.down");
  running("dht.bootstrapped", "total", "dht.bootstrapped", "");

  auto rates = [&](std::string_view metric, std::string_view name, std::string_view label, std::string_view unit) {
    const Series* s = f.recorder.Find(metric);
    if (s == nullptr) return;
    auto parts = Fold(*s, steps, [&](const Reading& r) { return std::string(f.recorder.TagValue(r.tag, label)); });
    for (const auto& [part, folded] : parts) {
      values(SeriesHead(name, unit, "rate", steps, Label(part.empty() ? "" : label, part)),
             [&, &folded = folded](size_t i) { return JsonMicro(int64_t(folded.sum[i] / step)); });
    }
  };
  rates("dht.requests", "dht.requests", "type", ""), rates("link.drops", "link.drops", "why", ""), rates("link.bytes", "net.bytes", "", "bytes");
  auto means = [&](std::string_view metric, std::string_view name, bool by_region) {
    const Series* s = f.recorder.Find(metric);
    if (s == nullptr) return;
    for (const auto& [part, folded] : by_region ? Fold(*s, steps, region) : Fold(*s, steps, whole)) {
      values(SeriesHead(name, s->metric->unit, "gauge", steps, Label(part.empty() ? "" : "region", part)), [&, &folded = folded](size_t i) {
        return folded.n[i] == 0 ? JsonNull() : JsonMicro(int64_t(folded.sum[i] / int64_t(folded.n[i])));
      });
    }
  };
  means("dht.table.nodes", "dht.table.live", false), means("dht.lookup.ok", "dht.lookup.ok", false), means("dht.lookup.ok", "dht.lookup.ok", true);

  auto quantiles = [&](std::string_view metric, bool by_region) {
    const Series* s = f.recorder.Find(metric);
    if (s == nullptr) return;
    std::map<std::string, std::vector<int64_t>> parts;
    for (const Reading& r : s->samples) parts[by_region ? region(r) : ""].push_back(r.micro);
    for (auto& [part, v] : parts) {
      std::sort(v.begin(), v.end());
      Json d = Json::Object(), q = List();
      d.At("name") = Json::Text(metric), d.At("labels") = Label(part.empty() ? "" : "region", part);
      d.At("unit") = Json::Text(s->metric->unit), d.At("count") = JsonNumber(v.size());
      for (size_t p = 0; p <= 100; ++p) q.items.push_back(JsonMicro(v[std::min(v.size() - 1, p * v.size() / 100)]));
      d.At("quantiles") = std::move(q);
      if (samples.items.size() < 64) samples.items.push_back(std::move(d));
    }
  };
  for (std::string_view m : {"dht.lookup_ms", "dht.bootstrap_ms", "dht.join_ms", "dht.get_ms"}) quantiles(m, false), quantiles(m, true);
  if (const Series* s = f.recorder.Find("dht.lookup.hops"); s != nullptr && !s->samples.empty()) {
    std::vector<uint64_t> counts;
    for (const Reading& r : s->samples) {
      size_t bin = size_t(std::min<int64_t>(std::max<int64_t>(r.micro / kMicro, 0), 63));
      if (counts.size() <= bin) counts.resize(bin + 1);
      ++counts[bin];
    }
    Json h = Json::Object(), c = List();
    for (uint64_t n : counts) c.items.push_back(JsonNumber(n));
    h.At("name") = Json::Text("dht.lookup.hops"), h.At("labels") = Json::Object(), h.At("unit") = Json::Text("");
    h.At("from") = JsonNumber(0), h.At("width") = JsonNumber(1), h.At("counts") = std::move(c);
    histograms.items.push_back(std::move(h));
  }
  // The judged metric of each claim over time, by its first bound's figure.
  Json claims = List();
  for (size_t c = 0; c < f.judge.results().size(); ++c) {
    const Claim& claim = *f.judge.results()[c].claim;
    const Series* s = f.recorder.Find(claim.subject);
    if (claim.kind != Claim::Kind::kMetric || claim.bounds.empty() || s == nullptr || claim.over.kind != Over::Kind::kNone) continue;
    std::vector<uint32_t> hosts;
    if (claim.of) hosts = HostsOf(*claim.of, f.scenario, f.plan);
    else for (uint32_t h = 0; h < f.plan.world.hosts.size(); ++h) hosts.push_back(h);
    SampleFilter filter(f.recorder, f.scenario, hosts, claim.where, claim.up);
    std::vector<std::vector<Reading>> bins(size_t(steps.count));
    for (const Reading& r : s->samples) {
      if (filter.Takes(r)) bins[steps.Of(r.at)].push_back(r);
    }
    Json one = Json::Object(), v = List();
    for (const std::vector<Reading>& bin : bins) {
      std::optional<int64_t> x = bin.empty() ? std::nullopt : Figure(claim.bounds[0], bin, claim.within_low_micro, claim.within_high_micro);
      v.items.push_back(x ? JsonMicro(*x) : JsonNull());
    }
    one.At("claim") = JsonNumber(c), one.At("stat") = Json::Text(StatName(claim.bounds[0])), one.At("unit") = Json::Text(s->metric->unit);
    one.At("from_ms") = JsonNumber(0), one.At("step_ms") = JsonNumber(uint64_t(step * 1000)), one.At("values") = std::move(v);
    claims.items.push_back(std::move(one));
  }
  j.At("series") = std::move(series), j.At("samples") = std::move(samples), j.At("histograms") = std::move(histograms), j.At("claims") = std::move(claims);
  return j;
}

}  // namespace orchard::sim
