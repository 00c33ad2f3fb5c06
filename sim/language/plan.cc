#include "sim/language/plan.h"

#include <algorithm>

#include "node/base/fixed_point.h"
#include "sim/language/client_operations.h"
#include "sim/language/grammar.h"
#include "sim/language/identity.h"
#include "sim/language/presets.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr uint64_t kMillion = 1'000'000;
constexpr int kCyclesSampled = 64;  // Enough sessions that the point drawn in them is met as an outsider would meet it.

// An index by weights that sum to about a million.
size_t Weighted(const std::vector<uint32_t>& weights, Rng& rng) {
  uint64_t sum = 0;
  for (uint32_t w : weights) sum += w;
  uint64_t at = rng.Below(std::max<uint64_t>(sum, 1));
  for (size_t i = 0; i < weights.size(); ++i) {
    if (at < weights[i]) return i;
    at -= weights[i];
  }
  return weights.size() - 1;
}

std::string NatLabel(const std::vector<NatRef>& chain) {
  std::string out;
  for (const NatRef& box : chain) out += Cat(out.empty() ? "" : "+", box.spec.preset);
  return out.empty() ? "open" : out;
}

const LinkSpec& DefaultLink() {
  static const LinkSpec* const kLink = new LinkSpec(FindLinkPreset("datacenter")->spec());
  return *kLink;
}

class Expander {
 public:
  Expander(const Scenario& s, uint64_t seed) : s_(s), seed_(seed) {}

  Plan Run() {
    World();
    for (const HostGroup& group : s_.hosts) {
      Tally tally;
      for (uint32_t i = 1; i <= group.count; ++i) Host(group, group.grouped ? Cat(group.id, "-", i) : group.id, i, tally);
      if (group.mix) Note(group, tally);
      if (group.churn) NoteChurn(group);
    }
    Lans();
    Configs();
    for (const auto& [as, selector] : s_.picks) plan_.picked[as] = HostsOf(selector, s_, plan_);
    return std::move(plan_);
  }

 private:
  struct Tally {
    std::vector<uint32_t> classes;
    std::map<std::string, uint32_t> links;
    bool regions_drawn = false;
  };

  Rng Stream(std::string_view host, std::string_view purpose) const { return Rng::Named(seed_, host, purpose); }

  void World() {
    WorldPlan& w = plan_.world;
    w.seed = seed_;
    w.latency = s_.world.latency, w.latency_default = s_.world.latency_default;
    if (s_.world.latency_default.count() > 0) {  // "20ms": everywhere.
      for (const std::string& a : s_.world.regions) {
        for (const std::string& b : s_.world.regions) w.latency[{a, b}] = s_.world.latency_default;
      }
    }
    w.jitter_ppm = s_.world.jitter_ppm, w.jitter = s_.world.jitter;
    w.loss_ppm = s_.world.loss_ppm, w.hops = s_.world.hops;
    w.bottlenecks = {};
    for (const auto& [name, link] : s_.world.links) {
      if (!link.shares.empty()) AddBottleneck(link.shares);
    }
  }
  void AddBottleneck(const std::string& name) {
    if (auto it = s_.world.links.find(name); it != s_.world.links.end()) plan_.world.bottlenecks.emplace(name, it->second);
  }

  // A link and NAT as the host states them, or as its class of the mix has them.
  LinkSpec Link(const std::optional<LinkChoice>& own, const MixClass* drawn, std::string_view id, std::string_view purpose) {
    const LinkChoice* choice = own ? &*own : drawn != nullptr && drawn->link ? &*drawn->link : nullptr;
    if (choice == nullptr) return DefaultLink();
    if (choice->of.size() == 1) return choice->of[0];
    Rng rng = Stream(id, purpose);
    const bool weights = !own && !drawn->link_ppm.empty();
    LinkSpec link = choice->of[weights ? Weighted(drawn->link_ppm, rng) : rng.Below(choice->of.size())];
    return link;
  }
  std::vector<NatRef> Nat(const std::optional<NatChoice>& own, const MixClass* drawn, std::string_view id, std::string_view purpose) {
    const NatChoice* choice = own ? &*own : drawn != nullptr && drawn->nat ? &*drawn->nat : nullptr;
    if (choice == nullptr) return {};
    std::vector<NatRef> chain = choice->of[0];
    if (choice->of.size() > 1) {
      Rng rng = Stream(id, purpose);
      chain = choice->of[rng.Below(choice->of.size())];
    }
    if (!own && drawn->hairpin_ppm > 0 && !chain.empty()) {
      Rng rng = Stream(id, "hairpin");
      chain[0].spec.hairpin = rng.Chance(drawn->hairpin_ppm, kMillion);
    }
    return chain;
  }

  void Host(const HostGroup& group, const std::string& id, uint32_t number, Tally& tally) {
    // What the members of a household share is drawn once, by the household's name.
    const std::string household = group.lan_of > 0 ? Cat(group.household.empty() ? group.id + "-lan" : group.household, "-", (number - 1) / group.lan_of + 1)
                                                   : group.household;
    const std::string& source = household.empty() ? id : household;
    HostPlan host;
    host.id = id, host.group = group.id;
    host.region = Region(group, source, tally);
    const MixClass* drawn = nullptr;
    if (group.mix) {
      std::vector<uint32_t> shares;
      for (const MixClass& m : group.mix->classes) shares.push_back(m.share_ppm);
      Rng rng = Stream(source, "mix");
      const size_t i = Weighted(shares, rng);
      drawn = &group.mix->classes[i];
      tally.classes.resize(shares.size());
      ++tally.classes[i];
    }
    host.firewall = group.firewall ? *group.firewall : drawn != nullptr ? drawn->firewall : Firewall::kNone;
    host.stack = group.stack.value_or(Stack::kFast);
    host.runs_node = group.runs_node, host.runs_js = group.runs_js, host.web = group.web;
    host.config_json = group.config_json;
    if (!group.uplinks.empty()) {
      for (const UplinkWords& words : group.uplinks) {
        UplinkPlan uplink;
        uplink.name = words.name, uplink.up = words.up;
        uplink.link = Link(words.link, nullptr, id, Cat("link ", words.name));
        uplink.nat = Nat(words.nat, nullptr, id, Cat("nat ", words.name));
        host.uplinks.push_back(std::move(uplink));
      }
      host.nat_label = NatLabel(host.uplinks[0].nat);
    } else {
      UplinkPlan uplink;
      uplink.link = Link(group.link, drawn, source, "link");
      uplink.nat = Nat(group.nat, drawn, source, "nat");
      host.nat_label = NatLabel(uplink.nat);
      if (group.mix && !group.link) ++tally.links[uplink.link.preset];
      if (household.empty()) {
        host.uplinks.push_back(std::move(uplink));
      } else {
        host.lan = household;
        host.link_label = uplink.link.preset;
        Household(household, host.region, std::move(uplink));
      }
    }
    for (const UplinkPlan& u : host.uplinks) {
      if (!u.link.shares.empty()) AddBottleneck(u.link.shares);
    }
    Life(group, id);
    plan_.world.hosts.push_back(std::move(host));
  }

  std::string Region(const HostGroup& group, std::string_view source, Tally& tally) {
    if (group.regions.size() == 1) return group.regions[0];
    Rng rng = Stream(source, "region");
    if (!group.regions.empty()) return group.regions[rng.Below(group.regions.size())];
    std::vector<uint32_t> weights;
    for (const std::string& name : s_.world.regions) {
      uint32_t weight = 0;
      for (const sim::Region& r : Regions()) {
        if (r.name == name) weight = r.weight_ppm;
      }
      weights.push_back(weight);
    }
    if (std::all_of(weights.begin(), weights.end(), [](uint32_t w) { return w == 0; })) std::fill(weights.begin(), weights.end(), 1u);
    tally.regions_drawn = true;
    return s_.world.regions[Weighted(weights, rng)];
  }

  void Household(const std::string& id, const std::string& region, UplinkPlan uplink) {
    for (const LanPlan& lan : plan_.world.lans) {
      if (lan.id == id) return;
    }
    if (!uplink.link.shares.empty()) AddBottleneck(uplink.link.shares);
    plan_.world.lans.push_back(LanPlan{.id = id, .router = std::move(uplink), .region = region});
  }

  void Lans() {
    for (const LanWords& words : s_.lans) {
      LanPlan lan{.id = words.id, .rate_bps = words.rate_bps, .delay = words.delay, .router = std::nullopt, .region = {}};
      Selector members;
      members.terms = words.members;
      for (uint32_t h : HostsOf(members, s_, plan_)) {
        HostPlan& host = plan_.world.hosts[h];
        host.lan = words.id;
        if (lan.region.empty()) lan.region = host.region;
        // Its own uplinks come first; a host that states none of its own lives behind the LAN alone.
        if (!StatesAWay(host.group)) {
          host.uplinks.clear();
          host.nat_label = words.has_router ? NatLabel(words.router_nat ? words.router_nat->of[0] : std::vector<NatRef>{}) : "none";
          host.link_label = words.has_router ? (words.router_link ? words.router_link->of[0] : DefaultLink()).preset : "lan";
        }
      }
      if (words.has_router) {
        UplinkPlan uplink;
        uplink.link = Link(words.router_link, nullptr, words.id, "link");
        uplink.nat = Nat(words.router_nat, nullptr, words.id, "nat");
        lan.router = std::move(uplink);
      }
      plan_.world.lans.push_back(std::move(lan));
    }
  }
  // What a configuration says of keys: seeds first, because they make the keys that "@bob" means.
  void Configs() {
    std::map<std::string_view, Json> with_keys;  // By group.
    for (const HostGroup& g : s_.hosts) {
      JsonError ignored;
      std::optional<Json> config = ParseJson(g.config_json, 0, ignored);
      const Json* seed = config ? config->Find("seed") : nullptr;
      for (HostPlan& h : plan_.world.hosts) {
        if (h.group == g.id && seed != nullptr && seed->is_text() && seed->text[0] != '@') h.seed_hex = seed->text;
      }
      if (g.config_json.find("\"@") != std::string::npos) with_keys[g.id] = std::move(*config);
    }
    for (auto& [id, config] : with_keys) {
      const Json known = WithHostKeys(config, seed_, plan_.world.hosts);
      const std::string text = known.Dump();
      const Json* seed = known.Find("seed");
      for (HostPlan& h : plan_.world.hosts) {
        if (h.group != id) continue;
        h.config_json = text;
        if (seed != nullptr && seed->is_text()) h.seed_hex = seed->text;
      }
    }
  }
  bool StatesAWay(std::string_view group) const {
    for (const HostGroup& g : s_.hosts) {
      if (g.id == group) return g.link || g.nat || g.mix || !g.uplinks.empty();
    }
    return false;
  }

  void Life(const HostGroup& group, const std::string& id) {
    HostLife life;
    using K = Starts::Kind;
    switch (group.starts.kind) {
      case K::kUnset: break;
      case K::kNever: life.start = HostLife::Start::kNever; break;
      case K::kMoment:
        life.start = group.starts.moment.kind == Moment::Kind::kTime ? HostLife::Start::kAt : HostLife::Start::kMoment;
        life.at = group.starts.moment.offset, life.moment = group.starts.moment;
        break;
      case K::kDraw: {
        Rng rng = Stream(id, "starts");
        life.at = Duration(std::max<int64_t>(0, Sample(group.starts.draw, rng)));
        break;
      }
    }
    if (group.churn) {
      life.churns = true, life.churn = *group.churn;
      Rng rng = Stream(id, "churn begin");
      if (group.starts.kind == K::kUnset) {
        MeetInMidSession(life, rng);
      } else {
        life.first_change = Duration(std::max<int64_t>(1, Sample(life.churn.up, rng)));
      }
    }
    plan_.lives.push_back(std::move(life));
  }

  // A moment drawn evenly over many cycles: long sessions are met more often, and in their middle.
  static void MeetInMidSession(HostLife& life, Rng& rng) {
    std::vector<int64_t> spans;
    __int128 total = 0;
    for (int i = 0; i < kCyclesSampled; ++i) {
      for (const Draw* d : {&life.churn.up, &life.churn.down}) {
        spans.push_back(std::clamp<int64_t>(Sample(*d, rng), 1, INT64_MAX / (4 * kCyclesSampled)));
        total += spans.back();
      }
    }
    int64_t at = int64_t(rng.Below(uint64_t(total)));
    for (size_t i = 0; i < spans.size(); ++i) {
      if (at < spans[i]) {
        life.churn_starts_up = i % 2 == 0, life.first_change = Duration(spans[i] - at);
        return;
      }
      at -= spans[i];
    }
  }

  static std::string Percent(uint64_t parts, uint64_t whole) { return Cat(Decimal(int64_t(parts * 100 * kMillion / std::max<uint64_t>(whole, 1)), 1), " %"); }

  void Note(const HostGroup& group, const Tally& tally) {
    const Mix& mix = *group.mix;
    for (size_t i = 0; i < mix.classes.size(); ++i) {
      const MixClass& m = mix.classes[i];
      if (!m.assumed) continue;
      const uint32_t n = i < tally.classes.size() ? tally.classes[i] : 0;
      plan_.assumed.push_back({Cat(group.id, ": shares of ", mix.name), Percent(m.share_ppm, kMillion), Cat(n, " of ", group.count, " (", Percent(n, group.count), ")"), m.says,
                               m.share_ppm, n, group.count});
    }
    std::string links;
    for (const auto& [name, n] : tally.links) links += Cat(links.empty() ? "" : ", ", name, " ", n);
    if (FindMixPreset(mix.name) != nullptr && !links.empty()) {
      plan_.assumed.push_back({Cat(group.id, ": ", mix.name, ", links of each class"), "homes cable 50 %, fiber 25 %, dsl 25 %; mobile lte; open datacenter, fiber by halves", links});
    }
  }
  void NoteChurn(const HostGroup& group) {
    const Churn& c = *group.churn;
    if (c.assumed_down) plan_.assumed.push_back({Cat(group.id, ": ", c.preset, ", absences"), Cat("exponential, mean ", TimeText(Duration(c.down.a))), ""});
    if (c.assumed_silent) plan_.assumed.push_back({Cat(group.id, ": ", c.preset, ", departures without goodbye"), Percent(c.silent_ppm, kMillion), ""});
  }

  const Scenario& s_;
  const uint64_t seed_;
  Plan plan_;
};

}  // namespace

int64_t Sample(const Draw& d, Rng& rng) {
  const auto micro = [](int64_t v) { return RatioQ32(v, 1'000'000); };
  switch (d.kind) {
    case Draw::Kind::kFixed: return d.a;
    case Draw::Kind::kBetween: return DrawUniform(rng, d.a, d.b);
    case Draw::Kind::kExp: return DrawExponential(rng, d.a);
    case Draw::Kind::kWeibull: return DrawWeibull(rng, micro(d.b), d.a);
    case Draw::Kind::kLognormal: return DrawLognormal(rng, d.a, micro(d.b));
    case Draw::Kind::kOneOf: return d.values[rng.Below(d.values.size())];
  }
  return d.a;
}

Plan Expand(const Scenario& scenario, uint64_t seed) {
  Plan plan = Expander(scenario, seed).Run();
  for (const Entry& e : scenario.timeline) {
    plan.lies = plan.lies || (e.act == Entry::Act::kFault && e.fault.kind == FaultKind::kMisbehave);
    if (!e.who || FindClientOperation(e.action) == nullptr) continue;
    for (uint32_t h : HostsOf(*e.who, scenario, plan)) plan.world.hosts[h].clients = true;
  }
  return plan;
}

}  // namespace orchard::sim
