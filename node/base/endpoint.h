// An IP address and port.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace orchard {

// IPv4 is stored mapped (::ffff:a.b.c.d, RFC 4291 §2.5.5.2), so comparison and hashing have one form.
struct Endpoint {
  std::array<uint8_t, 16> ip{};
  uint16_t port = 0;

  // `address` in host order: 127.0.0.1 is 0x7f000001.
  static Endpoint V4(uint32_t address, uint16_t port) {
    Endpoint e;
    e.ip[10] = e.ip[11] = 0xff;
    for (int i = 0; i < 4; ++i) e.ip[size_t(12 + i)] = uint8_t(address >> (24 - 8 * i));
    e.port = port;
    return e;
  }
  bool is_v4() const {
    static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return std::memcmp(ip.data(), kPrefix, 12) == 0;
  }
  // In host order; meaningful if is_v4().
  uint32_t v4() const { return uint32_t(ip[12]) << 24 | uint32_t(ip[13]) << 16 | uint32_t(ip[14]) << 8 | ip[15]; }
  Endpoint with_port(uint16_t p) const {
    Endpoint e = *this;
    e.port = p;
    return e;
  }
  // "1.2.3.4" or "0:0:0:0:0:0:0:1": the form that dht-rpc's tokens hash (never compressed).
  std::string host() const;
  // "1.2.3.4:5", "[0:0:0:0:0:0:0:1]:5".
  std::string ToString() const;
  // Accepts "1.2.3.4:5" and "[v6]:5"; the port is required. Nothing if malformed.
  static std::optional<Endpoint> Parse(std::string_view text);

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Endpoint& e) {
    return H::combine(std::move(h), e.ip, e.port);
  }
};

}  // namespace orchard
