// Beyond tens of hosts: a disc per region, or a node per region and NAT class, at places that sfdp chose.
#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "reports/dot_words.h"

namespace orchard::reports {
namespace {

std::vector<std::string> RegionsOf(const Topology& t) {
  std::map<std::string, size_t> count;
  for (const Host& h : t.hosts) ++count[h.region];
  std::vector<std::string> names;
  for (const auto& [name, n] : count) names.push_back(name);
  return names;
}

// Room for `n` hosts around one another, in points.
double DiscRadius(size_t n, double gap) { return gap * 0.62 * std::sqrt(double(n)) + gap * 0.9; }

double HostGap(const Topology& t) { return t.hosts.size() <= 150 ? 44 : 17; }

struct ClassNode {
  std::string region, nat;
  size_t members = 0;
};
std::vector<ClassNode> ClassNodes(const Topology& t) {
  std::map<std::pair<std::string, std::string>, size_t> count;
  for (const Host& h : t.hosts) ++count[{h.region, h.nat}];
  std::vector<ClassNode> nodes;
  for (const auto& [key, n] : count) nodes.push_back({key.first, key.second, n});
  // A writer with endless labels gets the largest classes drawn.
  std::stable_sort(nodes.begin(), nodes.end(),
                   [](const ClassNode& a, const ClassNode& b) { return a.members > b.members; });
  if (nodes.size() > 160) nodes.resize(160);
  return nodes;
}
double ClassWidth(const Topology& t, size_t members) {
  return 26 + 260 * std::sqrt(double(members) / double(t.hosts.size()));
}

}  // namespace

std::string SkeletonDot(const Topology& t, Scale s) {
  std::string out =
      "graph skeleton {\n  graph [overlap=prism, overlap_scaling=-1.1, sep=\"+10\", start=7];\n  node "
      "[shape=circle, fixedsize=true, label=\"\"];\n";
  std::vector<std::string> regions = RegionsOf(t);
  std::map<std::string, size_t> index, members;
  for (size_t i = 0; i < regions.size(); ++i) index[regions[i]] = i;
  for (const Host& h : t.hosts) ++members[h.region];
  std::vector<ClassNode> classes = s == Scale::kMany ? ClassNodes(t) : std::vector<ClassNode>();
  for (const std::string& r : regions) {
    double inches = 2 * DiscRadius(members[r], HostGap(t)) / 72;
    if (s == Scale::kMany) inches = 0.8;
    absl::StrAppend(&out, "  r", index[r], " [width=", Number(inches), ", comment=", Quoted(r), "];\n");
  }
  for (size_t i = 0; i < classes.size(); ++i) {
    absl::StrAppend(&out, "  c", i, " [width=", Number(ClassWidth(t, classes[i].members) / 72 + 0.2),
                    "];\n  r", index[classes[i].region], " -- c", i, ";\n");
  }
  // Near regions pull each other: those closer than the median path.
  std::vector<double> delays;
  for (const RegionPath& p : t.paths) delays.push_back(p.delay_ms);
  std::sort(delays.begin(), delays.end());
  double near = delays.empty() ? 0 : delays[delays.size() / 2];
  bool any = false;
  for (const RegionPath& p : t.paths) {
    if (p.delay_ms > near || !index.count(p.a) || !index.count(p.b) || p.a == p.b) continue;
    absl::StrAppend(&out, "  r", index[p.a], " -- r", index[p.b], ";\n");
    any = true;
  }
  for (size_t i = 1; !any && i < regions.size(); ++i) absl::StrAppend(&out, "  r0 -- r", i, ";\n");
  return out + "}\n";
}

DotFile HundredsDot(const Topology& t, const Places& places) {
  DotFile out;
  absl::StrAppend(&out.text, "graph orchard {\n", kDotHead,
                  "  graph [splines=line];\n  node [fixedsize=true];\n");
  const bool named = t.hosts.size() <= 150;
  const double gap = HostGap(t), dot_points = named ? 21 : 9;
  std::vector<std::string> regions = RegionsOf(t);
  std::string hosts;
  for (size_t r = 0; r < regions.size(); ++r) {
    auto it = places.find(absl::StrCat("r", r));
    Place centre = it == places.end() ? Place{double(r) * 300, 0} : it->second;
    std::vector<size_t> members;
    for (size_t i = 0; i < t.hosts.size(); ++i) {
      if (t.hosts[i].region == regions[r]) members.push_back(i);
    }
    // From the middle outwards: bootstraps, public, then ever harder NATs, so that a disc shows its mix as
    // rings.
    std::vector<const NatClass*> classes = NatClasses();
    auto rank = [&](size_t i) {
      const Host& h = t.hosts[i];
      if (h.bootstrap || h.relay) return ptrdiff_t(-1);
      return std::find(classes.begin(), classes.end(), &ClassOf(t, h.nat)) - classes.begin();
    };
    std::stable_sort(members.begin(), members.end(), [&](size_t a, size_t b) { return rank(a) < rank(b); });
    double radius = DiscRadius(members.size(), gap);
    absl::StrAppend(&out.text, "  r", r, " [id=r", r,
                    ", class=region, shape=circle, label=\"\", width=", Number(2 * radius / 72),
                    ", fillcolor=\"#f2f5f8\", color=\"#d5dbe1\", pos=\"", Number(centre.x), ",",
                    Number(centre.y), "\"];\n", "  t", r,
                    " [class=caption, shape=plaintext, style=\"\", width=2.4, height=0.3, fontsize=",
                    named ? 15 : 13, ", label=", Quoted(absl::StrCat(regions[r], " · ", members.size())),
                    ", pos=\"", Number(centre.x), ",", Number(centre.y + radius + 11), "\"];\n");
    out.titles[absl::StrCat("r", r)] = absl::StrCat(regions[r], ": ", members.size(), " hosts");
    for (size_t k = 0; k < members.size(); ++k) {
      size_t i = members[k];
      const Host& h = t.hosts[i];
      // A sunflower: turns of the golden angle, radius by the root of the index, so that all have the same
      // room (Vogel 1979).
      double d = gap * 0.62 * std::sqrt(double(k) + 0.3), angle = double(k) * 2.399963229728653;
      double x = centre.x + d * std::cos(angle), y = centre.y + d * std::sin(angle);
      double size = dot_points * (h.bootstrap || h.relay                          ? 1.45
                                  : std::string_view(HostShape(t, h)) == "circle" ? 0.86
                                  : ClassOf(t, h.nat).peripheries > 1             ? 0.7
                                                                                  : 1.0);
      absl::StrAppend(&hosts, "  h", i, " [id=h", i, ", class=", Quoted(HostCss(t, h)),
                      ", comment=", Quoted(h.id), ", shape=", HostShape(t, h), ", width=", Number(size / 72),
                      ", height=", Number(size / 72));
      if (ClassOf(t, h.nat).peripheries > 1 && named && !h.bootstrap && !h.relay)
        absl::StrAppend(&hosts, ", peripheries=2");
      absl::StrAppend(&hosts, ", label=\"\", fillcolor=\"", HostColour(t, h), "\", pos=\"", Number(x), ",",
                      Number(y), "\"];\n");
      if (named) {
        absl::StrAppend(
            &hosts, "  l", i,
            " [class=name, shape=plaintext, style=\"\", width=0.6, height=0.14, fontsize=7.5, label=",
            Quoted(Short(h.id, 11)), ", pos=\"", Number(x), ",", Number(y - size * 0.5 - 6), "\"];\n");
      }
      out.titles[absl::StrCat("h", i)] = HostTitle(h);
    }
  }
  std::map<std::string, size_t> index;
  for (size_t i = 0; i < regions.size(); ++i) index[regions[i]] = i;
  absl::StrAppend(&out.text, hosts);
  Pairs drawn_pairs;
  for (size_t i : EdgesToDraw(t, named ? 2 : 0, 600)) AddPath(out, drawn_pairs, t, i, "");
  absl::StrAppend(&out.text, "}\n");
  return out;
}

DotFile ManyDot(const Topology& t, const Places& places) {
  DotFile out;
  absl::StrAppend(&out.text, "graph orchard {\n", kDotHead,
                  "  graph [splines=line];\n  node [fixedsize=true];\n");
  std::vector<std::string> regions = RegionsOf(t);
  std::map<std::string, size_t> region_index;
  for (size_t r = 0; r < regions.size(); ++r) region_index[regions[r]] = r;
  std::vector<ClassNode> classes = ClassNodes(t);
  std::map<std::pair<std::string, std::string>, size_t> class_index;
  Place low{1e9, 1e9}, high{-1e9, -1e9};
  auto at = [&](const std::string& node) {
    auto it = places.find(node);
    return it == places.end() ? Place{} : it->second;
  };
  auto grow = [&](Place p, double r) {
    low = {std::min(low.x, p.x - r), std::min(low.y, p.y - r)};
    high = {std::max(high.x, p.x + r), std::max(high.y, p.y + r)};
  };
  std::map<std::string, size_t> region_members;
  for (const Host& h : t.hosts) ++region_members[h.region];
  for (size_t i = 0; i < classes.size(); ++i) {
    const ClassNode& c = classes[i];
    class_index[{c.region, c.nat}] = i;
    const NatClass& nat = ClassOf(t, c.nat);
    Place p = at(absl::StrCat("c", i));
    double width = ClassWidth(t, c.members);
    grow(p, width / 2);
    std::string label = width > 64        ? absl::StrCat(Short(c.nat, 16), "\n", Grouped(double(c.members)))
                        : width > 26 + 14 ? Grouped(double(c.members))
                                          : "";
    absl::StrAppend(&out.text, "  c", i, " [id=c", i, ", class=", Quoted(absl::StrCat("mass ", nat.css)),
                    ", shape=", nat.shape, nat.peripheries > 1 ? ", peripheries=2" : "",
                    ", width=", Number(width / 72), ", height=", Number(width / 72),
                    ", fontsize=", width > 90 ? 14 : 10.5, ", label=", Quoted(label), ", fillcolor=\"",
                    nat.colour, "\", pos=\"", Number(p.x), ",", Number(p.y), "\"];\n  r",
                    region_index[c.region], " -- c", i, " [class=stem];\n");
    out.titles[absl::StrCat("c", i)] =
        absl::StrCat(c.region, " · ", c.nat, ": ", Grouped(double(c.members)), " hosts");
  }
  for (size_t r = 0; r < regions.size(); ++r) {
    Place p = at(absl::StrCat("r", r));
    grow(p, 30);
    absl::StrAppend(&out.text, "  r", r, " [id=r", r,
                    ", class=hub, shape=circle, width=0.85, fontsize=13, fillcolor=\"#f2f5f8\", label=",
                    Quoted(absl::StrCat(regions[r], "\n", Grouped(double(region_members[regions[r]])))),
                    ", pos=\"", Number(p.x), ",", Number(p.y), "\"];\n");
    out.titles[absl::StrCat("r", r)] =
        absl::StrCat(regions[r], ": ", Grouped(double(region_members[regions[r]])), " hosts");
  }
  std::vector<const Flow*> flows;
  double most = 1;
  for (const Flow& f : t.flows) {
    if (!class_index.count({f.a_region, f.a_nat}) || !class_index.count({f.b_region, f.b_nat})) continue;
    flows.push_back(&f);
    most = std::max(most, f.count);
  }
  std::stable_sort(flows.begin(), flows.end(),
                   [](const Flow* a, const Flow* b) { return a->count > b->count; });
  if (flows.size() > 60) flows.resize(60);
  for (size_t i = 0; i < flows.size(); ++i) {
    const Flow& f = *flows[i];
    size_t a = class_index[{f.a_region, f.a_nat}], b = class_index[{f.b_region, f.b_nat}];
    if (a == b) continue;
    std::string id = absl::StrCat("f", i),
                says = f.ok >= 0 && f.count > 0 ? absl::StrCat(Number(100 * f.ok / f.count), " %") : "";
    if (f.p50_ms >= 0) absl::StrAppend(&says, says.empty() ? "" : ", ", Number(f.p50_ms), " ms");
    absl::StrAppend(&out.text, "  c", a, " -- c", b, " [id=", id,
                    ", class=flow, penwidth=", Number(0.6 + 7 * f.count / most));
    if (i < 8) absl::StrAppend(&out.text, ", fontsize=11, label=", Quoted(says));
    absl::StrAppend(&out.text, "];\n");
    out.titles[id] = absl::StrCat(f.a_region, " ", f.a_nat, " – ", f.b_region, " ", f.b_nat, ": ",
                                  Grouped(f.count), " × ", f.kind, says.empty() ? "" : ", ", says);
  }
  // The worst hosts stand around it, in the order of the angle of their class, so that their stems do not
  // cross.
  struct Stray {
    double angle;
    size_t worst, parent;
  };
  std::vector<Stray> strays;
  Place middle{(low.x + high.x) / 2, (low.y + high.y) / 2};
  for (size_t w = 0; w < t.worst.size() && strays.size() < 20; ++w) {
    for (const Host& h : t.hosts) {
      if (h.id != t.worst[w].host || !class_index.count({h.region, h.nat})) continue;
      size_t c = class_index[{h.region, h.nat}];
      Place p = at(absl::StrCat("c", c));
      strays.push_back({std::atan2(p.y - middle.y, p.x - middle.x), w, c});
      break;
    }
  }
  std::stable_sort(strays.begin(), strays.end(),
                   [](const Stray& a, const Stray& b) { return a.angle < b.angle; });
  for (size_t k = 0; k < strays.size(); ++k) {
    const Stray& s = strays[k];
    const WorstHost& w = t.worst[s.worst];
    double angle = strays[0].angle + 2 * M_PI * double(k) / double(strays.size());
    double x = middle.x + ((high.x - low.x) * 0.58 + 95) * std::cos(angle),
           y = middle.y + ((high.y - low.y) * 0.56 + 50) * std::sin(angle);
    const NatClass& nat = ClassOf(t, classes[s.parent].nat);
    absl::StrAppend(&out.text, "  w", k, " [id=w", k,
                    ", class=", Quoted(absl::StrCat("host worst ", nat.css)), ", shape=", nat.shape,
                    ", label=\"\", width=0.22, height=0.22, fillcolor=\"", nat.colour, "\", pos=\"",
                    Number(x), ",", Number(y), "\"];\n  x", k,
                    " [class=name, shape=plaintext, style=\"\", width=1.6, height=0.34, fontsize=11, label=",
                    Quoted(absl::StrCat(Short(w.host, 24), "\n", Short(w.says, 28))), ", pos=\"", Number(x),
                    ",", Number(y - 24), "\"];\n  c", s.parent, " -- w", k, " [class=stem, style=dotted];\n");
    out.titles[absl::StrCat("w", k)] = absl::StrCat(w.host, ": ", w.says);
  }
  absl::StrAppend(&out.text, "}\n");
  return out;
}

}  // namespace orchard::reports
