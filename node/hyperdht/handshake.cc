#include "node/hyperdht/handshake.h"

#include <utility>

#include "node/base/status_macros.h"
#include "node/hyperdht/signatures.h"

namespace orchard::hyperdht {
namespace {

Key32 Draw(Turn& turn) {
  Key32 seed;
  turn.rng.Fill(absl::MakeSpan(seed));
  return seed;
}

}  // namespace

ClientHandshake::ClientHandshake(Turn& turn, const crypto::KeyPair& key, const Key32& remote_key, const NoisePayload& payload)
    : noise_({.pattern = crypto::NoisePattern::kIk, .initiator = true, .key = key, .ephemeral_seed = Draw(turn),
              .prologue = Namespace(kPeerHandshake), .remote_key = remote_key}) {
  if (absl::StatusOr<std::string> message = noise_.Send(AsBytes(payload.Encode())); message.ok()) message_ = *std::move(message);
}

absl::StatusOr<Accepted> ClientHandshake::Finish(Bytes answer) const {
  crypto::NoiseHandshake noise = noise_;
  ASSIGN_OR_RETURN(std::string payload, noise.Receive(answer));
  ASSIGN_OR_RETURN(NoisePayload decoded, NoisePayload::Decode(AsBytes(payload)));
  return Accepted{std::move(decoded), noise.keys()};
}

absl::StatusOr<ServerHandshake> ServerHandshake::Receive(Turn& turn, const crypto::KeyPair& key, Bytes message) {
  ServerHandshake h({.pattern = crypto::NoisePattern::kIk, .initiator = false, .key = key, .ephemeral_seed = Draw(turn),
                     .prologue = Namespace(kPeerHandshake)});
  ASSIGN_OR_RETURN(std::string payload, h.noise_.Receive(message));
  ASSIGN_OR_RETURN(h.payload_, NoisePayload::Decode(AsBytes(payload)));
  return h;
}

absl::StatusOr<std::string> ServerHandshake::Answer(const NoisePayload& ours) { return noise_.Send(AsBytes(ours.Encode())); }

}  // namespace orchard::hyperdht
