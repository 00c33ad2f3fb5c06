// The Noise handshake of a connection: IK, one message each way, each with a NoisePayload inside. The client knows the
// server's key; the server learns the client's. The prologue binds it to PEER_HANDSHAKE.
// Source: npm hyperdht lib/noise-wrap.js.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "node/base/turn.h"
#include "node/crypto/noise.h"
#include "node/hyperdht/messages.h"

namespace orchard::hyperdht {

// What a finished handshake yields.
struct Accepted {
  NoisePayload payload;       // The other side's.
  crypto::SessionKeys keys;
};

class ClientHandshake {
 public:
  // Draws 32 bytes. `remote_key` may turn out to be no point of the curve: then message() is empty.
  ClientHandshake(Turn& turn, const crypto::KeyPair& key, const Key32& remote_key, const NoisePayload& payload);
  // The same bytes go through every node that may know the server.
  const std::string& message() const { return message_; }
  // Reads an answer. A forged one changes nothing: the true one may still come.
  absl::StatusOr<Accepted> Finish(Bytes answer) const;

 private:
  crypto::NoiseHandshake noise_;
  std::string message_;
};

class ServerHandshake {
 public:
  // Draws 32 bytes. Fails if the message was not made for `key`.
  static absl::StatusOr<ServerHandshake> Receive(Turn& turn, const crypto::KeyPair& key, Bytes message);
  const Key32& remote_key() const { return *noise_.remote_key(); }
  const NoisePayload& payload() const { return payload_; }
  // Once. Fails if the client's ephemeral key is no point of the curve.
  absl::StatusOr<std::string> Answer(const NoisePayload& ours);
  Accepted accepted() const { return {payload_, noise_.keys()}; }

 private:
  explicit ServerHandshake(const crypto::NoiseConfig& config) : noise_(config) {}
  crypto::NoiseHandshake noise_;
  NoisePayload payload_;
};

}  // namespace orchard::hyperdht
