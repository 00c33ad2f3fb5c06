#include "node/http/url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "node/base/status_macros.h"
#include "node/http/headers.h"

namespace orchard::http {
namespace {

// A registered name as it occurs: RFC 3986 §3.2.2 without percent-encoding.
bool IsName(std::string_view host) {
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(uint8_t(c)) || c == '.' || c == '-' || c == '_';
  });
}

absl::Status Bad(std::string_view what, std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(what), ": \"", std::string(text.substr(0, 200)), "\""));
}

}  // namespace

absl::StatusOr<Authority> Authority::Parse(std::string_view text, uint16_t default_port) {
  Authority a{.host = {}, .port = default_port};
  std::string_view host = text, port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == text.npos) return Bad("no ] after the address", text);
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest[0] != ':') return Bad("neither a port nor the end after ]", text);
    has_port = !rest.empty(), port = rest.substr(has_port ? 1 : 0);
    in6_addr ignored;
    if (inet_pton(AF_INET6, std::string(host).c_str(), &ignored) != 1) return Bad("no IPv6 address", host);
    a.v6 = true;
  } else {
    const size_t colon = text.find(':');
    has_port = colon != text.npos;
    host = text.substr(0, colon), port = has_port ? text.substr(colon + 1) : std::string_view();
    if (!IsName(host)) return Bad("no host name", host);
  }
  a.host = std::string(host);
  absl::AsciiStrToLower(&a.host);
  if (!has_port || port.empty()) {
    if (default_port == 0) return Bad("a port is missing", text);
    return a;
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), a.port);
  if (error != std::errc() || end != port.data() + port.size() || a.port == 0) return Bad("no port", port);
  return a;
}

std::optional<Endpoint> Authority::literal() const {
  if (v6) {
    Endpoint e;
    e.port = port;
    if (inet_pton(AF_INET6, host.c_str(), e.ip.data()) != 1) return std::nullopt;
    return e;
  }
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) != 1) return std::nullopt;
  return Endpoint::V4(ntohl(v4.s_addr), port);
}

std::string Authority::ToString(uint16_t default_port) const {
  std::string out = v6 ? absl::StrCat("[", host, "]") : host;
  if (port != default_port) absl::StrAppend(&out, ":", port);
  return out;
}

absl::StatusOr<Url> Url::Parse(std::string_view text) {
  if (text.size() > kMax) return absl::InvalidArgumentError("the URL is too long");
  if (!std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isgraph(uint8_t(c)); })) return Bad("not a URL", text);
  Url url;
  const size_t colon = text.find("://");
  if (colon == text.npos) return Bad("no absolute URL", text);
  const std::string_view scheme = text.substr(0, colon);
  if (EqualsIgnoringCase(scheme, "https")) url.https = true;
  else if (!EqualsIgnoringCase(scheme, "http")) return Bad("neither http nor https", text);
  std::string_view rest = text.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  if (authority.find('@') != authority.npos) return Bad("a URL with a user name is refused", text);
  ASSIGN_OR_RETURN(url.authority, Authority::Parse(authority, url.default_port()));
  const std::string_view target = rest.substr(authority.size());
  url.target = target.empty() || target[0] == '?' ? absl::StrCat("/", std::string(target)) : std::string(target);
  return url;
}

}  // namespace orchard::http
