#include "node/crypto/noise.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "node/base/check.h"
#include "node/base/status_macros.h"

namespace orchard::crypto {
namespace {

constexpr size_t kKey = 32, kMac = crypto_aead_chacha20poly1305_ietf_ABYTES;

enum Token : uint8_t { kEnd, kE, kS, kEe, kEs, kSe, kSs };
using Message = std::array<Token, 5>;  // Up to kEnd.
struct Pattern {
  std::string_view name;
  bool knows_responder;  // The responder's static key is a pre-message.
  uint8_t messages;
  std::array<Message, 3> tokens;
};
constexpr Pattern kPatterns[] = {
    {"Noise_IK_Ed25519_ChaChaPoly_BLAKE2b", true, 2, {{{kE, kEs, kS, kSs}, {kE, kEe, kSe}}}},
    {"Noise_XX_Ed25519_ChaChaPoly_BLAKE2b", false, 3, {{{kE}, {kE, kEe, kS, kEs}, {kS, kSe}}}},
};
const Pattern& Of(NoisePattern p) { return kPatterns[size_t(p)]; }

// Only 32 bits of the counter are used, at offset 4. Source: npm noise-handshake cipher.js.
std::array<uint8_t, 12> Nonce(uint32_t counter) {
  std::array<uint8_t, 12> nonce{};
  for (size_t i = 0; i < 4; ++i) nonce[4 + i] = uint8_t(counter >> 8 * i);
  return nonce;
}

}  // namespace

absl::StatusOr<Secret<32>> EdwardsDh(const SecretKey& own, const PublicKey& remote) {
  Secret<64> expanded;
  crypto_hash_sha512(expanded.data(), own.data(), 32);  // A secret key begins with its seed.
  expanded[0] &= 248, expanded[31] = uint8_t((expanded[31] & 127) | 64);
  Secret<32> out;
  if (crypto_scalarmult_ed25519_noclamp(out.data(), expanded.data(), remote.data()) != 0) {
    return absl::InvalidArgumentError("noise: a public key is no point of the main subgroup");
  }
  return out;
}

NoiseHandshake::NoiseHandshake(const NoiseConfig& config)
    : pattern_(config.pattern), initiator_(config.initiator), static_public_(config.key.public_key),
      static_secret_(config.key.secret_key), remote_static_(config.remote_key) {
  const Pattern& pattern = Of(pattern_);
  CHECK_EQ(remote_static_.has_value(), pattern.knows_responder && initiator_);
  KeyPair ephemeral = KeyPairFromSeed(config.ephemeral_seed);
  ephemeral_public_ = ephemeral.public_key, ephemeral_secret_ = ephemeral.secret_key;
  Wipe(absl::MakeSpan(ephemeral.secret_key));

  // A name that fits is padded, not hashed; the prologue is hashed even when empty.
  hash_ = {};
  CHECK_LE(pattern.name.size(), hash_.size());
  std::copy(pattern.name.begin(), pattern.name.end(), hash_.begin());
  chaining_key_ = hash_;
  MixHash(config.prologue);
  if (pattern.knows_responder) MixHash(initiator_ ? *remote_static_ : static_public_);
}

const SessionKeys& NoiseHandshake::keys() const {
  CHECK(complete_);
  return keys_;
}

absl::Status NoiseHandshake::CheckTurn(bool ours) const {
  if (dead_) return absl::FailedPreconditionError("noise: the handshake has failed");
  if (complete_) return absl::FailedPreconditionError("noise: the handshake is complete");
  if (our_turn() != ours) return absl::FailedPreconditionError("noise: a message out of turn");
  return absl::OkStatus();
}

absl::StatusOr<std::string> NoiseHandshake::Send(Bytes payload) {
  RETURN_IF_ERROR(CheckTurn(true));
  std::string out;
  absl::Status status = SendTokens(out);
  if (status.ok()) status = EncryptAndHash(payload, out);
  if (!status.ok()) return dead_ = true, status;
  Advance();
  return out;
}

absl::StatusOr<std::string> NoiseHandshake::Receive(Bytes message) {
  RETURN_IF_ERROR(CheckTurn(false));
  absl::Status status = message.size() <= kMessageMax ? ReceiveTokens(message) : absl::InvalidArgumentError("noise: a message too long");
  if (!status.ok()) return dead_ = true, status;
  absl::StatusOr<std::string> payload = DecryptAndHash(message);
  if (!payload.ok()) return dead_ = true, payload.status();
  Advance();
  return payload;
}

absl::Status NoiseHandshake::SendTokens(std::string& out) {
  for (Token token : Of(pattern_).tokens[step_]) {
    switch (token) {
      case kEnd: return absl::OkStatus();
      case kE:
        MixHash(ephemeral_public_);
        out.append(AsText(ephemeral_public_));
        break;
      case kS: RETURN_IF_ERROR(EncryptAndHash(static_public_, out)); break;
      default: RETURN_IF_ERROR(MixDh(token));
    }
  }
  return absl::OkStatus();
}

absl::Status NoiseHandshake::ReceiveTokens(Bytes& message) {
  for (Token token : Of(pattern_).tokens[step_]) {
    const size_t size = token == kE ? kKey : token == kS ? kKey + (has_key_ ? kMac : 0) : 0;
    if (message.size() < size) return absl::InvalidArgumentError("noise: a truncated message");
    const Bytes part = message.subspan(0, size);
    message.remove_prefix(size);
    switch (token) {
      case kEnd: return absl::OkStatus();
      case kE:
        std::copy(part.begin(), part.end(), remote_ephemeral_.emplace().begin());
        MixHash(part);
        break;
      case kS: {
        ASSIGN_OR_RETURN(std::string key, DecryptAndHash(part));
        std::copy_n(AsBytes(key).begin(), kKey, remote_static_.emplace().begin());
        break;
      }
      default: RETURN_IF_ERROR(MixDh(token));
    }
  }
  return absl::OkStatus();
}

// `es`: the initiator's ephemeral key with the responder's static one, on either side; `se` the other way round.
absl::Status NoiseHandshake::MixDh(uint8_t token) {
  const bool own_static = token == kSs || token == (initiator_ ? kSe : kEs);
  const bool remote_static = token == kSs || token == (initiator_ ? kEs : kSe);
  ASSIGN_OR_RETURN(Secret<32> shared, EdwardsDh(own_static ? static_secret_ : ephemeral_secret_,
                                                remote_static ? *remote_static_ : *remote_ephemeral_));
  const auto [chaining_key, key] = Hkdf2(chaining_key_, shared);
  chaining_key_ = chaining_key;
  std::copy_n(key.begin(), kKey, cipher_key_.begin());
  has_key_ = true, counter_ = 0;
  return absl::OkStatus();
}

absl::Status NoiseHandshake::EncryptAndHash(Bytes plain, std::string& out) {
  const size_t at = out.size(), size = plain.size() + (has_key_ ? kMac : 0);
  if (at + size > kMessageMax) return absl::InvalidArgumentError("noise: a message too long");
  if (has_key_) {
    out.resize(at + size);
    crypto_aead_chacha20poly1305_ietf_encrypt(reinterpret_cast<uint8_t*>(out.data()) + at, nullptr, plain.data(), plain.size(),
                                              hash_.data(), hash_.size(), nullptr, Nonce(counter_++).data(), cipher_key_.data());
  } else {
    out.append(AsText(plain));
  }
  MixHash(AsBytes(out).subspan(at));
  return absl::OkStatus();
}

absl::StatusOr<std::string> NoiseHandshake::DecryptAndHash(Bytes sealed) {
  std::string plain;
  if (has_key_) {
    if (sealed.size() < kMac) return absl::InvalidArgumentError("noise: a truncated message");
    plain.resize(sealed.size() - kMac);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(reinterpret_cast<uint8_t*>(plain.data()), nullptr, nullptr, sealed.data(),
                                                  sealed.size(), hash_.data(), hash_.size(), Nonce(counter_++).data(),
                                                  cipher_key_.data()) != 0) {
      return absl::UnauthenticatedError("noise: a message that is not from this handshake");
    }
  } else {
    plain = AsText(sealed);
  }
  MixHash(sealed);
  return plain;
}

void NoiseHandshake::Advance() {
  if (++step_ < Of(pattern_).messages) return;
  const auto [first, second] = Hkdf2(chaining_key_, {});
  const Secret<64>& tx = initiator_ ? first : second;
  const Secret<64>& rx = initiator_ ? second : first;
  std::copy_n(tx.begin(), kKey, keys_.tx.begin()), std::copy_n(rx.begin(), kKey, keys_.rx.begin());
  keys_.handshake_hash = hash_, keys_.remote_key = *remote_static_;
  complete_ = true;
  // What could open old messages is of no use any more.
  Wipe(absl::MakeSpan(ephemeral_secret_)), Wipe(absl::MakeSpan(chaining_key_)), Wipe(absl::MakeSpan(cipher_key_));
}

}  // namespace orchard::crypto
