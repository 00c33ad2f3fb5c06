// series.json: what changed over time, and distributions.
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "sim/run/result.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

Json List() { return JsonList({}); }

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

using Writer = std::function<void(Json head, const std::function<Json(size_t)>& at)>;

// What Watch sums up itself: traffic, health of tables, records held.
void Points(const CaseFacts& f, const Steps& steps, const Writer& values) {
  std::vector<Watch::Point> last(size_t(steps.count));  // The newest of each step; steps without one have none at all.
  for (const Watch::Point& p : f.watch.points()) last[steps.Of(p.at)] = p;
  auto has = [&](size_t i) { return last[i].at > Instant{}; };
  auto rate = [&](std::string_view name, std::string_view unit, uint64_t Watch::Point::*total) {
    Instant before{};
    uint64_t sum = 0;
    values(SeriesHead(name, unit, "rate", steps, Json::Object()), [&](size_t i) {
      if (!has(i)) return JsonNull();
      const int64_t us = std::max<int64_t>((last[i].at - before).count() / 1000, 1);
      const int64_t micro = int64_t(__int128(last[i].*total - sum) * kMicro * kMicro / us);
      before = last[i].at, sum = last[i].*total;
      return JsonMicro(micro);
    });
  };
  rate("net.packets", "", &Watch::Point::packets), rate("net.bytes", "bytes", &Watch::Point::bytes);
  auto gauge = [&](std::string_view name, Json labels, const std::function<std::optional<int64_t>(const Watch::Point&)>& of) {
    if (std::none_of(last.begin(), last.end(), [&](const Watch::Point& p) { return of(p).value_or(0) > 0; })) return;
    values(SeriesHead(name, "", "gauge", steps, std::move(labels)), [&](size_t i) {
      const std::optional<int64_t> micro = has(i) ? of(last[i]) : std::nullopt;
      return micro ? JsonMicro(*micro) : JsonNull();
    });
  };
  auto mean = [](uint64_t sum, uint64_t n) { return n == 0 ? std::nullopt : std::optional(int64_t(sum * uint64_t(kMicro) / n)); };
  gauge("dht.table.live", Json::Object(), [&](const Watch::Point& p) { return mean(p.entries - p.dead, p.tables); });
  gauge("dht.table.dead", Json::Object(), [&](const Watch::Point& p) { return mean(p.dead, p.tables); });
  gauge("dht.records", Label("kind", "announced"), [](const Watch::Point& p) { return std::optional(int64_t(p.records.announced) * kMicro); });
  gauge("dht.records", Label("kind", "mutable"), [](const Watch::Point& p) { return std::optional(int64_t(p.records.mutables) * kMicro); });
  gauge("dht.records", Label("kind", "immutable"), [](const Watch::Point& p) { return std::optional(int64_t(p.records.immutables) * kMicro); });
}

// Connections open by path, what streams carry, and how a swarm hangs together.
void Streams(const CaseFacts& f, const Steps& steps, const Writer& values) {
  std::array<std::vector<int64_t>, kPathWords.size()> delta;
  bool any = false;
  for (const auto& [key, pair] : f.connections.pairs()) {
    for (uint32_t index : pair.made) {
      PathKind before = PathKind::kNone;
      for (const Connections::Change& c : f.connections.connection(index).changes) {
        for (auto [path, by] : {std::pair(before, -1), std::pair(c.path, +1)}) {
          if (path == PathKind::kNone) continue;
          delta[size_t(path)].resize(size_t(steps.count));
          delta[size_t(path)][steps.Of(c.at)] += by;
        }
        before = c.path, any = true;
      }
    }
  }
  for (size_t p = 1; any && p < delta.size(); ++p) {
    if (delta[p].empty()) continue;
    int64_t sum = 0;
    values(SeriesHead("connections.open", "", "gauge", steps, Label("path", kPathWords[p])), [&](size_t i) { return JsonNumber(uint64_t(sum += delta[p][i])); });
  }
  if (const Series* s = f.recorder.Find("connect.ok"); s != nullptr) {
    auto parts = Fold(*s, steps, [&](const Reading& r) {
      return std::string(r.micro == kMicro ? f.recorder.TagValue(r.tag, "path") : f.recorder.TagValue(r.tag, "error"));
    });
    for (const auto& [outcome, folded] : parts) {
      values(SeriesHead("connect.dials", "", "rate", steps, Label("outcome", outcome.empty() ? "reached" : outcome)),
             [&, &folded = folded](size_t i) { return JsonMicro(int64_t(folded.n[i]) * kMicro * 1'000'000'000 / steps.step_ns); });
    }
  }
  // By receiving host, or by the uplink that carried it; the busiest first.
  auto rates = [&](std::string_view metric, std::string_view name, std::string_view label) {
    const Series* s = f.recorder.Find(metric);
    if (s == nullptr) return;
    std::vector<std::pair<__int128, std::string>> order;
    auto parts = Fold(*s, steps, [&](const Reading& r) { return label == "host" ? f.plan.world.hosts[r.host].id : std::string(f.recorder.TagValue(r.tag, label)); });
    for (const auto& [part, folded] : parts) order.emplace_back(-std::accumulate(folded.sum.begin(), folded.sum.end(), __int128{0}), part);
    std::sort(order.begin(), order.end());
    for (size_t k = 0; k < order.size() && k < 8; ++k) {
      const Folded& folded = parts.at(order[k].second);
      // Bytes in millionths to Mbit/s in millionths.
      values(SeriesHead(name, "mbps", "rate", steps, Label(label, order[k].second)),
             [&](size_t i) { return JsonMicro(int64_t(folded.sum[i] * 8 / kMicro * 1'000'000'000 / steps.step_ns)); });
    }
  };
  rates("stream.bytes", "stream.goodput_mbps", "host");
  rates("http.get.bytes", "http.get_mbps", "host");
  rates("pod.bytes", "pod.link_mbps", "link");
  for (std::string_view metric : {"swarm.reach_ratio", "swarm.peers"}) {
    const Series* s = f.recorder.Find(metric);
    if (s == nullptr) continue;
    std::vector<std::vector<int64_t>> bins(size_t(steps.count));
    for (const Reading& r : s->samples) bins[steps.Of(r.at)].push_back(r.micro);
    for (const auto& [name, q] : {std::pair("p5", 50'000u), std::pair("p50", 500'000u), std::pair("p95", 950'000u)}) {
      values(SeriesHead(metric, s->metric->unit, "gauge", steps, Label("figure", name)), [&, q = q](size_t i) {
        return bins[i].empty() ? JsonNull() : JsonMicro(Quantile(bins[i], q));
      });
    }
  }
}

// Requests to cages by what came of them, and how long gets took by when they were to begin: what waited in a queue is not hidden.
void Cages(const CaseFacts& f, const Steps& steps, const Writer& values) {
  const Series *requests = f.recorder.Find("cage.request_ms"), *gets = f.recorder.Find("http.get_ms");
  if (requests == nullptr) return;
  auto parts = Fold(*requests, steps, [&](const Reading& r) {
    const std::string_view status = f.recorder.TagValue(r.tag, "status");
    return status < "400" ? std::string("answered") : std::string(status.substr(0, 1)) + "xx";
  });
  for (const auto& [outcome, folded] : parts) {
    values(SeriesHead("cage.requests", "", "rate", steps, Label("outcome", outcome)),
           [&, &folded = folded](size_t i) { return JsonMicro(int64_t(folded.n[i]) * kMicro * 1'000'000'000 / steps.step_ns); });
  }
  if (gets == nullptr) return;
  std::vector<std::vector<int64_t>> bins(size_t(steps.count));
  for (const Reading& r : gets->samples) bins[steps.Of(r.at - Duration(r.micro))].push_back(r.micro);  // Millionths of a millisecond are nanoseconds.
  for (const auto& [name, q] : {std::pair("p50", 500'000u), std::pair("p99", 990'000u), std::pair("max", 1'000'000u)}) {
    values(SeriesHead("http.get.by_start_ms", "ms", "gauge", steps, Label("figure", name)), [&, q = q](size_t i) {
      return bins[i].empty() ? JsonNull() : JsonMicro(Quantile(bins[i], q));
    });
  }
}

}  // namespace

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
  rates("dht.requests", "dht.requests", "type", ""), rates("link.drops", "link.drops", "why", "");
  Points(f, steps, values);
  auto means = [&](std::string_view metric, std::string_view name, bool by_region) {
    const Series* s = f.recorder.Find(metric);
    if (s == nullptr) return;
    for (const auto& [part, folded] : by_region ? Fold(*s, steps, region) : Fold(*s, steps, whole)) {
      values(SeriesHead(name, s->metric->unit, "gauge", steps, Label(part.empty() ? "" : "region", part)), [&, &folded = folded](size_t i) {
        return folded.n[i] == 0 ? JsonNull() : JsonMicro(int64_t(folded.sum[i] / int64_t(folded.n[i])));
      });
    }
  };
  means("dht.lookup.ok", "dht.lookup.ok", false), means("dht.lookup.ok", "dht.lookup.ok", true);
  means("connect.ok", "connect.ok", false);
  Streams(f, steps, values);
  Cages(f, steps, values);

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
  for (std::string_view m : {"dht.lookup_ms", "dht.bootstrap_ms", "dht.join_ms", "dht.get_ms", "connect_ms", "stream.gap_ms"}) quantiles(m, false), quantiles(m, true);
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
    SampleFilter filter(f.recorder, f.scenario, hosts, claim.where, claim.up, claim.subject);
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
