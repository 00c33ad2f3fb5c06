// Cases, matrices, proofs: paths into the file and the changes they make, before anything is typed.

#include <algorithm>
#include <set>

#include "sim/language/loader_context.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr size_t kCasesMax = 10'000;  // A matrix of a hundred by a hundred.

// "hosts.bob.node.dht", claims["lookups are quick"].p95_at_most → its segments. Empty if malformed.
std::vector<std::string> Segments(std::string_view path) {
  std::vector<std::string> out;
  std::string now;
  for (size_t i = 0; i < path.size();) {
    if (path[i] == '.') {
      if (now.empty()) return {};
      out.push_back(std::move(now)), now.clear(), ++i;
    } else if (path.substr(i, 2) == "[\"") {
      const size_t end = path.find("\"]", i + 2);
      if (end == path.npos) return {};
      if (!now.empty()) out.push_back(std::move(now));
      now = path.substr(i + 2, end - i - 2), i = end + 2;
      if (i < path.size() && path[i] != '.') return {};
    } else {
      now += path[i++];
    }
  }
  if (now.empty()) return {};
  out.push_back(std::move(now));
  return out;
}

std::string_view NameOf(const Json& member) {
  for (std::string_view key : {"id", "as", "name", "says"}) {
    if (const Json* j = member.Find(key); j != nullptr && j->is_text()) return j->text;
  }
  return {};
}

void Push(std::vector<LoadError>& errors, const Json& at, std::string path, std::string found, std::string expected, std::string hint = {}) {
  errors.push_back({at.place, std::move(path), std::move(found), std::move(expected), std::move(hint), CaretOf(at)});
}

// A context for reading the words of the file that belong to no case.
struct SuiteReader {
  Suite& suite;
  std::vector<LoadError>& errors;
  Scenario none;
  Context c{errors, none, suite, suite.root, {}};

  std::vector<Change> ReadSet(const Json& at, const std::string& path) {
    std::vector<Change> out;
    if (!at.is_object()) return c.WrongKind(at, path, "an object of paths and values, such as {\"world.latency\": \"400ms\"}"), out;
    for (size_t i = 0; i < at.keys.size(); ++i) out.push_back({at.keys[i].text, at.keys[i].place, at.items[i]});
    return out;
  }

  void ReadCases(const Json& at) {
    if (!at.is_array()) return c.WrongKind(at, "cases", "a list of cases");
    for (size_t i = 0; i < at.items.size(); ++i) {
      Fields f(c, at.items[i], MemberPath("cases", at.items[i], i), "case");
      if (!f.ok()) continue;
      CaseWords k;
      k.place = at.items[i].place;
      if (const Json* name = f["name"]) {
        k.name = c.Text(*name, f.At("name")).value_or("");
        if (k.name.empty() || k.name.size() > 200 || k.name.find('*') != std::string::npos) c.Fail(*name, f.At("name"), Cat("found ", Quoted(k.name)), "a name of 1 to 200 characters without *");
      } else {
        c.Fail(at.items[i], f.path(), "no name", "each case has one");
      }
      if (const Json* says = f["says"]) k.says = c.Text(*says, f.At("says")).value_or("");
      if (const Json* cell = f["cell"]) k.cell = c.Text(*cell, f.At("cell")).value_or("");
      if (const Json* set = f["set"]) k.set = ReadSet(*set, f.At("set"));
      suite.cases.push_back(std::move(k));
    }
  }

  struct Axis {
    std::string path;
    Place place;
    std::vector<Json> values;
    std::vector<std::string> names;
  };
  std::optional<Axis> ReadAxis(const Json* at, const std::string& path, const Json& matrix) {
    if (at == nullptr) return c.Fail(matrix, path, "missing", "a matrix has rows and columns"), std::nullopt;
    if (!at->is_object() || at->keys.size() != 1 || !at->items[0].is_array() || at->items[0].items.empty()) {
      return c.WrongKind(*at, path, "one path and its values, such as {\"hosts.a.nat\": [\"open\", \"cgn\"]}"), std::nullopt;
    }
    Axis axis{at->keys[0].text, at->keys[0].place, at->items[0].items, {}};
    for (const Json& v : axis.values) {
      std::string name = v.is_text() ? v.text : v.is_array() ? "" : v.Dump();
      for (size_t i = 0; v.is_array() && i < v.items.size(); ++i) name += Cat(i == 0 ? "" : "+", v.items[i].is_text() ? v.items[i].text : v.items[i].Dump());
      if (std::find(axis.names.begin(), axis.names.end(), name) != axis.names.end()) c.Fail(v, path, Cat(Quoted(name), " stands twice"), "expected each value once");
      axis.names.push_back(std::move(name));
    }
    return axis;
  }

  void ReadMatrix(const Json& at) {
    Fields f(c, at, "matrix", "matrix");
    if (!f.ok()) return;
    std::optional<Axis> rows = ReadAxis(f["rows"], "matrix.rows", at), columns = ReadAxis(f["columns"], "matrix.columns", at);
    if (!rows || !columns) return;
    if (rows->values.size() * columns->values.size() > kCasesMax) return c.Fail(at, "matrix", Cat("found more than ", kCasesMax, " cells"), "expected fewer");
    const Json *key = f["key"], *cells = f["cells"];
    if (cells != nullptr && (!cells->is_array() || cells->items.size() != rows->values.size())) {
      return c.Fail(*cells, "matrix.cells", Cat("found ", cells->is_array() ? std::to_string(cells->items.size()) : "no", " rows"), Cat("expected ", rows->values.size(), ", one text of letters per row"));
    }
    suite.has_matrix = true, suite.rows = rows->names, suite.columns = columns->names;
    for (size_t r = 0; r < rows->values.size(); ++r) {
      const Json* line = cells == nullptr ? nullptr : &cells->items[r];
      if (line != nullptr && (!line->is_text() || line->text.size() != columns->values.size())) {
        c.Fail(*line, Cat("matrix.cells[", r, "]"), Cat("found ", line->is_text() ? Cat(line->text.size(), " letters") : line->Describe()), Cat("expected ", columns->values.size(), ", one per column"));
        continue;
      }
      for (size_t k = 0; k < columns->values.size(); ++k) {
        CaseWords cell;
        cell.row = rows->names[r], cell.column = columns->names[k];
        cell.name = Cat(cell.row, "|", cell.column), cell.place = rows->values[r].place;
        cell.set = {{rows->path, rows->place, rows->values[r]}, {columns->path, columns->place, columns->values[k]}};
        if (line != nullptr) {
          const std::string letter = line->text.substr(k, 1);
          const Json* word = key == nullptr ? nullptr : key->Find(letter);
          if (word == nullptr || !word->is_text()) {
            c.Fail(*line, Cat("matrix.cells[", r, "]"), Cat("no letter ", Quoted(letter), " in \"key\""), "expected what the letter means, such as {\"P\": \"punched\"}");
          } else {
            cell.cell = word->text;
          }
        }
        suite.cases.push_back(std::move(cell));
      }
    }
  }

  std::vector<std::string> CaseNames() const {
    std::vector<std::string> out;
    for (const CaseWords& k : suite.cases) out.push_back(k.name);
    return out;
  }

  void ReadProofs(const Json& at) {
    if (!at.is_array()) return c.WrongKind(at, "fails_when", "a list of changes");
    std::vector<std::string> said;
    if (const Json* claims = suite.root.Find("claims"); claims != nullptr && claims->is_array()) {
      for (const Json& claim : claims->items) {
        if (const Json* says = claim.Find("says"); says != nullptr && says->is_text()) said.push_back(says->text);
      }
    }
    for (size_t i = 0; i < at.items.size(); ++i) {
      Fields f(c, at.items[i], MemberPath("fails_when", at.items[i], i), "fails_when");
      if (!f.ok()) continue;
      FailsWhen w;
      w.place = at.items[i].place;
      if (const Json* says = f["says"]) w.says = c.Text(*says, f.At("says")).value_or("");
      if (const Json* set = f["set"]) {
        w.set = ReadSet(*set, f.At("set"));
      } else {
        c.Fail(at.items[i], f.path(), "no \"set\"", "expected the change that breaks the claim");
      }
      if (const Json* in = f["in"]) {
        w.in = c.TextList(*in, f.At("in"));
        for (const std::string& name : w.in) {
          const std::vector<std::string> names = CaseNames();
          if (std::none_of(names.begin(), names.end(), [&](const std::string& n) { return GlobMatches(name, n); })) {
            c.Fail(*in, f.At("in"), Cat("no case is called ", Quoted(name)), c.Suggest(name, names, Cat("cases: ", ListText(names, 12))));
          }
        }
      }
      if (const Json* claim = f["claim"]) {
        w.claim = c.Text(*claim, f.At("claim")).value_or("");
        if (claim->is_text() && std::find(said.begin(), said.end(), w.claim) == said.end()) {
          c.Fail(*claim, f.At("claim"), Cat("no claim says ", Quoted(w.claim)), c.Suggest(w.claim, said, "expected the \"says\" of a claim"));
        }
      } else {
        c.Fail(at.items[i], f.path(), "no \"claim\"", "expected the \"says\" of the claim that must break");
      }
      suite.fails_when.push_back(std::move(w));
    }
  }

  void ReadSweep(const Json& at) {
    std::optional<std::string> t = c.Text(at, "sweep");
    if (!t) return;
    const size_t dots = t->find("..");
    std::optional<int64_t> a = dots == std::string::npos ? std::nullopt : ParseDecimal(std::string_view(*t).substr(0, dots), 0);
    std::optional<int64_t> b = dots == std::string::npos ? std::nullopt : ParseDecimal(std::string_view(*t).substr(dots + 2), 0);
    if (a && b && *a >= 0 && *b >= *a && *b - *a < 1'000'000) {
      suite.sweep = {uint64_t(*a), uint64_t(*b)};
    } else {
      c.WrongKind(at, "sweep", "the first and last seed, such as \"1..200\"");
    }
  }
};

}  // namespace

bool CaseMatches(const std::vector<std::string>& patterns, std::string_view name) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) { return p == name || GlobMatches(p, name); });
}

bool ApplyChange(Json& root, const Change& change, std::string path, std::vector<LoadError>& errors) {
  Json key = Json::Text(change.path, change.place);
  const std::vector<std::string> segments = Segments(change.path);
  auto fail = [&](std::string found, std::string expected) { return Push(errors, key, path, std::move(found), std::move(expected)), false; };
  if (segments.empty()) return fail(Cat("found ", Quoted(change.path)), "a path is names joined by dots, such as hosts.bob.nat");
  Json* at = &root;
  std::string so_far;
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::string& name = segments[i];
    const bool last = i + 1 == segments.size();
    if (at->is_array()) {
      auto it = std::find_if(at->items.begin(), at->items.end(), [&](const Json& m) { return NameOf(m) == name; });
      if (it == at->items.end()) {
        std::vector<std::string> words;
        for (const Json& m : at->items) {
          if (std::string_view w = NameOf(m); !w.empty()) words.emplace_back(w);
        }
        std::string near = Nearest(name, words);
        return fail(Cat("nothing in ", so_far, " is called ", Quoted(name)),
                    near.empty() ? Cat("members are named by id, as, name or says", words.empty() ? "" : Cat(": ", ListText(words, 12))) : Cat("did you mean ", Quoted(near), "?"));
      }
      if (last && change.value.is(Json::Kind::kNull)) return at->items.erase(it), true;
      if (last) return *it = change.value, true;
      at = &*it;
    } else {
      if (at->is(Json::Kind::kNull)) *at = Json::Object();
      if (!at->is_object()) return fail(Cat(so_far, " is ", at->Describe()), Cat("it has no ", Quoted(name), " inside"));
      if (i == 0 && FindWord(FindWordSet("scenario"), name) == nullptr) {
        std::string near = Nearest(name, WordNames(FindWordSet("scenario")));
        return fail(Cat("a scenario has no ", Quoted(name)), near.empty() ? "paths start with world, hosts, lans, timeline, …" : Cat("did you mean ", Quoted(near), "?"));
      }
      if (last && change.value.is(Json::Kind::kNull)) return at->Remove(name), true;
      Json& next = at->At(name, change.place);
      if (last) return next = change.value, true;
      if (next.is(Json::Kind::kNull)) next.place = change.place;
      at = &next;
    }
    so_far += Cat(so_far.empty() ? "" : ".", name);
  }
  return true;
}

void ReadSuite(Suite& suite, const LoadOptions& options, std::vector<LoadError>& errors) {
  SuiteReader r{suite, errors, {}};
  Fields f(r.c, suite.root, "", "scenario");
  if (!f.ok()) return;
  if (const Json* says = f["says"]) {
    suite.says = r.c.Text(*says, "says").value_or("");
    if (says->is_text() && suite.says.empty()) r.c.WrongKind(*says, "says", "one sentence");
  } else {
    r.c.Fail(suite.root, "says", "missing", "every scenario opens with one sentence that says what it shows");
  }
  if (const Json* matrix = f["matrix"]) r.ReadMatrix(*matrix);
  if (const Json* cases = f["cases"]) r.ReadCases(*cases);
  std::set<std::string> names;
  for (const CaseWords& k : suite.cases) {
    if (!names.insert(k.name).second) r.c.Fail(k.place, 1, "cases", Cat("a second case is called ", Quoted(k.name)), "expected another name");
  }
  if (suite.cases.empty()) suite.cases.emplace_back();
  if (suite.cases.size() > kCasesMax) r.c.Fail(suite.root, "cases", Cat("found ", suite.cases.size(), " cases"), Cat("at most ", kCasesMax));
  if (const Json* sweep = f["sweep"]) r.ReadSweep(*sweep);
  if (const Json* proofs = f["fails_when"]) r.ReadProofs(*proofs);
  if (options.ships && suite.fails_when.empty()) {
    errors.push_back({{0, 0, 0}, "fails_when", "missing", "a scenario that ships says which change to its world breaks which claim", "", 1});
  }
}

}  // namespace orchard::sim
