#include "sim/run/result.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "sim/language/text.h"
#include "sim/run/result_compare.h"
#include "sim/run/runner_worker.h"

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

// What the named operations came to, for comparisons of cases.
Json AnswersJson(const CaseFacts& f) {
  Json list = EmptyList();
  for (const Entry& e : f.scenario.timeline) {
    const std::map<uint32_t, OpResult>* of = e.as.empty() ? nullptr : f.results.Of(e.as);
    if (of == nullptr) continue;
    for (const auto& [host, result] : *of) {
      if (list.items.size() >= kAnswersMax) return list;
      Json a = Json::Object();
      a.At("as") = Json::Text(e.as), a.At("host") = Json::Text(f.plan.world.hosts[host].id), a.At("at_ms") = JsonMs(result.at);
      a.At("ok") = JsonBool(result.ok);
      if (!result.code.empty()) a.At("code") = Json::Text(result.code);
      if (const Json* path = result.data.Find("path"); path != nullptr && path->is_text()) a.At("path") = Json::Text(path->text);
      list.items.push_back(std::move(a));
    }
  }
  return list;
}

}  // namespace

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

namespace {

std::string_view CmpWord(Bound::Cmp cmp) { return cmp == Bound::Cmp::kAtMost ? "at_most" : cmp == Bound::Cmp::kAtLeast ? "at_least" : "is"; }

Json PoolJson(const std::vector<PoolSeen>& pool) {
  Json list = EmptyList();
  for (const PoolSeen& p : pool) {
    Json j = Json::Object();
    j.At("stat") = Json::Text(p.stat), j.At("is") = Json::Text(CmpWord(p.cmp)), j.At("bound") = JsonMicro(p.bound_micro);
    if (!p.part.empty()) j.At("part") = Json::Text(p.part);
    j.At("hits") = JsonMicro(p.hits_micro), j.At("n") = JsonNumber(p.n);
    list.items.push_back(std::move(j));
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
    j.At("is") = Json::Text(CmpWord(b.cmp));
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
  if (r.claim->holds_ppm) c.At("holds") = JsonMicro(*r.claim->holds_ppm);
  if (!r.pool.empty()) c.At("pool") = PoolJson(r.pool);
  if (!r.why.empty()) c.At("why") = JsonList(r.why);
  if (r.claim->over_cases()) {
    Json over = Json::Object();
    over.At(r.claim->over.kind == Over::Kind::kBest ? "best" : r.claim->over.kind == Over::Kind::kSum ? "sum" : "case") = JsonList(r.claim->over.cases);
    c.At("over") = std::move(over);
  }
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
  j.At("version") = Json::Text(kVersion), j.At("host") = Json::Text(f.world.kind());
  j.At("passed") = JsonBool(f.passed);
  if (f.interrupted) j.At("interrupted") = JsonBool(true);
  if (std::string print = f.world.fingerprint(); !print.empty()) j.At("fingerprint") = Json::Text(print);
  j.At("input") = Json::Text(f.scenario.config_digest), j.At("program") = Json::Text(ProgramDigest());
  j.At("replay") = Json::Text(f.replay);
  j.At("hosts") = JsonNumber(f.plan.world.hosts.size());
  j.At("duration_ms") = JsonMicro(f.scenario.duration.count());
  j.At("sim_seconds") = JsonMicro(f.end.time_since_epoch().count() / 1000);
  j.At("wall_seconds") = JsonMicro(f.cost.wall_micro);
  j.At("events") = JsonNumber(f.cost.events), j.At("packets") = JsonNumber(f.cost.packets);
  j.At("bytes") = JsonNumber(f.cost.bytes);
  if (f.world.sees_all()) j.At("drops") = JsonNumber(f.world.totals().drops);
  j.At("peak_rss_bytes") = JsonNumber(f.cost.peak_rss_bytes);
  Json claims = EmptyList();
  Json figures = EmptyList();
  for (const ClaimResult& r : f.judge.results()) (r.claim->figure_only ? figures : claims).items.push_back(ClaimJson(r));
  j.At("claims") = std::move(claims);
  if (!figures.items.empty()) j.At("figures") = std::move(figures);
  Json metrics = Json::Object();
  for (const auto& [metric, series] : f.recorder.series()) metrics.At(metric) = FiguresOf(series);
  j.At("metrics") = std::move(metrics);
  j.At("moments") = MomentsJson(f);
  if (Json answers = AnswersJson(f); !answers.items.empty()) j.At("answers") = std::move(answers);
  j.At("fails_when") = ProofsJson(f.suite);
  Json assumed = EmptyList();
  for (const Assumed& a : f.plan.assumed) {
    if (a.of == 0) {
      Json x = Json::Object();
      x.At("says") = Json::Text(Cat(a.what, ": ", a.stated, a.drawn.empty() ? "" : Cat(", drawn ", a.drawn)));
      assumed.items.push_back(std::move(x));
      continue;
    }
    // Classes of one mix are one assumption: their shares.
    if (assumed.items.empty() || assumed.items.back().Find("says")->text != a.what) {
      Json x = Json::Object();
      x.At("says") = Json::Text(a.what), x.At("drawn") = EmptyList();
      assumed.items.push_back(std::move(x));
    }
    Json d = Json::Object();
    d.At("name") = Json::Text(a.name), d.At("count") = JsonNumber(a.count);
    d.At("share") = JsonMicro(int64_t(a.count) * kMicro / a.of), d.At("expected") = JsonMicro(a.share_ppm);
    assumed.items.back().Find("drawn")->items.push_back(std::move(d));
  }
  j.At("assumed") = std::move(assumed);
  std::vector<std::string> notes = f.complaints;
  for (std::string& n : f.world.notes()) notes.push_back(std::move(n));
  if (f.interrupted) notes.push_back(Cat("interrupted at ", TimeText(f.end.time_since_epoch()), ": a partial result"));
  j.At("notes") = JsonList(notes);
  j.At("checkpoints") = JsonList(f.world.checkpoints());
  return j;
}

Json CheckpointsJson(const CaseFacts& f) {
  static const HostCheckpoints kNone(0);
  const HostCheckpoints* known = f.world.host_checkpoints();
  const HostCheckpoints& kept = known == nullptr ? kNone : *known;
  Json j = Json::Object(), hosts = EmptyList(), rows = EmptyList();
  j.At("schema") = Json::Text("orchard.checkpoints/1");
  for (const HostPlan& h : f.plan.world.hosts) hosts.items.push_back(Json::Text(h.id));
  for (const std::vector<uint32_t>& row : kept.rows()) {
    std::string text;
    for (uint32_t word : row) {
      for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
    }
    rows.items.push_back(Json::Text(text));
  }
  j.At("step_ms") = JsonNumber(uint64_t(kept.step()) * 1000);
  j.At("hosts") = std::move(hosts), j.At("rows") = std::move(rows);
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
