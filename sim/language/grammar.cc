#include "sim/language/grammar.h"

#include <algorithm>

#include "sim/language/text.h"

namespace orchard::sim {
namespace {

struct UnitRow {
  std::string_view name;
  Unit unit;
  int64_t factor;  // To the base form; of kShare and kPpm in ppm.
};
constexpr UnitRow kUnits[] = {
    {"ns", Unit::kDuration, 1},
    {"us", Unit::kDuration, 1'000},
    {"ms", Unit::kDuration, 1'000'000},
    {"s", Unit::kDuration, 1'000'000'000},
    {"min", Unit::kDuration, 60'000'000'000},
    {"h", Unit::kDuration, 3'600'000'000'000},
    {"d", Unit::kDuration, 86'400'000'000'000},
    {"bps", Unit::kRate, 1},
    {"kbps", Unit::kRate, 1'000},
    {"Mbps", Unit::kRate, 1'000'000},
    {"Gbps", Unit::kRate, 1'000'000'000},
    {"B", Unit::kSize, 1},
    {"kB", Unit::kSize, 1'000},
    {"MB", Unit::kSize, 1'000'000},
    {"GB", Unit::kSize, 1'000'000'000},
    {"KiB", Unit::kSize, 1 << 10},
    {"MiB", Unit::kSize, 1 << 20},
    {"GiB", Unit::kSize, 1 << 30},
    {"%", Unit::kShare, 10'000},
    {"ppm", Unit::kPpm, 1},
};

bool IsNumberStart(char c) { return (c >= '0' && c <= '9') || c == '-' || c == '.'; }

// "remap" or "remap.end".
bool ParseEntryMoment(std::string_view text, Moment& m) {
  constexpr std::string_view kEndSuffix = ".end";
  m.kind = Moment::Kind::kEntry;
  if (text.size() > kEndSuffix.size() && text.substr(text.size() - kEndSuffix.size()) == kEndSuffix) {
    m.kind = Moment::Kind::kEntryEnd;
    text.remove_suffix(kEndSuffix.size());
  }
  m.entry = text;
  return IsName(text) && !IsNumberStart(text[0]);
}

}  // namespace

std::string_view UnitName(Unit unit) {
  switch (unit) {
    case Unit::kDuration: return "duration";
    case Unit::kRate: return "rate";
    case Unit::kSize: return "size";
    case Unit::kShare: return "share";
    case Unit::kPpm: return "drift";
    case Unit::kCount: return "count";
  }
  return "";
}

std::string_view UnitExample(Unit unit) {
  switch (unit) {
    case Unit::kDuration: return "\"20ms\"";
    case Unit::kRate: return "\"20Mbps\"";
    case Unit::kSize: return "\"64KiB\"";
    case Unit::kShare: return "\"1.5%\"";
    case Unit::kPpm: return "\"200ppm\"";
    case Unit::kCount: return "3";
  }
  return "";
}

std::optional<Quantity> ParseQuantity(std::string_view text, std::string* unknown_unit) {
  if (text.empty() || text.size() > 64 || !IsNumberStart(text[0])) return std::nullopt;
  size_t digits = text[0] == '-' ? 1 : 0;
  while (digits < text.size() && ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.')) ++digits;
  std::string_view number = text.substr(0, digits), unit = text.substr(digits);
  // Scaled by 10^9 so that fractions survive the factor: "1.5min", "0.25KiB".
  std::optional<int64_t> nano = ParseDecimal(number, 9);
  std::optional<int64_t> plain = ParseDecimal(number, 0);
  if (!plain) return std::nullopt;
  for (const UnitRow& u : kUnits) {
    if (u.name != unit) continue;
    __int128 value = nano ? (__int128(*nano) * u.factor) / 1'000'000'000 : __int128(*plain) * u.factor;
    if (value > INT64_MAX / 4 || value < -INT64_MAX / 4) return std::nullopt;
    return Quantity{u.unit, int64_t(value)};
  }
  if (unknown_unit != nullptr && !unit.empty()) *unknown_unit = unit;
  return std::nullopt;
}

std::vector<std::string> UnitWords(Unit unit) {
  std::vector<std::string> out;
  for (const UnitRow& u : kUnits) {
    if (u.unit == unit) out.emplace_back(u.name);
  }
  return out;
}

std::string UnitPattern(Unit unit) {
  std::string alternatives;
  for (const std::string& w : UnitWords(unit)) alternatives += Cat(alternatives.empty() ? "" : "|", w);
  return Cat("^-?[0-9]+(\\.[0-9]+)?(", alternatives, ")$");
}

std::optional<Moment> ParseMoment(std::string_view text) {
  Moment m;
  m.written = text;
  if (text == "end") return m.kind = Moment::Kind::kEnd, m;
  if (std::optional<Quantity> q = ParseQuantity(text)) {
    if (q->unit != Unit::kDuration || q->value < 0) return std::nullopt;
    m.offset = Duration(q->value);
    return m;
  }
  constexpr std::string_view kAfter = " after ";
  if (size_t at = text.find(kAfter); at != text.npos) {
    std::optional<Quantity> q = ParseQuantity(text.substr(0, at));
    if (!q || q->unit != Unit::kDuration || q->value < 0) return std::nullopt;
    m.offset = Duration(q->value);
    text.remove_prefix(at + kAfter.size());
  }
  if (!ParseEntryMoment(text, m)) return std::nullopt;
  return m;
}

std::optional<Reference> ParseReference(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  Reference r;
  const char sign = text[0];
  text.remove_prefix(1);
  if (sign == '@') {
    constexpr std::string_view kIp = ".ip";
    if (text.size() > kIp.size() && text.substr(text.size() - kIp.size()) == kIp) {
      r.kind = Reference::Kind::kHostIp;
      text.remove_suffix(kIp.size());
    }
    r.name = text;
    return IsName(text) ? std::optional(r) : std::nullopt;
  }
  if (sign != '$') return std::nullopt;
  r.kind = Reference::Kind::kResult;
  const size_t dot = text.rfind('.');
  if (dot == text.npos || dot + 1 == text.size()) return std::nullopt;
  r.field = text.substr(dot + 1);
  text = text.substr(0, dot);
  if (text.size() > 1 && text.back() == ']') {
    const size_t open = text.find('[');
    if (open == text.npos) return std::nullopt;
    r.host = text.substr(open + 1, text.size() - open - 2);
    text = text.substr(0, open);
    if (!IsName(r.host)) return std::nullopt;
  }
  r.name = text;
  return IsName(text) && IsName(r.field) ? std::optional(r) : std::nullopt;
}

bool GlobMatches(std::string_view glob, std::string_view text) {
  // Greedy with one point to come back to: linear in practice, never exponential.
  size_t g = 0, t = 0, star = glob.npos, mark = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++, mark = t;
    } else if (g < glob.size() && glob[g] == text[t]) {
      ++g, ++t;
    } else if (star != glob.npos) {
      g = star + 1, t = ++mark;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

std::optional<BoundKey> ParseBoundKey(std::string_view key) {
  BoundKey out;
  constexpr std::pair<std::string_view, Bound::Cmp> kEnds[] = {
      {"at_least", Bound::Cmp::kAtLeast}, {"at_most", Bound::Cmp::kAtMost}, {"is", Bound::Cmp::kIs}};
  std::string_view stat;
  bool found = false;
  for (const auto& [end, cmp] : kEnds) {
    if (key == end) {
      found = out.bare = true, out.cmp = cmp;
    } else if (key.size() > end.size() + 1 && key.substr(key.size() - end.size()) == end && key[key.size() - end.size() - 1] == '_') {
      found = true, out.cmp = cmp, stat = key.substr(0, key.size() - end.size() - 1);
    }
  }
  if (!found) return std::nullopt;
  if (out.bare) return out;
  constexpr std::pair<std::string_view, Bound::Stat> kStats[] = {
      {"count", Bound::Stat::kCount}, {"total", Bound::Stat::kTotal}, {"mean", Bound::Stat::kMean},
      {"min", Bound::Stat::kMin},     {"max", Bound::Stat::kMax},     {"last", Bound::Stat::kLast},
      {"ratio", Bound::Stat::kRatio}, {"share", Bound::Stat::kShare}};
  for (const auto& [name, s] : kStats) {
    if (stat == name) return out.stat = s, out;
  }
  if (stat.size() < 2 || stat.size() > 8 || stat[0] != 'p') return std::nullopt;
  // Percent with up to four decimals: p5, p99.9.
  std::optional<int64_t> ppm = stat[1] >= '0' && stat[1] <= '9' ? ParseDecimal(stat.substr(1), 4) : std::nullopt;
  if (!ppm || *ppm < 0 || *ppm > 1'000'000) return std::nullopt;
  out.stat = Bound::Stat::kQuantile, out.quantile_ppm = uint32_t(*ppm);
  return out;
}

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

}  // namespace orchard::sim
