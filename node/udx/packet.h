// UDX packets on the wire: a header of 20 bytes, then an extension (SACK blocks or padding), then the payload.
// Source: libudx, specification of udx-native 1.21.3 §1; recorded in tests/vectors/v05*.json.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "node/base/bytes.h"

namespace orchard::udx {

inline constexpr size_t kHeaderBytes = 20;
// What a datagram carries beneath UDX: IP and UDP headers. An "MTU" here counts them.
inline constexpr uint32_t kV4Bytes = 28, kV6Bytes = 48;
// Blocks in one SACK: what JavaScript sends at most; more are not read.
inline constexpr size_t kSackBlocksMax = 50;

// Flags of a packet's type; none of them: a pure acknowledgement. Unknown ones are ignored.
inline constexpr uint8_t kData = 0x01, kEnd = 0x02, kSack = 0x04, kMessage = 0x08, kDestroy = 0x10, kHeartbeat = 0x20;

// Sequence numbers count packets and wrap: `a` is earlier than `b` if it lies at most half the circle behind.
constexpr bool Before(uint32_t a, uint32_t b) { return int32_t(a - b) < 0; }

struct Header {
  uint8_t type = 0;
  uint8_t data_offset = 0;  // Bytes between header and payload.
  uint32_t id = 0;          // The receiver's stream id.
  uint32_t window = 0;      // Bytes that the sender is ready to take.
  uint32_t seq = 0;         // Of this packet, or the next one if it consumes none.
  uint32_t ack = 0;         // The next seq that is expected.
};

// Half open.
struct SeqRange {
  uint32_t start = 0, end = 0;
  friend bool operator==(const SeqRange&, const SeqRange&) = default;
};

// Nothing if too short, or of another magic or version: such a datagram is not UDX.
std::optional<Header> ReadHeader(Bytes datagram);
std::array<uint8_t, kHeaderBytes> WriteHeader(const Header& header);

// What follows the extension; nothing if the extension is longer than the packet.
std::optional<Bytes> PayloadOf(const Header& header, Bytes datagram);

// The blocks of a packet with kSack: all bytes after the header if the data offset is 0, else so many. A view.
class SackBlocks {
 public:
  SackBlocks(const Header& header, Bytes datagram);
  size_t size() const { return bytes_.size() / 8; }
  SeqRange operator[](size_t i) const;

 private:
  Bytes bytes_;
};

}  // namespace orchard::udx
