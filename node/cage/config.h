// What a site is, and how it is kept. Defaults are the seed's, where it has any.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/base/time.h"
#include "node/cage/job.h"
#include "node/guard/guard.h"

namespace orchard::cage {

// Which healthy cage gets a request.
enum class Balance : uint8_t {
  kRoundRobin,
  kLeastConnected,  // The fewest runs; of equals the first.
  kWeighted,        // By weight, evenly spread: nginx's smooth weighted round-robin.
  kTwoChoices,      // Of two drawn, the one with fewer runs.
};

inline constexpr uint32_t kReplicasMax = 64;

struct SiteConfig {
  std::string name;                    // Lower-case; what a request's host must be.
  std::vector<std::string> aliases;    // Other hosts that mean it.
  std::string module;                  // What LoadArgs names.
  std::string directory{}, files{};    // The same: what its guests may read.
  uint32_t replicas = 3;               // 1 to kReplicasMax.
  Limits limits;
  uint32_t concurrent = 100;           // Runs that one cage has or waits for.
  Balance balance = Balance::kRoundRobin;
  std::vector<uint32_t> weights;       // Of the slots, for kWeighted; missing ones are 1.
  uint32_t retries = 1;                // How often a request whose cage died is given to another, if it may be (RFC 9110 §9.2.2).
  uint32_t waiting = 1000;             // Requests that wait when no cage can take one;
  Duration patience = std::chrono::milliseconds(250);  // so long.

  // Zero: the moment a cage dies; else so often.
  Duration supervise{0};
  Duration check_every = std::chrono::seconds(5);
  std::string check = "/";             // What a new cage must answer before it gets requests, and every cage now and then. Any answer will do.
  Duration backoff = std::chrono::seconds(1), backoff_max = std::chrono::seconds(60);
  uint32_t attempts = 5;               // Respawns of a slot in a row; then it is given up.
  Duration steady = std::chrono::seconds(5);  // Healthy so long: the row is over, and the next respawn is at once;
  bool faithful = false;               // or waits `backoff` all the same, as the original does.
  Duration drain = std::chrono::seconds(5);   // For the runs of a cage that is to go.
  std::optional<guard::Mode> guard{};         // Nothing: as the node has it.
  uint32_t guard_rate = 100;                  // Requests per second and client, up to guard::Flood::kRateMax; 0: as many as there are.
};

std::string_view BalanceName(Balance balance);

}  // namespace orchard::cage
