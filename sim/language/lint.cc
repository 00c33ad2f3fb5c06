#include "sim/language/lint.h"

#include <algorithm>
#include <set>

#include "sim/language/client_operations.h"
#include "sim/language/loader_context.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr std::string_view kPresetsRefused[] = {"symmetric-sequential", "symmetric-preserving"};

// Walks a case by the tables of words, collecting those with a `netns` note.
class Walker {
 public:
  explicit Walker(std::vector<NetnsLimit>& out) : out_(out) {}

  void Object(const Json& at, const std::string& path, const WordSet& set) {
    if (!at.is_object()) return;
    for (size_t i = 0; i < at.keys.size(); ++i) {
      const Word* w = FindWord(set, at.keys[i].text);
      if (w == nullptr) continue;
      const std::string inner = path.empty() ? at.keys[i].text : Cat(path, ".", at.keys[i].text);
      if (!w->netns.empty() && Applies(*w, at.items[i])) Add(at.keys[i].place, uint32_t(w->name.size()) + 2, inner, w->netns);
      Value(at.items[i], inner, *w);
    }
  }

 private:
  static bool Applies(const Word& w, const Json& value) {
    if (w.name == "ports") return value.text == "sequential" || (w.type == WordType::kAny && value.text != "all");
    if (w.name == "mapping") return value.text == "address-dependent";
    if (w.name == "hops") return value.Integer().value_or(0) < 12 || value.Integer().value_or(0) > 64;
    if (w.name == "pool") return value.Integer().value_or(0) > 1;
    if (w.name == "uplinks") return value.keys.size() > 1;
    if (w.name == "store") return value.text == "torn";
    if (w.name == "refresh") return value.text == "outbound";
    return true;
  }
  void Add(Place place, uint32_t caret, const std::string& path, std::string_view note) {
    constexpr std::string_view kNo = "no: ", kAbout = "about: ";
    const bool refused = note.substr(0, kNo.size()) == kNo;
    note.remove_prefix(refused ? kNo.size() : kAbout.size());
    out_.push_back({{place, path, refused ? Cat("the kernel host cannot do ", note) : std::string(note), "", "", caret}, refused});
  }
  void Preset(const Json& at, const std::string& path) {
    if (at.is_text()) {
      const std::string name = at.text.substr(0, at.text.find('@'));
      for (std::string_view preset : kPresetsRefused) {
        if (name == preset) Add(at.place, CaretOf(at), path, Cat("no: ", preset, " (nftables maps ports its own way)"));
      }
    }
    for (const Json& item : at.items) Preset(item, path);
  }
  void Value(const Json& value, const std::string& path, const Word& w) {
    switch (w.type) {
      case WordType::kObject: Object(value, path, FindWordSet(w.of)); return;
      case WordType::kList:
        for (size_t i = 0; i < value.items.size(); ++i) Object(value.items[i], MemberPath(path, value.items[i], i), FindWordSet(w.of));
        if (w.of == "entry") Faults(value, path);
        return;
      case WordType::kMap:
        for (size_t i = 0; w.of != "text" && i < value.keys.size(); ++i) Object(value.items[i], Cat(path, ".", value.keys[i].text), FindWordSet(w.of));
        if (w.of == "nat") Preset(value, path);
        return;
      case WordType::kNat:
        Preset(value, path);
        Object(value, path, FindWordSet("nat"));
        return;
      case WordType::kLink: Object(value, path, FindWordSet("link")); return;
      default: return;
    }
  }
  void Faults(const Json& timeline, const std::string& list) {
    for (size_t i = 0; i < timeline.items.size(); ++i) {
      const Json* action = timeline.items[i].Find("do");
      const FaultWord* fault = action == nullptr ? nullptr : FindFaultWord(action->text);
      if (fault == nullptr) continue;
      const std::string path = MemberPath(list, timeline.items[i], i);
      if (!fault->netns.empty()) Add(action->place, CaretOf(*action), Cat(path, ".do"), fault->netns);
      if (const Json* with = timeline.items[i].Find("with")) Object(*with, Cat(path, ".with"), FindWordSet(Cat("with ", fault->name)));
    }
  }
  std::vector<NetnsLimit>& out_;
};

// What no word says by itself.
void Whole(const Scenario& s, std::vector<NetnsLimit>& out) {
  auto refuse = [&](Place place, const std::string& path, std::string_view what) {
    out.push_back({{place, path, Cat("the kernel host cannot do ", what), "", "", 1}, true});
  };
  auto chains = [&](const NatChoice& nat, Place place, const std::string& path) {
    for (const std::vector<NatRef>& chain : nat.of) {
      for (const NatRef& box : chain) {
        if (std::string_view what = KernelCannot(box.spec); !what.empty()) return refuse(place, path, what);
      }
    }
  };
  for (const Entry& e : s.timeline) {
    if (FindClientOperation(e.action) != nullptr) refuse(e.place, Cat(e.path, ".do"), Cat(e.action, " (its clients are the simulator's)"));
  }
  for (const HostGroup& h : s.hosts) {
    if (h.web != nullptr) refuse(h.place, Cat("hosts.", h.id, ".runs"), "a web server");
    if (h.nat) chains(*h.nat, h.place, Cat("hosts.", h.id, ".nat"));
    for (size_t i = 0; h.mix && i < h.mix->classes.size(); ++i) {
      if (h.mix->classes[i].nat) chains(*h.mix->classes[i].nat, h.place, Cat("hosts.", h.id, ".mix"));
    }
    for (const UplinkWords& u : h.uplinks) {
      if (u.nat) chains(*u.nat, h.place, Cat("hosts.", h.id, ".uplinks.", u.name, ".nat"));
    }
  }
  for (const LanWords& l : s.lans) {
    if (l.router_nat) chains(*l.router_nat, l.place, Cat("lans.", l.id, ".router.nat"));
    if (l.has_router && (!l.router_nat || l.router_nat->of[0].empty())) refuse(l.place, Cat("lans.", l.id, ".router"), "a router without a NAT");
  }
  for (const Claim& c : s.claims) {
    for (std::string_view metric : {"dht.table.dead_ratio", "link.drops", "link.queue_ms"}) {
      if (c.subject == metric || c.over.metric == metric) refuse(c.place, c.path, Cat(metric, " (only the simulator sees it)"));
    }
  }
}

std::string Plural(size_t n, std::string_view one, std::string_view many) { return Cat(n, " ", n == 1 ? one : many); }

}  // namespace

std::string_view KernelCannot(const NatSpec& s) {
  if (s.udp_blocked) return "";
  const bool wide = s.filtering != Dependence::kAddressAndPortDependent || s.hairpin;
  if (s.ports == PortChoice::kSequential) return "sequential ports";
  if (s.mapping == Dependence::kAddressDependent) return "a mapping that depends on the address alone";
  if (s.mapping == Dependence::kAddressAndPortDependent && s.ports == PortChoice::kPreserve) return "preserved ports of a mapping that depends on the destination";
  if (s.mapping == Dependence::kAddressAndPortDependent && wide) return "a wider filter, or hairpin, of a mapping that depends on the destination";
  if (s.life.count() > 0) return "an absolute mapping life";
  if (s.max_mappings > 0) return "a limit of mappings";
  if (s.pool > 1) return "a pool of addresses";
  return "";
}

std::vector<NetnsLimit> NetnsLimits(const Suite& suite, const CaseWords& which) {
  std::vector<NetnsLimit> out;
  Json root = suite.root;
  std::vector<LoadError> ignored;  // Loading has tried these changes.
  for (const Change& change : which.set) ApplyChange(root, change, "", ignored);
  for (const Change& change : suite.overrides) ApplyChange(root, change, "", ignored);
  Walker(out).Object(root, "", FindWordSet("scenario"));
  uint64_t hosts = 0;
  if (const Json* list = root.Find("hosts")) {
    for (const Json& h : list->items) {
      const Json* count = h.Find("count");
      hosts += uint64_t(count == nullptr ? 1 : count->Integer().value_or(1));
    }
    if (hosts > kNetnsHostsMax) {
      out.push_back({{list->place, "hosts", Cat("the kernel host cannot do ", hosts, " hosts (at most ", kNetnsHostsMax, ")"), "", "", 1}, true});
    }
  }
  const bool by_word = std::any_of(out.begin(), out.end(), [](const NetnsLimit& l) { return l.refused; });
  if (std::optional<Scenario> s = by_word ? std::nullopt : BuildCase(suite, which, ignored)) Whole(*s, out);
  std::stable_sort(out.begin(), out.end(), [](const NetnsLimit& a, const NetnsLimit& b) { return a.error.place < b.error.place; });
  return out;
}

LintResult Lint(const std::string& file, const LoadOptions& options, bool json) {
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenario(file, options, errors, sources);
  if (!suite) return {2, json ? RenderErrorsJson(errors, sources) : RenderErrors(errors, sources)};

  std::optional<Scenario> first = BuildCase(*suite, suite->cases[0], errors);
  uint64_t hosts = 0;
  for (const HostGroup& h : first->hosts) hosts += h.count;
  std::vector<LoadError> refused, about;
  std::string can;
  size_t cases_that_can = 0;
  const Json* stated = suite->root.Find("claims");
  const size_t claims = stated == nullptr ? 0 : stated->items.size();
  for (const CaseWords& which : suite->cases) {
    bool ok = true;
    for (const NetnsLimit& limit : NetnsLimits(*suite, which)) {
      ok = ok && !limit.refused;
      std::vector<LoadError>& list = limit.refused ? refused : about;
      const bool known = std::any_of(list.begin(), list.end(), [&](const LoadError& e) { return e.place == limit.error.place && e.found == limit.error.found; });
      if (!known) list.push_back(limit.error);
    }
    if (ok && cases_that_can++ == 0) can = which.name;
  }
  for (LoadError& e : refused) e.found += Cat(". Run with --host ns3", can.empty() ? "" : Cat(", or one case that can: --case ", Quoted(can)));
  const std::string netns = refused.empty() ? "yes" : cases_that_can == 0 ? "no" : Cat(cases_that_can, " of ", suite->cases.size(), " cases");
  if (json) {
    auto list = [&](const std::vector<LoadError>& all) {
      std::string out;
      for (const LoadError& e : all) {
        out += Cat(out.empty() ? "" : ",", "{\"line\":", e.place.line, ",\"column\":", e.place.column, ",\"path\":", QuoteJson(e.path), ",\"found\":", QuoteJson(e.found), "}");
      }
      return Cat("[", out, "]");
    };
    return {0, Cat("{\"tag\":\"final\",\"data\":{\"file\":", QuoteJson(file), ",\"cases\":", suite->cases.size(), ",\"hosts\":", hosts, ",\"entries\":", first->timeline.size(),
                   ",\"claims\":", claims, ",\"proofs\":", suite->fails_when.size(), ",\"netns\":", QuoteJson(netns), ",\"refused\":", list(refused), ",\"about\":", list(about), "}}\n")};
  }
  std::string out = Cat(file, ": fine: ", Plural(suite->cases.size(), "case", "cases"), ", ", Plural(hosts, "host", "hosts"), ", ",
                        Plural(first->timeline.size(), "entry", "entries"), ", ", Plural(claims, "claim", "claims"), ", ",
                        Plural(suite->fails_when.size(), "proof", "proofs"), suite->fails_when.empty() ? " (a scenario without fails_when may be unable to fail)" : "", "\n");
  out += Cat("  ns3: yes\n  netns: ", netns, "\n");
  if (!refused.empty()) out += RenderErrors(refused, sources);
  if (!about.empty()) out += RenderErrors(about, sources);
  return {0, out};
}

}  // namespace orchard::sim
