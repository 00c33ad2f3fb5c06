#include "sim/run/result_junit.h"

#include <algorithm>
#include <map>

#include "sim/language/text.h"

namespace orchard::sim {
namespace {

std::string TextOf(const Json& j, std::string_view key) {
  const Json* v = j.Find(key);
  return v == nullptr || !v->is_text() ? "" : v->text;
}

std::string Xml(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\n': out += "&#10;"; break;
      default: out += uint8_t(c) < 0x20 ? ' ' : c;  // Other control characters have no place in XML 1.0.
    }
  }
  return out;
}

}  // namespace

void AddClaims(JunitSuite& suite, const Json& result) {
  const std::string of_case = TextOf(result, "case");
  if (const Json* claims = result.Find("claims")) {
    for (const Json& c : claims->items) {
      std::string failure;
      if (TextOf(c, "verdict") != "held") {
        failure = Cat(TextOf(c, "verdict"), ": expected ", TextOf(c, "expected"), ", observed ", TextOf(c, "observed"));
        if (const Json* why = c.Find("why")) {
          for (const Json& w : why->items) failure += Cat("\n", w.text);
        }
      }
      suite.cases.push_back({TextOf(c, "says"), of_case, failure, 0});
    }
  }
  const Json *notes = result.Find("notes"), *wall = result.Find("wall_seconds"), *passed = result.Find("passed");
  std::string failure;
  if (notes != nullptr && (passed == nullptr || !passed->truth)) {
    for (const Json& n : notes->items) failure += Cat(failure.empty() ? "" : "\n", n.text);
  }
  suite.cases.push_back({"the timeline is carried out", of_case, failure, wall == nullptr ? 0 : wall->Micro().value_or(0)});
}

std::string JunitText(const std::vector<JunitSuite>& suites) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const JunitSuite& s : suites) {
    const auto failures = std::count_if(s.cases.begin(), s.cases.end(), [](const JunitCase& c) { return !c.failure.empty(); });
    out += Cat("  <testsuite name=\"", Xml(s.name), "\" tests=\"", s.cases.size(), "\" failures=\"", failures, "\">\n");
    for (const JunitCase& c : s.cases) {
      out += Cat("    <testcase classname=\"", Xml(c.of_case.empty() ? s.name : Cat(s.name, " ", c.of_case)), "\" name=\"", Xml(c.name), "\" time=\"",
                 Decimal(c.wall_micro, 3), "\"");
      out += c.failure.empty() ? "/>\n" : Cat("><failure message=\"", Xml(c.failure), "\"/></testcase>\n");
    }
    out += "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

std::string FirstDifference(const Json& a, const Json& b) {
  if (!TextOf(a, "fingerprint").empty() && TextOf(a, "fingerprint") == TextOf(b, "fingerprint")) return "";
  const Json *x = a.Find("checkpoints"), *y = b.Find("checkpoints");
  if (x == nullptr || y == nullptr) return "one of the runs has no checkpoints";
  const size_t n = std::min(x->items.size(), y->items.size());
  for (size_t i = 0; i < n; ++i) {
    if (x->items[i].text == y->items[i].text) continue;
    auto at = [](size_t second) { return ClockText(std::chrono::seconds(second)); };
    return Cat("the runs part between ", at(i), " and ", at(i + 1), " (checkpoint ", i + 1, ": ", x->items[i].text.substr(0, 12), "… and ",
               y->items[i].text.substr(0, 12), "…)");
  }
  return Cat("all ", n, " checkpoints agree, the runs differ after them (", TextOf(a, "fingerprint").substr(0, 12), "… and ",
             TextOf(b, "fingerprint").substr(0, 12), "…)");
}

std::string MatrixTable(const Suite& suite, const Json& sum) {
  const Json* matrix = sum.Find("matrix");
  if (!suite.has_matrix || matrix == nullptr) return "";
  const Json& cells = *matrix->Find("cells");
  size_t width = 4, left = 0, good = 0, total = 0;
  std::vector<std::vector<std::string>> shown;
  for (const Json& line : cells.items) {
    shown.emplace_back();
    for (const Json& cell : line.items) {
      std::string text;
      if (cell.is_object()) {
        const Json* passed = cell.Find("passed");
        const bool ok = passed != nullptr && passed->truth;
        const std::string expected = TextOf(cell, "expected"), seen = TextOf(cell, "seen");
        // A cell may be as expected and its case broken all the same, by another claim.
        text = ok ? (expected.empty() ? "✓" : expected) : seen.empty() || seen == expected ? Cat("✗≠", expected) : Cat(seen, "≠", expected);
        if (!ok && seen == expected && !seen.empty()) text = Cat(seen, "✗");
        ++total, good += ok;
      }
      width = std::max(width, Width(text) + 1);
      shown.back().push_back(std::move(text));
    }
  }
  for (const std::string& r : suite.rows) left = std::max(left, Width(r));
  for (const std::string& c : suite.columns) width = std::max(width, Width(c) + 1);
  std::string out = Cat(" ", std::string(left, ' '));
  for (const std::string& c : suite.columns) out += PadLeft(c, width);
  out += "\n";
  for (size_t r = 0; r < shown.size(); ++r) {
    out += Cat(" ", PadRight(suite.rows[r], left));
    for (const std::string& text : shown[r]) out += PadLeft(text, width);
    out += "\n";
  }
  std::string key;
  if (const Json* words = matrix->Find("key")) {
    for (size_t i = 0; i < words->keys.size(); ++i) key += Cat(key.empty() ? "   " : ", ", words->keys[i].text, " ", words->items[i].text);
  }
  return Cat(out, " ", good, " of ", total, " cells as expected", key, "\n");
}

}  // namespace orchard::sim
