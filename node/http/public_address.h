// Which addresses a node may reach in somebody else's name. Whoever lets others choose where it connects lends them its place in the
// network: its loopback, its LAN, its router (CWE-918).
#pragma once

#include <vector>

#include "node/base/endpoint.h"

namespace orchard::http {

// False for what IANA's special-purpose registries keep from the public internet (RFC 6890): loopback, RFC 1918, CGN (RFC 6598),
// link-local, multicast, documentation, benchmarks, reserved, "this network"; and for all of IPv6 but 2000::/3, without the forms
// that carry an IPv4 address (6to4, NAT64, Teredo).
bool IsPublic(const Endpoint& address);
// RFC 1918, CGN or IPv4 link-local: where a home's LAN is.
bool IsPrivateV4(const Endpoint& address);

struct AddressRules {
  bool public_only = false;
  std::vector<Endpoint> own;  // Port 0: ours, not to be reached either. Only with public_only.
  bool Allows(const Endpoint& to) const;
};

}  // namespace orchard::http
