// Up to tens of hosts: from the world through each box to its host.
#include <algorithm>
#include <functional>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "reports/dot_words.h"

namespace orchard::reports {

DotFile FewDot(const Topology& t) {
  DotFile out;
  absl::StrAppend(&out.text, "graph orchard {\n", kDotHead,
                  "  graph [rankdir=LR, newrank=true, ranksep=0.75, nodesep=0.22, splines=true];\n"
                  "  world [label=\"world\", id=world, class=world, shape=ellipse, width=1, height=1.4, "
                  "fillcolor=\"#e8edf2\"];\n");
  std::map<std::string, std::string> drawn;  // Shared box or LAN → its node.
  std::map<std::string, std::string> by_region;
  std::string links;
  auto wire = [&](const std::string& from, const std::string& to, const std::string& label) {
    absl::StrAppend(&links, "  ", from, " -- ", to, " [class=wire, label=", Quoted(label), "];\n");
  };
  auto link_label = [&](const Host& h) -> std::string {
    for (const LinkWords& l : t.links) {
      if (l.name == h.link)
        return absl::StrCat(l.name, " ", Rate(l.down_bps), "/", Rate(l.up_bps), "\n", Number(l.delay_ms),
                            " ms");
    }
    return h.link;
  };
  auto add_box = [&](const std::string& node, const std::string& region, const std::string& name,
                     const BoxWords& w, const std::string& label, const char* shape) {
    const NatClass& c = ClassOf(t, label);
    absl::StrAppend(&by_region[region], "    ", node, " [label=", Quoted(BoxLabel(name, w)), ", id=", node,
                    ", class=", Quoted(absl::StrCat("box ", c.css)), ", shape=", shape,
                    ", margin=\"0.12,0.06\", fillcolor=\"", c.colour, "22\"];\n");
    out.titles[node] =
        absl::StrCat(name, ": ", w.preset.empty() ? label : w.preset, " (mapping/filtering ", Axes(w), ")");
  };
  // Chains of shared boxes hang from the world once.
  auto known_box = [&](const std::string& name) {
    return std::any_of(t.boxes.begin(), t.boxes.end(), [&](const SharedBox& b) { return b.name == name; });
  };
  std::function<std::string(const std::string&, const std::string&, int)> shared =
      [&](const std::string& name, const std::string& region, int depth) -> std::string {
    if (auto it = drawn.find(name); it != drawn.end()) return it->second;
    if (depth > 4 || !known_box(name)) return "world";
    std::string node = absl::StrCat("b", drawn.size());
    drawn[name] = node;
    const SharedBox* box =
        &*std::find_if(t.boxes.begin(), t.boxes.end(), [&](const SharedBox& b) { return b.name == name; });
    add_box(node, region, box->name, box->words, box->label, "box");
    wire(shared(box->inside, region, depth + 1), node, "");
    return node;
  };
  for (size_t i = 0; i < t.hosts.size(); ++i) {
    const Host& h = t.hosts[i];
    std::string above = "world", pending = link_label(h);
    const NatLabel* nat = FindNat(t, h.nat);
    size_t own = nat == nullptr ? 0 : nat->chain.size() - std::min(nat->chain.size(), h.boxes.size());
    // Outermost first: boxes of others, then those of its own.
    for (size_t k = h.boxes.size(); k-- > 0;) above = shared(h.boxes[k], h.region, 0);
    for (const Lan& lan : t.lans) {
      if (lan.id != h.lan || h.lan.empty()) continue;
      std::string key = "lan " + lan.id;
      if (drawn.find(key) == drawn.end()) {
        std::string node = absl::StrCat("b", drawn.size());
        drawn[key] = node;
        absl::StrAppend(&by_region[h.region], "    ", node, " [label=",
                        Quoted(absl::StrCat("LAN ", lan.id, "\n", Rate(lan.rate_bps), " · ",
                                            Number(lan.delay_ms), " ms")),
                        ", id=", node,
                        ", class=lan, shape=box, style=\"filled,rounded\", fillcolor=\"#f4f4ef\"];\n");
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
      add_box(node, h.region, nat->chain[k].preset.empty() ? h.nat : nat->chain[k].preset, nat->chain[k],
              h.nat, "box");
      wire(above, node, pending);
      pending.clear();
      above = node;
    }
    std::string node = absl::StrCat("h", i);
    absl::StrAppend(&by_region[h.region], "    ", node, " [label=", Quoted(Short(h.id, 40)), ", id=", node,
                    ", class=", Quoted(HostCss(t, h)), ", shape=", HostShape(t, h),
                    ", peripheries=", ClassOf(t, h.nat).peripheries,
                    h.bootstrap ? ", width=0.9, height=0.9, fixedsize=true" : ", margin=\"0.06,0.03\"",
                    ", fontcolor=\"#111111\", fillcolor=\"", HostColour(t, h), "\"];\n");
    out.titles[node] = HostTitle(h);
    wire(above, node, pending);
  }
  size_t region_index = 0;
  for (const auto& [region, nodes] : by_region) {
    absl::StrAppend(&out.text, "  subgraph cluster_", region_index++, " {\n    label=", Quoted(region),
                    "; class=region; style=\"rounded,filled\"; color=\"#d5dbe1\"; fillcolor=\"#f6f8fa\";\n",
                    nodes, "  }\n");
  }
  absl::StrAppend(&out.text, links, "  {rank=same;");
  for (size_t i = 0; i < t.hosts.size(); ++i) absl::StrAppend(&out.text, " h", i, ";");
  absl::StrAppend(&out.text, "}\n");
  // Where there are connections they are what the reader came for; the DHT's chatter would hide them.
  bool connections =
      std::any_of(t.edges.begin(), t.edges.end(), [](const Edge& e) { return e.kind != "dht"; });
  Pairs drawn_pairs;
  for (size_t i : EdgesToDraw(t, connections ? 0 : 2, 60)) {
    const Edge& e = t.edges[i];
    std::string more = ", constraint=false";
    if (e.kind != "dht")
      absl::StrAppend(&more, ", label=",
                      Quoted(e.p50_ms >= 0 ? absl::StrCat(e.kind, " ", Number(e.p50_ms), " ms") : e.kind));
    AddPath(out, drawn_pairs, t, i, more);
  }
  absl::StrAppend(&out.text, "}\n");
  return out;
}

}  // namespace orchard::reports
