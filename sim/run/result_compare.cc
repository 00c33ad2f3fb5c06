#include "sim/run/result_compare.h"

#include <algorithm>
#include <map>
#include <set>

#include "sim/language/text.h"
#include "sim/run/progress.h"
#include "sim/run/result.h"

namespace orchard::sim {
namespace {

std::string TextOf(const Json& j, std::string_view key) {
  const Json* v = j.Find(key);
  return v == nullptr || !v->is_text() ? "" : v->text;
}

// "X (js dials)": X, and what its column is called.
std::pair<std::string, std::string> Split(const std::string& name) {
  const size_t open = name.rfind(" (");
  if (open == name.npos || !name.ends_with(')')) return {name, ""};
  return {name.substr(0, open), name.substr(open + 2, name.size() - open - 3)};
}

// "punched", "ERR_X", "ok".
std::string Outcome(const Json& answer) {
  const Json* ok = answer.Find("ok");
  if (ok == nullptr || !ok->truth) return TextOf(answer, "code").empty() ? "nothing found" : TextOf(answer, "code");
  const std::string path = TextOf(answer, "path");
  return path.empty() ? "ok" : path;
}

}  // namespace

Json CompareJson(const std::vector<Json>& ns3, const std::vector<Json>& netns) {
  std::vector<std::string> cells, columns;
  std::map<std::string, std::map<std::string, std::map<std::string, std::string>>> seen;  // Cell, answer, column.
  std::map<std::string, std::vector<std::string>> rows;                                   // Answers of a cell, in order.
  std::set<std::pair<std::string, std::string>> ran;                                      // Cell, column.
  auto add_once = [](std::vector<std::string>& list, const std::string& text) {
    if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
  };
  auto take = [&](const std::vector<Json>& results, const std::string& lab) {
    for (const Json& r : results) {
      const auto [cell, variant] = Split(TextOf(r, "case"));
      const std::string column = variant.empty() ? lab : lab == "ns3" ? Cat("ns3, ", variant) : variant;
      add_once(cells, cell), add_once(columns, column), ran.emplace(cell, column);
      const Json* answers = r.Find("answers");
      for (size_t i = 0; answers != nullptr && i < answers->items.size(); ++i) {
        const Json& a = answers->items[i];
        const std::string row = Cat(TextOf(a, "as"), " on ", TextOf(a, "host"));
        add_once(rows[cell], row);
        seen[cell][row][column] = Outcome(a);
      }
    }
  };
  take(ns3, "ns3"), take(netns, "netns");
  Json out = Json::Object(), list = JsonList({});
  uint64_t same = 0, differ = 0;
  for (const std::string& cell : cells) {
    for (const std::string& row : rows[cell]) {
      const auto& of = seen[cell][row];
      Json j = Json::Object(), by = Json::Object();
      j.At("case") = Json::Text(cell), j.At("answer") = Json::Text(row);
      for (const std::string& column : columns) {
        if (auto it = of.find(column); it != of.end()) by.At(column) = Json::Text(it->second);
      }
      j.At("seen") = std::move(by);
      if (ran.contains({cell, "ns3"}) && ran.contains({cell, "netns"}) && (of.contains("ns3") || of.contains("netns"))) {
        const bool equal = of.contains("ns3") && of.contains("netns") && of.at("ns3") == of.at("netns");
        j.At("same") = JsonBool(equal);
        ++(equal ? same : differ);
      }
      list.items.push_back(std::move(j));
    }
  }
  out.At("columns") = JsonList(columns), out.At("same") = JsonNumber(same), out.At("differ") = JsonNumber(differ);
  out.At("answers") = std::move(list);
  return out;
}

size_t Differences(const Json& compared) {
  const Json* n = compared.Find("differ");
  return n == nullptr ? 0 : size_t(n->Integer().value_or(0));
}

std::string CompareTable(const Json& compared, bool colour) {
  const Json *columns = compared.Find("columns"), *answers = compared.Find("answers");
  if (columns == nullptr || answers == nullptr) return "";
  // Only what has a path, or is not the same everywhere, is worth a line.
  auto worth = [](const Json& a) {
    const Json* seen = a.Find("seen");
    return std::any_of(seen->items.begin(), seen->items.end(), [&](const Json& s) { return s.text != "ok" || s.text != seen->items[0].text; });
  };
  size_t name_width = 4, quiet = 0;
  std::vector<size_t> widths;
  for (const Json& c : columns->items) widths.push_back(Width(c.text) + 2);
  for (const Json& a : answers->items) {
    if (!worth(a)) {
      ++quiet;
      continue;
    }
    name_width = std::max(name_width, Width(TextOf(a, "case")) + 2 + Width(TextOf(a, "answer")));
    for (size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], Width(TextOf(*a.Find("seen"), columns->items[i].text)) + 3);
  }
  std::string out = Cat(" ", PadRight("", name_width + 2));
  for (size_t i = 0; i < widths.size(); ++i) out += PadRight(columns->items[i].text, i + 1 < widths.size() ? widths[i] : 0);
  out += "\n";
  for (const Json& a : answers->items) {
    if (!worth(a)) continue;
    out += Cat(" ", PadRight(Cat(TextOf(a, "case"), "  ", TextOf(a, "answer")), name_width + 2));
    const std::string first = TextOf(*a.Find("seen"), "ns3");
    for (size_t i = 0; i < widths.size(); ++i) {
      const std::string text = TextOf(*a.Find("seen"), columns->items[i].text);
      const bool odd = !first.empty() && !text.empty() && text != first;
      out += odd ? Coloured("failed", PadRight(Cat("≠", text), widths[i]), colour) : PadRight(text.empty() ? "–" : text, widths[i]);
    }
    while (out.ends_with(' ')) out.pop_back();
    out += "\n";
  }
  if (quiet > 0) out += Cat(" ", quiet, " more answers are ok everywhere\n");
  auto number = [&](std::string_view key) { return compared.Find(key)->Integer().value_or(0); };
  return Cat(out, " ns3 and netns came to the same in ", number("same"), " of ", number("same") + number("differ"), " answers\n");
}

}  // namespace orchard::sim
