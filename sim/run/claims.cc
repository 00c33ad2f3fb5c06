#include "sim/run/claims.h"

#include <algorithm>
#include <set>
#include <utility>

#include "node/base/check.h"
#include "sim/language/text.h"
#include "sim/run/claims_watch.h"

namespace orchard::sim {
namespace {

std::string_view UnitOf(const Claim& c, const Bound& b) {
  using Stat = Bound::Stat;
  if (c.over.kind != Over::Kind::kNone || b.stat == Stat::kRatio || b.stat == Stat::kShare) return "ratio";
  if (b.stat == Stat::kCount) return "";
  const Metric* m = FindMetric(c.subject);
  return m == nullptr ? "" : std::string_view(m->unit);
}

// A sweep judges it on the samples of all runs together. An exact share is a matter of one run.
bool IsPooled(const Claim& c, const Bound& b) {
  return c.over.kind == Over::Kind::kNone && b.cmp != Bound::Cmp::kIs && (b.stat == Bound::Stat::kRatio || b.stat == Bound::Stat::kShare);
}

// A bound that is true of nothing at all.
bool MayBeEmpty(const Bound& b) { return b.stat == Bound::Stat::kCount || b.stat == Bound::Stat::kTotal; }

}  // namespace

std::string_view VerdictName(Verdict v) {
  switch (v) {
    case Verdict::kOpen: return "open";
    case Verdict::kHeld: return "held";
    case Verdict::kFailed: return "failed";
    case Verdict::kUndecided: return "undecided";
  }
  return "";
}

std::string_view CmpSign(Bound::Cmp cmp) {
  return cmp == Bound::Cmp::kAtMost ? "≤" : cmp == Bound::Cmp::kAtLeast ? "≥" : "=";
}

ClaimJudge::ClaimJudge(ClaimSources sources) : in_(sources), web_(sources.plan.world) {
  for (const Claim& c : in_.scenario.claims) {
    results_.push_back({.claim = &c, .expected = Expected(c)});
    watches_.push_back(std::make_unique<Watch>());
  }
}
ClaimJudge::~ClaimJudge() = default;

size_t ClaimJudge::Count(Verdict v) const {
  return size_t(std::count_if(results_.begin(), results_.end(), [&](const ClaimResult& r) { return r.verdict == v && (v == Verdict::kOpen || !r.claim->figure_only); }));
}

const ClaimResult* ClaimJudge::first_failed() const {
  for (const ClaimResult& r : results_) {
    if (r.verdict == Verdict::kFailed && !r.claim->figure_only) return &r;
  }
  return nullptr;
}

std::vector<uint32_t> ClaimJudge::HostsOfClaim(const std::optional<Selector>& of) const {
  if (of) return HostsOf(*of, in_.scenario, in_.plan);
  std::vector<uint32_t> all;
  for (uint32_t h = 0; h < in_.plan.world.hosts.size(); ++h) all.push_back(h);
  return all;
}

const SampleFilter& ClaimJudge::FilterOf(const Claim& c) {
  Watch& w = *watches_[size_t(&c - in_.scenario.claims.data())];
  if (!w.filter) w.filter.emplace(in_.recorder, in_.scenario, HostsOfClaim(c.of), c.where, c.up, c.subject);
  return *w.filter;
}

ClaimJudge::Span ClaimJudge::WindowOf(const Claim& c) const {
  Span span;
  const Window& w = c.window;
  span.open = w.since ? in_.moments.At(*w.since) : std::optional(Instant{});
  switch (w.kind) {
    case Window::Kind::kWholeRun: span.close = in_.moments.end(); break;
    case Window::Kind::kBy:
    case Window::Kind::kAt: span.close = in_.moments.At(w.a); break;
    case Window::Kind::kDuring:
      span.open = in_.moments.At(w.a);
      span.close = in_.moments.At(w.b);
      break;
    case Window::Kind::kSpan:
      span.open = in_.moments.Began(w.span);
      span.close = in_.moments.Ended(w.span);
      break;
  }
  return span;
}

void ClaimJudge::Look(Instant now) {
  for (ClaimResult& r : results_) {
    if (r.verdict == Verdict::kOpen) Decide(r, now, false);
  }
}

void ClaimJudge::Decide(ClaimResult& r, Instant now, bool over) {
  const Claim& c = *r.claim;
  if (c.kind == Claim::Kind::kCost) return;
  const Span span = WindowOf(c);
  if (!span.open || *span.open > now || (c.window.kind == Window::Kind::kAt && over && (!span.close || *span.close > now))) {
    if (!over) return;
    r.verdict = Verdict::kFailed, r.at = now;
    r.observed = "its window never opened";
    r.why.push_back(span.open && *span.open > now
                        ? Cat("the window opens at ", TimeText(span.open->time_since_epoch()), ", after the end of the run at ",
                              TimeText(now.time_since_epoch()))
                        : Cat("the window, ", WindowText(c), ", waits for a moment that never came"));
    return;
  }
  const bool past = span.close && *span.close <= now && (*span.close < in_.moments.end() || over);
  const bool early = !c.over_cases() && (c.window.kind == Window::Kind::kBy || c.kind == Claim::Kind::kNever);
  if (!past && !over && !early) return;
  const Instant close = past ? *span.close : now;
  if (!past && !over) {  // Only new facts can change the answer.
    Watch& w = *watches_[size_t(&r - results_.data())];
    const Series* s = in_.recorder.Find(c.subject);
    const std::map<uint32_t, OpResult>* of = in_.results.Of(c.name);
    size_t seen = (s == nullptr ? 0 : s->samples.size()) + (of == nullptr ? 0 : of->size());
    if (c.kind == Claim::Kind::kConnected) seen = in_.connections.version();
    const bool same = c.kind == Claim::Kind::kSame || c.kind == Claim::Kind::kDiffer;
    if (std::exchange(w.seen, seen) == seen && !same) return;
  }
  r.from = *span.open, r.to = span.close.value_or(now);
  const bool holds = Judge(r, *span.open, close);
  const bool decided = past || over || (c.kind == Claim::Kind::kNever ? !holds : holds);
  if (decided) r.verdict = c.over_cases() ? Verdict::kUndecided : holds ? Verdict::kHeld : Verdict::kFailed, r.at = close;
  if (!decided || holds || c.over_cases()) r.why.clear();
}

bool ClaimJudge::Judge(ClaimResult& r, Instant open, Instant close) {
  r.bounds.clear(), r.pool.clear(), r.why.clear(), r.observed.clear(), r.n = 0;
  switch (r.claim->kind) {
    case Claim::Kind::kMetric:
    case Claim::Kind::kEvent: return JudgeBounds(r, open, close);
    case Claim::Kind::kNever: return JudgeNever(r, open, close);
    case Claim::Kind::kLeadsTo: return JudgeLeadsTo(r, open, close);
    case Claim::Kind::kSame:
    case Claim::Kind::kDiffer: return JudgeSame(r, close);
    case Claim::Kind::kConnected: return JudgeConnected(r, open, close);
    case Claim::Kind::kCost: break;
  }
  return false;
}

std::optional<int64_t> ClaimJudge::Divide(const Claim& c, const Bound& b, int64_t value, Instant open, Instant close) const {
  int64_t by = 0;
  if (c.over.kind == Over::Kind::kNone || c.over_cases()) return value;  // The parent divides by other cases' figures.
  if (c.over.kind == Over::Kind::kQuantity) by = c.over.quantity_micro;
  if (c.over.kind == Over::Kind::kMetric) {
    SampleFilter filter(in_.recorder, in_.scenario, HostsOfClaim(c.over.of), c.over.where, Duration{}, c.over.metric);
    std::vector<Reading> samples = SamplesIn(in_.recorder, c.over.metric, filter, open, close);
    by = Figure(b, samples, c.within_low_micro, c.within_high_micro).value_or(0);
  }
  if (by == 0) return std::nullopt;
  return int64_t(__int128(value) * kMicro / by);
}

bool ClaimJudge::JudgeBounds(ClaimResult& r, Instant open, Instant close) {
  const Claim& c = *r.claim;
  const SampleFilter& filter = FilterOf(c);
  const Metric* metric = FindMetric(c.subject);
  // At an instant: each host's reading as it then was, of those that were up.
  const bool instant = c.window.kind == Window::Kind::kAt && metric != nullptr && metric->kind == MetricKind::kGauge;
  std::vector<Reading> all = instant ? LastIn(in_.recorder, c.subject, filter, open, close)
                                     : SamplesIn(in_.recorder, c.subject, filter, open, close);
  if (instant) std::erase_if(all, [&](const Reading& x) { return in_.recorder.UpSince(x.host, close) < Duration::zero(); });
  r.n = all.size();

  // Every part of `each`; one that is owed a sample (a host, a region of the hosts) is there even if it has none.
  std::map<std::string, std::vector<Reading>> parts;
  if (c.each.empty()) {
    parts[""] = std::move(all);
  } else {
    for (uint32_t h : filter.hosts()) {
      if (!filter.OfHost(c.each)) break;
      std::string part = LabelOf(in_.plan.world.hosts[h], c.each);
      if (!part.empty()) parts[part];
    }
    for (const Reading& s : all) parts[filter.Label(s, c.each)].push_back(s);
  }

  std::vector<Bound> bounds = c.bounds;
  if (bounds.empty()) bounds.push_back({.stat = Bound::Stat::kCount, .cmp = Bound::Cmp::kAtLeast, .value_micro = kMicro, .written = "1"});
  bool holds = true, none = parts.empty();
  for (const Bound& b : bounds) {
    const BoundSeen* worst = nullptr;
    std::vector<BoundSeen> seen;
    for (const auto& [part, samples] : parts) {
      BoundSeen s{.stat = StatName(b), .unit = std::string(UnitOf(c, b)), .part = part, .cmp = b.cmp, .bound_micro = b.value_micro};
      std::optional<int64_t> figure = samples.empty() && !MayBeEmpty(b)
                                          ? std::nullopt
                                          : Figure(b, samples, c.within_low_micro, c.within_high_micro);
      if (figure) s.observed_micro = Divide(c, b, *figure, open, close);
      if (s.observed_micro && (b.stat == Bound::Stat::kCount || b.stat == Bound::Stat::kTotal) && c.each.empty()) {
        const Series* series = in_.recorder.Find(c.subject);
        if (series != nullptr && series->lost > 0) s.observed_micro.reset();  // Never judge a part as the whole.
      }
      s.held = s.observed_micro && !c.over_cases() && Holds(b, *s.observed_micro);
      if (!s.observed_micro) none = true;
      holds = holds && s.held;
      if (IsPooled(c, b)) {
        r.pool.push_back({s.stat, part, b.cmp, b.value_micro, Hits(b, samples, c.within_low_micro, c.within_high_micro), samples.size()});
      }
      seen.push_back(std::move(s));
    }
    for (const BoundSeen& s : seen) {  // No sample is worst; then by value.
      bool worse = worst == nullptr || (worst->observed_micro && !s.observed_micro) ||
                   (worst->observed_micro && s.observed_micro &&
                    (b.cmp == Bound::Cmp::kAtMost ? *s.observed_micro > *worst->observed_micro
                                                  : *s.observed_micro < *worst->observed_micro));
      if (worse) worst = &s;
    }
    if (worst != nullptr) {
      std::string value = worst->observed_micro ? Value(*worst->observed_micro, worst->unit) : "no sample";
      r.observed += Cat(r.observed.empty() ? "" : ", ", worst->stat, " ", value, worst->part.empty() ? "" : Cat(" in ", worst->part));
      r.bounds.push_back(*worst);
    }
    for (BoundSeen& s : seen) {
      if (!s.held && &s != worst && r.bounds.size() < 64) r.bounds.push_back(std::move(s));
    }
  }
  if (r.pool.size() > PoolSeen::kPartsMax) r.pool.clear();
  if (parts.empty()) r.observed = "no sample";
  if (holds && !none) return true;
  if (r.n == 0) {
    r.why = ExplainNoSample(in_, c, filter, open, close);
  } else {
    r.why = ExplainSamples(in_, c, filter, open, close, r.bounds);
  }
  return false;
}

bool ClaimJudge::JudgeNever(ClaimResult& r, Instant open, Instant close) {
  const SampleFilter& filter = FilterOf(*r.claim);
  std::vector<Reading> samples = SamplesIn(in_.recorder, r.claim->subject, filter, open, close);
  r.n = samples.size();
  r.observed = samples.empty() ? "never" : Cat(samples.size(), samples.size() == 1 ? " time" : " times");
  for (size_t i = 0; i < samples.size() && i < 3; ++i) {
    r.why.push_back(Cat(r.claim->subject, " on ", in_.plan.world.hosts[samples[i].host].id, " at ",
                        TimeText(samples[i].at.time_since_epoch())));
  }
  return samples.empty();
}

bool ClaimJudge::JudgeLeadsTo(ClaimResult& r, Instant open, Instant close) {
  const Claim& c = *r.claim;
  const SampleFilter& filter = FilterOf(c);
  std::vector<Reading> causes = SamplesIn(in_.recorder, c.subject, filter, open, close);
  const Series* effects = in_.recorder.Find(c.leads_to);
  r.n = causes.size();
  uint64_t followed = 0;
  for (const Reading& cause : causes) {
    bool found = false;
    if (effects != nullptr) {
      auto it = std::lower_bound(effects->samples.begin(), effects->samples.end(), cause.at,
                                 [](const Reading& a, Instant t) { return a.at < t; });
      for (; it != effects->samples.end() && it->at <= cause.at + c.within && !found; ++it) {
        found = it->host == cause.host && in_.recorder.Agree(cause.tag, it->tag);
      }
    }
    followed += found;
    if (!found && r.why.size() < 5) {
      r.why.push_back(Cat(c.subject, " on ", in_.plan.world.hosts[cause.host].id, " at ", TimeText(cause.at.time_since_epoch()),
                          ": no ", c.leads_to, " within ", TimeText(c.within)));
    }
  }
  r.observed = causes.empty() ? Cat(c.subject, " never happened") : Cat(followed, " of ", causes.size(), " followed");
  if (causes.empty()) r.why = ExplainNoSample(in_, c, filter, open, close);
  return !causes.empty() && followed == causes.size();
}

bool ClaimJudge::JudgeSame(ClaimResult& r, Instant close) {
  const Claim& c = *r.claim;
  const std::string& entry = c.name.empty() ? c.key : c.name;
  std::optional<std::string> wanted;
  if (!c.is.empty()) {
    wanted = c.is;
    if (c.is[0] == '/') {
      const auto e = std::find_if(in_.scenario.timeline.begin(), in_.scenario.timeline.end(), [&](const Entry& x) { return x.as == entry; });
      wanted = e == in_.scenario.timeline.end() ? std::nullopt : web_.Sha256(c.is, e->with);
    } else if (c.is[0] == '$') {
      size_t dot = c.is.find('.');
      wanted = dot == std::string::npos ? std::nullopt
                                        : in_.results.Field(c.is.substr(1, dot - 1), std::nullopt, c.is.substr(dot + 1));
    }
  }
  std::map<std::string, std::vector<std::string>> values;
  std::vector<std::string> missing, failed;
  const std::vector<uint32_t> hosts = HostsOfClaim(c.of);
  for (uint32_t h : hosts) {
    const std::string& id = in_.plan.world.hosts[h].id;
    const OpResult* result = in_.results.Find(entry, h);
    if (result == nullptr || result->at > close) {
      missing.push_back(id);
    } else if (!result->ok) {
      failed.push_back(Cat(id, result->code.empty() ? " (nothing found)" : Cat(" (", result->code, ")")));
    } else {
      std::string field = in_.results.Field(entry, h, "sha256").value_or("no sha256");
      values[field].push_back(id);
    }
  }
  const bool equal = values.size() == 1 && (c.is.empty() || (wanted && values.begin()->first == *wanted));
  size_t right = 0;
  for (const auto& [value, ids] : values) right = !wanted ? std::max(right, ids.size()) : value == *wanted ? ids.size() : right;
  r.n = hosts.size();
  const bool complete = !hosts.empty() && missing.empty() && failed.empty();
  if (c.kind == Claim::Kind::kDiffer) {
    r.observed = Cat(values.size(), " different of ", hosts.size());
    if (complete && values.size() > 1) return true;
  } else {
    r.observed = Cat(right, " of ", hosts.size());
    if (complete && equal) return true;
  }
  if (hosts.empty()) r.why.push_back("no host is meant");
  if (!c.is.empty() && !wanted) r.why.push_back(c.is[0] == '/' ? Cat("no web server has the part of ", c.is, " that was asked for") : Cat(c.is, " has no value: that operation has not ended, or failed"));
  if (!missing.empty()) r.why.push_back(Cat("no answer to ", entry, " on ", ListText(missing, 8)));
  if (!failed.empty()) r.why.push_back(Cat(entry, " failed on ", ListText(failed, 8)));
  for (const auto& [value, ids] : values) {
    if (wanted && value == *wanted) continue;
    if (r.why.size() < 6) r.why.push_back(Cat(ListText(ids, 6), " has ", value.substr(0, 16), value.size() > 16 ? "…" : ""));
  }
  return false;
}

void ClaimJudge::Finish(Instant now, const CostFigures& cost, bool strict, bool interrupted) {
  if (!interrupted) {
    for (ClaimResult& r : results_) {
      if (r.verdict == Verdict::kOpen && r.claim->kind != Claim::Kind::kCost) Decide(r, now, true);
      if (r.verdict == Verdict::kOpen && r.claim->kind == Claim::Kind::kCost) JudgeCost(r, cost, strict), r.at = now;
      if (r.verdict == Verdict::kFailed) TellLate(r, now);
    }
  }
  for (ClaimResult& r : results_) {
    if (r.verdict != Verdict::kOpen) continue;
    r.verdict = Verdict::kUndecided, r.at = now, r.bounds.clear();
    r.observed = Cat("the run was interrupted at ", TimeText(now.time_since_epoch()));
  }
}

void ClaimJudge::JudgeCost(ClaimResult& r, const CostFigures& cost, bool strict) {
  const Claim& c = *r.claim;
  std::string unit = "bytes";
  uint64_t n = 0;
  int64_t micro = -1;
  if (c.subject == "events") n = cost.events, unit = "";
  else if (c.subject == "packets") n = cost.packets, unit = "";
  else if (c.subject == "bytes") n = cost.bytes;
  else if (c.subject == "bytes_per_host") n = cost.bytes / std::max<uint64_t>(cost.hosts, 1);
  else if (c.subject == "peak_rss_bytes") n = cost.peak_rss_bytes;
  else if (c.subject == "wall_seconds") micro = cost.wall_micro, unit = "s";
  else CHECK(false);
  if (micro < 0) micro = int64_t(std::min<uint64_t>(n, INT64_MAX / kMicro)) * kMicro;
  bool holds = !c.bounds.empty();
  for (const Bound& b : c.bounds) {
    BoundSeen s{.stat = c.subject, .unit = unit, .cmp = b.cmp, .bound_micro = b.value_micro, .observed_micro = micro};
    s.held = Holds(b, micro);
    holds = holds && s.held;
    r.bounds.push_back(std::move(s));
  }
  r.n = 1, r.from = Instant{}, r.to = in_.moments.end();
  r.observed = Value(micro, unit);
  const bool gates = c.subject != "wall_seconds" || strict;
  r.verdict = holds || !gates ? Verdict::kHeld : Verdict::kFailed;
  if (!holds && !gates) r.observed += " (shown only; --strict gates it)";
}

}  // namespace orchard::sim
