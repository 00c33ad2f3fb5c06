#include "sim/result.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "sim/runner_text.h"

namespace orchard::sim {

Json JsonNumber(uint64_t n) {
  Json j;
  j.kind = Json::Kind::kNumber, j.text = std::to_string(n);
  return j;
}
Json JsonMicro(int64_t micro) {
  Json j;
  j.kind = Json::Kind::kNumber, j.text = Decimal(micro, 6);
  return j;
}
Json JsonNull() { return {}; }
Json JsonMs(Instant at) { return at == kNever ? JsonNull() : JsonMicro(at.time_since_epoch().count()); }
Json JsonBool(bool b) {
  Json j;
  j.kind = Json::Kind::kBool, j.truth = b;
  return j;
}
Json JsonList(const std::vector<std::string>& texts) {
  Json j;
  j.kind = Json::Kind::kArray;
  for (const std::string& t : texts) j.items.push_back(Json::Text(t));
  return j;
}

namespace {

Json EmptyList() { return JsonList({}); }

// Room left as a share of the bound; below zero it failed.
std::optional<int64_t> Margin(const BoundSeen& b) {
  if (!b.observed_micro) return std::nullopt;
  __int128 observed = *b.observed_micro, bound = b.bound_micro;
  __int128 room = b.cmp == Bound::Cmp::kAtMost ? bound - observed : observed - bound, whole = bound;
  if (b.unit == "ratio" && b.cmp == Bound::Cmp::kAtLeast && bound > 0 && bound <= kMicro) {
    whole = bound == kMicro ? kMicro : kMicro - bound;
  }
  if (b.cmp == Bound::Cmp::kIs) return observed == bound ? 0 : -kMicro;
  return whole == 0 ? std::optional<int64_t>() : int64_t(room * kMicro / (whole < 0 ? -whole : whole));
}

Json FiguresOf(const Series& s) {
  Json m = Json::Object();
  std::vector<int64_t> values;
  values.reserve(s.samples.size());
  __int128 total = 0;
  for (const Reading& r : s.samples) values.push_back(r.micro), total += r.micro;
  m.At("count") = JsonNumber(values.size() + s.lost);
  m.At("unit") = Json::Text(s.metric->unit);
  if (values.empty()) return m;
  std::sort(values.begin(), values.end());
  auto rank = [&](uint64_t q) { return values[(values.size() * q + 99) / 100 - 1]; };
  m.At("mean") = JsonMicro(int64_t(total / int64_t(values.size())));
  m.At("min") = JsonMicro(values.front());
  m.At("max") = JsonMicro(values.back());
  m.At("total") = JsonMicro(int64_t(total));
  m.At("p50") = JsonMicro(rank(50)), m.At("p95") = JsonMicro(rank(95)), m.At("p99") = JsonMicro(rank(99));
  return m;
}

Json MomentsJson(const CaseFacts& f) {
  Json list = EmptyList();
  for (size_t i = 0; i < f.scenario.timeline.size() && list.items.size() < 200; ++i) {
    const Entry& e = f.scenario.timeline[i];
    const EntrySeen& s = f.timeline.seen()[i];
    if (s.count == 0) continue;
    Json m = Json::Object();
    m.At("kind") = Json::Text(e.act == Entry::Act::kFault ? "fault" : e.act == Entry::Act::kOperation ? "operation" : "moment");
    if (!e.action.empty()) m.At("do") = Json::Text(e.action);
    if (!e.as.empty()) m.At("as") = Json::Text(e.as);
    if (e.who) m.At("on") = Json::Text(e.who->written);
    std::string says;
    for (const Selector& g : e.fault.groups) says += Cat(says.empty() ? "" : " | ", g.written);
    if (!says.empty()) m.At("says") = Json::Text(says);
    m.At("from_ms") = JsonMs(s.first);
    if (e.act != Entry::Act::kMoment && s.ended != kNever) m.At("to_ms") = JsonMs(s.ended);
    if (e.when == Entry::When::kEvery) m.At("count") = JsonNumber(s.count);
    if (e.act == Entry::Act::kOperation) m.At("ok") = JsonNumber(s.ok), m.At("failed") = JsonNumber(s.failed);
    list.items.push_back(std::move(m));
  }
  return list;
}

Json ProofsJson(const Suite& suite) {
  Json list = EmptyList();
  for (const FailsWhen& w : suite.fails_when) {
    Json p = Json::Object(), set = Json::Object();
    p.At("says") = Json::Text(w.says), p.At("claim") = Json::Text(w.claim);
    if (!w.in.empty()) {
      Json& in = p.At("in");
      in = EmptyList();
      for (const std::string& name : w.in) in.items.push_back(Json::Text(name));
    }
    for (const Change& c : w.set) set.At(c.path) = c.value;
    p.At("set") = std::move(set);
    list.items.push_back(std::move(p));
  }
  return list;
}

}  // namespace

Json ClaimJson(const ClaimResult& r) {
  Json c = Json::Object();
  c.At("says") = Json::Text(r.claim->says);
  c.At("verdict") = Json::Text(VerdictName(r.verdict));
  c.At("expected") = Json::Text(r.expected);
  c.At("observed") = Json::Text(r.observed);
  c.At("n") = JsonNumber(r.n);
  c.At("at") = JsonMs(r.at);
  if (r.from != kNever) {
    Json w = Json::Object();
    w.At("from_ms") = JsonMs(r.from), w.At("to_ms") = JsonMs(r.to);
    c.At("window") = std::move(w);
  }
  const bool same = r.claim->kind == Claim::Kind::kSame || r.claim->kind == Claim::Kind::kDiffer;
  c.At("subject") = Json::Text(same ? "same" : r.claim->subject);
  Json bounds = EmptyList();
  for (const BoundSeen& b : r.bounds) {
    Json j = Json::Object();
    j.At("stat") = Json::Text(b.stat);
    j.At("is") = Json::Text(b.cmp == Bound::Cmp::kAtMost ? "at_most" : b.cmp == Bound::Cmp::kAtLeast ? "at_least" : "is");
    j.At("bound") = JsonMicro(b.bound_micro);
    j.At("observed") = b.observed_micro ? JsonMicro(*b.observed_micro) : JsonNull();
    j.At("unit") = Json::Text(b.unit);
    if (std::optional<int64_t> m = Margin(b)) j.At("margin") = JsonMicro(*m);
    j.At("held") = JsonBool(b.held);
    if (!b.part.empty()) j.At("part") = Json::Text(b.part);
    bounds.items.push_back(std::move(j));
  }
  if (!r.bounds.empty()) c.At("unit") = Json::Text(r.bounds[0].unit);
  c.At("bounds") = std::move(bounds);
  if (!r.why.empty()) c.At("why") = JsonList(r.why);
  return c;
}

Json ResultJson(const CaseFacts& f) {
  Json j = Json::Object();
  j.At("schema") = Json::Text("orchard.result/1");
  j.At("scenario") = Json::Text(f.scenario_path);
  std::string name = f.scenario_path.substr(f.scenario_path.rfind('/') + 1);
  j.At("name") = Json::Text(name.ends_with(".json") ? name.substr(0, name.size() - 5) : name);
  j.At("says") = Json::Text(f.scenario.says);
  if (!f.scenario.case_name.empty()) j.At("case") = Json::Text(f.scenario.case_name);
  if (!f.scenario.cell.empty()) j.At("cell") = Json::Text(f.scenario.cell);
  j.At("seed") = JsonNumber(f.seed);
  j.At("version") = Json::Text(kVersion), j.At("host") = Json::Text("ns3");
  j.At("passed") = JsonBool(f.passed);
  if (f.interrupted) j.At("interrupted") = JsonBool(true);
  j.At("fingerprint") = Json::Text(f.world.fingerprint());
  j.At("replay") = Json::Text(f.replay);
  j.At("hosts") = JsonNumber(f.plan.world.hosts.size());
  j.At("duration_ms") = JsonMicro(f.scenario.duration.count());
  j.At("sim_seconds") = JsonMicro(f.end.time_since_epoch().count() / 1000);
  j.At("wall_seconds") = JsonMicro(f.cost.wall_micro);
  j.At("events") = JsonNumber(f.cost.events), j.At("packets") = JsonNumber(f.cost.packets);
  j.At("bytes") = JsonNumber(f.cost.bytes), j.At("drops") = JsonNumber(f.world.totals().drops);
  j.At("peak_rss_bytes") = JsonNumber(f.cost.peak_rss_bytes);
  Json claims = EmptyList();
  for (const ClaimResult& r : f.judge.results()) claims.items.push_back(ClaimJson(r));
  j.At("claims") = std::move(claims);
  Json metrics = Json::Object();
  for (const auto& [metric, series] : f.recorder.series()) metrics.At(metric) = FiguresOf(series);
  j.At("metrics") = std::move(metrics);
  j.At("moments") = MomentsJson(f);
  j.At("fails_when") = ProofsJson(f.suite);
  Json assumed = EmptyList();
  for (const Assumed& a : f.plan.assumed) {
    Json x = Json::Object();
    x.At("says") = Json::Text(Cat(a.what, ": ", a.stated, a.drawn.empty() ? "" : Cat(", drawn ", a.drawn)));
    assumed.items.push_back(std::move(x));
  }
  j.At("assumed") = std::move(assumed);
  std::vector<std::string> notes = f.complaints;
  if (f.interrupted) notes.push_back(Cat("interrupted at ", TimeText(f.end.time_since_epoch()), ": a partial result"));
  j.At("notes") = JsonList(notes);
  j.At("checkpoints") = JsonList(f.world.checkpoints());
  return j;
}

Json SumOfCases(const Suite& suite, const std::vector<Json>& cases, const std::vector<std::string>& dirs) {
  Json j = Json::Object(), list = EmptyList(), claims = EmptyList(), notes = EmptyList();
  bool passed = true;
  std::map<std::string, int64_t> sums;
  int64_t rss = 0, hosts = 0;
  auto micro = [](const Json& c, std::string_view key) {
    const Json* v = c.Find(key);
    return v == nullptr ? 0 : v->Micro().value_or(0);
  };
  auto integer = [](const Json& c, std::string_view key) {
    const Json* v = c.Find(key);
    return v == nullptr ? 0 : v->Integer().value_or(0);
  };
  std::string fingerprints;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Json& c = cases[i];
    const Json* ok = c.Find("passed");
    const bool held = ok != nullptr && ok->truth;
    passed = passed && held;
    for (const char* key : {"sim_seconds", "wall_seconds"}) sums[key] += micro(c, key);
    for (const char* key : {"events", "packets", "bytes", "drops"}) sums[key] += integer(c, key);
    rss = std::max(rss, integer(c, "peak_rss_bytes")), hosts = std::max(hosts, integer(c, "hosts"));
    Json one = Json::Object();
    uint64_t total = 0, good = 0;
    const Json* name = c.Find("case");
    if (const Json* of = c.Find("claims")) {
      for (Json claim : of->items) {
        const Json* verdict = claim.Find("verdict");
        ++total, good += verdict != nullptr && verdict->text == "held";
        if (name != nullptr) claim.At("case") = *name;
        claims.items.push_back(std::move(claim));
      }
    }
    if (const Json* of = c.Find("notes")) notes.items.insert(notes.items.end(), of->items.begin(), of->items.end());
    one.At("name") = name == nullptr ? Json::Text("") : *name;
    one.At("passed") = JsonBool(held);
    one.At("dir") = Json::Text(dirs[i]);
    for (const char* key : {"replay", "sim_seconds", "wall_seconds", "fingerprint", "metrics", "cell", "interrupted"}) {
      if (const Json* v = c.Find(key)) one.At(key) = *v;
    }
    for (const CaseWords& w : suite.cases) {
      if (name != nullptr && w.name == name->text) one.At("says") = Json::Text(w.says);
    }
    one.At("claims_held") = JsonNumber(good), one.At("claims_total") = JsonNumber(total);
    if (const Json* v = c.Find("fingerprint")) fingerprints += v->text;
    list.items.push_back(std::move(one));
  }
  for (const char* key : {"schema", "scenario", "name", "seed", "version", "host"}) {
    if (const Json* v = cases.empty() ? nullptr : cases[0].Find(key)) j.At(key) = *v;
  }
  Digest digest;  // Over all cases, in the file's order.
  digest.Add(AsBytes(fingerprints));
  j.At("says") = Json::Text(suite.says);
  j.At("passed") = JsonBool(passed && !cases.empty());
  j.At("fingerprint") = Json::Text(digest.hex());
  j.At("hosts") = JsonNumber(uint64_t(hosts));
  for (const char* key : {"sim_seconds", "wall_seconds"}) j.At(key) = JsonMicro(sums[key]);
  for (const char* key : {"events", "packets", "bytes", "drops"}) j.At(key) = JsonNumber(uint64_t(sums[key]));
  j.At("peak_rss_bytes") = JsonNumber(uint64_t(rss));
  j.At("claims") = std::move(claims), j.At("cases") = std::move(list), j.At("notes") = std::move(notes);
  j.At("fails_when") = ProofsJson(suite);
  return j;
}

bool WriteText(const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) std::fprintf(stderr, "orchard: cannot write %s\n", file.c_str());
  return bool(out);
}

}  // namespace orchard::sim
