// Who may be named: ids, groups, members, entries, picks, LANs, boxes; and selectors, which name them.

#include <algorithm>

#include "sim/language/loader_context.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr uint32_t kHostsMax = 100'000;  // The largest world that the simulator is meant for.

// The names of `cgn@telco` boxes anywhere under `nat`.
void GatherBoxes(const Json& at, std::set<std::string>& boxes) {
  if (at.is_text()) {
    if (size_t i = at.text.find('@'); i != std::string::npos) boxes.insert(at.text.substr(i + 1));
  }
  for (const Json& item : at.items) GatherBoxes(item, boxes);
}

void GatherPicks(const Json* selector, std::set<std::string>& picks) {
  if (selector == nullptr || !selector->is_object()) return;
  if (const Json* as = selector->Find("as"); as != nullptr && as->is_text()) picks.insert(as->text);
}

const Json* ListOf(const Json& root, std::string_view key) {
  const Json* list = root.Find(key);
  return list != nullptr && list->is_array() ? list : nullptr;
}

std::string TextOf(const Json& object, std::string_view key) {
  const Json* j = object.Find(key);
  return j != nullptr && j->is_text() ? j->text : std::string();
}

// "peer-12" → "peer" and 12.
bool SplitMember(std::string_view text, std::string_view& group, uint64_t& number) {
  const size_t dash = text.rfind('-');
  if (dash == text.npos || dash == 0 || dash + 1 == text.size() || text.size() - dash > 10 || text[dash + 1] == '0') return false;
  number = 0;
  for (char c : text.substr(dash + 1)) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + uint64_t(c - '0');
  }
  group = text.substr(0, dash);
  return true;
}

}  // namespace

std::vector<std::string> Names::HostWords() const {
  std::vector<std::string> out;
  for (const auto& [id, host] : hosts) out.push_back(id);
  out.insert(out.end(), picks.begin(), picks.end());
  return out;
}

std::vector<std::string> Names::EntryWords() const {
  std::vector<std::pair<size_t, std::string>> order;
  for (const auto& [as, e] : entries) order.push_back({e.index, as});
  std::sort(order.begin(), order.end());
  std::vector<std::string> out;
  for (auto& [index, as] : order) out.push_back(std::move(as));
  return out;
}

const Names::Host* Names::GroupOfMember(std::string_view text, std::string* group) const {
  std::string_view name;
  uint64_t number = 0;
  if (!SplitMember(text, name, number)) return nullptr;
  auto it = hosts.find(std::string(name));
  if (it == hosts.end() || !it->second.grouped) return nullptr;
  if (group != nullptr) *group = name;
  return &it->second;
}

bool Names::IsMember(std::string_view text, std::string* group) const {
  std::string_view name;
  uint64_t number = 0;
  const Host* host = GroupOfMember(text, group);
  return host != nullptr && SplitMember(text, name, number) && number <= host->count;
}

void GatherNames(Context& c) {
  uint64_t total = 0;
  if (const Json* hosts = ListOf(c.root, "hosts")) {
    for (const Json& h : hosts->items) {
      const std::string id = TextOf(h, "id");
      if (id.empty()) continue;
      Names::Host host;
      if (const Json* count = h.Find("count")) {
        host.grouped = true;
        if (std::optional<int64_t> n = count->Integer(); n && *n >= 0 && *n <= kHostsMax) host.count = uint32_t(*n);
        if ((total += host.count) > kHostsMax) c.Fail(*count, Cat("hosts.", id, ".count"), Cat("found more than ", kHostsMax, " hosts in all"), "expected fewer");
      }
      const std::string runs = TextOf(h, "runs");
      host.runs_node = runs.empty() || runs == "node" || runs == "js";
      if (const Json* uplinks = h.Find("uplinks"); uplinks != nullptr && uplinks->is_object()) {
        for (size_t i = 0; i < uplinks->keys.size(); ++i) {
          host.uplinks.insert(uplinks->keys[i].text);
          if (const Json* nat = uplinks->items[i].Find("nat")) GatherBoxes(*nat, c.names.boxes);
        }
      } else {
        host.uplinks.insert("wan");
      }
      if (const Json* nat = h.Find("nat")) GatherBoxes(*nat, c.names.boxes);
      if (std::string household = TextOf(h, "household"); !household.empty() && !h.Find("lan_of")) c.names.lans.insert(household);
      const std::string path = Cat("hosts.", id);
      if (!c.names.hosts.emplace(id, std::move(host)).second) {
        c.Fail(*h.Find("id"), Cat(path, ".id"), Cat("a second host is called ", Quoted(id)), "ids are unique; \"count\" makes many of one");
      }
    }
    for (const Json& h : hosts->items) {
      std::string group, id = TextOf(h, "id");
      if (!id.empty() && c.names.IsMember(id, &group)) {
        c.Fail(*h.Find("id"), Cat("hosts.", id, ".id"), Cat(Quoted(id), " is a member of the group ", Quoted(group)), "expected another id");
      }
    }
  }
  if (const Json* lans = ListOf(c.root, "lans")) {
    for (const Json& l : lans->items) {
      if (std::string id = TextOf(l, "id"); !id.empty()) {
        if (!c.names.lans.insert(id).second) c.Fail(*l.Find("id"), Cat("lans.", id, ".id"), Cat("a second LAN is called ", Quoted(id)), "expected another id");
      }
      if (const Json* router = l.Find("router"); router != nullptr && router->Find("nat")) GatherBoxes(*router->Find("nat"), c.names.boxes);
    }
  }
  if (const Json* world = c.root.Find("world")) {
    if (const Json* links = world->Find("links"); links != nullptr && links->is_object()) {
      for (const Key& k : links->keys) c.names.links.insert(k.text);
    }
  }
  if (const Json* timeline = ListOf(c.root, "timeline")) {
    for (size_t i = 0; i < timeline->items.size(); ++i) {
      const Json& e = timeline->items[i];
      GatherPicks(e.Find("who"), c.names.picks);
      GatherPicks(e.Find("on"), c.names.picks);
      const std::string as = TextOf(e, "as"), action = TextOf(e, "do");
      if (as.empty()) continue;
      Names::EntryName name;
      name.index = i;
      const bool fault = FindFaultWord(action) != nullptr;
      name.operation = fault ? "" : action;
      name.has_end = (!action.empty() && !fault) || e.Find("for") != nullptr || action == "restart";
      if (!c.names.entries.emplace(as, name).second) {
        c.Fail(*e.Find("as"), MemberPath("timeline", e, i) + ".as", Cat("a second entry is called ", Quoted(as)), "names of entries are unique");
      }
    }
  }
  if (const Json* claims = ListOf(c.root, "claims")) {
    for (const Json& claim : claims->items) GatherPicks(claim.Find("of"), c.names.picks);
  }
}

std::optional<SelectorTerm> Context::Term(const Json& at, const std::string& path, Targets targets) {
  using K = SelectorTerm::Kind;
  if (!at.is_text()) return WrongKind(at, path, "a host's id, a group, a member, a glob or \"all\""), std::nullopt;
  const std::string& text = at.text;
  SelectorTerm t;
  t.text = text, t.place = at.place;
  if (text == "all") return t.kind = K::kAll, t;
  const bool links = targets == Targets::kLinks || targets == Targets::kInterfaces, boxes = targets == Targets::kBoxes;
  if (const size_t slash = text.find('/'); slash != text.npos && (links || boxes)) {
    t.kind = K::kUplink, t.text = text.substr(0, slash), t.uplink = text.substr(slash + 1);
    std::string group;
    const Names::Host* host = nullptr;
    if (auto it = names.hosts.find(t.text); it != names.hosts.end()) host = &it->second;
    if (names.IsMember(t.text, &group)) host = &names.hosts.at(group);
    if (host == nullptr) {
      Fail(at, path, Cat("no host or group is called ", Quoted(t.text)), Suggest(t.text, names.HostWords(), "an uplink is named HOST/UPLINK"));
      return std::nullopt;
    }
    if (!host->uplinks.contains(t.uplink)) {
      const std::vector<std::string> words(host->uplinks.begin(), host->uplinks.end());
      Fail(at, path, Cat(Quoted(t.text), " has no uplink ", Quoted(t.uplink)), Suggest(t.uplink, words, Cat("uplinks: ", ListText(words, 8))));
      return std::nullopt;
    }
    return t;
  }
  if (boxes && text.substr(0, 4) == "nat@") {
    if (names.boxes.contains(text.substr(4))) return t.kind = K::kNatBox, t;
    const std::vector<std::string> words(names.boxes.begin(), names.boxes.end());
    Fail(at, path, Cat("no shared box is called ", Quoted(text.substr(4))), Suggest(text.substr(4), words, "a host's \"nat\" makes one, as in \"cgn@telco\""));
    return std::nullopt;
  }
  if (links && names.lans.contains(text)) return t.kind = K::kLan, t;
  if (targets == Targets::kLinks && names.links.contains(text)) return t.kind = K::kLink, t;
  if (names.hosts.contains(text)) return t.kind = K::kGroup, t;
  if (names.picks.contains(text)) return t.kind = K::kPicked, t;
  if (names.IsMember(text, nullptr)) return t.kind = K::kMember, t;
  std::string group;
  if (const Names::Host* host = names.GroupOfMember(text, &group)) {
    Fail(at, path, Cat(Quoted(group), " has ", host->count, " members, ", group, "-1 to ", group, "-", host->count), Cat("found ", Quoted(text)));
    return std::nullopt;
  }
  if (text.find('*') != text.npos) {
    t.kind = K::kGlob;
    for (const auto& [id, host] : names.hosts) {
      if (!host.grouped && GlobMatches(text, id)) return t;
      for (uint32_t i = 1; host.grouped && i <= host.count; ++i) {
        if (GlobMatches(text, Cat(id, "-", i))) return t;
      }
    }
    Fail(at, path, Cat("no host matches ", Quoted(text)), Cat("hosts: ", ListText(names.HostWords(), 12)));
    return std::nullopt;
  }
  std::vector<std::string> words = names.HostWords();
  if (links) words.insert(words.end(), names.lans.begin(), names.lans.end());
  if (targets == Targets::kLinks) words.insert(words.end(), names.links.begin(), names.links.end());
  Fail(at, path, Cat("no host, group or LAN is called ", Quoted(text)), Suggest(text, words, Cat("hosts: ", ListText(names.HostWords(), 12))));
  return std::nullopt;
}

std::vector<SelectorTerm> Context::Terms(const Json& at, const std::string& path, Targets targets) {
  std::vector<SelectorTerm> out_terms;
  const std::vector<Json> single = {at};
  for (const Json& item : at.is_array() ? at.items : single) {
    if (std::optional<SelectorTerm> t = Term(item, path, targets)) out_terms.push_back(std::move(*t));
  }
  if (at.is_array() && at.items.empty()) WrongKind(at, path, "at least one host");
  return out_terms;
}

std::optional<Selector> Context::SelectorOf(const Json& at, const std::string& path, Targets targets) {
  const size_t before = errors.size();
  Selector s;
  s.place = at.place;
  s.written = at.is_text() ? at.text : at.Dump();
  if (!at.is_object()) {
    if (!at.is_text() && !at.is_array()) return WrongKind(at, path, "hosts: an id, a list, \"all\", or {\"from\": …}"), std::nullopt;
    s.terms = Terms(at, path, targets);
    return errors.size() == before ? std::optional(s) : std::nullopt;
  }
  Fields f(*this, at, path, "selector");
  if (const Json* from = f["from"]) {
    s.terms = Terms(*from, f.At("from"), Targets::kHosts);
  } else {
    s.terms = {SelectorTerm{}};
  }
  if (const Json* except = f["except"]) s.except = Terms(*except, f.At("except"), Targets::kHosts);
  if (const Json* where = f["where"]) s.where = Where(*where, f.At("where"), "", nullptr);
  if (const Json* pick = f["pick"]) {
    if (pick->is_text()) {
      if (std::optional<int64_t> ppm = Amount(*pick, f.At("pick"), Unit::kShare)) s.pick_ppm = uint32_t(*ppm);
    } else if (std::optional<uint64_t> n = Count(*pick, f.At("pick"), 1, kHostsMax)) {
      s.pick_count = uint32_t(*n);
    }
  }
  if (const Json* as = f["as"]) {
    if (std::optional<std::string> name = Name(*as, f.At("as"))) {
      s.as = *name;
      if (names.hosts.contains(*name)) Fail(*as, f.At("as"), Cat("a host is called ", Quoted(*name)), "expected a name that no host has");
      // A pick is made of what stands above it, so none is made of itself.
      for (const std::vector<SelectorTerm>* terms : {&s.terms, &s.except}) {
        for (const SelectorTerm& t : *terms) {
          if (t.kind == SelectorTerm::Kind::kPicked && !out.picks.contains(t.text)) {
            Fail(t.place, uint32_t(Width(t.text)) + 2, f.At("from"), Cat(Quoted(t.text), " is picked further down"), "expected a pick that stands above");
          }
        }
      }
      if (out.picks.contains(*name)) Fail(*as, f.At("as"), Cat("a second selector is called ", Quoted(*name)), "expected another name");
      out.picks.emplace(*name, s);
    }
  }
  return errors.size() == before ? std::optional(s) : std::nullopt;
}

}  // namespace orchard::sim
