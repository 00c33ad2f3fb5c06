// IPv4 addresses from names: a HyperDHT id is a hash of the address, so addresses decide the shape of a network, and must not
// depend on who else is in it. Only a collision (one in billions a pair) makes the later of two look further.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/container/flat_hash_set.h"

namespace orchard::sim {

// True for what must never be a public address: private, shared (RFC 6598), loopback, link-local, documentation,
// benchmarking, multicast, reserved (the IANA special-purpose registry), and host parts 0 and 255.
bool IsBogon(uint32_t address);

// A part of the address space and who has what in it.
class AddressSpace {
 public:
  // The whole public Internet.
  AddressSpace() = default;
  // `base`/`bits`, without its first and last addresses and without the gateway's.
  AddressSpace(uint32_t base, uint8_t bits) : base_(base), bits_(bits) { taken_.insert(gateway()); }

  uint32_t Take(uint64_t seed, std::string_view name, uint32_t generation);
  void Release(uint32_t address) { taken_.erase(address); }
  uint8_t bits() const { return bits_; }
  uint32_t gateway() const { return base_ + 1; }
  bool Contains(uint32_t address) const { return bits_ != 0 && (address ^ base_) >> (32 - bits_) == 0; }

 private:
  uint32_t base_ = 0;
  uint8_t bits_ = 0;  // 0: public.
  absl::flat_hash_set<uint32_t> taken_;
};

// Inside of a box or LAN of that name: a home's subnet is 192.168.x.0/24, a crowded LAN a /16 or all of 10/8.
AddressSpace PrivateSpace(uint64_t seed, std::string_view name, size_t members);
// A carrier's. Source: RFC 6598.
inline AddressSpace CarrierSpace() { return {0x64400000, 10}; }

}  // namespace orchard::sim
