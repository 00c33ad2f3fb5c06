#include "node/pod/keys.h"

#include <algorithm>

#include "node/crypto/chacha20poly1305.h"
#include "node/crypto/hash.h"
#include "node/crypto/hkdf.h"
#include "node/crypto/sha256.h"
#include "node/crypto/x25519.h"
#include "node/wire/bincode.h"

namespace orchard::pod {

crypto::Secret<32> CompatKey(Dialect dialect, const crypto::Secret<32>& shared) {
  if (dialect == Dialect::kDoc) return crypto::Sha256(shared);
  static constexpr std::string_view kPrefix = "peapod-session-v1";
  crypto::Secret<kPrefix.size() + 32> input;
  std::copy(kPrefix.begin(), kPrefix.end(), input.begin());
  std::copy(shared.begin(), shared.end(), input.begin() + kPrefix.size());
  return crypto::Sha256(input);
}

std::optional<HardenedKeys> DeriveHardened(const HardenedInput& in) {
  // Both sides feed the four secrets in one order: by the connector's key, then the acceptor's. The two that mix a static with
  // an ephemeral key keep a thief of one static key from posing to its owner as someone else.
  const crypto::Secret<32>&own_s = in.own_static, &own_e = in.own_ephemeral;
  const auto ee = crypto::X25519(own_e, in.remote_ephemeral), ss = crypto::X25519(own_s, in.remote_static);
  const auto es = in.connector ? crypto::X25519(own_e, in.remote_static) : crypto::X25519(own_s, in.remote_ephemeral);
  const auto se = in.connector ? crypto::X25519(own_s, in.remote_ephemeral) : crypto::X25519(own_e, in.remote_static);
  if (!ee || !es || !se || !ss) return std::nullopt;
  crypto::Secret<128> secrets;
  auto at = secrets.begin();
  for (const auto* part : {&*ee, &*es, &*se, &*ss}) at = std::copy(part->begin(), part->end(), at);
  const Key32 pod = in.pod_secret.value_or(Key32{});
  const crypto::Secret<64> salt = crypto::Blake2b512({AsBytes("peapod-session-v2"), pod, in.connector_hello, in.acceptor_hello});
  const auto keys = crypto::Hkdf2(salt, secrets);
  HardenedKeys out;
  std::copy_n(keys[0].begin(), 32, out.forth.begin());
  std::copy_n(keys[1].begin(), 32, out.back.begin());
  return out;
}

std::array<uint8_t, 8> Direction::key_id() const {
  const Key32 hash = crypto::KeyedBlake2b256(key_, AsBytes("peapod key id"));
  std::array<uint8_t, 8> id;
  std::copy_n(hash.begin(), id.size(), id.begin());
  return id;
}

void Direction::Seal(Bytes plain, std::string& out) {
  out.reserve(out.size() + 4 + plain.size() + crypto::kAeadTagBytes);
  wire::BincodeWriter(out).U32(uint32_t(plain.size() + crypto::kAeadTagBytes));
  crypto::SealAead(plain, counter_, key_, out);
  Advance();
}

bool Direction::Open(Bytes sealed, uint8_t* plain) {
  if (!crypto::OpenAead(sealed, counter_, key_, plain)) return false;
  Advance();
  return true;
}

void Direction::Advance() {
  ++counter_;
  if (rekeys_ && counter_ % kRekeyRecords == 0) key_ = crypto::KeyedBlake2b256(key_, AsBytes("peapod-rekey-v2"));
}

}  // namespace orchard::pod
