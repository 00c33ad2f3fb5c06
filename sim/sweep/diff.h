// orchard diff: where two runs part. Checkpoints tell the second and the hosts; traces, if both have one, the event.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "sim/language/json_text.h"
#include "sim/run/progress.h"

namespace orchard::sim {

// Seconds of virtual time; `agreed` is the last checkpoint that both share (0: the start).
struct Parting {
  uint64_t agreed = 0;
  bool in_checkpoints = false;      // Else all that both have agree: they differ after `agreed`, or one ended there.
  uint64_t of_a = 0, of_b = 0;      // Checkpoints of each.
};
// Of two result.json whose fingerprints differ.
Parting PartingOf(const Json& a, const Json& b);

// Of two checkpoints.json: the hosts whose histories differ at the first row that both have where any does, and its second.
struct HostsApart {
  uint64_t second = 0;
  std::vector<std::string> hosts;
};
std::optional<HostsApart> HostsApartIn(const Json& a, const Json& b);

// Of two events.jsonl: the first line that differs.
struct EventsApart {
  uint64_t number = 0;               // From 1.
  std::vector<std::string> before;   // The last kContext lines that both have.
  std::optional<std::string> a, b;   // Nothing: it has ended.
  static constexpr size_t kContext = 3;
};
// Nothing if they are the same.
std::optional<EventsApart> EventsApartIn(std::istream& a, std::istream& b);

// 0 the same, 1 different, 2 a directory holds no run.
int RunDiff(const std::string& dir_a, const std::string& dir_b, Screen& screen);

}  // namespace orchard::sim
