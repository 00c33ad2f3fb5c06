// Rewrites a module so that it counts what it does: the same bytes then burn the same fuel in every engine, in the simulator as in
// production, and end at the same instruction when it is used up.
//
// Fuel is one unit an instruction, plus one for 16 bytes (or one element) of what fills, copies and grows at once. It is exact for
// whatever returns. A run that traps may have been charged for the whole of the straight piece of code that it trapped in, and, when
// the machine and not an instruction of the module ends it (a bad address, a division by zero), is not charged for what it did since
// the last call. Nothing that instructions inserted here do is charged.
//
// Fuel and depth of calls share one 64-bit global, fuel above kDepthBits; every function keeps it in a local variable between calls,
// so that a piece of code costs one subtraction, and a test is needed only at the head of loops and at the entry of functions
// that call others. Code that is always run after another piece (an arm's shorter half, what follows a block that nothing leaves) is
// charged with it.
//
// The result of floating-point arithmetic that is no number is made the canonical NaN: its bits are the one thing the
// specification leaves open (WebAssembly 1.0 §4.3.3) and a guest can see.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "node/base/bytes.h"
#include "node/wasm/module_info.h"

namespace orchard::wasm {

// The state that kSet takes and kState gives: fuel << kDepthBits | depth. Negative: the fuel is used up. kDepthMark set: too deep.
inline constexpr int kDepthBits = 18;
inline constexpr uint64_t kDepthMark = 1u << 17;
// Of a state: 2^44 units are 50 days of computing.
inline constexpr uint64_t kFuelMax = uint64_t{1} << 44;
// Depth is counted in slots: a frame's variables and kFrameSlots. 131,072 of them are 1 MiB at 8 bytes, which leaves an engine a
// factor of four to the 4 MiB of stack that it has.
inline constexpr uint64_t kFrameSlots = 8;

// Exports that are added; a module may have none whose name begins so.
inline constexpr std::string_view kReserved = "orchard.";
inline constexpr std::string_view kSet = "orchard.set";          // (state: i64, memory limit in pages: i64)
inline constexpr std::string_view kState = "orchard.state";      // () -> i64
inline constexpr std::string_view kRefused = "orchard.refused";  // () -> i32: whether memory.grow failed since kSet.
inline constexpr std::string_view kStart = "orchard.start";      // The start function, which shall run under fuel too.

// No memory may grow beyond it, whatever a cage's own limit is: a second fence, in the module's memory section.
inline constexpr uint64_t kMemoryPagesMax = 16384;  // 1 GiB.

// Part of the name of what is kept on disk: to be raised with any change to what the meter makes of a module.
inline constexpr int kMeterVersion = 1;

struct Metered {
  std::string bytes;
  ModuleInfo info;        // Of the metered module.
  uint32_t charges = 0;   // Places where fuel is taken.
};

// kInvalidArgument says what is wrong with the module.
absl::StatusOr<Metered> Meter(Bytes module);

}  // namespace orchard::wasm
