// Which site a request is for.
#pragma once

#include <string>
#include <string_view>

#include "absl/strings/ascii.h"

namespace orchard::cage {

// Of Host or :authority: the port cut, a trailing dot too, lower case. "[::1]:80" is "[::1]".
inline std::string SiteId(std::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == host.npos ? 0 : bracket);
  std::string id(host.substr(0, colon));
  if (!id.empty() && id.back() == '.') id.pop_back();
  absl::AsciiStrToLower(&id);
  return id;
}

// What a site may be called: a host name (RFC 1123 §2.1), in lower case; underscores are seen in the wild.
inline bool IsSiteName(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  for (char c : name) {
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_') return false;
  }
  return name.front() != '.' && name.back() != '.';
}

}  // namespace orchard::cage
