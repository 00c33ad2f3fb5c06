// Tokens prove that a requester receives at the address it sends from: a keyed hash of its host (not its port). They are
// minted with the newer of two secrets and accepted with either, so one lives between 7.5 and 15 seconds.
// Source: dht-rpc 6.27 lib/io.js (token, _drain).
#pragma once

#include <array>
#include <cstdint>

#include "node/base/bytes.h"
#include "node/base/rng.h"

namespace orchard::dht {

class Tokens {
 public:
  static constexpr uint8_t kDrainsPerRotation = 10;

  // For tests and for the first use.
  void SetSecrets(const Key32& older, const Key32& newer) { secrets_ = {older, newer}, made_ = true; }
  Key32 Mint(Rng& rng, uint32_t host);
  bool Valid(Rng& rng, uint32_t host, const Key32& token);
  // `count` drain ticks of 750 ms have passed. The next minting secret is the hash of the older one.
  void OnDrains(uint64_t count);
  const std::array<Key32, 2>& secrets() const { return secrets_; }

 private:
  void MakeSecrets(Rng& rng);
  Key32 Token(uint32_t host, size_t secret) const;
  std::array<Key32, 2> secrets_{};
  uint8_t drains_left_ = kDrainsPerRotation;
  bool made_ = false;  // Lazily: many nodes never need them.
};

}  // namespace orchard::dht
