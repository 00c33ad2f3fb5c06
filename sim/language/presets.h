// The words that a scenario may use for links, NATs, regions and mixes without defining them, and which of their numbers
// are measured and which assumed: a report prints the assumed ones. ../docs/SCENARIOS.md, "World", is the same table in prose.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "sim/language/spec.h"

namespace orchard::sim {

struct LinkPreset {
  std::string_view name;
  int64_t down_bps, up_bps;
  Duration delay, jitter;
  uint32_t loss_ppm;
  std::string_view assumed;  // Which of its words are our judgement; empty: none.
  LinkSpec spec() const;     // Queue 100 ms (assumed), MTU 1500.
};
absl::Span<const LinkPreset> LinkPresets();  // datacenter fiber cable dsl wifi lte 3g satellite lan
const LinkPreset* FindLinkPreset(std::string_view name);

struct NatPreset {
  std::string_view name;
  bool box;  // False for `open`: a public address, no box.
  Dependence mapping, filtering;
  PortChoice ports;
  Duration idle, idle_first;
  bool udp_blocked;
  std::string_view assumed;
  NatSpec spec() const;
};
// open full-cone restricted-cone port-restricted symmetric symmetric-sequential symmetric-preserving cgn udp-blocked
absl::Span<const NatPreset> NatPresets();
const NatPreset* FindNatPreset(std::string_view name);

struct Region {
  std::string_view name;
  uint32_t weight_ppm;  // Share of hosts that state no region. Source: Ethereum node shares, libp2p/test-plans.
};
absl::Span<const Region> Regions();  // eu us-east us-west asia au me af sa
// One-way latency from region `a` to `b` (indices into Regions()); `slow`: `world-8-slow`, the table as published.
Duration RegionLatency(size_t a, size_t b, bool slow);
// `world-8` or `world-8-slow` as WorldPlan::latency; nothing for another name.
std::optional<std::map<std::pair<std::string, std::string>, Duration>> LatencyPreset(std::string_view name);
inline constexpr Duration kInsideRegion{2'000'000};  // For regions that a file defines itself.

// A part of a mix: a host draws a part by `share_ppm`, then a link of it by `share_ppm`.
struct MixLink {
  std::string_view link;
  uint32_t share_ppm;
};
struct MixPart {
  std::string_view says;
  uint32_t share_ppm;
  std::vector<std::string_view> nat;  // A chain, nearest first; empty: open.
  std::vector<MixLink> links;         // Shares sum to 1,000,000. All assumed.
  uint32_t hairpin_ppm = 0;           // Chance that the nearest box hairpins.
  Firewall firewall = Firewall::kNone;
  bool assumed = false;               // The share.
};
struct MixPreset {
  std::string_view name, says;
  std::vector<MixPart> parts;  // Shares sum to 1,000,000.
};
absl::Span<const MixPreset> MixPresets();  // internet-2026 mobile-cgn
const MixPreset* FindMixPreset(std::string_view name);

}  // namespace orchard::sim
