// Who a node is in a pod: an X25519 key pair, and an id that is the first half of SHA-256 of its public key.
#pragma once

#include "node/base/rng.h"
#include "node/crypto/secret.h"
#include "node/pod/messages.h"

namespace orchard::pod {

struct Identity {
  crypto::Secret<32> secret;
  Key32 public_key{};
  DeviceId device{};

  static Identity FromSecret(const crypto::Secret<32>& secret);
  static Identity Draw(Rng& rng);
};

DeviceId DeviceOf(const Key32& public_key);

}  // namespace orchard::pod
