#include "sim/language/loader_context.h"

#include <algorithm>

#include "sim/language/presets.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr size_t kShownMax = 80;       // Longer texts are cut in messages.
constexpr size_t kListShown = 12;      // Words of a set that a message lists.

std::string_view OtherPlaces(Unit unit) {
  switch (unit) {
    case Unit::kDuration: return "Durations go to \"delay\", \"queue\", \"for\" and moments";
    case Unit::kRate: return "Rates go to \"down\", \"up\" or \"rate\"";
    case Unit::kSize: return "Sizes go to bounds of _bytes metrics";
    case Unit::kShare: return "Shares go to \"loss\", \"share\" and ratios";
    case Unit::kPpm: return "ppm goes to \"drift\"";
    case Unit::kCount: return "";
  }
  return "";
}

std::string UnitAdvice(Unit unit, std::string_view number) {
  if (number.size() > 12) number = "20";
  switch (unit) {
    case Unit::kDuration: return Cat("a duration carries its unit: \"", number, "ms\", \"", number, "s\", \"", number, "min\"");
    case Unit::kRate: return Cat("a rate carries its unit: \"", number, "kbps\", \"", number, "Mbps\"");
    case Unit::kSize: return Cat("a size carries its unit: \"", number, "KiB\", \"", number, "MiB\"");
    case Unit::kPpm: return Cat("a drift carries its unit: \"", number, "ppm\"");
    default: return Cat("expected a ", UnitName(unit), " such as ", UnitExample(unit));
  }
}

}  // namespace

uint32_t CaretOf(const Json& value) {
  size_t n = value.is_text() ? Width(value.text) + 2 : value.is_array() || value.is_object() ? 1 : value.Dump().size();
  return uint32_t(std::min<size_t>(std::max<size_t>(n, 1), 200));
}

std::string Quoted(std::string_view text) {
  if (text.size() <= kShownMax) return QuoteJson(text);
  size_t n = kShownMax;
  while (n > 0 && (text[n] & 0xc0) == 0x80) --n;
  return QuoteJson(Cat(text.substr(0, n), "…"));
}

std::string Nearest(std::string_view found, const std::vector<std::string>& words) {
  return found.size() > 64 ? std::string() : NearestOf(found, words);
}

void Context::Fail(Place place, uint32_t caret, std::string path, std::string found, std::string expected, std::string hint) {
  for (const LoadError& e : errors) {  // The same word of another case.
    if (e.place == place && e.path == path && e.found == found) return;
  }
  errors.push_back({place, std::move(path), std::move(found), std::move(expected), std::move(hint), caret});
}
void Context::Fail(const Json& at, std::string path, std::string found, std::string expected, std::string hint) {
  Fail(at.place, CaretOf(at), std::move(path), std::move(found), std::move(expected), std::move(hint));
}
void Context::WrongKind(const Json& at, const std::string& path, std::string_view expected) {
  std::string found = at.is_text() ? Quoted(at.text) : at.Describe();
  Fail(at, path, Cat("found ", found), Cat("expected ", expected));
}

std::string Context::Suggest(std::string_view found, const std::vector<std::string>& words, std::string_view otherwise) const {
  std::string near = Nearest(found, words);
  return near.empty() ? std::string(otherwise) : Cat("did you mean ", Quoted(near), "?");
}

std::optional<std::string> Context::Text(const Json& at, const std::string& path) {
  if (!at.is_text()) return WrongKind(at, path, "a text"), std::nullopt;
  return at.text;
}

std::optional<std::string> Context::Name(const Json& at, const std::string& path) {
  std::optional<std::string> t = Text(at, path);
  if (!t) return t;
  const bool letter = !t->empty() && (((*t)[0] | 0x20) >= 'a' && ((*t)[0] | 0x20) <= 'z');
  if (IsName(*t) && letter && *t != "all" && *t != "end") return t;
  Fail(at, path, Cat("found ", Quoted(*t)),
       "a name starts with a letter and goes on with letters, digits, - and _ (64 at most); \"all\" and \"end\" are taken");
  return std::nullopt;
}

std::vector<std::string> Context::TextList(const Json& at, const std::string& path) {
  if (at.is_text()) return {at.text};
  std::vector<std::string> out;
  if (!at.is_array()) return WrongKind(at, path, "a text or a list of texts"), out;
  for (const Json& item : at.items) {
    if (std::optional<std::string> t = Text(item, path)) out.push_back(*t);
  }
  return out;
}

std::optional<bool> Context::Bool(const Json& at, const std::string& path) {
  if (!at.is(Json::Kind::kBool)) return WrongKind(at, path, "true or false"), std::nullopt;
  return at.truth;
}

std::optional<uint64_t> Context::Count(const Json& at, const std::string& path, uint64_t least, uint64_t most) {
  std::optional<int64_t> n = at.Integer();
  if (n && *n >= 0 && uint64_t(*n) >= least && uint64_t(*n) <= most) return uint64_t(*n);
  WrongKind(at, path, Cat("a whole number from ", least, " to ", most));
  return std::nullopt;
}

std::optional<int64_t> Context::Amount(const Json& at, const std::string& path, Unit unit) {
  if (unit == Unit::kCount) {
    std::optional<uint64_t> n = Count(at, path, 0, 1'000'000'000);
    return n ? std::optional<int64_t>(int64_t(*n)) : std::nullopt;
  }
  if (at.is_number()) {
    if (unit != Unit::kShare) return Fail(at, path, Cat("found ", at.Describe()), UnitAdvice(unit, at.text)), std::nullopt;
    std::optional<int64_t> ppm = at.Micro();
    if (ppm && *ppm >= 0 && *ppm <= 1'000'000) return ppm;
    return WrongKind(at, path, "a share from 0 to 1, or such as \"1.5%\""), std::nullopt;
  }
  if (!at.is_text()) return WrongKind(at, path, Cat("a ", UnitName(unit), " such as ", UnitExample(unit))), std::nullopt;
  std::string unknown;
  std::optional<Quantity> q = ParseQuantity(at.text, &unknown);
  if (!q) {
    if (!unknown.empty()) {
      Fail(at, path, Cat(Quoted(unknown), " is no unit"), Cat("a ", UnitName(unit), " is written as ", UnitExample(unit)),
           Cat("units: ", ListText(UnitWords(unit), 9)));
    } else {
      // A number before a unit that exists: it is too large.
      const size_t letter = at.text.find_first_not_of("-.0123456789");
      const bool large = letter != at.text.npos && letter > 0 && ParseQuantity(Cat("1", at.text.substr(letter)));
      WrongKind(at, path, Cat(large ? "a smaller " : "a ", UnitName(unit), " such as ", UnitExample(unit)));
    }
    return std::nullopt;
  }
  if (q->unit != unit) {
    Fail(at, path, Cat(Quoted(at.text), " is a ", UnitName(q->unit)),
         Cat("expected a ", UnitName(unit), " such as ", UnitExample(unit), ". ", OtherPlaces(q->unit)));
    return std::nullopt;
  }
  if (unit == Unit::kShare && (q->value < 0 || q->value > 1'000'000)) return WrongKind(at, path, "a share from 0% to 100%"), std::nullopt;
  if (unit != Unit::kPpm && q->value < 0) {
    return WrongKind(at, path, Cat("a ", UnitName(unit), " that is not negative")), std::nullopt;
  }
  return q->value;
}

std::optional<Draw> Context::DrawOf(const Json& at, const std::string& path, Unit unit) {
  Draw d;
  d.place = at.place;
  d.written = at.is_text() ? at.text : at.Dump();
  if (!at.is_object()) {
    std::optional<int64_t> v = Amount(at, path, unit);
    if (!v) return std::nullopt;
    d.a = *v;
    return d;
  }
  const std::vector<std::string> kinds = {"between", "exp", "weibull", "lognormal", "one_of"};
  if (at.keys.size() != 1 || std::find(kinds.begin(), kinds.end(), at.keys[0].text) == kinds.end()) {
    std::string found = at.keys.size() == 1 ? Quoted(at.keys[0].text) : Cat(at.keys.size(), " words");
    Fail(at, path, Cat("found an object with ", found),
         "a draw is one of {\"between\": [a, b]}, {\"exp\": mean}, {\"weibull\": [k, scale]}, {\"lognormal\": [median, sigma]}, {\"one_of\": […]}");
    return std::nullopt;
  }
  const std::string& kind = at.keys[0].text;
  const Json& of = at.items[0];
  const std::string inner = Cat(path, ".", kind);
  auto shape = [&](const Json& j) -> std::optional<int64_t> {
    std::optional<int64_t> micro = j.Micro();
    if (micro && *micro > 0 && *micro <= 100'000'000) return micro;
    return WrongKind(j, inner, "a plain number above 0, at most 100"), std::nullopt;
  };
  if (kind == "exp") {
    d.kind = Draw::Kind::kExp;
    std::optional<int64_t> mean = Amount(of, inner, unit);
    if (!mean) return std::nullopt;
    return d.a = *mean, d;
  }
  if (!of.is_array()) return WrongKind(of, inner, "a list"), std::nullopt;
  if (kind == "one_of") {
    d.kind = Draw::Kind::kOneOf;
    for (const Json& j : of.items) {
      if (std::optional<int64_t> v = Amount(j, inner, unit)) d.values.push_back(*v);
    }
    if (of.items.empty()) return WrongKind(of, inner, "at least one alternative"), std::nullopt;
    if (d.values.size() != of.items.size()) return std::nullopt;
    return d;
  }
  if (of.items.size() != 2) return Fail(of, inner, Cat("found a list of ", of.items.size()), Cat(kind, " takes two values")), std::nullopt;
  const bool weibull = kind == "weibull", lognormal = kind == "lognormal";
  std::optional<int64_t> first = weibull ? shape(of.items[0]) : Amount(of.items[0], inner, unit);
  std::optional<int64_t> second = lognormal ? shape(of.items[1]) : Amount(of.items[1], inner, unit);
  if (!first || !second) return std::nullopt;
  d.kind = weibull ? Draw::Kind::kWeibull : lognormal ? Draw::Kind::kLognormal : Draw::Kind::kBetween;
  d.a = weibull ? *second : *first, d.b = weibull ? *first : *second;
  if (d.kind == Draw::Kind::kBetween && d.a > d.b) {
    return Fail(of, inner, "found a second value below the first", "between takes the smaller one first"), std::nullopt;
  }
  return d;
}

std::optional<size_t> Context::Choice(const Json& at, const std::string& path, std::string_view choices) {
  const std::vector<std::string> words = Choices(choices);
  auto it = at.is_text() ? std::find(words.begin(), words.end(), at.text) : words.end();
  if (it != words.end()) return size_t(it - words.begin());
  std::string hint = at.is_text() ? Suggest(at.text, words, "") : "";
  Fail(at, path, Cat("found ", at.is_text() ? Quoted(at.text) : at.Describe()), Cat("expected ", ListText(words, kListShown)), hint);
  return std::nullopt;
}

std::optional<Moment> Context::MomentOf(const Json& at, const std::string& path) {
  constexpr std::string_view kForms = "an instant is \"90s\", \"end\", an entry's name (\"as\"), \"15s after NAME\" or \"NAME.end\"";
  if (at.is_number()) return Fail(at, path, Cat("found ", at.Describe()), UnitAdvice(Unit::kDuration, at.text)), std::nullopt;
  if (!at.is_text()) return WrongKind(at, path, kForms), std::nullopt;
  std::optional<Moment> m = ParseMoment(at.text);
  if (!m) {
    std::string unknown;
    ParseQuantity(at.text, &unknown);
    Fail(at, path, Cat("found ", Quoted(at.text)), std::string(kForms), unknown.empty() ? "" : Cat(Quoted(unknown), " is no unit of time"));
    return std::nullopt;
  }
  m->place = at.place;
  if (m->entry.empty()) return m;
  auto it = names.entries.find(m->entry);
  if (it == names.entries.end()) {
    const std::vector<std::string> words = names.EntryWords();
    std::string near = Nearest(m->entry, words);
    Fail(at, path, Cat("no entry is called ", Quoted(m->entry), " (\"as\")"),
         Cat(near.empty() ? "" : Cat("did you mean ", Quoted(near), "? "), words.empty() ? "no entry has a name here" : Cat("Moments here: ", ListText(words, kListShown))));
    return std::nullopt;
  }
  if (m->kind == Moment::Kind::kEntryEnd && !it->second.has_end) {
    Fail(at, path, Cat(Quoted(m->entry), " has no end"), "\".end\" follows an operation, or a fault with \"for\"");
    return std::nullopt;
  }
  return m;
}

bool Context::IsRegion(std::string_view name) const {
  return std::find(out.world.regions.begin(), out.world.regions.end(), name) != out.world.regions.end();
}

std::vector<Match> Context::Where(const Json& at, const std::string& path, std::string_view labels, Duration* up) {
  std::vector<Match> out_matches;
  if (!at.is_object()) return WrongKind(at, path, "an object of labels, such as {\"nat\": \"!open\"}"), out_matches;
  std::vector<std::string> known = Choices(labels);
  for (std::string_view l : {"host", "group", "region", "nat", "link"}) known.emplace_back(l);
  for (size_t i = 0; i < at.keys.size(); ++i) {
    const Key& key = at.keys[i];
    const Json& value = at.items[i];
    const std::string inner = Cat(path, ".", key.text);
    if (key.text == "up" && up != nullptr) {
      if (std::optional<int64_t> d = Amount(value, inner, Unit::kDuration)) *up = Duration(*d);
      continue;
    }
    if (std::find(known.begin(), known.end(), key.text) == known.end()) {
      Fail(key.place, uint32_t(Width(key.text)) + 2, inner, Cat("there is no label ", Quoted(key.text), " here"),
           Cat("labels: ", ListText(known, kListShown)), Suggest(key.text, known, ""));
      continue;
    }
    Match m;
    m.label = key.text, m.place = value.place;
    std::vector<Json> values = value.is_array() ? value.items : std::vector<Json>{value};
    for (size_t k = 0; k < values.size(); ++k) {
      const Json& v = values[k];
      std::string t = v.is_text() ? v.text : v.is_number() || v.is(Json::Kind::kBool) ? v.Dump() : "";
      if (t.empty()) {
        WrongKind(v, inner, "a label's value, \"!value\", or a list of values");
        continue;
      }
      const bool negate = t[0] == '!';
      if (negate) t.erase(0, 1);
      if (k > 0 && negate != m.negate) Fail(v, inner, Cat("found ", Quoted(v.text)), "either all values of a list have the \"!\", or none");
      m.negate = negate;
      if (key.text == "as" && !names.entries.contains(t)) {
        Fail(v, inner, Cat("no entry is called ", Quoted(t)), Suggest(t, names.EntryWords(), "entries get their name by \"as\""));
      } else if (key.text == "region" && !IsRegion(t)) {
        Fail(v, inner, Cat("no region is called ", Quoted(t)), Suggest(t, out.world.regions, Cat("regions: ", ListText(out.world.regions, kListShown))));
      } else if ((key.text == "host" || key.text == "group") && !names.hosts.contains(t) && !names.IsMember(t, nullptr)) {
        Fail(v, inner, Cat("no host or group is called ", Quoted(t)), Suggest(t, names.HostWords(), "write an id of hosts"));
      }
      m.values.push_back(std::move(t));
    }
    if (!m.values.empty()) out_matches.push_back(std::move(m));
  }
  return out_matches;
}

Fields::Fields(Context& c, const Json& object, std::string path, std::string_view set_name) : path_(std::move(path)) {
  const WordSet& set = FindWordSet(set_name);
  if (!object.is_object()) {
    c.WrongKind(object, path_, Cat("an object: ", set.article, " has ", ListText(WordNames(set), 6)));
    return;
  }
  object_ = &object;
  for (size_t i = 0; i < object.keys.size(); ++i) {
    const Key& key = object.keys[i];
    const Word* word = FindWord(set, key.text);
    if (word != nullptr && word->later.empty()) continue;
    if (set_name == "claim" && ParseBoundKey(key.text)) continue;
    const uint32_t caret = uint32_t(std::min<size_t>(Width(key.text) + 2, 200));
    if (word != nullptr) {
      c.Fail(key.place, caret, At(key.text), Cat("\"", key.text, "\" is not in this version"), Cat("it needs ", word->later));
      continue;
    }
    std::vector<std::string> words = WordNames(set);
    if (set_name == "claim") {
      for (std::string_view s : {"p50", "p95", "p99", "max", "min", "mean", "total", "count", "ratio", "share", "last"}) {
        for (std::string_view e : {"at_least", "at_most", "is"}) words.push_back(Cat(s, "_", e));
      }
    }
    std::string near = Nearest(key.text, words);
    std::vector<std::string> shown = WordNames(set);
    std::string all = shown.empty() ? Cat(set.article, " takes none") :
                      Cat(set.article, " has ", shown.size() > kListShown ? Cat(ListText({shown.begin(), shown.begin() + 6}, 6), ", …") : ListText(shown, kListShown));
    c.Fail(key.place, caret, At(key.text), Cat("unknown key ", Quoted(key.text)), all, near.empty() ? "" : Cat("did you mean ", Quoted(near), "?"));
  }
}

std::string Fields::At(std::string_view word) const { return path_.empty() ? std::string(word) : Cat(path_, ".", word); }

std::string MemberPath(std::string_view list, const Json& member, size_t index) {
  for (std::string_view key : {"id", "as", "name", "says"}) {
    const Json* name = member.Find(key);
    if (name == nullptr || !name->is_text()) continue;
    return IsName(name->text) ? Cat(list, ".", name->text) : Cat(list, "[", Quoted(name->text), "]");
  }
  return Cat(list, "[", index, "]");
}

}  // namespace orchard::sim
