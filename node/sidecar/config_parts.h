// Between the files that read a configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>
#include "node/sidecar/config.h"

namespace orchard::sidecar {

// What a complaint repeats of a value: short, and without what a terminal would obey.
std::string Shown(const nlohmann::json& value);
// "500ms", "90s", "10min", "2h".
std::optional<int64_t> ParseMillis(std::string_view text);
// The words of `list`, which are separated by `separator`; empty ones are left out, spaces around them too.
std::vector<std::string_view> Split(std::string_view list, char separator);

// The value of cage.sites: an object of sites by name. `sites` is replaced.
void MergeSites(const nlohmann::json& value, std::vector<cage::SiteConfig>& sites, std::vector<ConfigError>& errors);

// The site that the parameters of cage.deploy describe.
class Params;
std::optional<cage::SiteConfig> SiteOf(const Params& params, std::vector<ConfigError>& errors);

}  // namespace orchard::sidecar
