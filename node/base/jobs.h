// Work that is too long for a turn. A closed list; arguments and results are bytes of the shapes below.
#pragma once

#include <cstdint>

namespace orchard {

enum class JobKind : uint8_t {
  // Name resolution. Arguments: the host name. Result: 4 octets (IPv4) per address, in the resolver's order; empty with
  // kNotFound if the name has none. In the simulator the answer comes from the scenario's host ids.
  kResolve,
  // Cages; node/cage/job.h has the shapes.
  kCageLoad, kCageSpawn, kCageWatch, kCageRun, kCageStop,
  kListSites,
};

}  // namespace orchard
