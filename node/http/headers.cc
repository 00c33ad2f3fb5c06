#include "node/http/headers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "node/base/check.h"

namespace orchard::http {

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
    return absl::ascii_tolower(uint8_t(x)) == absl::ascii_tolower(uint8_t(y));
  });
}

namespace {

// Which bytes a name may have, and a value.
constexpr std::array<uint8_t, 256> kAllowed = [] {
  std::array<uint8_t, 256> out{};
  for (int c = 0; c < 256; ++c) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool token = alnum || std::string_view("!#$%&'*+-.^_`|~").find(char(c)) != std::string_view::npos;
    out[size_t(c)] = uint8_t((token ? 1 : 0) | (c == '\t' || (c >= 0x20 && c != 0x7f) ? 2 : 0));
  }
  return out;
}();

bool AllAllowed(std::string_view text, uint8_t as) {
  uint8_t all = as;
  for (const char c : text) all &= kAllowed[uint8_t(c)];
  return all != 0;
}

}  // namespace

bool IsToken(std::string_view text) { return !text.empty() && AllAllowed(text, 1); }

bool IsFieldValue(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  return text.empty() || (!blank(text.front()) && !blank(text.back()) && AllAllowed(text, 2));
}

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return text.substr(0, 0);
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

void HeaderList::AddLine(std::string_view line, std::string_view name, std::string_view value) {
  const auto offset = [&](std::string_view part) { return uint32_t(part.data() - line.data() + bytes_.size()); };
  lines_.push_back({.at = uint32_t(bytes_.size()), .size = uint32_t(line.size()), .name_at = offset(name), .name_size = uint32_t(name.size()),
                    .value_at = offset(value), .value_size = uint32_t(value.size())});
  bytes_.append(line);
}

void HeaderList::Add(std::string_view name, std::string_view value) {
  CHECK(IsToken(name) && IsFieldValue(value));
  const size_t at = bytes_.size();
  if (lines_.empty()) lines_.reserve(8), bytes_.reserve(256);
  bytes_.append(name).append(": ").append(value).append("\r\n");
  lines_.push_back({.at = uint32_t(at), .size = uint32_t(bytes_.size() - at), .name_at = uint32_t(at), .name_size = uint32_t(name.size()),
                    .value_at = uint32_t(at + name.size() + 2), .value_size = uint32_t(value.size())});
}

void HeaderList::Append(const HeaderList& other) {
  const uint32_t at = uint32_t(bytes_.size());
  bytes_.append(other.bytes_);
  lines_.reserve(lines_.size() + other.lines_.size());
  for (Line l : other.lines_) {
    l.at += at, l.name_at += at, l.value_at += at;
    lines_.push_back(l);
  }
}

HeaderList::Header HeaderList::operator[](size_t i) const {
  const Line& l = lines_[i];
  const std::string_view all = bytes_;
  return {.name = all.substr(l.name_at, l.name_size), .value = all.substr(l.value_at, l.value_size)};
}

std::optional<std::string_view> HeaderList::Find(std::string_view name) const {
  for (size_t i = 0; i < size(); ++i) {
    if (EqualsIgnoringCase((*this)[i].name, name)) return (*this)[i].value;
  }
  return std::nullopt;
}

size_t HeaderList::Count(std::string_view name) const {
  size_t n = 0;
  for (size_t i = 0; i < size(); ++i) n += EqualsIgnoringCase((*this)[i].name, name);
  return n;
}

bool HeaderList::HasToken(std::string_view name, std::string_view token) const {
  for (size_t i = 0; i < size(); ++i) {
    if (!EqualsIgnoringCase((*this)[i].name, name)) continue;
    for (std::string_view rest = (*this)[i].value;;) {
      const size_t comma = rest.find(',');
      if (EqualsIgnoringCase(Trimmed(rest.substr(0, comma)), token)) return true;
      if (comma == rest.npos) break;
      rest = rest.substr(comma + 1);
    }
  }
  return false;
}

template <class Gone>
void HeaderList::RemoveIf(Gone gone) {
  size_t first = 0;
  while (first < size() && !gone((*this)[first].name)) ++first;
  if (first == size()) return;
  HeaderList kept;
  for (size_t i = 0; i < size(); ++i) {
    const Header h = (*this)[i];
    if (i < first || (i > first && !gone(h.name))) kept.AddLine(std::string_view(bytes_).substr(lines_[i].at, lines_[i].size), h.name, h.value);
  }
  *this = std::move(kept);
}

void HeaderList::Remove(std::string_view name) {
  RemoveIf([&](std::string_view n) { return EqualsIgnoringCase(n, name); });
}

void HeaderList::Replace(std::string_view name, std::string_view value) {
  if (!Has(name)) return Add(name, value);
  HeaderList changed;
  bool there = false;
  for (size_t i = 0; i < size(); ++i) {
    const Header h = (*this)[i];
    if (!EqualsIgnoringCase(h.name, name)) changed.AddLine(std::string_view(bytes_).substr(lines_[i].at, lines_[i].size), h.name, h.value);
    else if (!std::exchange(there, true)) changed.Add(h.name, value);
  }
  *this = std::move(changed);
}

bool HeaderList::IsHopByHop(std::string_view name, bool connection) const {
  static constexpr std::string_view kHops[] = {"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
                                               "Proxy-Authenticate", "TE", "Trailer", "Transfer-Encoding", "Upgrade"};
  // Who takes these out of a message makes it another message (the "hop-by-hop header abuse" of proxies).
  static constexpr std::string_view kEnds[] = {"Host", "Content-Length", "Content-Range", "Content-Type", "Range",
                                               "If-Range", "Authorization", "Cookie", "Cache-Control"};
  auto among = [&](auto& names) {
    return std::any_of(std::begin(names), std::end(names), [&](std::string_view n) { return EqualsIgnoringCase(n, name); });
  };
  return among(kHops) || (connection && HasToken("Connection", name) && !among(kEnds));
}

void HeaderList::RemoveHopByHop() {
  const bool connection = Has("Connection");
  RemoveIf([&](std::string_view name) { return IsHopByHop(name, connection); });
}

std::vector<HeaderList::Header> HeaderList::EndToEnd() const {
  const bool connection = Has("Connection");
  std::vector<Header> out;
  out.reserve(size());
  for (size_t i = 0; i < size(); ++i) {
    if (const Header h = (*this)[i]; !IsHopByHop(h.name, connection)) out.push_back(h);
  }
  return out;
}

}  // namespace orchard::http
