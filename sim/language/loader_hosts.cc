// Hosts and LANs.

#include <algorithm>

#include "node/sidecar/config.h"
#include "sim/language/loader_context.h"
#include "sim/language/presets.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr int64_t kHour = 3'600'000'000'000;

// Lengths of sessions: Weibull fits of measured quantiles (IPFS servers: median 2 h, 80 % within 8 h; Mainline clients:
// median 200 min, 97 % within 9000 min). Nobody publishes the lengths of absences: those are assumed.
struct ChurnPreset {
  std::string_view name;
  int64_t k_micro, scale_ns, down_mean_ns;
};
constexpr ChurnPreset kChurns[] = {
    {"ipfs-server-2022", 608'000, kHour * 366 / 100, kHour},
    {"mainline-client", 426'000, kHour * 473 / 60, 6 * kHour},
};

Draw Faster(Draw d, int64_t by) {
  d.a /= by;
  if (d.kind == Draw::Kind::kBetween) d.b /= by;
  for (int64_t& v : d.values) v /= by;
  return d;
}

std::optional<Churn> ReadChurn(Context& c, const Json& at, const std::string& path) {
  Churn churn;
  const size_t before = c.errors.size();
  bool has_up = false, has_down = false;
  auto preset = [&](const Json& j, const std::string& p) {
    std::optional<size_t> i = c.Choice(j, p, "ipfs-server-2022 mainline-client");
    if (!i) return;
    const ChurnPreset& row = kChurns[*i];
    churn.preset = row.name;
    churn.up = {.kind = Draw::Kind::kWeibull, .a = row.scale_ns, .b = row.k_micro, .values = {}, .written = std::string(row.name), .place = j.place};
    churn.down = {.kind = Draw::Kind::kExp, .a = row.down_mean_ns, .values = {}, .written = std::string(row.name), .place = j.place};
    has_up = has_down = churn.assumed_down = churn.assumed_silent = true;
  };
  if (!at.is_object()) {
    preset(at, path);
    return c.errors.size() == before ? std::optional(churn) : std::nullopt;
  }
  Fields f(c, at, path, "churn");
  if (const Json* like = f["like"]) preset(*like, f.At("like"));
  int64_t faster = 1;
  if (const Json* j = f["faster"]) faster = int64_t(c.Count(*j, f.At("faster"), 1, 100'000).value_or(1));
  // `faster` is of the preset's lengths; those that the file states are as it states them.
  churn.up = Faster(churn.up, faster), churn.down = Faster(churn.down, faster);
  if (const Json* j = f["up"]) {
    if (std::optional<Draw> d = c.DrawOf(*j, f.At("up"), Unit::kDuration)) churn.up = *d, has_up = true;
  }
  if (const Json* j = f["down"]) {
    if (std::optional<Draw> d = c.DrawOf(*j, f.At("down"), Unit::kDuration)) churn.down = *d, has_down = true, churn.assumed_down = false;
  }
  if (const Json* j = f["silent"]) {
    if (std::optional<int64_t> v = c.Amount(*j, f.At("silent"), Unit::kShare)) churn.silent_ppm = uint32_t(*v), churn.assumed_silent = false;
  }
  if (const Json* j = f["store"]) {
    if (std::optional<size_t> i = c.Choice(*j, f.At("store"), "kept lost")) churn.store_kept = *i == 0;
  }
  if (c.errors.size() == before && (!has_up || !has_down)) {
    c.Fail(at, path, Cat("no ", has_up ? "\"down\"" : "\"up\""), "churn has both lengths, or a preset in \"like\" that gives them");
  }
  return c.errors.size() == before ? std::optional(churn) : std::nullopt;
}

// Where the configuration's word `path` stands in the file.
const Json& WordAt(const Json& config, std::string_view path, Place* key) {
  const Json* at = &config;
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    const Json* next = nullptr;
    for (size_t i = 0; at->is_object() && i < at->keys.size(); ++i) {
      if (at->keys[i].text == path.substr(0, dot)) next = &at->items[i], *key = at->keys[i].place;
    }
    if (next == nullptr) break;
    at = next;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return *at;
}

// A configuration with keys in place of "@bob", as many as bob has members: the seed, which says which, is not known yet.
Json WithSomeKeys(Context& c, const Json& at, const std::string& path) {
  Json out = at;
  for (size_t i = 0; i < out.items.size(); ++i) {
    out.items[i] = WithSomeKeys(c, at.items[i], at.is_object() ? Cat(path, ".", at.keys[i].text) : path);
  }
  if (!at.is_text() || at.text.empty() || at.text[0] != '@') return out;
  const std::optional<Reference> r = ParseReference(at.text);
  if (!CheckReference(c, at, path)) return out;
  if (r->kind != Reference::Kind::kHostKey) {
    c.Fail(at, path, Cat("found ", Quoted(at.text)), "a configuration may name a host's key, such as \"@relay\"; addresses are not known yet");
    return out;
  }
  const auto group = c.names.hosts.find(r->name);
  const Json key = Json::Text(std::string(64, '1'), at.place);
  if (group == c.names.hosts.end() || group->second.count == 1) return key;
  out = Json{};
  out.kind = Json::Kind::kArray, out.place = at.place, out.items.assign(group->second.count, key);
  return out;
}

void ReadConfig(Context& c, const Json& at, const std::string& path, HostGroup& host) {
  if (!at.is_object()) return c.WrongKind(at, path, "an object: the node's configuration");
  host.config_json = at.Dump();
  sidecar::Config config;
  std::vector<sidecar::ConfigError> errors;
  const size_t before = c.errors.size();
  const Json with_keys = WithSomeKeys(c, at, path);
  if (c.errors.size() != before) return;
  sidecar::MergeConfig(with_keys.Dump(), config, errors);
  for (const sidecar::ConfigError& e : errors) {
    Place key{};
    const Json& word = WordAt(at, e.path, &key);
    const bool of_key = e.found.find("unknown") != std::string::npos && key.line != 0;
    const size_t dot = e.path.rfind('.');
    const std::string last = dot == std::string::npos ? e.path : e.path.substr(dot + 1);
    c.Fail(of_key ? key : word.place, of_key ? uint32_t(Width(last) + 2) : CaretOf(word), Cat(path, ".", e.path), e.found, e.expected, e.hint);
  }
  for (const sidecar::ConfigKey& key : sidecar::ConfigKeys()) {
    if (!key.daemon_only) continue;
    Place place{};
    std::string_view p = key.path;
    const size_t dot = p.rfind('.');
    const Json& parent = dot == p.npos ? at : WordAt(at, p.substr(0, dot), &place);
    const Json* found = parent.Find(dot == p.npos ? p : p.substr(dot + 1));
    if (found != nullptr) c.Fail(*found, Cat(path, ".", key.path), Cat("\"", key.path, "\" is of the daemon only"), "a simulated node has no such thing");
  }
}

void ReadRuns(Context& c, const Json& at, const std::string& path, HostGroup& host) {
  if (!at.is_text()) return c.WrongKind(at, path, "\"node\", \"web\", \"js\" or \"none\"");
  if (at.text.rfind("orchard@", 0) == 0) {
    return c.Fail(at, path, Cat(Quoted(at.text), " is not in this version"), "\"runs\" is \"node\", \"web\", \"js\" or \"none\"");
  }
  std::optional<size_t> i = c.Choice(at, path, "node js none web");
  if (!i) return;
  host.runs_node = *i < 2, host.runs_js = *i == 1;
  if (*i == 3) host.web = std::make_shared<WebSpec>();
}

void ReadStarts(Context& c, const Json& at, const std::string& path, Starts& starts) {
  if (at.is_text() && at.text == "never") {
    starts.kind = Starts::Kind::kNever;
  } else if (at.is_object()) {
    if (std::optional<Draw> d = c.DrawOf(at, path, Unit::kDuration)) starts.kind = Starts::Kind::kDraw, starts.draw = *d;
  } else if (std::optional<Moment> m = c.MomentOf(at, path)) {
    starts.kind = Starts::Kind::kMoment, starts.moment = *m;
  }
}

void ReadRegion(Context& c, const Json& at, const std::string& path, HostGroup& host) {
  const Json* of = at.is_object() && at.keys.size() == 1 ? at.Find("one_of") : nullptr;
  const std::vector<Json> single = {at};
  if (of != nullptr && !of->is_array()) return c.WrongKind(*of, path, "a list of regions");
  for (const Json& j : of != nullptr ? of->items : single) {
    std::optional<std::string> name = j.is_text() ? std::optional(j.text) : std::nullopt;
    if (!name) {
      c.WrongKind(j, path, "a region, or {\"one_of\": […]}");
    } else if (!c.IsRegion(*name)) {
      const std::vector<std::string>& all = c.out.world.regions;
      std::string near = Nearest(*name, all), list = Cat("regions: ", ListText(all, 12));
      c.Fail(j, path, Cat("no region is called ", Quoted(*name)), near.empty() ? list : Cat("did you mean ", Quoted(near), "? (", list, ")"));
    } else {
      host.regions.push_back(*name);
    }
  }
}

void ReadHost(Context& c, const Json& at, size_t index) {
  Fields f(c, at, MemberPath("hosts", at, index), "host");
  if (!f.ok()) return;
  HostGroup host;
  host.place = at.place;
  if (const Json* id = f["id"]) {
    host.id = c.Name(*id, f.At("id")).value_or("");
  } else {
    c.Fail(at, f.path(), "no id", "each host has one");
  }
  if (const Json* j = f["count"]) {
    host.grouped = true;
    host.count = uint32_t(c.Count(*j, f.At("count"), 1, 100'000).value_or(1));
  }
  if (const Json* j = f["region"]) ReadRegion(c, *j, f.At("region"), host);
  if (const Json* j = f["link"]) host.link = ReadLinkChoice(c, *j, f.At("link"));
  if (const Json* j = f["nat"]) host.nat = ReadNatChoice(c, *j, f.At("nat"));
  if (const Json* j = f["mix"]) host.mix = ReadMix(c, *j, f.At("mix"));
  if (const Json* j = f["starts"]) ReadStarts(c, *j, f.At("starts"), host.starts);
  if (const Json* j = f["churn"]) host.churn = ReadChurn(c, *j, f.At("churn"));
  if (const Json* j = f["firewall"]) {
    if (std::optional<size_t> i = c.Choice(*j, f.At("firewall"), "none stateful")) host.firewall = Firewall(*i);
  }
  if (const Json* j = f["ip"]) {
    for (const std::string& family : c.TextList(*j, f.At("ip"))) {
      if (family == "v6") {
        c.Fail(*j, f.At("ip"), "\"v6\" is not in this version", "expected [\"v4\"]");
      } else if (family != "v4") {
        c.Fail(*j, f.At("ip"), Cat("found ", Quoted(family)), "expected [\"v4\"]");
      }
    }
  }
  if (const Json* j = f["runs"]) ReadRuns(c, *j, f.At("runs"), host);
  if (const Json* j = f["web"]) {
    if (host.web == nullptr) c.Fail(*j, f.At("web"), "\"web\" on a host that runs no web server", "expected \"runs\": \"web\" beside it");
    else ReadWeb(c, *j, f.At("web"), host);
  }
  if (const Json* j = f["node"]; j != nullptr && host.web != nullptr) c.Fail(*j, f.At("node"), "\"node\" on a web server", "it runs no node");
  else if (j != nullptr) ReadConfig(c, *j, f.At("node"), host);
  if (const Json* j = f["stack"]) {
    if (std::optional<size_t> i = c.Choice(*j, f.At("stack"), "fast full")) host.stack = Stack(*i);
  }
  if (const Json* j = f["uplinks"]) {
    if (!j->is_object() || j->keys.empty()) {
      c.WrongKind(*j, f.At("uplinks"), "an object of uplinks by name");
    } else {
      for (size_t i = 0; i < j->keys.size(); ++i) {
        const std::string path = Cat(f.At("uplinks"), ".", j->keys[i].text);
        Fields u(c, j->items[i], path, "uplink");
        UplinkWords words;
        words.name = j->keys[i].text;
        if (!IsName(words.name)) c.Fail(j->keys[i].place, 1, path, Cat("found ", Quoted(words.name)), "a name has letters, digits, - and _");
        if (const Json* link = u["link"]) words.link = ReadLinkChoice(c, *link, u.At("link"));
        if (const Json* nat = u["nat"]) words.nat = ReadNatChoice(c, *nat, u.At("nat"));
        if (const Json* is = u["is"]) {
          if (std::optional<size_t> k = c.Choice(*is, u.At("is"), "up down")) words.up = *k == 0;
        }
        host.uplinks.push_back(std::move(words));
      }
    }
    for (std::string_view other : {"link", "nat", "mix"}) {
      if (const Json* o = f[other]) c.Fail(*o, f.At(other), Cat("\"", other, "\" beside \"uplinks\""), "each uplink has its own link and nat");
    }
  }
  if (const Json* j = f["household"]) host.household = c.Name(*j, f.At("household")).value_or("");
  if (const Json* j = f["lan_of"]) {
    host.lan_of = uint32_t(c.Count(*j, f.At("lan_of"), 1, 1000).value_or(1));
    if (!host.grouped) c.Fail(*j, f.At("lan_of"), "\"lan_of\" on a single host", "it belongs to a group with \"count\"");
  }
  if (!host.household.empty() || host.lan_of > 0) {
    const Json* j = host.household.empty() ? f["lan_of"] : f["household"];
    if (f["uplinks"] != nullptr) c.Fail(*j, f.path(), "a household beside \"uplinks\"", "members of a household reach the world through its router");
  }
  c.out.hosts.push_back(std::move(host));
}

// The members of a household have one link and NAT, as the router has one.
void CheckHouseholds(Context& c) {
  std::map<std::string, const HostGroup*> first;
  for (const HostGroup& h : c.out.hosts) {
    if (h.household.empty() || h.lan_of > 0) continue;
    auto [it, fresh] = first.emplace(h.household, &h);
    if (fresh) continue;
    auto label = [](const HostGroup& g) {
      std::string text;
      if (g.link) text += g.link->of[0].preset;
      text += '/';
      if (g.nat) {
        for (const NatRef& r : g.nat->of[0]) text += r.spec.preset + "@" + r.shared_name + " ";
      }
      return text;
    };
    if (label(h) != label(*it->second)) {
      c.Fail(h.place, 1, Cat("hosts.", h.id), Cat("other link or NAT than ", Quoted(it->second->id), " in the household ", Quoted(h.household)),
             "the members of a household share its router's link and NAT");
    }
  }
}

}  // namespace

void ReadHosts(Context& c, const Json& hosts) {
  if (!hosts.is_array()) return c.WrongKind(hosts, "hosts", "a list of hosts");
  for (size_t i = 0; i < hosts.items.size(); ++i) ReadHost(c, hosts.items[i], i);
  CheckHouseholds(c);
}

void ReadLans(Context& c, const Json& lans) {
  if (!lans.is_array()) return c.WrongKind(lans, "lans", "a list of LANs");
  std::map<std::string, std::string> lan_of_host;
  for (size_t i = 0; i < lans.items.size(); ++i) {
    const Json& at = lans.items[i];
    Fields f(c, at, MemberPath("lans", at, i), "lan");
    if (!f.ok()) continue;
    LanWords lan;
    lan.place = at.place;
    if (const Json* id = f["id"]) {
      lan.id = c.Name(*id, f.At("id")).value_or("");
    } else {
      c.Fail(at, f.path(), "no id", "each LAN has one");
    }
    if (const Json* j = f["rate"]) lan.rate_bps = std::max<int64_t>(1, c.Amount(*j, f.At("rate"), Unit::kRate).value_or(lan.rate_bps));
    if (const Json* j = f["delay"]) lan.delay = Duration(c.Amount(*j, f.At("delay"), Unit::kDuration).value_or(lan.delay.count()));
    if (const Json* j = f["members"]) {
      lan.members = c.Terms(*j, f.At("members"), Context::Targets::kHosts);
      for (const SelectorTerm& t : lan.members) {
        if (t.kind == SelectorTerm::Kind::kPicked) c.Fail(t.place, 1, f.At("members"), Cat(Quoted(t.text), " is drawn while the scenario runs"), "members are ids");
      }
    } else {
      c.Fail(at, f.path(), "no members", "a LAN has some");
    }
    if (const Json* j = f["router"]) {
      Fields r(c, *j, f.At("router"), "router");
      lan.has_router = r.ok();
      if (const Json* link = r["link"]) lan.router_link = ReadLinkChoice(c, *link, r.At("link"));
      if (const Json* nat = r["nat"]) lan.router_nat = ReadNatChoice(c, *nat, r.At("nat"));
    }
    c.out.lans.push_back(std::move(lan));
  }
}

}  // namespace orchard::sim
