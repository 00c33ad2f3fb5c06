// Estimates our public address from what others say of us: the answer that keeps coming wins. Port 0: it differs per peer.
// Source: nat-sampler 1.0.1.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "node/wire/address.h"

namespace orchard::dht {

class NatSampler {
 public:
  static constexpr uint8_t kSamples = 16;   // Remembered; each is a full address and its host alone.
  static constexpr uint8_t kLookBack = 4;   // Earlier samples that a new one is compared with.

  // How often this address was met among the recent ones.
  int Add(Ipv4Address sample);
  std::optional<uint32_t> host() const { return host_known_ ? std::optional(estimate_.host) : std::nullopt; }
  uint16_t port() const { return estimate_.port; }
  uint8_t size() const { return size_; }
  uint8_t threshold() const { return threshold_; }

 private:
  using Ref = uint8_t;
  static constexpr Ref kNone = 0xff;
  struct Tally {
    Ipv4Address address;
    int16_t hits = 0;
    uint8_t refs = 0;  // Samples that are this tally, and 1 if it is the best of its kind.
  };
  Ref Bump(Ipv4Address address, uint8_t back);
  void Release(Ref r) { --tallies_[r].refs; }
  void Prefer(Ref& best, Ref candidate);

  std::array<Tally, 2 * kSamples + 4> tallies_{};
  std::array<Ref, 2 * kSamples> samples_{};
  uint8_t filled_ = 0, top_ = 0, size_ = 0, threshold_ = 0;
  Ref best_full_ = kNone, best_host_ = kNone;
  bool host_known_ = false;
  Ipv4Address estimate_{};
};

}  // namespace orchard::dht
