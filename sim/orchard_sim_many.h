// The commands that take more than one run: sweep, minimize, diff. They read what was typed; sim/sweep does the work.
#pragma once

#include "sim/orchard_sim.h"

namespace orchard::sim {

int SweepCommand(const Typed& typed);
int MinimizeCommand(const Typed& typed);
int DiffCommand(const Typed& typed);

}  // namespace orchard::sim
