#include "sim/sweep/metric_sum.h"

#include <algorithm>

#include "sim/run/result.h"
#include "sim/run/result_read.h"

namespace orchard::sim {

void MetricSums::Add(const Json& metrics) {
  for (size_t i = 0; i < metrics.keys.size(); ++i) {
    const Json& m = metrics.items[i];
    Sum& s = sums_[metrics.keys[i].text];
    s.unit = TextIn(m, "unit");
    if (m.Find("total") == nullptr) continue;  // No samples.
    const int64_t low = MicroIn(m, "min"), high = MicroIn(m, "max");
    s.min_micro = s.count == 0 ? low : std::min(s.min_micro, low);
    s.max_micro = s.count == 0 ? high : std::max(s.max_micro, high);
    s.count += CountIn(m, "count"), s.total_micro += MicroIn(m, "total");
    for (const char* p : {"p50", "p95", "p99"}) s.percentiles[p].push_back(MicroIn(m, p));
  }
}

Json MetricSums::ToJson() const {
  Json out = Json::Object();
  for (const auto& [name, s] : sums_) {
    Json& m = out.At(name) = Json::Object();
    m.At("count") = JsonNumber(s.count), m.At("unit") = Json::Text(s.unit);
    if (s.count == 0) continue;
    const __int128 most = INT64_MAX;  // A total beyond it is left out; its mean is not.
    m.At("mean") = JsonMicro(int64_t(s.total_micro / __int128(s.count)));
    m.At("min") = JsonMicro(s.min_micro), m.At("max") = JsonMicro(s.max_micro);
    if (s.total_micro <= most && s.total_micro >= -most) m.At("total") = JsonMicro(int64_t(s.total_micro));
  }
  return out;
}

Json MetricSums::Spread() const {
  Json out = Json::Object();
  for (const auto& [name, s] : sums_) {
    if (s.count == 0) continue;
    Json& m = out.At(name) = Json::Object();
    for (const auto& [p, unsorted] : s.percentiles) {
      std::vector<int64_t> values = unsorted;
      std::sort(values.begin(), values.end());
      Json& three = m.At(p) = JsonList({});
      for (int64_t v : {values.front(), values[(values.size() - 1) / 2], values.back()}) three.items.push_back(JsonMicro(v));
    }
  }
  return out;
}

}  // namespace orchard::sim
