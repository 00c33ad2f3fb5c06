// The world: latency, links, NATs, mixes.

#include <algorithm>

#include "sim/language/loader_context.h"
#include "sim/language/presets.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

// A box that forgets more often than packets travel connects nobody, and costs an event each time.
constexpr Duration kRemapEveryMin = std::chrono::milliseconds(10);

constexpr size_t kChainMax = 8;    // Boxes one behind the other; more have never been seen.
constexpr uint8_t kHopsMax = 60;

template <class List>
std::vector<std::string> NamesOf(const List& list) {
  std::vector<std::string> out;
  for (const auto& x : list) out.emplace_back(x.name);
  return out;
}
template <class Map>
std::vector<std::string> KeysOf(const Map& map) {
  std::vector<std::string> out;
  for (const auto& [key, value] : map) out.push_back(key);
  return out;
}

// 'no NAT is called "x"; did you mean "y"? (presets: …; defined in this file: …)'.
void FailPreset(Context& c, const Json& at, const std::string& path, std::string_view what, std::string_view name,
                std::vector<std::string> presets, std::vector<std::string> own) {
  std::vector<std::string> all = presets;
  all.insert(all.end(), own.begin(), own.end());
  std::string near = Nearest(name, all);
  std::string lists = Cat("presets: ", ListText(presets, 12), own.empty() ? "" : Cat("; defined in this file: ", ListText(own, 12)));
  c.Fail(at, path, Cat("no ", what, " is called ", Quoted(name)), near.empty() ? lists : Cat("did you mean ", Quoted(near), "? (", lists, ")"));
}

// True if the file defines that name, but wrongly: it has been said.
bool IsBroken(const Context& c, std::string_view map, const std::string& name) {
  const Json* world = c.root.Find("world");
  const Json* of = world == nullptr ? nullptr : world->Find(map);
  return !c.errors.empty() && of != nullptr && of->Find(name) != nullptr;
}

std::optional<LinkSpec> NamedLink(Context& c, const Json& at, const std::string& path, const std::string& name) {
  if (auto own = c.out.world.links.find(name); own != c.out.world.links.end()) return own->second;
  if (const LinkPreset* preset = FindLinkPreset(name)) return preset->spec();
  if (IsBroken(c, "links", name)) return std::nullopt;
  FailPreset(c, at, path, "link", name, NamesOf(LinkPresets()), KeysOf(c.out.world.links));
  return std::nullopt;
}

std::optional<NatSpec> NamedNat(Context& c, const Json& at, const std::string& path, const std::string& name) {
  if (auto own = c.out.world.nats.find(name); own != c.out.world.nats.end()) return own->second;
  if (const NatPreset* preset = FindNatPreset(name)) return preset->spec();
  if (IsBroken(c, "nats", name)) return std::nullopt;
  FailPreset(c, at, path, "NAT", name, NamesOf(NatPresets()), KeysOf(c.out.world.nats));
  return std::nullopt;
}

std::optional<LinkSpec> ReadLink(Context& c, const Json& at, const std::string& path, std::string_view name) {
  const size_t before = c.errors.size();
  Fields f(c, at, path, "link");
  if (!f.ok()) return std::nullopt;
  LinkSpec s;
  if (const Json* like = f["like"]) {
    if (std::optional<std::string> t = c.Text(*like, f.At("like"))) {
      if (std::optional<LinkSpec> base = NamedLink(c, *like, f.At("like"), *t)) s = *base;
    }
  } else {
    s = FindLinkPreset("datacenter")->spec();
  }
  if (!name.empty()) s.preset = name;
  auto amount = [&](std::string_view word, Unit unit, auto set) {
    if (const Json* j = f[word]) {
      if (std::optional<int64_t> v = c.Amount(*j, f.At(word), unit)) set(*v);
    }
  };
  auto rate = [&](std::string_view word, auto set) {
    if (const Json* j = f[word]) {
      std::optional<int64_t> v = c.Amount(*j, f.At(word), Unit::kRate);
      if (v && *v <= 0) c.WrongKind(*j, f.At(word), "a rate above 0");
      else if (v) set(*v);
    }
  };
  rate("rate", [&](int64_t v) { s.down_bps = s.up_bps = v; });
  rate("down", [&](int64_t v) { s.down_bps = v; });
  rate("up", [&](int64_t v) { s.up_bps = v; });
  amount("delay", Unit::kDuration, [&](int64_t v) { s.delay = Duration(v); });
  amount("jitter", Unit::kDuration, [&](int64_t v) { s.jitter = Duration(v); });
  amount("loss", Unit::kShare, [&](int64_t v) { s.loss_ppm = uint32_t(v); });
  amount("queue", Unit::kDuration, [&](int64_t v) { s.queue = Duration(v); });
  if (const Json* mtu = f["mtu"]) {
    // 576: what every IPv4 host takes (RFC 791); 9000: jumbo frames.
    if (std::optional<uint64_t> n = c.Count(*mtu, f.At("mtu"), 576, 9000)) s.mtu = uint32_t(*n);
  }
  if (const Json* shares = f["shares"]) {
    std::optional<std::string> t = c.Text(*shares, f.At("shares"));
    if (t && !c.names.links.contains(*t)) {
      const std::vector<std::string> own(c.names.links.begin(), c.names.links.end());
      c.Fail(*shares, f.At("shares"), Cat("no link of this file is called ", Quoted(*t)), c.Suggest(*t, own, "a bottleneck is a link of world.links"));
    } else if (t && *t == name) {
      c.Fail(*shares, f.At("shares"), "the link feeds through itself", "expected another link of world.links");
    } else if (t) {
      s.shares = *t;
    }
  }
  return c.errors.size() == before ? std::optional(s) : std::nullopt;
}

std::optional<NatSpec> ReadNat(Context& c, const Json& at, const std::string& path, std::string_view name) {
  const size_t before = c.errors.size();
  Fields f(c, at, path, "nat");
  if (!f.ok()) return std::nullopt;
  NatSpec s;
  if (const Json* like = f["like"]) {
    std::optional<std::string> t = c.Text(*like, f.At("like"));
    if (t && *t == "open") {
      c.Fail(*like, f.At("like"), "\"open\" is no box", "expected a NAT to change; an open host has \"nat\": \"open\"");
    } else if (t) {
      if (std::optional<NatSpec> base = NamedNat(c, *like, f.At("like"), *t)) s = *base;
    }
  }
  if (!name.empty()) s.preset = name;
  auto choice = [&](std::string_view word, std::string_view choices, auto set) {
    if (const Json* j = f[word]) {
      if (std::optional<size_t> i = c.Choice(*j, f.At(word), choices)) set(*i);
    }
  };
  auto duration = [&](std::string_view word, Duration& to) {
    if (const Json* j = f[word]) {
      if (std::optional<int64_t> v = c.Amount(*j, f.At(word), Unit::kDuration)) to = Duration(*v);
    }
  };
  constexpr std::string_view kDependence = "endpoint-independent address-dependent address-and-port-dependent";
  choice("mapping", kDependence, [&](size_t i) { s.mapping = Dependence(i); });
  choice("filtering", kDependence, [&](size_t i) { s.filtering = Dependence(i); });
  choice("ports", "preserve sequential random block", [&](size_t i) { s.ports = PortChoice(i); });
  duration("idle", s.idle), duration("idle_first", s.idle_first), duration("life", s.life), duration("remap_every", s.remap_every);
  if (const Json* j = f["remap_every"]; j != nullptr && s.remap_every > Duration::zero() && s.remap_every < kRemapEveryMin) {
    c.WrongKind(*j, f.At("remap_every"), Cat("at least ", kRemapEveryMin / std::chrono::milliseconds(1), "ms, or 0s for never"));
  }
  if (f["idle"] != nullptr && f["idle_first"] == nullptr) s.idle_first = std::min(s.idle_first, s.idle);
  choice("refresh", "outbound both", [&](size_t i) { s.refresh_inbound = i == 1; });
  if (const Json* j = f["hairpin"]) {
    if (std::optional<bool> b = c.Bool(*j, f.At("hairpin"))) s.hairpin = *b;
  }
  auto count = [&](std::string_view word, uint64_t least, uint64_t most, uint32_t& to) {
    if (const Json* j = f[word]) {
      if (std::optional<uint64_t> n = c.Count(*j, f.At(word), least, most)) to = uint32_t(*n);
    }
  };
  count("max_mappings", 1, 1'000'000, s.max_mappings);
  choice("when_full", "refuse evict", [&](size_t i) { s.when_full = WhenFull(i); });
  count("pool", 1, 64, s.pool);
  count("block_ports", 1, 64'512, s.block_ports);
  if (s.idle.count() <= 0 || s.idle_first.count() <= 0) c.Fail(at, path, "an idle life of 0", "expected \"idle\" and \"idle_first\" above 0");
  return c.errors.size() == before ? std::optional(s) : std::nullopt;
}

std::optional<NatRef> ReadBox(Context& c, const Json& at, const std::string& path, bool& open) {
  open = false;
  if (at.is_object()) {
    std::optional<NatSpec> s = ReadNat(c, at, path, "");
    return s ? std::optional(NatRef{*s, ""}) : std::nullopt;
  }
  if (!at.is_text()) return c.WrongKind(at, path, "a NAT's name, {\"like\": …}, or a list of them, nearest first"), std::nullopt;
  const size_t sign = at.text.find('@');
  const std::string name = at.text.substr(0, sign), shared = sign == std::string::npos ? "" : at.text.substr(sign + 1);
  if (sign != std::string::npos && !IsName(shared)) {
    return c.Fail(at, path, Cat("found ", Quoted(at.text)), "a shared box is named PRESET@NAME"), std::nullopt;
  }
  std::optional<NatSpec> s = NamedNat(c, at, path, name);
  if (!s) return std::nullopt;
  open = name == "open";
  if (open && !shared.empty()) return c.Fail(at, path, "\"open\" is no box", "expected a NAT before the @"), std::nullopt;
  return NatRef{*s, shared};
}

std::optional<std::vector<NatRef>> ReadChain(Context& c, const Json& at, const std::string& path) {
  std::vector<NatRef> chain;
  const std::vector<Json> single = {at};
  const std::vector<Json>& items = at.is_array() ? at.items : single;
  if (items.size() > kChainMax) return c.Fail(at, path, Cat("found a chain of ", items.size()), Cat("at most ", kChainMax, " boxes")), std::nullopt;
  for (const Json& item : items) {
    bool open = false;
    std::optional<NatRef> box = ReadBox(c, item, path, open);
    if (!box) return std::nullopt;
    if (open && items.size() > 1) return c.Fail(item, path, "\"open\" is no box", "a chain has NATs only"), std::nullopt;
    if (!open) chain.push_back(std::move(*box));
  }
  return chain;
}

// The alternatives of {"one_of": […]}, or the one.
std::vector<const Json*> Alternatives(const Json& at) {
  std::vector<const Json*> out;
  const Json* of = at.is_object() && at.keys.size() == 1 ? at.Find("one_of") : nullptr;
  if (of == nullptr || !of->is_array()) return {&at};
  for (const Json& item : of->items) out.push_back(&item);
  return out;
}

void ReadLatency(Context& c, const Json& at) {
  WorldWords& w = c.out.world;
  if (at.is_text()) {
    if (auto preset = LatencyPreset(at.text)) {
      w.latency = std::move(*preset), w.latency_name = at.text;
      w.latency_default = Duration(0);
      return;
    }
    if (!at.text.empty() && (at.text[0] < '0' || at.text[0] > '9')) {
      FailPreset(c, at, "world.latency", "table of latencies", at.text, {"world-8", "world-8-slow"}, {});
      return;
    }
  }
  if (!at.is_object()) {
    if (std::optional<int64_t> v = c.Amount(at, "world.latency", Unit::kDuration)) w.latency_default = Duration(*v), w.latency_name = at.text;
    return;
  }
  w.latency_name = "table", w.latency.clear();
  std::vector<std::string> own;
  auto add = [&](const std::string& region) {
    if (std::find(own.begin(), own.end(), region) == own.end()) own.push_back(region);
  };
  for (size_t i = 0; i < at.keys.size(); ++i) {
    const std::string path = Cat("world.latency.", at.keys[i].text);
    add(at.keys[i].text);
    if (!at.items[i].is_object()) {
      c.WrongKind(at.items[i], path, "an object of regions and durations, such as {\"us-east\": \"45ms\"}");
      continue;
    }
    for (size_t k = 0; k < at.items[i].keys.size(); ++k) {
      const std::string &a = at.keys[i].text, &b = at.items[i].keys[k].text;
      add(b);
      std::optional<int64_t> v = c.Amount(at.items[i].items[k], Cat(path, ".", b), Unit::kDuration);
      if (!v) continue;
      auto [it, fresh] = w.latency.emplace(std::pair(a, b), Duration(*v));
      if (!fresh && it->second != Duration(*v)) {
        c.Fail(at.items[i].items[k], Cat(path, ".", b), Cat("a second latency between ", a, " and ", b), "one is enough: both directions are the same");
      }
      w.latency[{b, a}] = Duration(*v);
    }
  }
  for (const std::string& a : own) w.latency.emplace(std::pair(a, a), kInsideRegion);
  for (const std::string& a : own) {
    for (const std::string& b : own) {
      if (!w.latency.contains({a, b})) c.Fail(at, "world.latency", Cat("no latency between ", a, " and ", b), "expected one for each pair of regions");
    }
  }
  w.regions = own;
}

std::optional<Mix> PresetMix(Context& c, const MixPreset& preset) {
  Mix mix;
  mix.name = preset.name;
  for (const MixPart& part : preset.parts) {
    MixClass m;
    m.says = part.says, m.share_ppm = part.share_ppm, m.assumed = part.assumed;
    m.hairpin_ppm = part.hairpin_ppm, m.firewall = part.firewall;
    std::vector<NatRef> chain;
    for (std::string_view name : part.nat) {
      auto own = c.out.world.nats.find(std::string(name));  // A file may redefine a preset.
      chain.push_back({own != c.out.world.nats.end() ? own->second : FindNatPreset(name)->spec(), ""});
    }
    m.nat = NatChoice{{chain}};
    LinkChoice links;
    for (const MixLink& link : part.links) {
      auto own = c.out.world.links.find(std::string(link.link));
      links.of.push_back(own != c.out.world.links.end() ? own->second : FindLinkPreset(link.link)->spec());
      m.link_ppm.push_back(link.share_ppm);
    }
    m.link = std::move(links);
    mix.classes.push_back(std::move(m));
  }
  return mix;
}

std::optional<Mix> OwnMix(Context& c, const Json& at, const std::string& path, std::string_view name) {
  const size_t before = c.errors.size();
  Mix mix;
  mix.name = name;
  if (!at.is_array() || at.items.empty()) return c.WrongKind(at, path, "a list of classes, each with a share"), std::nullopt;
  int64_t sum = 0;
  for (size_t i = 0; i < at.items.size(); ++i) {
    Fields f(c, at.items[i], Cat(path, "[", i, "]"), "mix");
    if (!f.ok()) continue;
    MixClass m;
    if (const Json* share = f["share"]) {
      if (std::optional<int64_t> v = c.Amount(*share, f.At("share"), Unit::kShare)) m.share_ppm = uint32_t(*v);
    } else {
      c.Fail(at.items[i], f.path(), "no share", "each class of a mix has one");
    }
    sum += m.share_ppm;
    if (const Json* nat = f["nat"]) m.nat = ReadNatChoice(c, *nat, f.At("nat"));
    if (const Json* link = f["link"]) m.link = ReadLinkChoice(c, *link, f.At("link"));
    if (const Json* fw = f["firewall"]) {
      if (std::optional<size_t> k = c.Choice(*fw, f.At("firewall"), "none stateful")) m.firewall = Firewall(*k);
    }
    if (const Json* says = f["says"]) m.says = c.Text(*says, f.At("says")).value_or("");
    mix.classes.push_back(std::move(m));
  }
  // Rounded thirds may miss by a few millionths.
  if (c.errors.size() == before && (sum < 999'990 || sum > 1'000'010)) c.Fail(at, path, Cat("the shares sum to ", Decimal(sum, 6)), "expected 1");
  if (c.errors.size() != before) return std::nullopt;
  mix.classes.back().share_ppm += uint32_t(1'000'000 - sum);
  return mix;
}

}  // namespace

std::optional<LinkChoice> ReadLinkChoice(Context& c, const Json& at, const std::string& path) {
  LinkChoice out;
  for (const Json* j : Alternatives(at)) {
    std::optional<LinkSpec> s;
    if (j->is_object()) {
      s = ReadLink(c, *j, path, "");
    } else if (j->is_text()) {
      s = NamedLink(c, *j, path, j->text);
    } else {
      c.WrongKind(*j, path, "a link's name, or {\"like\": …}");
    }
    if (!s) return std::nullopt;
    out.of.push_back(std::move(*s));
  }
  if (out.of.empty()) return c.WrongKind(at, path, "at least one alternative"), std::nullopt;
  return out;
}

std::optional<NatChoice> ReadNatChoice(Context& c, const Json& at, const std::string& path) {
  NatChoice out;
  for (const Json* j : Alternatives(at)) {
    std::optional<std::vector<NatRef>> chain = ReadChain(c, *j, path);
    if (!chain) return std::nullopt;
    out.of.push_back(std::move(*chain));
  }
  if (out.of.empty()) return c.WrongKind(at, path, "at least one alternative"), std::nullopt;
  return out;
}

std::optional<Mix> ReadMix(Context& c, const Json& at, const std::string& path) {
  if (!at.is_text()) return c.WrongKind(at, path, "a mix's name"), std::nullopt;
  if (auto own = c.out.world.mixes.find(at.text); own != c.out.world.mixes.end()) return own->second;
  if (const MixPreset* preset = FindMixPreset(at.text)) return PresetMix(c, *preset);
  if (IsBroken(c, "mixes", at.text)) return std::nullopt;
  FailPreset(c, at, path, "mix", at.text, NamesOf(MixPresets()), KeysOf(c.out.world.mixes));
  return std::nullopt;
}

void ReadWorld(Context& c, const Json& at) {
  WorldWords& w = c.out.world;
  Fields f(c, at, "world", "world");
  if (const Json* j = f["latency"]) ReadLatency(c, *j);
  if (const Json* j = f["jitter"]) {
    if (j->is_text() && !j->text.empty() && j->text.back() != '%') {
      if (std::optional<int64_t> v = c.Amount(*j, "world.jitter", Unit::kDuration)) w.jitter = Duration(*v);
    } else if (std::optional<int64_t> v = c.Amount(*j, "world.jitter", Unit::kShare)) {
      w.jitter_ppm = uint32_t(*v);
    }
  }
  if (const Json* j = f["loss"]) {
    if (std::optional<int64_t> v = c.Amount(*j, "world.loss", Unit::kShare)) w.loss_ppm = uint32_t(*v);
  }
  if (const Json* j = f["hops"]) {
    if (std::optional<uint64_t> n = c.Count(*j, "world.hops", 1, kHopsMax)) w.hops = uint8_t(*n), w.hops_stated = true;
  }
  auto each = [&](std::string_view word, auto read) {
    const Json* map = f[word];
    if (map == nullptr) return;
    if (!map->is_object()) return c.WrongKind(*map, f.At(word), "an object of names");
    for (size_t i = 0; i < map->keys.size(); ++i) {
      const std::string path = Cat("world.", word, ".", map->keys[i].text);
      if (!IsName(map->keys[i].text)) {
        c.Fail(map->keys[i].place, CaretOf(Json::Text(map->keys[i].text)), path, Cat("found ", Quoted(map->keys[i].text)), "a name has letters, digits, - and _");
        continue;
      }
      read(map->keys[i].text, map->items[i], path);
    }
  };
  // In file order: a `like` names a preset or what stands above.
  each("links", [&](const std::string& name, const Json& j, const std::string& path) {
    if (std::optional<LinkSpec> s = ReadLink(c, j, path, name)) w.links[name] = *s;
  });
  each("nats", [&](const std::string& name, const Json& j, const std::string& path) {
    if (std::optional<NatSpec> s = ReadNat(c, j, path, name)) w.nats[name] = *s;
  });
  each("mixes", [&](const std::string& name, const Json& j, const std::string& path) {
    if (std::optional<Mix> m = OwnMix(c, j, path, name)) w.mixes[name] = *m;
  });
}

}  // namespace orchard::sim
