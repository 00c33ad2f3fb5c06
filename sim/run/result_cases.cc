// What only the parent can say: claims that compare cases, the sum of all, the matrix.
#include <algorithm>
#include <map>

#include "sim/run/result.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

Json EmptyList() { return JsonList({}); }

std::string TextOf(const Json& j, std::string_view key) {
  const Json* v = j.Find(key);
  return v == nullptr || !v->is_text() ? "" : v->text;
}

// The figure of `claim`'s bound (by statistic and part) in that case's result.
std::optional<int64_t> FigureIn(const Json& result, const std::string& claim, const std::string& stat, const std::string& part) {
  for (std::string_view list : {"claims", "figures"}) {
    const Json* claims = result.Find(list);
    for (size_t i = 0; claims != nullptr && i < claims->items.size(); ++i) {
      const Json* bounds = claims->items[i].Find("bounds");
      if (TextOf(claims->items[i], "says") != claim || bounds == nullptr) continue;
      for (const Json& b : bounds->items) {
        const Json* figure = b.Find("figure") != nullptr ? b.Find("figure") : b.Find("observed");  // Judged already, or not yet.
        if (TextOf(b, "stat") == stat && TextOf(b, "part") == part && figure != nullptr) return figure->Micro();
      }
    }
  }
  return std::nullopt;
}

struct Divisor {
  int64_t micro = 0;
  std::string says;   // "best of solo-dsl, solo-lte"
  std::string lacks;  // Why there is none.
};

Divisor DivisorOf(const Json& claim, const Json& bound, const std::vector<Json>& cases) {
  Divisor out;
  const Json& over = *claim.Find("over");
  const std::string how = over.keys.at(0).text;
  const bool less_is_better = TextOf(bound, "is") == "at_most";
  std::vector<std::string> names;
  std::optional<int64_t> value;
  for (const Json& name : over.items.at(0).items) {
    names.push_back(name.text);
    auto it = std::find_if(cases.begin(), cases.end(), [&](const Json& c) { return TextOf(c, "case") == name.text; });
    std::optional<int64_t> figure;
    if (it != cases.end()) figure = FigureIn(*it, TextOf(claim, "says"), TextOf(bound, "stat"), TextOf(bound, "part"));
    if (!figure) {
      out.lacks = Cat("case \"", name.text, "\" ", it == cases.end() ? "did not run" : "has no figure to divide by");
      return out;
    }
    if (!value) value = *figure;
    else if (how == "sum") *value += *figure;
    else value = less_is_better ? std::min(*value, *figure) : std::max(*value, *figure);
  }
  out.says = Cat(how == "case" ? "" : how == "best" ? "the best of " : "the sum of ", ListText(names, 6));
  out.micro = value.value_or(0);
  if (out.micro == 0) out.lacks = Cat("the figure of ", out.says, " is 0");
  return out;
}

// False: other cases leave it undecided.
bool JudgeOver(Json& claim, const std::vector<Json>& cases) {
  Json* bounds = claim.Find("bounds");
  if (bounds == nullptr || bounds->items.empty()) return false;
  bool holds = true;
  std::string observed;
  Json why = EmptyList();
  const std::string metric_unit = [&] {
    const Metric* m = FindMetric(TextOf(claim, "subject"));
    return m == nullptr ? std::string() : m->unit;
  }();
  for (Json& b : bounds->items) {
    const std::string stat = TextOf(b, "stat"), part = TextOf(b, "part"), in = part.empty() ? "" : Cat(" in ", part);
    const std::string unit = stat == "count" ? "" : stat == "ratio" || stat == "share" ? "ratio" : metric_unit;
    const Json* own = b.Find("observed");
    const std::optional<int64_t> value = own == nullptr || !own->is_number() ? std::nullopt : own->Micro();
    const Divisor by = DivisorOf(claim, b, cases);
    BoundSeen seen{.stat = stat, .unit = "ratio", .part = part};
    seen.cmp = TextOf(b, "is") == "at_most" ? Bound::Cmp::kAtMost : TextOf(b, "is") == "at_least" ? Bound::Cmp::kAtLeast : Bound::Cmp::kIs;
    seen.bound_micro = b.Find("bound")->Micro().value_or(0);
    if (value && by.lacks.empty()) seen.observed_micro = int64_t(__int128(*value) * kMicro / by.micro);
    seen.held = seen.observed_micro && Holds({.cmp = seen.cmp, .value_micro = seen.bound_micro}, *seen.observed_micro);
    b.At("figure") = value ? JsonMicro(*value) : JsonNull();
    b.At("over") = by.lacks.empty() ? JsonMicro(by.micro) : JsonNull();
    b.At("observed") = seen.observed_micro ? JsonMicro(*seen.observed_micro) : JsonNull();
    b.At("unit") = Json::Text("ratio"), b.At("held") = JsonBool(seen.held);
    if (std::optional<int64_t> m = Margin(seen)) b.At("margin") = JsonMicro(*m);
    holds = holds && seen.held;
    const std::string shown = value ? Value(*value, unit) : "no sample";
    observed += Cat(observed.empty() ? "" : ", ", stat, in, " ", seen.observed_micro ? Value(*seen.observed_micro, "ratio") : "unknown", " (", shown,
                    by.lacks.empty() ? Cat(" over ", Value(by.micro, unit)) : "", ")");
    if (!by.lacks.empty()) why.items.push_back(Json::Text(by.lacks));
    else if (!value) why.items.push_back(Json::Text(Cat("no sample", in)));
    else if (!seen.held) why.items.push_back(Json::Text(Cat(stat, in, ": ", shown, " here, ", Value(by.micro, unit), " in ", by.says)));
  }
  claim.At("unit") = Json::Text("ratio"), claim.At("observed") = Json::Text(observed);
  claim.At("verdict") = Json::Text(holds ? "held" : "failed");
  if (!holds) claim.At("why") = std::move(why);
  return true;
}

// {"hosts.a.nat": [...]} as {"path", "values"}.
Json AxisJson(const Json* axis, const std::vector<std::string>& names) {
  Json j = Json::Object();
  j.At("path") = Json::Text(axis == nullptr || axis->keys.empty() ? "" : axis->keys[0].text), j.At("values") = JsonList(names);
  return j;
}

bool Mentions(const Json& j, std::string_view text) {
  return (j.is_text() && j.text == text) || std::any_of(j.items.begin(), j.items.end(), [&](const Json& i) { return Mentions(i, text); });
}

}  // namespace

void JudgeOverCases(Json& of, const std::vector<Json>& cases) {
  Json* claims = of.Find("claims");
  if (claims == nullptr) return;
  bool any = false, all_held = true;
  for (Json& c : claims->items) {
    if (c.Find("over") != nullptr && TextOf(c, "verdict") == "undecided") any = JudgeOver(c, cases) || any;
    all_held = all_held && TextOf(c, "verdict") == "held";
  }
  const Json* notes = of.Find("notes");
  if (any) of.At("passed") = JsonBool(all_held && (notes == nullptr || notes->items.empty()));
}

namespace {

// What was seen where a cell's word was expected, by the claims that bound something by it: its word; empty if they did not run.
std::string SeenIn(const Suite& suite, const CaseWords& of, const Json& result) {
  const Json *all = suite.root.Find("claims"), *judged = result.Find("claims");
  for (size_t i = 0; all != nullptr && judged != nullptr && i < all->items.size(); ++i) {
    if (!Mentions(all->items[i], "$cell")) continue;
    for (const Json& c : judged->items) {
      if (TextOf(c, "says") != TextOf(all->items[i], "says")) continue;
      return TextOf(c, "verdict") == "held" ? of.cell : TextOf(c, "observed");
    }
  }
  return {};
}

// The letters of a matrix by their words; a word that "key" does not have gets its first one, as far as it is free.
class Letters {
 public:
  explicit Letters(const Json* key) {
    for (size_t i = 0; key != nullptr && i < key->keys.size(); ++i) letters_.emplace(key->items[i].text, key->keys[i].text);
  }
  // Empty for what is no word: "3 of 4 pairs".
  std::string Of(const std::string& word) {
    if (auto it = letters_.find(word); it != letters_.end()) return it->second;
    if (word.empty() || !std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; })) return {};
    for (const char c : {char(word[0] - 32), word[0], '?'}) {
      const std::string letter(1, c);
      if (c != '?' && std::any_of(letters_.begin(), letters_.end(), [&](const auto& l) { return l.second == letter; })) continue;
      return letters_.emplace(word, letter).first->second;
    }
    return {};
  }
  Json AsKey() const {
    Json key = Json::Object();
    for (const auto& [word, letter] : letters_) key.At(letter) = Json::Text(word);
    return key;
  }

 private:
  std::map<std::string, std::string> letters_;
};

Json MatrixJson(const Suite& suite, const std::vector<Json>& cases) {
  const Json* matrix = suite.root.Find("matrix");
  if (!suite.has_matrix || matrix == nullptr) return JsonNull();
  Json j = Json::Object(), cells = EmptyList();
  j.At("rows") = AxisJson(matrix->Find("rows"), suite.rows), j.At("columns") = AxisJson(matrix->Find("columns"), suite.columns);
  Letters letters(matrix->Find("key"));
  std::map<std::pair<std::string_view, std::string_view>, const CaseWords*> words;
  for (const CaseWords& w : suite.cases) {
    if (!w.row.empty()) words.emplace(std::pair<std::string_view, std::string_view>(w.row, w.column), &w);
  }
  std::map<std::string, const Json*> results;
  for (const Json& c : cases) results.emplace(TextOf(c, "case"), &c);
  for (const std::string& row : suite.rows) {
    Json line = EmptyList();
    for (const std::string& column : suite.columns) {
      auto word = words.find({row, column});
      auto result = word == words.end() ? results.end() : results.find(word->second->name);
      if (result == results.end()) {  // Not chosen.
        line.items.push_back(JsonNull());
        continue;
      }
      const CaseWords& w = *word->second;
      Json cell = Json::Object();
      cell.At("case") = Json::Text(w.name);
      if (!w.cell.empty()) cell.At("expected") = Json::Text(letters.Of(w.cell));
      if (std::string seen = letters.Of(SeenIn(suite, w, *result->second)); !seen.empty()) cell.At("seen") = Json::Text(seen);
      const Json* metrics = result->second->Find("metrics");
      const Json* connect = metrics == nullptr ? nullptr : metrics->Find("connect_ms");
      if (const Json* p50 = connect == nullptr ? nullptr : connect->Find("p50")) cell.At("p50_ms") = *p50;
      const Json* passed = result->second->Find("passed");
      cell.At("passed") = JsonBool(passed != nullptr && passed->truth);
      line.items.push_back(std::move(cell));
    }
    cells.items.push_back(std::move(line));
  }
  j.At("key") = letters.AsKey(), j.At("cells") = std::move(cells);
  return j;
}

}  // namespace

Json SumOfCases(const Suite& suite, const std::vector<Json>& cases, const std::vector<std::string>& dirs) {
  Json j = Json::Object(), list = EmptyList(), claims = EmptyList(), notes = EmptyList();
  bool passed = true;
  std::map<std::string, int64_t> sums;
  int64_t rss = 0, hosts = 0;
  auto micro = [](const Json& c, std::string_view key) {
    const Json* v = c.Find(key);
    return v == nullptr ? 0 : v->Micro().value_or(0);
  };
  auto integer = [](const Json& c, std::string_view key) {
    const Json* v = c.Find(key);
    return v == nullptr ? 0 : v->Integer().value_or(0);
  };
  std::string fingerprints;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Json& c = cases[i];
    const Json* ok = c.Find("passed");
    const bool held = ok != nullptr && ok->truth;
    passed = passed && held;
    for (const char* key : {"sim_seconds", "wall_seconds"}) sums[key] += micro(c, key);
    for (const char* key : {"events", "packets", "bytes", "drops"}) sums[key] += integer(c, key);
    rss = std::max(rss, integer(c, "peak_rss_bytes")), hosts = std::max(hosts, integer(c, "hosts"));
    Json one = Json::Object();
    uint64_t total = 0, good = 0;
    const Json* name = c.Find("case");
    if (const Json* of = c.Find("claims")) {
      for (Json claim : of->items) {
        const Json* verdict = claim.Find("verdict");
        ++total, good += verdict != nullptr && verdict->text == "held";
        if (name != nullptr) claim.At("case") = *name;
        claims.items.push_back(std::move(claim));
      }
    }
    if (const Json* of = c.Find("notes")) notes.items.insert(notes.items.end(), of->items.begin(), of->items.end());
    one.At("name") = name == nullptr ? Json::Text("") : *name;
    one.At("passed") = JsonBool(held);
    one.At("dir") = Json::Text(dirs[i]);
    for (const char* key : {"replay", "sim_seconds", "wall_seconds", "fingerprint", "metrics", "cell", "interrupted"}) {
      if (const Json* v = c.Find(key)) one.At(key) = *v;
    }
    for (const CaseWords& w : suite.cases) {
      if (name == nullptr || w.name != name->text) continue;
      one.At("says") = Json::Text(w.says);
      if (std::string seen = w.cell.empty() ? "" : SeenIn(suite, w, c); !seen.empty()) one.At("seen") = Json::Text(seen);
    }
    one.At("claims_held") = JsonNumber(good), one.At("claims_total") = JsonNumber(total);
    if (const Json* v = c.Find("fingerprint")) fingerprints += v->text;
    list.items.push_back(std::move(one));
  }
  for (const char* key : {"schema", "scenario", "name", "seed", "version", "host"}) {
    if (const Json* v = cases.empty() ? nullptr : cases[0].Find(key)) j.At(key) = *v;
  }
  Digest digest;  // Over all cases, in the file's order.
  digest.Add(AsBytes(fingerprints));
  j.At("says") = Json::Text(suite.says);
  j.At("passed") = JsonBool(passed && !cases.empty());
  j.At("fingerprint") = Json::Text(digest.hex());
  j.At("hosts") = JsonNumber(uint64_t(hosts));
  for (const char* key : {"sim_seconds", "wall_seconds"}) j.At(key) = JsonMicro(sums[key]);
  for (const char* key : {"events", "packets", "bytes", "drops"}) j.At(key) = JsonNumber(uint64_t(sums[key]));
  j.At("peak_rss_bytes") = JsonNumber(uint64_t(rss));
  j.At("claims") = std::move(claims), j.At("cases") = std::move(list), j.At("notes") = std::move(notes);
  j.At("fails_when") = ProofsJson(suite);
  if (Json matrix = MatrixJson(suite, cases); matrix.is_object()) j.At("matrix") = std::move(matrix);
  if (const Json* assumed = cases.empty() ? nullptr : cases[0].Find("assumed"); assumed != nullptr && !assumed->items.empty()) j.At("assumed") = *assumed;
  return j;
}

}  // namespace orchard::sim
