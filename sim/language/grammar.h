// The small grammars of scenario files, on texts alone: quantities with their units, moments, references. What they name
// is checked by the loader, which knows the hosts and entries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/language/scenario.h"

namespace orchard::sim {

enum class Unit : uint8_t {
  kDuration,  // ns: "40ms" "8min" "2h"; us ms s min h d
  kRate,      // bit/s: "20Mbps"; bps kbps Mbps Gbps
  kSize,      // bytes: "256KiB"; B kB MB GB KiB MiB GiB
  kShare,     // ppm of one: "1.5%", or a plain number from 0 to 1
  kPpm,       // "200ppm"
  kCount,     // A plain whole number.
};
// "duration", "rate"…, and an example: "20ms".
std::string_view UnitName(Unit unit);
std::string_view UnitExample(Unit unit);

struct Quantity {
  Unit unit;
  int64_t value;  // Base form.
};
// Nothing if `text` is no quantity; `unknown_unit` is then set if it is a number with a unit that is not known.
std::optional<Quantity> ParseQuantity(std::string_view text, std::string* unknown_unit = nullptr);

// The units that go with numbers: for hints and the schema.
std::vector<std::string> UnitWords(Unit unit);
// A regular expression of JSON Schema's dialect for the quantities of that unit.
std::string UnitPattern(Unit unit);

// "90s", "end", "remap", "15s after remap", "remap.end", "15s after remap.end". `entry` is not checked. Nothing if malformed.
std::optional<Moment> ParseMoment(std::string_view text);

// "@bob", "@bob.ip", "$x.key", "$x[bob].key". Nothing unless it starts with @ or $ and is well-formed.
std::optional<Reference> ParseReference(std::string_view text);

// `*` stands for any characters, also none.
bool GlobMatches(std::string_view glob, std::string_view text);

// "p99.9_at_most" into p99.9 and kAtMost; "at_least" has an empty statistic. Nothing if `key` is no bound.
struct BoundKey {
  bool bare = false;
  Bound::Stat stat = Bound::Stat::kTotal;
  uint32_t quantile_ppm = 0;
  Bound::Cmp cmp = Bound::Cmp::kAtLeast;
};
std::optional<BoundKey> ParseBoundKey(std::string_view key);

// An id of a host, LAN or box, or an `as`: letters, digits, - and _; dots and spaces belong to paths and moments.
bool IsName(std::string_view text);

}  // namespace orchard::sim
