// What an event says, by the names of its fields; zero or nothing if it does not say it.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "node/base/trace.h"

namespace orchard::sim {

inline uint64_t Number(absl::Span<const TraceField> fields, std::string_view name) {
  for (const TraceField& f : fields) {
    if (name == f.name) return f.number;
  }
  return 0;
}
inline Bytes Octets(absl::Span<const TraceField> fields, std::string_view name) {
  for (const TraceField& f : fields) {
    if (name == f.name) return f.bytes;
  }
  return {};
}
inline std::string_view Word(absl::Span<const TraceField> fields, std::string_view name) { return AsText(Octets(fields, name)); }

}  // namespace orchard::sim
