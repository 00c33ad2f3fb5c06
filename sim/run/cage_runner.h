// The engine that simulated hosts run cages with.
#pragma once

#include <memory>

#include "node/cage/runner.h"

namespace orchard::sim {

std::unique_ptr<cage::Runner> MakeCageRunner();

}  // namespace orchard::sim
