// What the values of HyperDHT's requests and replies hold. Readers ignore trailing bytes and unknown flags; each Decode
// fails on truncation and never reads past its input. Encoders emit the form of the deployed nodes, byte for byte.
// Source: npm hyperdht 6.34 lib/messages.js, compact-encoding 3.5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/crypto/sign.h"

namespace orchard::hyperdht {

using crypto::Signature;

// User commands (dht-rpc request flag 4 clear).
enum Command : uint64_t {
  kPeerHandshake = 0,
  kPeerHolepunch = 1,
  kFindPeer = 2,
  kLookup = 3,
  kAnnounce = 4,
  kUnannounce = 5,
  kMutablePut = 6,
  kMutableGet = 7,
  kImmutablePut = 8,
  kImmutableGet = 9,
  kPlugin = 10,
};

// Application errors of a reply.
enum class Error : uint8_t { kNone = 0, kAborted = 1, kVersionMismatch = 2, kTryLater = 3, kSeqReused = 16, kSeqTooLow = 17 };
enum class Firewall : uint8_t { kUnknown = 0, kOpen = 1, kConsistent = 2, kRandom = 3 };

// A reply or record names at most so many relays; the rest are cut off.
inline constexpr size_t kRelayAddressesMax = 3;
// Peers in one lookup reply.
inline constexpr size_t kLookupPeersMax = 20;
// The largest value a storing node takes: what fits a datagram of about 1200 bytes.
inline constexpr size_t kStoredValueMax = 1200;
// The largest value that our own put takes: with key, seq, signature and token it still fits 1200 bytes.
inline constexpr size_t kPutValueMax = 1000;

struct Peer {
  Key32 public_key{};
  std::vector<Endpoint> relay_addresses;

  std::string Encode() const;
  static absl::StatusOr<Peer> Decode(Bytes bytes);
  friend bool operator==(const Peer&, const Peer&) = default;
};

struct LookupReply {
  std::vector<Peer> peers;
  uint64_t bump = 0;

  static absl::StatusOr<LookupReply> Decode(Bytes bytes);
  // `blobs` are encoded peers.
  static std::string Encode(const std::vector<std::string>& blobs, uint64_t bump);
};

// ANNOUNCE and UNANNOUNCE.
struct AnnounceMessage {
  std::optional<Peer> peer;
  std::optional<Key32> refresh;
  std::optional<Signature> signature;
  uint64_t bump = 0;

  std::string Encode() const;
  static absl::StatusOr<AnnounceMessage> Decode(Bytes bytes);
};

struct MutablePut {
  Key32 public_key{};
  uint64_t seq = 0;
  std::string value;
  Signature signature{};

  std::string Encode() const;
  static absl::StatusOr<MutablePut> Decode(Bytes bytes);
};

// The reply to MUTABLE_GET, and what a storing node keeps.
struct MutableRecord {
  uint64_t seq = 0;
  std::string value;
  Signature signature{};

  std::string Encode() const;
  static absl::StatusOr<MutableRecord> Decode(Bytes bytes);
};

// The value of MUTABLE_GET: the least seq that the asker takes.
std::string EncodeMinimumSeq(uint64_t seq);
absl::StatusOr<uint64_t> DecodeMinimumSeq(Bytes bytes);

// Who sends a handshake or holepunch envelope. Source: npm hyperdht lib/router.js.
enum class Mode : uint8_t { kFromClient = 0, kFromServer = 1, kFromRelay = 2, kFromSecondRelay = 3, kReply = 4 };

struct HandshakeEnvelope {
  uint64_t mode = 0;  // A Mode, or what a newer peer may send.
  std::string noise;
  std::optional<Endpoint> peer_address, relay_address;

  std::string Encode() const;
  static absl::StatusOr<HandshakeEnvelope> Decode(Bytes bytes);
};

struct HolepunchEnvelope {
  uint64_t mode = 0;
  uint64_t id = 0;
  std::string payload;
  std::optional<Endpoint> peer_address;

  std::string Encode() const;
  static absl::StatusOr<HolepunchEnvelope> Decode(Bytes bytes);
};

struct PluginMessage {
  std::string plugin;
  uint64_t version = 0, command = 0;
  std::optional<std::string> value;

  std::string Encode() const;
  static absl::StatusOr<PluginMessage> Decode(Bytes bytes);
};

// What stands for a peer outside the DHT: its key, and perhaps nodes that know it. A bare key decodes too.
struct HyperdhtAddress {
  Key32 key{};
  std::vector<Endpoint> nodes;

  std::string Encode() const;
  static absl::StatusOr<HyperdhtAddress> Decode(Bytes bytes);
};

// Carried inside the Noise messages of a connection.
struct NoisePayload {
  struct Relay {
    Endpoint relay_address, peer_address;
    friend bool operator==(const Relay&, const Relay&) = default;
  };
  struct Holepunch {
    uint64_t id = 0;
    std::vector<Relay> relays;
  };
  struct Udx {
    uint64_t version = 1;
    bool reusable_socket = false;
    uint64_t id = 0, seq = 0;
  };
  struct RelayThrough {
    uint64_t version = 1;
    // Ours, the lowest flag, which the deployed nodes write as 0 and do not read: the relay is to be used only if all direct
    // ways fail. Without it both sides go there at once.
    bool fallback = false;
    // Ours, the next flag: whoever says so takes no other way; neither side tries one.
    bool only = false;
    Key32 public_key{}, token{};
  };
  uint64_t version = 1;  // Any other decodes with nothing else set: the caller answers VERSION_MISMATCH.
  uint64_t error = 0, firewall = 0;
  std::optional<Holepunch> holepunch;
  std::vector<Endpoint> addresses4, addresses6;
  std::optional<Udx> udx;
  std::optional<uint64_t> secret_stream;  // Its version.
  std::optional<RelayThrough> relay_through;
  std::optional<std::vector<Endpoint>> relay_addresses;

  std::string Encode() const;
  static absl::StatusOr<NoisePayload> Decode(Bytes bytes);
};

}  // namespace orchard::hyperdht
