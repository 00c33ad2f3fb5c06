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

void Recorder::Event(std::string_view name, Instant at, uint32_t host, Tag tag, uint16_t as) {
  const Metric* m = FindMetric(name);
  if (m != nullptr && m->kind == MetricKind::kEvent) Add(name, at, host, kMicro, as, tag);
}

void Recorder::Count(std::string_view metric, uint32_t host, int64_t micro, Tag tag, uint16_t as) {
  const Metric* m = FindMetric(metric);
  CHECK(m != nullptr);
  pending_[{m, host, tag, as}] += micro;
}

void Recorder::Flush(Instant at) {
  // Metrics lie in one array ordered by name, so the pointers in the keys order as the names do.
  for (const auto& [key, micro] : pending_) {
    const auto& [metric, host, tag, as] = key;
    if (micro != 0) Add(metric->name, at, host, micro, as, tag);
  }
  pending_.clear();
}

Tag Recorder::Intern(std::initializer_list<TagLabel> labels) {
  std::string text;
  for (const auto& [key, value] : labels) {
    if (!value.empty()) text += Cat(key, "=", value, "\n");
  }
  if (text.empty()) return 0;
  auto it = tag_ids_.find(text);
  if (it != tag_ids_.end()) return it->second;
  std::vector<std::pair<std::string, std::string>> tag;
  // Values may come from the network, so their number is bounded; keys are the table's.
  const bool full = tags_.size() >= kTagsMax;
  std::string others;
  for (const auto& [key, value] : labels) {
    if (value.empty()) continue;
    tag.emplace_back(key, full ? "other" : value);
    others += Cat(key, "=other\n");
  }
  if (full) {
    it = tag_ids_.find(others);
    if (it != tag_ids_.end()) return it->second;
    text = std::move(others);
  }
  tags_.push_back(std::move(tag));
  return tag_ids_[text] = Tag(tags_.size());
}

const Series* Recorder::Find(std::string_view metric) const {
  auto it = series_.find(metric);
  return it == series_.end() ? nullptr : &it->second;
}

std::string_view Recorder::TagValue(Tag tag, std::string_view key) const {
  if (tag == 0) return {};
  for (const auto& [k, v] : tags_[tag - 1u]) {
    if (k == key) return v;
  }
  return {};
}

bool Recorder::Agree(Tag a, Tag b) const {
  if (a == 0 || b == 0 || a == b) return true;
  return std::all_of(tags_[a - 1u].begin(), tags_[a - 1u].end(), [&](const auto& label) {
    const std::string_view other = TagValue(b, label.first);
    return other.empty() || other == label.second;
  });
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
