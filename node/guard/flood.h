// Who asks too often: a leaky bucket for each client of a site. It fills by a request and leaks so many a second; a request that it
// cannot hold is too many, and does not count further.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <list>

#include "absl/container/btree_map.h"
#include "node/base/endpoint.h"
#include "node/base/time.h"

namespace orchard::guard {

// A client: an IPv4 address, or what a household has of IPv6, a /64; whoever has more of those counts more than once.
struct Client {
  std::array<uint8_t, 16> ip{};
  static Client Of(const Endpoint& peer);
  friend auto operator<=>(const Client&, const Client&) = default;
};

class Flood {
 public:
  // Clients that are remembered, of about 150 bytes each. Beyond, the one that has asked least lately goes, and would begin
  // anew: whoever floods has asked lately.
  static constexpr size_t kClientsMax = 2048;
  static constexpr uint32_t kRateMax = 1'000'000;
  static constexpr uint32_t kBurstSeconds = 2;  // How much a bucket holds: a page with all it is made of comes at once.

  // Of requests per second and client, at most kRateMax; 0: none is too many. Whoever waits for a second may ask again.
  explicit Flood(uint32_t rate) : rate_(rate) {}
  Flood(Flood&&) = default;  // Not copied: buckets_ points into order_.
  Flood& operator=(Flood&&) = default;

  struct Answer {
    bool over = false;        // It is too many.
    bool tell = false;        // And the first such of this client within a second.
  };
  Answer Ask(Instant now, const Client& client);
  size_t remembered() const { return order_.size(); }

 private:
  struct Bucket {
    Client client;
    Instant empty{};           // When it will have leaked out.
    Instant told = Instant::min();
  };
  uint32_t rate_;
  std::list<Bucket> order_;  // The latest first.
  absl::btree_map<Client, std::list<Bucket>::iterator> buckets_;
};

}  // namespace orchard::guard
