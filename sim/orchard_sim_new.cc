#include "sim/orchard_sim_new.h"

#include <cstdio>
#include <filesystem>

#include "sim/orchard_sim.h"
#include "sim/run/result.h"

namespace orchard::sim {

std::string StarterScenario() {
  return R"(// Run it:  orchard sim NAME.json        What can be claimed:  orchard metrics        The language:  docs/SCENARIOS.md
{
  "says": "Twenty hosts behind home NATs find each other through three roots.",
  "seed": 1,
  "duration": "60s",  // Simulated. Every quantity carries its unit.
  "world": {"latency": "world-8", "jitter": "5%", "loss": "0.1%"},
  "hosts": [
    {"id": "root", "count": 3, "region": "eu", "link": "datacenter", "node": {"dht": {"bootstrap": true}}},
    {"id": "open", "count": 5, "region": "eu", "link": "fiber", "nat": "open", "node": {"dht": {"persistent": true}}},
    {"id": "home", "count": 20, "region": "us-east", "link": "cable", "nat": "port-restricted", "starts": {"between": ["0s", "5s"]}}
  ],
  "timeline": [
    {"at": "20s", "who": "home-1", "do": "dht.announce", "with": {"topic": "apples"}},
    {"every": "5s", "from": "30s", "who": {"from": "home", "except": "home-1"}, "do": "dht.lookup", "with": {"topic": "apples"}, "spread": "5s", "as": "look"}
  ],
  "claims": [
    {"says": "everyone joins", "metric": "dht.join_ms", "count_at_least": 28, "p95_at_most": "8s"},
    {"says": "lookups find the apples", "metric": "dht.lookup.ok", "where": {"as": "look"}, "ratio_at_least": 0.99}
  ],
  // What breaks it: `orchard sim NAME.json --prove` makes each change and sees that the claim fails.
  "fails_when": [
    {"says": "homes cannot send UDP", "set": {"hosts.home.nat": "udp-blocked"}, "claim": "everyone joins"}
  ]
}
)";
}

int NewScenario(const std::vector<std::string>& words) {
  if (words.size() != 2 || words[0] != "scenario" || words[1].empty()) {
    std::fputs("orchard new: write \"orchard new scenario NAME\"\n", stderr);
    return kInputStatus;
  }
  std::string file = words[1].ends_with(".json") ? words[1] : words[1] + ".json";
  if (std::filesystem::exists(file)) {
    std::fprintf(stderr, "orchard new: %s is there already\n", file.c_str());
    return kInputStatus;
  }
  if (!WriteText(file, StarterScenario())) return kFaultStatus;
  std::printf("%s\n", file.c_str());
  return kHeldStatus;
}

}  // namespace orchard::sim
