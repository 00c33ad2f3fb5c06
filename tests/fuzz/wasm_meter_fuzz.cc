// Modules: any bytes are refused, or metered to a module that is valid.
#include "node/base/check.h"
#include "node/wasm/meter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  const auto metered = wasm::Meter({data, size});
  if (metered.ok()) CHECK(metered->info.functions.contains(wasm::kState));
  else CHECK(metered.status().code() == absl::StatusCode::kInvalidArgument);
  return 0;
}
