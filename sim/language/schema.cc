#include "sim/language/schema.h"

#include <vector>

#include "node/sidecar/config.h"
#include "node/sidecar/operations.h"
#include "sim/language/client_operations.h"
#include "sim/language/grammar.h"
#include "sim/language/grammar_words.h"
#include "sim/language/metrics_table.h"
#include "sim/language/presets.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

// A JSON value under construction; order is kept.
using Pairs = std::vector<std::pair<std::string, std::string>>;
std::string Object(const Pairs& pairs) {
  std::string out;
  for (const auto& [key, value] : pairs) out += Cat(out.empty() ? "" : ",", QuoteJson(key), ":", value);
  return Cat("{", out, "}");
}
std::string List(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& v : values) out += Cat(out.empty() ? "" : ",", v);
  return Cat("[", out, "]");
}
std::string Texts(const std::vector<std::string>& texts) {
  std::vector<std::string> quoted;
  for (const std::string& t : texts) quoted.push_back(QuoteJson(t));
  return List(quoted);
}
std::string Ref(std::string_view name) {
  std::string id(name);
  for (char& c : id) c = c == ' ' ? '-' : c;
  return Object({{"$ref", QuoteJson(Cat("#/$defs/", id))}});
}
std::string Type(std::string_view type) { return Object({{"type", QuoteJson(type)}}); }
std::string AnyOf(const std::vector<std::string>& of) { return Object({{"anyOf", List(of)}}); }
std::string ArrayOf(std::string item) { return Object({{"type", "\"array\""}, {"items", std::move(item)}}); }
std::string MapOf(std::string item) { return Object({{"type", "\"object\""}, {"additionalProperties", std::move(item)}}); }
std::string OrList(const std::string& item) { return AnyOf({item, ArrayOf(item)}); }
// Completed, but others are allowed: names that the file defines.
std::string Suggested(const std::vector<std::string>& words) { return AnyOf({Object({{"enum", Texts(words)}}), Type("string")}); }

template <class L>
std::vector<std::string> NamesOf(const L& list) {
  std::vector<std::string> out;
  for (const auto& x : list) out.emplace_back(x.name);
  return out;
}

std::string QuantityDef(Unit unit) {
  std::string text = Object({{"type", "\"string\""}, {"pattern", QuoteJson(UnitPattern(unit))}, {"examples", Cat("[", UnitExample(unit), "]")}});
  return unit == Unit::kShare ? AnyOf({text, Object({{"type", "\"number\""}, {"minimum", "0"}, {"maximum", "1"}})}) : text;
}

std::string DrawDef(const std::string& item) {
  auto one = [](std::string key, std::string value) {
    return Object({{"type", "\"object\""}, {"properties", Object({{key, std::move(value)}})}, {"required", Texts({key})}, {"additionalProperties", "false"}});
  };
  auto pair = [](const std::string& a, const std::string& b) { return Object({{"type", "\"array\""}, {"prefixItems", List({a, b})}, {"minItems", "2"}, {"maxItems", "2"}}); };
  const std::string number = Type("number");
  return AnyOf({item, one("between", pair(item, item)), one("exp", item), one("weibull", pair(number, item)),
                one("lognormal", pair(item, number)), one("one_of", ArrayOf(item))});
}

std::string Choice(std::string_view of) { return Object({{"enum", Texts(Choices(of))}}); }
std::string OneOf(const std::string& item) {
  return AnyOf({item, Object({{"type", "\"object\""}, {"properties", Object({{"one_of", ArrayOf(item)}})}, {"required", "[\"one_of\"]"}, {"additionalProperties", "false"}})});
}

std::string TypeOf(const Word& w) {
  using T = WordType;
  switch (w.type) {
    case T::kText: return Type("string");
    case T::kTextList: return OrList(Type("string"));
    case T::kName: return Ref("name");
    case T::kBool: return Type("boolean");
    case T::kCount: return Ref("count");
    case T::kDuration: return Ref("duration");
    case T::kRate: return Ref("rate");
    case T::kSize: return Ref("size");
    case T::kShare: return Ref("share");
    case T::kPpm: return Ref("drift");
    case T::kDurationDraw: return DrawDef(Ref("duration"));
    case T::kRateDraw: return DrawDef(Ref("rate"));
    case T::kSizeDraw: return DrawDef(Ref("size"));
    case T::kShareDraw: return DrawDef(Ref("share"));
    case T::kPpmDraw: return DrawDef(Ref("drift"));
    case T::kCountDraw: return DrawDef(Ref("count"));
    case T::kJitter: return AnyOf({Ref("share"), Ref("duration")});
    case T::kLatency: return AnyOf({Object({{"enum", Texts({"world-8", "world-8-slow"})}}), Ref("duration"), MapOf(MapOf(Ref("duration")))});
    case T::kRegion: return OneOf(Suggested(NamesOf(Regions())));
    case T::kLink: return OneOf(AnyOf({Suggested(NamesOf(LinkPresets())), Ref("link")}));
    case T::kNat: return OneOf(OrList(AnyOf({Suggested(NamesOf(NatPresets())), Ref("nat")})));
    case T::kMix: return Suggested(NamesOf(MixPresets()));
    case T::kChurn: return AnyOf({Choice("ipfs-server-2022 mainline-client"), Ref("churn")});
    case T::kStarts: return AnyOf({Object({{"const", "\"never\""}}), Ref("moment"), DrawDef(Ref("duration"))});
    case T::kMoment: return Ref("moment");
    case T::kMomentOrDraw: return AnyOf({Ref("moment"), DrawDef(Ref("duration"))});
    case T::kDuring: return AnyOf({Ref("name"), Object({{"type", "\"array\""}, {"items", Ref("moment")}, {"minItems", "2"}, {"maxItems", "2"}})});
    case T::kSelector: return AnyOf({OrList(Type("string")), Ref("selector")});
    case T::kSelectorList: return AnyOf({Type("string"), ArrayOf(OrList(Type("string")))});
    case T::kWhere: return MapOf(OrList(Object({{"type", "[\"string\",\"number\",\"boolean\"]"}})));
    case T::kFails: return Object({{"type", "\"string\""}, {"examples", "[\"maybe\",\"ERR_TIMEOUT\"]"}});
    case T::kArrivals: return Object({{"type", "\"string\""}, {"pattern", "\"^(even|poisson|bursts:[0-9]+)$\""}, {"examples", "[\"even\",\"poisson\",\"bursts:20\"]"}});
    case T::kWithin: return AnyOf({Ref("duration"), Object({{"type", "\"array\""}, {"minItems", "2"}, {"maxItems", "2"}})});
    case T::kPair: return Object({{"type", "\"array\""}, {"items", AnyOf({OrList(Type("string")), Ref("selector")})}, {"minItems", "2"}, {"maxItems", "2"}});
    case T::kPath: return OrList(Object({{"enum", [&] {
      std::vector<std::string> words = Choices(w.of);
      words.emplace_back("$cell");
      return Texts(words);
    }()}}));
    case T::kOver: return AnyOf({Type("string"), Type("number"), Ref("over")});
    case T::kCondition: return Ref("when");
    case T::kChoice: return Choice(w.of);
    case T::kObject: return Ref(w.of);
    case T::kList: return ArrayOf(Ref(w.of));
    case T::kMap: return MapOf(w.of == "text" ? Type("string") : Ref(w.of));
    case T::kMixes: return MapOf(ArrayOf(Ref("mix")));
    case T::kConfig: return Ref("config");
    case T::kWith: return Type("object");
    case T::kSet: return Type("object");
    case T::kTimes: return AnyOf({Ref("count"), Type("string")});
    case T::kCells: return ArrayOf(Type("string"));
    case T::kMatrixAxis: return Object({{"type", "\"object\""}, {"minProperties", "1"}, {"maxProperties", "1"}, {"additionalProperties", ArrayOf("true")}});
    case T::kSizes: return MapOf(Ref("size"));
    case T::kAny: return "true";
  }
  return "true";
}

// `schema` with a description: both apply.
std::string Said(std::string schema, std::string_view says) {
  if (schema == "true") return Object({{"description", QuoteJson(says)}});
  return Cat("{\"description\":", QuoteJson(says), ",", schema.substr(1));
}

std::string SetDef(const WordSet& set) {
  Pairs properties;
  for (const Word& w : set.words) {
    if (!w.later.empty()) continue;
    // What the kernel host makes of a word is part of what an editor shows.
    properties.push_back({std::string(w.name), Said(TypeOf(w), w.netns.empty() ? std::string(w.says) : Cat(w.says, " [netns, ", w.netns, "]"))});
  }
  Pairs out = {{"type", "\"object\""}, {"properties", Object(properties)}, {"additionalProperties", "false"}};
  auto require = [&](std::vector<std::string> words) { out.push_back({"required", Texts(words)}); };
  if (set.name == "scenario") require({"says", "duration", "hosts"});
  if (set.name == "host" || set.name == "lan") require({"id"});
  if (set.name == "fails_when") require({"set", "claim"});
  if (set.name == "case") require({"name"});
  if (set.name == "matrix") require({"rows", "columns"});
  if (set.name == "mix") require({"share"});
  if (set.name == "claim") {
    out.push_back({"patternProperties", Object({{"^((count|total|mean|min|max|last|ratio|share|p[0-9]+(\\.[0-9]+)?)_)?(at_least|at_most|is)$",
                                                 Object({{"type", "[\"number\",\"string\"]"}, {"description", "\"a bound: a number in the metric's unit, or a quantity\""}})}})});
    std::vector<std::string> metrics, events;
    for (const Metric& m : Metrics()) (m.kind == MetricKind::kEvent ? events : metrics).push_back(m.name);
    std::vector<std::string> all = metrics;
    all.insert(all.end(), events.begin(), events.end());
    const std::string event = Object({{"enum", Texts(events)}});
    out.push_back({"allOf", List({Object({{"properties", Object({{"metric", Object({{"enum", Texts(all)}})}, {"event", event}, {"never", event}, {"leads_to", event}})}})})});
  }
  return Object(out);
}

// An entry whose `do` is known completes `with`.
std::string EntryRules() {
  std::vector<std::string> rules, names;
  auto rule = [&](std::string_view name, std::string with) {
    names.emplace_back(name);
    rules.push_back(Object({{"if", Object({{"properties", Object({{"do", Object({{"const", QuoteJson(name)}})}})}, {"required", "[\"do\"]"}})},
                            {"then", Object({{"properties", Object({{"with", std::move(with)}})}})}}));
  };
  for (const sidecar::Operation* action : Actions()) {
    const sidecar::Operation& o = *action;
    if (o.raw || o.local) continue;  // The loader says why.
    Pairs properties;
    std::vector<std::string> required;
    for (const sidecar::Param& p : o.params) {
      using P = sidecar::ParamType;
      std::string type = p.type == P::kBool ? Type("boolean") : p.type == P::kUint || p.type == P::kBytes ? AnyOf({Ref("count"), Type("string")})
                       : p.type == P::kChoice ? Choice(p.choices) : AnyOf({Type("string"), Ref("any")});
      properties.push_back({std::string(p.name), Said(std::move(type), p.says)});
      if (p.required) required.emplace_back(p.name);
    }
    Pairs with = {{"type", "\"object\""}, {"description", QuoteJson(o.says)}, {"properties", Object(properties)}, {"additionalProperties", "false"}};
    if (!required.empty()) with.push_back({"required", Texts(required)});
    rule(o.name, Object(with));
  }
  for (const FaultWord& f : FaultWords()) {
    if (f.later.empty()) rule(f.name, Ref(Cat("with ", f.name)));
  }
  rules.push_back(Object({{"properties", Object({{"do", Object({{"enum", Texts(names)}})}})}}));
  return List(rules);
}

std::string ConfigType(const sidecar::ConfigKey& k) {
  using T = sidecar::KeyType;
  switch (k.type) {
    case T::kBool: return Type("boolean");
    case T::kUint:
    case T::kPort: return Ref("count");
    case T::kChoice: return Choice(k.choices);
    case T::kAddressList:
    case T::kTextList: return ArrayOf(Type("string"));
    case T::kUintList: return ArrayOf(Ref("count"));
    case T::kSites: {
      Pairs keys;
      for (const sidecar::ConfigKey& site : sidecar::SiteKeys()) keys.push_back({std::string(site.path), Said(ConfigType(site), site.says)});
      return Object({{"type", "\"object\""}, {"additionalProperties", Object({{"type", "\"object\""}, {"properties", Object(keys)}, {"required", "[\"module\"]"}, {"additionalProperties", "false"}})}});
    }
    case T::kFiles: return AnyOf({Type("string"), MapOf(Type("string"))});
    case T::kText:
    case T::kDuration:
    case T::kKey: break;
  }
  return Type("string");
}

// The node's configuration: its dotted paths as nested objects.
std::string ConfigDef() {
  std::vector<std::pair<std::string, Pairs>> folders;
  Pairs top;
  for (const sidecar::ConfigKey& k : sidecar::ConfigKeys()) {
    if (k.daemon_only) continue;
    const std::string path(k.path), said = Said(ConfigType(k), k.says);
    const size_t dot = path.find('.');
    if (dot == std::string::npos) {
      top.push_back({path, said});
      continue;
    }
    const std::string folder = path.substr(0, dot);
    if (folders.empty() || folders.back().first != folder) folders.push_back({folder, {}});
    folders.back().second.push_back({path.substr(dot + 1), said});
  }
  for (const auto& [folder, keys] : folders) {
    top.push_back({folder, Object({{"type", "\"object\""}, {"properties", Object(keys)}, {"additionalProperties", "false"}})});
  }
  return Object({{"type", "\"object\""}, {"properties", Object(top)}, {"additionalProperties", "false"}});
}

// Compact JSON, indented by two; short lists and objects stay on their line.
std::string Indented(std::string_view compact) {
  std::string out;
  constexpr size_t kLine = 100;
  auto length = [&](size_t open) {  // Of the bracket's contents.
    int depth = 0;
    bool text = false;
    for (size_t i = open; i < compact.size(); ++i) {
      if (compact[i] == '"' && compact[i - 1] != '\\') text = !text;
      if (text) continue;
      depth += compact[i] == '{' || compact[i] == '[';
      depth -= compact[i] == '}' || compact[i] == ']';
      if (depth == 0) return i - open + 1;
    }
    return compact.size();
  };
  bool text = false;
  size_t depth = 0, flat_until = 0;
  for (size_t i = 0; i < compact.size(); ++i) {
    const char c = compact[i];
    if (c == '"' && (i == 0 || compact[i - 1] != '\\')) text = !text;
    const bool flat = i < flat_until;
    if (!text && !flat && (c == '{' || c == '[')) {
      const size_t n = length(i);
      if (n <= kLine - 2 * depth) {
        flat_until = i + n, out += c;
      } else {
        ++depth, out += Cat(c, "\n", std::string(2 * depth, ' '));
      }
    } else if (!text && !flat && (c == '}' || c == ']')) {
      --depth, out += Cat("\n", std::string(2 * depth, ' '), c);
    } else if (!text && c == ',') {
      out += flat ? std::string(", ") : Cat(",\n", std::string(2 * depth, ' '));
    } else if (!text && c == ':') {
      out += ": ";
    } else {
      out += c;
    }
  }
  return out + "\n";
}

}  // namespace

std::string SchemaText() {
  Pairs defs = {{"name", Object({{"type", "\"string\""}, {"pattern", "\"^[A-Za-z][A-Za-z0-9_-]*$\""}})},
                {"count", Object({{"type", "\"integer\""}, {"minimum", "0"}})},
                {"duration", QuantityDef(Unit::kDuration)}, {"rate", QuantityDef(Unit::kRate)}, {"size", QuantityDef(Unit::kSize)},
                {"share", QuantityDef(Unit::kShare)}, {"drift", QuantityDef(Unit::kPpm)},
                {"moment", Object({{"type", "\"string\""}, {"examples", "[\"90s\",\"end\",\"remap\",\"15s after remap.end\"]"}})},
                {"any", Object({{"type", "\"object\""}, {"properties", Object({{"any", Type("string")}})}, {"required", "[\"any\"]"}, {"additionalProperties", "false"}})},
                {"config", ConfigDef()}};
  for (const WordSet& set : WordSets()) {
    if (set.name == "scenario") continue;
    std::string id(set.name), def = SetDef(set);
    for (char& c : id) c = c == ' ' ? '-' : c;
    if (set.name == "entry") def = Cat(def.substr(0, def.size() - 1), ",\"allOf\":", EntryRules(), "}");
    defs.push_back({id, std::move(def)});
  }
  std::string root = SetDef(FindWordSet("scenario"));
  return Indented(Cat("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"Orchard scenario\",",
                      "\"description\":\"Who is there, in what world, what happens, what must be true. Generated from the tables of the loader.\",",
                      root.substr(1, root.size() - 2), ",\"$defs\":", Object(defs), "}"));
}

}  // namespace orchard::sim
