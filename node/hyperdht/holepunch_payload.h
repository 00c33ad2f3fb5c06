// What the two sides of a hole punch tell each other, sealed inside PEER_HOLEPUNCH envelopes so that the relays between them
// read none of it. Source: npm hyperdht lib/messages.js (holepunchPayload), lib/secure-payload.js.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/base/rng.h"
#include "node/hyperdht/messages.h"

namespace orchard::hyperdht {

// As a number on the wire: whatever is above 3 counts as random.
inline Firewall FirewallOf(uint64_t number) { return number < 3 ? Firewall(number) : Firewall::kRandom; }

struct HolepunchPayload {
  uint64_t error = 0;                     // An Error, or what a newer peer may send.
  Firewall firewall = Firewall::kUnknown;
  // Counts the client's messages; a reply repeats it. JavaScript's writer garbles numbers above 252, so more rounds than
  // that have no place in one attempt.
  uint64_t round = 0;
  bool connected = false, punching = false;
  std::optional<std::vector<Endpoint>> addresses;  // An empty list and none differ on the wire.
  std::optional<Endpoint> remote_address;
  std::optional<Key32> token, remote_token;

  std::string Encode() const;
  static absl::StatusOr<HolepunchPayload> Decode(Bytes bytes);
};

// The key of both directions; `handshake_hash` is the Noise handshake's, the same on both sides.
Key32 HolepunchSecret(const std::array<uint8_t, 64>& handshake_hash);

class SecurePayload {
 public:
  // Draws the secret that tokens are made with.
  SecurePayload(const Key32& holepunch_secret, Rng& rng);

  // Nonce (24 bytes, drawn), tag (16), ciphertext.
  std::string Seal(const HolepunchPayload& payload, Rng& rng) const;
  // Fails on anything that the other side did not seal. Repetitions are not noticed: `round` is the caller's affair.
  absl::StatusOr<HolepunchPayload> Open(Bytes sealed) const;
  // For the holder of `address`, and of no use to another host: it travels through a relay that knows the other side's
  // address, and must come back. The port does not matter.
  Key32 token(const Endpoint& address) const;

 private:
  Key32 secret_, token_secret_;
};

}  // namespace orchard::hyperdht
