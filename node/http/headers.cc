#include "node/http/headers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "node/base/check.h"

namespace orchard::http {

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
    return absl::ascii_tolower(uint8_t(x)) == absl::ascii_tolower(uint8_t(y));
  });
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(uint8_t(c)) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool IsFieldValue(std::string_view text) {
  return Trimmed(text).size() == text.size() && std::all_of(text.begin(), text.end(), [](char c) {
    return c == '\t' || (uint8_t(c) >= 0x20 && uint8_t(c) != 0x7f);
  });
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
  std::string line;
  line.append(name).append(": ").append(value).append("\r\n");
  const std::string_view view = line;
  AddLine(view, view.substr(0, name.size()), view.substr(name.size() + 2, value.size()));
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

void HeaderList::RemoveIf(const std::vector<bool>& gone) {
  HeaderList kept;
  for (size_t i = 0; i < size(); ++i) {
    if (gone[i]) continue;
    const Header h = (*this)[i];
    kept.AddLine(std::string_view(bytes_).substr(lines_[i].at, lines_[i].size), h.name, h.value);
  }
  *this = std::move(kept);
}

void HeaderList::Remove(std::string_view name) {
  std::vector<bool> gone(size());
  for (size_t i = 0; i < size(); ++i) gone[i] = EqualsIgnoringCase((*this)[i].name, name);
  RemoveIf(gone);
}

void HeaderList::Replace(std::string_view name, std::string_view value) {
  HeaderList changed;
  bool there = false;
  for (size_t i = 0; i < size(); ++i) {
    const Header h = (*this)[i];
    if (!EqualsIgnoringCase(h.name, name)) changed.AddLine(std::string_view(bytes_).substr(lines_[i].at, lines_[i].size), h.name, h.value);
    else if (!std::exchange(there, true)) changed.Add(h.name, value);
  }
  if (!there) changed.Add(name, value);
  *this = std::move(changed);
}

void HeaderList::RemoveHopByHop() {
  static constexpr std::string_view kHops[] = {"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
                                               "Proxy-Authenticate", "TE", "Trailer", "Transfer-Encoding", "Upgrade"};
  // Who takes these out of a message makes it another message (the "hop-by-hop header abuse" of proxies).
  static constexpr std::string_view kEnds[] = {"Host", "Content-Length", "Content-Range", "Content-Type", "Range",
                                               "If-Range", "Authorization", "Cookie", "Cache-Control"};
  auto among = [](auto& names, std::string_view name) {
    return std::any_of(std::begin(names), std::end(names), [&](std::string_view n) { return EqualsIgnoringCase(n, name); });
  };
  std::vector<bool> gone(size());
  for (size_t i = 0; i < size(); ++i) {
    const std::string_view name = (*this)[i].name;
    gone[i] = among(kHops, name) || (HasToken("Connection", name) && !among(kEnds, name));
  }
  RemoveIf(gone);
}

}  // namespace orchard::http
