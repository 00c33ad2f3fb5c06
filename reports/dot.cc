#include "reports/dot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace orchard::reports {
namespace {

// Colours after Okabe & Ito (2008), told apart by all common kinds of colour blindness.
constexpr NatClass kOpen{"nat-open", "circle", "#0072B2", "public"};
constexpr NatClass kHome{"nat-home", "house", "#009E73", "home NAT, endpoint-independent mapping"};
constexpr NatClass kCgn{"nat-cgn", "pentagon", "#56B4E9", "carrier-grade NAT"};
constexpr NatClass kChain{"nat-chain", "house", "#CC79A7", "NAT behind NAT", 2};
constexpr NatClass kSymmetric{"nat-sym", "invhouse", "#D55E00", "symmetric NAT (mapping depends on the address)"};
constexpr NatClass kBlocked{"nat-blocked", "square", "#767676", "UDP blocked"};

constexpr const char* kHead =
    "  graph [bgcolor=\"transparent\", fontname=\"Helvetica\", fontsize=11, outputorder=edgesfirst, pad=0.2];\n"
    "  node [fontname=\"Helvetica\", fontsize=10, style=filled, color=\"#55606b\", penwidth=0.8];\n"
    "  edge [fontname=\"Helvetica\", fontsize=9, color=\"#8a949e\", fontcolor=\"#5c6670\", penwidth=0.8];\n";

const NatLabel* Find(const Topology& t, std::string_view label) {
  for (const NatLabel& n : t.nats) {
    if (n.label == label) return &n;
  }
  return nullptr;
}

// At most `letters`, cut between UTF-8 sequences.
std::string Short(const std::string& text, size_t letters) {
  size_t i = 0;
  for (size_t n = 0; i < text.size() && n < letters; ++n) {
    for (++i; i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80; ++i) {
    }
  }
  return i == text.size() ? text : text.substr(0, i) + "…";
}

std::string Axes(const BoxWords& b) { return b.mapping.empty() && b.filtering.empty() ? b.preset : absl::StrCat(b.mapping, "/", b.filtering); }

std::string BoxLabel(const std::string& name, const BoxWords& b) {
  std::string s = name;
  absl::StrAppend(&s, "\n", Axes(b));
  if (!b.ports.empty()) absl::StrAppend(&s, " · ", b.ports);
  if (b.idle_ms > 0) absl::StrAppend(&s, "\nidle ", Number(b.idle_ms / 1000), " s", b.hairpin ? " · hairpin" : "");
  return s;
}

const char* HostShape(const Topology& t, const Host& h) {
  if (h.relay) return "diamond";
  if (h.bootstrap) return "star";
  if (h.runs == "web") return "cylinder";
  return ClassOf(t, h.nat).shape;
}

std::string HostCss(const Topology& t, const Host& h) {
  std::string css = absl::StrCat("host ", ClassOf(t, h.nat).css);
  if (h.bootstrap) absl::StrAppend(&css, " bootstrap");
  if (h.relay) absl::StrAppend(&css, " relay");
  if (h.runs == "web") absl::StrAppend(&css, " web");
  if (!h.up) absl::StrAppend(&css, " dead");
  return css;
}

const char* HostColour(const Topology& t, const Host& h) {
  if (h.bootstrap) return "#E69F00";
  if (h.runs == "web") return "#F0E442";
  return ClassOf(t, h.nat).colour;
}

std::string HostTitle(const Host& h) {
  std::string s = absl::StrCat(h.id, " · ", h.nat, " · ", h.region);
  if (!h.link.empty()) absl::StrAppend(&s, " · ", h.link);
  if (h.bootstrap) absl::StrAppend(&s, " · bootstrap");
  if (!h.up) absl::StrAppend(&s, " · down at the end");
  return s;
}

const char* EdgeStyle(const std::string& kind) {
  if (kind == "punched") return "bold";
  if (kind == "relayed") return "dashed";
  if (kind == "failed") return "dotted";
  return "solid";
}

// Only words of the format make class names.
std::string EdgeCss(const std::string& kind) {
  for (const char* k : {"dht", "lan", "direct", "punched", "relayed", "failed"}) {
    if (kind == k) return absl::StrCat("path ", k);
  }
  return "path other";
}

std::string EdgeTitle(const Topology& t, const Edge& e) {
  std::string s = absl::StrCat(t.hosts[e.a].id, " – ", t.hosts[e.b].id, ": ", e.kind);
  if (e.relay >= 0) absl::StrAppend(&s, " through ", t.hosts[size_t(e.relay)].id);
  if (e.count > 0) absl::StrAppend(&s, ", ", Grouped(e.count), " ×");
  if (e.p50_ms >= 0) absl::StrAppend(&s, ", p50 ", Number(e.p50_ms), " ms");
  return s;
}

// The edges that a drawing of single hosts shows: all that failed or that a claim speaks of, and of the DHT's each host's two busiest.
std::vector<size_t> EdgesToDraw(const Topology& t, size_t dht_per_host, size_t most) {
  std::vector<size_t> order;
  for (size_t i = 0; i < t.edges.size(); ++i) {
    if (t.edges[i].kind != "dht" || t.edges[i].claimed) order.push_back(i);
  }
  std::vector<size_t> dht;
  for (size_t i = 0; i < t.edges.size(); ++i) {
    if (t.edges[i].kind == "dht" && !t.edges[i].claimed) dht.push_back(i);
  }
  std::stable_sort(dht.begin(), dht.end(), [&](size_t a, size_t b) { return t.edges[a].count > t.edges[b].count; });
  std::vector<size_t> used(t.hosts.size());
  std::set<std::pair<uint32_t, uint32_t>> joined;  // One line a pair, the more telling one; dot 2.43 also trips over parallel ones.
  auto again = [&](size_t i) { return t.edges[i].a == t.edges[i].b || !joined.insert(std::minmax(t.edges[i].a, t.edges[i].b)).second; };
  order.erase(std::remove_if(order.begin(), order.end(), again), order.end());
  for (size_t i : dht) {
    const Edge& e = t.edges[i];
    if ((used[e.a] >= dht_per_host && used[e.b] >= dht_per_host) || again(i)) continue;
    ++used[e.a];
    ++used[e.b];
    order.push_back(i);
  }
  if (order.size() > most) order.resize(most);
  return order;
}

using Pairs = std::set<std::pair<uint32_t, uint32_t>>;

// A relayed path goes through its relay; a stretch that is there already is not drawn again.
void AddPath(DotFile& out, Pairs& drawn, const Topology& t, size_t i, const std::string& more) {
  const Edge& e = t.edges[i];
  std::vector<uint32_t> stops = {e.a, e.b};
  if (e.relay >= 0 && e.relay != e.a && e.relay != e.b) stops.insert(stops.begin() + 1, uint32_t(e.relay));
  for (size_t k = 0; k + 1 < stops.size(); ++k) {
    if (!drawn.insert(std::minmax(stops[k], stops[k + 1])).second) continue;
    std::string id = absl::StrCat("e", i, k == 0 ? "" : "r");
    absl::StrAppend(&out.text, "  h", stops[k], " -- h", stops[k + 1], " [id=", id, ", class=", Quoted(EdgeCss(e.kind)), ", style=", EdgeStyle(e.kind), k == 0 ? more : more.substr(0, more.find(", label")));
    if (e.kind == "failed") absl::StrAppend(&out.text, ", color=\"#D55E00\"");
    absl::StrAppend(&out.text, "];\n");
    out.titles[id] = EdgeTitle(t, e);
  }
}

}  // namespace

Scale ScaleOf(const Topology& t) {
  if (t.hosts.size() <= kFewMax) return Scale::kFew;
  return t.hosts.size() <= kHundredsMax ? Scale::kHundreds : Scale::kMany;
}

std::vector<const NatClass*> NatClasses() { return {&kOpen, &kHome, &kCgn, &kChain, &kSymmetric, &kBlocked}; }

const NatClass& ClassOf(const Topology& t, const std::string& label) {
  if (label.empty() || label == "open") return kOpen;
  const NatLabel* known = Find(t, label);
  if (absl::StartsWith(label, "udp-blocked")) return kBlocked;
  if (known != nullptr && known->chain.size() == 1) {
    const BoxWords& b = known->chain[0];
    if (b.mapping == "block" || b.filtering == "block") return kBlocked;
    if (b.mapping == "AD" || b.mapping == "AP") return kSymmetric;
  }
  if (absl::StrContains(label, '+') || (known != nullptr && known->chain.size() > 1)) return kChain;
  if (absl::StartsWith(label, "symmetric")) return kSymmetric;
  if (absl::StartsWith(label, "cgn")) return kCgn;
  return kHome;
}

std::string Quoted(std::string_view text) {
  std::string s = "\"";
  for (char c : text) {
    if (c == '"') {
      s += "\\\"";
    } else if (c == '\\') {
      s += "\\\\";
    } else if (c == '\n') {
      s += "\\n";
    } else if (c == '&') {
      s += "&amp;";  // Graphviz resolves entities in labels.
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      s += c;
    }
  }
  return s + "\"";
}

std::string Number(double v) {
  char text[40];
  std::snprintf(text, sizeof text, std::abs(v) >= 1e7 ? "%.3g" : std::abs(v) >= 100 ? "%.0f" : std::abs(v) >= 10 ? "%.1f" : "%.2f", v);
  std::string s = text;
  if (absl::StrContains(s, '.') && !absl::StrContains(s, 'e')) {
    while (s.back() == '0') s.pop_back();
    if (s.back() == '.') s.pop_back();
  }
  return s;
}

std::string Rate(double bps) {
  if (bps >= 1e9) return absl::StrCat(Number(bps / 1e9), " Gbps");
  if (bps >= 1e6) return absl::StrCat(Number(bps / 1e6), " Mbps");
  return absl::StrCat(Number(bps / 1e3), " kbps");
}

std::string Grouped(double count) {
  char text[40];
  std::snprintf(text, sizeof text, "%.0f", std::min(count, 1e15));
  std::string s = text;
  for (int i = int(s.size()) - 3; i > 0; i -= 3) s.insert(size_t(i), ",");
  return s;
}

DotFile FewDot(const Topology& t) {
  DotFile out;
  absl::StrAppend(&out.text, "graph orchard {\n", kHead,
                  "  graph [rankdir=LR, newrank=true, ranksep=0.75, nodesep=0.22, splines=true];\n"
                  "  world [label=\"world\", id=world, class=world, shape=ellipse, width=1, height=1.4, fillcolor=\"#e8edf2\"];\n");
  std::map<std::string, std::string> drawn;  // Shared box or LAN → its node.
  std::map<std::string, std::string> by_region;
  std::string links;
  auto wire = [&](const std::string& from, const std::string& to, const std::string& label) {
    absl::StrAppend(&links, "  ", from, " -- ", to, " [class=wire, label=", Quoted(label), "];\n");
  };
  auto link_label = [&](const Host& h) -> std::string {
    for (const LinkWords& l : t.links) {
      if (l.name == h.link) return absl::StrCat(l.name, " ", Rate(l.down_bps), "/", Rate(l.up_bps), "\n", Number(l.delay_ms), " ms");
    }
    return h.link;
  };
  auto add_box = [&](const std::string& node, const std::string& region, const std::string& name, const BoxWords& w, const std::string& label, const char* shape) {
    const NatClass& c = ClassOf(t, label);
    absl::StrAppend(&by_region[region], "    ", node, " [label=", Quoted(BoxLabel(name, w)), ", id=", node, ", class=", Quoted(absl::StrCat("box ", c.css)),
                    ", shape=", shape, ", margin=\"0.12,0.06\", fillcolor=\"", c.colour, "22\"];\n");
    out.titles[node] = absl::StrCat(name, ": ", w.preset.empty() ? label : w.preset, " (mapping/filtering ", Axes(w), ")");
  };
  // Chains of shared boxes hang from the world once.
  auto known_box = [&](const std::string& name) { return std::any_of(t.boxes.begin(), t.boxes.end(), [&](const SharedBox& b) { return b.name == name; }); };
  std::function<std::string(const std::string&, const std::string&, int)> shared = [&](const std::string& name, const std::string& region, int depth) -> std::string {
    if (auto it = drawn.find(name); it != drawn.end()) return it->second;
    if (depth > 4 || !known_box(name)) return "world";
    std::string node = absl::StrCat("b", drawn.size());
    drawn[name] = node;
    const SharedBox* box = &*std::find_if(t.boxes.begin(), t.boxes.end(), [&](const SharedBox& b) { return b.name == name; });
    add_box(node, region, box->name, box->words, box->label, "box");
    wire(shared(box->inside, region, depth + 1), node, "");
    return node;
  };
  for (size_t i = 0; i < t.hosts.size(); ++i) {
    const Host& h = t.hosts[i];
    std::string above = "world", pending = link_label(h);
    const NatLabel* nat = Find(t, h.nat);
    size_t own = nat == nullptr ? 0 : nat->chain.size() - std::min(nat->chain.size(), h.boxes.size());
    // Outermost first: boxes of others, then those of its own.
    for (size_t k = h.boxes.size(); k-- > 0;) above = shared(h.boxes[k], h.region, 0);
    for (const Lan& lan : t.lans) {
      if (lan.id != h.lan || h.lan.empty()) continue;
      std::string key = "lan " + lan.id;
      if (drawn.find(key) == drawn.end()) {
        std::string node = absl::StrCat("b", drawn.size());
        drawn[key] = node;
        absl::StrAppend(&by_region[h.region], "    ", node, " [label=", Quoted(absl::StrCat("LAN ", lan.id, "\n", Rate(lan.rate_bps), " · ", Number(lan.delay_ms), " ms")),
                        ", id=", node, ", class=lan, shape=box, style=\"filled,rounded\", fillcolor=\"#f4f4ef\"];\n");
        // A router that the file does not name has the name of its LAN.
        const std::string& router = lan.router.empty() ? lan.id : lan.router;
        wire(known_box(router) ? shared(router, h.region, 0) : above, node, pending);
      }
      above = drawn[key];
      pending.clear();
      own = 0;
    }
    for (size_t k = own; k-- > 0;) {
      std::string node = absl::StrCat("n", i, "_", k);
      add_box(node, h.region, nat->chain[k].preset.empty() ? h.nat : nat->chain[k].preset, nat->chain[k], h.nat, "box");
      wire(above, node, pending);
      pending.clear();
      above = node;
    }
    std::string node = absl::StrCat("h", i);
    absl::StrAppend(&by_region[h.region], "    ", node, " [label=", Quoted(Short(h.id, 40)), ", id=", node, ", class=", Quoted(HostCss(t, h)), ", shape=", HostShape(t, h),
                    ", peripheries=", ClassOf(t, h.nat).peripheries, h.bootstrap ? ", width=0.9, height=0.9, fixedsize=true" : ", margin=\"0.06,0.03\"", ", fontcolor=\"#111111\", fillcolor=\"", HostColour(t, h), "\"];\n");
    out.titles[node] = HostTitle(h);
    wire(above, node, pending);
  }
  size_t region_index = 0;
  for (const auto& [region, nodes] : by_region) {
    absl::StrAppend(&out.text, "  subgraph cluster_", region_index++, " {\n    label=", Quoted(region), "; class=region; style=\"rounded,filled\"; color=\"#d5dbe1\"; fillcolor=\"#f6f8fa\";\n", nodes, "  }\n");
  }
  absl::StrAppend(&out.text, links, "  {rank=same;");
  for (size_t i = 0; i < t.hosts.size(); ++i) absl::StrAppend(&out.text, " h", i, ";");
  absl::StrAppend(&out.text, "}\n");
  // Where there are connections they are what the reader came for; the DHT's chatter would hide them.
  bool connections = std::any_of(t.edges.begin(), t.edges.end(), [](const Edge& e) { return e.kind != "dht"; });
  Pairs drawn_pairs;
  for (size_t i : EdgesToDraw(t, connections ? 0 : 2, 60)) {
    const Edge& e = t.edges[i];
    std::string more = ", constraint=false";
    if (e.kind != "dht") absl::StrAppend(&more, ", label=", Quoted(e.p50_ms >= 0 ? absl::StrCat(e.kind, " ", Number(e.p50_ms), " ms") : e.kind));
    AddPath(out, drawn_pairs, t, i, more);
  }
  absl::StrAppend(&out.text, "}\n");
  return out;
}

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
  std::stable_sort(nodes.begin(), nodes.end(), [](const ClassNode& a, const ClassNode& b) { return a.members > b.members; });
  if (nodes.size() > 160) nodes.resize(160);
  return nodes;
}
double ClassWidth(const Topology& t, size_t members) { return 26 + 260 * std::sqrt(double(members) / double(t.hosts.size())); }

}  // namespace

std::string SkeletonDot(const Topology& t, Scale s) {
  std::string out = "graph skeleton {\n  graph [overlap=prism, overlap_scaling=-1.1, sep=\"+10\", start=7];\n  node [shape=circle, fixedsize=true, label=\"\"];\n";
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
    absl::StrAppend(&out, "  c", i, " [width=", Number(ClassWidth(t, classes[i].members) / 72 + 0.2), "];\n  r", index[classes[i].region], " -- c", i, ";\n");
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
  absl::StrAppend(&out.text, "graph orchard {\n", kHead, "  graph [splines=line];\n  node [fixedsize=true];\n");
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
    // From the middle outwards: bootstraps, public, then ever harder NATs, so that a disc shows its mix as rings.
    std::vector<const NatClass*> classes = NatClasses();
    auto rank = [&](size_t i) {
      const Host& h = t.hosts[i];
      if (h.bootstrap || h.relay) return ptrdiff_t(-1);
      return std::find(classes.begin(), classes.end(), &ClassOf(t, h.nat)) - classes.begin();
    };
    std::stable_sort(members.begin(), members.end(), [&](size_t a, size_t b) { return rank(a) < rank(b); });
    double radius = DiscRadius(members.size(), gap);
    absl::StrAppend(&out.text, "  r", r, " [id=r", r, ", class=region, shape=circle, label=\"\", width=", Number(2 * radius / 72), ", fillcolor=\"#f2f5f8\", color=\"#d5dbe1\", pos=\"", Number(centre.x), ",", Number(centre.y), "\"];\n",
                    "  t", r, " [class=caption, shape=plaintext, style=\"\", width=2.4, height=0.3, fontsize=", named ? 15 : 13, ", label=", Quoted(absl::StrCat(regions[r], " · ", members.size())), ", pos=\"", Number(centre.x), ",",
                    Number(centre.y + radius + 11), "\"];\n");
    out.titles[absl::StrCat("r", r)] = absl::StrCat(regions[r], ": ", members.size(), " hosts");
    for (size_t k = 0; k < members.size(); ++k) {
      size_t i = members[k];
      const Host& h = t.hosts[i];
      // A sunflower: turns of the golden angle, radius by the root of the index, so that all have the same room (Vogel 1979).
      double d = gap * 0.62 * std::sqrt(double(k) + 0.3), angle = double(k) * 2.399963229728653;
      double x = centre.x + d * std::cos(angle), y = centre.y + d * std::sin(angle);
      double size = dot_points * (h.bootstrap || h.relay ? 1.45 : std::string_view(HostShape(t, h)) == "circle" ? 0.86 : ClassOf(t, h.nat).peripheries > 1 ? 0.7 : 1.0);
      absl::StrAppend(&hosts, "  h", i, " [id=h", i, ", class=", Quoted(HostCss(t, h)), ", comment=", Quoted(h.id), ", shape=", HostShape(t, h), ", width=", Number(size / 72), ", height=", Number(size / 72));
      if (ClassOf(t, h.nat).peripheries > 1 && named && !h.bootstrap && !h.relay) absl::StrAppend(&hosts, ", peripheries=2");
      absl::StrAppend(&hosts, ", label=\"\", fillcolor=\"", HostColour(t, h), "\", pos=\"", Number(x), ",", Number(y), "\"];\n");
      if (named) {
        absl::StrAppend(&hosts, "  l", i, " [class=name, shape=plaintext, style=\"\", width=0.6, height=0.14, fontsize=7.5, label=", Quoted(Short(h.id, 11)), ", pos=\"", Number(x), ",", Number(y - size * 0.5 - 6), "\"];\n");
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
  absl::StrAppend(&out.text, "graph orchard {\n", kHead, "  graph [splines=line];\n  node [fixedsize=true];\n");
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
    std::string label = width > 64 ? absl::StrCat(Short(c.nat, 16), "\n", Grouped(double(c.members))) : width > 26 + 14 ? Grouped(double(c.members)) : "";
    absl::StrAppend(&out.text, "  c", i, " [id=c", i, ", class=", Quoted(absl::StrCat("mass ", nat.css)), ", shape=", nat.shape, nat.peripheries > 1 ? ", peripheries=2" : "", ", width=", Number(width / 72), ", height=", Number(width / 72),
                    ", fontsize=", width > 90 ? 14 : 10.5, ", label=", Quoted(label), ", fillcolor=\"", nat.colour, "\", pos=\"", Number(p.x), ",", Number(p.y), "\"];\n  r", region_index[c.region], " -- c", i, " [class=stem];\n");
    out.titles[absl::StrCat("c", i)] = absl::StrCat(c.region, " · ", c.nat, ": ", Grouped(double(c.members)), " hosts");
  }
  for (size_t r = 0; r < regions.size(); ++r) {
    Place p = at(absl::StrCat("r", r));
    grow(p, 30);
    absl::StrAppend(&out.text, "  r", r, " [id=r", r, ", class=hub, shape=circle, width=0.85, fontsize=13, fillcolor=\"#f2f5f8\", label=", Quoted(absl::StrCat(regions[r], "\n", Grouped(double(region_members[regions[r]])))), ", pos=\"", Number(p.x), ",", Number(p.y), "\"];\n");
    out.titles[absl::StrCat("r", r)] = absl::StrCat(regions[r], ": ", Grouped(double(region_members[regions[r]])), " hosts");
  }
  std::vector<const Flow*> flows;
  double most = 1;
  for (const Flow& f : t.flows) {
    if (!class_index.count({f.a_region, f.a_nat}) || !class_index.count({f.b_region, f.b_nat})) continue;
    flows.push_back(&f);
    most = std::max(most, f.count);
  }
  std::stable_sort(flows.begin(), flows.end(), [](const Flow* a, const Flow* b) { return a->count > b->count; });
  if (flows.size() > 60) flows.resize(60);
  for (size_t i = 0; i < flows.size(); ++i) {
    const Flow& f = *flows[i];
    size_t a = class_index[{f.a_region, f.a_nat}], b = class_index[{f.b_region, f.b_nat}];
    if (a == b) continue;
    std::string id = absl::StrCat("f", i), says = f.ok >= 0 && f.count > 0 ? absl::StrCat(Number(100 * f.ok / f.count), " %") : "";
    if (f.p50_ms >= 0) absl::StrAppend(&says, says.empty() ? "" : ", ", Number(f.p50_ms), " ms");
    absl::StrAppend(&out.text, "  c", a, " -- c", b, " [id=", id, ", class=flow, penwidth=", Number(0.6 + 7 * f.count / most));
    if (i < 8) absl::StrAppend(&out.text, ", fontsize=11, label=", Quoted(says));
    absl::StrAppend(&out.text, "];\n");
    out.titles[id] = absl::StrCat(f.a_region, " ", f.a_nat, " – ", f.b_region, " ", f.b_nat, ": ", Grouped(f.count), " × ", f.kind, says.empty() ? "" : ", ", says);
  }
  // The worst hosts stand around it, in the order of the angle of their class, so that their stems do not cross.
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
  std::stable_sort(strays.begin(), strays.end(), [](const Stray& a, const Stray& b) { return a.angle < b.angle; });
  for (size_t k = 0; k < strays.size(); ++k) {
    const Stray& s = strays[k];
    const WorstHost& w = t.worst[s.worst];
    double angle = strays[0].angle + 2 * M_PI * double(k) / double(strays.size());
    double x = middle.x + ((high.x - low.x) * 0.58 + 95) * std::cos(angle), y = middle.y + ((high.y - low.y) * 0.56 + 50) * std::sin(angle);
    const NatClass& nat = ClassOf(t, classes[s.parent].nat);
    absl::StrAppend(&out.text, "  w", k, " [id=w", k, ", class=", Quoted(absl::StrCat("host worst ", nat.css)), ", shape=", nat.shape, ", label=\"\", width=0.22, height=0.22, fillcolor=\"", nat.colour, "\", pos=\"", Number(x), ",", Number(y),
                    "\"];\n  x", k, " [class=name, shape=plaintext, style=\"\", width=1.6, height=0.34, fontsize=11, label=", Quoted(absl::StrCat(Short(w.host, 24), "\n", Short(w.says, 28))), ", pos=\"", Number(x), ",", Number(y - 24), "\"];\n  c", s.parent, " -- w", k, " [class=stem, style=dotted];\n");
    out.titles[absl::StrCat("w", k)] = absl::StrCat(w.host, ": ", w.says);
  }
  absl::StrAppend(&out.text, "}\n");
  return out;
}

}  // namespace orchard::reports
