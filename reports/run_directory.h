// Reads what a run left behind: checks the files against docs/RUN-DIRECTORY.md and hands out the network as
// plain values, and everything else as JSON text for the page. Nothing in a run directory is trusted: it may
// be cut off, or made by somebody else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace orchard::reports {

struct BoxWords {
  std::string preset, mapping, filtering, ports;  // mapping, filtering: EI, AD, AP, block; or empty.
  double idle_ms = 0;
  bool hairpin = false;
};

struct NatLabel {
  std::string label;
  std::vector<BoxWords> chain;  // Nearest first; empty: public.
};

struct SharedBox {
  std::string name, label, inside;
  int64_t members = 0;
  BoxWords words;
};

struct LinkWords {
  std::string name;
  double down_bps = 0, up_bps = 0, delay_ms = 0;
};

struct Lan {
  std::string id, region, router;
  double rate_bps = 0, delay_ms = 0;
};

struct Host {
  std::string id, region, nat, link, lan, runs;
  bool up = true, bootstrap = false, relay = false;
  std::vector<std::string> boxes;
};

struct Edge {
  uint32_t a = 0, b = 0;
  std::string kind;
  double count = 0, p50_ms = -1;  // -1: unknown.
  int64_t relay = -1;             // Index of the host it goes through.
  bool claimed = false;
};

struct Flow {
  std::string a_region, a_nat, b_region, b_nat, kind;
  double count = 0, ok = 0, p50_ms = -1;
};

struct RegionPath {
  std::string a, b;
  double delay_ms = 0;
};

struct WorstHost {
  std::string host, says;
};

struct Topology {
  std::vector<Host> hosts;
  std::vector<NatLabel> nats;
  std::vector<SharedBox> boxes;
  std::vector<LinkWords> links;
  std::vector<Lan> lans;
  std::vector<Edge> edges;
  std::vector<Flow> flows;
  std::vector<RegionPath> paths;
  std::vector<WorstHost> worst;
};

struct ClaimLine {
  std::string case_name, says, verdict, expected, observed;
};

// One thing that can be drawn: a run without cases, or one case of a run.
struct Part {
  std::string dir;    // Where its files lie.
  std::string label;  // "first-light", or the case's name; made unique by whoever shows several.
  bool passed = true;
  std::optional<Topology> topology;
  std::string topology_json = "null";  // Without what only Graphviz needs.
  std::string series_json = "null";
  std::string cages_json = "null";
  std::string result_json;
};

struct Run {
  std::string dir, name;
  bool passed = true;
  std::vector<ClaimLine> claims;
  std::string result_json;
  std::vector<Part> parts;
};

// A message names the file, the place in it, what was found and what was expected. NotFound: there is no such
// directory or no result.json.
absl::StatusOr<Run> ReadRun(const std::string& dir);
absl::StatusOr<Topology> ReadTopology(const std::string& file);

// The folder's name under cases/: letters, digits, `.`, `-`, `+`, `|` and `=` stay, others become `_`.
std::string CaseFolder(const std::string& name);

// The whole file; refuses more than `bytes_max`.
absl::StatusOr<std::string> ReadFile(const std::string& file, size_t bytes_max);
absl::Status WriteFile(const std::string& file, const std::string& text);

}  // namespace orchard::reports
