// A NatSpec as rules of nftables. What Linux does by itself (kernel 6.1 to 6.18, measured by tests/netns/nat_test.cc):
//
//   mapping    endpoint-independent: a new flow of an inside endpoint takes the outside port of a living flow of the same
//              endpoint, if that is free towards its destination (find_appropriate_src in nf_nat_core.c)
//   filtering  address and port dependent: what answers no flow is for the router itself, and dropped there before it
//              becomes a flow of its own, which would stand in the way of a later answer
//   ports      preserved, if free towards that destination; from the rule's range otherwise
//
// Wider filters and hairpin are done by tables that outbound packets fill: outside port → inside endpoint, and whom it asked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/language/spec.h"

namespace orchard::sim {

struct NatFacts {
  NatSpec spec;                    // One that the kernel can make (KernelCannot in sim/language/lint.h).
  uint32_t outer = 0;              // The outside address.
  uint32_t gateway = 0;            // The inside one, and its subnet.
  uint8_t bits = 24;
  std::vector<uint32_t> members;   // Inside addresses, in order of their places.
  uint32_t remaps = 0;             // So many times its mappings were taken away: they come back with other ports.
};
// The range of outside ports of one member; {0, 0}: its own ports are preserved.
struct PortRange {
  uint16_t low = 0, high = 0;
};
PortRange PortsOf(const NatFacts& facts, size_t member);

// The whole ruleset of the box; it replaces what was there. Inside is the interface "in", outside "wan".
std::string NatRules(const NatFacts& facts);
// Rules of a host's firewall on "eth0"; empty: none.
std::string FirewallRules(Firewall firewall);

std::string AddressText(uint32_t address);

}  // namespace orchard::sim
