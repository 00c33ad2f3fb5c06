#include "sim/language/presets.h"

#include "node/base/check.h"

namespace orchard::sim {
namespace {

using namespace std::chrono_literals;
constexpr int64_t kMega = 1'000'000, kGiga = 1'000'000'000;

// wifi, lte, 3g, satellite: rate, one-way delay, its deviation and loss of the patchbay guide (topology.md). The wired ones
// are our judgement inside what is sold in 2026.
constexpr LinkPreset kLinks[] = {
    {"datacenter", kGiga, kGiga, 200us, 0ms, 0, "rate delay"},
    {"fiber", 300 * kMega, 300 * kMega, 2ms, 0ms, 0, "rate delay"},
    {"cable", 100 * kMega, 20 * kMega, 8ms, 0ms, 0, "rate delay"},
    {"dsl", 50 * kMega, 10 * kMega, 15ms, 0ms, 0, "rate delay"},
    {"wifi", 54 * kMega, 54 * kMega, 5ms, 1ms, 20'000, ""},
    {"lte", 50 * kMega, 50 * kMega, 30ms, 10ms, 10'000, ""},
    {"3g", 2 * kMega, 2 * kMega, 100ms, 30ms, 30'000, ""},
    {"satellite", 10 * kMega, 10 * kMega, 600ms, 50ms, 5'000, ""},
    {"lan", kGiga, kGiga, 200us, 0ms, 0, "rate delay"},
};

constexpr Dependence kEI = Dependence::kEndpointIndependent, kAD = Dependence::kAddressDependent,
                     kAPD = Dependence::kAddressAndPortDependent;

// Life of an unanswered mapping 30 s: the least seen in 34 boxes (Hätönen et al., IMC 2010); answered 120 s: RFC 4787
// REQ-5's minimum, and what Linux does. Carriers keep 30 to 60 s.
constexpr NatPreset kNats[] = {
    {"open", false, kEI, kEI, PortChoice::kPreserve, 0s, 0s, false, ""},
    {"full-cone", true, kEI, kEI, PortChoice::kPreserve, 120s, 30s, false, ""},
    {"restricted-cone", true, kEI, kAD, PortChoice::kPreserve, 120s, 30s, false, ""},
    {"port-restricted", true, kEI, kAPD, PortChoice::kPreserve, 120s, 30s, false, ""},
    {"symmetric", true, kAPD, kAPD, PortChoice::kRandom, 60s, 30s, false, "idle"},
    {"symmetric-sequential", true, kAPD, kAPD, PortChoice::kSequential, 60s, 30s, false, "idle"},
    {"symmetric-preserving", true, kAPD, kAPD, PortChoice::kPreserve, 60s, 30s, false, "idle"},
    {"cgn", true, kEI, kAPD, PortChoice::kBlock, 60s, 30s, false, "idle block"},
    {"udp-blocked", true, kEI, kAPD, PortChoice::kPreserve, 120s, 30s, true, ""},
};

constexpr Region kRegions[] = {{"eu", 494'000},  {"us-east", 256'000}, {"us-west", 109'000}, {"asia", 94'000},
                               {"au", 26'000},   {"me", 14'000},       {"af", 4'000},        {"sa", 3'000}};
constexpr size_t kRegionCount = std::size(kRegions);

// Milliseconds, as published (libp2p/test-plans, gossipsub-interop); 190/195 between Africa and South America is 192.
constexpr uint16_t kLatency[kRegionCount][kRegionCount] = {
    {2, 70, 110, 125, 165, 60, 95, 140},    {70, 2, 60, 140, 150, 110, 130, 100},
    {110, 60, 2, 100, 110, 150, 160, 100},  {125, 140, 100, 4, 110, 110, 175, 175},
    {165, 150, 110, 110, 2, 180, 220, 190}, {60, 110, 150, 110, 180, 5, 110, 145},
    {95, 130, 160, 175, 220, 110, 7, 192},  {140, 100, 100, 175, 190, 145, 192, 7}};

template <class T>
const T* FindNamed(absl::Span<const T> all, std::string_view name) {
  for (const T& x : all) {
    if (x.name == name) return &x;
  }
  return nullptr;
}

}  // namespace

LinkSpec LinkPreset::spec() const {
  LinkSpec s;
  s.preset = std::string(name);
  s.down_bps = down_bps, s.up_bps = up_bps, s.delay = delay, s.jitter = jitter, s.loss_ppm = loss_ppm;
  return s;
}
absl::Span<const LinkPreset> LinkPresets() { return kLinks; }
const LinkPreset* FindLinkPreset(std::string_view name) { return FindNamed(LinkPresets(), name); }

NatSpec NatPreset::spec() const {
  NatSpec s;
  s.preset = std::string(name);
  s.mapping = mapping, s.filtering = filtering, s.ports = ports, s.idle = idle, s.idle_first = idle_first;
  s.udp_blocked = udp_blocked;
  return s;
}
absl::Span<const NatPreset> NatPresets() { return kNats; }
const NatPreset* FindNatPreset(std::string_view name) { return FindNamed(NatPresets(), name); }

absl::Span<const Region> Regions() { return kRegions; }

Duration RegionLatency(size_t a, size_t b, bool slow) {
  CHECK_LT(a, kRegionCount);
  CHECK_LT(b, kRegionCount);
  // The published figures are spent one way by their simulator, which doubles real round trips; halved they are true.
  // Inside a region the figure is small and kept.
  Duration published = std::chrono::milliseconds(kLatency[a][b]);
  return slow || a == b ? published : published / 2;
}

std::optional<std::map<std::pair<std::string, std::string>, Duration>> LatencyPreset(std::string_view name) {
  if (name != "world-8" && name != "world-8-slow") return std::nullopt;
  std::map<std::pair<std::string, std::string>, Duration> out;
  for (size_t a = 0; a < kRegionCount; ++a) {
    for (size_t b = 0; b < kRegionCount; ++b) {
      out[{std::string(kRegions[a].name), std::string(kRegions[b].name)}] = RegionLatency(a, b, name == "world-8-slow");
    }
  }
  return out;
}

absl::Span<const MixPreset> MixPresets() {
  static const auto* all = [] {
    const std::vector<MixLink> home = {{"cable", 500'000}, {"fiber", 250'000}, {"dsl", 250'000}};
    const std::vector<MixLink> open = {{"datacenter", 500'000}, {"fiber", 500'000}};
    const std::vector<MixLink> cell = {{"lte", 1'000'000}};
    return new std::vector<MixPreset>{
        {"internet-2026",
         "Peers of a public network, 2026. Calibrated: 0.67 of pairs behind NATs are easy on both sides (DCUtR measured 0.70).",
         {{"public, forwarded or UPnP", 120'000, {}, open, 0, Firewall::kNone, true},
          {"home, endpoint-independent filtering", 80'000, {"full-cone"}, home, 500'000, Firewall::kNone, true},
          {"home, address-dependent filtering", 70'000, {"restricted-cone"}, home, 300'000, Firewall::kNone, true},
          {"home, port-dependent filtering", 400'000, {"port-restricted"}, home, 300'000, Firewall::kNone, false},
          {"carrier-grade", 120'000, {"cgn"}, cell, 200'000, Firewall::kNone, false},
          {"home behind carrier-grade", 50'000, {"port-restricted", "cgn"}, home, 0, Firewall::kNone, true},
          {"symmetric, random ports", 90'000, {"symmetric"}, cell, 0, Firewall::kNone, false},
          {"symmetric, preserved ports", 15'000, {"symmetric-preserving"}, cell, 0, Firewall::kNone, true},
          {"symmetric, sequential ports", 15'000, {"symmetric-sequential"}, cell, 0, Firewall::kNone, true},
          {"UDP blocked (hotel, company)", 40'000, {"udp-blocked"}, home, 0, Firewall::kNone, true}}},
        {"mobile-cgn",
         "Phones only.",
         {{"carrier-grade", 550'000, {"cgn"}, cell, 200'000, Firewall::kNone, true},
          {"symmetric, random ports", 300'000, {"symmetric"}, cell, 0, Firewall::kNone, true},
          {"symmetric, preserved ports", 50'000, {"symmetric-preserving"}, cell, 0, Firewall::kNone, true},
          {"symmetric, sequential ports", 50'000, {"symmetric-sequential"}, cell, 0, Firewall::kNone, true},
          {"a public address behind a stateful firewall", 50'000, {}, cell, 0, Firewall::kStateful, true}}}};
  }();
  return *all;
}
const MixPreset* FindMixPreset(std::string_view name) { return FindNamed(MixPresets(), name); }

}  // namespace orchard::sim
