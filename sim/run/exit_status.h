// What the program's exit status means. Source: docs/SCENARIOS.md.
#pragma once

namespace orchard::sim {

// Every claim held; a claim failed; the input is wrong; the environment or we are at fault.
inline constexpr int kHeldStatus = 0, kFailedStatus = 1, kInputStatus = 2, kFaultStatus = 3;

}  // namespace orchard::sim
