// The part of the meter that rewrites one function's body; meter.h says what for.
#pragma once

#include <wabt/ir.h>

#include <cstdint>

namespace orchard::wasm {

// Globals that were added.
struct Instruments {
  wabt::Index state = 0, pages_max = 0, refused = 0;
};

// Returns how many places of `f` take fuel.
uint32_t Instrument(wabt::Module& m, wabt::Func& f, const Instruments& in);

// The index of a function type, which is appended if it is not there yet.
wabt::Index TypeOf(wabt::Module& m, const wabt::TypeVector& params, const wabt::TypeVector& results);

}  // namespace orchard::wasm
