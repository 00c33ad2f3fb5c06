// The word tables of docs/SCENARIOS.md.

#include "sim/language/grammar_words.h"
#include "sim/language/presets.h"
#include "sim/language/text.h"
#include "sim/language/schema.h"

namespace orchard::sim {
namespace {

// A cell of a Markdown table.
std::string Cell(std::string_view text) {
  std::string out;
  for (char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

void Table(std::string& out, std::string_view title, const WordSet& set) {
  if (set.words.empty()) return;
  out += Cat("\n### ", title, "\n\n| word | what | netns |\n|---|---|---|\n");
  for (const Word& w : set.words) {
    std::string says = w.later.empty() ? std::string(w.says) : Cat("not in this version (", w.later, ")");
    if ((w.type == WordType::kChoice || w.type == WordType::kPath) && !w.of.empty() && w.later.empty()) says += Cat(": `", w.of, "`");
    out += Cat("| `", w.name, "` | ", Cell(says), " | ", Cell(w.netns), " |\n");
  }
}

}  // namespace

std::string WordTablesText() {
  std::string out;
  for (const WordSet& set : WordSets()) {
    const bool fault = set.name.substr(0, 5) == "with ";
    if (!fault) Table(out, set.name, set);
  }
  out += "\n### Faults\n\n| do | on | what | netns |\n|---|---|---|---|\n";
  for (const FaultWord& f : FaultWords()) {
    out += Cat("| `", f.name, "` | ", f.on.empty() ? "–" : f.on, " | ", f.later.empty() ? std::string(f.says) : Cat("not in this version (", f.later, ")"), " | ", f.netns, " |\n");
  }
  for (const WordSet& set : WordSets()) {
    if (set.name.substr(0, 5) == "with ") Table(out, Cat("with, of ", set.article), set);
  }
  out += "\n### Link presets\n\n| link | down / up | delay | jitter | loss | assumed |\n|---|---|---|---|---|---|\n";
  for (const LinkPreset& p : LinkPresets()) {
    auto rate = [](int64_t bps) { return Cat(Decimal(bps, 0), " Mbps"); };
    out += Cat("| `", p.name, "` | ", rate(p.down_bps), " / ", rate(p.up_bps), " | ", TimeText(p.delay), " | ", TimeText(p.jitter), " | ", Decimal(int64_t(p.loss_ppm) * 100, 2), " % | ", p.assumed, " |\n");
  }
  out += "\n### NAT presets\n\n| nat | mapping | filtering | ports | idle | first |\n|---|---|---|---|---|---|\n";
  constexpr std::string_view kDependence[] = {"endpoint-independent", "address-dependent", "address-and-port-dependent"};
  constexpr std::string_view kPorts[] = {"preserve", "sequential", "random", "block"};
  for (const NatPreset& p : NatPresets()) {
    if (!p.box) {
      out += Cat("| `", p.name, "` | a public address: no box | | | | |\n");
    } else if (p.udp_blocked) {
      out += Cat("| `", p.name, "` | no UDP passes | | | | |\n");
    } else {
      out += Cat("| `", p.name, "` | ", kDependence[size_t(p.mapping)], " | ", kDependence[size_t(p.filtering)], " | ", kPorts[size_t(p.ports)], " | ", TimeText(p.idle), " | ", TimeText(p.idle_first), " |\n");
    }
  }
  return out;
}

}  // namespace orchard::sim
