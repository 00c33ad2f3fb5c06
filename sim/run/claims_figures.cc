#include "sim/run/claims_figures.h"

#include <algorithm>

#include "node/base/check.h"
#include "sim/language/grammar_words.h"
#include "sim/language/metrics_table.h"
#include "sim/language/plan.h"
#include "sim/language/text.h"

namespace orchard::sim {
bool IsHostLabel(std::string_view label) {
  return label == "host" || label == "group" || label == "region" || label == "nat" || label == "link";
}

SampleFilter::SampleFilter(const Recorder& recorder, const Scenario& scenario, std::vector<uint32_t> hosts,
                           const std::vector<Match>& where, Duration up, std::string_view metric)
    : recorder_(recorder), scenario_(scenario), host_(recorder.hosts().size()), up_(up) {
  if (const Metric* m = FindMetric(metric)) own_ = Choices(m->labels);
  std::vector<Match> of_host;
  for (const Match& m : where) (OfHost(m.label) ? of_host : where_).push_back(m);
  for (uint32_t h : hosts) {
    if (Matches(recorder.hosts()[h], of_host)) host_[h] = 1, hosts_.push_back(h);
  }
}

bool SampleFilter::OfHost(std::string_view label) const {
  return IsHostLabel(label) && std::find(own_.begin(), own_.end(), label) == own_.end();
}

bool SampleFilter::Takes(const Reading& s) const {
  if (!host_[s.host]) return false;
  for (const Match& m : where_) {
    if (m.label == "case" ? !Matches(m, scenario_.case_name) : !Matches(m, Label(s, m.label))) return false;
  }
  return up_ <= Duration::zero() || recorder_.UpSince(s.host, s.at) >= up_;
}

std::string SampleFilter::Label(const Reading& s, std::string_view label) const {
  if (label == "as") return s.as == 0 ? std::string() : scenario_.timeline[s.as - 1u].as;
  if (OfHost(label)) return LabelOf(recorder_.hosts()[s.host], label);
  return std::string(recorder_.TagValue(s.tag, label));
}

namespace {

template <class Visit>
void Each(const Recorder& recorder, std::string_view metric, const SampleFilter& filter, Instant open, Instant close, Visit visit) {
  const Series* s = recorder.Find(metric);
  if (s == nullptr) return;
  auto it = std::lower_bound(s->samples.begin(), s->samples.end(), open, [](const Reading& a, Instant t) { return a.at < t; });
  for (; it != s->samples.end() && it->at <= close; ++it) {
    if (filter.Takes(*it)) visit(*it);
  }
}

}  // namespace

std::vector<Reading> SamplesIn(const Recorder& recorder, std::string_view metric, const SampleFilter& filter, Instant open,
                               Instant close) {
  std::vector<Reading> out;
  Each(recorder, metric, filter, open, close, [&](const Reading& r) { out.push_back(r); });
  return out;
}

std::vector<Reading> LastIn(const Recorder& recorder, std::string_view metric, const SampleFilter& filter, Instant open,
                            Instant close) {
  std::vector<const Reading*> last(recorder.hosts().size());
  Each(recorder, metric, filter, open, close, [&](const Reading& r) { last[r.host] = &r; });
  std::vector<Reading> out;
  for (const Reading* r : last) {
    if (r != nullptr) out.push_back(*r);
  }
  return out;
}

std::string StatName(const Bound& bound) {
  switch (bound.stat) {
    case Bound::Stat::kCount: return "count";
    case Bound::Stat::kTotal: return "total";
    case Bound::Stat::kMean: return "mean";
    case Bound::Stat::kMin: return "min";
    case Bound::Stat::kMax: return "max";
    case Bound::Stat::kLast: return "last";
    case Bound::Stat::kRatio: return "ratio";
    case Bound::Stat::kShare: return "share";
    case Bound::Stat::kQuantile: return Cat("p", Decimal(int64_t(bound.quantile_ppm) * 100, 4));
  }
  return "";
}

int64_t Quantile(std::vector<int64_t>& values, uint32_t q_ppm) {
  CHECK(!values.empty());
  uint64_t rank = (uint64_t(values.size()) * q_ppm + 999'999) / 1'000'000;
  size_t index = size_t(rank == 0 ? 0 : rank - 1);
  std::nth_element(values.begin(), values.begin() + ptrdiff_t(index), values.end());
  return values[index];
}

std::optional<int64_t> Figure(const Bound& bound, const std::vector<Reading>& samples, int64_t within_low, int64_t within_high) {
  using Stat = Bound::Stat;
  if (bound.stat == Stat::kCount) return int64_t(samples.size()) * kMicro;
  __int128 sum = 0;
  for (const Reading& s : samples) sum += s.micro;
  if (bound.stat == Stat::kTotal) return int64_t(sum);
  if (samples.empty()) return std::nullopt;
  const int64_t n = int64_t(samples.size());
  auto less = [](const Reading& a, const Reading& b) { return a.micro < b.micro; };
  switch (bound.stat) {
    case Stat::kMean:
    case Stat::kRatio: return int64_t(sum / n);
    case Stat::kMin: return std::min_element(samples.begin(), samples.end(), less)->micro;
    case Stat::kMax: return std::max_element(samples.begin(), samples.end(), less)->micro;
    case Stat::kLast: {
      std::map<uint32_t, int64_t> last;
      for (const Reading& s : samples) last[s.host] = s.micro;
      auto by_value = [](const auto& a, const auto& b) { return a.second < b.second; };
      auto [low, high] = std::minmax_element(last.begin(), last.end(), by_value);
      if (bound.cmp == Bound::Cmp::kIs) return low->second == bound.value_micro ? high->second : low->second;
      return bound.cmp == Bound::Cmp::kAtMost ? high->second : low->second;
    }
    case Stat::kShare: return Hits(bound, samples, within_low, within_high) / n;
    default: {
      std::vector<int64_t> values;
      values.reserve(samples.size());
      for (const Reading& s : samples) values.push_back(s.micro);
      return Quantile(values, bound.quantile_ppm);
    }
  }
}

int64_t Hits(const Bound& bound, const std::vector<Reading>& samples, int64_t within_low, int64_t within_high) {
  int64_t sum = 0;  // A sample is at most one of something, and there are at most 8 million.
  for (const Reading& s : samples) {
    sum += bound.stat == Bound::Stat::kRatio ? s.micro : s.micro >= within_low && s.micro <= within_high ? kMicro : 0;
  }
  return sum;
}

bool Holds(const Bound& bound, int64_t observed) {
  switch (bound.cmp) {
    case Bound::Cmp::kAtLeast: return observed >= bound.value_micro;
    case Bound::Cmp::kAtMost: return observed <= bound.value_micro;
    case Bound::Cmp::kIs: return observed == bound.value_micro;
  }
  return false;
}

}  // namespace orchard::sim
