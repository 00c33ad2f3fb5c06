// IPv4, UDP and TCP bytes as they are on the wire (RFC 791, RFC 768, RFC 9293), read and changed in place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "node/base/bytes.h"
#include "node/base/endpoint.h"

namespace orchard::sim {

struct Ep4 {
  uint32_t ip = 0;
  uint16_t port = 0;
  friend bool operator==(const Ep4&, const Ep4&) = default;
  uint64_t packed() const { return uint64_t(ip) << 16 | port; }
  Endpoint endpoint() const { return Endpoint::V4(ip, port); }
};
inline Ep4 ToEp4(const Endpoint& e) { return {e.v4(), e.port}; }

inline constexpr size_t kIpHeader = 20, kHeaders = 28;  // No IP options are ever written.
inline constexpr size_t kPacketMax = 65'535;
inline constexpr size_t kTcpHeaders = 40;
inline constexpr uint8_t kTcp = 6, kUdp = 17;
inline constexpr uint8_t kTcpFin = 1, kTcpSyn = 2, kTcpRst = 4, kTcpAck = 16;

inline uint16_t Read16(const uint8_t* p) { return uint16_t(p[0] << 8 | p[1]); }
inline uint32_t Read32(const uint8_t* p) { return uint32_t(Read16(p)) << 16 | Read16(p + 2); }
inline void Write16(uint8_t* p, uint16_t v) { p[0] = uint8_t(v >> 8), p[1] = uint8_t(v); }
inline void Write32(uint8_t* p, uint32_t v) { Write16(p, uint16_t(v >> 16)), Write16(p + 2, uint16_t(v)); }

// Writes kHeaders + payload.size() bytes with both checksums.
void WriteUdp(uint8_t* packet, Ep4 from, Ep4 to, uint8_t ttl, Bytes payload);
// A UDP packet that is whole: no IP options, lengths that fit, both checksums right (RFC 768 lets a sender leave out UDP's).
bool IsSoundUdp(Bytes packet);
// The same for TCP, whose checksum is not optional.
bool IsSoundTcp(Bytes packet);
// Writes to `packet` of kTcpHeaders bytes what a computer answers to a sound segment that is for no socket (RFC 9293 §3.10.7.1).
void WriteReset(uint8_t* packet, Bytes segment);

inline Ep4 Source(const uint8_t* packet) { return {Read32(packet + 12), Read16(packet + kIpHeader)}; }
inline Ep4 Target(const uint8_t* packet) { return {Read32(packet + 16), Read16(packet + kIpHeader + 2)}; }
inline uint8_t Ttl(const uint8_t* packet) { return packet[8]; }
inline uint8_t Protocol(const uint8_t* packet) { return packet[9]; }
inline uint8_t TcpFlags(const uint8_t* packet) { return packet[kIpHeader + 13]; }

// Change one field and both checksums by the difference (RFC 1624), so that a packet that was broken stays so.
void RewriteSource(uint8_t* packet, Ep4 to);
void RewriteTarget(uint8_t* packet, Ep4 to);
void WriteTtl(uint8_t* packet, uint8_t ttl);

}  // namespace orchard::sim
