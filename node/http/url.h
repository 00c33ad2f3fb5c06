// Where a request goes. RFC 3986 as far as "http" needs it; RFC 9112 §3.2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "node/base/endpoint.h"

namespace orchard::http {

// "host:port", "[v6]:port".
struct Authority {
  std::string host;   // Lower case; without brackets.
  uint16_t port = 0;
  bool v6 = false;    // Written as [v6].

  // The address that `host` says literally; else it is a name, to be resolved.
  std::optional<Endpoint> literal() const;
  // As Host says it: without the port if that is `default_port`.
  std::string ToString(uint16_t default_port) const;
  // `default_port` 0: a port must be there.
  static absl::StatusOr<Authority> Parse(std::string_view text, uint16_t default_port);

  friend auto operator<=>(const Authority&, const Authority&) = default;
};

struct Url {
  static constexpr size_t kMax = 8000;

  bool https = false;
  Authority authority;
  std::string target = "/";  // Path and query, as written.

  uint16_t default_port() const { return https ? 443 : 80; }
  std::string host_header() const { return authority.ToString(default_port()); }
  std::string ToString() const { return (https ? "https://" : "http://") + host_header() + target; }
  // Absolute, http or https. A fragment is dropped; user information is refused (RFC 9110 §4.2.4).
  static absl::StatusOr<Url> Parse(std::string_view text);
};

}  // namespace orchard::http
