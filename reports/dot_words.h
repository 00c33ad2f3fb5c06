// What the three scales of drawings share: how a host, a box and a path look. For dot*.cc only.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reports/dot.h"

namespace orchard::reports {

extern const char* const kDotHead;
const NatLabel* FindNat(const Topology& t, std::string_view label);  // Null: the file does not describe it.
std::string Short(const std::string& text,
                  size_t letters);    // At most `letters`, cut between UTF-8 sequences.
std::string Axes(const BoxWords& b);  // "EI/AP"
std::string BoxLabel(const std::string& name, const BoxWords& b);

const char* HostShape(const Topology& t, const Host& h);
const char* HostColour(const Topology& t, const Host& h);
std::string HostCss(const Topology& t, const Host& h);
std::string HostTitle(const Host& h);

// The edges that a drawing of single hosts shows, one a pair: all that failed or that a claim speaks of, and
// of the DHT's the busiest `dht_per_host` of each host.
std::vector<size_t> EdgesToDraw(const Topology& t, size_t dht_per_host, size_t most);
// Adds edge `i`, with attributes `more`. A relayed path goes through its relay; a stretch that is there
// already is not drawn again.
using Pairs = std::set<std::pair<uint32_t, uint32_t>>;
void AddPath(DotFile& out, Pairs& drawn, const Topology& t, size_t i, const std::string& more);

}  // namespace orchard::reports
