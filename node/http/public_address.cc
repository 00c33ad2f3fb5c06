#include "node/http/public_address.h"

#include <algorithm>

namespace orchard::http {
namespace {

struct Block { uint32_t network; int bits; };
// https://www.iana.org/assignments/iana-ipv4-special-registry, and 224/3.
constexpr Block kSpecial[] = {
    {0x00000000, 8}, {0x0a000000, 8}, {0x64400000, 10}, {0x7f000000, 8}, {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0000000, 24},
    {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3},
};
constexpr Block kPrivate[] = {{0x0a000000, 8}, {0x64400000, 10}, {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0a80000, 16}};

template <size_t N>
bool InAny(const Block (&blocks)[N], uint32_t address) {
  return std::any_of(std::begin(blocks), std::end(blocks), [&](const Block& b) { return (address ^ b.network) >> (32 - b.bits) == 0; });
}

}  // namespace

bool IsPublic(const Endpoint& address) {
  if (address.is_v4()) return !InAny(kSpecial, address.v4());
  const auto& ip = address.ip;
  const bool global = ip[0] >> 5 == 1;                                                        // 2000::/3.
  const bool ietf = ip[0] == 0x20 && ip[1] == 0x01 && ip[2] < 2;                              // 2001::/23, Teredo among them.
  const bool documents = ip[0] == 0x20 && ip[1] == 0x01 && ip[2] == 0x0d && ip[3] == 0xb8;
  const bool six_to_four = ip[0] == 0x20 && ip[1] == 0x02;
  return global && !ietf && !documents && !six_to_four;
}

bool IsPrivateV4(const Endpoint& address) { return address.is_v4() && InAny(kPrivate, address.v4()); }

bool AddressRules::Allows(const Endpoint& to) const {
  if (!public_only) return true;
  return IsPublic(to) && std::none_of(own.begin(), own.end(), [&](const Endpoint& e) { return e.ip == to.ip; });
}

}  // namespace orchard::http
