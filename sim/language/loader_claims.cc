// Claims: one subject, a window, and a bound.

#include <algorithm>

#include "node/sidecar/operations.h"
#include "sim/language/client_operations.h"
#include "sim/language/loader_bounds.h"
#include "sim/language/loader_context.h"
#include "sim/language/metrics_table.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr std::string_view kFiguresOfSamples = "p50_at_most, p95_at_most, max_at_most, mean_at_most, …";

bool DrawsSomething(const Json& j) { return j.is_text() && !j.text.empty() && j.text[0] == '$'; }

struct ClaimReader {
  Context& c;
  const Fields& f;
  Claim& claim;
  const Json& at;

  const Metric* Row(const Json& j, std::string_view word, bool event) {
    std::optional<std::string> name = c.Text(j, f.At(word));
    if (!name) return nullptr;
    const Metric* row = FindMetric(*name);
    if (row != nullptr && (!event || row->kind == MetricKind::kEvent)) return row;
    const std::string_view what = event ? "event" : "metric";
    if (row == nullptr && IsLaterMetric(*name)) {
      c.Fail(j, f.At(word), Cat(Quoted(*name), " is not in this version"), "see orchard metrics");
      return nullptr;
    }
    std::vector<std::string> words;
    for (const Metric& m : Metrics()) {
      if (!event || m.kind == MetricKind::kEvent) words.push_back(m.name);
    }
    const std::string other = row != nullptr ? Cat(*name, " is a ", KindName(row->kind), "; see orchard metrics") : "see orchard metrics";
    c.Fail(j, f.At(word), Cat("no ", what, " is called ", Quoted(*name)), row != nullptr ? other : c.Suggest(*name, words, other));
    return nullptr;
  }

  void Window() {
    constexpr std::string_view kOnes[] = {"by", "at", "during"};
    const Json* first = nullptr;
    for (std::string_view word : kOnes) {
      if (f[word] == nullptr) continue;
      if (first != nullptr) c.Fail(*f[word], f.At(word), "a second window", "a claim has one of \"by\", \"at\", \"during\"");
      first = f[word];
    }
    auto moment = [&](std::string_view word, Window::Kind kind) {
      if (const Json* j = f[word]) {
        claim.window.kind = kind;
        if (std::optional<Moment> m = c.MomentOf(*j, f.At(word))) claim.window.a = *m;
      }
    };
    moment("by", Window::Kind::kBy), moment("at", Window::Kind::kAt);
    if (const Json* j = f["during"]) {
      if (j->is_text()) {
        claim.window.kind = Window::Kind::kSpan, claim.window.span = j->text;
        auto entry = c.names.entries.find(j->text);
        if (entry == c.names.entries.end()) {
          c.Fail(*j, f.At("during"), Cat("no entry is called ", Quoted(j->text), " (\"as\")"), c.Suggest(j->text, c.names.EntryWords(), "\"during\" is [a, b] or an entry's name"));
        } else if (!entry->second.has_end) {
          c.Fail(*j, f.At("during"), Cat(Quoted(j->text), " has no end"), "a span is of an operation, or of a fault with \"for\"");
        }
      } else if (j->is_array() && j->items.size() == 2) {
        claim.window.kind = Window::Kind::kDuring;
        std::optional<Moment> a = c.MomentOf(j->items[0], f.At("during")), b = c.MomentOf(j->items[1], f.At("during"));
        if (a && b) claim.window.a = *a, claim.window.b = *b;
        if (a && b && a->entry.empty() && a->kind == b->kind && a->kind == Moment::Kind::kTime && a->offset >= b->offset) {
          c.Fail(*j, f.At("during"), "a window that ends before it opens", "expected the earlier instant first");
        }
      } else {
        c.WrongKind(*j, f.At("during"), "[from, to], or an entry's name");
      }
    }
    if (const Json* j = f["since"]) claim.window.since = c.MomentOf(*j, f.At("since"));
  }

  void OverWords() {
    const Json* j = f["over"];
    if (j == nullptr) return;
    const std::string path = f.At("over");
    Over& over = claim.over;
    if (claim.kind != Claim::Kind::kMetric) return c.Fail(*j, path, "\"over\" without a metric", "it divides a metric");
    if (!j->is_object()) {
      over.kind = Over::Kind::kQuantity;
      const Metric* row = FindMetric(claim.subject);
      over.quantity_micro = ValueOf(c, *j, path, row->unit, false).value_or(1);
      if (over.quantity_micro <= 0) c.WrongKind(*j, path, "a quantity above 0");
      return;
    }
    Fields o(c, *j, path, "over");
    const Json *metric = o["metric"], *best = o["best"], *sum = o["sum"], *one = o["case"];
    if ((metric != nullptr) + (best != nullptr) + (sum != nullptr) + (one != nullptr) != 1) {
      return c.Fail(*j, path, Cat("found ", j->keys.size(), " words"), "\"over\" has one of metric, best, sum, case");
    }
    if (metric != nullptr) {
      over.kind = Over::Kind::kMetric;
      std::optional<std::string> name = c.Text(*metric, o.At("metric"));
      if (name && FindMetric(*name) == nullptr) {
        std::vector<std::string> words;
        for (const Metric& m : Metrics()) words.push_back(m.name);
        c.Fail(*metric, o.At("metric"), IsLaterMetric(*name) ? Cat(Quoted(*name), " is not in this version") : Cat("no metric is called ", Quoted(*name)),
               c.Suggest(*name, words, "see orchard metrics"));
      } else if (name) {
        over.metric = *name;
        if (const Json* where = o["where"]) over.where = c.Where(*where, o.At("where"), Cat(FindMetric(*name)->labels, " as"), nullptr);
      }
      if (const Json* of = o["of"]) over.of = c.SelectorOf(*of, o.At("of"));
      return;
    }
    over.kind = best != nullptr ? Over::Kind::kBest : sum != nullptr ? Over::Kind::kSum : Over::Kind::kCase;
    const Json& cases = best != nullptr ? *best : sum != nullptr ? *sum : *one;
    over.cases = Cases(cases, path, false);
  }

  std::vector<std::string> Cases(const Json& j, const std::string& path, bool globs) {
    std::vector<std::string> out = c.TextList(j, path), words;
    for (const CaseWords& k : c.suite.cases) words.push_back(k.name);
    for (const std::string& name : out) {
      const bool known = std::any_of(words.begin(), words.end(), [&](const std::string& w) { return globs ? GlobMatches(name, w) : name == w; });
      if (!known) {
        c.Fail(j, path, Cat("no case is called ", Quoted(name)),
               c.Suggest(name, words, words.size() == 1 && words[0].empty() ? "this file has no cases" : Cat("cases: ", ListText(words, 12))));
      }
    }
    return out;
  }

  void Bounds(const Metric* row) {
    const bool event = claim.kind == Claim::Kind::kEvent, cost = claim.kind == Claim::Kind::kCost;
    for (size_t i = 0; i < at.keys.size(); ++i) {
      const std::string& key = at.keys[i].text;
      const Json& value = at.items[i];
      const std::string path = f.At(key);
      std::optional<BoundKey> b = ParseBoundKey(key);
      if (!b || (key == "is" && (claim.kind == Claim::Kind::kSame || claim.kind == Claim::Kind::kDiffer))) continue;
      const uint32_t caret = uint32_t(Width(key)) + 2;
      auto fail = [&](std::string found, std::string expected) { c.Fail(at.keys[i].place, caret, path, std::move(found), std::move(expected)); };
      if (claim.kind != Claim::Kind::kMetric && !event && !cost) {
        fail(Cat("\"", key, "\" on a claim without a metric"), "bounds belong to \"metric\", \"event\" and \"cost\"");
        continue;
      }
      Bound bound;
      bound.key = key, bound.written = value.is_text() ? value.text : value.Dump(), bound.place = at.keys[i].place;
      bound.stat = b->stat, bound.cmp = b->cmp, bound.quantile_ppm = b->quantile_ppm;
      if (cost && !b->bare) {
        fail(Cat("\"", key, "\" on a cost"), "a cost is one number: at_least, at_most or is");
        continue;
      }
      if (event && !b->bare && b->stat != Bound::Stat::kCount) {
        fail(Cat("\"", key, "\" on an event"), "an event is counted: count_at_least, count_at_most, count_is");
        continue;
      }
      const bool bare = b->bare && !cost;
      if (event) bound.stat = Bound::Stat::kCount;
      if (row != nullptr && !event) {
        const MetricKind kind = row->kind;
        if (bare && kind == MetricKind::kSample) {
          fail(Cat(row->name, " is a sample"), Cat("say which figure: ", kFiguresOfSamples));
          continue;
        }
        if (bare) bound.stat = kind == MetricKind::kGauge ? Bound::Stat::kLast : Bound::Stat::kTotal;
        const bool counter = kind == MetricKind::kCounter || kind == MetricKind::kEvent;
        if (counter && bound.stat != Bound::Stat::kTotal && bound.stat != Bound::Stat::kCount && bound.stat != Bound::Stat::kLast) {
          fail(Cat(row->name, kind == MetricKind::kEvent ? " is an event" : " is a counter"), "it has a total: total_at_least, total_at_most, total_is");
          continue;
        }
        if (kind == MetricKind::kGauge && bound.stat == Bound::Stat::kTotal) {
          fail(Cat(row->name, " is a gauge"), "it has no total; say last, min, max, mean or pN");
          continue;
        }
        if (bound.stat == Bound::Stat::kRatio && row->unit != "ratio") {
          fail(Cat(row->name, " is not 1 or 0"), "ratio is of metrics such as dht.lookup.ok; say mean, pN, …");
          continue;
        }
        if (bound.stat == Bound::Stat::kShare && f["within"] == nullptr) {
          fail("a share without \"within\"", "expected \"within\": [low, high]");
          continue;
        }
      }
      const bool counts = bound.stat == Bound::Stat::kCount && !cost;
      std::string_view unit = row == nullptr ? CostUnit() : row->unit;
      if (bound.stat == Bound::Stat::kRatio || bound.stat == Bound::Stat::kShare) unit = "ratio";
      std::optional<int64_t> v = ValueOf(c, value, path, counts ? "" : unit, counts || claim.over.kind != Over::Kind::kNone);
      if (!v) continue;
      bound.value_micro = *v;
      claim.bounds.push_back(std::move(bound));
    }
    if ((claim.kind == Claim::Kind::kMetric || cost) && claim.bounds.empty()) {
      const bool tried = std::any_of(at.keys.begin(), at.keys.end(), [](const Key& k) { return ParseBoundKey(k.text).has_value(); });
      if (!tried) c.Fail(at, f.path(), "no bound", cost ? "expected at_least, at_most or is" : "expected one such as p95_at_most, ratio_at_least, count_at_least");
    }
  }

  std::string_view CostUnit() const {
    if (claim.kind != Claim::Kind::kCost) return "";
    return claim.subject == "wall_seconds" ? "s" : claim.subject.find("bytes") != std::string::npos ? "bytes" : "";
  }

  void WithinWords(const Metric* row) {
    const Json* j = f["within"];
    if (claim.kind == Claim::Kind::kLeadsTo) {
      if (j == nullptr) return c.Fail(at, f.path(), "\"leads_to\" without \"within\"", "expected how soon");
      claim.within = Duration(c.Amount(*j, f.At("within"), Unit::kDuration).value_or(0));
      return;
    }
    if (j == nullptr) return;
    if (claim.kind != Claim::Kind::kMetric || !j->is_array() || j->items.size() != 2) {
      return c.WrongKind(*j, f.At("within"), "[low, high] beside a share, or a duration beside \"leads_to\"");
    }
    std::optional<int64_t> low = ValueOf(c, j->items[0], f.At("within"), row->unit, false), high = ValueOf(c, j->items[1], f.At("within"), row->unit, false);
    if (low && high) claim.within_low_micro = *low, claim.within_high_micro = *high;
    if (low && high && *low > *high) c.Fail(*j, f.At("within"), "found a second value below the first", "expected [low, high]");
  }

  void SameWords() {
    std::optional<size_t> what = c.Choice(*f[claim.kind == Claim::Kind::kSame ? "same" : "differ"], f.At(claim.kind == Claim::Kind::kSame ? "same" : "differ"), "bytes");
    if (!what) return;
    claim.subject = "bytes";
    const Json* name = f["name"];
    if (name == nullptr) return c.Fail(at, f.path(), "no \"name\"", "expected the entry (\"as\") whose results are compared");
    if (std::optional<std::string> t = c.Text(*name, f.At("name"))) {
      claim.name = *t;
      auto it = c.names.entries.find(*t);
      if (it == c.names.entries.end()) {
        c.Fail(*name, f.At("name"), Cat("no entry is called ", Quoted(*t), " (\"as\")"), c.Suggest(*t, c.names.EntryWords(), "results are named by \"as\""));
      } else {
        const sidecar::Operation* op = FindAction(it->second.operation);
        const std::vector<std::string> fields = op == nullptr ? std::vector<std::string>{} : Choices(op->result);
        if (std::find(fields.begin(), fields.end(), "sha256") == fields.end()) {
          c.Fail(*name, f.At("name"), Cat("the result of ", Quoted(*t), " has no bytes"), "dht.get, dht.put and http.get have some");
        }
      }
    }
    if (const Json* is = f["is"]) {
      if (claim.kind == Claim::Kind::kDiffer) return c.Fail(*is, f.At("is"), "\"is\" beside \"differ\"", "expected \"same\"");
      std::optional<std::string> t = c.Text(*is, f.At("is"));
      if (t && DrawsSomething(*is)) CheckReference(c, *is, f.At("is"));
      claim.is = t.value_or("");
      if (claim.is.starts_with("/")) {  // A file of an origin, or the part of it that was asked for.
        auto it = c.names.entries.find(claim.name);
        if (it != c.names.entries.end() && it->second.operation != "http.get") {
          c.Fail(*is, f.At("is"), Cat(Quoted(claim.is), " of ", Quoted(claim.name)), "files are compared with what an http.get brought");
        } else if (!HasWebFile(c, claim.is)) {
          std::vector<std::string> files;
          for (const HostGroup& h : c.out.hosts) {
            if (h.web != nullptr) for (const auto& [file, size] : h.web->files) files.push_back(file);
          }
          c.Fail(*is, f.At("is"), Cat("no web server has a file ", Quoted(claim.is)), c.Suggest(claim.is, files, files.empty() ? "no host runs \"web\"" : Cat("files: ", ListText(files, 12))));
        }
      }
    }
  }

  void ConnectedWords() {
    claim.subject = "connected";
    const Json& of = *f["connected"];
    if (!of.is_array() || of.items.size() != 2) return c.WrongKind(of, f.At("connected"), "two selectors: every host of the first with every host of the second");
    claim.a = c.SelectorOf(of.items[0], f.At("connected")), claim.b = c.SelectorOf(of.items[1], f.At("connected"));
    if (const Json* path = f["path"]) {
      const std::vector<Json> one = {*path};
      if (path->is_array() && path->items.empty()) c.WrongKind(*path, f.At("path"), "at least one path");
      for (const Json& j : path->is_array() ? path->items : one) {
        if (j.is_text() && j.text == "$cell") {
          c.Fail(j, f.At("path"), "\"$cell\" in a case without a cell", "the cells of a matrix, or \"cell\" of a case, say what it stands for");
        } else if (std::optional<size_t> i = c.Choice(j, f.At("path"), FindWord(FindWordSet("claim"), "path")->of)) {
          claim.paths.push_back(j.text);
        }
      }
    }
    if (f["by"] == nullptr && f["at"] == nullptr && f["during"] == nullptr) {
      c.Fail(at, f.path(), "\"connected\" without a time", "expected \"by\" (up once), \"at\" (up then) or \"during\" (never down)");
    }
    for (std::string_view word : {"of", "where", "each"}) {
      if (f[word]) c.Fail(*f[word], f.At(word), Cat("\"", word, "\" beside \"connected\""), "its two selectors say whose connections are meant");
    }
  }

  void Read() {
    constexpr std::pair<std::string_view, Claim::Kind> kSubjects[] = {
        {"metric", Claim::Kind::kMetric}, {"event", Claim::Kind::kEvent}, {"never", Claim::Kind::kNever},
        {"same", Claim::Kind::kSame},     {"differ", Claim::Kind::kDiffer}, {"cost", Claim::Kind::kCost},
        {"connected", Claim::Kind::kConnected}};
    int subjects = 0;
    std::string_view word;
    for (const auto& [name, kind] : kSubjects) {
      if (f[name] != nullptr) ++subjects, word = name, claim.kind = kind;
    }
    if (subjects != 1) {
      return c.Fail(at, f.path(), subjects == 0 ? "no subject" : "more than one subject", "a claim has one of metric, event, never, same, differ, cost, connected");
    }
    const Metric* row = nullptr;
    if (claim.kind == Claim::Kind::kMetric) {
      if ((row = Row(*f["metric"], "metric", false)) == nullptr) return;
      claim.subject = row->name;
    } else if (claim.kind == Claim::Kind::kEvent || claim.kind == Claim::Kind::kNever) {
      if ((row = Row(*f[word], word, true)) == nullptr) return;
      claim.subject = row->name;
      if (const Json* to = f["leads_to"]) {
        if (claim.kind == Claim::Kind::kNever) c.Fail(*to, f.At("leads_to"), "\"leads_to\" beside \"never\"", "it belongs to \"event\"");
        claim.kind = Claim::Kind::kLeadsTo;
        if (const Metric* second = Row(*to, "leads_to", true)) claim.leads_to = second->name;
      }
    } else if (claim.kind == Claim::Kind::kCost) {
      const std::vector<std::string> costs = Choices(FindWord(FindWordSet("claim"), "cost")->of);
      std::optional<size_t> i = c.Choice(*f["cost"], f.At("cost"), FindWord(FindWordSet("claim"), "cost")->of);
      if (!i) return;
      claim.subject = costs[*i];
    } else if (claim.kind == Claim::Kind::kConnected) {
      ConnectedWords();
    } else {
      SameWords();
    }
    if (const Json* path = f["path"]; path != nullptr && claim.kind != Claim::Kind::kConnected) {
      c.Fail(*path, f.At("path"), "\"path\" without \"connected\"", "of a metric or event it is a label: \"where\": {\"path\": …}");
    }
    if (const Json* of = f["of"]) claim.of = c.SelectorOf(*of, f.At("of"));
    const std::string labels = Cat(row == nullptr ? "" : row->labels, " as");
    if (const Json* where = f["where"]) claim.where = c.Where(*where, f.At("where"), labels, &claim.up);
    if (const Json* each = f["each"]) {
      if (std::optional<std::string> label = c.Text(*each, f.At("each"))) {
        claim.each = *label;
        std::vector<std::string> known = Choices(labels);
        for (std::string_view l : {"host", "group", "region", "nat", "link"}) known.emplace_back(l);
        if (std::find(known.begin(), known.end(), *label) == known.end()) {
          c.Fail(*each, f.At("each"), Cat("there is no label ", Quoted(*label), " here"), Cat("labels: ", ListText(known, 12)), c.Suggest(*label, known, ""));
        }
      }
    }
    Window();
    if (claim.kind == Claim::Kind::kCost && claim.window.kind != Window::Kind::kWholeRun) c.Fail(at, f.path(), "a cost with a window", "a cost is of the whole run");
    WithinWords(row);
    OverWords();
    Bounds(row);
    if (const Json* j = f["holds"]) {
      if (std::optional<int64_t> v = c.Amount(*j, f.At("holds"), Unit::kShare)) claim.holds_ppm = uint32_t(*v);
    }
  }
};

}  // namespace

void ReadClaims(Context& c, const Json& claims) {
  if (!claims.is_array()) return c.WrongKind(claims, "claims", "a list of claims");
  std::map<std::string, size_t> said;
  for (size_t i = 0; i < claims.items.size(); ++i) {
    const Json& at = claims.items[i];
    const Json* says = at.Find("says");
    Claim claim;
    claim.index = i, claim.place = at.place;
    claim.path = says != nullptr && says->is_text() ? Cat("claims[", Quoted(says->text), "]") : Cat("claims[", i, "]");
    Fields f(c, at, claim.path, "claim");
    if (!f.ok()) continue;
    ClaimReader reader{c, f, claim, at};
    if (says != nullptr) claim.says = c.Text(*says, f.At("says")).value_or("");
    if (const Json* in = f["in"]) claim.in = reader.Cases(*in, f.At("in"), true);
    const size_t before = c.errors.size();
    reader.Read();
    const bool asked = CaseMatches(claim.in, c.out.case_name);
    const bool figure = std::find(claim.over.cases.begin(), claim.over.cases.end(), c.out.case_name) != claim.over.cases.end();
    // A claim of other cases may speak of what this one has taken away; what is wrong with it is said there.
    if (!asked && !figure) c.errors.resize(before);
    if (claim.says.empty()) {
      claim.says = claim.subject;
      if (claim.a && claim.b) claim.says += Cat(" ", claim.a->written, " – ", claim.b->written, " ", claim.window.a.written);
      for (const Bound& b : claim.bounds) claim.says += Cat(" ", b.key, " ", b.written);
    }
    if (says != nullptr && !said.emplace(claim.says, i).second) {
      c.Fail(*says, f.At("says"), Cat("a second claim says ", Quoted(claim.says)), "claims are named by what they say");
    }
    claim.figure_only = claim.over_cases() && !asked && figure;
    if (asked || claim.figure_only) c.out.claims.push_back(std::move(claim));
  }
}

}  // namespace orchard::sim
