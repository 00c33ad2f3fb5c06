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

Validator Validator::Of(const HeaderList& response) {
  Validator v;
  if (auto tag = response.Find("ETag"); tag.has_value() && response.Count("ETag") == 1) {
    if (auto parsed = EntityTag::Parse(*tag); parsed.has_value() && !parsed->weak) v.etag = *tag;
  }
  if (auto date = response.Find("Last-Modified"); date.has_value() && IsHttpDate(*date)) v.last_modified = *date;
  return v;
}

bool Validator::Matches(const HeaderList& response) const {
  const Validator other = Of(response);
  if (!etag.empty()) return etag == other.etag;
  return last_modified.empty() || last_modified == other.last_modified;
}

bool IfRangeHolds(const HeaderList& request, const Validator& current) {
  const auto value = request.Find("If-Range");
  if (!value.has_value()) return true;
  if (request.Count("If-Range") > 1) return false;
  if (const auto tag = EntityTag::Parse(*value); tag.has_value()) return !tag->weak && *value == current.etag;
  return !current.last_modified.empty() && *value == current.last_modified;
}

}  // namespace orchard::http
