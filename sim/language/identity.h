// Who a simulated host is: its key pair comes from the world's seed and the host's id, so that "@bob" is known before bob has
// started, or from the seed that its configuration states.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/language/json_text.h"
#include "sim/language/spec.h"

namespace orchard::sim {

std::string HostSeedHex(uint64_t seed, std::string_view host);
std::string HostKeyHex(uint64_t seed, std::string_view host);
std::string HostSeedHex(uint64_t seed, const HostPlan& host);
std::string HostKeyHex(uint64_t seed, const HostPlan& host);

// A node's configuration with every "@bob" in it replaced by bob's public key: of a group of several by a list of theirs.
Json WithHostKeys(const Json& config, uint64_t seed, const std::vector<HostPlan>& hosts);

}  // namespace orchard::sim
