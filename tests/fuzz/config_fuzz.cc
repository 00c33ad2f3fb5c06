// Configuration: any JSON object is laid over the defaults or refused with reasons.
#include <nlohmann/json.hpp>

#include "node/sidecar/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  sidecar::Config config;
  std::vector<sidecar::ConfigError> errors;
  if (nlohmann::json::accept(text)) {
    sidecar::MergeConfig(text, config, errors);
  } else if (size_t at = text.find('='); at != text.npos) {
    sidecar::MergeConfigText(text.substr(0, at), text.substr(at + 1), config, errors);
  }
  return 0;
}
