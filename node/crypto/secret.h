// Bytes that are wiped when they go out of scope: private scalars, session keys.
#pragma once

#include <array>
#include <cstdint>

#include "absl/types/span.h"

namespace orchard::crypto {

// Overwrites with zeros, in a way that no optimiser takes out.
void Wipe(absl::Span<uint8_t> bytes);

// In a time that depends on the lengths alone.
bool SameSecret(absl::Span<const uint8_t> a, absl::Span<const uint8_t> b);

// An array of which every copy is wiped when it dies.
template <size_t N>
struct Secret : std::array<uint8_t, N> {
  Secret() : std::array<uint8_t, N>{} {}
  Secret(const std::array<uint8_t, N>& bytes) : std::array<uint8_t, N>(bytes) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret() { Wipe(absl::MakeSpan(this->data(), N)); }
};

}  // namespace orchard::crypto
