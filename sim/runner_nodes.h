// The nodes of a simulated world: each host's machine from its configuration.
#pragma once

#include <memory>

#include "sim/plan.h"
#include "sim/world.h"

namespace orchard::sim {

// `world` is set before the first host starts: hosts with dht.bootstrap are everyone's roots, by their public addresses.
World::MachineFactory NodeFactory(const Plan& plan, const std::unique_ptr<World>& world);

}  // namespace orchard::sim
