// The eight messages of PeaPod, those of our extension, and their frames. Byte for byte: docs/PEAPOD.md §1 and §5. Texts and
// payloads borrow from what was read.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "absl/status/statusor.h"
#include "node/base/bytes.h"

namespace orchard::pod {

using DeviceId = std::array<uint8_t, 16>;
using TransferId = std::array<uint8_t, 16>;

inline constexpr uint8_t kVersion = 1;          // Of beacons and handshakes of the original; 2 is `hardened`.
inline constexpr uint8_t kHardenedVersion = 2;
inline constexpr size_t kFrameMax = 16u << 20;  // Of a frame's payload, and of a record; the protocol's own limit.
inline constexpr size_t kUrlMax = 8192;         // Bytes; longer than what servers take.
inline constexpr size_t kValidatorMax = 256;    // Bytes; tags are a few dozen.

// Who is here and where he listens. Both travel as one UDP datagram that holds the whole frame.
struct Announcement {
  uint8_t version = kVersion;
  DeviceId device{};
  Key32 public_key{};
  uint16_t listen_port = 0;
  friend bool operator==(const Announcement&, const Announcement&) = default;
};
struct Beacon : Announcement {};
struct DiscoveryResponse : Announcement {};
struct Join { DeviceId device{}; };
struct Leave { DeviceId device{}; };
struct Heartbeat { DeviceId device{}; };
// Bytes [start, end) of the body at `url`; of hardened also: if it is in this state, as If-Range says it (RFC 9110 §13.1.5).
struct ChunkRequest {
  TransferId transfer{};
  uint64_t start = 0, end = 0;
  std::optional<std::string_view> url{};
  std::optional<std::string_view> validator{};  // Only with a url.
};
struct ChunkData {
  TransferId transfer{};
  uint64_t start = 0, end = 0;
  Key32 hash{};  // SHA-256 of the payload, as the sender says.
  Bytes payload;
};
struct Nack {
  TransferId transfer{};
  uint64_t start = 0, end = 0;
};

// ---- Relays: TCP connections that a member opens for another. Of `hardened` alone; §5 ----

// A relay's number. Whoever opens it counts it up over all his relays; so each side of a session has numbers of its own.
enum class RelayId : uint32_t {};
inline constexpr size_t kRelayHostMax = 255;          // Bytes of a name. RFC 1035 §2.3.4.
inline constexpr size_t kRelayPieceMax = 32 << 10;    // Bytes of one RelayData.
inline constexpr uint32_t kRelayWindow = 256 << 10;   // Credit of each side at first.

enum class RelayEnding : uint8_t {
  kDone,          // Both halves ended, or whoever opened it wants no more.
  kNoName,        // Nobody is called so.
  kForbidden,     // No public address, or one of the member's own.
  kBadPort,       // Neither 443 nor 1024 and above.
  kTooMany,       // Relays at once.
  kRefused,       // Nobody listens there.
  kUnreachable,   // Nobody answered.
  kReset,         // By the origin.
  kIdle,          // Not a byte for too long.
  kNotTls,        // What was written there is no TLS.
  kBroken,        // More than the credit, or nonsense.
  kLost,          // The member is gone. Never on the wire.
};

struct RelayOpen { RelayId relay{}; uint16_t port = 0; std::string_view host; };
struct RelayOpened { RelayId relay{}; };
// `opener`: of these, whether the sender is the one that opened the relay.
struct RelayData { RelayId relay{}; bool opener = false; Bytes payload; };
struct RelayCredit { RelayId relay{}; bool opener = false; uint32_t bytes = 0; };
struct RelayEnd { RelayId relay{}; bool opener = false; };
struct RelayClose { RelayId relay{}; bool opener = false; RelayEnding why{}; };

using Message = std::variant<Beacon, DiscoveryResponse, Join, Leave, Heartbeat, ChunkRequest, ChunkData, Nack, RelayOpen, RelayOpened,
                             RelayData, RelayCredit, RelayEnd, RelayClose>;
// Those from here on are not the original's.
constexpr bool IsExtension(const Message& message) { return message.index() >= 8; }
// Of those: which relay, and whether its sender is the one that opened it.
inline RelayId RelayOf(const Message& message) {
  return std::visit([](const auto& m) {
    if constexpr (requires { m.relay; }) return m.relay;
    else return RelayId{};
  }, message);
}
inline bool OfOpener(const Message& message) {
  return std::visit([](const auto& m) {
    if constexpr (requires { m.opener; }) return m.opener;
    else return std::is_same_v<std::decay_t<decltype(m)>, RelayOpen>;
  }, message);
}

// Appends the frame: four bytes of length, then the message. At most kFrameMax.
void AppendFrame(const Message& message, std::string& out);
std::string Frame(const Message& message);
// The bytes of that frame, without writing it.
size_t FrameBytes(const Message& message);
// A frame's payload. Trailing bytes are ignored, and a ChunkRequest may end before its option (PROTOCOL.md of the original). Its
// validator is among what else would be trailing bytes: whatever is none is ignored too.
// kInvalidArgument: no such message, truncated, keys of another length, a url that is no text or too long, a range that ends
// before it starts; of relays an empty or long piece, a name that is no text, no credit. Whatever else the bytes
// say is the caller's to judge.
absl::StatusOr<Message> ReadMessage(Bytes payload);

// ---- Beacons as datagrams ----

inline constexpr size_t kBeaconMacBytes = 16;
// With a pod secret, the first 16 bytes of BLAKE2b-256(key = secret, payload) follow inside the frame.
std::string BeaconDatagram(const Message& beacon, const Key32* pod_secret);
struct ReadBeacon {
  Announcement announcement;
  bool response = false;
  bool proved = false;  // Of version 2: something is behind it that a pod secret would put there.
};
// Version and (with a secret) the proof are checked: kFailedPrecondition for another version, kUnauthenticated for no proof
// or a false one, kInvalidArgument for anything that is neither Beacon nor DiscoveryResponse in one whole frame.
absl::StatusOr<ReadBeacon> ReadBeaconDatagram(Bytes datagram, uint8_t version, const Key32* pod_secret);

}  // namespace orchard::pod
