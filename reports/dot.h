// A network as Graphviz files, at three scales: up to tens of hosts each box and link on its way from the
// world to its host; up to a thousand a disc of hosts per region; beyond, one node per region and NAT class,
// never a node per host.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "reports/run_directory.h"

namespace orchard::reports {

enum class Scale : uint8_t { kFew, kHundreds, kMany };
inline constexpr size_t kFewMax = 24, kHundredsMax = 1000;
Scale ScaleOf(const Topology& t);

// How a NAT label is drawn: shape repeats colour. `css` names the class in topology.svg and in the page's
// legend.
struct NatClass {
  const char* css;
  const char* shape;
  const char* colour;
  const char* says;
  int peripheries = 1;
};
const NatClass& ClassOf(const Topology& t, const std::string& label);
// In the order in which legends and discs show them.
std::vector<const NatClass*> NatClasses();

struct DotFile {
  std::string text;
  std::map<std::string, std::string> titles;  // By element id: what a pointer that rests on it shows.
};

// In points, y upwards, by node name.
struct Place {
  double x = 0, y = 0;
};
using Places = std::map<std::string, Place>;

DotFile FewDot(const Topology& t);                    // For `dot`.
std::string SkeletonDot(const Topology& t, Scale s);  // For `sfdp -Tplain`: where the regions' parts go.
// For `neato -n2`: everything, at its place.
DotFile HundredsDot(const Topology& t, const Places& places);
DotFile ManyDot(const Topology& t, const Places& places);

// A quoted string of the DOT language that shows `text` literally.
std::string Quoted(std::string_view text);
std::string Number(double v);              // "12", "1.5", at most two decimals.
std::string Rate(double bits_per_second);  // "20 Mbps"
std::string Grouped(double count);         // "10,000"

}  // namespace orchard::reports
