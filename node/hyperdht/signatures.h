// What HyperDHT signs: 64 bytes of namespace ‖ BLAKE2b-256(rest), with Ed25519. A storing node verifies announcements with
// its own id, so a signature made for one node is worth nothing at another. Source: npm hyperdht lib/persistent.js.
#pragma once

#include <array>

#include "node/base/bytes.h"
#include "node/crypto/hash.h"
#include "node/crypto/sign.h"
#include "node/hyperdht/messages.h"

namespace orchard::hyperdht {

using crypto::KeyPair;

// BLAKE2b-256; the target of a peer is the hash of its public key.
inline Key32 Hash(Bytes bytes) { return crypto::Blake2b256(bytes); }

// Of "hyperswarm/dht" and the command's number.
Key32 Namespace(Command command);

using Signable = std::array<uint8_t, 64>;
// `command` is kAnnounce or kUnannounce; `node_id` the storing node's; message.bump is not signed. message.peer must be set.
Signable AnnounceSignable(Command command, const Key32& target, const Key32& token, const Key32& node_id,
                          const AnnounceMessage& message);
Signable MutableSignable(uint64_t seq, Bytes value);

inline Signature Sign(const Signable& signable, const KeyPair& key) { return crypto::Sign(signable, key.secret_key); }
inline bool Verify(const Signature& signature, const Signable& signable, const Key32& public_key) {
  return crypto::Verify(signable, signature, public_key);
}

}  // namespace orchard::hyperdht
