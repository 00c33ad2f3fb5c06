// Runs one case in this process, from plan to result directory: the world, the nodes in it, the timeline that acts on them,
// the recorder that watches and the judge. ns-3 is global, so a process runs one case.
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/language/loader.h"
#include "sim/run/lab.h"

namespace orchard::sim {

struct CaseOptions {
  std::string scenario;        // As it was typed.
  std::string replay;          // The command that repeats this case.
  std::string out_dir;         // Exists. Empty: nothing is written.
  uint64_t seed = 1;
  bool trace = false, pcap = false, strict = false, fail_fast = false;
  bool only_result = false;    // A sweep keeps no more of each run.
  std::string until_claim;     // Stop when the claim of that `says` is decided. Empty: when all are.
  const volatile std::sig_atomic_t* interrupted = nullptr;
};

// What a running case says of itself; the parent shows it.
struct CaseProgress {
  Duration now{}, duration{};
  uint64_t events = 0, up = 0, hosts = 0, rss_bytes = 0;
  uint64_t held = 0, failed = 0, open = 0;
  std::string next;
};

struct CaseResult {
  std::string name;
  bool passed = false, interrupted = false;
  std::string fingerprint;
  std::vector<std::string> checkpoints;
  std::string json;            // result.json
};

// Where it runs; null: in ns-3's world. The plan and the observer outlive the lab.
using LabMaker = std::function<std::unique_ptr<Lab>(const Plan&, Observer*)>;

// `tell` is called about ten times a second of wall time.
CaseResult RunCase(const Suite& suite, const Scenario& scenario, const CaseOptions& options,
                   const std::function<void(const CaseProgress&)>& tell, const LabMaker& make_lab = nullptr);

}  // namespace orchard::sim
