#include <cstring>
#include <vector>

#include "node/crypto/hash.h"
#include "node/dht/rpc.h"

namespace orchard::dht {
namespace {

// A direct-mapped memory of a pure function: it changes what a call costs, never what it yields. It starts small and
// doubles while misses outnumber its places, so a daemon keeps a few KiB and a process of 10,000 nodes 5 MiB.
class IdMemo {
 public:
  static constexpr size_t kPlacesMin = 256, kPlacesMax = 1 << 17;

  const Key32& Of(Ipv4Address a) {
    uint64_t packed = a.packed();
    // Fibonacci hashing: neighbours in an address block land apart.
    Place* p = &places_[(packed * 0x9e3779b97f4a7c15u >> 40) & (places_.size() - 1)];
    if (p->packed != packed) {
      if (++misses_ > 2 * places_.size() && places_.size() < kPlacesMax) {
        places_ = std::vector<Place>(places_.size() * 2);
        misses_ = 0;
        p = &places_[(packed * 0x9e3779b97f4a7c15u >> 40) & (places_.size() - 1)];
      }
      const uint8_t wire[6] = {uint8_t(a.host >> 24), uint8_t(a.host >> 16), uint8_t(a.host >> 8),
                               uint8_t(a.host),       uint8_t(a.port),       uint8_t(a.port >> 8)};
      p->packed = packed, p->id = crypto::Blake2b256(Bytes(wire, 6));
    }
    return p->id;
  }

 private:
  struct Place {
    uint64_t packed = ~uint64_t{0};
    Key32 id;
  };
  std::vector<Place> places_ = std::vector<Place>(kPlacesMin);
  size_t misses_ = 0;
};

}  // namespace

Key32 IdOf(Ipv4Address address) {
  thread_local IdMemo memo;
  return memo.Of(address);
}

}  // namespace orchard::dht
