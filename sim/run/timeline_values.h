// The parameters of one call: an entry's `with` with its references resolved, `{n}` and `{now}` filled in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/run/moments.h"
#include "sim/language/plan.h"
#include "sim/run/timeline_stage.h"

namespace orchard::sim {

// The port a node binds unless its configuration says otherwise; "@bob" as an address is this port of bob's.
inline constexpr uint16_t kDhtPort = 49737;

class ValueFiller {
 public:
  ValueFiller(const Plan& plan, uint64_t seed, const Stage& stage, const Results& results)
      : plan_(plan), seed_(seed), stage_(stage), results_(results) {}

  // Names of entries whose results `value` refers to.
  static std::vector<std::string> Needs(const Json& value);
  // Nothing, and `error` says why, if a reference has no value.
  std::optional<Json> Fill(const Entry& entry, HostIndex self, uint64_t n, std::string& error) const;

 private:
  std::optional<Json> Value(const Json& value, std::string_view param, const Entry& e, HostIndex self, uint64_t n,
                            std::string& error) const;
  std::optional<Json> Referred(const Reference& r, bool as_address, HostIndex self, std::string& error) const;
  std::vector<uint32_t> Named(std::string_view host) const;

  const Plan& plan_;
  uint64_t seed_;
  const Stage& stage_;
  const Results& results_;
};

}  // namespace orchard::sim
