// An IPv4 address and port in eight bytes: what dht-rpc's tables, queries and messages hold by the thousand. The world
// outside the DHT speaks Endpoint.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>

#include "node/base/endpoint.h"

namespace orchard {

struct Ipv4Address {
  uint32_t host = 0;  // 127.0.0.1 is 0x7f000001.
  uint16_t port = 0;

  // Of a v6 endpoint: 0.0.0.0:0, which no peer has.
  static Ipv4Address Of(const Endpoint& e) { return e.is_v4() ? Ipv4Address{e.v4(), e.port} : Ipv4Address{}; }
  Endpoint endpoint() const { return Endpoint::V4(host, port); }
  std::string ToString() const { return endpoint().ToString(); }
  uint64_t packed() const { return uint64_t{host} << 16 | port; }
  static Ipv4Address Unpack(uint64_t packed) { return {uint32_t(packed >> 16), uint16_t(packed)}; }

  friend auto operator<=>(const Ipv4Address&, const Ipv4Address&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Ipv4Address& a) {
    return H::combine(std::move(h), a.packed());
  }
};

}  // namespace orchard
