#include "node/http/range.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace orchard::http {
namespace {

// Digits only, at most 18 of them.
std::optional<uint64_t> Number(std::string_view text) {
  uint64_t n = 0;
  if (text.empty() || text.size() > 18 || !std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isdigit(uint8_t(c)); })) {
    return std::nullopt;
  }
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

}  // namespace

RangeRequest RangeRequest::Parse(std::string_view value) {
  RangeRequest r;
  const size_t equals = value.find('=');
  if (equals == value.npos || !EqualsIgnoringCase(value.substr(0, equals), "bytes")) return r;
  const std::string_view set = Trimmed(value.substr(equals + 1));
  if (set.find(',') != set.npos) return r.kind = Kind::kSeveral, r;
  const size_t dash = set.find('-');
  if (dash == set.npos) return r;
  const auto first = Number(set.substr(0, dash)), last = Number(set.substr(dash + 1));
  const bool open = dash + 1 == set.size();
  if (dash == 0 && last.has_value()) r.kind = Kind::kSuffix, r.first = *last;
  else if (first.has_value() && open) r.kind = Kind::kOpen, r.first = *first;
  else if (first.has_value() && last.has_value() && *first <= *last) r.kind = Kind::kSingle, r.first = *first, r.last = *last;
  return r;
}

RangeRequest RangeRequest::Of(const HeaderList& headers) {
  switch (headers.Count("Range")) {
    case 0: return {};
    case 1: return Parse(*headers.Find("Range"));
    default: return {.kind = Kind::kSeveral};
  }
}

std::optional<ByteRange> RangeRequest::Resolve(uint64_t size) const {
  if (kind == Kind::kSuffix) {
    if (first == 0 || size == 0) return std::nullopt;
    return ByteRange{size - std::min(first, size), size - 1};
  }
  if (first >= size) return std::nullopt;
  return ByteRange{first, kind == Kind::kOpen ? size - 1 : std::min(last, size - 1)};
}

std::optional<ContentRange> ContentRange::Parse(std::string_view value) {
  if (value.size() < 6 || !EqualsIgnoringCase(value.substr(0, 6), "bytes ")) return std::nullopt;
  const std::string_view text = value.substr(6);
  const size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  ContentRange c;
  if (text.substr(slash + 1) != "*") {
    c.size = Number(text.substr(slash + 1));
    if (!c.size.has_value()) return std::nullopt;
  }
  const std::string_view range = text.substr(0, slash);
  if (range == "*") return c.size.has_value() ? std::optional(c) : std::nullopt;
  const size_t dash = range.find('-');
  if (dash == range.npos) return std::nullopt;
  const auto first = Number(range.substr(0, dash)), last = Number(range.substr(dash + 1));
  if (!first.has_value() || !last.has_value() || *first > *last || (c.size.has_value() && *last >= *c.size)) return std::nullopt;
  c.range = ByteRange{*first, *last};
  return c;
}

std::string ContentRange::ToString() const {
  std::string out = "bytes ";
  if (range.has_value()) absl::StrAppend(&out, range->first, "-", range->last, "/");
  else out += "*/";
  if (size.has_value()) absl::StrAppend(&out, *size);
  else out += "*";
  return out;
}

std::optional<EntityTag> EntityTag::Parse(std::string_view value) {
  EntityTag tag{.weak = value.starts_with("W/")};
  if (tag.weak) value.remove_prefix(2);
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::nullopt;
  value = value.substr(1, value.size() - 2);
  // %x21 / %x23-7E / obs-text.
  if (!std::all_of(value.begin(), value.end(), [](char c) { return uint8_t(c) > 0x20 && c != '"' && uint8_t(c) != 0x7f; })) return std::nullopt;
  tag.opaque = value;
  return tag;
}

bool IsHttpDate(std::string_view value) {
  static constexpr std::string_view kShape = "Aaa, 00 Aaa 0000 00:00:00 GMT";
  if (value.size() != kShape.size()) return false;
  for (size_t i = 0; i < value.size(); ++i) {
    const auto c = uint8_t(value[i]);
    switch (kShape[i]) {
      case 'A': if (!absl::ascii_isupper(c)) return false; break;
      case 'a': if (!absl::ascii_islower(c)) return false; break;
      case '0': if (!absl::ascii_isdigit(c)) return false; break;
      default: if (c != uint8_t(kShape[i])) return false;
    }
  }
  return true;
}

namespace {
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec", kDays = "ThuFriSatSunMonTueWed";  // 1970 began on a Thursday.

// Days since 1970 of the first of March of that year: leap days are then the last of a year.
int64_t DaysOfMarch(int64_t year) { return year * 365 + year / 4 - year / 100 + year / 400 - 719'468; }
// Of the month after March, 0 to 11.
int64_t DaysOfMonth(int64_t month) { return (153 * month + 2) / 5; }
}  // namespace

std::optional<int64_t> SecondsOfHttpDate(std::string_view value) {
  if (!IsHttpDate(value)) return std::nullopt;
  auto number = [&](size_t at, size_t digits) { return int64_t(*Number(value.substr(at, digits))); };
  const size_t name = kMonths.find(value.substr(8, 3));
  const int64_t day = number(5, 2), hour = number(17, 2), minute = number(20, 2), second = number(23, 2);
  if (name == kMonths.npos || name % 3 != 0 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const int64_t month = (int64_t(name / 3) + 10) % 12, year = number(12, 4) - (month >= 10 ? 1 : 0);
  return (DaysOfMarch(year) + DaysOfMonth(month) + day - 1) * 86'400 + hour * 3600 + minute * 60 + second;
}

std::string HttpDate(int64_t seconds) {
  const int64_t days = seconds / 86'400, time = seconds % 86'400;
  int64_t year = 1970 + days / 365 + 1;
  while (DaysOfMarch(year) > days) --year;
  int64_t month = 11;
  while (DaysOfMonth(month) > days - DaysOfMarch(year)) --month;
  auto two = [](int64_t n) { return absl::StrCat(n < 10 ? "0" : "", n); };
  const auto name = [](std::string_view names, int64_t i) { return std::string(names.substr(size_t(3 * i), 3)); };
  return absl::StrCat(name(kDays, days % 7), ", ", two(days - DaysOfMarch(year) - DaysOfMonth(month) + 1), " ", name(kMonths, (month + 2) % 12), " ",
                      year + (month >= 10 ? 1 : 0), " ", two(time / 3600), ":", two(time / 60 % 60), ":", two(time % 60), " GMT");
}

Validator Validator::OfIfRange(std::string_view value) {
  Validator v;
  if (const auto tag = EntityTag::Parse(value); tag.has_value()) v.etag = tag->weak ? "" : std::string(value);
  else if (IsHttpDate(value)) v.last_modified = value;
  return v;
}

// A file that changed twice within a second has one date for two states. The date is that of one alone once that second is over by the
// origin's own clock: §8.8.2.2.
Validator Validator::Of(const HeaderList& response) {
  Validator v;
  if (auto tag = response.Find("ETag"); tag.has_value() && response.Count("ETag") == 1) {
    if (auto parsed = EntityTag::Parse(*tag); parsed.has_value() && !parsed->weak) v.etag = *tag;
  }
  const auto changed = response.Find("Last-Modified"), now = response.Find("Date");
  if (changed.has_value() && now.has_value() && response.Count("Last-Modified") == 1) {
    const auto then = SecondsOfHttpDate(*changed), said = SecondsOfHttpDate(*now);
    if (then.has_value() && said.has_value() && *then < *said) v.last_modified = *changed;
  }
  return v;
}

bool Validator::Matches(const HeaderList& response) const {
  const Validator other = Of(response);
  if (!etag.empty()) return etag == other.etag;
  return last_modified.empty() || last_modified == response.Find("Last-Modified").value_or("");
}

bool IfRangeHolds(const HeaderList& request, const Validator& current) {
  const auto value = request.Find("If-Range");
  if (!value.has_value()) return true;
  if (request.Count("If-Range") > 1) return false;
  if (const auto tag = EntityTag::Parse(*value); tag.has_value()) return !tag->weak && *value == current.etag;
  return !current.last_modified.empty() && *value == current.last_modified;
}

}  // namespace orchard::http
