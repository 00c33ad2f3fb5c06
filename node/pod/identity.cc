#include "node/pod/identity.h"

#include <algorithm>

#include "node/crypto/sha256.h"
#include "node/crypto/x25519.h"

namespace orchard::pod {

DeviceId DeviceOf(const Key32& public_key) {
  DeviceId id;
  const Key32 hash = crypto::Sha256(public_key);
  std::copy_n(hash.begin(), id.size(), id.begin());
  return id;
}

Identity Identity::FromSecret(const crypto::Secret<32>& secret) {
  Identity id;
  id.secret = secret, id.public_key = crypto::X25519Public(secret), id.device = DeviceOf(id.public_key);
  return id;
}

Identity Identity::Draw(Rng& rng) {
  crypto::Secret<32> secret;
  rng.Fill(absl::MakeSpan(secret));
  return FromSecret(secret);
}

}  // namespace orchard::pod
