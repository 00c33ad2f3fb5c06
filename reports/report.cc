#include "reports/report.h"

#include <sodium.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "node/base/status_macros.h"
#include "reports/page.h"
#include "reports/run_directory.h"
#include "reports/topology_svg.h"

namespace orchard::reports {
namespace {

// JSON that may stand inside <script>: without a letter that could end it, open a comment, or (U+2028,
// U+2029) end a line.
std::string ForScript(const std::string& json) {
  return absl::StrReplaceAll(json, {{"<", "\\u003c"},
                                    {">", "\\u003e"},
                                    {"&", "\\u0026"},
                                    {"\xE2\x80\xA8", "\\u2028"},
                                    {"\xE2\x80\xA9", "\\u2029"}});
}

std::string Quote(std::string_view text) {
  std::string s = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') s += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) s += c;
  }
  return s + "\"";
}

// For readers without scripts, and for grep.
std::string PlainTable(const std::vector<Run>& runs) {
  std::string html;
  for (const Run& run : runs) {
    size_t held = std::count_if(run.claims.begin(), run.claims.end(),
                                [](const ClaimLine& c) { return c.verdict == "held"; });
    absl::StrAppend(&html, "<h1>", Escaped(run.name), ": ", held, " of ", run.claims.size(),
                    " claims held</h1>\n<table><tr><th>verdict<th>claim<th>expected<th>observed</tr>\n");
    for (const ClaimLine& c : run.claims) {
      absl::StrAppend(&html, "<tr><td>", Escaped(c.verdict), "<td>",
                      c.case_name.empty() ? "" : Escaped(c.case_name) + ": ", Escaped(c.says), "<td>",
                      Escaped(c.expected), "<td>", Escaped(c.observed), "</tr>\n");
    }
    html += "</table>\n";
  }
  return html;
}

// Only this script may run, whatever else a hostile name might bring into the page.
std::string Sha256Base64(std::string_view text) {
  unsigned char hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  return absl::Base64Escape(std::string(reinterpret_cast<const char*>(hash), sizeof hash));
}

}  // namespace

absl::Status WriteReport(absl::Span<const std::string> run_dirs, const std::string& out_html) {
  if (run_dirs.empty()) return absl::InvalidArgumentError("no run directory is named");
  std::vector<Run> runs;
  std::vector<Part*> parts;
  for (const std::string& dir : run_dirs) {
    ASSIGN_OR_RETURN(Run run, ReadRun(dir));
    runs.push_back(std::move(run));
  }
  for (Run& run : runs) {
    for (Part& part : run.parts) parts.push_back(&part);
  }
  std::vector<Part*> drawn = parts;
  std::stable_sort(drawn.begin(), drawn.end(),
                   [](const Part* a, const Part* b) { return a->passed < b->passed; });
  if (drawn.size() > kPartsDrawnMax) drawn.resize(kPartsDrawnMax);

  std::string data = "{\"runs\":[", drawings;
  size_t index = 0;
  for (size_t r = 0; r < runs.size(); ++r) {
    const Run& run = runs[r];
    absl::StrAppend(&data, r == 0 ? "" : ",", "{\"dir\":", Quote(run.dir), ",\"name\":", Quote(run.name),
                    ",\"result\":", run.result_json, ",\"parts\":[");
    for (size_t p = 0; p < run.parts.size(); ++p, ++index) {
      const Part& part = run.parts[p];
      bool shown = std::find(drawn.begin(), drawn.end(), &part) != drawn.end();
      Drawing drawing;
      if (shown && part.topology.has_value()) {
        drawing = DrawTopology(*part.topology);
        RETURN_IF_ERROR(WriteFile(part.dir + "/topology.dot", drawing.dot));
        if (drawing.svg.empty()) std::remove((part.dir + "/topology.svg").c_str());  // An earlier run's.
        if (!drawing.svg.empty()) RETURN_IF_ERROR(WriteFile(part.dir + "/topology.svg", drawing.svg));
        if (!drawing.svg.empty())
          absl::StrAppend(&drawings, "<template id=\"drawing-", index, "\">", drawing.svg, "</template>\n");
      }
      absl::StrAppend(
          &data, p == 0 ? "" : ",", "{\"label\":", Quote(part.label), ",\"dir\":", Quote(part.dir),
          ",\"index\":", index, ",\"shown\":", shown ? "true" : "false", ",\"note\":", Quote(drawing.note),
          ",\"result\":", run.parts.size() == 1 && part.dir == run.dir ? "null" : part.result_json,
          ",\"topology\":", shown ? part.topology_json : "null",
          ",\"series\":", shown ? part.series_json : "null",
          ",\"cages\":", shown ? part.cages_json : "null", "}");
    }
    data += "]}";
  }
  data += "]}";

  std::string title = runs.size() == 1 ? runs[0].name : absl::StrCat(runs.size(), " runs");
  std::string page = absl::StrReplaceAll(std::string(kPageHtml), {{"@TITLE@", Escaped(title)},
                                                                  {"@SCRIPT_HASH@", Sha256Base64(kPageJs)},
                                                                  {"@CSS@", std::string(kPageCss)},
                                                                  {"@PLAIN@", PlainTable(runs)},
                                                                  {"@DATA@", ForScript(data)},
                                                                  {"@DRAWINGS@", drawings},
                                                                  {"@JS@", std::string(kPageJs)}});
  return WriteFile(out_html, page);
}

}  // namespace orchard::reports
