#include "sim/run/result_connections.h"

#include <algorithm>
#include <map>

#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr size_t kPairsMax = 1000, kChangesMax = 24, kCoarseSteps = 200, kCoarseMax = 64, kReachRows = 64, kReachEntries = 8, kDarkMax = 200, kNatPairsMax = 400, kEdgesMax = 2000;

Json List() { return JsonList({}); }

using Both = std::pair<HostIndex, HostIndex>;

// The host that a node's configuration names as its blind relay.
HostIndex RelayOf(const CaseFacts& f, HostIndex h) {
  JsonError ignored;
  std::optional<Json> config = ParseJson(f.plan.world.hosts[h].config_json, 0, ignored);
  const Json* relay = config ? config->Find("relay") : nullptr;
  const Json* through = relay == nullptr ? nullptr : relay->Find("through");
  const std::optional<std::string> key = through != nullptr && through->is_text() ? FromHex(through->text) : std::nullopt;
  return key ? f.connections.HostOf(AsBytes(*key)) : kNoHost;
}

// The path that a pair has, or had last; kNone: it never had one.
PathKind LastPath(const CaseFacts& f, const Connections::Pair& p) {
  PathKind path = PathKind::kNone;
  Instant at{};
  for (uint32_t index : p.made) {
    for (const Connections::Change& c : f.connections.connection(index).changes) {
      if (c.path != PathKind::kNone && c.at >= at) path = c.path, at = c.at;
    }
  }
  return path;
}

// Claims that failed because of a pair, by its index among the claims of result.json.
std::map<Both, size_t> Claimed(const CaseFacts& f) {
  std::map<Both, size_t> out;
  size_t index = 0;
  for (const ClaimResult& r : f.judge.results()) {
    if (r.claim->figure_only) continue;
    for (const Both& pair : r.pairs) out.emplace(pair, index);
    ++index;
  }
  return out;
}

// Failed claims first, then pairs that never came about, then those that dialled most.
std::vector<std::pair<Both, const Connections::Pair*>> InOrder(const CaseFacts& f, const std::map<Both, size_t>& claimed) {
  std::vector<std::pair<Both, const Connections::Pair*>> out;
  for (const auto& [key, pair] : f.connections.pairs()) {
    if (pair.dials > 0 || !pair.made.empty()) out.emplace_back(key, &pair);
  }
  auto rank = [&](const auto& x) { return claimed.contains(x.first) ? 0 : x.second->made.empty() ? 1 : 2; };
  std::stable_sort(out.begin(), out.end(), [&](const auto& x, const auto& y) {
    return rank(x) != rank(y) ? rank(x) < rank(y) : x.second->dials > y.second->dials;
  });
  return out;
}

std::optional<int64_t> Median(std::vector<int64_t> values) {
  if (values.empty()) return std::nullopt;
  return Quantile(values, 500'000);
}

// Too many changes to tell one by one: what the pair had at some moment of each step.
std::vector<Connections::State> Coarse(const std::vector<Connections::State>& states, Duration step, Instant end) {
  std::vector<Connections::State> out = {{Instant{}, 0}};
  size_t next = 0;
  PathSet now = 0;
  for (Instant at{}; at < end; at += step) {
    PathSet had = now;
    for (; next < states.size() && states[next].at < at + step; ++next) now = states[next].paths, had |= now;
    if (had != out.back().paths) out.push_back({at, had});
  }
  if (out.size() > kCoarseMax + 1) out.erase(out.begin() + 1, out.end() - kCoarseMax);
  return out;
}

Json PairJson(const CaseFacts& f, const Both& key, const Connections::Pair& p) {
  Json j = Json::Object(), changes = List();
  j.At("a") = JsonNumber(key.first), j.At("b") = JsonNumber(key.second);
  std::vector<Connections::State> states = f.connections.StatesOf(key.first, key.second, Instant{}, f.end, Instant{});
  j.At("path") = Json::Text(states.back().paths == 0 ? "none" : PathSetText(states.back().paths));
  if (!p.made.empty()) j.At("last") = Json::Text(PathWord(LastPath(f, p)));
  if (states.size() > kChangesMax + 1) {
    const Duration step = std::max(Duration((f.end - Instant{}).count() / int64_t(kCoarseSteps)), Duration(1));
    j.At("step_ms") = JsonMicro(step.count());
    states = Coarse(states, step, f.end);
  }
  for (size_t i = 1; i < states.size(); ++i) {
    Json change = List();
    change.items = {JsonMs(states[i].at), Json::Text(states[i].paths == 0 ? "none" : PathSetText(states[i].paths))};
    changes.items.push_back(std::move(change));
  }
  j.At("changes") = std::move(changes);
  j.At("made") = JsonNumber(p.made.size()), j.At("dials") = JsonNumber(p.dials), j.At("failed") = JsonNumber(p.failed);
  j.At("attempts") = JsonNumber(p.attempts), j.At("probes") = JsonNumber(p.probes);
  if (p.remote_changes > 0) j.At("remote_changes") = JsonNumber(p.remote_changes);
  if (std::optional<int64_t> p50 = Median(p.took_ns)) j.At("p50_ms") = JsonMicro(*p50);
  if (!p.last_code.empty()) j.At("closed") = Json::Text(p.last_code);
  const Connections::Dial* dial = p.last_failed.by != kNoHost ? &p.last_failed : !p.last.open && p.last.by != kNoHost ? &p.last : nullptr;
  if (dial != nullptr) {
    Json d = Json::Object();
    d.At("by") = JsonNumber(dial->by), d.At("from_ms") = JsonMs(dial->began), d.At("at_ms") = JsonMs(dial->at);
    if (!dial->step.empty()) d.At("step") = Json::Text(dial->step);
    if (!dial->code.empty()) d.At("code") = Json::Text(dial->code);
    j.At("waited") = std::move(d);
  }
  if (const Connections::Dial& seen = p.classified; !seen.local_nat.empty()) {
    const bool by_a = seen.by == key.first;
    j.At("a_seen") = Json::Text(by_a ? seen.local_nat : seen.remote_nat), j.At("b_seen") = Json::Text(by_a ? seen.remote_nat : seen.local_nat);
  }
  return j;
}

// Of each repeated `connect` and caller: the spans in which its calls failed, by when they were meant to begin.
Json ReachJson(const CaseFacts& f) {
  Json out = List();
  const Series *ok = f.recorder.Find("connect.ok"), *took = f.recorder.Find("connect_ms");
  if (ok == nullptr || took == nullptr || ok->samples.size() != took->samples.size()) return out;
  struct Calls {
    std::vector<std::pair<Instant, bool>> all;
  };
  std::map<std::pair<uint16_t, uint32_t>, Calls> by_caller;
  for (size_t i = 0; i < ok->samples.size(); ++i) {  // Both are written together.
    const Reading& r = ok->samples[i];
    if (r.as == 0 || f.scenario.timeline[r.as - 1u].when != Entry::When::kEvery || f.scenario.timeline[r.as - 1u].action != "connect") continue;
    by_caller[{r.as, r.host}].all.emplace_back(r.at - Duration(took->samples[i].micro), r.micro == kMicro);
  }
  std::map<uint16_t, Json> entries;
  for (auto& [key, calls] : by_caller) {
    if (!entries.contains(key.first) && entries.size() >= kReachEntries) continue;
    Json& rows = entries.try_emplace(key.first, List()).first->second;
    if (rows.items.size() >= kReachRows) continue;
    std::stable_sort(calls.all.begin(), calls.all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    Json row = Json::Object(), dark = List();
    Duration sum{};
    std::optional<Instant> since;
    auto span = [&](Instant to) {
      sum += to - *since;
      if (dark.items.size() < kDarkMax) {
        Json s = List();
        s.items = {JsonMs(*since), JsonMs(to)};
        dark.items.push_back(std::move(s));
      }
      since.reset();
    };
    for (const auto& [at, good] : calls.all) {
      if (good && since) span(at);
      if (!good && !since) since = at;
    }
    if (since) span(f.end);
    row.At("host") = JsonNumber(key.second), row.At("calls") = JsonNumber(calls.all.size());
    row.At("from_ms") = JsonMs(calls.all.front().first), row.At("dark") = std::move(dark), row.At("dark_ms") = JsonMicro(sum.count());
    rows.items.push_back(std::move(row));
  }
  for (auto& [as, rows] : entries) {
    const Entry& e = f.scenario.timeline[as - 1u];
    Json one = Json::Object();
    one.At("as") = Json::Text(e.as.empty() ? e.path : e.as);
    if (const Json* to = e.with.Find("to"); to != nullptr && to->is_text()) one.At("to") = Json::Text(to->text.starts_with("@") ? to->text.substr(1) : to->text);
    one.At("rows") = std::move(rows);
    out.items.push_back(std::move(one));
  }
  return out;
}

// Dials by the NATs of both sides, and why they failed.
void SuccessJson(const CaseFacts& f, Json& topology) {
  const Series *ok = f.recorder.Find("connect.ok"), *took = f.recorder.Find("connect_ms");
  if (ok == nullptr || ok->samples.empty()) return;
  struct Cell {
    uint64_t n = 0, good = 0;
    std::map<std::string, uint64_t> paths;
    std::vector<int64_t> took;
  };
  std::map<std::pair<std::string, std::string>, Cell> cells;
  std::map<std::string, uint64_t> errors;
  for (size_t i = 0; i < ok->samples.size(); ++i) {
    const Reading& r = ok->samples[i];
    const std::string other(f.recorder.TagValue(r.tag, "remote_nat")), path(f.recorder.TagValue(r.tag, "path"));
    if (r.micro != kMicro) ++errors[std::string(f.recorder.TagValue(r.tag, "error"))];
    if (other.empty()) continue;
    Cell& c = cells[{f.plan.world.hosts[r.host].nat_label, other}];
    ++c.n, c.good += r.micro == kMicro;
    if (!path.empty()) ++c.paths[path];
    if (r.micro == kMicro && took != nullptr && i < took->samples.size()) c.took.push_back(took->samples[i].micro);
  }
  Json list = List(), causes = List();
  for (auto& [nats, c] : cells) {
    if (list.items.size() >= kNatPairsMax) break;
    Json j = Json::Object(), paths = Json::Object();
    j.At("a") = Json::Text(nats.first), j.At("b") = Json::Text(nats.second), j.At("n") = JsonNumber(c.n), j.At("ok") = JsonNumber(c.good);
    for (const auto& [path, n] : c.paths) paths.At(path) = JsonNumber(n);
    j.At("paths") = std::move(paths);
    if (std::optional<int64_t> p50 = Median(std::move(c.took))) j.At("p50_ms") = JsonMicro(*p50);
    list.items.push_back(std::move(j));
  }
  std::vector<std::pair<std::string, uint64_t>> order(errors.begin(), errors.end());
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  for (size_t i = 0; i < order.size() && i < 40; ++i) {
    Json e = Json::Object();
    e.At("error") = Json::Text(order[i].first.empty() ? "unknown" : order[i].first), e.At("count") = JsonNumber(order[i].second);
    causes.items.push_back(std::move(e));
  }
  if (!list.items.empty()) topology.At("nat_pairs") = std::move(list);
  if (!causes.items.empty()) topology.At("connect_errors") = std::move(causes);
}

}  // namespace

std::vector<Json> ConnectionEdges(const CaseFacts& f) {
  std::vector<Json> out;
  const std::map<Both, size_t> claimed = Claimed(f);
  std::map<HostIndex, HostIndex> relays;
  auto relay = [&](HostIndex h) {
    auto it = relays.find(h);
    return it != relays.end() ? it->second : relays[h] = RelayOf(f, h);
  };
  for (const auto& [key, pair] : InOrder(f, claimed)) {
    if (out.size() >= kEdgesMax) break;
    const PathKind path = LastPath(f, *pair);
    Json x = Json::Object();
    x.At("a") = JsonNumber(key.first), x.At("b") = JsonNumber(key.second);
    x.At("kind") = Json::Text(path == PathKind::kNone ? "failed" : PathWord(path));
    x.At("count") = JsonNumber(path == PathKind::kNone ? pair->failed : pair->made.size());
    if (std::optional<int64_t> p50 = Median(pair->took_ns)) x.At("p50_ms") = JsonMicro(*p50);
    if (!pair->made.empty()) {
      x.At("first_ms") = JsonMs(f.connections.connection(pair->made.front()).changes.front().at);
      x.At("last_ms") = JsonMs(f.connections.connection(pair->made.back()).changes.front().at);
    }
    if (path == PathKind::kRelayed) {
      HostIndex r = relay(key.first);
      if (r == kNoHost) r = relay(key.second);
      if (r != kNoHost) x.At("relay") = JsonNumber(r);
    }
    if (auto it = claimed.find(key); it != claimed.end()) x.At("claim") = JsonNumber(it->second);
    out.push_back(std::move(x));
  }
  return out;
}

void ConnectionsJson(const CaseFacts& f, Json& topology) {
  Json pairs = List();
  for (const auto& [key, pair] : InOrder(f, Claimed(f))) {
    if (pairs.items.size() >= kPairsMax) break;
    pairs.items.push_back(PairJson(f, key, *pair));
  }
  if (!pairs.items.empty()) topology.At("connections") = std::move(pairs);
  if (Json reach = ReachJson(f); !reach.items.empty()) topology.At("reach") = std::move(reach);
  SuccessJson(f, topology);
}

}  // namespace orchard::sim
