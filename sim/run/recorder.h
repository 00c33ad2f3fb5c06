// Turns what the world reports into samples with labels: trace events, ends of operations, drops, lives of hosts and figures
// read each virtual second. Integers only; never feeds back into the run, except through claims and `when`.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "node/base/time.h"
#include "sim/language/metrics_table.h"
#include "sim/language/spec.h"

namespace orchard::sim {

using Tag = uint16_t;  // Interned labels beyond the host's: 0 is none.
using TagLabel = std::pair<std::string_view, std::string_view>;  // Key and value.

struct Reading {
  Instant at;       // When it was known: an operation's end, an event, the end of the second.
  int64_t micro;    // Millionths of the metric's unit.
  uint32_t host;
  uint16_t as;      // 1 + index of the timeline entry that caused it; 0: none.
  Tag tag;
};

struct Series {
  const Metric* metric = nullptr;
  std::deque<Reading> samples;  // In order of `at`. In pieces: a vector of this size takes two more of it to grow.
  uint64_t lost = 0;            // Beyond kSamplesMax: counted, not kept; a claim on it fails and says so.
};

class Recorder {
 public:
  // 24 bytes each: at most 192 MB for the busiest metric.
  static constexpr size_t kSamplesMax = 8'000'000;
  static constexpr size_t kTagsMax = 4096;
  // What is read rather than told is thinned so that hosts × readings stays below this: where a claim asks for it, and else.
  static constexpr uint64_t kReadingsMax = 600'000, kReadingsUnasked = 200'000;

  // `hosts` outlives the recorder.
  Recorder(const std::vector<HostPlan>& hosts, Duration duration);

  // ---- Writing ----
  void Add(std::string_view metric, Instant at, uint32_t host, int64_t micro, uint16_t as = 0, Tag tag = 0);
  // An event; nothing if no metric has that name.
  void Event(std::string_view name, Instant at, uint32_t host, Tag tag = 0, uint16_t as = 0);
  // Adds to a counter that is written out once a second.
  void Count(std::string_view metric, uint32_t host, int64_t micro, Tag tag = 0, uint16_t as = 0);
  void HostUp(Instant at, uint32_t host);
  void HostDown(Instant at, uint32_t host);
  // Writes out the counters, at the end of a virtual second.
  void Flush(Instant at);
  // A claim or condition asks for this metric: it is read as often as memory allows.
  void Ask(std::string_view metric) { asked_.insert(std::string(metric)); }
  bool asked(std::string_view metric) const { return asked_.contains(metric); }
  // How often a gauge is read, and whether it is read at this second.
  Duration period(std::string_view metric) const;
  bool reads(std::string_view metric, Instant at) const { return at.time_since_epoch().count() % period(metric).count() == 0; }
  // These labels as one tag, e.g. Intern({{"path", "punched"}, {"remote_nat", "cgn"}}). Those without a value are left out.
  Tag Intern(std::initializer_list<TagLabel> labels);
  Tag Intern(std::string_view key, std::string_view value) { return Intern({{key, value}}); }

  // ---- Reading ----
  // Null if nothing was recorded under that name.
  const Series* Find(std::string_view metric) const;
  const std::map<std::string, Series, std::less<>>& series() const { return series_; }
  const std::vector<HostPlan>& hosts() const { return hosts_; }
  // The value of a label that a sample has beyond its host's; empty if it has none of that key.
  std::string_view TagValue(Tag tag, std::string_view key) const;
  // True unless a key that both have has different values.
  bool Agree(Tag a, Tag b) const;
  // How long the host had been up at `at`; negative if it was down.
  Duration UpSince(uint32_t host, Instant at) const;
  bool up(uint32_t host) const { return !lives_[host].empty() && lives_[host].back().second == kNever; }
  const std::vector<std::pair<Instant, Instant>>& lives(uint32_t host) const { return lives_[host]; }
  uint64_t hosts_up() const { return hosts_up_; }

 private:
  Series* Of(std::string_view metric);

  const std::vector<HostPlan>& hosts_;
  uint64_t readings_;  // Hosts × seconds.
  std::set<std::string, std::less<>> asked_;
  std::map<std::string, Series, std::less<>> series_;
  std::vector<std::vector<std::pair<std::string, std::string>>> tags_;  // Tag n is at n - 1.
  absl::flat_hash_map<std::string, Tag> tag_ids_;
  std::map<std::tuple<const Metric*, uint32_t, Tag, uint16_t>, int64_t> pending_;
  std::vector<std::vector<std::pair<Instant, Instant>>> lives_;
  uint64_t hosts_up_ = 0;
};

}  // namespace orchard::sim
