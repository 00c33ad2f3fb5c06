#include "sim/sweep/sweep_text.h"

#include <algorithm>
#include <vector>

#include "sim/language/text.h"
#include "sim/run/progress.h"
#include "sim/run/result_read.h"
#include "sim/sweep/claim_sum.h"

namespace orchard::sim {
namespace {

std::vector<std::string> SeedTexts(const Json& sweep) {
  std::vector<std::string> out;
  for (const Json& s : ListIn(sweep, "failing")) out.push_back(s.text);
  return out;
}

struct Row {
  std::string says, seen, share, interval, verdict, rest;
};

}  // namespace

std::string LacksText(const Json& claim) {
  const Json* sweep = claim.Find("sweep");
  if (sweep == nullptr) return "";
  const bool by_runs = TextIn(*sweep, "by") == "runs";
  const int64_t bound = MicroIn(*sweep, "bound");
  std::string out = by_runs && bound == 1'000'000 ? "needs every seed" : Cat("needs ", TextIn(*sweep, "is") == "at_most" ? "≤ " : "≥ ", Decimal(bound * 100, 4), " %");
  if (TextIn(claim, "verdict") != "undecided") return out;
  if (sweep->Find("more_seeds") != nullptr) return Cat(out, "; about ", CountIn(*sweep, "more_seeds"), " more seeds");
  if (sweep->Find("more_seeds_at_best") != nullptr) return Cat(out, "; about ", CountIn(*sweep, "more_seeds_at_best"), " more seeds if nothing else misses");
  return out;
}

std::string SweepTable(const Json& result, bool colour) {
  std::vector<Row> rows;
  size_t says = 16, seen = 0, share = 0, interval = 0, held = 0;
  for (const Json& c : ListIn(result, "claims")) held += TextIn(c, "verdict") == "held";
  const bool sum_up = held > kHeldShownMax;
  for (const char* wanted : {"held", "undecided", "failed"}) {
    for (const Json& c : ListIn(result, "claims")) {
      const std::string verdict = TextIn(c, "verdict"), name = TextIn(c, "case");
      const Json* s = c.Find("sweep");
      if (verdict != wanted || s == nullptr || (sum_up && verdict == "held")) continue;
      const std::string part = TextIn(*s, "part");
      Row row{.says = TextIn(c, "says"), .verdict = verdict};
      row.seen = Cat(Decimal(MicroIn(*s, "hits"), 1), " of ", CountIn(*s, "n"), TextIn(*s, "by") == "runs" ? " seeds" : " samples", part.empty() ? "" : Cat(" in ", part));
      if (s->Find("share") != nullptr) {
        row.share = Cat(PercentText(MicroIn(*s, "share")), " %"), row.interval = IntervalText({MicroIn(*s, "low"), MicroIn(*s, "high")});
      } else {
        row.seen = "no sample";
      }
      const std::vector<std::string> seeds = SeedTexts(*s);
      row.rest = Cat(verdict == "held" ? "" : Cat(" (", LacksText(c), ")"), seeds.empty() ? "" : Cat("   failing: ", ListText(seeds, kFailingShownMax)),
                     name.empty() ? "" : Cat("  [", name, "]"));
      says = std::max(says, std::min<size_t>(Width(row.says), 60)), seen = std::max(seen, Width(row.seen));
      share = std::max(share, Width(row.share)), interval = std::max(interval, Width(row.interval));
      rows.push_back(std::move(row));
    }
  }
  std::string out = sum_up ? Cat(" ", held, " claims ", Coloured("held", "HELD", colour), "\n") : "";
  for (const Row& r : rows) {
    const std::string word = r.verdict == "held" ? "HELD" : r.verdict == "failed" ? "FAILED" : "UNDECIDED";
    out += Cat(" ", PadRight(r.says, says), "   ", PadRight(r.seen, seen), "   ", PadLeft(r.share, share), "  ", PadRight(r.interval, interval), "   ",
               Coloured(r.verdict, word, colour), r.rest, "\n");
  }
  for (const Json& n : ListIn(result, "notes")) out += Cat(" ", Coloured("failed", "NOTE", colour), "  ", n.text, "\n");
  return out;
}

std::string FailingTable(const Json& result) {
  const Json* sweep = result.Find("sweep");
  if (sweep == nullptr || ListIn(*sweep, "failing").empty()) return "";
  size_t seed = 0, command = 0;
  std::vector<Json> shown = ListIn(*sweep, "failing");
  if (shown.size() > kFailingShownMax) shown.resize(kFailingShownMax);
  for (const Json& f : shown) {
    seed = std::max(seed, std::to_string(CountIn(f, "seed")).size()), command = std::max(command, Width(TextIn(f, "replay")));
  }
  std::string out = "\n failing runs, and how to repeat each\n";
  for (const Json& f : shown) {
    std::vector<std::string> why;
    for (const Json& c : ListIn(f, "claims")) why.push_back(c.text);
    for (const Json& n : ListIn(f, "notes")) why.push_back(n.text.substr(0, n.text.find('\n')));
    out += Cat(" ", PadLeft(std::to_string(CountIn(f, "seed")), seed), "   ", PadRight(TextIn(f, "replay"), command), "   ", ListText(why, 3), "\n");
  }
  const uint64_t all = CountIn(*sweep, "failed_runs");
  if (all > shown.size()) out += Cat(" … and ", all - shown.size(), " more; all are in result.json\n");
  return out;
}

}  // namespace orchard::sim
