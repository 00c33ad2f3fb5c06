#include "sim/sweep/claim_sum.h"

#include <algorithm>

#include "sim/language/text.h"
#include "sim/run/result.h"
#include "sim/run/result_read.h"

namespace orchard::sim {
namespace {

constexpr int64_t kOne = 1'000'000;

bool IsPooled(const Json& bound) {
  const std::string stat = TextIn(bound, "stat");
  return (stat == "ratio" || stat == "share") && TextIn(bound, "is") != "is";
}

// Room between the share and its bound; below zero it is on the wrong side.
int64_t Room(const ClaimSum::Judgement& j) {
  const int64_t seen = j.share.n == 0 ? 0 : int64_t(__int128(j.share.hits_micro) / j.share.n);
  return j.at_least ? seen - j.bound_micro : j.bound_micro - seen;
}

// 17 is about 20, 418 is about 420.
uint64_t About(uint64_t n) {
  uint64_t step = 1;
  while (n / step >= 100) step *= 10;
  return (n + step - 1) / step * step;
}

}  // namespace

std::string_view VerdictWord(ClaimSum::Verdict v) {
  return v == ClaimSum::Verdict::kHeld ? "held" : v == ClaimSum::Verdict::kFailed ? "failed" : "undecided";
}

std::string PercentText(int64_t micro) {
  int decimals = 1;
  for (; decimals < 4; ++decimals) {
    const std::string text = Decimal(micro * 100, decimals);
    if ((text != "100" || micro >= kOne) && (text != "0" || micro <= 0)) break;
  }
  std::string text = Decimal(micro * 100, decimals);
  if (text.find('.') == std::string::npos && micro > 0 && micro < kOne) text += ".0";
  return text;
}

std::string IntervalText(Interval i) { return Cat("[", PercentText(i.low_micro), ", ", PercentText(i.high_micro), "]"); }

void ClaimSum::Add(uint64_t seed, const Json& claim) {
  ++runs_;
  const bool held = TextIn(claim, "verdict") == "held";
  held_ += held;
  if (!held) failing_.push_back(seed);
  bool others = true;
  for (const Json& b : ListIn(claim, "bounds")) {
    if (IsPooled(b)) continue;
    has_others_ = true, others = others && TruthIn(b, "held");
  }
  // A claim whose window did not open failed, and has bounded nothing.
  others_held_ += others && (held || !ListIn(claim, "bounds").empty());
  for (const Json& p : ListIn(claim, "pool")) {
    Share& share = pools_[{TextIn(p, "stat"), TextIn(p, "part"), TextIn(p, "is") == "at_least", MicroIn(p, "bound")}];
    share.hits_micro += MicroIn(p, "hits"), share.n += CountIn(p, "n");
  }
}

ClaimSum::Judgement ClaimSum::RunsJudged(uint64_t held, int64_t bound_micro) const {
  Judgement j{.bound_micro = bound_micro, .share = {int64_t(held) * kOne, runs_}};
  const std::optional<bool> judged = sim::Judged(j.share, true, bound_micro);
  j.verdict = !judged ? Verdict::kUndecided : *judged ? Verdict::kHeld : Verdict::kFailed;
  return j;
}

ClaimSum::Judged ClaimSum::Judge() const {
  Judged out;
  if (const Json* holds = first_.Find("holds"); holds != nullptr) {
    out.all.push_back(RunsJudged(held_, holds->Micro().value_or(kOne)));
  } else if (pools_.empty()) {
    out.all.push_back(RunsJudged(held_, kOne));
  } else {
    for (const auto& [p, share] : pools_) {
      Judgement j{p.stat, p.part, p.at_least, p.bound_micro, share};
      const std::optional<bool> judged = sim::Judged(share, p.at_least, p.bound_micro);
      j.verdict = !judged ? Verdict::kUndecided : *judged ? Verdict::kHeld : Verdict::kFailed;
      out.all.push_back(std::move(j));
    }
    if (has_others_) out.all.push_back(RunsJudged(others_held_, kOne));
  }
  std::stable_sort(out.all.begin(), out.all.end(), [](const Judgement& a, const Judgement& b) {
    if (a.verdict != b.verdict) return a.verdict > b.verdict;
    if (a.samples() != b.samples()) return a.samples();
    return Room(a) < Room(b);
  });
  out.verdict = out.all[0].verdict;
  for (const Judgement& j : out.all) {
    if (j.verdict != Verdict::kUndecided || runs_ == 0) continue;
    auto seeds = [&](std::optional<uint64_t> samples) -> std::optional<uint64_t> {
      if (!samples || *samples <= j.share.n) return std::nullopt;
      return About(uint64_t((__int128(*samples - j.share.n) * runs_ + j.share.n - 1) / j.share.n));
    };
    out.more_seeds = seeds(SamplesToDecide(j.share, j.at_least, j.bound_micro));
    out.more_seeds_at_best = seeds(SamplesToHold(j.share, j.at_least, j.bound_micro));
    break;
  }
  return out;
}

namespace {

Json JudgementJson(const ClaimSum::Judgement& j) {
  Json out = Json::Object();
  out.At("by") = Json::Text(j.samples() ? "samples" : "runs");
  if (j.samples()) out.At("stat") = Json::Text(j.stat);
  if (!j.part.empty()) out.At("part") = Json::Text(j.part);
  out.At("hits") = JsonMicro(j.share.hits_micro), out.At("n") = JsonNumber(j.share.n);
  out.At("is") = Json::Text(j.at_least ? "at_least" : "at_most"), out.At("bound") = JsonMicro(j.bound_micro);
  if (j.share.n > 0) {
    const Interval i = Wilson(j.share);
    out.At("share") = JsonMicro(int64_t(__int128(j.share.hits_micro) / j.share.n));
    out.At("low") = JsonMicro(i.low_micro), out.At("high") = JsonMicro(i.high_micro);
  }
  out.At("verdict") = Json::Text(VerdictWord(j.verdict));
  return out;
}

}  // namespace

Json ClaimSum::ToJson() const {
  const Judged judged = Judge();
  const Judgement& worst = judged.all[0];
  Json c = Json::Object(), sweep = Json::Object(), bounds = JsonList({});
  c.At("says") = Json::Text(TextIn(first_, "says"));
  if (const Json* of = first_.Find("case")) c.At("case") = *of;
  c.At("verdict") = Json::Text(VerdictWord(judged.verdict));
  const bool holds = first_.Find("holds") != nullptr;
  c.At("expected") = Json::Text(Cat(TextIn(first_, "expected"), holds ? Cat(" in ", PercentText(MicroIn(first_, "holds")), " % of the seeds") : ""));
  const std::string hits = Decimal(worst.share.hits_micro, 1);
  c.At("observed") = Json::Text(worst.share.n == 0 ? std::string("no sample in any run")
                                                   : Cat(hits, " of ", worst.share.n, worst.samples() ? " samples" : " seeds", worst.part.empty() ? "" : Cat(" in ", worst.part), ", ",
                                                         PercentText(int64_t(__int128(worst.share.hits_micro) / worst.share.n)), " % ", IntervalText(Wilson(worst.share))));
  c.At("n") = JsonNumber(worst.share.n);
  for (const char* key : {"subject", "holds"}) {
    if (const Json* v = first_.Find(key)) c.At(key) = *v;
  }
  c.At("unit") = Json::Text("ratio");
  for (const Judgement& j : judged.all) {
    if (bounds.items.size() == kPartsMax) break;
    BoundSeen seen{.stat = j.samples() ? j.stat : "runs", .unit = "ratio", .part = j.part, .cmp = j.at_least ? Bound::Cmp::kAtLeast : Bound::Cmp::kAtMost,
                   .bound_micro = j.bound_micro, .held = j.verdict == Verdict::kHeld};
    if (j.share.n > 0) seen.observed_micro = int64_t(__int128(j.share.hits_micro) / j.share.n);
    Json b = Json::Object();
    b.At("stat") = Json::Text(seen.stat), b.At("is") = Json::Text(j.at_least ? "at_least" : "at_most"), b.At("bound") = JsonMicro(j.bound_micro);
    b.At("observed") = seen.observed_micro ? JsonMicro(*seen.observed_micro) : JsonNull();
    b.At("unit") = Json::Text("ratio"), b.At("held") = JsonBool(seen.held);
    if (std::optional<int64_t> m = Margin(seen)) b.At("margin") = JsonMicro(*m);
    if (!j.part.empty()) b.At("part") = Json::Text(j.part);
    bounds.items.push_back(std::move(b));
  }
  c.At("bounds") = std::move(bounds);
  sweep = JudgementJson(worst);
  sweep.At("runs") = JsonNumber(runs_), sweep.At("held") = JsonNumber(held_);
  if (judged.more_seeds) sweep.At("more_seeds") = JsonNumber(*judged.more_seeds);
  if (judged.more_seeds_at_best) sweep.At("more_seeds_at_best") = JsonNumber(*judged.more_seeds_at_best);
  Json seeds = JsonList({});
  std::vector<uint64_t> sorted = failing_;
  std::sort(sorted.begin(), sorted.end());
  for (uint64_t s : sorted) seeds.items.push_back(JsonNumber(s));
  sweep.At("failing") = std::move(seeds);
  if (judged.all.size() > 1) {
    Json parts = JsonList({});
    for (size_t i = 0; i < judged.all.size() && i < kPartsMax; ++i) parts.items.push_back(JudgementJson(judged.all[i]));
    sweep.At("parts") = std::move(parts);
  }
  c.At("sweep") = std::move(sweep);
  return c;
}

}  // namespace orchard::sim
