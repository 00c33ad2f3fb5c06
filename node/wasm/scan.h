// The first look at a module: one pass over its bytes that builds nothing, so that whatever comes after it meets no module that is
// deeper, wider or stranger than it can bear.
#pragma once

#include "absl/status/statusor.h"
#include "node/base/bytes.h"
#include "node/wasm/module_info.h"

namespace orchard::wasm {

// Bounds of V8 where it has one (v8/src/wasm/wasm-limits.h), so that no engine refuses what the meter let pass.
inline constexpr uint64_t kFunctionsMax = 200'000, kTypesMax = 100'000, kImportsMax = 1000, kExportsMax = 10'000,
                          kGlobalsMax = 100'000, kSegmentsMax = 100'000, kBodyBytesMax = 5'000'000, kLocalsMax = 40'000,
                          kParamsMax = 500, kResultsMax = 500, kTargetsMax = 65'000, kTablesMax = 16, kTableElementsMax = 1 << 20;
// Of blocks in each other: whoever writes or frees a tree of them calls itself.
inline constexpr uint64_t kNestingMax = 1200;  // Whoever walks them calls himself for each: 4.5 KiB of stack under a sanitizer.

// kInvalidArgument names the function, the offset, what was found and what is allowed.
absl::StatusOr<ModuleInfo> Scan(Bytes module);

}  // namespace orchard::wasm
