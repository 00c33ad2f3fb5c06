#include "sim/netns/terms.h"

#include "sim/language/metrics_table.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

// A moment that the file states as a time, or after an entry: the end of the run stays where it is.
void Later(Moment& m, Duration end) {
  if (m.kind == Moment::Kind::kEnd || (m.kind == Moment::Kind::kTime && m.offset + kGrace > end)) return;
  m.offset += kGrace;
  m.written += " + 1s";
}

}  // namespace

std::vector<std::string> GrantTerms(Scenario& s) {
  std::vector<std::string> notes;
  for (const Claim& c : s.claims) {
    if (c.kind == Claim::Kind::kCost) notes.push_back(Cat("not judged: \"", c.says, "\" is about what the simulator costs"));
  }
  std::erase_if(s.claims, [](const Claim& c) { return c.kind == Claim::Kind::kCost; });
  for (Claim& c : s.claims) {
    const Metric* m = FindMetric(c.subject);
    if (m != nullptr && m->unit == "ms" && c.over.kind == Over::Kind::kNone) {
      for (Bound& b : c.bounds) {
        const bool time = b.stat != Bound::Stat::kCount && b.stat != Bound::Stat::kRatio && b.stat != Bound::Stat::kShare;
        if (time && b.cmp == Bound::Cmp::kAtMost) b.value_micro += kGrace.count(), b.written += " + 1s";
      }
      if (c.within_high_micro > 0) c.within_high_micro += kGrace.count();
    }
    if (c.kind == Claim::Kind::kLeadsTo) c.within += kGrace;
    if (c.window.kind == Window::Kind::kBy || c.window.kind == Window::Kind::kAt) Later(c.window.a, s.duration);
  }
  return notes;
}

}  // namespace orchard::sim
