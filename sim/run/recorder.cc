#include "sim/run/recorder.h"

#include <algorithm>

#include "node/base/check.h"
#include "sim/language/text.h"

namespace orchard::sim {

Recorder::Recorder(const std::vector<HostPlan>& hosts, Duration duration) : hosts_(hosts), lives_(hosts.size()) {
  readings_ = (uint64_t(duration.count()) / 1'000'000'000 + 1) * std::max<uint64_t>(hosts.size(), 1);
}

Duration Recorder::period(std::string_view metric) const {
  const uint64_t most = asked_.contains(metric) ? kReadingsMax : kReadingsUnasked;
  return std::chrono::seconds((readings_ + most - 1) / most);
}

Series* Recorder::Of(std::string_view metric) {
  auto it = series_.find(metric);
  if (it == series_.end()) {
    const Metric* m = FindMetric(metric);
    if (m == nullptr) return nullptr;
    it = series_.emplace(std::string(metric), Series{.metric = m}).first;
  }
  return &it->second;
}

void Recorder::Add(std::string_view metric, Instant at, uint32_t host, int64_t micro, uint16_t as, Tag tag) {
  Series* s = Of(metric);
  CHECK(s != nullptr);
  if (s->samples.size() >= kSamplesMax) {
    ++s->lost;
    return;
  }
  s->samples.push_back({at, micro, host, as, tag});
}

void Recorder::Event(std::string_view name, Instant at, uint32_t host, Tag tag) {
  const Metric* m = FindMetric(name);
  if (m != nullptr && m->kind == MetricKind::kEvent) Add(name, at, host, kMicro, 0, tag);
}

void Recorder::Count(std::string_view metric, uint32_t host, int64_t micro, Tag tag) {
  const Metric* m = FindMetric(metric);
  CHECK(m != nullptr);
  pending_[{m, host, tag}] += micro;
}

void Recorder::Flush(Instant at) {
  // Metrics lie in one array ordered by name, so the pointers in the keys order as the names do.
  for (const auto& [key, micro] : pending_) {
    const auto& [metric, host, tag] = key;
    if (micro != 0) Add(metric->name, at, host, micro, 0, tag);
  }
  pending_.clear();
}

Tag Recorder::Intern(std::string_view key, std::string_view value) {
  std::string text = Cat(key, "=", value);
  auto it = tag_ids_.find(text);
  if (it != tag_ids_.end()) return it->second;
  // Values may come from the network, so their number is bounded; keys are the table's.
  if (tags_.size() >= kTagsMax && value != "other") return Intern(key, "other");
  tags_.emplace_back(std::string(key), std::string(value));
  return tag_ids_[text] = Tag(tags_.size());
}

const Series* Recorder::Find(std::string_view metric) const {
  auto it = series_.find(metric);
  return it == series_.end() ? nullptr : &it->second;
}

std::string_view Recorder::TagValue(Tag tag, std::string_view key) const {
  if (tag == 0 || tags_[tag - 1u].first != key) return {};
  return tags_[tag - 1u].second;
}

std::vector<std::string> Recorder::ValuesOf(std::string_view key) const {
  std::vector<std::string> out;
  for (const auto& [k, v] : tags_) {
    if (k == key) out.push_back(v);
  }
  return out;
}

void Recorder::HostUp(Instant at, uint32_t host) {
  if (up(host)) return;
  lives_[host].emplace_back(at, kNever);
  ++hosts_up_;
  Event("host.up", at, host);
}

void Recorder::HostDown(Instant at, uint32_t host) {
  if (!up(host)) return;
  lives_[host].back().second = at;
  --hosts_up_;
  Event("host.down", at, host);
}

Duration Recorder::UpSince(uint32_t host, Instant at) const {
  for (auto it = lives_[host].rbegin(); it != lives_[host].rend(); ++it) {
    if (it->first <= at) return at <= it->second ? at - it->first : Duration(-1);
  }
  return Duration(-1);
}

}  // namespace orchard::sim
