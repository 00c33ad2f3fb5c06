#include "reports/dot_words.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace orchard::reports {
namespace {

// Colours after Okabe & Ito (2008), told apart by all common kinds of colour blindness.
constexpr NatClass kOpen{"nat-open", "circle", "#0072B2", "public"};
constexpr NatClass kHome{"nat-home", "house", "#009E73", "home NAT, endpoint-independent mapping"};
constexpr NatClass kCgn{"nat-cgn", "pentagon", "#56B4E9", "carrier-grade NAT"};
constexpr NatClass kChain{"nat-chain", "house", "#CC79A7", "NAT behind NAT", 2};
constexpr NatClass kSymmetric{"nat-sym", "invhouse", "#D55E00",
                              "symmetric NAT (mapping depends on the address)"};
constexpr NatClass kBlocked{"nat-blocked", "square", "#767676", "UDP blocked"};

}  // namespace

const char* const kDotHead =
    "  graph [bgcolor=\"transparent\", fontname=\"Helvetica\", fontsize=11, outputorder=edgesfirst, "
    "pad=0.2];\n"
    "  node [fontname=\"Helvetica\", fontsize=10, style=filled, color=\"#55606b\", penwidth=0.8];\n"
    "  edge [fontname=\"Helvetica\", fontsize=9, color=\"#8a949e\", fontcolor=\"#5c6670\", penwidth=0.8];\n";

const NatLabel* FindNat(const Topology& t, std::string_view label) {
  for (const NatLabel& n : t.nats) {
    if (n.label == label) return &n;
  }
  return nullptr;
}

std::string Short(const std::string& text, size_t letters) {
  size_t i = 0;
  for (size_t n = 0; i < text.size() && n < letters; ++n) {
    for (++i; i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80; ++i) {
    }
  }
  return i == text.size() ? text : text.substr(0, i) + "…";
}

std::string Axes(const BoxWords& b) {
  return b.mapping.empty() && b.filtering.empty() ? b.preset : absl::StrCat(b.mapping, "/", b.filtering);
}

std::string BoxLabel(const std::string& name, const BoxWords& b) {
  std::string s = name;
  absl::StrAppend(&s, "\n", Axes(b));
  if (!b.ports.empty()) absl::StrAppend(&s, " · ", b.ports);
  if (b.idle_ms > 0)
    absl::StrAppend(&s, "\nidle ", Number(b.idle_ms / 1000), " s", b.hairpin ? " · hairpin" : "");
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

static const char* EdgeStyle(const std::string& kind) {
  if (kind == "punched") return "bold";
  if (kind == "relayed") return "dashed";
  if (kind == "failed") return "dotted";
  return "solid";
}

// Only words of the format make class names.
static std::string EdgeCss(const std::string& kind) {
  for (const char* k : {"dht", "lan", "direct", "punched", "relayed", "failed"}) {
    if (kind == k) return absl::StrCat("path ", k);
  }
  return "path other";
}

static std::string EdgeTitle(const Topology& t, const Edge& e) {
  std::string s = absl::StrCat(t.hosts[e.a].id, " – ", t.hosts[e.b].id, ": ", e.kind);
  if (e.relay >= 0) absl::StrAppend(&s, " through ", t.hosts[size_t(e.relay)].id);
  if (e.count > 0) absl::StrAppend(&s, ", ", Grouped(e.count), " ×");
  if (e.p50_ms >= 0) absl::StrAppend(&s, ", p50 ", Number(e.p50_ms), " ms");
  return s;
}

std::vector<size_t> EdgesToDraw(const Topology& t, size_t dht_per_host, size_t most) {
  std::vector<size_t> order;
  for (size_t i = 0; i < t.edges.size(); ++i) {
    if (t.edges[i].kind != "dht" || t.edges[i].claimed) order.push_back(i);
  }
  std::vector<size_t> dht;
  for (size_t i = 0; i < t.edges.size(); ++i) {
    if (t.edges[i].kind == "dht" && !t.edges[i].claimed) dht.push_back(i);
  }
  std::stable_sort(dht.begin(), dht.end(),
                   [&](size_t a, size_t b) { return t.edges[a].count > t.edges[b].count; });
  std::vector<size_t> used(t.hosts.size());
  std::set<std::pair<uint32_t, uint32_t>>
      joined;  // One line a pair, the more telling one; dot 2.43 also trips over parallel ones.
  auto again = [&](size_t i) {
    return t.edges[i].a == t.edges[i].b || !joined.insert(std::minmax(t.edges[i].a, t.edges[i].b)).second;
  };
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

void AddPath(DotFile& out, Pairs& drawn, const Topology& t, size_t i, const std::string& more) {
  const Edge& e = t.edges[i];
  std::vector<uint32_t> stops = {e.a, e.b};
  if (e.relay >= 0 && e.relay != e.a && e.relay != e.b) stops.insert(stops.begin() + 1, uint32_t(e.relay));
  for (size_t k = 0; k + 1 < stops.size(); ++k) {
    if (!drawn.insert(std::minmax(stops[k], stops[k + 1])).second) continue;
    std::string id = absl::StrCat("e", i, k == 0 ? "" : "r");
    absl::StrAppend(&out.text, "  h", stops[k], " -- h", stops[k + 1], " [id=", id,
                    ", class=", Quoted(EdgeCss(e.kind)), ", style=", EdgeStyle(e.kind),
                    k == 0 ? more : more.substr(0, more.find(", label")));
    if (e.kind == "failed") absl::StrAppend(&out.text, ", color=\"#D55E00\"");
    absl::StrAppend(&out.text, "];\n");
    out.titles[id] = EdgeTitle(t, e);
  }
}

Scale ScaleOf(const Topology& t) {
  if (t.hosts.size() <= kFewMax) return Scale::kFew;
  return t.hosts.size() <= kHundredsMax ? Scale::kHundreds : Scale::kMany;
}

std::vector<const NatClass*> NatClasses() { return {&kOpen, &kHome, &kCgn, &kChain, &kSymmetric, &kBlocked}; }

const NatClass& ClassOf(const Topology& t, const std::string& label) {
  if (label.empty() || label == "open") return kOpen;
  const NatLabel* known = FindNat(t, label);
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
  std::snprintf(text, sizeof text,
                std::abs(v) >= 1e7   ? "%.3g"
                : std::abs(v) >= 100 ? "%.0f"
                : std::abs(v) >= 10  ? "%.1f"
                                     : "%.2f",
                v);
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

}  // namespace orchard::reports
