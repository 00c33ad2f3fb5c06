// What the admin says of the sites, in words for programs.
#pragma once

#include <string>
#include <string_view>

#include "node/base/time.h"
#include "node/cage/front.h"
#include "node/cage/sites.h"

namespace orchard::cage {

// How many have no healthy cage.
size_t SitesDown(const Sites& sites);

// JSON: of the door, and of each site, its slots, its requests. Latencies are of the last 30 to 60 seconds, in microseconds, null if
// there were none; counters are since the node started, those of cages since the site was deployed.
std::string StatsJson(Instant now, Duration up, const Sites& sites, const Front& front);

// Prometheus' text format 0.0.4. The label `site` has a value for each site that is there, and no other label more than eleven.
std::string MetricsText(const Sites& sites, const Front& front);
// A label's value: backslash, quote and newline escaped; what is no UTF-8 in hex.
std::string LabelText(std::string_view value);

}  // namespace orchard::cage
