// Scenario files: any text loads or is refused with errors that can be shown.
#include "node/base/check.h"
#include "sim/language/loader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard::sim;
  std::vector<LoadError> errors;
  Sources sources;
  auto suite = LoadScenarioFromText({reinterpret_cast<const char*>(data), size}, "fuzz.json", {}, errors, sources);
  CHECK_EQ(suite.has_value(), errors.empty());
  if (!errors.empty()) CHECK(!RenderErrors(errors, sources).empty() && !RenderErrorsJson(errors, sources).empty());
  return 0;
}
