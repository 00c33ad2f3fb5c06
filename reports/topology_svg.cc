#include "reports/topology_svg.h"

#include <chrono>
#include <cstdlib>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "node/base/status_macros.h"
#include "reports/dot.h"
#include "reports/graphviz.h"

namespace orchard::reports {
namespace {

using Clock = std::chrono::steady_clock;

// Presentation attributes give way to rules, so a drawing made once suits both schemes. Kept within `.topo`,
// because the page holds several.
constexpr const char* kStyle = R"(
.topo text{font-family:Inter,"Segoe UI","Helvetica Neue",Helvetica,Arial,"DejaVu Sans",sans-serif;fill:#2a333c}
.topo .nat-open>:not(text):not(title){fill:#0072B2}.topo .nat-home>:not(text):not(title){fill:#009E73}.topo .nat-cgn>:not(text):not(title){fill:#56B4E9}
.topo .nat-chain>:not(text):not(title){fill:#CC79A7}.topo .nat-sym>:not(text):not(title){fill:#D55E00}.topo .nat-blocked>:not(text):not(title){fill:#767676}
.topo .host>:not(text):not(title){stroke:#fff;stroke-width:1}.topo .bootstrap>:not(text):not(title){fill:#E69F00}.topo .web>:not(text):not(title){fill:#F0E442}
.topo .dead>:not(text):not(title),.topo .off>:not(text):not(title){fill-opacity:.12;stroke:#8a949e;stroke-dasharray:2 2}
.topo g.nat-chain>polygon+polygon{fill:none;stroke:#CC79A7;stroke-width:1.5}
.topo .mass>:not(text):not(title){fill-opacity:.9;stroke:none}.topo .mass text{fill:#fff;font-weight:600;paint-order:stroke;stroke:#0008;stroke-width:2px;stroke-linejoin:round}
.topo .box>:not(text):not(title){fill-opacity:.14;stroke:#6b7680}.topo .box text{fill:#2a333c}.topo .host text{fill:#10161c}
.topo .region>:not(text):not(title),.topo .hub>:not(text):not(title){fill:#eef2f5;stroke:#d3dae0}.topo .cluster text{font-weight:600;fill:#5c6670}
.topo .world>:not(text):not(title){fill:#e3e9ee;stroke:#c4ccd3}.topo .lan:not(.path)>:not(text):not(title){fill:#f1efe6;stroke:#cfc8ae}
.topo .caption text{font-weight:650;fill:#3b454e}.topo .name text{fill:#76818b}
.topo .wire path,.topo .stem path{stroke:#a9b3bc}.topo .wire text{fill:#76818b}.topo .path path{stroke:#38434d;stroke-width:1.4}.topo .path text{paint-order:stroke;stroke:#fffd;stroke-width:3px}
.topo .path.dht path{stroke:#4c6a85;stroke-opacity:.28;stroke-width:1}.topo .path.punched path{stroke:#009E73;stroke-width:2.6}
.topo .path.relayed path{stroke:#9a5f86;stroke-width:1.8}.topo .path.lan path{stroke:#a07f12}.topo .path.failed path{stroke:#D55E00;stroke-width:1.8}
.topo .flow path{stroke:#4c6a85;stroke-opacity:.34}.topo .flow text{fill:#46525d;paint-order:stroke;stroke:#fffc;stroke-width:3px}
.topo .node,.topo .edge{transition:opacity .15s}
@media (prefers-color-scheme:dark){@media screen{.topo text{fill:#dbe2e8}.topo .region>:not(text):not(title),.topo .hub>:not(text):not(title){fill:#1c242c;stroke:#33404c}
.topo .host>:not(text):not(title){stroke:#10161c}.topo .dead>:not(text):not(title),.topo .off>:not(text):not(title){stroke:#8a949e;fill-opacity:.2}.topo .world>:not(text):not(title){fill:#26313b;stroke:#3c4956}.topo .lan:not(.path)>:not(text):not(title){fill:#2a281d;stroke:#5b5433}
.topo .box>:not(text):not(title){fill-opacity:.28;stroke:#6b7680}.topo .box text{fill:#dbe2e8}.topo .caption text{fill:#c3ccd4}.topo .name text,.topo .wire text{fill:#8b97a2}.topo .cluster text{fill:#9aa6b1}
.topo .wire path,.topo .stem path{stroke:#46525d}.topo .path path{stroke:#c3ccd4}.topo .path text{stroke:#171f26dd}.topo .path.dht path{stroke:#8fb3d4;stroke-opacity:.3}.topo .path.relayed path{stroke:#e0a0c6}
.topo .flow path{stroke:#8fb3d4;stroke-opacity:.36}.topo .flow text{fill:#c3ccd4;stroke:#10161ccc}}}
)";

absl::StatusOr<Places> ParsePlain(const std::string& plain) {
  Places places;
  std::istringstream in(plain);
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string kind, name;
    double x, y;
    if (words >> kind >> name >> x >> y && kind == "node") places[name] = {x * 72, y * 72};
  }
  if (places.empty()) return absl::InternalError("sfdp placed nothing");
  return places;
}

void Remove(std::string& s, std::string_view from, std::string_view to) {
  size_t start = 0;
  while ((start = s.find(from, start)) != std::string::npos) {
    size_t end = s.find(to, start + from.size());
    if (end == std::string::npos) return;
    s.erase(start, end + to.size() - start);
  }
}

// Coordinates with one decimal: a tenth of a point is below what anyone sees, and saves a third of the bytes.
void RoundNumbers(std::string& s) {
  std::string out;
  out.reserve(s.size());
  bool tag = false, quote = false;
  for (size_t i = 0; i < s.size(); ++i) {
    if (!tag && s[i] == '<') tag = true;
    if (tag && s[i] == '"') quote = !quote;
    if (tag && !quote && s[i] == '>') tag = false;
    if (tag && quote && s[i] == '.' && i > 0 && isdigit(static_cast<unsigned char>(s[i - 1])) &&
        i + 1 < s.size() && isdigit(static_cast<unsigned char>(s[i + 1]))) {
      if (s[i + 1] != '0') out.append({'.', s[i + 1]});
      while (i + 1 < s.size() && isdigit(static_cast<unsigned char>(s[i + 1]))) ++i;
      continue;
    }
    out += s[i];
  }
  s = std::move(out);
}

// Graphviz writes <g id="h12" class="…"><title>h12</title>; ours says what a pointer shall read there.
std::string WithTitles(const std::string& s, const std::map<std::string, std::string>& titles) {
  std::string out;
  out.reserve(s.size());
  size_t at = 0;
  while (true) {
    size_t g = s.find("<g id=\"", at);
    if (g == std::string::npos) break;
    size_t quote = s.find('"', g + 7), title = s.find("<title>", g), close = s.find("</title>", g);
    if (quote == std::string::npos || title == std::string::npos || close == std::string::npos) break;
    auto it = titles.find(s.substr(g + 7, quote - g - 7));
    out.append(s, at, title - at);
    if (it != titles.end()) absl::StrAppend(&out, "<title>", Escaped(it->second), "</title>");
    at = close + 8;
  }
  return out.append(s, at);
}

// Discs lie under the lines, hosts on them; Graphviz knows only all nodes first or all lines first.
void DiscsFirst(std::string& svg) {
  std::string discs;
  for (size_t at = 0; (at = svg.find("<g id=\"r", at)) != std::string::npos;) {
    size_t head = svg.find('>', at), end = svg.find("</g>", at);
    if (end == std::string::npos ||
        svg.substr(at, head - at).find("class=\"node region\"") == std::string::npos) {
      at += 8;
      continue;
    }
    discs += svg.substr(at, end + 5 - at);
    svg.erase(at, end + 5 - at);
  }
  size_t graph = svg.find("<g id=\"graph0\"");
  if (graph != std::string::npos) svg.insert(svg.find('>', graph) + 1, "\n" + discs);
}

// dot 2.43 traces some lines between hosts of one rank twice.
void OneLineAnEdge(std::string& svg) {
  for (size_t at = 0; (at = svg.find("class=\"edge", at)) != std::string::npos;) {
    size_t first = svg.find("<path", at), end = svg.find("</g>", at);
    if (end == std::string::npos) return;
    size_t second = first < end ? svg.find("<path", first + 1) : std::string::npos;
    if (second < end) {
      svg.erase(second, svg.find("/>", second) + 2 - second);
    } else {
      at = end;
    }
  }
}

std::string Finish(std::string svg, const std::map<std::string, std::string>& titles) {
  size_t start = svg.find("<svg");
  svg.erase(0, start == std::string::npos ? svg.size() : start);
  Remove(svg, "<!--", "-->");
  svg = WithTitles(svg, titles);
  OneLineAnEdge(svg);
  DiscsFirst(svg);
  RoundNumbers(svg);
  // The viewBox keeps the size; the page decides how wide. Links are not used, so their namespace goes.
  size_t end = svg.find('>');
  if (end == std::string::npos) return "";
  std::string head = svg.substr(0, end), box = "0 0 100 100";
  if (size_t b = head.find("viewBox=\""); b != std::string::npos)
    box = head.substr(b + 9, head.find('"', b + 9) - b - 9);
  svg.replace(0, end + 1,
              absl::StrCat("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"topo\" role=\"img\" "
                           "aria-label=\"The network\" viewBox=\"",
                           box, "\">\n<style>", absl::StrReplaceAll(kStyle, {{">", "&gt;"}}), "</style>"));
  return absl::StrReplaceAll(svg, {{" font-family=\"Helvetica,sans-Serif\"", ""}, {"\n\n", "\n"}});
}

absl::StatusOr<std::string> Layout(const Topology& t, Scale scale, Clock::time_point end, std::string& dot) {
  auto left = [&] {
    return std::max(std::chrono::milliseconds(1),
                    std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()));
  };
  if (scale == Scale::kFew) {
    DotFile few = FewDot(t);
    dot = few.text;
    ASSIGN_OR_RETURN(std::string svg, RunGraphviz({"dot", "-Tsvg"}, dot, left()));
    return Finish(std::move(svg), few.titles);
  }
  auto full = [&](const Places& places) {
    return scale == Scale::kHundreds ? HundredsDot(t, places) : ManyDot(t, places);
  };
  dot = full({}).text;
  ASSIGN_OR_RETURN(std::string plain, RunGraphviz({"sfdp", "-Tplain"}, SkeletonDot(t, scale), left()));
  ASSIGN_OR_RETURN(Places places, ParsePlain(plain));
  DotFile placed = full(places);
  dot = placed.text;
  ASSIGN_OR_RETURN(std::string svg, RunGraphviz({"neato", "-n2", "-Tsvg"}, dot, left()));
  return Finish(std::move(svg), placed.titles);
}

}  // namespace

std::string Escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        // XML knows no other control characters, not even escaped.
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') out += c;
    }
  }
  return out;
}

Drawing DrawTopology(const Topology& t) {
  Drawing drawing;
  Scale scale = ScaleOf(t);
  Clock::time_point end = Clock::now() + kLayoutTimeMax;
  absl::StatusOr<std::string> svg = Layout(t, scale, end, drawing.dot);
  bool big = svg.ok() && svg->size() > kSvgBytesMax;
  if (scale != Scale::kMany && (big || svg.status().code() == absl::StatusCode::kDeadlineExceeded)) {
    // Too much to lay out one by one: the sums say less, but they fit.
    drawing.note = absl::StrCat("Drawn by region and NAT class: ",
                                big ? "single hosts need more than a megabyte" : svg.status().message(), ".");
    svg = Layout(t, Scale::kMany, Clock::now() + kLayoutTimeMax, drawing.dot);
    big = svg.ok() && svg->size() > kSvgBytesMax;
  }
  if (svg.ok() && !big) {
    drawing.svg = *std::move(svg);
  } else {
    drawing.note =
        absl::StrCat("No drawing: ", big ? "it needs more than a megabyte" : svg.status().message(),
                     ". The DOT file and the tables remain.");
  }
  return drawing;
}

absl::Status WriteTopologySvg(const std::string& topology_json, const std::string& out_dir) {
  ASSIGN_OR_RETURN(Topology t, ReadTopology(topology_json));
  Drawing drawing = DrawTopology(t);
  RETURN_IF_ERROR(WriteFile(out_dir + "/topology.dot", drawing.dot));
  if (drawing.svg.empty()) return absl::UnavailableError(drawing.note);
  return WriteFile(out_dir + "/topology.svg", drawing.svg);
}

}  // namespace orchard::reports
