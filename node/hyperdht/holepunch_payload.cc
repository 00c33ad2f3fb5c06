#include "node/hyperdht/holepunch_payload.h"

#include <algorithm>

#include "node/base/status_macros.h"
#include "node/crypto/hash.h"
#include "node/crypto/secretbox.h"
#include "node/hyperdht/signatures.h"
#include "node/wire/reader.h"
#include "node/wire/writer.h"

namespace orchard::hyperdht {
namespace {

// Flags.
constexpr uint64_t kConnected = 1, kPunching = 2, kAddresses = 4, kRemoteAddress = 8, kToken = 16, kRemoteToken = 32;

}  // namespace

std::string HolepunchPayload::Encode() const {
  wire::Writer w;
  w.Uint((connected ? kConnected : 0) | (punching ? kPunching : 0) | (addresses ? kAddresses : 0) |
         (remote_address ? kRemoteAddress : 0) | (token ? kToken : 0) | (remote_token ? kRemoteToken : 0));
  w.Uint(error), w.Uint(uint64_t(firewall)), w.Uint(round);
  if (addresses) {
    w.Uint(addresses->size());
    for (const Endpoint& e : *addresses) w.Ipv4(Ipv4Address::Of(e));
  }
  if (remote_address) w.Ipv4(Ipv4Address::Of(*remote_address));
  if (token) w.Key(*token);
  if (remote_token) w.Key(*remote_token);
  return w.str();
}

absl::StatusOr<HolepunchPayload> HolepunchPayload::Decode(Bytes bytes) {
  wire::Reader r(bytes);
  HolepunchPayload p;
  const uint64_t flags = r.Uint();
  p.connected = (flags & kConnected) != 0, p.punching = (flags & kPunching) != 0;
  p.error = r.Uint(), p.firewall = FirewallOf(r.Uint()), p.round = r.Uint();
  if (flags & kAddresses) {
    p.addresses.emplace();
    for (uint64_t n = r.ArraySize(); n > 0 && r.ok(); --n) p.addresses->push_back(r.Ipv4().endpoint());
  }
  if (flags & kRemoteAddress) p.remote_address = r.Ipv4().endpoint();
  if (flags & kToken) p.token = r.Key();
  if (flags & kRemoteToken) p.remote_token = r.Key();
  if (!r.ok()) return r.status();
  return p;
}

Key32 HolepunchSecret(const std::array<uint8_t, 64>& handshake_hash) {
  return crypto::KeyedBlake2b256(handshake_hash, Namespace(kPeerHolepunch));
}

SecurePayload::SecurePayload(const Key32& holepunch_secret, Rng& rng) : secret_(holepunch_secret) {
  rng.Fill(absl::MakeSpan(token_secret_));
}

std::string SecurePayload::Seal(const HolepunchPayload& payload, Rng& rng) const {
  crypto::BoxNonce nonce;
  rng.Fill(absl::MakeSpan(nonce));
  return std::string(AsText(nonce)) + crypto::SealBox(AsBytes(payload.Encode()), nonce, secret_);
}

absl::StatusOr<HolepunchPayload> SecurePayload::Open(Bytes sealed) const {
  crypto::BoxNonce nonce;
  if (sealed.size() <= nonce.size() + crypto::kBoxTagBytes) {
    return absl::InvalidArgumentError("a sealed payload is longer than its nonce and tag");
  }
  std::copy_n(sealed.begin(), nonce.size(), nonce.begin());
  std::optional<std::string> plain = crypto::OpenBox(sealed.subspan(nonce.size()), nonce, secret_);
  if (!plain) return absl::UnauthenticatedError("the payload was not sealed by the other side of this connection");
  return HolepunchPayload::Decode(AsBytes(*plain));
}

Key32 SecurePayload::token(const Endpoint& address) const {
  return crypto::KeyedBlake2b256(token_secret_, AsBytes(address.host()));
}

}  // namespace orchard::hyperdht
