#include "node/hyperdht/addresses.h"

#include <algorithm>

namespace orchard::hyperdht {
namespace {

constexpr uint32_t kLoopback = 0x7f000001;

struct Range {
  uint32_t first;
  int bits;
};
// RFC 1918, RFC 6598 (carrier-grade NAT), RFC 1122 (loopback), RFC 3927 (link-local).
constexpr Range kPrivate[] = {{0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},
                              {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0a80000, 16}};
// RFC 1122, RFC 6890, RFC 5737 (documentation), RFC 2544 (benchmarks), RFC 5771 (multicast), RFC 1112 (class E).
constexpr Range kReserved[] = {{0x00000000, 8},  {0xc0000000, 24}, {0xc0000200, 24}, {0xc6120000, 15},
                               {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 4},  {0xf0000000, 4}};

bool IsIn(absl::Span<const Range> ranges, const Endpoint& e) {
  return e.is_v4() && std::any_of(ranges.begin(), ranges.end(), [&](const Range& r) {
           return (e.v4() ^ r.first) >> (32 - r.bits) == 0;
         });
}

// Whole leading bytes that are equal, at most three.
int SharedBytes(uint32_t a, uint32_t b) {
  int n = 0;
  while (n < 3 && (a ^ b) >> (24 - 8 * n) == 0) ++n;
  return n;
}

}  // namespace

std::vector<Endpoint> LocalAddresses(absl::Span<const Interface> interfaces, const Endpoint& bound) {
  std::vector<Endpoint> out;
  if (!(bound.is_v4() && bound.v4() == kLoopback)) {
    for (const Interface& i : interfaces) {
      if (i.address.is_v4() && !i.loopback) out.push_back(i.address.with_port(bound.port));
    }
  }
  if (out.empty()) out.push_back(Endpoint::V4(kLoopback, bound.port));
  return out;
}

std::optional<Endpoint> MatchAddress(absl::Span<const Endpoint> local, absl::Span<const Endpoint> remote) {
  std::optional<Endpoint> best;
  int most = 0;
  for (const Endpoint& l : local) {  // Ours outside, as in the source: with several of equal worth the first such pair wins.
    for (const Endpoint& r : remote) {
      if (!r.is_v4() || !l.is_v4()) continue;
      if (int shared = SharedBytes(l.v4(), r.v4()); shared > most) most = shared, best = r;
    }
  }
  return best;
}

bool IsPrivate(const Endpoint& e) { return IsIn(kPrivate, e); }
bool IsReserved(const Endpoint& e) { return IsIn(kReserved, e); }

}  // namespace orchard::hyperdht
