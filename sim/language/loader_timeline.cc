// The timeline: when, who, what.

#include <algorithm>

#include "node/sidecar/operations.h"
#include "sim/language/client_operations.h"
#include "sim/language/loader_bounds.h"
#include "sim/language/loader_context.h"
#include "sim/language/metrics_table.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

// Of one host by one entry: a thousand a second for almost three hours. More is a slip of the unit, and would seem to hang.
constexpr int64_t kOccurrencesMax = 10'000'000;

// What a draw gives on the whole: its mean, median or scale.
int64_t Typical(const Draw& d) {
  if (d.kind == Draw::Kind::kBetween) return d.a + (d.b - d.a) / 2;
  if (d.kind != Draw::Kind::kOneOf) return d.a;
  int64_t sum = 0;
  for (int64_t v : d.values) sum += v / int64_t(d.values.size());
  return sum;
}

void ReadWhen(Context& c, const Json& at, const std::string& path, Condition& when) {
  Fields f(c, at, path, "when");
  if (!f.ok()) return;
  when.written = at.Dump();
  const Json *event = f["event"], *metric = f["metric"];
  if ((event == nullptr) == (metric == nullptr)) return c.Fail(at, path, event ? "both an event and a metric" : "neither event nor metric", "\"when\" has one of them");
  when.is_event = event != nullptr;
  const Json& subject = event ? *event : *metric;
  const std::string inner = f.At(event ? "event" : "metric");
  std::optional<std::string> name = c.Text(subject, inner);
  if (!name) return;
  when.subject = *name;
  const Metric* row = FindMetric(*name);
  if (row == nullptr || (event != nullptr && row->kind != MetricKind::kEvent)) {
    if (IsLaterMetric(*name)) return c.Fail(subject, inner, Cat(Quoted(*name), " is not in this version"), "see orchard metrics");
    std::vector<std::string> words;
    for (const Metric& m : Metrics()) {
      if (event == nullptr || m.kind == MetricKind::kEvent) words.push_back(m.name);
    }
    return c.Fail(subject, inner, Cat("no ", event ? "event" : "metric", " is called ", Quoted(*name)), c.Suggest(*name, words, "see orchard metrics"));
  }
  if (const Json* of = f["of"]) when.of = c.SelectorOf(*of, f.At("of"));
  if (const Json* where = f["where"]) when.where = c.Where(*where, f.At("where"), Cat(row->labels, " as"), nullptr);
  if (const Json* count = f["count"]) {
    if (event == nullptr) c.Fail(*count, f.At("count"), "\"count\" with a metric", "it counts hosts that saw an event");
    if (count->is_text() && count->text == "all") {
      when.count_all = true;
    } else if (std::optional<uint64_t> n = c.Count(*count, f.At("count"), 1, 1'000'000'000)) {
      when.count = *n;
    }
  }
  int bounds = 0;
  constexpr std::pair<std::string_view, Condition::Cmp> kBounds[] = {
      {"at_least", Condition::Cmp::kAtLeast}, {"at_most", Condition::Cmp::kAtMost}, {"is", Condition::Cmp::kIs}};
  for (const auto& [word, cmp] : kBounds) {
    const Json* j = f[word];
    if (j == nullptr) continue;
    ++bounds, when.cmp = cmp;
    if (event != nullptr) {
      c.Fail(*j, f.At(word), Cat("\"", word, "\" with an event"), "an event takes \"count\"");
    } else {
      when.value_micro = ValueOf(c, *j, f.At(word), row->unit).value_or(0);
    }
  }
  if (metric != nullptr && row->kind == MetricKind::kSample) {
    c.Fail(subject, inner, Cat(*name, " is a sample"), "\"when\" waits for the total of a counter or the last reading of a gauge");
  } else if (metric != nullptr && bounds != 1) {
    c.Fail(at, path, Cat(bounds, " bounds"), "expected one of at_least, at_most, is");
  }
}

void ReadTimes(Context& c, const Fields& f, Entry& e, const Json& at) {
  const Json *j_at = f["at"], *every = f["every"], *when = f["when"];
  const int given = (j_at != nullptr) + (every != nullptr) + (when != nullptr);
  if (given != 1) {
    return c.Fail(at, f.path(), given == 0 ? "no time" : "more than one of at, every and when", "an entry has one of \"at\", \"every\", \"when\"");
  }
  for (std::string_view word : {"from", "until", "times", "arrivals", "loop"}) {
    if (every == nullptr && f[word]) c.Fail(*f[word], f.At(word), Cat("\"", word, "\" without \"every\""), "it says how an \"every\" repeats");
  }
  if (j_at != nullptr) {
    if (j_at->is_object()) {
      e.when = Entry::When::kAtDraw;
      if (std::optional<Draw> d = c.DrawOf(*j_at, f.At("at"), Unit::kDuration)) e.at_draw = *d;
    } else if (std::optional<Moment> m = c.MomentOf(*j_at, f.At("at"))) {
      e.at = *m;
    }
  } else if (when != nullptr) {
    e.when = Entry::When::kWhen;
    ReadWhen(c, *when, f.At("when"), e.condition);
  } else {
    e.when = Entry::When::kEvery;
    if (std::optional<Draw> d = c.DrawOf(*every, f.At("every"), Unit::kDuration)) {
      e.every = *d;
      if (d->kind == Draw::Kind::kFixed && d->a == 0) c.WrongKind(*every, f.At("every"), "an interval above 0");
    }
    if (const Json* j = f["from"]) e.from = c.MomentOf(*j, f.At("from")).value_or(Moment{});
    if (const Json* j = f["until"]) e.until = c.MomentOf(*j, f.At("until"));
    if (const Json* j = f["times"]) e.times = c.Count(*j, f.At("times"), 1, 1'000'000'000);
    const int64_t fits = c.out.duration.count() / std::max<int64_t>(Typical(e.every), 1);
    if (fits > kOccurrencesMax && (!e.times || *e.times > uint64_t(kOccurrencesMax))) {
      c.Fail(*every, f.At("every"), Cat("found ", every->Describe(), ", which is ", fits, " times a host in this run"), Cat("at most ", kOccurrencesMax));
    }
    if (f["until"] && f["times"]) c.Fail(*f["times"], f.At("times"), "\"times\" beside \"until\"", "expected one of them");
    if (const Json* j = f["loop"]) {
      if (std::optional<size_t> i = c.Choice(*j, f.At("loop"), "open closed")) e.closed_loop = *i == 1;
    }
    if (const Json* j = f["arrivals"]) {
      constexpr std::string_view kBursts = "bursts:";
      if (j->is_text() && j->text.rfind(kBursts, 0) == 0) {
        std::optional<int64_t> n = ParseDecimal(std::string_view(j->text).substr(kBursts.size()), 0);
        if (n && *n >= 1 && *n <= 100'000) {
          e.arrivals = Entry::Arrivals::kBursts, e.burst = uint32_t(*n);
        } else {
          c.WrongKind(*j, f.At("arrivals"), "\"bursts:20\": a whole number from 1 to 100000");
        }
      } else if (std::optional<size_t> i = c.Choice(*j, f.At("arrivals"), "even poisson bursts:20")) {
        e.arrivals = Entry::Arrivals(*i);
      }
    }
  }
}

void ReadAction(Context& c, const Fields& f, Entry& e, const Json& at) {
  const Json *action = f["do"], *who = f["who"], *on = f["on"], *with = f["with"];
  if (with != nullptr) e.with = *with; else e.with = Json::Object();
  if (action == nullptr) {
    for (std::string_view word : {"who", "on", "with", "spread", "fails"}) {
      if (f[word]) c.Fail(*f[word], f.At(word), Cat("\"", word, "\" without \"do\""), "a mere moment has a time and a name (\"as\")");
    }
    if (e.as.empty()) c.Fail(at, f.path(), "neither \"do\" nor \"as\"", "an entry does something, or names a moment");
    return;
  }
  std::optional<std::string> name = c.Text(*action, f.At("do"));
  if (!name) return;
  e.action = *name;
  const FaultWord* fault = FindFaultWord(*name);
  const sidecar::Operation* operation = FindAction(*name);
  if (fault != nullptr && !fault->later.empty()) return c.Fail(*action, f.At("do"), Cat(Quoted(*name), " is not in this version"), Cat("it needs ", fault->later));
  if (fault == nullptr && operation == nullptr) {
    if (IsLaterOperation(*name)) return c.Fail(*action, f.At("do"), Cat(Quoted(*name), " is not in this version"), "see orchard --help for the operations that are");
    std::vector<std::string> words;
    for (const sidecar::Operation* o : Actions()) words.emplace_back(o->name);
    for (const FaultWord& w : FaultWords()) {
      if (w.later.empty()) words.emplace_back(w.name);
    }
    return c.Fail(*action, f.At("do"), Cat("no operation or fault is called ", Quoted(*name)), c.Suggest(*name, words, Cat("there are ", ListText(words, 30))));
  }
  if (fault != nullptr) {
    e.act = Entry::Act::kFault;
    if (who != nullptr) {
      return c.Fail(at, f.path(), Cat(Quoted(*name), " is a fault, it happens to somebody: write \"on\": ", who->Dump(), " instead of \"who\": ", who->Dump()), "");
    }
    if (on == nullptr && !fault->on.empty()) return c.Fail(at, f.path(), Cat(Quoted(*name), " without \"on\""), Cat("it happens to ", fault->on));
    if (on != nullptr && fault->on.empty()) return c.Fail(*on, f.At("on"), Cat(Quoted(*name), " has no \"on\""), "it names hosts in \"with\"");
    using Targets = Context::Targets;
    const Targets targets = *name == "link" ? Targets::kLinks : *name == "renumber" ? Targets::kInterfaces
                          : *name == "nat-remap" || *name == "nat-reboot" ? Targets::kBoxes : Targets::kHosts;
    if (on != nullptr) e.who = c.SelectorOf(*on, f.At("on"), targets);
    if (f["fails"] != nullptr) c.Fail(*f["fails"], f.At("fails"), "\"fails\" on a fault", "only operations may fail");
    if (const Json* lasts = f["for"]; lasts != nullptr && !fault->lasts) c.Fail(*lasts, f.At("for"), Cat(Quoted(*name), " takes no \"for\""), "it happens at once");
    ReadFault(c, e, with, f.path());
    return;
  }
  if (operation->local) return c.Fail(*action, f.At("do"), Cat(Quoted(*name), " is the command line's own"), "http.get downloads in a scenario");
  if (operation->raw) return c.Fail(*action, f.At("do"), Cat(Quoted(*name), " joins a program's input and output"), "a simulated host has none; send carries bytes");
  e.act = Entry::Act::kOperation;
  if (on != nullptr) {
    return c.Fail(at, f.path(), Cat(Quoted(*name), " is an operation, somebody carries it out: write \"who\": ", on->Dump(), " instead of \"on\": ", on->Dump()), "");
  }
  if (who == nullptr) return c.Fail(at, f.path(), Cat(Quoted(*name), " without \"who\""), "an operation is carried out by hosts");
  e.who = c.SelectorOf(*who, f.At("who"));
  const bool needs_node = FindClientOperation(*name) == nullptr;
  for (const SelectorTerm& t : e.who && needs_node ? e.who->terms : std::vector<SelectorTerm>{}) {
    auto host = c.names.hosts.find(t.text);
    if (host != c.names.hosts.end() && !host->second.runs_node) c.Fail(*who, f.At("who"), Cat(Quoted(t.text), " runs no node"), Cat("\"", *name, "\" needs one"));
  }
  if (const Json* lasts = f["for"]) c.Fail(*lasts, f.At("for"), Cat(Quoted(*name), " takes no \"for\""), "faults last; this operation ends by itself");
  ReadOperation(c, e, with, at.place, f.path());
  if (const Json* fails = f["fails"]) {
    e.fails_stated = true;
    if (std::optional<std::string> code = c.Text(*fails, f.At("fails"))) {
      e.fails = *code == "maybe" ? Entry::Fails::kMaybe : Entry::Fails::kWith;
      if (e.fails == Entry::Fails::kWith) e.fails_code = *code;
      const bool shouts = !code->empty() && std::all_of(code->begin(), code->end(), [](char x) { return (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') || x == '_'; });
      if (*code != "maybe" && !shouts) c.Fail(*fails, f.At("fails"), Cat("found ", Quoted(*code)), "expected \"maybe\" or a code such as \"ERR_TIMEOUT\"");
    }
  } else if (e.when == Entry::When::kEvery) {
    e.fails = Entry::Fails::kMaybe;
  }
}

// Entries that wait for one another never come.
void CheckCycles(Context& c) {
  const std::vector<Entry>& all = c.out.timeline;
  std::map<std::string, size_t> by_name;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!all[i].as.empty()) by_name[all[i].as] = i;
  }
  for (const Entry& start : all) {
    const Entry* e = &start;
    for (size_t steps = 0; steps <= all.size(); ++steps) {
      const Moment& m = e->when == Entry::When::kEvery ? e->from : e->at;
      auto next = e->when == Entry::When::kAt || e->when == Entry::When::kEvery ? by_name.find(m.entry) : by_name.end();
      if (m.entry.empty() || next == by_name.end()) break;
      e = &all[next->second];
      if (e != &start) continue;
      const Moment& own = start.when == Entry::When::kEvery ? start.from : start.at;
      c.Fail(own.place, uint32_t(Width(own.written)) + 2, start.path, "the entry waits for itself", "moments follow from the start, not in a circle");
      break;
    }
  }
}

}  // namespace

void ReadTimeline(Context& c, const Json& timeline) {
  if (!timeline.is_array()) return c.WrongKind(timeline, "timeline", "a list of entries");
  for (size_t i = 0; i < timeline.items.size(); ++i) {
    const Json& at = timeline.items[i];
    const Json* as = at.Find("as");
    Entry e;
    e.index = i, e.place = at.place;
    e.path = as != nullptr && as->is_text() && IsName(as->text) ? Cat("timeline.", as->text) : Cat("timeline[", i, "]");
    Fields f(c, at, e.path, "entry");
    if (!f.ok()) continue;
    if (as != nullptr) {
      e.as = c.Name(*as, f.At("as")).value_or("");
      if (!e.as.empty() && (c.names.hosts.contains(e.as) || c.names.lans.contains(e.as))) {
        c.Fail(*as, f.At("as"), Cat("a host or LAN is called ", Quoted(e.as)), "expected a name of its own");
      }
    }
    ReadTimes(c, f, e, at);
    if (const Json* j = f["spread"]) e.spread = Duration(c.Amount(*j, f.At("spread"), Unit::kDuration).value_or(0));
    if (const Json* j = f["for"]) e.lasts = c.DrawOf(*j, f.At("for"), Unit::kDuration);
    ReadAction(c, f, e, at);
    c.out.timeline.push_back(std::move(e));
  }
  CheckCycles(c);
}

}  // namespace orchard::sim
