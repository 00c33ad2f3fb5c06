#include "sim/language/loader_bounds.h"

#include "sim/language/metrics_table.h"
#include "sim/language/text.h"

namespace orchard::sim {

std::optional<int64_t> ValueOf(Context& c, const Json& j, const std::string& path, std::string_view unit, bool pure) {
  if (j.is_text() && !pure) {
    if (unit == "ms") return c.Amount(j, path, Unit::kDuration);  // Nanoseconds are millionths of a millisecond.
    if (unit == "s") {
      std::optional<int64_t> ns = c.Amount(j, path, Unit::kDuration);
      return ns ? std::optional(*ns / 1000) : std::nullopt;
    }
    if (unit == "mbps") return c.Amount(j, path, Unit::kRate);
    if (unit == "ratio") return c.Amount(j, path, Unit::kShare);
    if (unit == "bytes") {
      std::optional<int64_t> v = c.Amount(j, path, Unit::kSize);
      return v && *v < INT64_MAX / kMicro ? std::optional(*v * kMicro) : std::nullopt;
    }
  }
  std::optional<int64_t> v = j.Micro();
  if (!v) c.WrongKind(j, path, unit.empty() || pure ? "a number" : Cat("a number of ", unit, ", or a quantity with its unit"));
  return v;
}

}  // namespace orchard::sim
