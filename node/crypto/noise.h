// Noise handshakes IK and XX over Ed25519 keys, with ChaCha20-Poly1305 and BLAKE2b-512. IK: the initiator knows whom it
// calls, two messages (hyperdht). XX: nobody knows anybody, three messages (secret-stream alone).
// Nothing is drawn here: the ephemeral key pair comes from a seed that the caller takes from Turn::rng.
// Source: the Noise Protocol Framework rev. 34; npm noise-handshake 4.2.0, noise-curve-ed 2.1.0.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "node/base/bytes.h"
#include "node/crypto/hkdf.h"
#include "node/crypto/secret.h"
#include "node/crypto/sign.h"

namespace orchard::crypto {

enum class NoisePattern : uint8_t { kIk, kXx };

// What a complete handshake yields. Our tx is the other side's rx; the hash is the same on both, and unique to this session.
struct SessionKeys {
  Secret<32> tx, rx;
  Hash64 handshake_hash{};
  PublicKey remote_key{};
};

// Diffie-Hellman on the Edwards curve itself: the private scalar is that of the Ed25519 seed. kInvalidArgument if `remote`
// is no point of the main subgroup.
absl::StatusOr<Secret<32>> EdwardsDh(const SecretKey& own, const PublicKey& remote);

struct NoiseConfig {
  NoisePattern pattern;
  bool initiator;
  KeyPair key{};                          // Ours, static.
  Key32 ephemeral_seed{};                 // 32 fresh random bytes.
  Bytes prologue{};                       // Both sides must agree on it.
  std::optional<PublicKey> remote_key{};  // IK's initiator: whom it calls. Nobody else.
};

class NoiseHandshake {
 public:
  static constexpr size_t kMessageMax = 65535;
  explicit NoiseHandshake(const NoiseConfig& config);

  // The next message. kFailedPrecondition if it is not our turn, or all is over; kInvalidArgument if `payload` is too long or
  // the other side's keys are no points to compute with.
  absl::StatusOr<std::string> Send(Bytes payload);
  // Reads the other side's message; returns its payload. kInvalidArgument: truncated, too long, a bad point;
  // kUnauthenticated: not from whom it claims, or altered, or of another handshake; kFailedPrecondition: out of turn.
  // After any failure but the last the handshake is dead.
  absl::StatusOr<std::string> Receive(Bytes message);

  bool complete() const { return complete_; }
  // Once complete.
  const SessionKeys& keys() const;
  // As soon as a message has told it: IK's responder may ask before it answers.
  const std::optional<PublicKey>& remote_key() const { return remote_static_; }

 private:
  bool our_turn() const { return initiator_ == (step_ % 2 == 0); }
  absl::Status CheckTurn(bool ours) const;
  absl::Status SendTokens(std::string& out);
  absl::Status ReceiveTokens(Bytes& message);
  absl::Status MixDh(uint8_t token);
  void MixHash(Bytes data) { hash_ = Blake2b512({hash_, data}); }
  absl::Status EncryptAndHash(Bytes plain, std::string& out);
  absl::StatusOr<std::string> DecryptAndHash(Bytes sealed);
  void Advance();

  NoisePattern pattern_;
  bool initiator_;
  bool complete_ = false, dead_ = false, has_key_ = false;
  uint8_t step_ = 0;       // Messages sent and received.
  uint32_t counter_ = 0;   // Of the cipher's nonces; a handshake uses a few.
  PublicKey static_public_, ephemeral_public_;
  Secret<64> static_secret_, ephemeral_secret_;
  std::optional<PublicKey> remote_static_, remote_ephemeral_;
  Hash64 hash_;
  Secret<64> chaining_key_;
  Secret<32> cipher_key_;
  SessionKeys keys_;
};

}  // namespace orchard::crypto
