#include "node/base/endpoint.h"

#include <arpa/inet.h>

#include <charconv>

#include "absl/strings/str_cat.h"

namespace orchard {

std::string Endpoint::host() const {
  if (is_v4()) return absl::StrCat(ip[12], ".", ip[13], ".", ip[14], ".", ip[15]);
  std::string out;
  for (size_t i = 0; i < 16; i += 2) absl::StrAppend(&out, i == 0 ? "" : ":", absl::Hex(ip[i] << 8 | ip[i + 1]));
  return out;
}

std::string Endpoint::ToString() const {
  return is_v4() ? absl::StrCat(host(), ":", port) : absl::StrCat("[", host(), "]:", port);
}

std::optional<Endpoint> Endpoint::Parse(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == text.npos || colon + 1 == text.size()) return std::nullopt;
  Endpoint e;
  std::string_view digits = text.substr(colon + 1);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), e.port);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  std::string host(text.substr(0, colon));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (inet_pton(AF_INET6, host.c_str(), e.ip.data()) != 1) return std::nullopt;
    return e;
  }
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) != 1) return std::nullopt;
  return V4(ntohl(v4.s_addr), e.port);
}

}  // namespace orchard
