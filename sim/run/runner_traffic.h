// Who talked to whom, from the packets themselves: what arrived, what was refused on its way, how long answers took. Takes
// notes only; its size is bounded whatever the world's: pairs of hosts up to kHostsPaired, of (region, NAT) classes beyond.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "sim/language/plan.h"
#include "sim/world/world.h"

namespace orchard::sim {

// Times in bins of an eighth of an octave, so that a quantile is right to 6 %.
class TimeBins {
 public:
  void Add(Duration d);
  uint64_t count() const { return count_; }
  Duration Median() const;

 private:
  static constexpr int kLeast = 16, kOctaves = 21;  // From 65 µs to 137 s.
  std::array<uint32_t, size_t{kOctaves} * 8> bins_{};
  uint64_t count_ = 0;
};

class Traffic {
 public:
  static constexpr size_t kHostsPaired = 1000, kHostsTimed = 32, kHostsAllTimed = 100, kClassesMax = 256, kTimedClassPairs = 4096;
  static constexpr size_t kWaitingMax = 65536, kFailuresMax = 8192;

  explicit Traffic(const Plan& plan);

  // A host's public address, when it may have changed.
  void Address(uint32_t public_address, HostIndex host);
  void Sent(HostIndex from, Bytes packet, Instant now);
  void Arrived(HostIndex from, HostIndex to, Bytes packet, Instant now);
  void Dropped(const Drop& drop);

  struct Class {
    std::string region, nat;
    bool operator==(const Class&) const = default;
  };
  struct Flow {
    Class a, b;
    uint64_t asked = 0, answered = 0;
    const TimeBins* times = nullptr;
  };
  // Unordered pairs that sent requests, the strongest first.
  std::vector<Flow> Flows() const;

  struct Edge {
    HostIndex a = 0, b = 0;
    uint64_t answered = 0, refused = 0;
    Instant first, last;              // Of the answers.
    const TimeBins* times = nullptr;  // Up to kHostsTimed hosts.
  };
  // Nothing beyond kHostsPaired hosts. Those without an answer, all of whose packets were refused, come first.
  std::vector<Edge> Edges() const;

  struct Failure {
    std::string from, to;  // Hosts up to 24 of them, groups beyond; a shared box where it hides who was meant.
    std::string_view why;
    uint64_t count = 0;
  };
  // The most frequent first. Not among them: packets lost by chance, by congestion, or sent to die on their way.
  std::vector<Failure> Failures() const;

 private:
  struct Pair {
    uint32_t answered = 0, refused = 0, first_ms = 0, last_ms = 0;
  };
  struct ClassPair {
    uint64_t asked = 0, answered = 0;
    uint32_t times = 0;  // Index in times_, from 1.
  };
  static size_t Triangle(size_t a, size_t b) { return a < b ? b * (b + 1) / 2 + a : a * (a + 1) / 2 + b; }
  HostIndex Target(const Drop& drop) const;
  void Answer(HostIndex asker, HostIndex answerer, uint16_t tid, Instant now);

  const std::vector<HostPlan>& hosts_;
  std::vector<uint16_t> class_of_;
  std::vector<Class> classes_;
  std::vector<Pair> pairs_;              // Triangle of hosts.
  std::vector<TimeBins> pair_times_;     // The same, or empty.
  std::vector<ClassPair> class_pairs_;   // Triangle of classes.
  std::vector<TimeBins> times_;
  absl::flat_hash_map<uint64_t, Instant> waiting_;  // (asker, tid): of the requests that are timed.
  absl::flat_hash_map<uint32_t, HostIndex> by_address_;
  absl::flat_hash_map<std::string_view, HostIndex> by_id_;  // Keys lie in hosts_.
  std::map<std::tuple<std::string, std::string, std::string_view>, uint64_t> failures_;
};

}  // namespace orchard::sim
