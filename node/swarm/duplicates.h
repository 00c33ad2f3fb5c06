// Two connections with one peer: which one stays. Both ends decide for themselves and must agree.
#pragma once

#include "node/base/time.h"

namespace orchard::swarm {

// The deployed rule, for a connection that arrives while another exists. One with traffic both ways is outdated: the other
// side must have lost it. Else the dial of the larger key stays. Source: npm hyperswarm index.js; vectors v07.
constexpr bool DeployedKeepsNew(bool existing_has_traffic, bool local_key_greater, bool new_is_initiator) {
  return existing_has_traffic || local_key_greater == new_is_initiator;
}

// Two dials that cross open within a round trip and a hole punch of each other.
inline constexpr Duration kCrossingMax = std::chrono::seconds(10);

// So long after a dial opened here its other end knows of it, and what it had sent before has come: a round trip.
inline constexpr Duration kTellMax = std::chrono::milliseconds(1500);

// Ours, for a connection that comes in. The deployed rule lets two dials that cross and open at once kill each other: each end
// has seen traffic on its own. Here a young connection is no outdated one, and whoever dials twice has lost the first.
// `open_for`: since the existing one opened; negative: it is under way.
constexpr bool KeepsNew(bool existing_is_initiator, Duration open_for, bool local_key_greater) {
  if (!existing_is_initiator || open_for >= kCrossingMax) return true;
  return !local_key_greater;
}

}  // namespace orchard::swarm
