#include "sim/run/cage_runner.h"

#include "node/wasm/cage_host.h"

namespace orchard::sim {

std::unique_ptr<cage::Runner> MakeCageRunner() { return std::make_unique<wasm::CageHost>(); }

}  // namespace orchard::sim
