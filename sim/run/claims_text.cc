// Claims in words: what was expected, and why one failed: who missed, what was seen instead.
#include <algorithm>
#include <set>

#include "sim/run/claims.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

std::string ClockAt(Instant t) { return TimeText(t.time_since_epoch()); }

std::string MatchText(const std::vector<Match>& where) {
  std::string out;
  for (const Match& m : where) {
    out += out.empty() ? "{" : ", ";
    out += Cat("\"", m.label, "\": ");
    std::string values;
    for (const std::string& v : m.values) values += Cat(values.empty() ? "" : ", ", "\"", m.negate ? "!" : "", v, "\"");
    out += m.values.size() == 1 ? values : Cat("[", values, "]");
  }
  return out.empty() ? "{}" : out + "}";
}

std::set<std::string> LabelsOfHosts(const ClaimSources& in, std::string_view label) {
  std::set<std::string> out;
  for (const HostPlan& h : in.plan.world.hosts) out.insert(LabelOf(h, label));
  return out;
}

std::vector<std::string> AsVector(const std::set<std::string>& words) { return {words.begin(), words.end()}; }

// "eu-7 ×3 (TIMEOUT)", worst first.
std::string Misses(const ClaimSources& in, const std::vector<Reading>& bad) {
  struct Miss {
    size_t count = 0;
    std::set<std::string> errors;
  };
  std::map<uint32_t, Miss> by_host;
  for (const Reading& s : bad) {
    Miss& m = by_host[s.host];
    ++m.count;
    std::string_view error = in.recorder.TagValue(s.tag, "error");
    m.errors.insert(error.empty() ? "nothing found" : std::string(error));
  }
  std::vector<std::pair<uint32_t, Miss>> order(by_host.begin(), by_host.end());
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second.count > b.second.count; });
  std::vector<std::string> words;
  for (const auto& [h, m] : order) {
    words.push_back(Cat(in.plan.world.hosts[h].id, m.count > 1 ? Cat(" ×", m.count) : "", " (", ListText(AsVector(m.errors), 2), ")"));
  }
  return ListText(words, 8);
}

}  // namespace

std::string ClaimJudge::WindowText(const Claim& c) const {
  const Window& w = c.window;
  std::string since = w.since ? Cat("since ", w.since->written) : "";
  switch (w.kind) {
    case Window::Kind::kWholeRun: return since;
    case Window::Kind::kBy: return Cat(since, since.empty() ? "" : ", ", "by ", w.a.written);
    case Window::Kind::kAt: return Cat(since, since.empty() ? "" : ", ", "at ", w.a.written);
    case Window::Kind::kDuring: return Cat(since, since.empty() ? "" : ", ", "during ", w.a.written, " … ", w.b.written);
    case Window::Kind::kSpan: return Cat("during ", w.span);
  }
  return "";
}

std::string ClaimJudge::Expected(const Claim& c) const {
  std::string out;
  for (const Bound& b : c.bounds) {
    std::string stat = c.kind == Claim::Kind::kCost ? c.subject : StatName(b);
    out += Cat(out.empty() ? "" : ", ", stat, " ", CmpSign(b.cmp), " ", b.written);
  }
  switch (c.kind) {
    case Claim::Kind::kMetric:
    case Claim::Kind::kCost: break;
    case Claim::Kind::kEvent: out = out.empty() ? Cat(c.subject, " happens") : Cat(c.subject, " ", out); break;
    case Claim::Kind::kNever: out = Cat("no ", c.subject); break;
    case Claim::Kind::kLeadsTo: out = Cat(c.leads_to, " within ", TimeText(c.within), " of each ", c.subject); break;
    case Claim::Kind::kSame: out = Cat("same ", c.subject, c.is.empty() ? "" : Cat(" as ", c.is)); break;
    case Claim::Kind::kDiffer: out = Cat("different ", c.subject); break;
    case Claim::Kind::kConnected: {
      const PathSet set = PathSetOf(c.paths);
      out = c.paths.empty() ? "connected" : set == Bit(PathKind::kNone) ? "not connected" : PathSetText(set);
      break;
    }
  }
  std::string window = WindowText(c);
  return window.empty() ? out : Cat(out, " ", window);
}

std::vector<std::string> ExplainNoSample(const ClaimSources& in, const Claim& claim, const SampleFilter& filter, Instant open,
                                         Instant close) {
  std::string start = Cat("claim \"", claim.says, "\" had no sample: ");
  if (filter.hosts().empty()) {
    std::string out = Cat(start, "no host matched ", MatchText(claim.where));
    for (const Match& m : claim.where) {
      std::set<std::string> labels = LabelsOfHosts(in, m.label);
      labels.erase("");
      if (!labels.empty()) out += Cat("; labels seen: ", ListText(AsVector(labels), 12));
    }
    return {out};
  }
  const Series* s = in.recorder.Find(claim.subject);
  if (s == nullptr || s->samples.empty()) return {Cat(start, claim.subject, " was never recorded in this run")};
  std::vector<Reading> any_time = SamplesIn(in.recorder, claim.subject, filter, Instant{}, kNever);
  if (!any_time.empty()) {
    return {Cat(start, any_time.size(), " outside the window ", ClockAt(open), " … ", ClockAt(close), ", from ",
                ClockAt(any_time.front().at), " to ", ClockAt(any_time.back().at))};
  }
  std::string out = Cat(start, s->samples.size(), " of ", claim.subject, " recorded, none matched ", MatchText(claim.where));
  for (const Match& m : claim.where) {
    std::set<std::string> seen;
    for (const Reading& x : s->samples) {
      if (seen.size() < 16) seen.insert(filter.Label(x, m.label));
    }
    seen.erase("");
    out += Cat("; ", m.label, " seen: ", seen.empty() ? "none" : ListText(AsVector(seen), 12));
  }
  return {out};
}

std::vector<std::string> ExplainSamples(const ClaimSources& in, const Claim& claim, const SampleFilter& filter, Instant open,
                                        Instant close, const std::vector<BoundSeen>& bounds) {
  std::vector<std::string> why;
  std::vector<Reading> all = SamplesIn(in.recorder, claim.subject, filter, open, close);
  const Series* series = in.recorder.Find(claim.subject);
  if (series != nullptr && series->lost > 0) {
    why.push_back(Cat(claim.subject, ": ", series->lost, " samples beyond the recorder's ", Recorder::kSamplesMax, " were not kept"));
  }
  std::set<std::string> explained;
  for (const BoundSeen& b : bounds) {
    if (b.held || why.size() >= 6) continue;
    std::string in_part = b.part.empty() ? "" : Cat(" in ", b.part);
    if (!b.observed_micro) {
      if (claim.over.kind != Over::Kind::kNone) why.push_back(Cat("nothing to divide by", in_part));
      else why.push_back(Cat("no sample", in_part));
      continue;
    }
    if (!explained.insert(Cat(b.stat, b.part)).second) continue;
    std::vector<Reading> part;
    for (const Reading& s : all) {
      if (b.part.empty() || filter.Label(s, claim.each) == b.part) part.push_back(s);
    }
    if (b.stat == "ratio") {
      std::vector<Reading> bad;
      for (const Reading& s : part) {
        if (s.micro < kMicro) bad.push_back(s);
      }
      why.push_back(Cat(bad.size(), " of ", part.size(), " missed", in_part, ": ", Misses(in, bad)));
      if (!bad.empty()) why.push_back(Cat("between ", ClockAt(bad.front().at), " and ", ClockAt(bad.back().at)));
    } else if (b.stat == "count" || b.stat == "total") {
      std::set<uint32_t> have;
      for (const Reading& s : part) have.insert(s.host);
      std::vector<std::string> missing;
      std::set<std::string> nats;
      for (uint32_t h : filter.hosts()) {
        if (have.contains(h) || (!b.part.empty() && LabelOf(in.plan.world.hosts[h], claim.each) != b.part)) continue;
        missing.push_back(in.plan.world.hosts[h].id);
        nats.insert(in.plan.world.hosts[h].nat_label);
      }
      if (b.cmp != Bound::Cmp::kAtMost && !missing.empty()) {
        why.push_back(Cat("none", in_part, " from ", ListText(missing, 8), "; behind ", ListText(AsVector(nats), 6)));
      }
    } else {
      const bool low_is_bad = b.cmp == Bound::Cmp::kAtLeast;
      std::stable_sort(part.begin(), part.end(), [&](const Reading& x, const Reading& y) {
        return low_is_bad ? x.micro < y.micro : x.micro > y.micro;
      });
      std::vector<std::string> worst;
      std::set<uint32_t> named;
      for (const Reading& s : part) {
        if (worst.size() >= 6) break;
        if (!named.insert(s.host).second) continue;
        worst.push_back(Cat(in.plan.world.hosts[s.host].id, " ", Value(s.micro, b.unit), " at ", ClockAt(s.at)));
      }
      std::string line = Cat(low_is_bad ? "lowest" : "highest", in_part, ": ", ListText(worst, 6));
      if (std::find(why.begin(), why.end(), line) == why.end()) why.push_back(std::move(line));
    }
  }
  return why;
}

}  // namespace orchard::sim
