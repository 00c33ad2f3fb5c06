// What addresses say by themselves: which of a peer's local ones is likely on our network, and which cannot be public.
// Source: npm hyperdht lib/holepuncher.js (matchAddress, localAddresses), bogon 1.3.
#pragma once

#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "node/base/endpoint.h"
#include "node/base/input.h"

namespace orchard::hyperdht {

// The IPv4 addresses at which this host's own network reaches a socket bound to `bound`; its port is theirs. Never empty.
std::vector<Endpoint> LocalAddresses(absl::Span<const Interface> interfaces, const Endpoint& bound);

// The address of `remote` that shares most leading bytes with one of `local`: the first with three, else the first with
// two, else with one. Nothing if none shares its first byte.
std::optional<Endpoint> MatchAddress(absl::Span<const Endpoint> local, absl::Span<const Endpoint> remote);

// Of IPv4, by the registries of special ranges: not routed in public; of no host at all.
bool IsPrivate(const Endpoint& e);
bool IsReserved(const Endpoint& e);
inline bool IsBogon(const Endpoint& e) { return IsPrivate(e) || IsReserved(e); }

}  // namespace orchard::hyperdht
